"""A small tariff, written as rows, for tests of rating: `World(...).generation()`."""

from __future__ import annotations

from typing import Any

from cgr_cluster.engine.codec import pack
from cgr_cluster.engine.generation import Generation
from cgr_cluster.events.durations import parse_duration
from cgr_cluster.events.instant import Instant
from cgr_cluster.events.times import parse_time
from cgr_cluster.rating.reference import Activation, Binding, Destination, RatingPlan, RatingProfile
from cgr_cluster.rating.types import CallDescriptor, Rating, Slot, Timing

LONG_AGO = "2020-01-01T00:00:00Z"
LIMITS = {"*any": "189h", "*voice": "72h", "*data": "107374182400", "*sms": "10000"}


def at(text: str) -> Instant:
    return parse_time(text, 0)


def rates(*rows: tuple[float, str, str, str], fee: float = 0.0, **rating: Any) -> Rating:
    """Rows (price, unit, increment, from)."""
    slots = tuple(
        Slot(parse_duration(start), float(price), parse_duration(increment), parse_duration(unit))
        for price, unit, increment, start in rows
    )
    return Rating(fee, slots=slots, **{"rounding_method": "*up", "rounding_decimals": 4, **rating})


def per_minute(price: float, increment: str = "1s", **rating: Any) -> Rating:
    return rates((price, "60s", increment, "0s"), **rating)


ANY_TIME = Timing("*any", start_time="00:00:00")


class World:
    """`plan` rows are (destination id, timing, rating, weight); profiles are subject → activations."""

    def __init__(self, **config: Any) -> None:
        self.config = {"general": {"rounding_decimals": 5}, "rals": {"max_computed_usage": LIMITS, **config}}
        self.objects: dict[tuple[str, str], Any] = {}

    def destination(self, name: str, *prefixes: str) -> World:
        self.objects["destination", name] = Destination(name, prefixes)
        return self

    def plan(self, name: str, *rows: tuple[str, Timing, Rating, float]) -> World:
        bindings: dict[str, list[Binding]] = {}
        timings, ratings = {}, {}
        for number, (destination, timing, rating, weight) in enumerate(rows):
            timings[f"t{number}"], ratings[f"r{number}"] = timing, rating
            bindings.setdefault(destination, []).append(Binding(f"t{number}", f"r{number}", weight))
        self.objects["rating_plan", name] = RatingPlan(
            name, timings, ratings, {key: tuple(value) for key, value in bindings.items()}
        )
        return self

    def profile(self, subject: str, *activations: tuple[str, str, str], category: str = "call") -> World:
        """Activations (time, plan id, fallback subjects `a;b`)."""
        key = f"*out:cgrates.org:{category}:{subject}"
        self.objects["rating_profile", key] = RatingProfile(
            key,
            tuple(
                Activation(
                    at(when),
                    plan_id,
                    tuple(f"*out:cgrates.org:{category}:{name}" for name in fallback.split(";") if name),
                )
                for when, plan_id, fallback in activations
            ),
        )
        return self

    def generation(self) -> Generation:
        changes = [(kind, key, pack(value)) for (kind, key), value in self.objects.items()]
        return Generation(self.config).apply(changes, 1)


def one_rate(rating: Rating, *more: tuple[Timing, Rating, float]) -> Generation:
    """Destination NO (47) under subject `*any`: one rate at any time, or the timings given."""
    rows = [("NO", timing, other, weight) for timing, other, weight in more] or [("NO", ANY_TIME, rating, 10.0)]
    world = World().destination("NO", "47").plan("RP", *rows)
    return world.profile("*any", (LONG_AGO, "RP", "")).generation()


def call(
    seconds: float = 60, start: str = "2025-03-04T10:00:00Z", destination: str = "4722334455", **fields: Any
) -> CallDescriptor:
    """A call of a length in seconds; `usage_ns` for other units."""
    begin = at(start)
    usage_ns = fields.pop("usage_ns", round(seconds * 1_000_000_000))
    fields = {"subject": "1001", "tor": "*voice", "tenant": "cgrates.org", "category": "call", **fields}
    return CallDescriptor(destination=destination, time_start=begin, time_end=begin.plus(usage_ns), **fields)
