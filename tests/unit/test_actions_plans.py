"""Action plans over the API, sentence by sentence (spec 20 §6.1, 6.3, 6.4)."""

from __future__ import annotations

from typing import Any

import pytest

from cgr_cluster.config import settings
from cgr_cluster.node.node import Node

SECOND = 1_000_000_000
DAY = 86_400 * SECOND
ZERO = "0001-01-01T00:00:00Z"
NOW = "2026-06-16T09:00:00Z"  # the node's clock at its start, a Tuesday


def ok(node: Node, method: str, params: Any) -> Any:
    answer = node.call(method, params)
    assert answer["error"] is None, (method, params, answer)
    return answer["result"]


def error(node: Node, method: str, params: Any) -> str:
    answer = node.call(method, params)
    assert answer["error"] is not None, (method, params, answer)
    return str(answer["error"])


def topup(node: Node, name: str, units: str = "1", balance: str = "MAIN") -> None:
    row = {"Identifier": "*topup", "BalanceType": "*monetary", "Units": units, "BalanceId": balance, "Weight": 10}
    ok(node, "APIerSv2.SetActions", {"ActionsId": name, "Overwrite": True, "Actions": [row]})


def set_plan(node: Node, plan: str, *rows: dict[str, Any], reload: bool = False) -> None:
    full = [{"ActionsId": "FEE", "Weight": 10, **row} for row in rows]
    params = {"Id": plan, "ActionPlan": full, "Overwrite": True, "ReloadScheduler": reload}
    ok(node, "APIerSv1.SetActionPlan", params)


def new_node(workers: int = 1, **changes: dict[str, Any]) -> Node:
    config = dict(settings.ephemeral())
    for section, keys in changes.items():
        config[section] = {**config[section], **keys}
    node = Node(workers, config)
    topup(node, "FEE")
    topup(node, "GIFT", "5")
    return node


def value(node: Node, account: str, balance: str = "MAIN") -> float | None:
    answer = node.call("APIerSv2.GetAccount", {"Account": account})
    if answer["error"]:
        return None
    return sum(b["Value"] for b in (answer["result"]["BalanceMap"] or {}).get("*monetary", ()) if b["ID"] == balance)


def attach(node: Node, account: str, *plans: str, **options: Any) -> None:
    ok(node, "APIerSv2.SetAccount", {"Account": account, "ActionPlanIDs": list(plans), **options})


def plans_of(node: Node, account: str) -> list[str]:
    return [entry["ActionPlanId"] for entry in ok(node, "APIerSv1.GetAccountActionPlan", {"Account": account})]


# --- SetActionPlan -----------------------------------------------------------------------------------------------

ROW = {"ActionsId": "FEE", "Time": "00:00:00", "Weight": 10}


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({}, "MANDATORY_IE_MISSING: [Id ActionPlan]"),
        ({"Id": "AP"}, "MANDATORY_IE_MISSING: [ActionPlan]"),
        ({"ActionPlan": [ROW]}, "MANDATORY_IE_MISSING: [Id]"),
        ({"Id": "AP", "ActionPlan": []}, "MANDATORY_IE_MISSING: [ActionPlan]"),
        ({"Id": "AP", "ActionPlan": [{"ActionsId": "FEE"}]}, "MANDATORY_IE_MISSING:Action:FEE:[Time]"),
        ({"Id": "AP", "ActionPlan": [{"Time": "noon"}]}, "MANDATORY_IE_MISSING:Action::[ActionsId]"),
        ({"Id": "AP", "ActionPlan": [{}]}, "MANDATORY_IE_MISSING:Action::[ActionsId Time]"),
        # what is missing in any row comes before what is wrong in the first, and before EXISTS
        ({"Id": "HELD", "ActionPlan": [{**ROW, "Time": "noon"}, {"ActionsId": "X"}]}, "MANDATORY_IE_MISSING:Action:X:[Time]"),
        ({"Id": "HELD", "ActionPlan": [{**ROW, "ActionsId": "NOPE"}]}, "EXISTS"),
        ({"Id": "AP", "ActionPlan": [{**ROW, "ActionsId": "NOPE", "Time": "noon"}]}, "BROKEN_REFERENCE:NOPE"),
        ({"Id": "AP", "ActionPlan": [{**ROW, "Time": "noon"}, {**ROW, "ActionsId": "X"}]}, "UNSUPPORTED_FORMAT:noon"),
        ({"Id": "AP", "ActionPlan": [ROW, {**ROW, "ActionsId": "X"}]}, "BROKEN_REFERENCE:X"),
    ],
)  # fmt: skip
def test_errors_of_set_action_plan_in_order(params: dict[str, Any], expected: str) -> None:
    node = new_node()
    set_plan(node, "HELD", {"Time": "00:00:00"})
    assert error(node, "APIerSv1.SetActionPlan", params) == expected
    assert ok(node, "APIerSv1.GetActionPlanIDs", {}) == ["HELD"]


