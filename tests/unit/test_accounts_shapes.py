"""Accounts as the API shows them (spec 20 §2): the new shape, the old one, summaries."""

from __future__ import annotations

from cgr_cluster.accounts.amounts import MONETARY
from cgr_cluster.accounts.answers import account_json, old_account_json
from cgr_cluster.accounts.summary import summarised
from cgr_cluster.accounts.types import Account, Balance
from cgr_cluster.actions import counters
from cgr_cluster.actions.types import ActionTrigger, BalanceFilter
from cgr_cluster.events.amounts import GRAINS, NANO
from cgr_cluster.events.instant import NS
from cgr_cluster.rating.answers import account_summary_json
from cgr_cluster.rating.types import Timing
from tests.unit.rating_world import at

NEVER = "0001-01-01T00:00:00Z"
WEEKEND = Timing("WEEKEND", week_days=(6, 0), start_time="08:00:00", end_time="20:00:00")
FULL = Balance(
    "u1", "MAIN", 12_500_000_000, at("2030-01-01T02:00:00+02:00"), 10.5, {"A": True, "B": False}, "*zero1s", {"call": True},
    {"FAMILY": True}, (WEEKEND,), {"WEEKEND": True}, True, {"f": 2.5, "g": 2.0}, True,
)  # fmt: skip
LOW = ActionTrigger(
    "GRP", "LOW", "*min_balance", 2 * NANO, True, 60 * NS, weight=10.0, balance=BalanceFilter(id="MAIN", type=MONETARY),
    actions_id="TOPUP",
)  # fmt: skip
SPENT = ActionTrigger("GRP", "SPENT", "*max_event_counter", 50 * NANO, balance=BalanceFilter(type=MONETARY))


def watched() -> Account:
    account = Account("cgrates.org:1001", {MONETARY: [FULL], "*sms": []}, triggers=[LOW, SPENT])
    counters.rebuild(account)
    assert account.unit_counters is not None
    account.unit_counters[MONETARY][0].counters[0].value = 7 * NANO
    return account


def test_an_account_without_anything() -> None:
    assert account_json(Account("cgrates.org:1001")) == {
        "ID": "cgrates.org:1001", "BalanceMap": None, "UnitCounters": None, "ActionTriggers": None, "AllowNegative": False,
        "Disabled": False, "UpdateTime": NEVER,
    }  # fmt: skip
    assert old_account_json(Account("cgrates.org:1001", allow_negative=True)) == {
        "Id": "*out:cgrates.org:1001", "BalanceMap": {}, "UnitCounters": [], "ActionTriggers": [], "AllowNegative": True,
        "Disabled": False,
    }  # fmt: skip


def test_a_balance_with_everything() -> None:
    shown = account_json(watched())["BalanceMap"]
    assert shown["*sms"] == []
    assert shown[MONETARY] == [
        {
            "Uuid": "u1", "ID": "MAIN", "Value": 12.5, "ExpirationDate": "2030-01-01T02:00:00+02:00", "Weight": 10.5,
            "DestinationIDs": {"A": True, "B": False}, "RatingSubject": "*zero1s", "Categories": {"call": True},
            "SharedGroups": {"FAMILY": True},
            "Timings": [
                {
                    "ID": "WEEKEND", "Years": [], "Months": [], "MonthDays": [], "WeekDays": [6, 0],
                    "StartTime": "08:00:00", "EndTime": "20:00:00",
                }
            ],
            "TimingIDs": {"WEEKEND": True}, "Disabled": True, "Factors": {"f": 2.5, "g": 2}, "Blocker": True,
        }
    ]  # fmt: skip


