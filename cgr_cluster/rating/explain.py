"""Why a price is what it is (docs/explain.md): the look-up, the cuts, and each rounding of one call.

Derived from the code that rates: it listens to it (`tracing`), and before it answers it checks that what it has heard
gives the price that the plain way gives. There is no second implementation of a rule here; the words are all it adds.
"""

from __future__ import annotations

from typing import Any

from cgr_cluster.engine.domain import GenerationView
from cgr_cluster.events.durations import format_duration
from cgr_cluster.events.times import format_instant
from cgr_cluster.rating.answers import Json, money, number, slot_json, timing_json
from cgr_cluster.rating.call_cost import call_cost, completed
from cgr_cluster.rating.compiled import ANY, CompiledBinding, Tariffs
from cgr_cluster.rating.event_cost import cost_nano, event_cost_of
from cgr_cluster.rating.lookup import RatingInfo, find, profile_key
from cgr_cluster.rating.rate import VOICE, check_usage, connect_fee_nano, priced
from cgr_cluster.rating.rounding import NANO, nano_of, rounded_steps
from cgr_cluster.rating.tracing import (
    Asked,
    Candidates,
    CutHeard,
    Entered,
    SearchedActivation,
    TotalHeard,
    TracedTariffs,
    instant_of,
    searched,
)
from cgr_cluster.rating.types import CallCost, CallDescriptor, Timespan
from cgr_cluster.rpc.errors import ApiError

RATED = "RATED"


def explain(generation: GenerationView, descriptor: CallDescriptor) -> Json:
    """The explanation of `call_cost(generation, descriptor)`. An error of rating is explained, not raised."""
    tariffs = TracedTariffs(generation)
    settings = tariffs.settings
    tenant = descriptor.tenant or settings.tenant
    category = descriptor.category or settings.category
    subject = descriptor.subject or descriptor.account
    start, end = descriptor.time_start, descriptor.time_end
    usage_ns = end.ns - start.ns
    out: Json = {
        "Tenant": tenant,
        "Category": category,
        "Subject": subject,
        "Destination": descriptor.destination or ANY,
        "ToR": descriptor.tor or VOICE,
        "StartTime": format_instant(start),
        "Usage": usage_ns,
        "Result": RATED,
        "Reason": "",
        "Cost": None,
        "Lookups": [],
        "Match": None,
        "Bindings": [],
        "Spans": [],
        "Charges": [],
        "Total": None,
    }
    try:
        check_usage(generation, descriptor.tor, usage_ns)
        infos = find(
            generation, tariffs, tenant, category, subject, descriptor.destination, start, end.ns, trace=tariffs
        )
    except ApiError as error:
        out["Result"] = error.text
        infos = []
    lookups = _Lookups(generation, tariffs, descriptor, profile_key(tenant, category, subject), infos)
    out["Lookups"] = lookups.steps
    if not infos:
        if out["Result"] == "MAX_USAGE_EXCEEDED":
            out["Reason"] = f"the usage of {format_duration(usage_ns)} is more than rals.max_computed_usage allows"
        else:
            out["Reason"] = lookups.failure
        if usage_ns == 0:
            out["Cost"] = 0  # a request of no usage never fails
        return out
    out["Match"] = lookups.match
    if usage_ns == 0:
        out["Reason"] = "no usage: nothing is priced"
        out["Cost"] = 0
        return out
    heard = CutHeard()
    index_ns = max(descriptor.duration_index_ns, usage_ns)
    try:
        spans = priced(settings, infos, start, end, index_ns, descriptor.tor in ("", VOICE), heard)
    except ApiError as error:
        out["Result"] = error.text
        out["Reason"] = "no timing of the plan covers a part of the call"
        spans = []
    bindings = _numbered(infos[0])
    out["Bindings"] = [_binding_json(binding) for binding in bindings]
    if spans:
        out["Spans"] = _spans_json(settings.power, settings.nano_per_step, heard, bindings, spans, descriptor)
        total = TotalHeard()
        cost = completed(settings, descriptor, spans, total)
        _check_same(generation, descriptor, cost)
        out["Charges"] = _charges_json(cost, total)
        out["Total"] = _total_json(cost, total)
        out["Cost"] = out["Total"]["EventCost"]
    return out


