"""Finding the rates of a call (spec 10 §3)."""

from __future__ import annotations

import pytest

from cgr_cluster.rating.answers import money
from cgr_cluster.rating.call_cost import call_cost, cost_on_plan
from cgr_cluster.rating.rate import rate
from cgr_cluster.rating.types import CallDescriptor, Timing
from cgr_cluster.rpc.errors import ApiError
from tests.unit.rating_world import ANY_TIME, LONG_AGO, World, call, per_minute

NOON = "2025-06-15T12:00:00Z"
EVENING = Timing("EVENING", start_time="18:00:00")


def world(**config: object) -> World:
    return (
        World(**config)
        .destination("NO", "47", "0047")
        .destination("NO_MOB", "474", "479")
        .destination("SAT", "8816")
        .destination("SAT_B", "8816")
        .destination("SAT_C", "8816")
        .destination("FR", "33")
        .destination("ES", "34")
        .plan(
            "RP",
            ("NO", ANY_TIME, per_minute(1, "60s"), 10.0),
            ("NO_MOB", EVENING, per_minute(2, "60s"), 10.0),
            ("SAT", ANY_TIME, per_minute(3, "60s"), 10.0),
            ("SAT_B", ANY_TIME, per_minute(4, "60s"), 20.0),
            ("SAT_C", ANY_TIME, per_minute(5, "60s"), 20.0),
        )
        .plan(
            "RP_DEFAULT", ("NO", ANY_TIME, per_minute(1, "60s"), 10.0), ("*any", ANY_TIME, per_minute(9, "60s"), 10.0)
        )
        .plan("RP_FR", ("FR", ANY_TIME, per_minute(6, "60s"), 10.0))
        .plan("RP_ES", ("ES", ANY_TIME, per_minute(7, "60s"), 10.0))
        .profile("*any", (LONG_AGO, "RP", ""))
        .profile("default", (LONG_AGO, "RP_DEFAULT", ""))
        .profile("french", (LONG_AGO, "RP_FR", ""))
        .profile("silver", (LONG_AGO, "RP_FR", "missing;spanish;*any"))
        .profile("spanish", (LONG_AGO, "RP_ES", ""))
        .profile("gone", (LONG_AGO, "RP_GONE", ""))
        .profile("gone_fb", (LONG_AGO, "RP_GONE", "spanish"))
        .profile("chain1", (LONG_AGO, "RP_FR", "chain2"))
        .profile("chain2", (LONG_AGO, "RP_FR", "chain3"))
        .profile("chain3", (LONG_AGO, "RP_FR", "chain4"))
        .profile("chain4", (LONG_AGO, "RP_ES", ""))
        .profile("late", (NOON, "RP_DEFAULT", ""))
        .profile("two", (LONG_AGO, "RP", ""), (NOON, "RP_DEFAULT", ""))
    )


GENERATION = world().generation()


def price(generation: object, descriptor: CallDescriptor) -> float | str:
    try:
        return money(call_cost(generation, descriptor).cost_nano)  # type: ignore[arg-type]
    except ApiError as error:
        return error.text


NOT_FOUND, UNAUTHORIZED = "RATING_PLAN_NOT_FOUND", "UNAUTHORIZED_DESTINATION"


