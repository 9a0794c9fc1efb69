"""Cutting an event into pieces that each have one binding (spec 10 §4). Nothing here knows money.

A piece is (start_ns, end_ns, binding): Unix nanoseconds. The usage of the event at a time is linear in it, so pieces
need no usage of their own: `usage_at_start_ns` is the usage at the start of the event (the group start of the first
piece), and the usage at time t is that plus t - start.
"""

from __future__ import annotations

from collections.abc import Sequence

from cgr_cluster.events.calendar import calendar
from cgr_cluster.events.instant import NS, Instant
from cgr_cluster.rating.compiled import DAY_NS, CompiledBinding, Rates, local_ns

Piece = tuple[int, int, "CompiledBinding | None"]

_SORTED_AS_IS = 12  # up to so many bindings the order of the insertion sort is part of the answer


def same_day(start: Instant, end: Instant) -> bool:
    """Whether both are the same day, each on its own clock: then no midnight cuts."""
    return (start.seconds + start.offset_s) // 86_400 == (end.seconds + end.offset_s) // 86_400


def stops_of(start: Instant, end: Instant, activations_ns: Sequence[int]) -> list[int]:
    """Where a voice call is cut before bindings are looked at, and its end: activation times and midnights."""
    end_ns = end.ns
    start_ns = start.ns
    if end_ns <= start_ns:
        return [end_ns]
    stops = [at for at in sorted(set(activations_ns)) if start_ns < at < end_ns]
    stops.append(end_ns)
    cut: list[int] = []
    offset_ns = start.offset_s * NS
    left_ns = start_ns
    for stop in stops:
        stop_offset_ns = end.offset_s * NS if stop == end_ns else offset_ns
        while _crosses_midnight(left_ns + offset_ns, stop + stop_offset_ns):
            left_ns = _next_midnight(left_ns, offset_ns)
            if left_ns >= stop:
                break
            cut.append(left_ns)
        cut.append(stop)
        left_ns = stop
    return cut