@pytest.mark.parametrize(
    "time",
    [
        "noon",
        "*any",
        "*every",
        "*:30:00",
        "10:00",
        "10:00:00:00",
        "1e:00:00",
        "24:00:00",
        "25:00:00",
        "10:60:00",
        "10:00:60",
        "+soon",
        "+",
    ],
)
def test_times_that_are_refused(time: str) -> None:
    node = new_node()
    params = {"Id": "AP", "ActionPlan": [{**ROW, "Time": time}]}
    assert error(node, "APIerSv1.SetActionPlan", params) == f"UNSUPPORTED_FORMAT:{time}"


def timing(**fields: Any) -> dict[str, Any]:
    empty = {"ID": "", "Years": [], "Months": [], "MonthDays": [], "WeekDays": [], "StartTime": "", "EndTime": ""}
    return {**empty, **fields}


@pytest.mark.parametrize(
    ("row", "shown", "next_run"),
    [
        ({"Time": "10:30:00"}, timing(StartTime="10:30:00"), "2026-06-16T10:30:00Z"),
        ({"Time": "08:00:00"}, timing(StartTime="08:00:00"), "2026-06-17T08:00:00Z"),
        ({"Time": "8:5:0"}, timing(StartTime="8:5:0"), "2026-06-17T08:05:00Z"),
        ({"Time": "23:59:59"}, timing(StartTime="23:59:59"), "2026-06-16T23:59:59Z"),
        ({"Time": "*asap"}, timing(StartTime="*asap"), None),
        ({"Time": "+90m"}, timing(StartTime="+90m"), "2026-06-16T10:30:00Z"),
        (
            {"Time": "00:00:00", "Years": "2045", "Months": "*any", "MonthDays": "1", "WeekDays": "*any"},
            timing(Years=[2045], MonthDays=[1], StartTime="00:00:00"),
            "2045-01-01T00:00:00Z",
        ),
        ({"Time": "00:00:00", "Years": "2045;2044"}, timing(Years=[2045, 2044], StartTime="00:00:00"), "2044-01-01T00:00:00Z"),
        ({"Time": "00:00:00", "Months": "6;9"}, timing(Months=[6, 9], StartTime="00:00:00"), "2026-09-01T00:00:00Z"),
        ({"Time": "00:00:00", "MonthDays": "31"}, timing(MonthDays=[31], StartTime="00:00:00"), "2026-07-31T00:00:00Z"),
        ({"Time": "00:00:00", "MonthDays": "-1"}, timing(MonthDays=[-1], StartTime="00:00:00"), "2026-06-30T00:00:00Z"),
        (
            {"Time": "00:00:00", "MonthDays": "29", "Months": "2"},
            timing(Months=[2], MonthDays=[29], StartTime="00:00:00"),
            "2028-02-29T00:00:00Z",
        ),
        ({"Time": "00:00:00", "WeekDays": "0;3"}, timing(WeekDays=[0, 3], StartTime="00:00:00"), "2026-06-17T00:00:00Z"),
        ({"Time": "00:00:00", "WeekDays": "7"}, timing(WeekDays=[0], StartTime="00:00:00"), "2026-06-21T00:00:00Z"),
        (  # either of them
            {"Time": "00:00:00", "WeekDays": "6", "MonthDays": "18"},
            timing(WeekDays=[6], MonthDays=[18], StartTime="00:00:00"),
            "2026-06-18T00:00:00Z",
        ),
        ({"Time": "00:00:00", "Years": "x;2044"}, timing(Years=[2044], StartTime="00:00:00"), "2044-01-01T00:00:00Z"),
        ({"Time": "00:00:00", "Years": "2020"}, timing(Years=[2020], StartTime="00:00:00"), ZERO),
        ({"Time": "07:00:00", "TimingID": "TM"}, timing(ID="TM", StartTime="07:00:00"), "2026-06-17T07:00:00Z"),
        (
            {"Time": "07:00:00", "TimingID": "*monthly_estimated", "MonthDays": "31"},
            timing(ID="*monthly_estimated", MonthDays=[31], StartTime="07:00:00"),
            "2026-06-30T07:00:00Z",
        ),
        ({"Time": "*every_minute"}, timing(ID="*every_minute", StartTime="*:*:00"), "2026-06-16T09:01:00Z"),
        ({"Time": "*hourly"}, timing(ID="*hourly", StartTime="*:00:00"), "2026-06-16T10:00:00Z"),
        ({"Time": "*daily"}, timing(ID="*daily", StartTime="09:00:00"), "2026-06-17T09:00:00Z"),
        ({"Time": "*weekly"}, timing(ID="*weekly", WeekDays=[2], StartTime="09:00:00"), "2026-06-23T09:00:00Z"),
        ({"Time": "*monthly"}, timing(ID="*monthly", MonthDays=[16], StartTime="09:00:00"), "2026-07-16T09:00:00Z"),
        (
            {"Time": "*monthly_estimated"},
            timing(ID="*monthly_estimated", MonthDays=[16], StartTime="09:00:00"),
            "2026-07-16T09:00:00Z",
        ),
        ({"Time": "*month_end"}, timing(ID="*month_end", MonthDays=[-1], StartTime="09:00:00"), "2026-06-30T09:00:00Z"),
        (
            {"Time": "*yearly", "TimingID": "TM", "Months": "1"},  # a predefined one is as it is
            timing(ID="*yearly", Months=[6], MonthDays=[16], StartTime="09:00:00"),
            "2027-06-16T09:00:00Z",
        ),
    ],
)  # fmt: skip
def test_rows_of_a_plan_and_their_next_run(row: dict[str, Any], shown: dict[str, Any], next_run: str | None) -> None:
    node = new_node()
    set_plan(node, "AP", {**row, "Weight": 7})
    plan = ok(node, "APIerSv1.GetActionPlan", {"ID": "AP"})[0]
    entry = plan["ActionTimings"][0]
    assert entry["Timing"] == {"Timing": shown, "Rating": None, "Weight": 0}
    assert (entry["ActionsID"], entry["ExtraData"], entry["Weight"]) == ("FEE", None, 7)
    ok(node, "APIerSv1.SetActionPlanAccounts", {
        "Id": "AP", "ActionPlan": [{**ROW, **row}], "AccountIDs": ["cgrates.org:a"], "Overwrite": True,
    })  # fmt: skip
    found = ok(node, "APIerSv1.GetAccountActionPlan", {"Account": "a"})
    if next_run is not None:
        assert [entry["NextExecTime"].split(".")[0].rstrip("Z") + "Z" for entry in found] == [next_run]


