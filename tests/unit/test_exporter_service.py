"""The exporters of the edge: lines that count once wherever it dies, metrics, ids of deliveries, failed posts in the journal."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cgr_cluster.config.settings import defaults
from cgr_cluster.edge import export_journal
from cgr_cluster.edge.exporter_service import ExporterService
from cgr_cluster.edge.sendings import Sending
from cgr_cluster.engine.codec import pack
from cgr_cluster.engine.generation import Generation
from cgr_cluster.exporters.settings import definition_of
from cgr_cluster.exporters.types import Export, ExportEvent, Outcome
from cgr_cluster.rpc.errors import ApiError
from tests.unit.exporters_world import field

SECOND = 10**9
FIELDS = [field("*hdr.H", "id", "*constant"), field("*exp.I", "~*req.I"), field("*trl.N", "~*em.NumberOfEvents")]


class World:
    """An edge with a clock, over a folder that outlives it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.out = folder / "out"
        self.out.mkdir()
        self.now_ns = 1_000 * SECOND
        self.generation = 1
        self.service = self.start()

    def start(self) -> ExporterService:
        return ExporterService(self.folder / "journal", lambda: self.now_ns)

    def die(self) -> None:
        """As kill -9 does: what is not committed is not there."""
        self.service._journal._db.close()

    def definition(self, kind: str = "*file_csv", version: str = "v1", **more: Any) -> bytes:
        one = {"id": "E", "type": kind, "export_path": str(self.out), **more}
        one.setdefault("failed_posts_dir", "*none")
        cache = more.pop("cache", {"limit": -1, "ttl": "5s"})
        fields = one.pop("fields", FIELDS)
        config = {"cache": {kind: cache}, "failed_posts": {"ttl": "5s"}}
        return pack(definition_of(Generation(defaults()), config, one, fields, version))

    def ask(self, name: str, definition: bytes | None = None, last: bool = True, **more: Any) -> Export:
        event = ExportEvent("cgrates.org", name, {"I": name, **more}, {})
        return Export(f"delivery-{name}", self.generation, definition or self.definition(), event, last, True)

    def export(self, *names: str, definition: bytes | None = None) -> list[Outcome | Sending]:
        return self.service.turn([self.ask(name, definition) for name in names])

    def texts(self) -> list[str]:
        """What is in the files, sorted by itself: their names are random."""
        return sorted(file.read_text() for file in self.out.iterdir())


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.die()


# --- dying --------------------------------------------------------------------------------------------------------


class Died(BaseException):
    """kill -9, here."""