@pytest.mark.parametrize(
    ("subject", "destination", "start", "expected"),
    [
        ("x", "4722", "10:00:00", 1),
        ("x", "004722", "10:00:00", 1),
        ("x", "47", "10:00:00", 1),  # the whole number is a prefix
        ("x", "4", "10:00:00", UNAUTHORIZED),
        ("x", "4741", "10:00:00", 1),  # the longer prefix has no active timing yet
        ("x", "4741", "18:00:00", 2),
        ("x", "8816", "10:00:00", 4),  # same prefix: highest weight, then smallest id
        ("x", "", "10:00:00", UNAUTHORIZED),
        ("default", "", "10:00:00", 9),
        ("default", "*any", "10:00:00", 9),
        ("default", "33", "10:00:00", 9),
        ("default", "4741", "18:00:00", 1),
        ("french", "47", "10:00:00", UNAUTHORIZED),  # a found profile is never supplemented
        ("silver", "34", "10:00:00", 7),
        ("silver", "47", "10:00:00", 1),
        ("gone", "47", "10:00:00", UNAUTHORIZED),
        ("gone_fb", "34", "10:00:00", UNAUTHORIZED),  # a missing plan is skipped with its fallback
        ("chain3", "34", "10:00:00", 7),
        ("chain2", "34", "10:00:00", 7),
        ("chain1", "34", "10:00:00", UNAUTHORIZED),  # too deep
    ],
)
def test_destination_and_subject(subject: str, destination: str, start: str, expected: float | str) -> None:
    assert price(GENERATION, call(60, f"2025-03-04T{start}Z", destination, subject=subject)) == expected


def test_no_profile_at_all() -> None:
    assert price(GENERATION, call(60, category="nocat")) == NOT_FOUND
    assert price(GENERATION, call(60, tenant="other.org")) == NOT_FOUND


def test_account_is_the_default_subject_and_any_the_default_profile() -> None:
    descriptor = call(60, destination="33", subject="", account="default")
    assert price(GENERATION, descriptor) == 9
    (span,) = rate(GENERATION, descriptor)
    assert (span.matched_subject, span.matched_prefix, span.matched_dest_id) == (
        "*out:cgrates.org:call:default", "*any", "*any",
    )  # fmt: skip


def test_given_subject_replaces_subject_and_account() -> None:
    (span,) = rate(GENERATION, call(60, destination="33", subject="x", account="y"), subject="default")
    assert span.matched_subject == "*out:cgrates.org:call:default"


@pytest.mark.parametrize(
    ("subject", "start", "seconds", "expected"),
    [
        ("late", "11:58:00", 60, UNAUTHORIZED),  # wholly before the first activation
        ("late", "12:00:00", 60, 1),
        ("late", "11:59:00", 120, 2),  # begins before: priced by *any
        ("two", "11:59:00", 60, 1),
    ],
)
def test_activation_times(subject: str, start: str, seconds: int, expected: float | str) -> None:
    assert price(GENERATION, call(seconds, f"2025-06-15T{start}Z", subject=subject)) == expected


def test_a_later_activation_cuts_but_does_not_change_the_rates() -> None:
    spans = rate(GENERATION, call(180, "2025-06-15T11:59:00Z", subject="two"))
    assert [(s.duration_ns // 10**9, s.rating_plan_id) for s in spans] == [(60, "RP"), (120, "RP")]
    (data,) = rate(GENERATION, call(180, "2025-06-15T11:59:00Z", subject="two", tor="*data"))
    assert data.rating_plan_id == "RP"


def test_subject_prefix_matching() -> None:
    generation = world(rp_subject_prefix_matching=True).generation()
    assert price(generation, call(60, destination="33", subject="default1001")) == 9
    assert price(generation, call(60, subject="zzz")) == 1


def test_fallback_depth_is_configured() -> None:
    assert price(world(fallback_depth=4).generation(), call(60, destination="34", subject="chain1")) == 7


def test_cost_on_a_given_plan() -> None:
    descriptor = call(60, destination="34", category="*tmp")
    assert money(cost_on_plan(GENERATION, descriptor, "RP_ES").cost_nano) == 7
    for plan_id in ("RP_FR", "RP_NONE"):
        with pytest.raises(ApiError, match=f"^{UNAUTHORIZED}$"):
            cost_on_plan(GENERATION, descriptor, plan_id)


def test_changes_of_reference_data_apply_to_the_next_call() -> None:
    before = GENERATION
    removed = before.apply([("destination", "NO", None)], 2)
    assert price(before, call(60)) == 1
    assert price(removed, call(60)) == UNAUTHORIZED
    assert price(before, call(60)) == 1