def test_a_stored_timing_of_the_same_id_is_not_looked_at() -> None:
    node = new_node()
    ok(node, "APIerSv1.SetTiming", {"ID": "TM", "Years": [2044], "Months": [3], "StartTime": "10:00:00"})
    set_plan(node, "AP", {"Time": "11:00:00", "TimingID": "TM", "Years": "2045"})
    shown = ok(node, "APIerSv1.GetActionPlan", {"ID": "AP"})[0]["ActionTimings"][0]["Timing"]["Timing"]
    assert shown == timing(ID="TM", Years=[2045], StartTime="11:00:00")


def test_next_runs_are_on_the_clock_of_the_default_timezone() -> None:
    node = new_node(general={"default_timezone": "Europe/Berlin"})
    set_plan(node, "AP", {"Time": "12:00:00"}, {"Time": "12:00:00", "Months": "12"}, reload=True)
    node.run()
    found = [entry["NextRunTime"] for entry in ok(node, "APIerSv1.GetScheduledActions", {})]
    assert found == ["2026-06-16T12:00:00+02:00", "2026-12-01T12:00:00+01:00"]
    attach(node, "a", "AP", ReloadScheduler=True)
    node.advance(3600 * SECOND - 1_000_000)  # 11:59:59.999 in Berlin
    assert value(node, "a") == 0
    node.advance(1_000_000)
    assert value(node, "a") == 1


