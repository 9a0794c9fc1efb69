"""Effects of actions that nobody waits for: mails and log lines (spec 20 §5.2).

They are tasks: they run after the action's change is durable and are tried again after a failure, also when a process dies
in between; so a mail may be sent twice, but never at the cost of anything else.
"""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

from cgr_cluster.accounts.answers import account_json
from cgr_cluster.actions.calling_types import event_json
from cgr_cluster.actions.types import Action
from cgr_cluster.engine.domain import Operation, Steps, outside, sleep, task
from cgr_cluster.rpc.errors import ApiError

if TYPE_CHECKING:
    from cgr_cluster.actions.execute import Run

logger = logging.getLogger("cgr_cluster.actions")

MAIL_TRIES = 5
MINUTE_NS = 60_000_000_000
SUBJECT = "[CGR Notification]"


def subject_text(run: Run) -> str:
    """What an effect is about, as JSON: the account, else the event of the threshold; "" without both."""
    if run.account is not None:
        return json.dumps(account_json(run.account), separators=(",", ":"))
    return "" if run.event is None else json.dumps(event_json(run.event), separators=(",", ":"))


def log_account(run: Run, action: Action, place: int) -> None:
    """`*log`"""
    run.spawn("actions.log_account", subject_text(run), action.extra_parameters)


def mail(run: Run, action: Action, place: int) -> None:
    """`*mail_async`: to the addresses in ExtraParameters, up to the first comma, separated by `;`."""
    addresses = [a.strip() for a in action.extra_parameters.partition(",")[0].split(";") if a.strip()]
    if not addresses:
        raise ApiError("Unconfigured parameters for mail action")
    subject = SUBJECT if run.account is None else f"{SUBJECT} Threshold hit on Balance: {run.account.id}"
    run.spawn("actions.mail", addresses, subject, subject_text(run))


@task("actions.mail")
def send_mail(op: Operation, recipients: list[str], subject: str, body: str) -> Steps[None]:
    """Up to 5 tries, i minutes apart."""
    mailer = {name: str(value) for name, value in op.generation.config("mailer").items()}
    for number in range(1, MAIL_TRIES + 1):
        try:
            yield outside("send_mail", mailer.get("server", ""), mailer, recipients, subject, body)
            return
        except ApiError as error:
            logger.warning("mail to %s, try %d of %d: %s", ", ".join(recipients), number, MAIL_TRIES, error.text)
        if number < MAIL_TRIES:
            yield sleep(number * MINUTE_NS)


@task("actions.log_account")
def write_log(op: Operation, subject: str, extra: str) -> Steps[None]:
    logger.info("*log %s %s", subject, extra)
    yield sleep(0)
