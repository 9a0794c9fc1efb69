"""Action types that have something done elsewhere (spec 20 §5.2, 5.3): what they call, what they wait for, how they fail."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cgr_cluster.accounts.answers import account_json
from cgr_cluster.accounts.reading import read_account
from cgr_cluster.actions import calls
from cgr_cluster.cdrs.types import SessionCosts
from cgr_cluster.node.node import Node
from cgr_cluster.rpc.errors import ApiError
from tests.simulation.crashing import of_kind
from tests.unit.actions_world import MONEY, TENANT, add, execute, group, hit, money, new_node, ok, stored, values

SECOND = 1_000_000_000
FAILED = "PARTIALLY_EXECUTED"


def rpc(method: str, params: Any, address: str = "*internal", **more: Any) -> dict[str, Any]:
    wanted = {"Address": address, "Method": method, "Params": params, **more}
    return {"Identifier": "*cgr_rpc", "ExtraParameters": json.dumps(wanted)}


ADD_TO_B = {"Account": "b", "BalanceType": MONEY, "Value": 3, "Balance": {"ID": "MAIN"}}


# --- *cgr_rpc to ourselves ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 3])
def test_a_method_of_ours_is_called_once(workers: int) -> None:
    node = new_node(workers)
    assert execute(node, money("*topup", "4"), rpc("APIerSv1.AddBalance", ADD_TO_B), money("*topup", "1")) is None
    assert (values(node), values(node, account="b")) == ({"MAIN": 5}, {"MAIN": 3})


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("APIerSv1.AddBalance", {"Account": "b"}),  # its error
        ("APIerSv1.NoSuchMethod", {}),
        ("NoSv1.Method", {}),
        ("APIerSv1.AddBalance", {"Account": 5}),  # a type error
    ],
)
def test_an_error_of_the_method_undoes_the_group(method: str, params: Any) -> None:
    node = new_node()
    add(node, "MAIN", 1)
    assert execute(node, money("*topup", "4"), rpc(method, params)) == FAILED
    assert values(node) == {"MAIN": 1}


def test_with_async_nobody_waits_and_errors_are_logged() -> None:
    node = new_node()
    assert execute(node, money("*topup", "4"), rpc("APIerSv1.AddBalance", ADD_TO_B, Async=True)) is None
    assert execute(node, rpc("APIerSv1.NoSuchMethod", {}, Async=True)) is None
    assert (values(node), values(node, account="b")) == ({"MAIN": 4}, {"MAIN": 3})


def test_what_a_failed_group_had_called_for_stays() -> None:
    node = new_node()
    assert execute(node, rpc("APIerSv1.AddBalance", ADD_TO_B), {"Identifier": "*nope"}) == FAILED
    assert values(node, account="b") == {"MAIN": 3}


def test_a_call_about_the_account_itself_comes_before_the_group_is_stored() -> None:
    node = new_node()
    own = {**ADD_TO_B, "Account": "a"}
    assert execute(node, money("*topup", "4"), rpc("APIerSv1.AddBalance", own)) is None
    assert values(node) == {"MAIN": 7}


def test_places_are_filled() -> None:
    node = new_node()
    add(node, "MAIN", 2.5)
    wanted = {
        "Account": "<< .Account.ID >>x",
        "BalanceType": MONEY,
        "Balance": {"ID": "<<.Action.ActionType>>"},
        "Value": 1,
    }
    assert execute(node, rpc("APIerSv1.AddBalance", wanted)) is None
    assert values(node, account=f"{TENANT}:ax") == {"*cgr_rpc": 1}
    wanted["Account"] = "<<.ExtraData.Event.Who>>"
    assert hit(node, rpc("APIerSv1.AddBalance", wanted), event={"Who": 'q"q'}) == ""
    assert values(node, account='q"q') == {"*cgr_rpc": 1}
    unquoted = rpc("APIerSv1.AddBalance", {**ADD_TO_B, "Overwrite": "@"})
    unquoted["ExtraParameters"] = unquoted["ExtraParameters"].replace('"@"', "<< .Account.AllowNegative >>")
    assert execute(node, unquoted) is None
    assert values(node, account="b") == {"MAIN": 3}


@pytest.mark.parametrize(
    ("extra", "error"),
    [
        ("{}", "ExtraParameters of *cgr_rpc without Address"),
        ('{"Address":"*internal"}', "ExtraParameters of *cgr_rpc without Method"),
        ("no json", "invalid ExtraParameters of *cgr_rpc: Expecting value: line 1 column 1 (char 0)"),
        ("<<.Account.Nope>>", "cannot read <<.Account.Nope>>: there is no Nope"),
        ("<<.Sq.X>>", "cannot read <<.Sq.X>>: there is no Sq, but Account, Action, ExtraData"),
        ("<<if x>>", "cannot read <<if x>>: a path of names is wanted, as in <<.Account.ID>>"),
        ('{"Address":"h:1","Method":"A.B","Transport":"*gob"}', "unsupported transport of *cgr_rpc: *gob"),
    ],
)
def test_parameters_that_cannot_be_read(extra: str, error: str) -> None:
    node = new_node()
    assert hit(node, {"Identifier": "*cgr_rpc", "ExtraParameters": extra}, event={}, account="a") == error


def test_groups_that_call_each_other_without_an_end_are_stopped() -> None:
    node = new_node()
    again = rpc("APIerSv1.ExecuteAction", {"Account": "<< .Account.ID >>", "ActionsId": "LOOP"})
    group(node, "LOOP", again)
    call = ("APIerSv1.ExecuteAction", {"Account": "a", "ActionsId": "LOOP"})
    assert node.call(*call)["error"] == FAILED
    group(
        node,
        "LOOP",
        rpc("APIerSv1.ExecuteAction", {"Account": "a", "ActionsId": "LOOP"}, Async=True),
        money("*topup", "1"),
    )
    assert node.call(*call)["error"] is None
    node.run()
    assert values(node) == {"MAIN": 9}  # its own, and the bound of a chain


def test_a_trigger_leaves_a_call_to_a_task() -> None:
    node = new_node()
    group(
        node, "TELL", money("*topup", "1", "BONUS"), rpc("APIerSv1.AddBalance", ADD_TO_B), money("*topup", "1", "BONUS")
    )
    wanted = {"ThresholdType": "*min_balance", "ThresholdValue": 2, "BalanceType": MONEY, "ActionsID": "TELL"}
    add(node, "MAIN", 5)
    ok(
        node,
        "APIerSv1.SetAccountActionTriggers",
        {"Account": "a", "GroupID": "T", "UniqueID": "u", "ActionTrigger": wanted},
    )
    ok(node, "APIerSv1.DebitBalance", {"Account": "a", "BalanceType": MONEY, "Value": 4, "Balance": {"ID": "MAIN"}})
    node.run()
    assert (values(node), values(node, account="b")) == ({"MAIN": 1, "BONUS": 2}, {"MAIN": 3})


# --- other systems -----------------------------------------------------------------------------------------------


def refusing(node: Node, name: str) -> list[int]:
    tries: list[int] = []

    def dead(*args: Any) -> None:
        tries.append(node.now_ns)
        raise ApiError("connection refused")

    node.outside[name] = dead
    return tries


def test_a_call_of_another_system() -> None:
    node, made = new_node(), []
    node.outside["json_rpc"] = lambda *args: made.append(args) or '"OK"'
    assert execute(node, rpc("X.Y", {"A": "<< .Account.ID >>"}, "host:2012")) is None
    assert made == [("host:2012", "*json", "X.Y", '{"A": "cgrates.org:a"}')]
    assert execute(node, rpc("X.Y", {}, "http://host/jsonrpc", Transport="*http_jrpc", Async=True)) is None
    assert made[1] == ("http://host/jsonrpc", "*http_jrpc", "X.Y", "{}")


def test_a_dead_endpoint_is_tried_as_often_as_wanted_and_fails_the_group() -> None:
    node = new_node()
    tries = refusing(node, "json_rpc")
    add(node, "MAIN", 1)
    assert execute(node, money("*topup", "4"), rpc("X.Y", {}, "host:1", Attempts=3)) == FAILED
    assert values(node) == {"MAIN": 1}
    assert [round((at - tries[0]) / SECOND) for at in tries] == [0, 1, 3]


def test_a_dead_endpoint_holds_up_no_other_account_of_a_plan() -> None:
    node = new_node()
    refusing(node, "json_rpc")
    done: list[int] = []
    node.outside["post_json"] = lambda url, body: done.append(node.now_ns) or "{}"
    group(node, "SLOW", rpc("X.Y", {}, "host:1", Attempts=10), money("*topup", "1"))
    rows = [{"ActionsId": "SLOW", "Time": "*daily"}]
    accounts = [f"{TENANT}:p{n}" for n in range(5)]
    ok(
        node,
        "APIerSv1.SetActionPlanAccounts",
        {"Id": "P", "ActionPlan": rows, "AccountIDs": accounts, "ReloadScheduler": True},
    )
    group(node, "QUICK", money("*topup", "1"))
    quick = {"Id": "Q", "ActionPlan": [{"ActionsId": "QUICK", "Time": "*daily"}], "AccountIDs": [f"{TENANT}:q"]}
    ok(node, "APIerSv1.SetActionPlanAccounts", {**quick, "ReloadScheduler": True})
    node.advance(24 * 3600 * SECOND + SECOND)  # the runs are under way: the dead endpoint is still being tried
    assert values(node, account="q") == {"MAIN": 1}
    assert node.call("APIerSv2.GetAccount", {"Account": "p0"})["error"] == "NOT_FOUND"


# --- *remote_set_account -----------------------------------------------------------------------------------------

REMOTE = {"Identifier": "*remote_set_account", "ExtraParameters": "http://host/account"}


def test_the_answer_replaces_the_account() -> None:
    node, posted = new_node(), []

    def answer(url: str, body: str) -> str:
        account = json.loads(body)
        posted.append((url, account))
        main = account["BalanceMap"][MONEY][0]
        new = {**account, "ID": "other:one", "AllowNegative": True, "BalanceMap": {MONEY: [{**main, "Value": 42.5}]}}
        return json.dumps(new)

    node.outside["post_json"] = answer
    add(node, "MAIN", 1)
    add(node, "V", 5, "*voice")
    assert execute(node, money("*topup", "4"), REMOTE, money("*topup", "1")) is None
    assert posted[0][0] == "http://host/account"
    assert posted[0][1]["BalanceMap"][MONEY][0]["Value"] == 5  # as it is at this place of the group
    account = stored(node)
    assert (account["ID"], account["AllowNegative"]) == (f"{TENANT}:a", True)
    assert (values(node), "*voice" in account["BalanceMap"]) == ({"MAIN": 43.5}, False)


@pytest.mark.parametrize("answer", ["{}", "null", '{"BalanceMap":{}}'])
def test_an_answer_without_balances_changes_nothing(answer: str) -> None:
    node = new_node()
    node.outside["post_json"] = lambda url, body: answer
    add(node, "MAIN", 1)
    assert execute(node, REMOTE) is None
    assert values(node) == {"MAIN": 1}


@pytest.mark.parametrize("answer", ["no json", "[]", '{"BalanceMap":{"*monetary":[{"Value":"5"}]}}'])
def test_an_answer_that_is_no_account_undoes_the_group(answer: str) -> None:
    node = new_node()
    node.outside["post_json"] = lambda url, body: answer
    add(node, "MAIN", 1)
    assert execute(node, money("*topup", "4"), REMOTE) == FAILED
    assert values(node) == {"MAIN": 1}


def test_an_account_that_changes_meanwhile_is_posted_again() -> None:
    node, posted = new_node(), []
    add(node, "MAIN", 1)

    def answer(url: str, body: str) -> str:
        account = json.loads(body)
        posted.append(account["BalanceMap"][MONEY][0]["Value"])
        if len(posted) == 1:  # a debit while the other side thinks
            node.send(
                "APIerSv1.AddBalance", {"Account": "a", "BalanceType": MONEY, "Value": 10, "Balance": {"ID": "MAIN"}}
            )
        account["BalanceMap"][MONEY][0]["Value"] += 100
        return json.dumps(account)

    node.outside["post_json"] = answer
    assert execute(node, REMOTE) is None
    assert (posted, values(node)) == ([1, 11], {"MAIN": 111})


def test_a_dead_server_is_tried_again_and_then_undoes_the_group() -> None:
    node = new_node()
    tries = refusing(node, "post_json")
    add(node, "MAIN", 1)
    assert execute(node, money("*topup", "4"), REMOTE) == FAILED
    assert (len(tries), values(node)) == (calls.POST_TRIES, {"MAIN": 1})


def test_accounts_are_read_as_they_are_shown() -> None:
    node = new_node()
    ok(node, "APIerSv1.SetTiming", {"ID": "T", "WeekDays": [1], "StartTime": "08:00:00", "EndTime": "09:00:00"})
    add(node, "MAIN", 1.123456789, ExpiryTime="2040-01-01T00:00:00Z", Weight=2.5, Blocker=True, Categories="call;!sms")
    add(node, "V", 5e9, "*voice", TimingIDs="T", Factors={"f": 2.5}, DestinationIDs="D;!E", RatingSubject="*zero1s")
    wanted = {"ThresholdType": "*max_event_counter", "ThresholdValue": 2.5, "BalanceType": "*voice", "MinSleep": "1s"}
    ok(
        node,
        "APIerSv1.SetAccountActionTriggers",
        {"Account": "a", "GroupID": "T", "UniqueID": "u", "ActionTrigger": wanted},
    )
    add(node, "MAIN", 1)
    shown = stored(node)
    assert shown["UnitCounters"] and shown["ActionTriggers"]
    read = read_account(shown["ID"], json.dumps(shown).encode())
    assert json.loads(json.dumps(account_json(read))) == shown


# --- back to a CDR, destinations of a metric, session costs ------------------------------------------------------

PLAN = Path(__file__).parents[1] / "conformance" / "tariffplans" / "accounts_main"
CALL = {
    "OriginID": "c1", "OriginHost": "h", "ToR": "*voice", "RequestType": "*postpaid", "Category": "call", "Account": "a",
    "Destination": "+40721000111", "SetupTime": "2026-03-02T10:00:00Z", "AnswerTime": "2026-03-02T10:00:00Z",
    "Usage": "60s",
}  # fmt: skip


def test_balances_go_back_to_the_last_cdr() -> None:
    node = new_node()
    ok(node, "APIerSv1.LoadTariffPlanFromFolder", {"FolderPath": str(PLAN)})
    account = {"Account": "a", "BalanceType": MONEY}
    ok(node, "APIerSv1.AddBalance", {**account, "Value": 5, "Balance": {"ID": "MAIN", "Weight": 20}})
    add(node, "GONE", 1)
    ok(node, "CDRsV1.ProcessEvent", {"ID": "e", "Event": CALL})
    then = values(node)
    assert then["MAIN"] < 5
    ok(node, "APIerSv1.RemoveBalances", {**account, "Balance": {"ID": "GONE"}})
    ok(node, "APIerSv1.DebitBalance", {**account, "Value": 3, "Balance": {"ID": "MAIN"}})
    add(node, "NEW", 7)
    assert execute(node, {"Identifier": "*reset_account_cdr"}) is None
    assert values(node) == {"MAIN": then["MAIN"], "NEW": 7}


def test_destinations_of_a_metric() -> None:
    node = new_node()
    for queue, metric, destinations in (
        ("Q1", "*ddc", ("4930", "4940")),
        ("Q2", "*ddc", ("4920",)),
        ("Q3", "*sum#1", ()),
    ):
        profile = {"ID": queue, "FilterIDs": [f"*string:~*req.Queue:{queue}"], "Metrics": [{"MetricID": metric}]}
        ok(node, "APIerSv1.SetStatQueueProfile", profile)
        for destination in destinations:
            event = {"ID": destination, "Event": {"Queue": queue, "Destination": destination}}
            assert ok(node, "StatSv1.ProcessEvent", event) == [queue]
    add(node, "MAIN", 1, DestinationIDs="D1;*ddc_home")
    assert execute(node, {"Identifier": "*set_ddestinations", "ExtraParameters": "Q1;Q2;;Q3"}) is None
    assert ok(node, "APIerSv1.GetDestination", "*ddc_home")["Prefixes"] == ["4920", "4930", "4940"]


COSTS = [("cg1", "*default", "call-1", 60), ("cg1", "run2", "call-1", 60), ("cg2", "*default", "call-2", 90)]


@pytest.mark.parametrize(
    ("filters", "left"),
    [
        ("", 0),
        ("*string:~*sc.CGRID:cg1", 1),
        ("*string:~*sc.CGRID:cg1;*notstring:~*sc.RunID:*default", 2),
        ("*string:~*sc.OriginID:call-2|call-9", 2),
        ("*gte:~*sc.Usage:61s", 2),
        ("*lt:~*sc.Usage:61s", 1),
        ("*lt:~*sc.Usage:60s", 3),
        ("*lt:~*sc.CreatedAt:-1h", 3),
        ("*gte:~*sc.CreatedAt:-1h;*string:~*sc.CostSource:*sessions;*string:~*sc.OriginHost:h", 0),
        ("F_RUN", 2),
    ],
)
def test_session_costs_that_pass_the_filters_go(filters: str, left: int) -> None:
    node = new_node()
    rule = {"Type": "*string", "Element": "~*sc.RunID", "Values": ["run2"]}
    ok(node, "APIerSv1.SetFilter", {"ID": "F_RUN", "Rules": [rule]})
    for cgrid, run_id, origin_id, seconds in COSTS:
        cost = {
            "CGRID": cgrid, "RunID": run_id, "OriginHost": "h", "OriginID": origin_id, "CostSource": "*sessions",
            "Usage": seconds * SECOND, "CostDetails": {"CGRID": cgrid, "RunID": run_id, "Cost": 1},
        }  # fmt: skip
        ok(node, "CDRsV1.StoreSessionCost", {"Cost": cost})
    action = {"Identifier": "*remove_session_costs", "ExtraParameters": filters}
    assert execute(node, action, account="") is None
    kept = of_kind(node, "session_costs", SessionCosts).values()
    assert sum(len(costs.costs) for costs in kept) == left


# --- crashes -----------------------------------------------------------------------------------------------------


def called_once(crash: tuple[int, ...] = ()) -> tuple[Node, Any]:
    node = new_node(3)
    node.outside["json_rpc"] = lambda *args: '"OK"'
    group(
        node, "G", money("*topup", "4"), rpc("APIerSv1.AddBalance", ADD_TO_B), rpc("X.Y", {}, "host:1"),
        rpc("APIerSv1.AddBalance", {**ADD_TO_B, "Account": "c"}, Async=True),
    )  # fmt: skip
    node.events, node.crash_at = 0, set(crash)
    ok(node, "APIerSv1.ExecuteAction", {"Account": "a", "ActionsId": "G"})
    node.advance(10 * SECOND)
    node.crash_at = set()
    return node, [values(node, account=account) for account in "abc"]


def test_methods_are_called_once_whoever_dies() -> None:
    calm, expected = called_once()
    assert expected == [{"MAIN": 4}, {"MAIN": 3}, {"MAIN": 3}]
    for crash in range(1, calm.events + 1):
        assert called_once((crash,))[1] == expected, crash


# --- what subsystems do ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "error"),
    [
        ({"Identifier": "*export", "ExtraParameters": "E1;E2"}, "NOT_CONNECTED: EEs"),
        ({"Identifier": "*reset_stat_queue", "ExtraParameters": f"{TENANT}:Q"}, "NOT_FOUND"),
        ({"Identifier": "*sy_publish", "ExtraParameters": "call-1"}, "NOT_CONNECTED: SessionS"),
        ({"Identifier": "*alter_sessions", "ExtraParameters": "a;b;c"}, "invalid number of parameters <3> expected 5"),
        ({"Identifier": "*alter_sessions", "ExtraParameters": ";;;nope;"}, "invalid key-value pair: nope"),
        ({"Identifier": "*alter_sessions", "ExtraParameters": ";*string:~*req.Account:none;1;;"}, "NOT_FOUND"),
        ({"Identifier": "*force_disconnect_sessions", "ExtraParameters": ";;x;;"}, "NOT_FOUND"),
        ({"Identifier": "*set_ddestinations", "ExtraParameters": "Q"}, "NOT_FOUND"),
        ({"Identifier": "*reset_account_cdr"}, "SERVER_ERROR: NOT_FOUND"),
        ({"Identifier": "*remove_session_costs", "ExtraParameters": "F_NONE"}, "NOT_FOUND:F_NONE"),
        (
            {"Identifier": "*remove_session_costs", "ExtraParameters": "*string:~*req.CGRID:x"},
            'FieldName: "~*req.CGRID" not supported',
        ),
        (
            {"Identifier": "*remove_session_costs", "ExtraParameters": "*prefix:~*sc.CGRID:x"},
            'FilterType: "*prefix" not supported for FieldName: "~*sc.CGRID"',
        ),
    ],
)
def test_what_cannot_be_done_fails_with_its_reason(action: dict[str, Any], error: str) -> None:
    node = new_node(rals={"sessions_conns": ["*internal"]})
    add(node, "MAIN", 1)
    assert hit(node, money("*topup", "4"), action, event={}, account="a") == error
    assert execute(node, action) == FAILED
    assert values(node) == {"MAIN": 1}


@pytest.mark.parametrize(
    ("action", "section", "connections", "subsystem"),
    [
        ({"Identifier": "*alter_sessions", "ExtraParameters": ";;;;"}, "thresholds", "sessions_conns", "SessionS"),
        ({"Identifier": "*sy_publish"}, "thresholds", "sessions_conns", "SessionS"),
        ({"Identifier": "*reset_threshold", "ExtraParameters": "X"}, "schedulers", "thresholds_conns", "ThresholdS"),
        ({"Identifier": "*reset_stat_queue", "ExtraParameters": "X"}, "schedulers", "stats_conns", "StatS"),
    ],
)
def test_without_connection_nothing_is_called(
    action: dict[str, Any], section: str, connections: str, subsystem: str
) -> None:
    node = new_node(**{section: {connections: []}})
    assert hit(node, action, event={}) == f"NOT_CONNECTED: {subsystem}"


def test_without_account_and_event_there_is_nothing_to_export() -> None:
    assert execute(new_node(), {"Identifier": "*export", "ExtraParameters": "E"}, account="") is None
