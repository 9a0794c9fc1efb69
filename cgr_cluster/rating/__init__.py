"""Rating: who, what kind, to where, when, how long → a cost (spec chapter 10, sections 1.4, 2-7).

Everything here is a pure function of a generation and its arguments; there is no state but what is compiled from a
generation (`GenerationView.derived`). Entry points:

`rate.rate(generation, descriptor, *, subject=None, start=None, end=None, duration_index_ns=None) -> list[Timespan]`
    Priced spans of [start, end) (default: the descriptor's times), uncompressed, without connect fee, cap or rounding
    of the total. Each span has its binding (`rate_interval`), what matched, and exactly one `Increment(duration_ns,
    cost_nano, n)`: n equal increments, `balance_info` None. The objects are the caller's to change. `subject` takes
    the place of subject *and* account (a balance's RatingSubject, 20 §3.4). `duration_index_ns` (default: the
    descriptor's) is raised to end - start when smaller. `end` may be before `start`: one increment. Length 0 is not
    for `rate`: see `unpriced_span`. Raises ApiError `RATING_PLAN_NOT_FOUND`, `UNAUTHORIZED_DESTINATION`.
`rate.unpriced_span(generation, descriptor) -> Timespan`
    The one empty span of a request of usage 0, with what matched (20 §3.2 step 2). Raises as `rate`.
`rate.check_usage(generation, tor, usage_ns)`
    Raises `MAX_USAGE_EXCEEDED` (10 §6). Give the ToR before any default.
`rate.connect_fee_nano(span) -> int`
    Connect fee of the span's rate.
`call_cost.call_cost(generation, descriptor) -> CallCost`
    Responder.GetCost: rate, compress, connect fee, cap, rounding of the total.
`call_cost.compress(timespans) -> list[Timespan]`
    Merges equal neighbouring increments inside spans, then equal neighbouring spans (10 §6).
`rounding.round_nano(amount_nano, decimals, method) -> int`
    The chapter's rounding function on an amount of money (decimals 0: to whole money). `rounding_difference(...)` is what it
    adds, as far as prices and balances have such decimals.
`event_cost.event_cost_of(call_cost, cgrid="", run_id="") -> EventCost`, `usage_ns`, `cost_nano`, `with_summary`
    Cost details and their sums (10 §7.2, 20 §3.13). EventCosts are never changed: all functions give new ones.
`event_cost_pieces.join_call_cost(cost | None, call_cost, cgrid, run_id)`, `join(cost, piece)`, `pause(...)`,
`cut(cost, used_ns, tor) -> (kept, cut-off increments)`, `add_rounding(cost) -> (rounded, increments to debit)`,
`increments_of(cost, tor)` (all of it, for refunds), `merged_summary(first, last)`
    The cost details of a session, piece by piece (30 §4.4).
`answers`: the API's JSON forms (`call_cost_json`, `event_cost_json`, ...); `event_cost_reading.event_cost_from_json`
    back; `params.CallDescriptorParams`, `params.descriptor_of`: the API's CallDescriptor.
"""
