"""The exporters of a node, in one place: their files, metrics and shared cache (spec 40 §7, docs/exporters.md).

Not thread-safe: one thread calls it. `turn` takes what has come in: files are written in it, in one commit; what goes over
the network is answered as a `Sending`, which the shell does elsewhere and brings back to `sent`. A delivery that is asked
again after it was done is answered what came of it, until the worker says `forget`.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from cgr_cluster.edge.export_files import LineFile, new_path
from cgr_cluster.edge.export_journal import ExportJournal, OpenFile
from cgr_cluster.edge.failed_posts import FailedPosts
from cgr_cluster.engine.codec import pack, unpack
from cgr_cluster.engine.generation import Changes, Generation
from cgr_cluster.events.cron import next_time, parse_cron
from cgr_cluster.events.durations import parse_duration
from cgr_cluster.events.event import CGREvent
from cgr_cluster.events.values import json_text, text_of
from cgr_cluster.exporters.failed import FailedPost
from cgr_cluster.exporters.metrics import Metrics, Totals
from cgr_cluster.exporters.payload import HEADER, TRAILER, Payload, Sources, Templates, frame_line, payload_of
from cgr_cluster.exporters.settings import NONE
from cgr_cluster.exporters.types import FILE_TYPES, Definition, Export, Outcome, RpcCall, Settle
from cgr_cluster.rpc.errors import ApiError, not_found
from cgr_cluster.templates.view import Branch

logger = logging.getLogger("cgr_cluster.edge")

MAX_DONE = 200_000  # deliveries that no worker has forgotten; the oldest go
MAX_SHARED = 100_000  # keys of `*uch`; all are forgotten then
INTERNAL = ("*internal", "*localhost")


class EdgeGeneration:
    """The reference data that an exporter looks at. `hidden`: the destinations to be masked that the event's is in."""

    has_homes = False

    def __init__(self, definition: Definition) -> None:
        changes: Changes = [("filter", f"{each.tenant}:{each.id}", pack(each)) for each in definition.filters]
        self._known = Generation(definition.sections).apply(changes, 1)
        self.number = self._known.number
        self.default_tenant = self._known.default_tenant
        self.hidden: tuple[str, ...] = ()
        self.get, self.keys, self.config = self._known.get, self._known.keys, self._known.config
        self.section, self.derived, self.deck_work = self._known.section, self._known.derived, self._known.deck_work

    def destinations_of(self, prefix: str) -> tuple[str, ...]:
        return self.hidden

    def apart(self) -> EdgeGeneration:
        return self


class Live:
    """An exporter while it lives."""

    def __init__(self, definition: Definition, packed: bytes, generation: int, tenant: str, now_ns: int) -> None:
        """Raises the errors of values and schedules that do not compile."""
        self.definition = definition
        self.packed = packed
        self.generation = generation
        self.tenant = tenant
        self.templates = Templates(definition)
        self.reference = EdgeGeneration(definition)
        self.metrics = Metrics(Totals(now_ns))
        self.file: LineFile | None = None
        self.opened_ns = self.used_ns = now_ns
        self.schedule = parse_cron(definition.metrics_reset_schedule) if definition.metrics_reset_schedule else None
        self.reset_ns = self._next_reset(now_ns)

    @property
    def zone(self) -> str:
        return self.definition.timezone or str(self.definition.sections["general"].get("default_timezone") or "UTC")

    @property
    def kept(self) -> bool:
        """Whether it lives on after an event."""
        return self.definition.cache.limit != 0

    @property
    def timeout_s(self) -> float:
        """`general.reply_timeout`, of a wait for an endpoint."""
        try:
            timeout_ns = parse_duration(str(self.definition.sections["general"].get("reply_timeout") or "2s"))
        except ApiError:
            timeout_ns = 0
        return max(timeout_ns / 1e9, 0.1)

    def ends_ns(self) -> int | None:
        """When it is closed, if nothing comes; None: never."""
        rule = self.definition.cache
        return None if not rule.ttl_ns else (self.opened_ns if rule.static else self.used_ns) + rule.ttl_ns

    def reset(self, now_ns: int) -> None:
        self.metrics = Metrics(Totals(now_ns, self.metrics.totals.export_path))
        self.reset_ns = self._next_reset(now_ns)

    def _next_reset(self, now_ns: int) -> int | None:
        return None if self.schedule is None else next_time(self.schedule, now_ns, self.zone)


