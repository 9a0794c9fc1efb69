"""The exporters of a node, in one place: their files, metrics and shared cache (spec 40 §7, docs/exporters.md).

Not thread-safe: one thread calls it. `turn` takes what has come in: files are written in it, in one commit; what goes over
the network is answered as a `Sending`, which the shell does elsewhere and brings back to `sent`. A delivery that is asked
again after it was done is answered what came of it, until the worker says `forget`.
"""

from __future__ import annotations

import logging
import sqlite3
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from cgr_cluster.edge.export_files import LineFile, new_path
from cgr_cluster.edge.export_journal import ExportJournal, OpenFile
from cgr_cluster.edge.failed_posts import FailedPosts
from cgr_cluster.edge.live_exporter import Live
from cgr_cluster.edge.sendings import Sending, rpc_address, sending_of
from cgr_cluster.engine.codec import unpack
from cgr_cluster.events.event import CGREvent
from cgr_cluster.events.values import json_text
from cgr_cluster.exporters.failed import FailedPost
from cgr_cluster.exporters.payload import HEADER, TRAILER, Payload, Sources, frame_line, payload_of
from cgr_cluster.exporters.settings import NONE
from cgr_cluster.exporters.types import (
    ALL,
    FILE_TYPES,
    Definition,
    Export,
    Outcome,
    RpcCall,
    Settle,
)
from cgr_cluster.rpc.errors import ApiError, not_found
from cgr_cluster.templates.view import Branch

logger = logging.getLogger("cgr_cluster.edge")

MAX_DONE = 200_000  # deliveries that no worker has forgotten; the oldest go
MAX_SHARED = 100_000  # keys of `*uch`; all are forgotten then


class _Line(msgspec.Struct, gc=False):
    """A line under way: the place of its answer, what it belongs to, its text."""

    place: int
    export: Export
    text: str


