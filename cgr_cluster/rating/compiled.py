"""Reference data of rating in the form that pricing reads: built once per generation, piece by piece as calls need it.

`tariffs(generation)` is a cache of pure functions of the generation. Nothing in it refers to the generation itself,
so that it can be kept over generations in which neither tariffs nor configuration change.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from cgr_cluster.engine.domain import GenerationView
from cgr_cluster.events.calendar import calendar
from cgr_cluster.events.durations import parse_duration
from cgr_cluster.events.instant import NS, Instant
from cgr_cluster.rating.reference import RatingPlan, RatingProfile
from cgr_cluster.rating.types import RateInterval, Rating, Slot, Timing

ANY = "*any"
SECOND_NS = NS
DAY_NS = 86_400 * NS
_MATCHES_LIMIT = 50_000  # remembered (profile, number) pairs per worker, some 20 MB; beyond it all are forgotten


class CompiledSlot:
    """A rate slot: from `start_ns` of usage on, `increment_ns` is the smallest piece, `price_per_ns` = value / unit."""

    __slots__ = ("increment_ns", "price_per_ns", "start_ns")

    def __init__(self, slot: Slot) -> None:
        self.start_ns = slot.group_interval_start_ns
        self.increment_ns = slot.increment_ns
        self.price_per_ns = slot.value / slot.unit_ns


class CompiledBinding:
    """One binding of a plan: when it is active and what it costs. Times of day in ns since local midnight."""

    __slots__ = (
        "interval",
        "month_days",
        "months",
        "slots",
        "start_ns",
        "unrestricted",
        "week_days",
        "weight",
        "years",
    )

    def __init__(self, timing: Timing, rating: Rating, weight: float) -> None:
        slots = tuple(
            sorted((_effective(slot) for slot in rating.slots), key=lambda slot: slot.group_interval_start_ns)
        )
        if timing.end_time:
            timing = msgspec.structs.replace(timing, end_time="")  # plans price till midnight (10 §2.5)
        self.interval = RateInterval(timing, msgspec.structs.replace(rating, slots=slots), weight)
        self.slots = tuple(CompiledSlot(slot) for slot in slots or (_FREE,))
        self.weight = weight
        self.start_ns = _time_of_day_ns(timing.start_time)
        self.years = timing.years
        self.months = timing.months
        self.month_days = timing.month_days
        self.week_days = timing.week_days
        self.unrestricted = not (
            timing.years or timing.months or timing.month_days or timing.week_days or self.start_ns
        )

    def active_at(self, local_ns: int) -> bool:
        """`local_ns`: Unix time plus the offset of the time that is asked for."""
        if self.unrestricted:
            return True
        day, time_of_day = divmod(local_ns, DAY_NS)
        if time_of_day < self.start_ns:
            return False
        year, month, month_day, week_day = calendar(day)
        return (
            (not self.years or year in self.years)
            and (not self.months or month in self.months)
            and (not self.month_days or month_day in self.month_days)
            and (not self.week_days or week_day in self.week_days)
        )


_FREE = Slot(0, 0.0, SECOND_NS, SECOND_NS)


def _effective(slot: Slot) -> Slot:
    """Missing units and increments act as one second (10 §2.3)."""
    if slot.increment_ns > 0 and slot.unit_ns > 0:
        return slot
    return Slot(
        slot.group_interval_start_ns,
        slot.value,
        slot.increment_ns if slot.increment_ns > 0 else SECOND_NS,
        slot.unit_ns if slot.unit_ns > 0 else SECOND_NS,
    )


def _time_of_day_ns(text: str) -> int:
    """`hh:mm:ss`; other texts (`*asap`, empty) are midnight."""
    parts = text.split(":")
    if len(parts) != 3 or not all(part.isascii() and part.isdigit() and len(part) < 3 for part in parts):
        return 0
    return (int(parts[0]) * 3600 + int(parts[1]) * 60 + int(parts[2])) * NS


class Rates:
    """All bindings of one destination in one plan, in row order. `always`: some binding is active at any time.
    `single`: the only binding, when it is unrestricted: then no time has to be looked at. `days`: day since 1970 → periods
    of that day, as calls need them (spans.py)."""

    __slots__ = ("always", "bindings", "days", "single", "weight")

    def __init__(self, bindings: tuple[CompiledBinding, ...]) -> None:
        self.bindings = bindings
        self.always = any(binding.unrestricted for binding in bindings)
        self.single = bindings[0] if len(bindings) == 1 and bindings[0].unrestricted else None
        self.weight = max(binding.weight for binding in bindings)
        self.days: dict[int, tuple[tuple[int, CompiledBinding | None], ...]] = {}

    def active_at(self, local_ns: int) -> bool:
        return self.always or any(binding.active_at(local_ns) for binding in self.bindings)


class CompiledPlan:
    """A rating plan; the rates of a destination are compiled when first asked for."""

    __slots__ = ("_plan", "_rates", "id")

    def __init__(self, plan: RatingPlan) -> None:
        self.id = plan.id
        self._plan = plan
        self._rates: dict[str, Rates] = {}

    def has(self, destination_id: str) -> bool:
        return bool(self._plan.bindings.get(destination_id))

    def rates(self, destination_id: str) -> Rates:
        found = self._rates.get(destination_id)
        if found is None:
            plan = self._plan
            found = self._rates[destination_id] = Rates(
                tuple(
                    CompiledBinding(plan.timings[binding.timing], plan.ratings[binding.rating], binding.weight)
                    for binding in plan.bindings[destination_id]
                )
            )
        return found


class CompiledActivation:
    __slots__ = ("activation_ns", "fallback_keys", "plan_id")

    def __init__(self, activation_ns: int, plan_id: str, fallback_keys: tuple[str, ...]) -> None:
        self.activation_ns = activation_ns
        self.plan_id = plan_id
        self.fallback_keys = fallback_keys


class CompiledProfile:
    """A rating profile, activations sorted by time."""

    __slots__ = ("activations", "id")

    def __init__(self, key: str, activations: tuple[CompiledActivation, ...]) -> None:
        self.id = key
        self.activations = activations

    @classmethod
    def of(cls, profile: RatingProfile) -> CompiledProfile:
        in_time = sorted(profile.activations, key=lambda activation: activation.activation_time.ns)
        return cls(
            profile.id,
            tuple(
                CompiledActivation(activation.activation_time.ns, activation.rating_plan_id, activation.fallback_keys)
                for activation in in_time
            ),
        )


class Match:
    """What a number meets in a plan: the rates under (prefix, destination id), both `*any` for the default entry."""

    __slots__ = ("destination_id", "plan_id", "prefix", "rates")

    def __init__(self, plan_id: str, prefix: str, destination_id: str, rates: Rates) -> None:
        self.plan_id = plan_id
        self.prefix = prefix
        self.destination_id = destination_id
        self.rates = rates


class Usual:
    """What a subject's calls to a number meet when nothing is special: its profile has one activation, whose plan matches."""

    __slots__ = ("activation_ns", "match", "profile_id")

    def __init__(self, profile_id: str, activation_ns: int, match: Match) -> None:
        self.profile_id = profile_id
        self.activation_ns = activation_ns
        self.match = match