# --- reading plans -----------------------------------------------------------------------------------------------


def test_plans_are_listed() -> None:
    node = new_node()
    assert error(node, "APIerSv1.GetActionPlan", {"ID": "AP"}) == "NOT_FOUND"
    assert error(node, "APIerSv1.GetActionPlan", {}) == "NOT_FOUND"
    assert error(node, "APIerSv1.GetActionPlanIDs", {}) == "NOT_FOUND"
    for plan in ("B", "A", "AB"):
        set_plan(node, plan, {"Time": "00:00:00"})
    for params in ({}, {"ID": ""}, {"ID": "*"}):
        assert sorted(plan["Id"] for plan in ok(node, "APIerSv1.GetActionPlan", params)) == ["A", "AB", "B"]
    assert [plan["Id"] for plan in ok(node, "APIerSv1.GetActionPlan", {"ID": "AB"})] == ["AB"]
    assert sorted(ok(node, "APIerSv1.GetActionPlanIDs", {"Tenant": "nobody"})) == ["A", "AB", "B"]
    assert sorted(ok(node, "APIerSv1.GetActionPlanIDs", {"Search": "A"})) == ["A", "AB"]
    assert len(ok(node, "APIerSv1.GetActionPlanIDs", {"Limit": 1, "Offset": 1})) == 1
    assert error(node, "APIerSv1.GetActionPlanIDs", {"Search": "X"}) == "NOT_FOUND"


def test_account_action_plan_of_unknown_and_missing_accounts() -> None:
    node = new_node()
    assert error(node, "APIerSv1.GetAccountActionPlan", {}) == "MANDATORY_IE_MISSING: [Account ]"
    assert ok(node, "APIerSv1.GetAccountActionPlan", {"Account": "nobody"}) == []


# --- attaching ---------------------------------------------------------------------------------------------------


def test_without_reload_nothing_runs_until_some_later_reload() -> None:
    node = new_node()
    set_plan(node, "DAILY", {"Time": "00:00:00"})
    set_plan(node, "NOW", {"Time": "*asap", "ActionsId": "GIFT"})
    attach(node, "a", "DAILY", "NOW")
    node.advance(DAY)
    assert (value(node, "a"), error(node, "APIerSv1.GetScheduledActions", {})) == (0, "NOT_FOUND")
    ok(node, "SchedulerSv1.Reload", {})
    node.advance(SECOND)
    assert value(node, "a") == 5
    attach(node, "b", "DAILY", "NOW")
    assert ok(node, "APIerSv1.GetScheduledActions", {})[0]["Accounts"] == 1
    assert error(node, "APIerSv1.GetScheduledActions", {"Account": "b"}) == "NOT_FOUND"
    node.advance(DAY)
    assert (value(node, "a"), value(node, "b")) == (6, 0)
    attach(node, "c", "DAILY", ReloadScheduler=True)
    node.advance(SECOND)
    assert ok(node, "APIerSv1.GetScheduledActions", {"Account": "b"})[0]["Accounts"] == 3
    node.advance(DAY)
    assert [value(node, account) for account in "abc"] == [7, 6, 1]


def test_a_reload_that_changes_nothing_is_not_made() -> None:
    node = new_node()
    set_plan(node, "DAILY", {"Time": "00:00:00"})
    attach(node, "a", "DAILY")
    attach(node, "a", "DAILY", ReloadScheduler=True)  # it is there already
    node.advance(SECOND)
    assert error(node, "APIerSv1.GetScheduledActions", {}) == "NOT_FOUND"


@pytest.mark.parametrize(
    ("times", "member"),
    [(("*asap",), False), (("*asap", "*asap"), False), (("*asap", "00:00:00"), True), (("00:00:00",), True)],
)
def test_an_account_joins_a_plan_unless_all_its_timings_are_asap(times: tuple[str, ...], member: bool) -> None:
    node = new_node()
    set_plan(node, "AP", *({"Time": time} for time in times))
    attach(node, "a", "AP", ReloadScheduler=True)
    node.advance(SECOND)
    assert value(node, "a") == times.count("*asap")
    assert plans_of(node, "a") == (["AP"] * len(times) if member else [])
    assert ok(node, "APIerSv1.GetActionPlan", {"ID": "AP"})[0]["AccountIDs"] == (
        {"cgrates.org:a": True} if member else {}
    )


