"""Decks to reference data: plans, keys, references, accounts, tasks (spec chapter 10 §2, §9; 20 §6.3, §8)."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest

from cgr_cluster.actions.types import ActionPlan
from cgr_cluster.engine.codec import pack
from cgr_cluster.engine.generation import Generation
from cgr_cluster.events.instant import ZERO
from cgr_cluster.rating.reference import Binding, Destination, RatingPlan, StoredTiming
from cgr_cluster.rating.types import Rating, Slot, Timing
from cgr_cluster.rpc.errors import ApiError
from cgr_cluster.tariffs.checking import check_folder
from cgr_cluster.tariffs.deck import read_deck
from cgr_cluster.tariffs.loading import AccountLoad, Loaded, Loader
from cgr_cluster.tariffs.ratings import float_text, short_hash, slot_key, timing_key
from cgr_cluster.tariffs.validation import flaw

NOW_NS = 1_763_905_002 * 10**9  # Sunday 2025-11-23T13:36:42Z
S = 10**9
RATES = b"R,0.05,0.02,60s,1s,0s\n"


def load(files: dict[str, bytes], live: dict[tuple[str, str], Any] | None = None) -> Loaded:
    generation = Generation({}).apply([(kind, key, pack(value)) for (kind, key), value in (live or {}).items()], 1)
    ids = count(1)
    return Loader(generation, NOW_NS, "UTC", lambda: f"id{next(ids)}").load(*read_deck(files))


def objects(files: dict[str, bytes], live: dict[tuple[str, str], Any] | None = None) -> dict[tuple[str, str], Any]:
    return {(kind, key): value for kind, key, value in load(files, live).changes}


@pytest.mark.parametrize(
    ("timing", "key"),
    [
        (Timing("*any", start_time="00:00:00"), "b9b78731"),
        (Timing("TM_XMAS", months=(12,), month_days=(25, 26), start_time="00:00:00"), "41c1c164"),
    ],
)
def test_timing_keys(timing: Timing, key: str) -> None:
    assert timing_key(timing) == key


def test_rating_key() -> None:
    assert short_hash("0.05 *up 4 0 " + slot_key(Slot(0, 0.02, S, 60 * S))) == "78e353f9"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"), (0.05, "0.05"), (12.0, "12"), (120.5, "120.5"), (0.0001, "0.0001"), (0.00001, "1e-05"),
        (0.0000025, "2.5e-06"), (999999.0, "999999"), (1000000.0, "1e+06"), (1234567.5, "1.2345675e+06"), (-0.5, "-0.5"),
    ],
)  # fmt: skip
def test_numbers_in_keys(value: float, text: str) -> None:
    assert float_text(value) == text


def test_a_plan() -> None:
    found = objects(
        {
            "Timings.csv": b"T,*any,*any,*any,1;7;x,08:00:00;12:00:00\n",
            "Rates.csv": RATES + b"R,9,0.01,,,1m\n",
            "DestinationRates.csv": b"DR,*any,R,*up,4,0,\nDR,*any,R,*up,4,0,\n",
            "RatingPlans.csv": b"P,DR,T,10\nP,DR,*any,5\nP,DR,T,10\n",
        }
    )
    plan = found["rating_plan", "P"]
    work = Timing("T", week_days=(1, 0), start_time="08:00:00")  # its end is not copied
    rating = Rating(0.05, "*up", 4, 0, "", (Slot(0, 0.02, S, 60 * S), Slot(60 * S, 0.01, 0, 0)))
    (rating_key,) = plan.ratings
    assert plan.ratings == {rating_key: rating}
    assert plan.timings == {timing_key(work): work, "b9b78731": Timing("*any", start_time="00:00:00")}
    assert plan.bindings == {"*any": (Binding(timing_key(work), rating_key, 10), Binding("b9b78731", rating_key, 5))}
    assert found["timing", "T"] == StoredTiming(Timing("T", (), (), (), (1, 0), "08:00:00", "12:00:00"))


def test_predefined_timings_have_the_clock_of_the_load() -> None:
    found = objects({"Timings.csv": b"*daily,,,,,10:00:00\n"})
    assert found["timing", "*weekly"].timing == Timing("*weekly", week_days=(0,), start_time="13:36:42")
    assert found["timing", "*daily"].timing.start_time == "10:00:00"  # the user's replaces it
    assert ("timing", "*always") not in found


def test_a_profile() -> None:
    found = objects({"RatingProfiles.csv": b"t,call,s,,P,a;b\n"}, {("rating_plan", "P"): RatingPlan("P")})
    (activation,) = found["rating_profile", "*out:t:call:s"].activations
    assert activation.activation_time == ZERO
    assert activation.fallback_keys == ("*out:t:call:a", "*out:t:call:b")


DR = b"DR,*any,R,*up,4,0,\n"


@pytest.mark.parametrize(
    ("files", "error"),
    [
        ({"DestinationRates.csv": DR}, 'could not find rate for tag "R"'),
        ({"Rates.csv": RATES, "DestinationRates.csv": b"DR,D,R,,,,\n"}, 'could not get destination for tag "D"'),
        ({"RatingPlans.csv": b"P,DR,*any,1\n"}, 'could not find destination rate for tag "DR"'),
        ({"RatingPlans.csv": b"P,DR,T,1\n"}, 'could not get timing for tag "T"'),
        ({"RatingProfiles.csv": b"t,c,s,,P,\n"}, 'could not load rating plans for tag: "P"'),
        ({"RatingProfiles.csv": b"t,c,s,soon,P,\n"}, "cannot parse activation time from soon"),
        ({"ActionPlans.csv": b"AP,A,*asap,1\n"}, '[ActionPlans] Could not load the action for tag: "A"'),
        (
            {"Actions.csv": b"A" + b"," * 16 + b"\n", "ActionPlans.csv": b"AP,A,T,1\n"},
            '[ActionPlans] Could not load the timing for tag: "T"',
        ),
        (
            {"Actions.csv": b"A,*topup" + b"," * 10 + b"T" + b"," * 5 + b"\n"},
            'error: NOT_FOUND querying timing with id: "T"',
        ),
        ({"Actions.csv": b"A,*topup,,,,*voice,,,,,,,long,,,,\n"}, "Invalid value: long"),
        ({"AccountActions.csv": b"t,a,,AT,,\n"}, 'could not get action triggers for tag "AT"'),
        ({"AccountActions.csv": b"t,a,AP,,,\n"}, 'could not get action plan for tag "AP"'),
        ({"AccountActions.csv": b"t,a,,,,\nt,a,,,true,\n"}, 'duplicate account action found: "t:a"'),
        (
            {"Filters.csv": b"t,F,*exists,~*req.A,yes,\n"},
            "value of filter <F> is not empty <yes>",
        ),
        ({"Filters.csv": b"t,F,*string,~*req.A,yes,noon\n"}, "Unsupported time format"),
        ({"Filters.csv": b"t,,*string,~*req.A,yes,\n"}, "MANDATORY_IE_MISSING: [ID]"),
        ({"Chargers.csv": b"t,C,NO,,,,\n"}, "broken reference to filter: <NO> for item with ID: t:C"),
        ({"Attributes.csv": b"t,A,,NO,,,,,,,\n"}, "broken reference to filter: <NO> for item with ID: t:A"),
        # the kinds are loaded in order: a reference of the first comes before a bad row of the second
        ({"DestinationRates.csv": DR, "RatingPlans.csv": b"P\n"}, 'could not find rate for tag "R"'),
    ],
)  # fmt: skip
def test_errors(files: dict[str, bytes], error: str) -> None:
    with pytest.raises(ApiError) as raised:
        load(files)
    assert raised.value.text == error


def test_destinations_may_be_live_rates_and_timings_may_not() -> None:
    live = {("destination", "D"): Destination("D", ("1",)), ("timing", "T"): StoredTiming(Timing("T"))}
    rates = {"Rates.csv": RATES, "DestinationRates.csv": b"DR,D,R,,,,\n"}
    load(rates, live)
    with pytest.raises(ApiError, match="could not get timing"):
        load({**rates, "RatingPlans.csv": b"P,DR,T,1\n"}, live)


def test_all_errors_are_collected_for_the_operator() -> None:
    loader = Loader(Generation({}), NOW_NS, "UTC", lambda: "id", collect=True)
    loader.load(*read_deck({"Rates.csv": b"R\n", "DestinationRates.csv": DR, "RatingPlans.csv": b"P,DR,*any,1\n"}))
    assert [(p.file, p.line, p.text) for p in loader.problems] == [
        ("Rates.csv", 1, "record on line 1: wrong number of fields"),
        ("DestinationRates.csv", 0, 'could not find rate for tag "R"'),
        ("RatingPlans.csv", 0, 'could not find destination rate for tag "DR"'),
    ]


def test_the_check_of_a_folder_tells_flaws_too() -> None:
    files = {
        "Timings.csv": b"T,,,,1,08:00:00\n",
        "Rates.csv": RATES,
        "DestinationRates.csv": DR,
        "RatingPlans.csv": b"P,DR,T,1\n",
    }
    assert [(p.file, p.text) for p in check_folder(files, Generation({}), NOW_NS)] == [
        ("RatingPlans.csv", "rating plan P: its timings do not cover the week"),
    ]


ACTIONS = b"A,*topup,,,MAIN,*monetary,,*any,,,*unlimited,,15,10,,false,30\n"


def test_cells_of_balances_that_are_empty_or_any_are_not_given() -> None:
    (action,) = objects({"Actions.csv": ACTIONS})["actions", "A"].actions
    balance = action.balance
    assert (balance.id, balance.type, balance.weight, balance.disabled) == ("MAIN", "*monetary", 10, False)
    assert balance.value is not None and balance.value.static_nano == 15 * 10**9
    assert (balance.uuid, balance.destination_ids, balance.rating_subject, balance.blocker) == (None, None, None, None)
    assert (action.expiration_string, action.filters, balance.expiration_date) == ("*unlimited", (), None)


def test_asap_tasks_per_account_or_one_without() -> None:
    files = {"Actions.csv": ACTIONS, "ActionPlans.csv": b"AP,A,*asap,10\nAP,A,*monthly,10\nSYS,A,*asap,10\n"}
    found = load({**files, "AccountActions.csv": b"t,a,AP,,true,\nt,b,AP,,,\nt,c,,,,\n"})
    assert found.asap == [("t:a", "A"), ("t:b", "A"), ("", "A")]
    assert found.accounts[0] == AccountLoad("t", "a", "AP", "", True, False)


def test_a_plan_that_exists_keeps_its_accounts() -> None:
    files = {"Actions.csv": ACTIONS, "ActionPlans.csv": b"AP,A,*asap,10\n"}
    live = {("action_plan", "AP"): ActionPlan("AP", "since then")}
    assert objects(files, live)["action_plan", "AP"].membership == "since then"
    assert objects(files)["action_plan", "AP"].membership.startswith("id")


def test_triggers_without_an_id_get_one() -> None:
    cells = [""] * 21
    cells[0], cells[3], cells[5] = "AT", "2.5", "1s"
    (trigger,) = objects({"ActionTriggers.csv": ",".join(cells).encode()})["action_trigger", "AT"].triggers
    assert (trigger.unique_id, trigger.threshold_nano, trigger.min_sleep_ns) == ("id1", 2_500_000_000, S)


def test_an_empty_tenant_is_the_default_one() -> None:
    files = {
        "Rates.csv": RATES,
        "DestinationRates.csv": b"DR,*any,R,*up,4,0,\n",
        "RatingPlans.csv": b"RP,DR,*any,10\n",
        "RatingProfiles.csv": b",call,1001,,RP,gold\n",
        "Actions.csv": b"ACT,*log,,,,,,,,,,,,,,,\n",
        "ActionPlans.csv": b"PLAN,ACT,*asap,10\n",
        "AccountActions.csv": b",1001,PLAN,,,\n",
        "Filters.csv": b",FLT,*string,~*req.Account,1001,\n",
    }
    made = objects(files)
    profile = made["rating_profile", "*out:cgrates.org:call:1001"]
    assert profile.activations[0].fallback_keys == ("*out:cgrates.org:call:gold",)
    assert made["filter", "cgrates.org:FLT"].tenant == "cgrates.org"
    loaded = load(files)
    assert [one.id for one in loaded.accounts] == ["cgrates.org:1001"]
    assert loaded.asap == [("cgrates.org:1001", "ACT")]


def test_accounts_of_the_default_tenant_and_of_an_empty_one_are_the_same() -> None:
    with pytest.raises(ApiError, match=r'duplicate account action found: "cgrates.org:1001"'):
        load({"AccountActions.csv": b",1001,,,,\ncgrates.org,1001,,,,\n"})


def test_profiles_may_name_filters_of_the_same_load() -> None:
    found = objects({"Filters.csv": b"t,F,*string,~*req.A,1,\n", "Chargers.csv": b"t,C,F,,run,*none,1\n"})
    assert found["charger", "t:C"].filter_ids == ("F",)


ANY_TIME = Timing("*any", start_time="00:00:00")


@pytest.mark.parametrize(
    ("timings", "slots", "good"),
    [
        ([ANY_TIME], [(0, 1, 60)], True),
        ([Timing("T", week_days=(1, 2, 3, 4, 5), start_time="06:00:00")], [(0, 1, 60)], False),
        ([Timing("A", week_days=(1, 2, 3), start_time="00:00:00"), Timing("B", week_days=(4, 5, 6, 0), start_time="00:00:00")], [(0, 1, 60)], True),
        ([ANY_TIME, Timing("T", months=(1,), week_days=(1,))], [(0, 1, 60)], False),
        ([ANY_TIME], [(0, 60, 60), (60, 1, 60)], True),
        ([ANY_TIME], [(60, 1, 60), (0, 60, 60)], True),
        ([ANY_TIME], [(0, 60, 60), (90, 1, 60)], False),
        ([ANY_TIME], [(0, 60, 60), (0, 1, 60)], False),
        ([ANY_TIME], [(0, 0, 60), (60, 1, 60)], False),
        ([ANY_TIME], [(0, 1, 60), (60, 0, 0)], True),
    ],
)  # fmt: skip
def test_validation(timings: list[Timing], slots: list[tuple[int, int, int]], good: bool) -> None:
    rating = Rating(slots=tuple(Slot(start * S, 1, increment * S, unit * S) for start, increment, unit in slots))
    assert (flaw(RatingPlan("P", {t.id: t for t in timings}, {"r": rating})) == "") is good
