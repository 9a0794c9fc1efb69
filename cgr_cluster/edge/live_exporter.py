"""An exporter while it lives: its compiled templates, metrics and file (spec 40 §7)."""

from __future__ import annotations

from cgr_cluster.edge.export_files import LineFile
from cgr_cluster.engine.codec import pack
from cgr_cluster.engine.generation import Changes, Generation
from cgr_cluster.events.cron import next_time, parse_cron
from cgr_cluster.events.durations import parse_duration
from cgr_cluster.exporters.metrics import Metrics, Totals
from cgr_cluster.exporters.payload import Templates
from cgr_cluster.exporters.types import Definition
from cgr_cluster.rpc.errors import ApiError


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
        self.tenant = tenant
        self.define(definition, packed, generation)
        self.metrics = Metrics(Totals(now_ns))
        self.file: LineFile | None = None
        self.opened_ns = self.used_ns = now_ns
        self.schedule = parse_cron(definition.metrics_reset_schedule) if definition.metrics_reset_schedule else None
        self.reset_ns = self._next_reset(now_ns)

    def define(self, definition: Definition, packed: bytes, generation: int) -> None:
        """What it is made by; another one of the same version is what it looks at beside the section `ees`."""
        self.templates = Templates(definition)
        self.reference = EdgeGeneration(definition)
        self.definition, self.packed, self.generation = definition, packed, generation

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