def test_the_old_shape_joins_sets_and_leaves_empty_types_out() -> None:
    old = old_account_json(watched())
    assert old["BalanceMap"] == {
        "*monetary*out": [
            {
                "Uuid": "u1", "Id": "MAIN", "Value": 12.5, "ExpirationDate": "2030-01-01T02:00:00+02:00", "Weight": 10.5,
                "DestinationIds": "A;B", "RatingSubject": "*zero1s", "Category": "call", "SharedGroup": "FAMILY",
                "Timings": account_json(watched())["BalanceMap"][MONETARY][0]["Timings"], "TimingIDs": "WEEKEND",
                "Disabled": True,
            }
        ]
    }  # fmt: skip


def test_triggers_and_counters_in_the_old_shape() -> None:
    old = old_account_json(watched())
    empty = {
        "BalanceDestinationIds": "", "BalanceWeight": 0, "BalanceExpirationDate": NEVER, "BalanceTimingTags": "",
        "BalanceRatingSubject": "", "BalanceCategory": "", "BalanceSharedGroup": "", "BalanceDisabled": False,
        "MinQueuedItems": 0, "Executed": False,
    }  # fmt: skip
    assert old["ActionTriggers"] == [
        {
            "Id": "GRP", "ThresholdType": "*min_balance", "ThresholdValue": 2, "Recurrent": True, "MinSleep": 60 * NS,
            "BalanceId": "MAIN", "BalanceType": MONETARY, "Weight": 10, "ActionsId": "TOPUP", **empty,
        },
        {
            "Id": "GRP", "ThresholdType": "*max_event_counter", "ThresholdValue": 50, "Recurrent": False, "MinSleep": 0,
            "BalanceId": "", "BalanceType": MONETARY, "Weight": 0, "ActionsId": "", **empty,
        },
    ]  # fmt: skip
    assert old["UnitCounters"] == [
        {
            "BalanceType": MONETARY,
            "Balances": [
                {
                    "Uuid": "", "Id": "SPENT", "Value": 0, "ExpirationDate": NEVER, "Weight": 0, "DestinationIds": "",
                    "RatingSubject": "", "Category": "", "SharedGroup": "", "Timings": None, "TimingIDs": "", "Disabled": False,
                }
            ],
        }
    ]  # fmt: skip


# --- summaries ---------------------------------------------------------------------------------------------------


def test_summaries_list_the_known_types_in_their_order() -> None:
    kinds = (MONETARY, "*generic", "*own", "*voice", "*mms", "*sms", "*data")
    account = Account("cgrates.org:1001", {kind: [Balance(f"u{kind}", f"B{kind}", GRAINS)] for kind in kinds})
    shown = account_summary_json(summarised(account, account))
    assert shown is not None
    assert [b["Type"] for b in shown["BalanceSummaries"]] == ["*data", "*sms", "*mms", "*voice", "*generic", MONETARY]


def test_a_summary_shows_the_value_before_and_what_is_gone() -> None:
    before = Account(
        "cgrates.org:1001",
        {
            MONETARY: [Balance("gone", "OLD", 3 * NANO, weight=20.0), Balance("kept", "", 5 * NANO)],
            "*voice": [Balance("v", "V", GRAINS, factors={"f": 2.0}, disabled=True)],
        },
    )
    after = Account("cgrates.org:1001", {MONETARY: [Balance("kept", "", 4 * NANO), Balance("new", "*default", -NANO)]})
    shown = account_summary_json(summarised(after, before))
    assert shown == {
        "Tenant": "cgrates.org", "AccountID": "1001", "AllowNegative": False, "Disabled": False,
        "BalanceSummaries": [
            {"UUID": "kept", "ID": "kept", "Type": MONETARY, "Initial": 5, "Value": 4, "Disabled": False},
            {"UUID": "new", "ID": "*default", "Type": MONETARY, "Initial": 0, "Value": -1, "Disabled": False},
            {
                "UUID": "v", "ID": "V", "Type": "*voice", "Initial": 0, "Value": 0, "Disabled": True, "Factors": {"f": 2},
            },
            {"UUID": "gone", "ID": "OLD", "Type": MONETARY, "Initial": 0, "Value": 0, "Weight": 20, "Disabled": False},
        ],
    }  # fmt: skip