def test_attaching_an_asap_plan_again_runs_it_again() -> None:
    node = new_node()
    set_plan(node, "AP", {"Time": "*asap"}, {"Time": "00:00:00", "ActionsId": "GIFT"})
    for times in (1, 2, 3):
        attach(node, "a", "AP", ReloadScheduler=True)
        node.advance(SECOND)
        assert value(node, "a") == times


def test_an_account_in_several_plans_keeps_their_order() -> None:
    node = new_node()
    for plan in ("P1", "P2", "P3"):
        set_plan(node, plan, {"Time": "00:00:00"})
    attach(node, "a", "P2")
    attach(node, "a", "P1", "P2")
    assert plans_of(node, "a") == ["P2", "P1"]
    attach(node, "a", "P3", "P1", ActionPlansOverwrite=True)
    assert plans_of(node, "a") == ["P1", "P3"]
    attach(node, "a", ActionPlansOverwrite=True)
    assert plans_of(node, "a") == []


def test_an_unknown_plan_leaves_everything_as_it_was() -> None:
    node = new_node()
    set_plan(node, "P1", {"Time": "00:00:00"})
    params = {"Account": "a", "ActionPlanIDs": ["P1", "NOPE"]}
    assert error(node, "APIerSv2.SetAccount", params) == "SERVER_ERROR: NOT_FOUND"
    assert (value(node, "a"), plans_of(node, "a")) == (None, [])


def test_set_account_of_version_1_replaces_the_plans_and_runs_asap_once() -> None:
    node = new_node()
    set_plan(node, "NOW", {"Time": "*asap"})
    set_plan(node, "P1", {"Time": "00:00:00"})
    attach(node, "a", "P1")
    params = {"Account": "a", "ActionPlanID": "NOW", "ReloadScheduler": True}
    for _ in range(2):  # the second time it is attached already: no task
        ok(node, "APIerSv1.SetAccount", params)
        node.advance(SECOND)
        assert (value(node, "a"), plans_of(node, "a")) == (1, ["NOW"])
    assert error(node, "APIerSv1.SetAccount", {"Account": "a", "ActionPlanID": "X"}) == "SERVER_ERROR: NOT_FOUND"


def test_accounts_given_to_a_plan_are_in_it_and_run_with_it() -> None:
    node = new_node(workers=2)
    params = {"Id": "AP", "ActionPlan": [ROW], "AccountIDs": ["cgrates.org:x", "other:y"], "ReloadScheduler": True}
    assert error(node, "APIerSv1.SetActionPlanAccounts", {**params, "Id": ""}) == "MANDATORY_IE_MISSING: [Id]"
    ok(node, "APIerSv1.SetActionPlanAccounts", params)
    assert error(node, "APIerSv1.SetActionPlanAccounts", params) == "EXISTS"
    plan = ok(node, "APIerSv1.GetActionPlan", {"ID": "AP"})[0]
    assert plan["AccountIDs"] == {"cgrates.org:x": True, "other:y": True}
    assert plans_of(node, "x") == ["AP"]
    node.advance(DAY)
    assert value(node, "x") == 1
    assert (
        ok(node, "APIerSv2.GetAccount", {"Tenant": "other", "Account": "y"})["BalanceMap"]["*monetary"][0]["Value"] == 1
    )


# --- removing ----------------------------------------------------------------------------------------------------


def test_removing_a_plan() -> None:
    node = new_node()
    set_plan(node, "AP", {"Time": "00:00:00"}, reload=True)
    attach(node, "a", "AP", ReloadScheduler=True)
    assert error(node, "APIerSv1.RemoveActionPlan", {}) == "MANDATORY_IE_MISSING: [ID]"
    assert ok(node, "APIerSv1.RemoveActionPlan", {"ID": "NOPE"}) == "OK"
    assert ok(node, "APIerSv1.RemoveActionPlan", {"ID": "AP"}) == "OK"
    assert plans_of(node, "a") == []
    node.advance(2 * DAY)
    assert value(node, "a") == 0
    set_plan(node, "AP", {"Time": "00:00:00"}, reload=True)  # a plan of the same name has other accounts
    assert (plans_of(node, "a"), ok(node, "APIerSv1.GetActionPlan", {"ID": "AP"})[0]["AccountIDs"]) == ([], {})


