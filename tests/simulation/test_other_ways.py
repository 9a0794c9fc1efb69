"""Reference data change while a worker that had operations under way is dead: they run again and may take another way. Each
result goes to its own step, what was done is not done twice, and nothing is left behind (engine/journal.py)."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from itertools import product
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from cgr_cluster.chargers.types import ChargerProfile
from cgr_cluster.engine import journal
from cgr_cluster.engine.codec import pack
from cgr_cluster.engine.journal import Journal
from cgr_cluster.engine.owner import REFERENCE_SHARD
from cgr_cluster.engine.records import Intent, Journaled, Timer
from cgr_cluster.node.node import Node
from cgr_cluster.rpc.registry import Registry
from tests.simulation import toy
from tests.simulation.crashing import TENANT, Errors, cdrs, flaws, money_nano
from tests.simulation.test_crashes import call_plan, paid_by_cdrs, session

Changes = list[tuple[str, str, "bytes | None"]]


@pytest.fixture(autouse=True, params=[journal.PAGE_BYTES, 1], ids=["journals in the intent", "journals of many pages"])
def pages(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "PAGE_BYTES", request.param)


class ChangingNode(Node):
    """With every death the next of `meanwhile` comes into force, before the dead worker is back."""

    def __init__(self, workers: int, registry: Registry | None = None) -> None:
        super().__init__(workers, registry=registry)
        self.meanwhile: list[Changes] = []

    def _restart(self, number: int) -> None:
        if self.meanwhile:
            self._change(number, self.meanwhile.pop(0))
        super()._restart(number)

    def _change(self, dead: int, changes: Changes) -> None:
        leader = self.workers[self.shard_map[0]].engine
        if dead == leader.worker:  # it had made the changeset durable, and died then
            records: Any = [(REFERENCE_SHARD, f"ref/{kind}/{key}", value) for kind, key, value in changes]
            logged = int(self.disk.get((REFERENCE_SHARD, "ref/number"), b"0"))
            records.append((REFERENCE_SHARD, "ref/number", str(logged + 1).encode()))
        else:
            leader.references.change(changes)
            group = leader.turn(self.now_ns, [])
            assert group is not None
            self.workers[leader.worker].durable = group.number
            records = group.records
        for shard, key, value in records:
            if value is None:
                self.disk.pop((shard, key), None)
            else:
                self.disk[shard, key] = value


def route(coins: int, *stops: str) -> Changes:
    return [("route", "all", pack(toy.Route(list(stops), coins)))]


PURSES = [f"p{number}" for number in range(1, 8)]
FIRST = ("p1", "?p2", "=lock", "p3", "!p4", "p5+p6")
WAYS = {
    "the same": (5, *FIRST),
    "another order": (5, "p5+p6", "p3", "!p4", "p1"),
    "a look before": (5, "?p5", "*", *FIRST),
    "one more first": (5, "p7", *FIRST),
    "one less": (5, "?p2", "=lock", "p3", "!p4", "p5+p6"),
    "others at once": (5, "p1+p3", "p6+p5+p7", "!p4"),
    "another amount": (9, *FIRST),
    "by a step and not by a method": (5, "p1", "p3", "p4", "!p5"),
}


Way = tuple[Any, ...]
EVENTS = 80  # more than a travel has


def travelled(crash_at: tuple[int, ...], meanwhile: list[Way], purses: tuple[str, ...] = ("p0",)) -> tuple[Node, Any]:
    """Travels that begin when the route is FIRST. Answers the last one's answer too."""
    node = ChangingNode(3, toy.registry())
    for name in (*PURSES, *purses):
        node.call("Toy.Give", {"purse": name, "coins": 100})
    node.workers[node.shard_map[0]].engine.references.change(route(5, *FIRST))
    node.run()
    node.meanwhile = [route(*way) for way in meanwhile]
    node.crash_at = {node.events + number for number in crash_at}
    uids = [node.send("Toy.Travel", {"purse": name}) for name in purses]
    answers = [node.wait(uid) for uid in uids]
    node.run()
    return node, answers[-1]


def coins(node: Node) -> dict[str, int]:
    return {
        key.removeprefix("purse/"): msgspec.msgpack.decode(value, type=toy.Purse).coins
        for (_, key), value in node.disk.items()
        if key.startswith("purse/")
    }