class Settings:
    """The configuration of 10 §11."""

    __slots__ = ("category", "fallback_depth", "max_usage_ns", "nano_per_step", "power", "subject_prefixes", "tenant")

    def __init__(self, generation: GenerationView) -> None:
        general = generation.config("general")
        rals = generation.config("rals")
        decimals = int(general.get("rounding_decimals", 5))
        self.tenant = generation.default_tenant
        self.category = str(general.get("default_category", "call"))
        self.power = 10.0**decimals
        self.nano_per_step = 10 ** (9 - decimals)
        self.fallback_depth = int(rals.get("fallback_depth", 3))
        self.subject_prefixes = bool(rals.get("rp_subject_prefix_matching", False))
        limits = rals.get("max_computed_usage") or {}
        parsed = {str(tor): parse_duration(str(text)) for tor, text in limits.items()}
        self.max_usage_ns = {tor: limit for tor, limit in parsed.items() if limit >= 0}  # -1, `*unlimited`: no limit


class Tariffs:
    """The cache of one state of destinations, plans, profiles and configuration."""

    __slots__ = ("_plans", "_profiles", "_remembered", "_usual", "matches", "settings")

    def __init__(self, generation: GenerationView) -> None:
        self.settings = Settings(generation)
        self._plans: dict[str, CompiledPlan | None] = {}
        self._profiles: dict[str, CompiledProfile] = {}
        self._remembered = 0
        self._usual: dict[tuple[str, str, str, str], Usual | None] = {}
        self.matches: dict[str, dict[str, tuple[Match, ...]]] = {}  # plan id → number → what it may meet, best first

    def profile(self, generation: GenerationView, key: str) -> CompiledProfile | None:
        found = self._profiles.get(key)
        if found is None:
            profile = generation.get("rating_profile", key)
            if profile is not None:  # missing ones are not remembered: any subject may be asked for
                found = self._profiles[key] = CompiledProfile.of(profile)
        return found

    def usual(
        self, generation: GenerationView, tenant: str, category: str, subject: str, destination: str
    ) -> Usual | None:
        """The first rates that a call may meet (they may be inactive at its time); None: the long way (lookup.py)."""
        key = (tenant, category, subject, destination)
        try:
            return self._usual[key]
        except KeyError:
            pass
        if len(self._usual) >= _MATCHES_LIMIT:
            self._usual.clear()
        found = self._usual[key] = self._find_usual(generation, tenant, category, subject, destination)
        return found

    def _find_usual(
        self, generation: GenerationView, tenant: str, category: str, subject: str, destination: str
    ) -> Usual | None:
        profile = self.profile(generation, f"*out:{tenant}:{category}:{subject}")
        if profile is None and not self.settings.subject_prefixes:
            profile = self.profile(generation, f"*out:{tenant}:{category}:{ANY}")
        if profile is None or len(profile.activations) != 1:
            return None
        activation = profile.activations[0]
        matches = self.matches_of(generation, activation.plan_id, destination)
        return Usual(profile.id, activation.activation_ns, matches[0]) if matches else None

    def plan(self, generation: GenerationView, plan_id: str) -> CompiledPlan | None:
        if plan_id not in self._plans:
            plan = generation.get("rating_plan", plan_id)
            self._plans[plan_id] = None if plan is None else CompiledPlan(plan)
        return self._plans[plan_id]

    def matches_of(self, generation: GenerationView, plan_id: str, destination: str) -> tuple[Match, ...] | None:
        """What the number may meet in the plan, best first (10 §3 step 3); all but the last may be inactive at a given
        time. Empty: nothing. None: the plan is missing."""
        numbers = self.matches.get(plan_id)
        if numbers is not None:
            found = numbers.get(destination)
            if found is not None:
                return found
        plan = self.plan(generation, plan_id)
        if plan is None:
            return None
        if self._remembered >= _MATCHES_LIMIT:
            self.matches.clear()
            self._remembered = 0
        self._remembered += 1
        found = self.matches.setdefault(plan_id, {})[destination] = matches_in(
            generation.destinations_of, plan, destination
        )
        return found


def matches_in(
    destinations_of: Callable[[str], tuple[str, ...]], plan: CompiledPlan, destination: str
) -> tuple[Match, ...]:
    found: list[Match] = []
    if destination != ANY:
        for length in range(len(destination), 0, -1):
            prefix = destination[:length]
            owners = destinations_of(prefix)
            if not owners:
                continue
            owners = tuple(dest_id for dest_id in owners if plan.has(dest_id))
            if len(owners) > 1:
                owners = tuple(sorted(owners, key=lambda dest_id: (-plan.rates(dest_id).weight, dest_id)))
            for dest_id in owners:
                rates = plan.rates(dest_id)
                found.append(Match(plan.id, prefix, dest_id, rates))
                if rates.always:
                    return tuple(found)
    if plan.has(ANY):
        found.append(Match(plan.id, ANY, ANY, plan.rates(ANY)))
    return tuple(found)


def tariffs(generation: GenerationView) -> Tariffs:
    return generation.derived(Tariffs, "destination", "rating_plan", "rating_profile", "config")


def local_ns(instant: Instant) -> int:
    """Nanoseconds on the clock of the instant's own offset."""
    return (instant.seconds + instant.offset_s) * NS + instant.nanos