def test_removing_parts_of_a_plan() -> None:
    node = new_node()
    remove = "APIerSv1.RemoveActionTiming"
    assert error(node, remove, {}) == "MANDATORY_IE_MISSING: [ActionPlanId]"
    assert error(node, remove, {"ActionPlanId": "AP"}) == "SERVER_ERROR: NOT_FOUND"
    set_plan(node, "AP", {"Time": "00:00:00"}, {"Time": "06:00:00"})
    attach(node, "a", "AP", ReloadScheduler=True)
    attach(node, "b", "AP", ReloadScheduler=True)
    assert ok(node, remove, {"ActionPlanId": "AP", "Account": "nobody"}) == "OK"
    assert ok(node, remove, {"ActionPlanId": "AP", "ActionTimingId": "nothing"}) == "OK"
    assert ok(node, remove, {"ActionPlanId": "AP", "Tenant": "cgrates.org", "Account": "b"}) == "OK"
    plan = ok(node, "APIerSv1.GetActionPlan", {"ID": "AP"})[0]
    assert (list(plan["AccountIDs"]), len(plan["ActionTimings"])) == (["cgrates.org:a"], 2)
    first, second = (entry["Uuid"] for entry in plan["ActionTimings"])
    assert ok(node, remove, {"ActionPlanId": "AP", "ActionTimingId": first, "ReloadScheduler": True}) == "OK"
    node.advance(SECOND)
    assert [entry["ActionTimingUUID"] for entry in ok(node, "APIerSv1.GetScheduledActions", {})] == [second]
    assert [entry["Uuid"] for entry in ok(node, "APIerSv1.GetAccountActionPlan", {"Account": "a"})] == [second]
    assert ok(node, remove, {"ActionPlanId": "AP", "ActionTimingId": second}) == "OK"  # the last one
    assert error(node, "APIerSv1.GetActionPlan", {"ID": "AP"}) == "NOT_FOUND"
    set_plan(node, "AP", {"Time": "00:00:00"})
    assert ok(node, remove, {"ActionPlanId": "AP"}) == "OK"
    assert error(node, "APIerSv1.GetActionPlan", {"ID": "AP"}) == "NOT_FOUND"


def test_removing_an_account_takes_it_out_of_all_plans() -> None:
    node = new_node()
    set_plan(node, "AP", {"Time": "00:00:00"})
    set_plan(node, "NOW", {"Time": "*asap"})
    attach(node, "a", "AP", "NOW")
    ok(node, "APIerSv1.RemoveAccount", {"Account": "a"})
    assert ok(node, "APIerSv1.GetActionPlan", {"ID": "AP"})[0]["AccountIDs"] == {}
    ok(node, "SchedulerSv1.Reload", {})
    node.advance(DAY)
    assert value(node, "a") is None


# --- the scheduler -----------------------------------------------------------------------------------------------


def scheduled(node: Node, **params: Any) -> list[str]:
    answer = node.call("APIerSv1.GetScheduledActions", params)
    if answer["error"] is not None:
        assert answer["error"] == "NOT_FOUND"
        return []
    return [entry["ActionsID"] for entry in answer["result"]]