def given(stops: Iterable[str]) -> set[tuple[str, str]]:
    """(purse, by a step or by a method) of a route."""
    by_steps = {(name, "step") for stop in stops if stop[0] not in "?!*=" for name in stop.split("+")}
    return by_steps | {(stop[1:], "method") for stop in stops if stop[0] == "!"}


def wrongs(node: Node, answer: Any, ways: list[Way]) -> list[str]:
    """What is not as it must be after a travel that took one of the ways, or some of one and then another."""
    if answer["error"] is not None:
        return [f"answered {answer['error']}"]
    stops, came_to = answer["result"]
    found = [f"{stop} came to something else" for stop, right in zip(stops, came_to, strict=True) if right is not True]
    has = coins(node)
    if has["p0"] != 99:
        found.append(f"p0 paid {100 - has['p0']}")
    amounts = {way[0] for way in ways}
    sure, possible = given(stops), {gift for way in ways for gift in given(way[1:])}
    for name in PURSES:
        least = sum(purse == name for purse, _ in sure)
        most = sum(purse == name for purse, _ in possible)
        sums = {sum(gifts) for times in range(least, most + 1) for gifts in product(amounts, repeat=times)}
        if has[name] - 100 not in sums:
            found.append(f"{name} got {has[name] - 100}, not one of {sorted(sums)}")
    return found + flaws(node)


def crashes_and_changes(way: Way, later: int | None = None, again: Way | None = None) -> list[str]:
    """A death at every event of a travel, the other way in force when the worker is back; and, `later` so many events, a
    second one."""
    meanwhile = [way] if again is None else [way, again]
    found = []
    errors = Errors()
    logging.getLogger("cgr_cluster").addHandler(errors)
    try:
        for at in range(1, EVENTS):
            errors.lines.clear()
            node, answer = travelled((at,) if later is None else (at, at + later), meanwhile)
            if not node.crashes:
                assert at > 15
                return found
            texts = wrongs(node, answer, [(5, *FIRST), *meanwhile])
            found += [f"crash at {at}: {text}" for text in [*texts, *errors.lines]]
    finally:
        logging.getLogger("cgr_cluster").removeHandler(errors)
    raise AssertionError("a travel has more events than are tried")


@pytest.mark.parametrize("name", WAYS)
def test_invariant_06_an_operation_that_goes_another_way_does_nothing_twice(name: str) -> None:
    assert crashes_and_changes(WAYS[name]) == []


@pytest.mark.parametrize(("first", "second"), [("one more first", "another order"), ("one less", "a look before")])
def test_invariant_06_also_when_it_changes_its_way_twice(first: str, second: str) -> None:
    for later in (2, 3, 5, 9):
        assert crashes_and_changes(WAYS[first], later, WAYS[second]) == []


def test_what_an_earlier_run_has_done_is_known_however_often_it_is_interrupted() -> None:
    """A second death comes while the operation, run again, waits for another one before it has asked for all it had done."""
    first, second = [f"t{n}" for n in range(40) if toy.owner(f"t{n}").shard < 85][:2]  # of one worker
    for at in range(1, EVENTS):
        for later in range(1, 8):
            node, answer = travelled((at, at + later), [], (first, second))
            has = coins(node)
            assert (has.pop(first), has.pop(second), answer["error"]) == (99, 99, None), (at, later)
            assert set(has.values()) == {110, 100}, (at, later, has)
            assert flaws(node) == [], (at, later)
        if not node.crashes:
            return
    raise AssertionError("two travels have more events than are tried")


@pytest.mark.parametrize("name", ["the same", "one less", "one more first"])
def test_first_results_go_with_the_operation_that_was_interrupted(name: str) -> None:
    """But for those whose `Forget` died with the worker, at its end."""
    left = []
    for at in range(1, 16):
        node, _ = travelled((at,), [WAYS[name]])
        left += [(at, key) for _, key in node.memory() if key.startswith("memo/")]
    assert left == []


def test_an_operator_is_told_what_stays_done(caplog: pytest.LogCaptureFixture) -> None:
    for at in range(1, 30):
        with caplog.at_level(logging.WARNING):
            travelled((at,), [WAYS["one less"]])
    told = {record.getMessage().partition(") ")[2] for record in caplog.records}
    assert "went another way when it was run again: toy.give at purse:p1 was done before, and stays so" in told