def _check_same(generation: GenerationView, descriptor: CallDescriptor, cost: CallCost) -> None:
    if cost != call_cost(generation, descriptor):
        raise RuntimeError("the explanation of a price differs from the price")


# --- the look-up ---------------------------------------------------------------------------------------------------


class _Lookups:
    """The profiles that were looked for, what each search met, and which of them rates the call."""

    def __init__(
        self, generation: GenerationView, tariffs: TracedTariffs, descriptor: CallDescriptor, own_key: str,
        infos: list[RatingInfo],
    ) -> None:  # fmt: skip
        self._start = descriptor.time_start
        self._offset_ns = descriptor.time_start.offset_s * NANO
        self._destination = descriptor.destination or ANY
        self._own_key = own_key
        self._any_key = own_key[: own_key.rindex(":") + 1] + ANY if own_key.count(":") == 3 else ""
        self._depth_limit = tariffs.settings.fallback_depth
        self.steps: list[Json] = []
        self.match: Json | None = None
        self.failure = ""
        asked: Asked | None = None
        for step in tariffs.steps:
            if isinstance(step, Asked):
                if asked is not None:
                    self.steps.append(self._missing(asked, self._depth()))
                asked = step
            else:
                self.steps.append(self._searched(generation, tariffs, step, infos))
                asked = None
        if asked is not None:
            self.steps.append(self._missing(asked, self._depth()))
        if not infos:
            self.failure = self._why_not()

    def _depth(self) -> int:
        """The depth of a profile that is asked for now: behind one with gaps."""
        found = [step["Depth"] for step in self.steps if step["Found"]]
        return found[-1] + 1 if found else 1

    def _how(self, key: str, depth: int) -> str:
        if depth > 1:
            return "fallback"
        if key == self._own_key:
            return "own"
        return "*any" if key.endswith(f":{ANY}") else "shorter subject"

    def _missing(self, asked: Asked, depth: int) -> Json:
        return {"Depth": depth, "Profile": asked.key, "How": self._how(asked.key, depth), "Found": False}

    def _searched(
        self, generation: GenerationView, tariffs: Tariffs, entered: Entered, infos: list[RatingInfo]
    ) -> Json:
        depth = entered.depth
        activations = searched(generation, tariffs, entered, self._destination, self._offset_ns)
        how = self._how(entered.profile.id, depth)
        if infos and self.match is None:
            first = infos[0]
            for one in activations:
                if first.match is one.match or (
                    one.match is not None
                    and first.match is not None
                    and first.subject == entered.profile.id
                    and first.activation_ns == one.activation.activation_ns
                    and first.match.rates is one.match.rates
                ):
                    self.match = self._match_json(one, entered, how)
                    break
        return {
            "Depth": depth,
            "Profile": entered.profile.id,
            "How": how,
            "Found": True,
            "From": format_instant(instant_of(entered.start_ns, self._start)),
            "Until": format_instant(instant_of(entered.end_ns, self._start)),
            "Activations": [self._activation_json(one, entered) for one in activations],
        }

    def _match_json(self, one: SearchedActivation, entered: Entered, how: str) -> Json:
        assert one.match is not None
        return {
            "Profile": entered.profile.id,
            "How": how,
            "Depth": entered.depth,
            "RatingPlanID": one.match.plan_id,
            "ActivationTime": format_instant(instant_of(one.activation.activation_ns, self._start)),
            "DestinationID": one.match.destination_id,
            "Prefix": one.match.prefix,
        }

    def _activation_json(self, one: SearchedActivation, entered: Entered) -> Json:
        activation = one.activation
        outcome = "match"
        if not one.used:
            outcome = (
                "begins after the call" if activation.activation_ns > entered.end_ns else "replaced by a later one"
            )
        elif not one.plan_found:
            outcome = "the rating plan does not exist"
        elif one.match is None:
            outcome = "nothing in the plan for the destination"
        elif activation.activation_ns > entered.start_ns:
            outcome = "match, but begins after the start of the call"
        return {
            "ActivationTime": format_instant(instant_of(activation.activation_ns, self._start)),
            "RatingPlanID": activation.plan_id,
            "FallbackSubjects": [key.rsplit(":", 1)[1] for key in activation.fallback_keys],
            "Outcome": outcome,
            "Prefixes": [
                {"Prefix": prefix, "DestinationID": dest_id, "Outcome": self._probe(one, prefix, dest_id)}
                for prefix, owners in one.probes
                for dest_id in sorted(owners)
            ],
            "Match": None
            if one.match is None
            else {"Prefix": one.match.prefix, "DestinationID": one.match.destination_id},
        }

    @staticmethod
    def _probe(one: SearchedActivation, prefix: str, dest_id: str) -> str:
        """What became of a destination that owns the prefix."""
        places = [
            n for n, match in enumerate(one.matches) if match.prefix == prefix and match.destination_id == dest_id
        ]
        match = one.match
        if match is not None and match.prefix == prefix and match.destination_id == dest_id:
            return "match"
        if not places:
            same = [m for m in one.matches if m.prefix == prefix]
            if same and same[-1].rates.always and match is not None and match.prefix == prefix:
                return "not in the plan, or of less weight"
            return "not in the plan"
        if match is None or one.matches.index(match) > places[0]:
            return "no timing active at the start"
        return "less weight than the match" if match.prefix == prefix else "shorter than the match"

    def _why_not(self) -> str:
        found = [step for step in self.steps if step["Found"]]
        if not found:
            looked = " nor ".join(dict.fromkeys(step["Profile"] for step in self.steps))
            return f"there is no rating profile {looked}"
        said = []
        for step in found:
            for activation in step["Activations"]:
                plan = activation["RatingPlanID"]
                outcome = activation["Outcome"]
                if outcome == "nothing in the plan for the destination":
                    said.append(
                        f"plan {plan} of {step['Profile']} has no active rates for {self._destination} nor *any"
                    )
                elif outcome != "replaced by a later one":
                    said.append(f"plan {plan} of {step['Profile']}: {outcome}")
            if not step["Activations"]:
                said.append(f"{step['Profile']} has no activations")
            if step["Depth"] == self._depth_limit:
                said.append(f"rals.fallback_depth is {self._depth_limit}: no further fallback is looked at")
        missing = [step["Profile"] for step in self.steps if not step["Found"] and step["Depth"] > 1]
        said += [f"the fallback {key} does not exist" for key in missing]
        return "; ".join(dict.fromkeys(said))