class Sending(msgspec.Struct, gc=False):
    """Something to be sent elsewhere, and what it belongs to. `at_once`: how many may go there at once (0: any number)."""

    export: Export
    post: FailedPost
    live: Any
    at_once: int


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
        self._recover()

    # --- what workers ask -----------------------------------------------------------------------------------------

    def turn(self, asked: Sequence[Export]) -> list[Outcome | Sending]:
        """The exports in their order: what came of each, or what is to be sent for it."""
        self.expire()
        answers: list[Outcome | Sending | None] = [None] * len(asked)
        lines: dict[int, tuple[Live, list[_Line]]] = {}
        for place, export in enumerate(asked):
            done = self._done.get(export.delivery)
            if done is not None:
                answers[place] = done
                continue
            try:
                live = self._live_of(export)
            except ApiError as error:
                answers[place] = self._refused(export, error)
                continue
            try:
                waiting = len(lines[id(live)][1]) if id(live) in lines else 0
                payload = self._payload(live, export, waiting + 1)
            except ApiError as error:
                answers[place] = self._counted(live, export, error.text)
                continue
            except Exception:
                logger.exception("exporter %s, event %s", live.definition.id, export.event.id)
                answers[place] = self._counted(live, export, "SERVER_ERROR: internal error")
                continue
            if live.definition.log:
                logger.info(
                    "exporter %s: %s", live.definition.id, payload.body.rstrip("\n") or json_text(payload.params)
                )
            if live.definition.type in FILE_TYPES:
                lines.setdefault(id(live), (live, []))[1].append(_Line(place, export, payload.body))
            else:
                answers[place] = self._without_file(live, export, payload)
        self._write_lines(list(lines.values()), answers)
        return [answer for answer in answers if answer is not None]

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
            return done
        live = self._live_of(export)
        sending = self._sending(live, export, self._payload(live, export, 1))
        return self.sent(sending, settled.error)

    def forget(self, deliveries: Sequence[str]) -> None:
        """The workers know what came of them."""
        kept = [delivery for delivery in deliveries if self._done.pop(delivery, None) is not None]
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
        if live is not None and (export.generation <= live.generation or live.packed == export.definition):
            live.generation = max(live.generation, export.generation)
            live.used_ns = now_ns
            self._lives.move_to_end(definition.id)
            return live
        if live is not None:
            self._end(definition.id)
        live = Live(definition, export.definition, export.generation, export.event.tenant, now_ns)
        if live.kept:
            self._lives[definition.id] = live
            self._hold_limit(definition)
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
        for exporter_id in same[: max(len(same) - limit, 0)] if limit > 0 else ():
            self._end(exporter_id)

    def _record(self, live: Live) -> OpenFile:
        assert live.file is not None
        return OpenFile(
            live.file.path, live.packed, live.generation, live.tenant, live.file.position, live.metrics, live.used_ns
        )

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
        source = live.metrics.source(coming)
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
        sending = self._sending(live, export, payload)
        if kind != "*rpc" or sending.post.address:
            return sending
        try:
            method = self._rpc_address(live)[2]
        except ApiError as error:
            return self.sent(sending, error.text)
        return Outcome(call=RpcCall(method, json_text(payload.params).encode()))

    def _sending(self, live: Live, export: Export, payload: Payload) -> Sending:
        definition = live.definition
        post = FailedPost(definition.id, definition.type, definition.export_path, payload, timeout_s=live.timeout_s)
        if definition.type == "*rpc":
            try:
                post.address, post.transport, post.method = self._rpc_address(live)
            except ApiError:
                pass  # the caller asks for it where it matters
        return Sending(export, post, live, definition.concurrent_requests)

    def _rpc_address(self, live: Live) -> tuple[str, str, str]:
        """Address ("": this node), transport and method of an `*rpc` exporter. Raises ApiError."""
        opts = live.definition.opts
        method = text_of(opts.get("serviceMethod"))
        if not method:
            raise ApiError("MANDATORY_IE_MISSING: [serviceMethod]")
        names = [text_of(name) for name in opts.get("connIDs") or ()]
        if not names:
            raise ApiError("MANDATORY_IE_MISSING: [connIDs]")
        if names[0] in INTERNAL:
            return "", "", method
        found = live.definition.sections.get("rpc_conns", {}).get(names[0])
        conns = found.get("conns") if isinstance(found, dict) else None
        if not conns:
            raise ApiError(f"connection with id: <{names[0]}> not defined")
        address = str(conns[0].get("address") or "")
        if address in INTERNAL:
            return "", "", method
        codec = text_of(opts.get("rpcCodec")) or str(conns[0].get("transport") or "*json")
        if codec not in ("*json", "*http_jrpc"):
            raise ApiError(f"unsupported rpcCodec of *rpc: {codec}")
        return address, codec, method

    # --- what came of it ------------------------------------------------------------------------------------------

    def _refused(self, export: Export, error: ApiError) -> Outcome:
        """There is no exporter for it: what it is made of does not compile."""
        logger.error("exporter %s cannot be made: %s", self._definition(export.definition).id, error.text)
        return Outcome(error.text)

    def _counted(self, live: Live, export: Export, error: str) -> Outcome:
        self._count(live, export, bool(error))
        outcome = Outcome(error, metrics=live.metrics.answer())
        if live.file is not None:
            self._keep(live, [(export, outcome)])
        else:
            self._note(export.delivery, outcome)
        return outcome

    def _count(self, live: Live, export: Export, failed: bool) -> None:
        event = export.event
        live.metrics.count(event.id, event.typed(), failed, self._clock(), live.zone)

    def _note(self, delivery: str, outcome: Outcome) -> None:
        self._done[delivery] = outcome
        if len(self._done) > MAX_DONE:
            self._done.popitem(last=False)

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

    def _write_lines(self, files: list[tuple[Live, list[_Line]]], answers: list[Outcome | Sending | None]) -> None:
        refused = self._open_files([live for live, _ in files if live.file is None])
        for live, lines in files:
            position, text = 0, refused.get(id(live), "")
            if live.file is not None:
                try:
                    header = "" if live.file.position else self._frame(live, HEADER)
                    position = live.file.write(header + "".join(line.text for line in lines))
                except (OSError, ApiError) as error:
                    text = _reason(error)
            if live.file is None or text:
                self._not_written(live, lines, text, answers)
                continue
            live.file.position = position
            done = []
            for line in lines:
                self._count(live, line.export, False)
                outcome = Outcome(metrics=live.metrics.answer())
                answers[line.place] = outcome
                done.append((line.export, outcome))
            self._keep(live, done)
        for live, _ in files:
            if not live.kept:
                self._close(live)

    def _not_written(
        self, live: Live, lines: list[_Line], text: str, answers: list[Outcome | Sending | None]
    ) -> None:  # fmt: skip
        logger.error("exporter %s: %s", live.definition.id, text)
        for line in lines:
            answers[line.place] = self.sent(self._sending(live, line.export, Payload(line.text)), text)

    def _open_files(self, lives: list[Live]) -> dict[int, str]:
        """Begin files; the journal knows each before anything is in it. Answers what could not be, by id of the exporter."""
        refused: dict[int, str] = {}
        for live in lives:
            definition = live.definition
            path = new_path(definition.export_path, definition.id, definition.type)
            try:
                live.file = LineFile(path, 0)
                live.metrics.totals.export_path = path
            except OSError as error:
                refused[id(live)] = _reason(error)
        opened = [live for live in lives if live.file is not None]
        if opened:
            with self._journal.commit():
                for live in opened:
                    self._journal.put_file(self._record(live))
        return refused

    def _keep(self, live: Live, done: list[tuple[Export, Outcome]]) -> None:
        """Position, metrics and deliveries in one commit."""
        assert live.file is not None
        with self._journal.commit():
            self._journal.put_file(self._record(live))
            self._journal.add_exported(
                live.file.path, [(export.event.id, bool(outcome.error)) for export, outcome in done]
            )
            for export, outcome in done:
                self._journal.add_done(export.delivery, outcome)
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
        except (OSError, ApiError) as error:
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
                self._journal.put_file(self._record(live))

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


def _reason(error: ApiError | OSError) -> str:
    return error.text if isinstance(error, ApiError) else f"{error.filename or 'file'}: {error.strerror}"
