"""Finding the rates of a call (spec 10 §3): profile, activations, longest prefix, fallback subjects."""

from __future__ import annotations

from typing import Protocol

from cgr_cluster.engine.domain import GenerationView
from cgr_cluster.events.instant import Instant
from cgr_cluster.rating.compiled import ANY, CompiledActivation, CompiledProfile, Match, Tariffs, local_ns
from cgr_cluster.rpc.errors import ApiError

RATING_PLAN_NOT_FOUND = "RATING_PLAN_NOT_FOUND"
UNAUTHORIZED_DESTINATION = "UNAUTHORIZED_DESTINATION"


class RatingInfo:
    """Which rates hold from `activation_ns` on. `match` None: a gap, to be filled from `fallback_keys`."""

    __slots__ = ("activation_ns", "fallback_keys", "match", "subject")

    def __init__(
        self, subject: str, activation_ns: int, match: Match | None = None, fallback_keys: tuple[str, ...] = ()
    ) -> None:
        self.subject = subject
        self.activation_ns = activation_ns
        self.match = match
        self.fallback_keys = fallback_keys


class LookupTrace(Protocol):
    """Hears which profiles a look-up goes through (explanations of a price)."""

    def entered(self, profile: CompiledProfile, start_ns: int, end_ns: int, depth: int) -> None: ...


class Query:
    """One look-up: the tariffs, and what the call says. `destination` is never empty."""

    __slots__ = ("any_key", "destination", "generation", "offset_ns", "tariffs", "trace")

    def __init__(
        self,
        generation: GenerationView,
        tariffs: Tariffs,
        any_key: str,
        destination: str,
        start: Instant,
        trace: LookupTrace | None = None,
    ) -> None:
        self.generation = generation
        self.tariffs = tariffs
        self.any_key = any_key
        self.destination = destination
        self.offset_ns = local_ns(start) - start.ns
        self.trace = trace


def profile_key(tenant: str, category: str, subject: str) -> str:
    return f"*out:{tenant}:{category}:{subject}"


def find(
    generation: GenerationView,
    tariffs: Tariffs,
    tenant: str,
    category: str,
    subject: str,
    destination: str,
    start: Instant,
    end_ns: int,
    trace: LookupTrace | None = None,
) -> list[RatingInfo]:
    """The rating infos of a call, from its start on, without gaps. Raises ApiError `RATING_PLAN_NOT_FOUND` or
    `UNAUTHORIZED_DESTINATION`. Defaults are the caller's; an empty destination is `*any`."""
    any_key = profile_key(tenant, category, ANY)
    query = Query(generation, tariffs, any_key, destination or ANY, start, trace)
    profile = _profile(query, profile_key(tenant, category, subject))
    if profile is None:
        profile = tariffs.profile(generation, any_key)
        if profile is None:
            raise ApiError(RATING_PLAN_NOT_FOUND)
    return find_in(query, profile, start.ns, end_ns)


def find_in(query: Query, profile: CompiledProfile, start_ns: int, end_ns: int, depth: int = 1) -> list[RatingInfo]:
    """Steps 2 to 5 of the look-up, for a profile that was found (or made up)."""
    if query.trace is not None:
        query.trace.entered(profile, start_ns, end_ns, depth)
    infos = _own_infos(query, profile, start_ns, end_ns)
    if any(info.match is None for info in infos):
        infos = _filled(query, infos, start_ns, end_ns, depth + 1)
    if not infos or infos[0].activation_ns > start_ns:
        raise ApiError(UNAUTHORIZED_DESTINATION)
    return infos


def _own_infos(query: Query, profile: CompiledProfile, start_ns: int, end_ns: int) -> list[RatingInfo]:
    infos: list[RatingInfo] = []
    for position, activation in enumerate(used_activations(profile, start_ns, end_ns)):
        matches = query.tariffs.matches_of(query.generation, activation.plan_id, query.destination)
        if matches is None:
            continue
        if position == 0 and start_ns < activation.activation_ns:
            infos.append(RatingInfo("", start_ns, None, (query.any_key,)))
        match = active_match(matches, start_ns + query.offset_ns)
        if match is not None:
            infos.append(RatingInfo(profile.id, activation.activation_ns, match, activation.fallback_keys))
        elif activation.fallback_keys:
            infos.append(RatingInfo("", activation.activation_ns, None, activation.fallback_keys))
    return infos


def used_activations(profile: CompiledProfile, start_ns: int, end_ns: int) -> tuple[CompiledActivation, ...]:
    """From the last activation at or before the start (else the first) up to the first one after the end."""
    activations = profile.activations
    first = 0
    for position, activation in enumerate(activations):
        if activation.activation_ns <= start_ns:
            first = position
        if activation.activation_ns > end_ns:
            return activations[first:position]
    return activations[first:]


def active_match(matches: tuple[Match, ...], local_start_ns: int) -> Match | None:
    """The first that is active at the start; the plan's `*any` entry is not asked."""
    for match in matches:
        if match.rates.always or match.destination_id == ANY or match.rates.active_at(local_start_ns):
            return match
    return None


def _filled(query: Query, infos: list[RatingInfo], start_ns: int, end_ns: int, depth: int) -> list[RatingInfo]:
    """`infos` with each gap replaced by what its first sufficient fallback gives for its period."""
    if depth > query.tariffs.settings.fallback_depth:
        raise ApiError(UNAUTHORIZED_DESTINATION)
    filled: list[RatingInfo] = []
    for position, info in enumerate(infos):
        if info.match is not None:
            filled.append(info)
            continue
        gap_start = start_ns if position == 0 else info.activation_ns
        gap_end = infos[position + 1].activation_ns if position + 1 < len(infos) else end_ns
        filled.extend(_first_fallback(query, info.fallback_keys, gap_start, gap_end, depth))
    return filled


def _first_fallback(query: Query, keys: tuple[str, ...], start_ns: int, end_ns: int, depth: int) -> list[RatingInfo]:
    for key in keys:
        profile = _profile(query, key)
        if profile is None:
            continue
        try:
            return find_in(query, profile, start_ns, end_ns, depth)
        except ApiError:
            continue  # this subject does not cover the gap; the next one may
    raise ApiError(UNAUTHORIZED_DESTINATION)


def _profile(query: Query, key: str) -> CompiledProfile | None:
    """The profile; with `rals.rp_subject_prefix_matching` that of the longest beginning of the subject."""
    found = query.tariffs.profile(query.generation, key)
    if found is None and query.tariffs.settings.subject_prefixes:
        direction, tenant, category, subject = key.split(":", 3)
        for length in range(len(subject) - 1, 0, -1):
            shorter = f"{direction}:{tenant}:{category}:{subject[:length]}"
            found = query.tariffs.profile(query.generation, shorter)
            if found is not None:
                break
    return found