class ExporterService:
    def __init__(self, folder: Path | None, clock: Callable[[], int]) -> None:
        """`folder`: of the journal; None keeps it in memory."""
        self._clock = clock
        self._journal = ExportJournal(folder)
        self._posts = FailedPosts(self._journal)
        self._lives: OrderedDict[str, Live] = OrderedDict()  # exporter id → the one that lives, last used at the end
        self._done: OrderedDict[str, Outcome] = OrderedDict(self._journal.done())
        self._shared = Branch()
        self._compiled: dict[bytes, Definition] = {}
        self._lines: dict[int, tuple[Live, list[_Line]]] = {}  # of this turn, by id of the exporter, not written yet
        self._answers: list[Outcome | Sending | None] = []  # of this turn
        self._recover()

    # --- what workers ask -----------------------------------------------------------------------------------------

    def turn(self, asked: Sequence[Export]) -> list[Outcome | Sending]:
        """The exports in their order: what came of each, or what is to be sent for it."""
        self.expire()
        self._answers = [None] * len(asked)
        for place, export in enumerate(asked):
            done = self._done.get(export.delivery)
            if done is not None:
                self._answers[place] = self._repeated(export, done)
                continue
            try:
                self._answers[place] = self._begin(place, export)
            except (sqlite3.Error, OSError):
                raise  # the journal: what is done must be known, so this process ends
            except Exception:  # of one event: the others are not to be kept from their exports by it
                logger.exception("event %s", export.event.id)
                self._answers[place] = Outcome("SERVER_ERROR: internal error")
        self._write_lines()
        answers, self._answers = self._answers, []
        return [answer for answer in answers if answer is not None]

    def _begin(self, place: int, export: Export) -> Outcome | Sending | None:
        """What came of it, or what is to be sent; None for a line that is written at the end of the turn."""
        try:
            live = self._live_of(export)
        except ApiError as error:
            logger.error("exporter %s cannot be made: %s", self._definition(export.definition).id, error.text)
            return Outcome(error.text)
        lines = self._lines.get(id(live))
        try:
            payload = self._payload(live, export, 1 if lines is None else len(lines[1]) + 1)
        except ApiError as error:
            return self._unmade(live, export, error.text)
        if live.definition.log:
            logger.info("exporter %s: %s", live.definition.id, payload.body.rstrip("\n") or json_text(payload.params))
        if live.definition.type not in FILE_TYPES:
            return self._without_file(live, export, payload)
        self._lines.setdefault(id(live), (live, []))[1].append(_Line(place, export, payload.body))
        return None

    def _unmade(self, live: Live, export: Export, error: str) -> Outcome:
        """There is no payload."""
        outcome = self._counted(live, export, error)
        if not live.kept:
            self._close(live)
        return outcome

    def _repeated(self, export: Export, done: Outcome) -> Outcome:
        """A delivery that was done is asked again."""
        live = self._lives.get(self._definition(export.definition).id)
        metrics = live.metrics.answer() if export.verbose and live is not None else None
        return Outcome(done.error, metrics=metrics)

    def sent(self, sending: Sending, error: str) -> Outcome:
        """What came of a sending."""
        export, live = sending.export, sending.live
        if error and not export.last:
            return Outcome(error, True)
        if error:
            self._keep_failed(live, sending.post)
        return self._counted(live, export, error)

    def settle(self, settled: Settle) -> Outcome:
        """What came of the call that an export has answered with."""
        export = settled.export
        done = self._done.get(export.delivery)
        if done is not None:
            return self._repeated(export, done)
        live = self._live_of(export)
        try:
            payload = self._payload(live, export, 1)
        except ApiError as error:
            return self._counted(live, export, error.text)
        return self.sent(sending_of(live, export, payload), settled.error)

    def forget(self, deliveries: Sequence[str]) -> None:
        """The workers know what came of them. `X*` stands for all whose ids begin with X."""
        wanted = [each for each in deliveries if not each.endswith(ALL)]
        for prefix in (each.removesuffix(ALL) for each in deliveries if each.endswith(ALL)):
            wanted += [delivery for delivery in self._done if delivery.startswith(prefix)]
        kept = [delivery for delivery in wanted if self._done.pop(delivery, None) is not None]
        if kept:
            with self._journal.commit():
                self._journal.drop_done(kept)

    def reset(self, exporter_id: str) -> None:
        """Metrics back to the beginning. Raises `NOT_FOUND` for one that does not live."""
        live = self._lives.get(exporter_id)
        if live is None:
            raise not_found()
        self._reset(live, self._clock())

    # --- exporters ------------------------------------------------------------------------------------------------

    def _live_of(self, export: Export) -> Live:
        now_ns = self._clock()
        definition = self._definition(export.definition)
        live = self._lives.get(definition.id)
        if live is not None and export.generation > live.generation and live.packed != export.definition:
            if live.definition.version == definition.version:
                live.define(definition, export.definition, export.generation)
            else:
                self._write_lines()
                self._end(definition.id)
                live = None
        if live is None:
            live = Live(definition, export.definition, export.generation, export.event.tenant, now_ns)
            if live.kept:
                self._lives[definition.id] = live
                self._hold_limit(definition)
        else:
            live.generation = max(live.generation, export.generation)
            live.used_ns = now_ns
            self._lives.move_to_end(definition.id)
        return live

    def _definition(self, packed: bytes) -> Definition:
        found = self._compiled.get(packed)
        if found is None:
            if len(self._compiled) > 1000:
                self._compiled.clear()
            found = self._compiled[packed] = unpack(Definition, packed)
        return found

    def _hold_limit(self, definition: Definition) -> None:
        """The exporter of the type that was used longest ago goes, when there are too many."""
        limit = definition.cache.limit
        same = [one for one, live in self._lives.items() if live.definition.type == definition.type]
        surplus = same[: max(len(same) - limit, 0)] if limit > 0 else []
        if surplus:
            self._write_lines()
        for exporter_id in surplus:
            self._end(exporter_id)

    def _record(self, live: Live, path: str, position: int) -> OpenFile:
        return OpenFile(path, live.packed, live.generation, live.tenant, position, live.metrics, live.used_ns)

    def _recover(self) -> None:
        """Files that were open go on, where the journal says that they end."""
        for known in self._journal.files():
            definition = self._definition(known.definition)
            live = Live(definition, known.definition, known.generation, known.tenant, self._clock())
            live.metrics = known.metrics
            try:
                live.file = LineFile(known.path, known.position)
            except OSError as error:
                logger.error("export file %s cannot go on: %s; a new one is begun", known.path, error.strerror)
                with self._journal.commit():
                    self._journal.drop_file(known.path)
                continue
            if not known.position:  # nothing in it counts
                self._discard(live)
            elif live.kept:
                self._lives[definition.id] = live
            else:
                self._close(live)

    def _discard(self, live: Live) -> None:
        assert live.file is not None
        live.file.close()
        Path(live.file.path).unlink(missing_ok=True)
        with self._journal.commit():
            self._journal.drop_file(live.file.path)

    # --- payloads -------------------------------------------------------------------------------------------------

    def _sources(self, live: Live, tenant: str, coming: int) -> Sources:
        if len(self._shared.elements) > MAX_SHARED:
            self._shared.elements.clear()
        source = live.metrics.source(coming) if live.templates.reads_metrics else {}
        return Sources(live.reference, self._clock(), tenant, source, self._shared, live.zone)

    def _payload(self, live: Live, export: Export, coming: int) -> Payload:
        event = export.event
        live.reference.hidden = event.hidden
        asked = CGREvent(event.tenant, event.id, None, event.typed(), dict(event.opts))
        return payload_of(live.definition, live.templates, asked, self._sources(live, event.tenant, coming))

    def _without_file(self, live: Live, export: Export, payload: Payload) -> Outcome | Sending:
        kind = live.definition.type
        if kind in ("*virt", "*log"):
            if kind == "*log" and not live.definition.log:
                logger.info("exporter %s: %s", live.definition.id, payload.body)
            return self._counted(live, export, "")
        sending = sending_of(live, export, payload)
        if kind != "*rpc" or sending.post.address:
            return sending
        try:
            method = rpc_address(live)[2]
        except ApiError as error:
            return self.sent(sending, error.text)
        return Outcome(call=RpcCall(method, json_text(payload.params).encode()))

    # --- what came of it ------------------------------------------------------------------------------------------

    def _counted(self, live: Live, export: Export, error: str) -> Outcome:
        self._count(live, export, bool(error))
        outcome = Outcome(error, metrics=live.metrics.answer() if export.verbose else None)
        if live.file is not None:
            self._keep(live, [(export, outcome)])
        else:
            self._note(export.delivery, outcome)
        return outcome

    def _count(self, live: Live, export: Export, failed: bool) -> None:
        event = export.event
        live.metrics.count(event.id, event.typed(), failed, self._clock(), live.zone)

    def _note(self, delivery: str, outcome: Outcome) -> None:
        self._done[delivery] = Outcome(outcome.error)
        if len(self._done) > MAX_DONE:
            oldest, _ = self._done.popitem(last=False)
            self._journal.drop_done([oldest])

    def _keep_failed(self, live: Live, post: FailedPost) -> None:
        definition = live.definition
        if definition.failed_posts_dir in ("", NONE):
            logger.warning(
                "an event that exporter %s could not export is dropped: it keeps no failed posts", definition.id
            )
            return
        with self._journal.commit():
            self._posts.add(definition.failed_posts_dir, definition.failed_posts_ttl_ns, post, self._clock())

    # --- files ----------------------------------------------------------------------------------------------------

    def _write_lines(self) -> None:
        """Write what this turn has for files: one sync and one commit for each."""
        files, self._lines = list(self._lines.values()), {}
        refused = self._open_files([live for live, _ in files if live.file is None])
        for live, lines in files:
            position, text = 0, refused.get(id(live), "")
            if live.file is not None:
                try:
                    header = "" if live.file.position else self._frame(live, HEADER)
                    position = live.file.write(header + "".join(line.text for line in lines))
                except (OSError, ValueError, ApiError) as error:
                    text = _reason(error)
            if live.file is None or text:
                self._not_written(live, lines, text)
                continue
            live.file.position = position
            done = []
            for line in lines:
                self._count(live, line.export, False)
                outcome = Outcome(metrics=live.metrics.answer() if line.export.verbose else None)
                self._answers[line.place] = outcome
                done.append((line.export, outcome))
            self._keep(live, done)
        for live, _ in files:
            if not live.kept:
                self._close(live)

    def _not_written(self, live: Live, lines: list[_Line], text: str) -> None:
        logger.error("exporter %s: %s", live.definition.id, text)
        for line in lines:
            self._answers[line.place] = self.sent(sending_of(live, line.export, Payload(line.text)), text)

    def _open_files(self, lives: list[Live]) -> dict[int, str]:
        """Begin files; the journal knows each before it is there. Answers what could not be, by id of the exporter."""
        refused: dict[int, str] = {}
        paths = [new_path(live.definition.export_path, live.definition.id, live.definition.type) for live in lives]
        if lives:
            with self._journal.commit():
                for live, path in zip(lives, paths, strict=True):
                    live.metrics.totals.export_path = path
                    self._journal.put_file(self._record(live, path, 0))
        for live, path in zip(lives, paths, strict=True):
            try:
                live.file = LineFile(path, 0)
            except (OSError, ValueError) as error:  # the latter: a name that is none of a file
                refused[id(live)] = _reason(error)
                live.metrics.totals.export_path = ""
                with self._journal.commit():
                    self._journal.drop_file(path)
        return refused

    def _keep(self, live: Live, done: list[tuple[Export, Outcome]]) -> None:
        """Position, metrics and deliveries in one commit."""
        assert live.file is not None
        with self._journal.commit():
            self._journal.put_file(self._record(live, live.file.path, live.file.position))
            self._journal.add_exported(
                live.file.path, [(export.event.id, bool(outcome.error)) for export, outcome in done]
            )
            for export, outcome in done:
                self._journal.add_done(export.delivery, Outcome(outcome.error))
        for export, outcome in done:
            self._note(export.delivery, outcome)

    def _frame(self, live: Live, root: str) -> str:
        fields = live.templates.header if root == HEADER else live.templates.trailer
        return frame_line(live.definition, fields, root, self._sources(live, live.tenant, 0))

    def _close(self, live: Live) -> None:
        """The trailer, then the file is whole."""
        file = live.file
        if file is None:
            return
        try:
            if file.position:
                file.write(self._frame(live, TRAILER))
        except (OSError, ValueError, ApiError) as error:
            logger.error("export file %s has no trailer: %s", file.path, _reason(error))
        empty = not file.position
        file.close()
        if empty:
            Path(file.path).unlink(missing_ok=True)
        with self._journal.commit():
            self._journal.drop_file(file.path)
        live.file = None

    def _reset(self, live: Live, now_ns: int) -> None:
        live.reset(now_ns)
        if live.file is not None:
            with self._journal.commit():
                self._journal.drop_exported(live.file.path)
                self._journal.put_file(self._record(live, live.file.path, live.file.position))

    # --- time -----------------------------------------------------------------------------------------------------

    def expire(self) -> None:
        """Close what has lived long enough, reset metrics and write failed posts that are due."""
        now_ns = self._clock()
        for exporter_id, live in list(self._lives.items()):
            ends_ns = live.ends_ns()
            if ends_ns is not None and ends_ns <= now_ns:
                self._end(exporter_id)
            elif live.reset_ns is not None and live.reset_ns <= now_ns:
                self._reset(live, now_ns)
        self._posts.write(now_ns)

    def next_deadline_ns(self) -> int | None:
        """When `expire` has something to do."""
        lives = list(self._lives.values())  # the shell's thread asks while the exporters' thread may be at work
        times = [time for live in lives for time in (live.ends_ns(), live.reset_ns)]
        times.append(self._posts.next_deadline_ns())
        return min((time for time in times if time is not None), default=None)

    def _end(self, exporter_id: str) -> None:
        self._close(self._lives.pop(exporter_id))

    def close(self) -> None:
        """A graceful stop: files get their trailers, failed posts are written."""
        for exporter_id in list(self._lives):
            self._end(exporter_id)
        self._posts.write(self._clock(), everything=True)
        self._journal.close()


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"{error.filename or 'file'}: {error.strerror}"
    return error.text if isinstance(error, ApiError) else str(error)