# --- bindings, spans -----------------------------------------------------------------------------------------------


def _numbered(info: RatingInfo) -> list[CompiledBinding]:
    assert info.match is not None
    return list(info.match.rates.bindings)


def _binding_json(binding: CompiledBinding) -> Json:
    timing = binding.interval.timing
    rating = binding.interval.rating
    assert timing is not None
    return {
        "TimingID": timing.id,
        **timing_json(timing),
        "Weight": number(binding.weight),
        "ConnectFee": number(rating.connect_fee),
        "RoundingMethod": rating.rounding_method,
        "RoundingDecimals": rating.rounding_decimals,
        "MaxCost": number(rating.max_cost),
        "MaxCostStrategy": rating.max_cost_strategy,
        "Slots": [slot_json(slot) for slot in rating.slots],
    }


def _spans_json(
    power: float,
    nano_per_step: int,
    heard: CutHeard,
    bindings: list[CompiledBinding],
    spans: list[Timespan],
    descriptor: CallDescriptor,
) -> list[Json]:
    """One entry per priced span. A span begins in a piece of its own (or in the part of one that the span before has
    not covered by its last increment)."""
    origin_ns = descriptor.time_start.ns - heard.usage_at_start_ns
    choices = {choice.start_ns: choice for choice in heard.candidates}
    out = []
    at = 0
    for span in spans:
        start_ns = span.time_start.ns
        while heard.pieces[at][1] <= start_ns and at + 1 < len(heard.pieces):
            at += 1
        piece_start, piece_end, binding = heard.pieces[at]
        at += 1
        assert binding is not None
        increment = span.increments[0]
        usage_ns = start_ns - origin_ns
        slot = binding.slots[0]
        position = 0
        for later, candidate in enumerate(binding.slots):
            if candidate.start_ns <= usage_ns:
                slot, position = candidate, later
        out.append(
            {
                "StartTime": format_instant(span.time_start),
                "EndTime": format_instant(span.time_end),
                "UsageFrom": usage_ns,
                "UsageTo": span.duration_index_ns,
                "CutAt": format_instant(instant_of(piece_end, descriptor.time_start)),
                "CutBy": _cut_by(heard, binding, piece_end, origin_ns, descriptor),
                "Binding": bindings.index(binding),
                "Candidates": _candidates_json(choices.get(piece_start), bindings, binding),
                "Slot": position,
                "RoundedUpBy": max(0, span.time_end.ns - piece_end),
                "Increment": increment.duration_ns,
                "Increments": increment.compress_factor,
                **_price_json(power, nano_per_step, slot.price_per_ns, span),
            }
        )
    return out


