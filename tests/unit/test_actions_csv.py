"""Actions, plans, triggers, account actions and shared groups from CSV and from the store (spec 20 §8)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cgr_cluster.node.node import Node
from tests.unit.actions_world import MONEY, add, ok, stored, values

SECOND = 1_000_000_000
ZERO = "0001-01-01T00:00:00Z"
TIMINGS = "TM_ALWAYS,*any,*any,*any,*any,00:00:00\nTM_2045,2045,1,1,*any,10:00:00\n"


def load(node: Node, tmp_path: Path, **files: str) -> str | None:
    """Load the files (name without .csv → contents). Answers the error."""
    folder = tmp_path / "plan"
    folder.mkdir(exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    for name, text in files.items():
        (folder / f"{name}.csv").write_text(text)
    error: str | None = node.call("APIerSv1.LoadTariffPlanFromFolder", {"FolderPath": str(folder)})["error"]
    node.advance(SECOND)  # *asap actions run a moment after the answer
    return error


def balance(**fields: Any) -> dict[str, Any]:
    names = (
        "Uuid", "ID", "Type", "Value", "ExpirationDate", "Weight", "DestinationIDs", "RatingSubject", "Categories",
        "SharedGroups", "TimingIDs", "Timings", "Disabled", "Factors", "Blocker",
    )  # fmt: skip
    return {**dict.fromkeys(names), **fields}


# --- Actions.csv -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "shown"),
    [
        ("*log,,,,,,,,,,,,,,,", balance()),
        ("*topup,,,MAIN,*monetary,,,,,,,10.5,,,,5", balance(ID="MAIN", Type=MONEY, Value=10.5)),
        ("*topup,,,*any,*any,*any,*any,*any,*any,,*any,*any,*any,*any,*any,", balance()),
        ("*topup,,,,*voice,,,,,,,5m,,,,", balance(Type="*voice", Value=300_000_000_000)),
        ("*topup,,,,*voice,,,,,,,90,,,,", balance(Type="*voice", Value=90)),
        ("*topup,,,,*data,,,,,,,1024,,,,", balance(Type="*data", Value=1024)),
        (
            "*topup,,,B,*voice,call;!data,D1;!D2,RS,SG1;SG2,,TM_ALWAYS,10s,7.5,true,false,",
            balance(
                ID="B", Type="*voice", Value=10_000_000_000, Weight=7.5, Blocker=True, Disabled=False,
                DestinationIDs={"D1": True, "D2": False}, Categories={"call": True, "data": False}, RatingSubject="RS",
                SharedGroups={"SG1": True, "SG2": True}, TimingIDs={"TM_ALWAYS": True},
                Timings=[{
                    "ID": "TM_ALWAYS", "Years": [], "Months": [], "MonthDays": [], "WeekDays": [], "StartTime": "00:00:00",
                    "EndTime": "",
                }],
            ),
        ),
    ],
)  # fmt: skip
def test_balance_fields_of_an_action(row: str, shown: dict[str, Any], tmp_path: Path) -> None:
    node = Node()
    assert load(node, tmp_path, Timings=TIMINGS, SharedGroups="SG1,*any,*lowest,\n", Actions=f"A,{row}\n") is None
    (found,) = ok(node, "APIerSv2.GetActions", {"ActionIDs": ["A"]})["A"]
    value = found["Balance"]["Value"]
    assert {**found["Balance"], "Value": value and value["Static"]} == shown


def test_other_fields_of_actions_and_rows_of_one_id(tmp_path: Path) -> None:
    node = Node()
    rows = "A,*topup,EXTRA,*string:~*req.ID:x;FLTR2,,*monetary,,,,,+1h,,5,,,,5\nB,*log,,,,,,,,,,,,,,,\nA,*debit,,,,*monetary,,,,,,,1,,,,9.5\n"
    assert load(node, tmp_path, Actions=rows) is None
    first, second = ok(node, "APIerSv2.GetActions", {"ActionIDs": ["A"]})["A"]
    assert (first["Id"], first["ActionType"], first["ExtraParameters"]) == ("A", "*topup", "EXTRA")
    assert (first["Filters"], first["ExpirationString"], first["Weight"]) == (["*string:~*req.ID:x", "FLTR2"], "+1h", 5)
    assert (second["ActionType"], second["Weight"]) == ("*debit", 9.5)
    assert ok(node, "APIerSv2.GetActionsCount", {}) == 2


# --- ActionPlans.csv, AccountActions.csv -------------------------------------------------------------------------

PLAN = {
    "Timings": TIMINGS,
    "Actions": "GIFT,*topup,,,MAIN,*monetary,,,,,,,5,,,,10\nFEE,*debit,,,MAIN,*monetary,,,,,,,1,,,,10\n",
    "ActionPlans": "NOW,GIFT,*asap,10\nLATER,FEE,TM_2045,7\nBOTH,GIFT,*asap,10\nBOTH,FEE,*daily,5\nNOBODY,FEE,*monthly,1\n",
    "ActionTriggers": "TRG,LOW,*min_balance,2,false,0,,,MAIN,*monetary,,,,,,,,,,GIFT,10\n"
    "TRG,,*max_event_counter,9,true,1m,+1h,2020-01-01T00:00:00Z,,*monetary,,,,,,,,,,GIFT,20\n",
}  # fmt: skip


def test_plans_and_their_accounts(tmp_path: Path) -> None:
    node = Node()
    accounts = "cgrates.org,a,NOW,,,\ncgrates.org,b,BOTH,TRG,true,\nother,c,LATER,,,true\ncgrates.org,d,,,,\n"
    assert load(node, tmp_path, **PLAN, AccountActions=accounts) is None
    plans = {plan["Id"]: plan for plan in ok(node, "APIerSv1.GetActionPlan", {})}
    assert {plan_id: list(plan["AccountIDs"]) for plan_id, plan in plans.items()} == {
        "NOW": [], "LATER": ["other:c"], "BOTH": ["cgrates.org:b"], "NOBODY": [],
    }  # fmt: skip
    shown = {
        (plan_id, entry["ActionsID"]): (
            entry["Timing"]["Timing"]["ID"],
            entry["Timing"]["Timing"]["StartTime"],
            entry["Weight"],
        )
        for plan_id, plan in plans.items()
        for entry in plan["ActionTimings"]
    }
    assert shown == {
        ("NOW", "GIFT"): ("*asap", "*asap", 10), ("LATER", "FEE"): ("TM_2045", "10:00:00", 7),
        ("BOTH", "GIFT"): ("*asap", "*asap", 10), ("BOTH", "FEE"): ("*daily", "09:00:00", 5),
        ("NOBODY", "FEE"): ("*monthly", "09:00:00", 1),
    }  # fmt: skip
    assert (values(node), values(node, account="b")) == ({"MAIN": 5}, {"MAIN": 5})
    assert [stored(node, name)["AllowNegative"] for name in "ab"] == [False, True]
    other = ok(node, "APIerSv2.GetAccount", {"Tenant": "other", "Account": "c"})
    assert (other["Disabled"], other["BalanceMap"]) == (True, None)
    assert stored(node, "d")["BalanceMap"] is None
    found = ok(node, "APIerSv1.GetScheduledActions", {})
    assert [(e["ActionPlanID"], e["Accounts"]) for e in found] == [("BOTH", 1), ("NOBODY", 0), ("LATER", 1)]
    node.advance(86_400 * SECOND)
    assert (values(node), values(node, account="b")) == ({"MAIN": 5}, {"MAIN": 4})


def test_triggers_of_a_group(tmp_path: Path) -> None:
    node = Node()
    assert load(node, tmp_path, **PLAN, AccountActions="cgrates.org,a,,TRG,,\n") is None
    low, counter = ok(node, "APIerSv1.GetActionTriggers", {"GroupIDs": ["TRG"]})
    assert (low["UniqueID"], low["ThresholdType"], low["ThresholdValue"], low["Recurrent"], low["MinSleep"]) == (
        "LOW", "*min_balance", 2, False, 0,
    )  # fmt: skip
    assert low["Balance"] == balance(ID="MAIN", Type=MONEY)
    assert len(counter["UniqueID"]) == 36
    assert (counter["Recurrent"], counter["MinSleep"], counter["ActivationDate"]) == (
        True,
        60 * SECOND,
        "2020-01-01T00:00:00Z",
    )
    assert counter["ExpirationDate"].startswith("2026-06-16T10:00:00")
    account = stored(node)
    assert [t["UniqueID"] for t in account["ActionTriggers"]] == ["LOW", counter["UniqueID"]]
    assert account["UnitCounters"][MONEY][0]["Counters"][0]["Value"] == 0


def test_loading_an_account_that_exists(tmp_path: Path) -> None:
    node = Node()
    assert load(node, tmp_path, **PLAN, AccountActions="cgrates.org,a,BOTH,TRG,true,\n") is None
    add(node, "EXTRA", 3)
    ok(node, "APIerSv1.ResetAccountActionTriggers", {"Account": "a", "Executed": True})
    ok(node, "APIerSv2.SetAccount", {"Account": "a", "ActionPlanIDs": ["LATER"]})
    assert load(node, tmp_path, **PLAN, AccountActions="cgrates.org,a,BOTH,TRG,,true\n") is None
    account = stored(node)
    assert values(node) == {"MAIN": 10, "EXTRA": 3}  # balances stay, *asap runs again
    assert (account["AllowNegative"], account["Disabled"]) == (False, True)
    assert [t["Executed"] for t in account["ActionTriggers"]] == [False, False]
    plans = [entry["ActionPlanId"] for entry in ok(node, "APIerSv1.GetAccountActionPlan", {"Account": "a"})]
    assert plans == ["BOTH", "BOTH", "LATER"]
    assert load(node, tmp_path, **PLAN, AccountActions="cgrates.org,a,,,,\n") is None
    assert (stored(node)["ActionTriggers"], stored(node)["UnitCounters"]) == (None, None)


def test_a_plan_of_asap_without_accounts_makes_one_task_without(tmp_path: Path) -> None:
    node = Node()
    actions = 'GONE,*remove_account,"{""Tenant"":""cgrates.org"",""Account"":""a""}",,,,,,,,,,,,,,10\n'
    add(node, "MAIN", 5)
    assert load(node, tmp_path, Actions=actions, ActionPlans="P,GONE,*asap,10\n") is None
    assert node.call("APIerSv2.GetAccount", {"Account": "a"})["error"] == "NOT_FOUND"


# --- errors ------------------------------------------------------------------------------------------------------

ACTION = "A,*topup,,,,*monetary,,,,,,,1,,,,10\n"


@pytest.mark.parametrize(
    ("files", "error"),
    [
        ({"Actions": ACTION, "ActionPlans": "P,NOPE,*asap,10\n"}, '[ActionPlans] Could not load the action for tag: "NOPE"'),
        ({"Actions": ACTION, "ActionPlans": "P,A,NOPE,10\n"}, '[ActionPlans] Could not load the timing for tag: "NOPE"'),
        ({"AccountActions": "cgrates.org,a,,NOPE,,\n"}, 'could not get action triggers for tag "NOPE"'),
        ({"AccountActions": "cgrates.org,a,NOPE,,,\n"}, 'could not get action plan for tag "NOPE"'),
        (
            {"AccountActions": "cgrates.org,a,,,,\ncgrates.org,b,,,,\ncgrates.org,a,,,,\n"},
            'duplicate account action found: "cgrates.org:a"',
        ),
        (
            {"Actions": "A,*topup,,,,*monetary,,,,,,NOPE,1,,,,10\n"},
            'error: NOT_FOUND querying timing with id: "NOPE"',
        ),
        (
            {"ActionTriggers": "T,U,*min_balance,2,false,0,,,,*monetary,,,,,,NOPE,,,,A,10\n"},
            'error: NOT_FOUND querying timing with id: "NOPE"',
        ),
        ({"Actions": "A,*topup,,,,*monetary,,,,,,,1,heavy,,,10\n"}, 'strconv.ParseFloat: parsing "heavy": invalid syntax'),
        ({"Actions": "A,*topup,,,,*monetary,,,,,,,1,,perhaps,,10\n"}, 'strconv.ParseBool: parsing "perhaps": invalid syntax'),
        ({"ActionTriggers": "T,U,*min_balance,2,false,soon,,,,,,,,,,,,,,A,10\n"}, 'time: invalid duration "soon"'),
        ({"ActionTriggers": "T,U,*min_balance,2,false,0,soon,,,,,,,,,,,,,A,10\n"}, "Unsupported time format"),
    ],
)  # fmt: skip
def test_errors_of_a_load(files: dict[str, str], error: str, tmp_path: Path) -> None:
    node = Node()
    assert load(node, tmp_path, **files) == f"SERVER_ERROR: {error}"
    assert node.call("APIerSv2.GetActionsCount", {})["error"] == "NOT_FOUND"
    assert node.call("APIerSv1.GetAccountIDs", {})["error"] == "NOT_FOUND"


def test_what_is_live_may_be_named(tmp_path: Path) -> None:
    node = Node()
    assert load(node, tmp_path, **PLAN) is None
    assert load(node, tmp_path, ActionPlans="P,GIFT,*asap,10\n", AccountActions="cgrates.org,a,BOTH,TRG,,\n") is None
    assert values(node) == {"MAIN": 5}
    assert len(stored(node)["ActionTriggers"]) == 2


# --- shared groups -----------------------------------------------------------------------------------------------


def test_shared_groups(tmp_path: Path) -> None:
    node = Node()
    rows = "SG,*any,*lowest,RS\nSG,1001,*mine_highest,\nSG2,*any,,\n"
    assert load(node, tmp_path, SharedGroups=rows) is None
    assert ok(node, "APIerSv1.GetSharedGroup", "SG") == {
        "Id": "SG",
        "AccountParameters": {
            "*any": {"Strategy": "*lowest", "RatingSubject": "RS"},
            "1001": {"Strategy": "*mine_highest", "RatingSubject": ""},
        },
        "MemberIds": None,
    }
    assert ok(node, "APIerSv1.GetSharedGroup", "NOPE") == {"Id": "", "AccountParameters": None, "MemberIds": None}


# --- the store ---------------------------------------------------------------------------------------------------

ACTIONS = {
    "TPid": "T",
    "ID": "A",
    "Actions": [{"Identifier": "*topup", "BalanceType": MONEY, "Units": "5", "Weight": 10}],
}
PLANS = {"TPid": "T", "ID": "P", "ActionPlan": [{"ActionsId": "A", "TimingId": "*asap", "Weight": 10}]}
TRIGGERS = {"TPid": "T", "ID": "G", "ActionTriggers": [{"Id": "G", "UniqueID": "U", "ThresholdType": "*min_balance"}]}
GROUPS = {"TPid": "T", "ID": "S", "SharedGroups": [{"Account": "*any", "Strategy": "*lowest"}]}
ACCOUNT = {"TPid": "T", "LoadId": "L", "Account": "a", "ActionPlanId": "P"}


@pytest.mark.parametrize(
    ("method", "params", "expected"),
    [
        ("SetTPActions", {}, "MANDATORY_IE_MISSING: [TPid ID Actions]"),
        ("SetTPActions", {"TPid": "T", "ID": "A"}, "MANDATORY_IE_MISSING: [Actions]"),
        ("SetTPActions", {"TPid": "T", "ID": "A", "Actions": [{}]}, "MANDATORY_IE_MISSING:Action::[Identifier]"),
        ("SetTPActionPlan", {}, "MANDATORY_IE_MISSING: [TPid ID ActionPlan]"),
        ("SetTPActionPlan", {"TPid": "T", "ID": "P", "ActionPlan": [{"ActionsId": "ACT"}]},
         "MANDATORY_IE_MISSING:Action:ACT:[TimingId]"),
        ("SetTPActionPlan", {"TPid": "T", "ID": "P", "ActionPlan": [{}]},
         "MANDATORY_IE_MISSING:Action::[ActionsId TimingId]"),
        ("SetTPActionTriggers", {}, "MANDATORY_IE_MISSING: [TPid ID]"),
        ("SetTPSharedGroups", {}, "MANDATORY_IE_MISSING: [TPid ID SharedGroups]"),
        ("SetTPAccountActions", {}, "MANDATORY_IE_MISSING: [TPid LoadId Account ActionPlanId]"),
        *((f"{verb}TP{kind}", {}, "MANDATORY_IE_MISSING: [TPid ID]")
          for verb in ("Get", "Remove") for kind in ("Actions", "ActionPlan", "ActionTriggers", "SharedGroups")),
        *((f"GetTP{kind}", {"TPid": "T", "ID": "NONE"}, "NOT_FOUND")
          for kind in ("Actions", "ActionPlan", "ActionTriggers", "SharedGroups")),
        *((f"GetTP{kind}", {"TPid": "OTHER", "ID": "A"}, "NOT_FOUND") for kind in ("Actions", "ActionPlan")),
        *((f"{verb}TPAccountActions", {}, "MANDATORY_IE_MISSING: [TPid AccountActionsId]") for verb in ("Get", "Remove")),
        ("GetTPAccountActions", {"TPid": "T", "AccountActionsId": "L:cgrates.org:b"}, "NOT_FOUND"),
        ("GetTPAccountActionsByLoadId", {}, "MANDATORY_IE_MISSING: [TPid LoadId]"),
        ("GetTPAccountActionsByLoadId", {"TPid": "T", "LoadId": "X"}, "NOT_FOUND"),
        *((f"GetTP{kind}Ids", {}, "MANDATORY_IE_MISSING: [TPid]")
          for kind in ("Action", "ActionPlan", "ActionTrigger", "SharedGroup", "AccountAction", "AccountActionLoad")),
        ("LoadAccountActions", {}, "MANDATORY_IE_MISSING: [TPid]"),
        ("LoadSharedGroup", {}, "MANDATORY_IE_MISSING: [TPid]"),
    ],
)  # fmt: skip
def test_errors_of_the_store(method: str, params: dict[str, Any], expected: str) -> None:
    node = store_node()
    assert node.call(f"APIerSv1.{method}", params)["error"] == expected


def store_node() -> Node:
    node = Node()
    for kind, params in (
        ("Actions", ACTIONS), ("ActionPlan", PLANS), ("ActionTriggers", TRIGGERS), ("SharedGroups", GROUPS),
        ("AccountActions", ACCOUNT),
    ):  # fmt: skip
        ok(node, f"APIerSv1.SetTP{kind}", params)
    return node


def test_what_is_stored_is_given_back_with_all_fields() -> None:
    node = store_node()
    shared = [{"Account": "*any", "Strategy": "*lowest", "RatingSubject": ""}]
    assert ok(node, "APIerSv1.GetTPSharedGroups", {"TPid": "T", "ID": "S"}) == {**GROUPS, "SharedGroups": shared}
    assert ok(node, "APIerSv1.GetTPActionPlan", {"TPid": "T", "ID": "P"}) == PLANS
    (action,) = ok(node, "APIerSv1.GetTPActions", {"TPid": "T", "ID": "A"})["Actions"]
    assert {name: value for name, value in action.items() if value} == ACTIONS["Actions"][0]  # type: ignore[index]
    assert sorted(action) == sorted((
        "Identifier", "BalanceId", "BalanceUuid", "BalanceType", "Units", "ExpiryTime", "Filters", "TimingTags",
        "DestinationIds", "RatingSubject", "Categories", "SharedGroups", "BalanceWeight", "ExtraParameters", "BalanceBlocker",
        "BalanceDisabled", "Weight",
    ))  # fmt: skip
    (trigger,) = ok(node, "APIerSv1.GetTPActionTriggers", {"TPid": "T", "ID": "G"})["ActionTriggers"]
    assert {name: value for name, value in trigger.items() if value not in ("", 0, False)} == TRIGGERS[
        "ActionTriggers"
    ][0]  # type: ignore[index]
    whole = {**ACCOUNT, "Tenant": "cgrates.org", "ActionTriggersId": "", "AllowNegative": False, "Disabled": False}
    account = {"TPid": "T", "AccountActionsId": "L:cgrates.org:a"}
    assert ok(node, "APIerSv1.GetTPAccountActions", account) == whole
    assert ok(node, "APIerSv1.GetTPAccountActionsByLoadId", {"TPid": "T", "LoadId": "L"}) == [whole]


@pytest.mark.parametrize(
    ("kind", "ids"),
    [
        ("Action", ["A"]), ("ActionPlan", ["P"]), ("ActionTrigger", ["G"]), ("SharedGroup", ["S"]),
        ("AccountAction", ["L:cgrates.org:a"]), ("AccountActionLoad", ["L"]),
    ],
)  # fmt: skip
def test_lists_of_ids(kind: str, ids: list[str]) -> None:
    node = store_node()
    method = f"APIerSv1.GetTP{kind}Ids"
    assert ok(node, method, {"TPid": "T"}) == ids
    assert ok(node, method, {"TPid": "T", "Search": ids[0][:1]}) == ids
    assert ok(node, method, {"TPid": "T", "Search": "zzz"}) == ok(node, method, {"TPid": "OTHER"}) == []


@pytest.mark.parametrize("version", ["APIerSv1", "APIerSv2"])
def test_nothing_is_active_until_it_is_loaded(version: str) -> None:
    node = store_node()
    assert node.call("APIerSv2.GetActionsCount", {})["error"] == "NOT_FOUND"
    params = {"TPid": "T", "AccountActionsId": "L:cgrates.org:a"}
    if version == "APIerSv1":
        params = {"TPid": "T", "LoadId": "L", "Tenant": "cgrates.org", "Account": "a"}
    assert ok(node, f"{version}.LoadAccountActions", params) == "OK"
    node.advance(SECOND)
    assert stored(node)["BalanceMap"][MONEY][0]["Value"] == 5
    ok(node, "APIerSv1.LoadSharedGroup", {"TPid": "T", "SharedGroupId": "S"})
    assert ok(node, "APIerSv1.GetSharedGroup", "S")["Id"] == "S"
    for kind, name in (("Actions", "A"), ("ActionPlan", "P"), ("ActionTriggers", "G"), ("SharedGroups", "S")):
        for _ in range(2):  # also of an unknown one
            assert ok(node, f"APIerSv1.RemoveTP{kind}", {"TPid": "T", "ID": name}) == "OK"
    account = {"TPid": "T", "AccountActionsId": "L:cgrates.org:a"}
    assert ok(node, "APIerSv1.RemoveTPAccountActions", account) == "OK"
    assert ok(node, "APIerSv2.GetActionsCount", {}) == 1  # what is live stays
