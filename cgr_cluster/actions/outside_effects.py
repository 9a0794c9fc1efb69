"""Effects of actions outside the cluster (spec 20 §5.2, 5.3): mails, calls of other systems, log lines.

They are tasks: they run after the action's change is durable, are tried again after a failure, and a dead endpoint delays
nothing else. A task may be repeated after a crash, so the other side may see a mail or a call twice.
"""

from __future__ import annotations

import json
import logging
import re
from typing import Any

from cgr_cluster.accounts.types import Account
from cgr_cluster.actions.types import Action
from cgr_cluster.engine.domain import GenerationView, Operation, Steps, outside, sleep, task
from cgr_cluster.rpc.errors import ApiError

logger = logging.getLogger("cgr_cluster.actions")

MAIL_TRIES = 5
MINUTE_NS = 60_000_000_000
RPC_TRY_AGAIN_NS = 1_000_000_000
MAX_RPC_TRIES = 10
_TRANSPORTS = ("*json", "*http_jrpc")
_TEMPLATE = re.compile(r"<<\s*\.Account\.(\w+)\s*>>")


def mail_of(generation: GenerationView, action: Action, body: str) -> tuple[str, str, list[str], str, str]:
    """(server, sender, recipients, subject, body) of `*mail_async`: addresses up to the first comma, separated by `;`."""
    mailer = generation.config("mailer")
    addresses = [a.strip() for a in action.extra_parameters.partition(",")[0].split(";") if a.strip()]
    if not addresses:
        raise ApiError("Unconfigured parameters for mail action")
    return str(mailer.get("server", "")), str(mailer.get("from_address", "")), addresses, "[CGR Notification]", body


@task("actions.mail")
def send_mail(op: Operation, server: str, sender: str, recipients: list[str], subject: str, body: str) -> Steps[None]:
    """Up to 5 tries, i minutes apart."""
    for number in range(1, MAIL_TRIES + 1):
        try:
            yield outside("send_mail", server, sender, recipients, subject, body)
            return
        except ApiError as error:
            logger.warning("mail to %s, try %d of %d: %s", ", ".join(recipients), number, MAIL_TRIES, error.text)
        if number < MAIL_TRIES:
            yield sleep(number * MINUTE_NS)


def rpc_of(action: Action, account: Account | None) -> tuple[str, str, str, str, int]:
    """(transport, address, method, parameters as JSON, tries) of `*cgr_rpc`. Raises ApiError when ExtraParameters cannot be read, or
    for the address `*internal`: this process calls no method of its own."""

    def value(found: re.Match[str]) -> str:
        if account is None:
            return ""
        known = {"ID": account.id, "Disabled": account.disabled, "AllowNegative": account.allow_negative}
        return str(known.get(found[1], ""))

    try:
        wanted: dict[str, Any] = json.loads(_TEMPLATE.sub(value, action.extra_parameters))
        address, method = str(wanted["Address"]), str(wanted["Method"])
        tries = int(wanted.get("Attempts") or 1)
    except (ValueError, KeyError, TypeError) as error:
        raise ApiError(f"invalid ExtraParameters of *cgr_rpc: {error}") from None
    if address == "*internal":
        raise ApiError("NOT_CONNECTED: *internal")
    transport = str(wanted.get("Transport") or "*json")
    if transport not in _TRANSPORTS:
        raise ApiError(f"unsupported transport of *cgr_rpc: {transport}")
    return transport, address, method, json.dumps(wanted.get("Params", {})), min(max(tries, 1), MAX_RPC_TRIES)


@task("actions.rpc")
def call_rpc(op: Operation, transport: str, address: str, method: str, params: str, tries: int) -> Steps[None]:
    """A JSON-RPC call of another system; an error is logged, nobody waits for the answer."""
    for number in range(1, tries + 1):
        try:
            yield outside("json_rpc", transport, address, method, params)
            return
        except ApiError as error:
            logger.warning("*cgr_rpc %s at %s, try %d of %d: %s", method, address, number, tries, error.text)
        if number < tries:
            yield sleep(number * RPC_TRY_AGAIN_NS)


@task("actions.log_account")
def log_account(op: Operation, account: str, extra: str) -> Steps[None]:
    """`*log`: the account as JSON to the log."""
    logger.info("*log %s %s", account, extra)
    yield sleep(0)
