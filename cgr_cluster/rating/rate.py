"""Rating a call: look-up, cutting, rounding up to increments, price of each span (spec 10 §3-5).

Equal increments are counted, never listed: a span of n increments costs the same to compute for any n, and there is no
limit on n (10 §5).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import floor
from typing import Protocol

from cgr_cluster.engine.domain import GenerationView
from cgr_cluster.events.instant import NS, Instant
from cgr_cluster.rating.compiled import (
    ANY,
    CompiledActivation,
    CompiledBinding,
    CompiledProfile,
    Match,
    Settings,
    Tariffs,
    tariffs,
)
from cgr_cluster.rating.lookup import UNAUTHORIZED_DESTINATION, Query, RatingInfo, find, find_in, profile_key
from cgr_cluster.rating.rounding import nano_of
from cgr_cluster.rating.spans import Cutter, Piece, pieces_of_single, same_day, sole_binding, stops_of
from cgr_cluster.rating.types import CallDescriptor, Increment, Timespan
from cgr_cluster.rpc.errors import ApiError

VOICE = "*voice"


def check_usage(generation: GenerationView, tor: str, usage_ns: int) -> None:
    """Raise ApiError `MAX_USAGE_EXCEEDED` beyond `rals.max_computed_usage` (10 §6). `tor` as given: empty means `*any`."""
    limits = tariffs(generation).settings.max_usage_ns
    limit = limits.get(tor)
    if limit is None:
        limit = limits.get(ANY)
    if limit is not None and usage_ns > limit:
        raise ApiError("MAX_USAGE_EXCEEDED")


def rate(
    generation: GenerationView,
    descriptor: CallDescriptor,
    *,
    subject: str | None = None,
    start: Instant | None = None,
    end: Instant | None = None,
    duration_index_ns: int | None = None,
) -> list[Timespan]:
    """Priced spans of the call, uncompressed, without connect fee. See the package for what callers may rely on."""
    compiled = tariffs(generation)
    if start is None:
        start = descriptor.time_start
    if end is None:
        end = descriptor.time_end
    start_ns = start.ns
    usage_ns = end.ns - start_ns
    index_ns = descriptor.duration_index_ns if duration_index_ns is None else duration_index_ns
    settings = compiled.settings
    usual = compiled.usual(
        generation,
        descriptor.tenant or settings.tenant,
        descriptor.category or settings.category,
        (descriptor.subject or descriptor.account) if subject is None else subject,
        descriptor.destination or ANY,
    )
    if usual is not None and usual.activation_ns <= start_ns:
        binding = sole_binding(usual.match.rates, start, end, usage_ns)
        if binding is not None:  # what nearly every call meets: one plan, and one binding from its start to its end
            usage_at_start_ns = index_ns - usage_ns if index_ns > usage_ns else 0
            pieces = pieces_of_single(binding, start_ns, (start_ns + usage_ns,), usage_at_start_ns)
            return _spans(settings, pieces, usual.profile_id, usual.match, start, end, usage_at_start_ns - start_ns)
    infos = _infos(generation, compiled, descriptor, subject, start, end)
    return priced(settings, infos, start, end, max(index_ns, usage_ns), descriptor.tor in ("", VOICE))


def rate_on_plan(generation: GenerationView, descriptor: CallDescriptor, plan_id: str) -> list[Timespan]:
    """As `rate`, with one plan that is active from the start of the call, instead of the subject's profile."""
    compiled = tariffs(generation)
    start, end = descriptor.time_start, descriptor.time_end
    tenant = descriptor.tenant or compiled.settings.tenant
    any_key = profile_key(tenant, descriptor.category, ANY)
    query = Query(generation, compiled, any_key, descriptor.destination or ANY, start)
    key = profile_key(tenant, descriptor.category, descriptor.subject or descriptor.account)
    profile = CompiledProfile(key, (CompiledActivation(start.ns, plan_id, ()),))
    infos = find_in(query, profile, start.ns, end.ns)
    index_ns = max(descriptor.duration_index_ns, end.ns - start.ns)
    return priced(compiled.settings, infos, start, end, index_ns, descriptor.tor in ("", VOICE))


def unpriced_span(generation: GenerationView, descriptor: CallDescriptor) -> Timespan:
    """The empty span of a request of usage 0: what matched, no binding, no increments, CompressFactor 0."""
    start = descriptor.time_start
    end = descriptor.time_end
    info = _infos(generation, tariffs(generation), descriptor, None, start, end)[0]
    match = _match(info)
    return Timespan(
        start,
        end,
        descriptor.duration_index_ns,
        matched_subject=info.subject,
        matched_prefix=match.prefix,
        matched_dest_id=match.destination_id,
        rating_plan_id=match.plan_id,
        compress_factor=0,
    )


