"""A stress run from connecting to the summary."""

from __future__ import annotations

import asyncio
import time
from typing import Any, NamedTuple, TextIO

import msgspec
import uvloop

from cgr_cluster.cli.client import CallFailedError
from cgr_cluster.cli.stress.accounts import Account
from cgr_cluster.cli.stress.balance import Cdr, Sheet, cdrs_of
from cgr_cluster.cli.stress.connections import Connections
from cgr_cluster.cli.stress.plan import Plan
from cgr_cluster.cli.stress.pricing import demo_prefixes
from cgr_cluster.cli.stress.progress import Progress
from cgr_cluster.cli.stress.runner import NO_CDR, Runner
from cgr_cluster.cli.stress.setup import SetupError, prepare, read_accounts
from cgr_cluster.cli.stress.summary import result
from conf.demo.tariff import demo_account

CDRS_ARRIVE_S = 10.0  # a record may be seen a moment after its answer when a process has just been restarted


class StressOptions(NamedTuple):
    address: tuple[str, int]
    calls: int | None
    seconds: float | None
    rate: float | None
    accounts: int
    mix: dict[str, int]
    call_seconds: tuple[int, int]
    updates: bool
    connections: int
    in_flight: int
    setup: bool
    seed: int

    def check(self) -> None:
        """Raises ValueError."""
        modes = {demo_account(number).mode[1:] for number in range(min(self.accounts, 4))}
        missing = [mode for mode, weight in self.mix.items() if weight and mode not in modes]
        if missing:
            raise ValueError(
                f"--accounts {self.accounts}: none of them is {missing[0]}; take 4 or more, or leave it out of --mix"
            )


def stress(options: StressOptions, show: TextIO) -> dict[str, Any]:
    """Run, and answer `summary.result`. Raises UnreachableError, SetupError, CallFailedError."""
    loop = uvloop.new_event_loop()
    try:
        return loop.run_until_complete(_stress(options, show))
    finally:
        loop.close()


async def _stress(options: StressOptions, show: TextIO) -> dict[str, Any]:
    connections = Connections(options.address)
    progress = Progress(show)
    try:
        progress.say("connecting")
        await connections.open(options.connections)
        accounts = [Account(number) for number in range(options.accounts)]
        if options.setup:
            progress.say("preparing the demo plan and the accounts")
            await prepare(connections, accounts)
        for account, view in zip(accounts, await read_accounts(connections, accounts), strict=True):
            if view is None:
                raise SetupError(f"there is no account {account.id}; leave out --no-setup to have it made")
            account.begin(view)
        run = f"stress-{options.seed}-{time.time_ns()}"
        plan = Plan(options.seed, demo_prefixes(), options.mix, options.call_seconds)
        runner = Runner(connections, accounts, plan, run, options.updates, options.in_flight)
        cpu, begin = time.process_time(), time.perf_counter()
        watching = asyncio.ensure_future(progress.watch(runner, options.calls))
        try:
            await runner.run(options.calls, options.seconds, options.rate)
        finally:
            watching.cancel()
        seconds, cpu = time.perf_counter() - begin, time.process_time() - cpu
        progress.say("reading balances and CDRs")
        for account, view in zip(accounts, await read_accounts(connections, accounts), strict=True):
            if view is None:
                raise CallFailedError(f"account {account.id} is gone")
            account.after = view.holdings
        sheet = await _read_cdrs(connections, runner, accounts, run)
        left = await _sessions_left(connections, run)
        return result(runner, sheet, seconds, cpu, left, options.seed)
    finally:
        progress.end()
        connections.close()


async def _read_cdrs(connections: Connections, runner: Runner, accounts: list[Account], run: str) -> Sheet:
    end = time.monotonic() + CDRS_ARRIVE_S
    while True:
        sheet = Sheet(accounts)

        def take(cdr: Cdr, sheet: Sheet = sheet) -> None:
            number = int(cdr.OriginID.rpartition("-")[2])
            price = runner.prices[number] if number < len(runner.prices) else NO_CDR
            sheet.add(cdr, None if price == NO_CDR else price)

        count = await cdrs_of(connections, run, take)
        if count >= runner.charged or time.monotonic() > end:
            sheet.miss(run, runner.prices, NO_CDR)
            return sheet
        await asyncio.sleep(0.5)


async def _sessions_left(connections: Connections, run: str) -> int:
    params = {"Filters": [f"*string:~*req.OriginHost:{run}"]}
    answer, error = await connections.read("SessionSv1.GetActiveSessionsCount", params)
    if error is not None:
        raise CallFailedError(f"SessionSv1.GetActiveSessionsCount: {error}")
    return msgspec.json.decode(answer, type=int)