def test_scheduled_actions_are_filtered_and_paged() -> None:
    node = new_node(workers=2)
    for name in ("A1", "A2", "A3", "A4"):
        topup(node, name)
    set_plan(node, "P1", {"ActionsId": "A3", "Time": "12:00:00", "Weight": 5}, {"ActionsId": "A1", "Time": "10:00:00"})
    set_plan(node, "P2", {"ActionsId": "A2", "Time": "12:00:00", "Weight": 20}, {"ActionsId": "A4", "Time": "13:00:00"})
    set_plan(node, "ASAP", {"Time": "*asap"}, {"Time": "00:00:00", "Years": "2001"}, reload=True)
    attach(node, "x", "P1")
    ok(
        node,
        "APIerSv2.SetAccount",
        {"Tenant": "other", "Account": "y", "ActionPlanIDs": ["P1"], "ReloadScheduler": True},
    )
    node.advance(SECOND)
    assert scheduled(node) == ["A1", "A2", "A3", "A4"]  # by time, then by weight
    whole = ok(node, "APIerSv1.GetScheduledActions", {})[2]
    assert sorted(whole) == ["Accounts", "ActionPlanID", "ActionTimingUUID", "ActionsID", "NextRunTime"]
    assert (whole["NextRunTime"], whole["Accounts"], whole["ActionPlanID"]) == ("2026-06-16T12:00:00Z", 2, "P1")
    assert scheduled(node, TimeStart="2026-06-16T12:00:00Z") == ["A2", "A3", "A4"]  # the beginning belongs to it
    assert scheduled(node, TimeEnd="2026-06-16T12:00:00Z") == ["A1"]  # the end does not
    assert scheduled(node, TimeStart="2026-06-16T12:00:00Z", TimeEnd="2026-06-16T12:00:01Z") == ["A2", "A3"]
    assert scheduled(node, TimeStart=ZERO, TimeEnd=ZERO) == ["A1", "A2", "A3", "A4"]
    assert scheduled(node, Account="x") == scheduled(node, Tenant="other") == ["A1", "A3"]
    assert scheduled(node, Tenant="other", Account="x") == []
    assert scheduled(node, Limit=2) == ["A1", "A2"]
    assert scheduled(node, Limit=2, Offset=3) == ["A4"]
    assert scheduled(node, Offset=2) == ["A3", "A4"]
    assert scheduled(node, Limit=0) == scheduled(node, Offset=4) == []
    assert scheduled(node, Limit=9, Offset=9) == ["A1", "A2", "A3", "A4"]  # beyond what there is: not looked at


def test_a_delayed_timing_runs_once_for_each_account() -> None:
    node = new_node()
    set_plan(node, "SOON", {"Time": "+10s"})
    attach(node, "a", "SOON", ReloadScheduler=True)
    node.advance(5 * SECOND)
    assert ok(node, "APIerSv1.GetScheduledActions", {})[0]["NextRunTime"].startswith("2026-06-16T09:00:10")
    ok(node, "SchedulerSv1.Reload", {})  # it keeps its time
    node.advance(6 * SECOND)
    assert (value(node, "a"), scheduled(node)) == (1, [])
    for _ in range(2):
        ok(node, "SchedulerSv1.Reload", {})
        node.advance(11 * SECOND)
        assert (value(node, "a"), scheduled(node)) == (1, [])
    attach(node, "b", "SOON")
    node.advance(11 * SECOND)
    assert value(node, "b") == 0  # no reload yet
    attach(node, "c", "SOON", ReloadScheduler=True)
    node.advance(SECOND)
    assert scheduled(node) == ["FEE"]
    ok(node, "ServiceManagerV1.StopService", {"ServiceID": "*scheduler"})
    ok(node, "ServiceManagerV1.StartService", {"ServiceID": "*scheduler"})
    node.advance(11 * SECOND)
    assert [value(node, account) for account in "abc"] == [1, 1, 1]
    set_plan(node, "SOON", {"Time": "+10s"}, reload=True)  # set anew it has other accounts
    attach(node, "a", "SOON", ReloadScheduler=True)
    node.advance(11 * SECOND)
    assert [value(node, account) for account in "abc"] == [2, 1, 1]


def test_what_was_missed_is_not_made_up() -> None:
    node = new_node()
    set_plan(node, "AP", {"Time": "*hourly"})
    attach(node, "a", "AP", ReloadScheduler=True)
    node.advance(SECOND)
    node.now_ns += 150 * 60 * SECOND  # no process runs for two and a half hours
    node.kill(0)
    node.advance(SECOND)
    assert (value(node, "a"), scheduled(node)) == (0, ["FEE"])
    node.advance(30 * 60 * SECOND)
    assert value(node, "a") == 1


def test_execute_actions_runs_timings_by_weight_but_not_asap() -> None:
    node = new_node(workers=2)
    row = {"Identifier": "*topup_reset", "BalanceType": "*monetary", "Units": "5", "BalanceId": "MAIN", "Weight": 10}
    ok(node, "APIerSv2.SetActions", {"ActionsId": "RESET", "Actions": [row]})
    timings = [
        {"ActionsId": "FEE", "Time": "00:00:00", "Weight": 5},
        {"ActionsId": "RESET", "Time": "00:00:00", "Weight": 20},
        {"ActionsId": "GIFT", "Time": "*asap", "Weight": 1},
    ]
    set_plan(node, "AP", *timings)
    attach(node, "a", "AP")  # no reload: the accounts are those of the plan now
    assert ok(node, "SchedulerSv1.ExecuteActions", {"ActionPlanID": "AP"}) == "OK"
    assert value(node, "a") == 6
    assert error(node, "SchedulerSv1.ExecuteActions", {"ActionPlanID": "NOPE"}) == "NOT_FOUND"
    assert ok(node, "SchedulerSv1.ExecuteActions", {}) == "OK"


