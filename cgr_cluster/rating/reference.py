"""Reference data of rating, as stored (spec chapter 10, section 2)."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from cgr_cluster.engine.domain import reference
from cgr_cluster.events.instant import Instant
from cgr_cluster.rating.types import Rating, Timing


@reference("destination")
class Destination(msgspec.Struct, frozen=True, gc=False):
    """`prefixes` as loaded (a repeated row is kept twice); the reverse index prefix → ids is the generation's."""

    id: str
    prefixes: tuple[str, ...] = ()


@reference("timing")
class StoredTiming(msgspec.Struct, frozen=True, gc=False):
    timing: Timing


class Binding(msgspec.Struct, frozen=True, gc=False):
    """One entry of a plan's DestinationRates: keys into `timings` and `ratings`, and the weight."""

    timing: str
    rating: str
    weight: float


@reference("rating_plan", apart="bindings")
class RatingPlan(msgspec.Struct, frozen=True, gc=False):
    """10 §2.5: keys of `timings` and `ratings` are 8 hex digits of SHA-1; `bindings` maps destination id → in row order."""

    id: str
    timings: dict[str, Timing] = {}
    ratings: dict[str, Rating] = {}
    bindings: Mapping[str, tuple[Binding, ...]] = {}


class Activation(msgspec.Struct, frozen=True, gc=False):
    activation_time: Instant
    rating_plan_id: str
    fallback_keys: tuple[str, ...] = ()


@reference("rating_profile")
class RatingProfile(msgspec.Struct, frozen=True, gc=False):
    """`id` is `*out:TENANT:CATEGORY:SUBJECT` (10 §2.6); also the key."""

    id: str
    activations: tuple[Activation, ...] = ()


class GroupParameters(msgspec.Struct, frozen=True, gc=False):
    strategy: str = ""
    rating_subject: str = ""


@reference("shared_group")
class SharedGroup(msgspec.Struct, frozen=True, gc=False):
    """10 §2.7. Members are state (they grow at run time), so not here: `accounts` keeps them."""

    id: str
    account_parameters: dict[str, GroupParameters] = {}