def dying_at(step: int, monkeypatch: pytest.MonkeyPatch) -> Callable[[], bool]:
    """Die at the `step`-th write, sync or commit: before it, in the middle of a write, or after it."""
    counter = itertools.count()
    died = False

    def passes() -> bool:
        nonlocal died
        if next(counter) == step:
            died = True
            raise Died
        return True

    real_write, real_sync, real_commit = os.pwrite, os.fsync, export_journal.ExportJournal.commit

    def write(descriptor: int, data: bytes, position: int) -> int:
        passes()
        half = real_write(descriptor, data[: len(data) // 2 or 1], position)
        passes()
        return half

    def sync(descriptor: int) -> None:
        passes()
        real_sync(descriptor)

    @contextmanager
    def commit(journal: export_journal.ExportJournal) -> Iterator[None]:
        with real_commit(journal):
            yield
            passes()
        passes()

    monkeypatch.setattr(os, "pwrite", write)
    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(export_journal.ExportJournal, "commit", commit)
    return lambda: died


def life(world: World) -> None:
    world.export("a", "b")
    world.export("c")
    world.now_ns += 6 * SECOND
    world.service.expire()


def outcome_of(world: World, step: int, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Live, die at `step`, start again and ask everything again; whether it has died."""
    with monkeypatch.context() as patch:
        died = dying_at(step, patch)
        try:
            life(world)
        except Died:
            pass
    world.die()
    world.service = world.start()
    life(world)
    return died()


def test_each_line_comes_once_wherever_it_dies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for step in itertools.count():
        folder = tmp_path / str(step)
        folder.mkdir()
        world = World(folder)
        died = outcome_of(world, step, monkeypatch)
        lines = [text.splitlines() for text in world.texts()]
        rows = [row for text in lines for row in text[1:-1]]
        assert sorted(rows) == ["a", "b", "c"], (step, lines)
        assert all(text[0] == "id" and text[-1] == str(len(text) - 2) for text in lines), (step, lines)
        world.die()
        if not died:
            break
    assert step > 20, "it dies in many places"


def test_the_test_sees_a_position_that_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Shown to fail: files that go on at their end have lines twice."""
    from cgr_cluster.edge import export_files, exporter_service

    class AtItsEnd(export_files.LineFile):
        def __init__(self, path: str, position: int) -> None:
            super().__init__(path, os.path.getsize(path) if os.path.exists(path) else position)

    monkeypatch.setattr(exporter_service, "LineFile", AtItsEnd)
    with pytest.raises(AssertionError):
        test_each_line_comes_once_wherever_it_dies(tmp_path, monkeypatch)


def test_a_file_that_has_gone_is_begun_anew(world: World) -> None:
    world.export("a")
    (file,) = world.out.iterdir()
    file.unlink()
    world.die()
    world.service = world.start()
    (outcome,) = world.export("b")
    assert isinstance(outcome, Outcome) and not outcome.error
    assert world.texts() == ["id\nb\n"]


def test_metrics_of_open_files_outlive_the_process(world: World) -> None:
    (before,) = world.service.turn([world.ask("a", Cost=1.5, ToR="*voice", Usage="10s")])
    world.die()
    world.service = world.start()
    (after,) = world.service.turn([world.ask("b", Cost=0.25, ToR="*sms", Usage="2")])
    assert isinstance(before, Outcome) and isinstance(after, Outcome)
    assert before.metrics is not None and after.metrics is not None
    assert after.metrics["TimeNow"] == before.metrics["TimeNow"]
    assert after.metrics["PositiveExports"] == ["a", "b"]
    assert (after.metrics["TotalCost"], after.metrics["TotalDuration"], after.metrics["TotalSMSUsage"]) == (
        1.75,
        10**10,
        2,
    )


# --- deliveries ---------------------------------------------------------------------------------------------------


def test_a_delivery_is_done_once_until_it_is_forgotten(world: World) -> None:
    world.export("a")
    world.export("a")
    assert world.texts() == ["id\na\n"]
    world.service.forget(["delivery-a"])
    world.export("a")
    assert world.texts() == ["id\na\na\n"]
    world.service.forget(["delivery-*"])
    world.die()
    world.service = world.start()
    assert not world.service._done


def test_exporters_of_one_turn_that_close_each_other_lose_no_line(world: World) -> None:
    first = world.definition(cache={"limit": 1, "ttl": "5s"})
    second = world.definition(id="F", cache={"limit": 1, "ttl": "5s"})
    asked = [world.ask(name, first if number % 2 else second) for number, name in enumerate("abcd")]
    assert all(isinstance(answer, Outcome) and not answer.error for answer in world.service.turn(asked))
    world.service.close()
    assert world.texts() == [f"id\n{name}\n1\n" for name in "abcd"]
    world.service = world.start()


def test_the_newest_definition_counts(world: World) -> None:
    old = world.ask("a")
    world.generation = 2
    new = world.definition(version="v2", fields=FIELDS[1:2])
    world.service.turn([old])
    world.service.turn([world.ask("b", new)])
    world.generation = 1
    world.service.turn([world.ask("c")])  # from a worker, or a task, that has the older one
    assert world.texts() == ["b\nc\n", "id\na\n1\n"]


# --- failures -----------------------------------------------------------------------------------------------------


def test_a_folder_that_cannot_be_written_is_tried_again_and_then_a_failed_post(world: World) -> None:
    failed = world.folder / "failed"
    definition = world.definition(export_path=str(world.folder / "gone"), failed_posts_dir=str(failed))
    (outcome,) = world.service.turn([world.ask("a", definition, last=False)])
    assert isinstance(outcome, Outcome) and outcome.again and "No such file or directory" in outcome.error
    (outcome,) = world.service.turn([world.ask("a", definition)])
    assert isinstance(outcome, Outcome) and not outcome.again
    assert outcome.metrics is not None and outcome.metrics["NegativeExports"] == ["a"]
    world.die()  # before the file of failed posts is due
    world.service = world.start()
    world.now_ns += 6 * SECOND
    world.service.expire()
    (file,) = failed.iterdir()
    assert '"body":"a\\n"' in file.read_text()


def test_a_field_in_error_fails_only_its_event(world: World) -> None:
    fields = [field("*exp.I", "~*req.I", mandatory=True), field("*exp.X", "~*req.X", mandatory=True)]
    definition = world.definition(fields=fields)
    good, bad = world.ask("a", definition, X="x"), world.ask("b", definition)
    outcomes = world.service.turn([good, bad, world.ask("c", definition, X="y")])
    assert [outcome.error for outcome in outcomes if isinstance(outcome, Outcome)] == ["", "NOT_FOUND:*exp.X", ""]
    assert world.texts() == ["a,x\nc,y\n"]


def test_metrics_are_reset_on_schedule_and_by_hand(world: World) -> None:
    definition = world.definition("*virt", metrics_reset_schedule="@every 10s", cache={"limit": -1})

    def number() -> int:
        (outcome,) = world.export(f"e{next(names)}", definition=definition)
        assert isinstance(outcome, Outcome) and outcome.metrics is not None
        count: int = outcome.metrics["NumberOfEvents"]
        return count

    names = itertools.count()
    assert [number(), number()] == [1, 2]
    world.service.reset("E")
    assert number() == 1
    world.now_ns += 11 * SECOND
    assert number() == 1
    with pytest.raises(ApiError, match="NOT_FOUND"):
        world.service.reset("F")


def test_the_shared_cache_is_set_and_read_by_any(world: World) -> None:
    writes = world.definition("*virt", fields=[field("*uch.Last", "~*req.I")], cache={"limit": -1})
    reads = world.definition(id="R", fields=[field("*exp.L", "~*uch.Last"), field("*exp.N", "~*cfg.general.node_id")])
    world.export("a", definition=writes)
    world.service.turn([world.ask("b", reads)])
    assert world.texts() == ["a,node1\n"]


def test_a_masked_destination(world: World) -> None:
    mask = field("*exp.D", "", "*masked_destination", mask_destinationd_id="DST", mask_length=4)
    definition = world.definition(fields=[mask])
    asked = world.ask("a", definition, Destination="4915112233")
    shown = Export("x", 1, definition, ExportEvent("cgrates.org", "x", asked.event.event, {}, hidden=("DST",)), True)
    world.service.turn([asked, shown])
    assert world.texts() == ["\n491511****\n"]


def test_an_event_that_breaks_something_breaks_nothing_else(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from cgr_cluster.exporters.metrics import Metrics

    asked = [world.ask("a", Cost=float("inf"), ToR="*voice", Usage=float("nan")), world.ask("b")]
    assert [outcome.error for outcome in world.service.turn(asked) if isinstance(outcome, Outcome)] == ["", ""]
    named = world.definition("*file_csv", id="no\0name")
    (outcome,) = world.service.turn([world.ask("c", named)])
    assert isinstance(outcome, Outcome) and "null" in outcome.error
    virtual = world.definition("*virt", id="V")
    with monkeypatch.context() as patch:
        patch.setattr(Metrics, "count", lambda *args: 1 // 0)
        (outcome,) = world.service.turn([world.ask("d", virtual)])
    assert isinstance(outcome, Outcome) and outcome.error == "SERVER_ERROR: internal error"
    assert world.texts() == ["id\na\nb\n"]
