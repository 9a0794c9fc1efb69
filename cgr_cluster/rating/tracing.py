"""What explanations of a price listen with. Nothing here decides: all of it hears or repeats what the rating code does."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from cgr_cluster.engine.domain import GenerationView
from cgr_cluster.events.instant import Instant
from cgr_cluster.rating.compiled import (
    CompiledActivation,
    CompiledBinding,
    CompiledProfile,
    Match,
    Tariffs,
    matches_in,
)
from cgr_cluster.rating.lookup import active_match, used_activations
from cgr_cluster.rating.spans import Cutter, Piece

Probe = tuple[str, tuple[str, ...]]  # a prefix that some destination owns, and its owners


class Asked(msgspec.Struct, frozen=True):
    """A profile that was looked for."""

    key: str
    found: bool


class Entered(msgspec.Struct, frozen=True):
    """A profile that was found and searched for the period."""

    profile: CompiledProfile
    start_ns: int
    end_ns: int
    depth: int


class TracedTariffs(Tariffs):
    """The tariffs, of which each profile that is looked for is noted."""

    __slots__ = ("steps",)

    def __init__(self, generation: GenerationView) -> None:
        super().__init__(generation)
        self.steps: list[Asked | Entered] = []

    def profile(self, generation: GenerationView, key: str) -> CompiledProfile | None:
        found = super().profile(generation, key)
        self.steps.append(Asked(key, found is not None))
        return found

    def entered(self, profile: CompiledProfile, start_ns: int, end_ns: int, depth: int) -> None:
        self.steps.append(Entered(profile, start_ns, end_ns, depth))


class SearchedActivation:
    """One activation of a searched profile, and what the number met in its plan."""

    __slots__ = ("activation", "match", "matches", "plan_found", "probes", "used")

    def __init__(
        self, generation: GenerationView, tariffs: Tariffs, activation: CompiledActivation, used: bool, destination: str,
        local_start_ns: int,
    ) -> None:  # fmt: skip
        self.activation = activation
        self.used = used
        self.plan_found = True
        self.probes: list[Probe] = []
        self.matches: tuple[Match, ...] = ()
        self.match: Match | None = None
        if not used:
            return
        plan = tariffs.plan(generation, activation.plan_id)
        if plan is None:
            self.plan_found = False
            return

        def destinations_of(prefix: str) -> tuple[str, ...]:
            owners = generation.destinations_of(prefix)
            if owners:
                self.probes.append((prefix, owners))
            return owners

        self.matches = matches_in(destinations_of, plan, destination)
        self.match = active_match(self.matches, local_start_ns)


def searched(
    generation: GenerationView, tariffs: Tariffs, entered: Entered, destination: str, offset_ns: int
) -> list[SearchedActivation]:
    """What the search of a profile went through, by the functions that searched."""
    used = used_activations(entered.profile, entered.start_ns, entered.end_ns)
    return [
        SearchedActivation(
            generation, tariffs, activation, any(activation is one for one in used), destination,
            entered.start_ns + offset_ns,
        )
        for activation in entered.profile.activations
    ]  # fmt: skip


class Candidates(msgspec.Struct, frozen=True):
    """How the bindings of a piece were chosen: all in the order of the sort, those active at its start, and those that
    were tried, in turn."""

    start_ns: int
    end_ns: int
    in_order: list[CompiledBinding]
    active: list[CompiledBinding]
    tried: list[CompiledBinding]


class TracedCutter(Cutter):
    """A cutter that remembers the choices of its one call."""

    __slots__ = ("heard",)

    def __init__(
        self, bindings: Sequence[CompiledBinding], start: Instant, end: Instant, usage_at_start_ns: int, voice: bool
    ) -> None:
        super().__init__(bindings, start, end, usage_at_start_ns, voice)
        self.heard: list[Candidates] = []

    def _candidates(self, start: int, end: int) -> list[CompiledBinding]:
        found = super()._candidates(start, end)
        local_start = start + self._offset_ns
        active = [binding for binding in self._bindings if binding.active_at(local_start)]
        self.heard.append(Candidates(start, end, list(self._bindings), active, found))
        return found


class CutHeard:
    """A `CutTrace`: the pieces of a call, and how each got its binding."""

    def __init__(self) -> None:
        self.candidates: list[Candidates] = []
        self.pieces: list[Piece] = []
        self.stops: list[int] = []
        self.usage_at_start_ns = 0

    def cutter(
        self, bindings: Sequence[CompiledBinding], start: Instant, end: Instant, usage_at_start_ns: int, voice: bool
    ) -> Cutter:
        made = TracedCutter(bindings, start, end, usage_at_start_ns, voice)
        self.candidates = made.heard
        return made

    def cut(self, pieces: list[Piece], stops: list[int], usage_at_start_ns: int) -> None:
        self.pieces = list(pieces)
        self.stops = list(stops)
        self.usage_at_start_ns = usage_at_start_ns


class SpanTotal(msgspec.Struct, frozen=True):
    """One compressed span in the total, in doubles as computed."""

    plain: float
    cost: float
    sum_before: float
    total: float
    so_far: float


class TotalHeard:
    """A `TotalTrace`."""

    def __init__(self) -> None:
        self.spans: list[SpanTotal] = []
        self.total = 0.0
        self.decimals = 0
        self.method = ""

    def span(self, plain: float, cost: float, sum_before: float, total: float, so_far: float) -> None:
        self.spans.append(SpanTotal(plain, cost, sum_before, total, so_far))

    def end(self, total: float, decimals: int, method: str) -> None:
        self.total, self.decimals, self.method = total, decimals, method


def instant_of(ns: int, like: Instant) -> Instant:
    """A time in the offset of the call."""
    return Instant.of(ns, like.offset_s)