@pytest.mark.parametrize("method", ["ExecuteActions", "ExecuteActionPlans"])
@pytest.mark.parametrize(("broken", "expected"), [("FAILS", "PARTIALLY_EXECUTED"), ("GONE", "NOT_FOUND")])
def test_an_execution_ends_with_the_first_timing_that_fails(method: str, broken: str, expected: str) -> None:
    node = new_node(workers=2)
    for name in ("FAILS", "GONE"):
        ok(node, "APIerSv2.SetActions", {"ActionsId": name, "Actions": [{"Identifier": "*nothing", "Weight": 10}]})
    timings = [
        {"ActionsId": "FEE", "Time": "00:00:00", "Weight": 30},
        {"ActionsId": broken, "Time": "00:00:00", "Weight": 20},
        {"ActionsId": "GIFT", "Time": "00:00:00", "Weight": 10},
    ]
    set_plan(node, "AP", *timings)
    attach(node, "a", "AP")
    attach(node, "b", "AP")
    ok(node, "APIerSv1.RemoveActions", {"ActionIDs": ["GONE"]})
    params = {"ActionPlanID": "AP"} if method == "ExecuteActions" else {"ActionPlanIDs": ["AP"], "AccountID": "a"}
    assert error(node, f"SchedulerSv1.{method}", params) == expected
    assert (value(node, "a"), value(node, "b")) == (1, 1 if method == "ExecuteActions" else 0)
    assert [run["Status"] for run in ok(node, "SchedulerSv1.GetRuns", {})].count("WAITING") == 0


def test_execute_action_plans_runs_all_timings_on_one_account() -> None:
    node = new_node(workers=2)
    set_plan(node, "P1", {"Time": "00:00:00"}, {"Time": "*asap", "ActionsId": "GIFT"})
    set_plan(node, "P2", {"Time": "00:00:00", "ActionsId": "GIFT"})
    attach(node, "b", "P1")
    params = {"ActionPlanIDs": ["P1", "P2"], "Tenant": "cgrates.org", "AccountID": "new"}
    assert ok(node, "SchedulerSv1.ExecuteActionPlans", params) == "OK"
    assert (value(node, "new"), value(node, "b")) == (11, 0)
    unknown = {"ActionPlanIDs": ["NOPE"], "AccountID": "other"}
    assert error(node, "SchedulerSv1.ExecuteActionPlans", unknown) == "NOT_FOUND"
    assert value(node, "other") == 0  # made all the same


def test_services_are_stopped_and_started() -> None:
    node = new_node()
    service = {"ServiceID": "*scheduler"}
    set_plan(node, "AP", {"Time": "00:00:00"})
    set_plan(node, "NOW", {"Time": "*asap", "ActionsId": "GIFT"})
    attach(node, "a", "AP", ReloadScheduler=True)
    ok(node, "ServiceManagerV1.StopService", service)
    attach(node, "a", "NOW", ReloadScheduler=True)  # nobody reloads
    node.advance(2 * DAY)
    assert (value(node, "a"), scheduled(node)) == (0, [])
    assert ok(node, "ServiceManagerV1.ServiceStatus", service) == "STOPPED"
    ok(node, "ServiceManagerV1.StartService", service)
    ok(node, "ServiceManagerV1.StartService", service)
    node.advance(SECOND)
    assert ok(node, "ServiceManagerV1.ServiceStatus", service) == "RUNNING"
    assert (value(node, "a"), scheduled(node)) == (5, ["FEE"])
    for method in ("ServiceStatus", "StartService", "StopService"):
        assert error(node, f"ServiceManagerV1.{method}", {"ServiceID": "*nope"}) == "UNSUPPORTED_SERVICE_ID"
    assert ok(node, "SchedulerSv1.Ping", {}) == "Pong"