def _crosses_midnight(start_local_ns: int, end_local_ns: int) -> bool:
    """Not when the end is a midnight to the second, nor on the same day of the month as the start (kept oddity)."""
    if end_local_ns % DAY_NS < NS:
        return False
    return calendar(start_local_ns // DAY_NS)[2] != calendar(end_local_ns // DAY_NS)[2]


def _next_midnight(at_ns: int, offset_ns: int) -> int:
    return ((at_ns + offset_ns) // DAY_NS + 1) * DAY_NS - offset_ns


_DAYS_REMEMBERED = 32  # per rates; calls are of today, CDRs of a few days before


def sole_binding(rates: Rates, start: Instant, end: Instant, usage_ns: int) -> CompiledBinding | None:
    """The binding that alone prices a whole call, so that only its slots cut it; None: the cutter has to look. It is there
    when the call stays within one local day and between two start times of bindings, where no binding begins or ends."""
    offset_s = start.offset_s
    if offset_s != end.offset_s or usage_ns < 0:
        return None
    day, second = divmod(start.seconds + offset_s, 86_400)
    begin_ns = second * NS + start.nanos
    end_ns = begin_ns + usage_ns
    if end_ns >= DAY_NS or end_ns < NS:  # the cutter takes an end in the first second for one of the day before
        return None
    if rates.single is not None:
        return rates.single
    periods = rates.days.get(day)
    if periods is None:
        if len(rates.days) >= _DAYS_REMEMBERED:
            rates.days.clear()
        periods = rates.days[day] = _periods(rates.bindings, day)
    for until_ns, binding in periods:
        if begin_ns < until_ns:
            return binding if end_ns < until_ns else None
    return None


def _periods(bindings: Sequence[CompiledBinding], day: int) -> tuple[tuple[int, CompiledBinding | None], ...]:
    """The periods of a day between start times of bindings: (end in ns since midnight, the sole binding or None)."""
    starts = sorted({0, *(binding.start_ns for binding in bindings)})
    midnight = Instant(day * 86_400)
    periods: list[tuple[int, CompiledBinding | None]] = []
    for start_ns, until_ns in zip(starts, [*starts[1:], DAY_NS], strict=True):
        cutter = Cutter(bindings, midnight, midnight, 0, True)
        periods.append((until_ns, cutter.sole(midnight.ns + start_ns)))
    return tuple(periods)


def pieces_of_single(
    binding: CompiledBinding, start_ns: int, stops: Sequence[int], usage_at_start_ns: int
) -> list[Piece]:
    """The pieces under one unrestricted binding: only its slots cut."""
    slots = binding.slots
    if len(stops) == 1 and (len(slots) == 1 or usage_at_start_ns >= slots[-1].start_ns):
        return [(start_ns, stops[0], binding)]
    borders = [start_ns + slot.start_ns - usage_at_start_ns for slot in slots]
    pieces: list[Piece] = []
    left = start_ns
    for stop in stops:
        for border in borders:
            if left < border < stop:
                pieces.append((left, border, binding))
                left = border
        pieces.append((left, stop, binding))
        left = stop
    return pieces


class Cutter:
    """Cuts one call under several or restricted bindings. It owns the list of bindings, whose order lives as long as
    the call and changes with every sort."""

    __slots__ = ("_bindings", "_end_ns", "_end_offset_ns", "_offset_ns", "_origin_ns", "_voice")

    def __init__(
        self, bindings: Sequence[CompiledBinding], start: Instant, end: Instant, usage_at_start_ns: int, voice: bool
    ) -> None:
        self._bindings = list(bindings)
        self._offset_ns = local_ns(start) - start.ns
        self._end_ns = end.ns
        self._end_offset_ns = local_ns(end) - end.ns
        self._origin_ns = start.ns - usage_at_start_ns  # where usage is 0
        self._voice = voice

    def cut(self, start_ns: int, stops: list[int]) -> list[Piece]:
        """The pieces from `start_ns` over all stops; a piece without binding is time that no timing covers."""
        left = start_ns
        waiting: list[Piece] = []
        for stop in stops:
            waiting.append((left, stop, None))
            left = stop
        waiting.reverse()
        done: list[Piece] = []
        while waiting:
            start, end, binding = waiting.pop()
            for candidate in self._candidates(start, end):
                end, binding, right = self._attach_or_cut(candidate, start, end, binding)
                if right is not None:
                    waiting.append(right)
                    if binding is not None:
                        break
            done.append((start, end, binding))
        return done

    def _candidates(self, start: int, end: int) -> list[CompiledBinding]:
        bindings = self._bindings
        _sort(bindings)
        local_start = start + self._offset_ns
        best: int | None = None
        for position, binding in enumerate(bindings):
            if not binding.active_at(local_start):
                continue
            if best is None:
                best = position
            elif binding.weight < bindings[best].weight:
                break
            elif binding.start_ns > bindings[best].start_ns:
                best = position
        first = best or 0
        weight = bindings[first].weight
        day_start = local_start // DAY_NS * DAY_NS - self._offset_ns
        found = [bindings[first]]
        for binding in bindings[first + 1 :]:
            if binding.weight < weight:
                break
            if day_start + binding.start_ns < end:
                found.append(binding)
        return found

    def sole(self, at: int) -> CompiledBinding | None:
        """The only candidate that is active at a time, when the order of the bindings is settled: then it is the only one
        for every piece up to the next start time of a binding."""
        found = [binding for binding in self._candidates(at, at + 1) if binding.active_at(at + self._offset_ns)]
        settled = list(self._bindings)
        _sort(settled)
        return found[0] if len(found) == 1 and settled == self._bindings else None

    def _attach_or_cut(
        self, binding: CompiledBinding, start: int, end: int, present: CompiledBinding | None
    ) -> tuple[int, CompiledBinding | None, Piece | None]:
        """(end of the left part, its binding, right part or None)."""
        local_start = start + self._offset_ns
        local_end = end + (self._end_offset_ns if end == self._end_ns else self._offset_ns)
        at_start = binding.active_at(local_start)
        at_end = binding.active_at(local_end - NS if local_end % DAY_NS < NS else local_end)
        if not at_start and not at_end:
            return end, present, None
        for slot in binding.slots:
            border = self._origin_ns + slot.start_ns
            if start < border < end:
                left = self._attached(binding, local_start, present)
                return border, left, (border, end, self._attached(binding, border + self._offset_ns, None))
        if not self._voice:
            return end, self._attached(binding, local_start, present) if at_start else present, None
        if at_start:
            left = self._attached(binding, local_start, present)
            midnight = _next_midnight(start, self._offset_ns)
            if at_end or midnight >= end:
                return end, left, None
            return midnight, left, (midnight, end, None)
        day = local_start if binding.start_ns else local_end
        border = day // DAY_NS * DAY_NS + binding.start_ns - self._offset_ns
        if not start < border < end:
            return end, present, None
        return border, present, (border, end, self._attached(binding, border + self._offset_ns, None))

    @staticmethod
    def _attached(
        binding: CompiledBinding, local_start: int, present: CompiledBinding | None
    ) -> CompiledBinding | None:
        """`binding` or the present one: a later start in the day or a higher weight replaces."""
        if binding.start_ns > local_start % DAY_NS:
            return present
        if present is None or binding.weight > present.weight or binding.start_ns > present.start_ns:
            return binding
        return present


def _sort(bindings: list[CompiledBinding]) -> None:
    """In place. "Before" is heavier *or* earlier in the day, which is no order: what comes out depends on what was."""
    if len(bindings) > _SORTED_AS_IS:
        bindings.sort(key=lambda binding: (-binding.weight, binding.start_ns))
        return
    for position in range(1, len(bindings)):
        at = position
        while at > 0 and _before(bindings[at], bindings[at - 1]):
            bindings[at], bindings[at - 1] = bindings[at - 1], bindings[at]
            at -= 1


def _before(a: CompiledBinding, b: CompiledBinding) -> bool:
    return a.weight > b.weight or a.start_ns < b.start_ns
