"""A workload of the real domain, run with a worker killed at every event: what must be so whatever the point (design 9)."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from typing import Any

from cgr_cluster.accounts.types import Account
from cgr_cluster.cdrs.types import TailEntry
from cgr_cluster.engine.codec import unpack
from cgr_cluster.engine.owner import account_owner
from cgr_cluster.node.node import Node

TENANT = "cgrates.org"
WORKERS = 3
SHORT_LIVED = ("done/", "memo/")

Prepare = Callable[[Node], None]
Workload = Callable[[Node], list[Any]]
State = dict[tuple[int, str], bytes]


def ok(node: Node, method: str, params: Any) -> Any:
    answer = node.call(method, params)
    assert answer["error"] is None, (method, answer)
    return answer["result"]


def accounts_apart(node: Node, count: int) -> list[str]:
    """Names of accounts that lie on different workers, one each in turn."""
    found: list[str] = []
    number = 0
    while len(found) < count:
        name = f"acc{number}"
        number += 1
        worker = node.shard_map[account_owner(TENANT, name).shard]
        if worker == len(found) % len(node.workers):
            found.append(name)
    return found


def state(records: State) -> State:
    """Records without what only serves repeated deliveries."""
    return {key: value for key, value in records.items() if key[0] < 256 and not key[1].startswith(SHORT_LIVED)}


def of_kind(node: Node, kind: str, as_type: Any) -> dict[str, Any]:
    """The objects of a kind as the log has them."""
    prefix = kind + "/"
    return {
        key.removeprefix(prefix): unpack(as_type, value)
        for (_, key), value in node.disk.items()
        if key.startswith(prefix)
    }


def money_nano(node: Node) -> dict[str, int]:
    """Account → its money over all balances, in nano."""
    return {
        key: sum(balance.value for balance in (account.balances or {}).get("*monetary", ()))
        for key, account in of_kind(node, "account", Account).items()
    }


def cdrs(node: Node) -> list[Any]:
    return [entry.cdr for entry in of_kind(node, "cdr", TailEntry).values() if entry.cdr is not None]


def flaws(node: Node) -> list[str]:
    """What must never be so once nothing is under way."""
    found = []
    if state(node.memory()) != state(node.disk):
        found.append("memory is not what the log folds to (invariant 4)")
    if any(key.startswith(("intent/", "journal/")) for _, key in node.disk):
        found.append("an intent is left (invariant 6)")
    if any(worker.engine.runner.running for worker in node.workers):
        found.append("an operation is still running (invariant 6)")
    keys = Counter(cdr.key for cdr in cdrs(node))
    found += [f"CDR {key} exists {count} times (invariant 11)" for key, count in keys.items() if count > 1]
    return found


class Errors(logging.Handler):
    """Lines of errors in the log."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if record.exc_info and record.exc_info[1] is not None:
            text += f": {record.exc_info[1]!r}"
        self.lines.append(text)


def run(prepare: Prepare, workload: Workload, crash_at: tuple[int, ...]) -> tuple[Node, list[Any], int]:
    """A node after `prepare`, killed at these events of `workload`; its answers and its number of events."""
    node = Node(WORKERS)
    prepare(node)
    node.run()
    begin = node.events
    node.crash_at = {begin + number for number in crash_at}
    answers = workload(node)
    node.run()
    return node, answers, node.events - begin


def crash_everywhere(
    prepare: Prepare,
    workload: Workload,
    balanced: Callable[[Node], bool] = lambda node: True,
    again_after: tuple[int | None, ...] = (None, 5),
) -> tuple[list[str], int]:
    """What differed from the undisturbed run, over all points of a crash; and how many points there were.

    `again_after`: whether (and how many events later) a second worker dies while the first has just come back."""
    calm, expected, events = run(prepare, workload, ())
    assert not flaws(calm), flaws(calm)
    assert balanced(calm)
    expected_money = money_nano(calm)
    expected_cdrs = sorted(cdr.key for cdr in cdrs(calm))
    wrong = []
    errors = Errors()
    logging.getLogger("cgr_cluster").addHandler(errors)
    try:
        for at in range(1, events + 1):
            for later in again_after:
                errors.lines.clear()
                points = (at,) if later is None else (at, at + later)
                try:
                    node, answers, _ = run(prepare, workload, points)
                except (AssertionError, TimeoutError, RuntimeError) as error:
                    wrong.append(f"crash at {points}: {error!r}")
                    continue
                found = flaws(node)
                if answers != expected:
                    found.append(f"other answers: {_first_difference(expected, answers)}")
                if money_nano(node) != expected_money:
                    found.append(f"other money: {money_nano(node)}, not {expected_money} (invariant 7)")
                if not balanced(node):
                    found.append("money does not add up (invariant 7)")
                if sorted(cdr.key for cdr in cdrs(node)) != expected_cdrs:
                    found.append("other CDRs (invariant 11)")
                found += [f"logged: {line}" for line in errors.lines]
                assert node.crashes >= 1
                wrong += [f"crash at {points}: {text}" for text in found]
    finally:
        logging.getLogger("cgr_cluster").removeHandler(errors)
    return wrong, events


def _first_difference(expected: list[Any], got: list[Any]) -> str:
    for number, (want, have) in enumerate(zip(expected, got, strict=False)):
        if want != have:
            return f"answer {number} was {have}, not {want}"
    return f"{len(got)} answers, not {len(expected)}"