def connect_fee_nano(span: Timespan) -> int:
    """What beginning a call with this span costs (10 §2.3), whoever has to pay it."""
    interval = span.rate_interval
    return 0 if interval is None else nano_of(interval.rating.connect_fee)


def _infos(
    generation: GenerationView,
    compiled: Tariffs,
    descriptor: CallDescriptor,
    subject: str | None,
    start: Instant,
    end: Instant,
) -> list[RatingInfo]:
    settings = compiled.settings
    tenant = descriptor.tenant or settings.tenant
    category = descriptor.category or settings.category
    if subject is None:
        subject = descriptor.subject or descriptor.account
    destination = descriptor.destination or ANY
    return find(generation, compiled, tenant, category, subject, destination, start, end.ns)


def _match(info: RatingInfo) -> Match:
    match = info.match
    assert match is not None  # `find` leaves no gap
    return match


class CutTrace(Protocol):
    """Hears how a call is cut (explanations of a price). `cutter` makes the one that is used."""

    def cutter(
        self, bindings: Sequence[CompiledBinding], start: Instant, end: Instant, usage_at_start_ns: int, voice: bool
    ) -> Cutter: ...
    def cut(self, pieces: list[Piece], stops: list[int], usage_at_start_ns: int) -> None: ...


def priced(
    settings: Settings,
    infos: list[RatingInfo],
    start: Instant,
    end: Instant,
    index_ns: int,
    voice: bool,
    trace: CutTrace | None = None,
) -> list[Timespan]:
    """The priced spans of a call whose rates are found."""
    info = infos[0]
    match = _match(info)
    start_ns = start.ns
    end_ns = end.ns
    usage_at_start_ns = max(0, index_ns - (end_ns - start_ns))
    stops = [end_ns]
    if voice and (len(infos) > 1 or not same_day(start, end)):
        stops = stops_of(start, end, [later.activation_ns for later in infos[1:]])
    single = match.rates.single
    if single is not None:
        pieces = pieces_of_single(single, start_ns, stops, usage_at_start_ns)
    else:
        make = Cutter if trace is None else trace.cutter
        pieces = make(match.rates.bindings, start, end, usage_at_start_ns, voice).cut(start_ns, stops)
    if trace is not None:
        trace.cut(pieces, stops, usage_at_start_ns)
    return _spans(settings, pieces, info.subject, match, start, end, usage_at_start_ns - start_ns)


def _spans(
    settings: Settings,
    pieces: list[Piece],
    subject: str,
    match: Match,
    start: Instant,
    end: Instant,
    usage_at_epoch_ns: int,
) -> list[Timespan]:
    """Round the pieces up to their increments, and price them. What an increment that began before a cut covers behind
    it belongs to the piece before (10 §4 step 4). `usage_at_epoch_ns` plus a time is the usage of the event then."""
    power = settings.power
    nano_per_step = settings.nano_per_step
    prefix, destination_id, plan_id = match.prefix, match.destination_id, match.plan_id
    end_ns = end.ns
    spans: list[Timespan] = []
    covered_ns = pieces[0][0]
    left = start
    for piece_start, piece_end, binding in pieces:
        if piece_end <= covered_ns and spans:
            continue
        if piece_start < covered_ns:
            piece_start = covered_ns
        if binding is None:
            raise ApiError(UNAUTHORIZED_DESTINATION)  # time that no timing covers
        usage_ns = usage_at_epoch_ns + piece_start
        slot = binding.slots[0]
        for later in binding.slots:
            if later.start_ns > usage_ns:
                break
            slot = later
        increment_ns = slot.increment_ns
        count = -((piece_start - piece_end) // increment_ns)
        if count < 1:
            count = 1  # an end before the start costs one increment
        length_ns = count * increment_ns
        # c = r5(length x price), cost of an increment = r5(c / n): `rounded_steps` written out, for speed
        scaled = length_ns * slot.price_per_ns * power
        steps = floor(scaled)
        if scaled - steps >= 0.5 and scaled > 0.0:
            steps += 1
        scaled = steps / power / count * power
        steps = floor(scaled)
        if scaled - steps >= 0.5 and scaled > 0.0:
            steps += 1
        cost = steps * nano_per_step
        covered_ns = piece_start + length_ns
        right = end if covered_ns == end_ns else Instant(covered_ns // NS, covered_ns % NS, start.offset_s)
        spans.append(
            Timespan(
                left, right, usage_ns + length_ns, count * cost, binding.interval,
                [Increment(increment_ns, cost, count)], None, subject, prefix, destination_id, plan_id,
            )
        )  # fmt: skip
        left = right
    return spans
