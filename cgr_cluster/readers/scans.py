"""When readers look into their folders: by themselves every run_delay, watching, or on request (spec 40 §9)."""

from __future__ import annotations

from cgr_cluster.engine.domain import Operation, Part, Steps, everywhere, outside, step, task, timer, together
from cgr_cluster.readers.files import SUFFIXES
from cgr_cluster.readers.runs import forget_seen, open_run, reader_owner
from cgr_cluster.readers.settings import Reader, reader_settings
from cgr_cluster.readers.types import FileFound, ReaderState

WATCH_INTERVAL_NS = 500_000_000  # between two looks into a folder that is watched


def _timer(reader_id: str) -> str:
    return f"reader:{reader_id}"


@task("readers.start", awaited=True)
def start(op: Operation) -> Steps[None]:
    """The configuration has changed: readers start, with the files that are there already, go on or stop."""
    yield from _arm_all(op, True)


@task("readers.resume")
def resume(op: Operation) -> Steps[None]:
    """The node starts."""
    yield from _arm_all(op, False)


@step("readers.node_started")
def node_started(part: Part) -> None:
    part.spawn("readers.resume")


def _arm_all(op: Operation, afresh: bool) -> Steps[None]:
    kept: list[list[str]] = yield everywhere(kept_readers)
    ids = sorted({*reader_settings(op.generation).readers, *(each for some in kept for each in some)})
    yield together([arm.at(reader_owner(each), each, afresh) for each in ids])


@step("readers.kept", reads=True)
def kept_readers(part: Part) -> list[str]:
    """Readers of this worker that have state."""
    return [key for key, _ in part.all(ReaderState)]


@step("readers.arm", idempotent=True)
def arm(part: Part, reader_id: str, afresh: bool) -> None:
    """Set the reader's next look into its folder, or see that there is none. `afresh`: what it has seen counts no more."""
    reader = reader_settings(part.generation).readers.get(reader_id)
    state = part.edit(ReaderState, reader_id)
    if reader is None or reader.by_request_only:
        part.cancel_timer(_timer(reader_id))
        forget_seen(part, reader_id)
        if state is not None and not state.run:
            part.delete(ReaderState, reader_id)
        return
    if state is None:
        state = ReaderState()
        part.put(ReaderState, reader_id, state)
    if afresh:
        forget_seen(part, reader_id)
    part.set_timer(_timer(reader_id), part.now_ns + reader.start_delay_ns, "readers.look", reader_id)


@timer("readers.look")
def look(part: Part, reader_id: str) -> None:
    """Look into the folder, unless a run is under way."""
    reader = reader_settings(part.generation).readers.get(reader_id)
    if reader is None or reader.by_request_only:
        return
    delay_ns = WATCH_INTERVAL_NS if reader.watches else max(reader.run_delay_ns, 1_000_000)
    part.set_timer(_timer(reader_id), part.now_ns + delay_ns, "readers.look", reader_id)
    part.spawn("readers.scan", reader_id)


@task("readers.scan")
def scan(op: Operation, reader_id: str) -> Steps[None]:
    reader = reader_settings(op.generation).readers.get(reader_id)
    if reader is not None:
        yield from scan_once(reader)


def scan_once(reader: Reader) -> Steps[bool]:
    """Begin a run over what is in the folder. False: another one is under way."""
    found: list[FileFound] = yield outside(
        "ers.files", reader.source_path, SUFFIXES[reader.type], returns=list[FileFound]
    )
    begun: bool = yield open_run.at(reader_owner(reader.id), reader.id, found, reader.watches)
    return begun