def test_invariant_06_is_shown_to_fail_when_results_go_by_their_place_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def by_place(self: Journal, step: str, owner: str, args: Any, changes: bool) -> Journaled | None:
        return self.known.pop(min(self.known))

    monkeypatch.setattr(Journal, "find", by_place)
    assert crashes_and_changes(WAYS["another order"])


# --- another version -----------------------------------------------------------------------------------------------


def test_what_this_version_does_not_know_stays_until_one_that_knows_it_runs(caplog: pytest.LogCaptureFixture) -> None:
    """A method that is under way, a task and a timer of names that are gone: no worker stops, and nothing is lost."""
    node = ChangingNode(3, toy.registry())
    for name in ("p0", *PURSES):
        node.call("Toy.Give", {"purse": name, "coins": 100})
    node.workers[node.shard_map[0]].engine.references.change(route(5, *FIRST))
    node.run()
    node.send("Toy.Travel", {"purse": "p0"})
    while not any(key.startswith("intent/") for _, key in node.disk):
        assert node._step()
    disk = dict(node.disk)
    task = Intent("task", "toy.gone", pack(["p1"]), node.now_ns, "", 0, [])
    disk[toy.owner("p1").shard, "intent/t1"] = pack(task)
    disk[toy.owner("p2").shard, "timer/t2"] = pack(Timer(node.now_ns, "toy.gone", pack(["p2"])))
    left = {key for key in disk if key[1].startswith(("intent/", "timer/"))}

    older = toy.registry()
    del older.services["Toy"]["Travel"]
    node = Node(3, registry=older, disk=disk)
    assert node.call("Toy.Get", {"purse": "p0"})["result"] == 99
    node.advance(10**9)
    texts = " ".join(record.getMessage() for record in caplog.records)
    assert "request Toy.Travel (b1:9) stays in the log: " in texts
    assert "task toy.gone (t1) stays in the log: there is no such task" in texts
    assert "timer toy.gone (t2) stays in the log: there is no such timer" in texts
    assert left <= set(node.disk)

    node = Node(3, registry=toy.registry(), disk=node.disk)
    node.run()
    assert set(coins(node).values()) == {99, 100, 105}
    assert {key for key in node.disk if key[1].startswith("intent/")} == {(toy.owner("p1").shard, "intent/t1")}


# --- the real domain -----------------------------------------------------------------------------------------------


def charged(crash_at: tuple[int, ...], meanwhile: list[Changes]) -> Node:
    """A call that two accounts pay, of another category when the charger's attribute has come into force."""
    node = ChangingNode(3)
    call_plan(node)
    node.run()
    node.meanwhile = meanwhile
    node.crash_at = {node.events + number for number in crash_at}
    session(node)
    node.run()
    return node


def test_invariant_07_what_accounts_have_paid_is_what_cdrs_say_when_chargers_change_meanwhile() -> None:
    """The debits of a run have another subject, and so another price, from the change on."""
    errors = Errors()
    logging.getLogger("cgr_cluster").addHandler(errors)
    wrong = []
    calm = charged((), [])
    key = f"{TENANT}:RSL"
    before: ChargerProfile = calm.workers[0].engine.generation.get("charger", key)
    after = replace(before, attribute_ids=(f"{before.attribute_ids[0]};*constant:*req.Subject:carrier7",))
    prices = set()
    for at in range(1, 400):
        node = charged((at,), [[("charger", key, pack(after))]])
        if not node.crashes:
            break
        prices.add(sum(cdr.cost_nano for cdr in cdrs(node)))
        wrong += [f"crash at {at}: {text}" for text in [*flaws(node), *errors.lines]]
        if not paid_by_cdrs(node):
            wrong.append(f"crash at {at}: {money_nano(node)}, {[(cdr.run_id, cdr.cost_nano) for cdr in cdrs(node)]}")
        if len(cdrs(node)) != 2:
            wrong.append(f"crash at {at}: {len(cdrs(node))} CDRs")
    logging.getLogger("cgr_cluster").removeHandler(errors)
    assert at > 40
    assert len(prices) == 2  # one of a run lasts as long as its session
    assert wrong == []
