"""The registry of processed and stored runs (spec 40 §3.3 step 3) and its memory of old ones."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from cgr_cluster.cdrs import guard as guards
from cgr_cluster.cdrs import seen
from cgr_cluster.cdrs.guard import GUARD_TTL_NS, SWEEP_NS, Claim, claim, learn, sweep
from cgr_cluster.cdrs.types import Guard, Registry, Seen


class Shard:
    """A part that keeps what it is given."""

    def __init__(self) -> None:
        self.now_ns = 10**18
        self.kept: dict[tuple[type[Any], str], Any] = {}
        self.timer_ns = 0

    def read(self, kind: type[Any], key: str) -> Any:
        return self.kept.get((kind, key))

    def put(self, kind: type[Any], key: str, value: Any) -> None:
        self.kept[kind, key] = value

    def delete(self, kind: type[Any], key: str) -> None:
        self.kept.pop((kind, key), None)

    def all(self, kind: type[Any]) -> Iterator[tuple[str, Any]]:
        return iter([(key, value) for (kept, key), value in self.kept.items() if kept is kind])

    def set_timer(self, key: str, at_ns: int, name: str, *args: Any) -> None:
        self.timer_ns = at_ns

    def to_sweep(self) -> None:
        self.now_ns = self.timer_ns
        self.timer_ns = 0
        sweep(self)  # type: ignore[arg-type]

    def claim(self, cgrid: str, *runs: str, guarding: bool = True, refusing: bool = True) -> Claim:
        result: Claim = claim(self, cgrid, list(runs), guarding, refusing)  # type: ignore[arg-type]
        return result


@pytest.fixture
def shard() -> Shard:
    shard = Shard()
    learn(shard, b"")  # type: ignore[arg-type]
    return shard


def test_a_registry_that_was_not_opened_says_so() -> None:
    assert Shard().claim("a", "*default") == Claim(known=False)


def test_runs_are_refused_from_the_first_that_is_guarded(shard: Shard) -> None:
    assert shard.claim("a", "x", "y") == Claim(2, [True, True])
    assert shard.claim("a", "z", "y", "w") == Claim(1, [True])
    assert shard.claim("a", "w") == Claim(1, [True])
    assert shard.claim("a", "z") == Claim(0, [])
    assert shard.claim("b", "x", "x") == Claim(1, [True])


def test_without_refusal_a_known_run_is_not_fresh(shard: Shard) -> None:
    shard.claim("a", "x")
    assert shard.claim("a", "x", "y", refusing=False) == Claim(2, [False, True])


def test_a_run_without_name_makes_the_default_record(shard: Shard) -> None:
    assert shard.claim("a", "") == Claim(1, [True])
    assert shard.claim("a", "*default") == Claim(1, [False])
    assert shard.claim("a", "") == Claim(0, [])


def test_a_claim_to_store_does_not_guard(shard: Shard) -> None:
    assert shard.claim("a", "x", guarding=False, refusing=False) == Claim(1, [True])
    assert shard.claim("a", "x") == Claim(1, [False])


def test_ten_minutes_from_the_last_insertion(shard: Shard) -> None:
    shard.claim("a", "x")
    shard.now_ns += GUARD_TTL_NS - 1
    assert shard.claim("a", "x").passed == 0
    assert shard.claim("a", "x", refusing=False).passed == 1  # *rerate puts it in anew
    shard.now_ns += GUARD_TTL_NS - 1
    assert shard.claim("a", "x").passed == 0
    shard.now_ns += 1
    assert shard.claim("a", "x") == Claim(1, [False])


def test_a_sweep_forgets_guards_and_remembers_records(shard: Shard) -> None:
    shard.claim("a", "x")
    shard.now_ns += SWEEP_NS
    shard.claim("b", "x")
    shard.to_sweep()
    assert [key for key, _ in shard.all(Guard)] == ["b"]
    assert shard.timer_ns == shard.now_ns + SWEEP_NS
    shard.to_sweep()
    assert (list(shard.all(Guard)), shard.timer_ns) == ([], 0)
    assert shard.claim("a", "x") == Claim(1, [False])
    assert shard.claim("a", "y") == Claim(1, [True])


def test_segments_grow_and_lose_nothing(shard: Shard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guards, "SMALL", 8)
    monkeypatch.setattr(guards, "FULL", 20)
    names = [f"call-{number}" for number in range(60)]
    for start in range(0, 60, 5):
        for name in names[start : start + 5]:
            shard.claim(name, "x")
        shard.to_sweep()
    sizes = {key: seen.size(found.fingerprints) for key, found in shard.all(Seen)}
    assert sum(sizes.values()) == 60
    assert max(sizes.values()) <= 30
    registry = shard.read(Registry, "")
    assert all(int(key) < registry.segments for key in sizes)
    assert not any(shard.claim(name, "x").fresh[0] for name in names)
    assert all(shard.claim(f"new-{number}", "x").fresh[0] for number in range(60))


def test_what_the_store_held_is_known() -> None:
    shard = Shard()
    learn(shard, seen.segment([seen.fingerprint("old", "x")]))  # type: ignore[arg-type]
    assert shard.claim("old", "x") == Claim(1, [False])
    assert shard.claim("old", "y") == Claim(1, [True])
