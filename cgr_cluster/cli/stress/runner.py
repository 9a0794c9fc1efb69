"""The calls of a run: which request follows which answer, and what to do when an answer is lost.

Theory of operation
    A call is authorised, initiated, updated until it has been granted its length, terminated and recorded, each request
    after the answer to the one before, many calls side by side. A smaller grant cuts it; a grant of 0 refuses it.
    When the connection broke, or the server says that it gave up waiting, nobody knows whether a request was executed:
    * authorise has no effect and is sent again;
    * initiate is sent again: EXISTS says that the first one was executed;
    * update is sent again: it can only grant more than is needed, and the termination gives that back;
    * terminate must not be sent twice (the second would charge again, spec 30.5.6): it is sent again only when the session
      is still active (GetActiveSessions);
    * a CDR is looked for by its CGRID, and sent again when there is none.
    The server forgets a session 10 s after its end. A record sent later is priced and debited by itself (30.8), so a
    prepaid call whose CDR is so late is recorded with the tool's price (CDRsV1.ProcessCDR, PreRated).
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
from array import array
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec

from cgr_cluster.cli.stress.accounts import Account
from cgr_cluster.cli.stress.calls import GRANT_S, Call, max_usage_s
from cgr_cluster.cli.stress.connections import Connections, LostError
from cgr_cluster.cli.stress.latency import Latencies
from cgr_cluster.cli.stress.plan import Plan
from cgr_cluster.cli.stress.pricing import UNITS_PER_CURRENCY, affordable, price
from conf.demo.tariff import TENANT

KINDS = ("authorize", "initiate", "update", "terminate", "cdr")
UNKNOWN_OUTCOME = frozenset(("REPLY_TIMEOUT", "DISCONNECTED"))
TRY_AGAIN = frozenset(("MAX_CONCURRENT_RPC_EXCEEDED",))  # refused before any effect
RESOLVE_S = 60.0  # a call whose outcome is not known by then is reported
DOUBT_PAUSE_S = 0.2  # before asking: what was under way may still arrive
LATE_CDR_S = 8.0
PICKS = 8
NO_CDR = -1
TICK_S = 0.005
MOST_IN_FLIGHT = (
    5000  # at a given rate: a server that is too slow gets fewer calls than asked for, which the rate shows
)
_REQUEST_ID = re.compile(r" \(request [^)]*\)")  # each is another


class Runner:
    """Runs calls over the connections. `prices` and `outcomes` are what it expects of every call, by number."""

    def __init__(
        self, connections: Connections, accounts: list[Account], plan: Plan, run: str, updates: bool, side_by_side: int
    ) -> None:
        self.connections = connections
        self.run_id = run
        self.plan = plan
        self.updates = updates
        self.side_by_side = side_by_side
        self.by_mode: dict[str, list[Account]] = {}
        for account in accounts:
            self.by_mode.setdefault(account.mode[1:], []).append(account)
        self.latencies = {kind: Latencies() for kind in KINDS}
        self.errors: Counter[str] = Counter()
        self.problems: list[str] = []  # what should not have happened, in words; the first ones
        self.problem_count = 0
        self.prices = array("q")  # 10^-5 by call; NO_CDR: there is to be no CDR
        self.free_s = array("q")
        self.started = 0
        self.charged = 0
        self.refused = 0
        self.cut = 0
        self.failed = 0
        self.doubts = 0
        self.late_cdrs = 0
        self.in_flight = 0
        self.requests = 0
        self._left = 0
        self._rate: float | None = None
        self._closing = False
        self._done: asyncio.Future[None] = connections.loop.create_future()
        self._tasks: set[asyncio.Task[None]] = set()

    # --- the run ----------------------------------------------------------------------------------------------------

    async def run(self, calls: int | None, seconds: float | None, rate: float | None) -> None:
        """Until `calls` calls are over, or those begun in `seconds`. Raises UnreachableError when the server stays away."""
        self._rate = rate
        loop = self.connections.loop
        self._left = calls if calls is not None else 1 << 62
        if seconds is not None:
            loop.call_later(seconds, self._stop)
        if rate is None:
            self._fill()
        else:
            credit, last = 0.0, time.monotonic()
            while not self._closing and self._left:
                now = time.monotonic()
                credit = min(credit + (now - last) * rate, rate * 0.1 + 1)
                last = now
                while credit >= 1 and self._left and self.in_flight < MOST_IN_FLIGHT and self._start():
                    credit -= 1
                await asyncio.wait((self.connections.failure,), timeout=TICK_S)
                if self.connections.failure.done():
                    break
        self._check_done()
        await asyncio.wait((self._done, self.connections.failure), return_when=asyncio.FIRST_COMPLETED)
        if not self._done.done():
            await self.connections.failure

    def _stop(self) -> None:
        self._closing = True
        self._check_done()

    def _check_done(self) -> None:
        if not self.in_flight and (self._closing or not self._left) and not self._done.done():
            self._done.set_result(None)

    def _fill(self) -> None:
        while self.in_flight < self.side_by_side and self._left and not self._closing:
            if not self._start():
                return

    def _start(self) -> bool:
        """Begin one call; false: every account that was drawn has to wait for its calls in flight."""
        plan = self.plan
        accounts = self.by_mode[plan.mode()]
        random = plan.random.random
        length = plan.length_s()
        for _ in range(PICKS):
            account = accounts[int(random() * len(accounts))]
            dialled = plan.number(account.free_s > 0)
            answer = plan.answer_s(length)
            ask = length - length % GRANT_S + GRANT_S
            worst = price(dialled.rate, answer, ask + GRANT_S).money if account.is_limited else 0
            if account.may_start(worst):
                break
        else:
            return False
        number = self.started
        connection = self.connections.next()
        call = Call(number, self.run_id, account, dialled, answer, length, worst, ask, connection)
        if account.is_limited and not account.in_flight:
            free = account.free_s if dialled.is_home else 0
            call.foretold_s = affordable(dialled.rate, answer, ask, free, account.money)
        account.in_flight += 1
        account.reserved += worst
        self.started += 1
        self._left -= 1
        self.in_flight += 1
        self.prices.append(NO_CDR)
        self.free_s.append(0)
        self._send("authorize", call)
        return True

    def _over(self, call: Call) -> None:
        account = call.account
        account.in_flight -= 1
        account.reserved -= call.worst
        self.in_flight -= 1
        if self._rate is None:
            self._fill()
        self._check_done()

    # --- requests and answers -----------------------------------------------------------------------------------------

    def _send(self, kind: str, call: Call) -> None:
        if kind == "authorize":
            head = call.authorize()
        elif kind == "initiate":
            head = call.initiate(GRANT_S if self.updates else call.ask_s)
        elif kind == "update":
            head = call.update(GRANT_S)
        elif kind == "terminate":
            call.ended_at = time.monotonic()
            head = call.terminate()
        else:
            if call.account.mode == "*prepaid" and time.monotonic() - call.ended_at > LATE_CDR_S:
                self._later(self._late_cdr(call))
                return
            head = call.process_cdr()
        self.requests += 1
        latencies = self.latencies[kind]
        follow: Callable[[Call, bytes], None] = getattr(self, f"_after_{kind}")

        def answered(result: bytes, error: str | None, took_ns: int) -> None:
            latencies.add(took_ns)
            if error is None:
                follow(call, result)
                return
            if call.retries and error == ("EXISTS" if kind == "initiate" else ""):
                self._later(self._granted_before(call))
                return
            latencies.errors += 1
            self.errors[f"{kind}: {_REQUEST_ID.sub('', error)}"] += 1
            if error in UNKNOWN_OUTCOME or error in TRY_AGAIN:
                self._later(self._doubt(kind, call, error in UNKNOWN_OUTCOME))
            elif kind == "cdr" and call.retries:
                self._later(self._doubt(kind, call, True))
            else:
                self._fail(call, f"{kind} answers {error}")

        def lost() -> None:
            self._later(self._doubt(kind, call, True))

        call.connection.send(head, answered, lost)

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        task = self.connections.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None and not self._done.done():
            self._done.set_exception(error)

    def problem(self, text: str) -> None:
        self.problem_count += 1
        if len(self.problems) < 10:
            self.problems.append(text)

    def _fail(self, call: Call, text: str) -> None:
        self.failed += 1
        self.problem(f"call {call.origin_id} of {call.account.id}: {text}")
        self._over(call)

    def _grant(self, call: Call, result: bytes, kind: str) -> int | None:
        try:
            return max_usage_s(result)
        except ValueError as error:
            self._fail(call, f"{kind}: {error}")
            return None

    def _after_authorize(self, call: Call, result: bytes) -> None:
        granted = self._grant(call, result, "authorize")
        if granted is None:
            return
        if granted != call.foretold_s:
            self.problem(
                f"call {call.origin_id} of {call.account.id}: {granted} s were granted, {call.foretold_s} s were expected"
            )
        if granted <= 0:
            self.refused += 1
            call.account.refused += 1
            self._over(call)
            return
        if granted < call.length_s:
            self.cut += 1
            call.length_s = granted
        self._send("initiate", call)

    def _after_initiate(self, call: Call, result: bytes) -> None:
        granted = self._grant(call, result, "initiate")
        if granted is not None:
            self._granted(call, granted)

    _after_update = _after_initiate

    def _granted(self, call: Call, granted: int) -> None:
        call.granted_s += granted
        call.last_grant_s = granted
        call.retries = 0
        if call.granted_s >= call.length_s:
            self._send("terminate", call)
        elif self.updates and granted == GRANT_S:
            self._send("update", call)
        else:
            self.problem(
                f"call {call.origin_id} of {call.account.id}: {call.granted_s} s granted of {call.length_s} s authorised"
            )
            call.length_s = max(call.granted_s, 0)
            self._send("terminate", call)

    def _after_terminate(self, call: Call, result: bytes) -> None:
        call.retries = 0
        self._send("cdr", call)

    def _after_cdr(self, call: Call, result: bytes) -> None:
        account = call.account
        free = account.free_s if call.dialled.is_home else 0
        charge = price(call.dialled.rate, call.answer_s, call.length_s, free)
        self.prices[call.number] = charge.money
        self.free_s[call.number] = charge.free_s
        account.settle(charge)
        self.charged += 1
        self._over(call)

    # --- doubts -------------------------------------------------------------------------------------------------------

    async def _doubt(self, kind: str, call: Call, unknown: bool) -> None:
        """The request was perhaps executed (`unknown`), or surely not: find out, and go on from there."""
        self.doubts += unknown
        call.retries += 1
        end = time.monotonic() + RESOLVE_S
        if call.retries > 100:
            self._fail(call, f"{kind} was tried {call.retries} times")
            return
        await asyncio.sleep(DOUBT_PAUSE_S)
        while unknown and kind in ("terminate", "cdr"):
            try:
                if kind == "terminate":
                    if await self._session_usage_s(call) is None:
                        self._after_terminate(call, b"")
                        return
                elif await self._cdr_exists(call):
                    self._after_cdr(call, b"")
                    return
                break
            except _AskAgainError as error:
                if time.monotonic() > end:
                    self._fail(call, f"nobody knows what became of {kind}: {error}")
                    return
                await asyncio.sleep(DOUBT_PAUSE_S)
        self._send(kind, call)

    async def _granted_before(self, call: Call) -> None:
        """An initiate that was sent again found its session: what has it been granted? Only what was debited is listed."""
        if call.account.mode != "*prepaid":
            self._granted(call, GRANT_S if self.updates else call.ask_s)
            return
        for _ in range(100):
            try:
                usage = await self._session_usage_s(call)
            except _AskAgainError:
                await asyncio.sleep(DOUBT_PAUSE_S)
                continue
            if usage is None:
                self._fail(call, "its session is said to exist, but is not listed")
            elif not usage:  # registered, and the debit is under way or was never made
                await asyncio.sleep(DOUBT_PAUSE_S)
                continue
            else:
                self._granted(call, usage)
            return
        self._fail(call, "its session exists, but nothing was ever granted")

    async def _session_usage_s(self, call: Call) -> int | None:
        """Granted seconds of the active session; None: there is none. Raises _AskAgainError."""
        params = {"Filters": [f"*string:~*req.OriginID:{call.origin_id}"]}
        result, error = await self.connections.read("SessionSv1.GetActiveSessions", params)
        if error == "NOT_FOUND":
            return None
        if error is not None:
            raise _AskAgainError(error)
        usage: int = msgspec.json.decode(result)[0]["Usage"]
        return usage // 1_000_000_000

    async def _cdr_exists(self, call: Call) -> bool:
        cgrid = hashlib.sha1((call.origin_id + self.run_id).encode()).hexdigest()
        result, error = await self.connections.read("CDRsV1.GetCDRsCount", {"CGRIDs": [cgrid]})
        if error is not None:
            raise _AskAgainError(error)
        return bool(msgspec.json.decode(result, type=int))

    async def _late_cdr(self, call: Call) -> None:
        """The record of a prepaid call whose session the server may have forgotten, with the price it has paid."""
        account = call.account
        free = account.free_s if call.dialled.is_home else 0
        charge = price(call.dialled.rate, call.answer_s, call.length_s, free)
        answered = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(call.answer_s))
        params = {
            "Tenant": TENANT, "OriginID": call.origin_id, "OriginHost": self.run_id, "ToR": "*voice", "RunID": "*default",
            "RequestType": account.mode, "Category": "call", "Account": account.id, "Destination": call.dialled.digits,
            "SetupTime": answered, "AnswerTime": answered, "Usage": call.length_s * 1_000_000_000, "PreRated": True,
            "CostSource": "*sessions", "Cost": charge.money / UNITS_PER_CURRENCY,
        }  # fmt: skip
        while True:
            try:
                _, error = await self.connections.ask("CDRsV1.ProcessCDR", params)
            except LostError:
                error = "DISCONNECTED"
            if error is None or error == "EXISTS":
                self.late_cdrs += error is None
                self._after_cdr(call, b"")
                return
            if error not in UNKNOWN_OUTCOME and error not in TRY_AGAIN:
                self._fail(call, f"its late CDR answers {error}")
                return
            await asyncio.sleep(DOUBT_PAUSE_S)


class _AskAgainError(Exception):
    """A question was answered with an error that says nothing about its object."""
