"""One call of a stress run: its state, and its requests as JSON."""

from __future__ import annotations

import time

from cgr_cluster.cli.stress.accounts import Account
from cgr_cluster.cli.stress.connections import Connection
from cgr_cluster.cli.stress.plan import Number
from conf.demo.tariff import TENANT

GRANT_S = 60  # what a switch asks for at once when it updates


class Call:
    """`number` is its place in the run. `length_s`: how long it will have lasted; a smaller grant cuts it."""

    __slots__ = (
        "account", "answer_s", "ask_s", "connection", "dialled", "ended_at", "event", "foretold_s", "granted_s",
        "last_grant_s", "length_s", "number", "origin_id", "retries", "since_cdr_late", "worst",
    )  # fmt: skip

    def __init__(
        self, number: int, run: str, account: Account, dialled: Number, answer_s: int, length_s: int, worst: int,
        ask_s: int, connection: Connection,
    ) -> None:  # fmt: skip
        self.number = number
        self.account = account
        self.dialled = dialled
        self.answer_s = answer_s
        self.length_s = length_s
        self.ask_s = ask_s
        self.worst = worst
        self.connection = connection
        self.foretold_s = ask_s
        self.granted_s = 0
        self.last_grant_s = 0
        self.ended_at = 0.0  # when its termination was sent (monotonic)
        self.retries = 0
        self.since_cdr_late = False  # its CDR may have come after its session was forgotten
        self.origin_id = f"{run}-{number}"
        answered = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(answer_s))
        self.event = (
            f'"OriginID":"{self.origin_id}","OriginHost":"{run}","ToR":"*voice","RequestType":"{account.mode}",'
            f'"Category":"call","Account":"{account.id}","Destination":"{dialled.digits}",'
            f'"SetupTime":"{answered}","AnswerTime":"{answered}"'
        ).encode()

    def authorize(self) -> bytes:
        return _AUTHORIZE % (self.event, self.ask_s)

    def initiate(self, usage_s: int) -> bytes:
        return _INITIATE % (self.event, usage_s)

    def update(self, usage_s: int) -> bytes:
        return _UPDATE % (self.event, usage_s, self.last_grant_s)

    def terminate(self) -> bytes:
        return _TERMINATE % (self.event, self.length_s)

    def process_cdr(self) -> bytes:
        return _PROCESS_CDR % (self.event, self.length_s)


def _template(method: str, flag: str, usage: bytes) -> bytes:
    flags = f'"{flag}":true,' if flag else ""
    return f'{{"method":"SessionSv1.{method}","params":[{{{flags}"Tenant":"{TENANT}","Event":{{'.encode() + (
        b"%b" + usage + b"}}]"
    )


_USAGE = b',"Usage":"%ds"'
_AUTHORIZE = _template("AuthorizeEvent", "GetMaxUsage", _USAGE)
_INITIATE = _template("InitiateSession", "InitSession", _USAGE)
_UPDATE = _template("UpdateSession", "UpdateSession", _USAGE + b',"LastUsed":"%ds"')
_TERMINATE = _template("TerminateSession", "TerminateSession", _USAGE)
_PROCESS_CDR = _template("ProcessCDR", "", _USAGE)


def max_usage_s(result: bytes) -> int:
    """The grant in an answer, in whole seconds. Raises ValueError: there is none, or it is no whole number of seconds."""
    if not result.startswith(b'{"MaxUsage":'):
        raise ValueError(f"no MaxUsage in {result[:200].decode()}")
    seconds, rest = divmod(int(result[12:-1]), 1_000_000_000)
    if rest:
        raise ValueError(f"MaxUsage of {result[:200].decode()} is no whole number of seconds")
    return seconds