def _cut_by(heard: CutHeard, binding: CompiledBinding, end_ns: int, origin_ns: int, descriptor: CallDescriptor) -> str:
    if end_ns == heard.stops[-1]:
        return "end of the call"
    if any(origin_ns + slot.start_ns == end_ns for slot in binding.slots):
        return "next rate slot"
    if (end_ns + descriptor.time_start.offset_s * NANO) % (86_400 * NANO) == 0:
        return "midnight"
    return "activation" if end_ns in heard.stops else "timing"


def _candidates_json(choice: Candidates | None, bindings: list[CompiledBinding], chosen: CompiledBinding) -> list[Json]:
    """The bindings in the order of the choice. Without a choice: a binding carried over a cut, or the only one."""
    if choice is None:
        why = "the only one, at any time" if len(bindings) == 1 else "goes on behind the cut of a rate slot"
        return [{"Binding": bindings.index(chosen), "Weight": number(chosen.weight), "Active": True, "Outcome": why}]
    out = []
    for binding in choice.in_order:
        active = binding in choice.active
        if binding is chosen:
            outcome = "chosen"
        elif not active:
            outcome = "begins later in this piece" if binding in choice.tried else "not active at the start"
        elif binding.weight < chosen.weight:
            outcome = "less weight"
        elif binding.start_ns < chosen.start_ns:
            outcome = "starts earlier in the day"
        else:
            outcome = "behind the chosen one in the order"
        out.append(
            {
                "Binding": bindings.index(binding),
                "Weight": number(binding.weight),
                "Active": active,
                "Outcome": outcome,
            }
        )
    return out


def _price_json(power: float, nano_per_step: int, price_per_ns: float, span: Timespan) -> Json:
    """The two roundings of a span's price, with what they rounded (10 §5)."""
    increment = span.increments[0]
    count = increment.compress_factor
    length_ns = count * increment.duration_ns
    unrounded = length_ns * price_per_ns
    rounded = rounded_steps(unrounded, power) / power
    share = rounded / count
    steps = rounded_steps(share, power)
    if steps * nano_per_step != increment.cost_nano:
        raise RuntimeError("the explanation of an increment's cost differs from its cost")
    return {
        "Rounding": [
            {"What": "length x price", "Unrounded": unrounded, "Rounded": rounded},
            {"What": "divided by increments", "Unrounded": share, "Rounded": money(increment.cost_nano)},
        ],
        "IncrementCost": money(increment.cost_nano),
        "Cost": money(count * increment.cost_nano),
    }


# --- the total -----------------------------------------------------------------------------------------------------


def _charges_json(cost: CallCost, heard: TotalHeard) -> list[Json]:
    """The spans as they are charged: equal neighbours merged, the connect fee in the first."""
    out = []
    for span, total in zip(cost.timespans or [], heard.spans, strict=True):
        fees = [increment for increment in span.increments if increment.duration_ns == 0]
        out.append(
            {
                "CompressFactor": span.compress_factor,
                "ConnectFee": money(fees[0].cost_nano) if fees else 0,
                "Unrounded": total.plain,
                "Cost": money(nano_of(total.cost)),
                "Total": money(nano_of(total.sum_before)),
                "CapComparedWith": money(nano_of(total.so_far)),
                "CappedTo": money(nano_of(total.total)) if total.total != total.sum_before else None,
            }
        )
    return out


def _total_json(cost: CallCost, heard: TotalHeard) -> Json:
    spans = cost.timespans or []
    first: Any = spans[0] if spans else None
    return {
        "ConnectFee": 0 if first is None else money(connect_fee_nano(first) * first.compress_factor),
        "EventCost": money(cost_nano(event_cost_of(cost))),
        "BeforeRounding": money(nano_of(heard.total)),
        "RoundingMethod": heard.method,
        "RoundingDecimals": heard.decimals,
        "CallCost": money(cost.cost_nano),
    }
