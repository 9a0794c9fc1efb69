"""RouteS on a node of one and of three workers (spec chapter 51, sections 6 to 8)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from cgr_cluster.node.node import Node
from tests.calls import error, ok
from tests.conformance.inprocess import ROOT

S = 10**9
CALL = {"Account": "7301", "Destination": "+4930123456", "SetupTime": "2026-03-02T10:00:00Z", "Usage": "2m"}
COSTS = {"RP_A": 0.0396, "RP_B": 0.034, "RP_C": 0.1}  # of CALL (51 §8.5)


@pytest.fixture(params=[1, 3], ids=["one worker", "three workers"])
def node(request: pytest.FixtureRequest) -> Iterator[Node]:
    yield Node(request.param)


@pytest.fixture
def priced(node: Node) -> Node:
    """A node with rates, carriers' accounts and queues."""
    ok(node, "APIerSv1.LoadTariffPlanFromFolder", FolderPath=str(ROOT / "tariffplans" / "filters_routes"))
    node.advance(S)  # the carriers' accounts get their bundles by tasks
    return node


def profile(node: Node, *routes: dict[str, Any], name: str = "RP", **more: Any) -> None:
    given = {"FilterIDs": ["*string:~*req.Which:x"], "Sorting": "*weight", **more}
    ok(node, "APIerSv1.SetRouteProfile", ID=name, Routes=list(routes), **given)


def asked(opts: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    return {"ID": "e", "Event": {**CALL, "Which": "x", **fields}, "APIOpts": opts or {}}


def routes(node: Node, opts: dict[str, Any] | None = None, **fields: Any) -> list[tuple[str, dict[str, Any]]]:
    found = ok(node, "RouteSv1.GetRoutes", **asked(opts, **fields))
    return [(route["RouteID"], route["SortingData"]) for one in found for route in one["Routes"]]


def names(node: Node, opts: dict[str, Any] | None = None, **fields: Any) -> list[str]:
    return [name for name, _ in routes(node, opts, **fields)]


def refused(node: Node, opts: dict[str, Any] | None = None, **fields: Any) -> str:
    return error(node, "RouteSv1.GetRoutes", **asked(opts, **fields))


def weighted(*weights: float) -> list[dict[str, Any]]:
    return [{"ID": f"r{weight}", "Weight": weight} for weight in weights]


# --- profiles ----------------------------------------------------------------------------------------------------


def test_a_bad_ratio_is_refused_and_stores_nothing(node: Node) -> None:
    for ratio, text in (("g:x", "x"), ("g", ""), ("*default:1.5", "1.5")):
        given = {"ID": "RP", "Sorting": "*load", "SortingParameters": [ratio]}
        told = error(node, "APIerSv1.SetRouteProfile", **given)
        assert told == f'SERVER_ERROR: strconv.Atoi: parsing "{text}": invalid syntax'
    assert error(node, "APIerSv1.GetRouteProfile", ID="RP") == "NOT_FOUND"
    ok(node, "APIerSv1.SetRouteProfile", ID="RP", Sorting="*qos", SortingParameters=["g:x"])


def test_profiles_of_an_event_are_found_without_attributes_and_prices(priced: Node) -> None:
    attribute = {"Path": "*req.Which", "Type": "*constant", "Value": [{"Rules": "x"}]}
    ok(priced, "APIerSv1.SetAttributeProfile", ID="A", Contexts=["*routes"], Attributes=[attribute])
    profile(priced, {"ID": "g", "RatingPlanIDs": ["none"]}, Sorting="*lc")
    assert error(priced, "RouteSv1.GetRouteProfilesForEvent", ID="e", Event={}) == "NOT_FOUND"
    found = ok(priced, "RouteSv1.GetRouteProfilesForEvent", ID="e", Event={"Which": "x"})
    assert [one["ID"] for one in found] == ["RP"]
    assert refused(priced, Which="") == "SERVER_ERROR: UNAUTHORIZED_DESTINATION"
    assert error(priced, "RouteSv1.GetRouteProfilesForEvent", ID="e") == "MANDATORY_IE_MISSING: [Event]"


# --- attributes, usage, tenant -----------------------------------------------------------------------------------


def test_attributes_that_fail_are_named(node: Node) -> None:
    profile(node, *weighted(1))
    told = refused(node, {"*attrProcessRuns": "x"})
    assert told.startswith("ROUTES_ERROR:") and 'parsing "x"' in told


def test_a_missing_usage_is_one_minute(priced: Node) -> None:
    profile(priced, {"ID": "g", "RatingPlanIDs": ["RP_B"]}, FilterIDs=["*string:~*req.Usage:1m0s"], Sorting="*lc")
    event = {name: value for name, value in CALL.items() if name != "Usage"}
    found = ok(priced, "RouteSv1.GetRoutes", ID="e", Event=event)
    assert found[0]["Routes"][0]["SortingData"]["Cost"] == pytest.approx(0.022)


def test_a_tenant_of_attributes_counts_for_prices_but_not_for_profiles(priced: Node) -> None:
    attribute = {"Path": "*tenant", "Type": "*constant", "Value": [{"Rules": "other.org"}]}
    ok(priced, "APIerSv1.SetAttributeProfile", ID="A", Contexts=["*routes"], Attributes=[attribute])
    profile(priced, {"ID": "g", "AccountIDs": ["carrierA_bundle"], "RatingPlanIDs": ["RP_A"]}, Sorting="*lc")
    assert refused(priced) == "SERVER_ERROR: ACCOUNT_NOT_FOUND"


# --- options -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("opts", "wanted"),
    [
        ({"*rouLimit": 2}, ["r4", "r3"]),
        ({"*rouLimit": "2", "*rouOffset": "1"}, ["r3", "r2"]),
        ({"*rouLimit": 3, "*rouOffset": 1}, ["r3", "r2", "r1"]),
        ({"*rouOffset": 5}, ["s1"]),
        ({"*rouProfileCount": 0}, ["r4", "r3", "r2", "r1", "s2", "s1"]),
        ({"*rouProfileCount": 1}, ["r4", "r3", "r2", "r1"]),
        ({"*rouLimit": 5}, ["r4", "r3", "r2", "r1", "s2"]),
    ],
)
def test_limit_offset_and_count(node: Node, opts: dict[str, Any], wanted: list[str]) -> None:
    profile(node, *weighted(1, 2, 3, 4), Weight=2)
    profile(node, {"ID": "s1", "Weight": 1}, {"ID": "s2", "Weight": 2}, name="RP2", Weight=1)
    assert names(node, opts) == wanted


@pytest.mark.parametrize(
    ("opts", "told"),
    [
        ({"*rouLimit": 0}, "NOT_FOUND"),
        ({"*rouLimit": "x"}, 'SERVER_ERROR: strconv.ParseInt: parsing "x": invalid syntax'),
        ({"*rouOffset": "x"}, 'SERVER_ERROR: strconv.ParseInt: parsing "x": invalid syntax'),
        ({"*rouProfileCount": "x"}, 'SERVER_ERROR: strconv.ParseInt: parsing "x": invalid syntax'),
        ({"*rouMaxCost": "x"}, 'SERVER_ERROR: strconv.ParseFloat: parsing "x": invalid syntax'),
        ({"*rouIgnoreErrors": "x"}, 'SERVER_ERROR: strconv.ParseBool: parsing "x": invalid syntax'),
    ],
)
def test_options_that_are_refused(node: Node, opts: dict[str, Any], told: str) -> None:
    profile(node, *weighted(1))
    assert refused(node, opts) == told
    assert refused(node, opts, Which="nothing") == "NOT_FOUND"  # options are read only when something matches


def test_an_offset_beyond_the_routes_that_are_left_leaves_them(node: Node) -> None:
    gone = [{"ID": f"g{n}", "FilterIDs": ["*string:~*req.Never:1"]} for n in range(3)]
    profile(node, *gone, {"ID": "left"})
    assert names(node, {"*rouOffset": 2}) == ["left"]
    assert refused(node, {"*rouOffset": 1}) == "NOT_FOUND"


def test_the_event_s_own_cost_is_a_limit(priced: Node) -> None:
    profile(priced, *[{"ID": plan, "RatingPlanIDs": [plan]} for plan in COSTS], Sorting="*hc")
    assert names(priced) == ["RP_C", "RP_A", "RP_B"]
    assert names(priced, {"*rouMaxCost": "0.0396"}) == ["RP_A", "RP_B"]
    assert names(priced, {"*rouMaxCost": 0}) == ["RP_C", "RP_A", "RP_B"]
    plan = {"ActivationTime": "2020-01-01T00:00:00Z", "RatingPlanId": "RP_A"}
    ok(priced, "APIerSv1.SetRatingProfile", Category="own", Subject="*any", RatingPlanActivations=[plan])
    assert names(priced, {"*rouMaxCost": "*event_cost"}, Category="own") == ["RP_A", "RP_B"]
    told = refused(priced, {"*rouMaxCost": "*event_cost"}, Account=None, Destination=None)
    assert told == "SERVER_ERROR: MANDATORY_IE_MISSING: [Account]"


# --- prices ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"Account": None, "SetupTime": None}, "MANDATORY_IE_MISSING: [Account]"),
        ({"Destination": None}, "MANDATORY_IE_MISSING: [Destination]"),
        ({"SetupTime": "never"}, "Unsupported time format"),
        ({"Usage": "long"}, 'time: invalid duration "long"'),
    ],
)
def test_what_a_price_needs(priced: Node, fields: dict[str, Any], told: str) -> None:
    profile(priced, {"ID": "g", "RatingPlanIDs": ["RP_A"]})
    assert refused(priced, **fields) == f"SERVER_ERROR: {told}"
    assert refused(priced, {"*rouIgnoreErrors": "true"}, **fields) == "NOT_FOUND"


def test_accounts_in_order_then_the_first_plan(priced: Node) -> None:
    profile(
        priced,
        {"ID": "second", "AccountIDs": ["nobody", "carrierC_bundle", "carrierA_bundle"]},
        {"ID": "plan", "RatingPlanIDs": ["RP_B", "RP_A"]},
        {"ID": "rest", "AccountIDs": ["carrierA_bundle"], "RatingPlanIDs": ["RP_A"]},
        Sorting="*lc",
    )
    assert routes(priced) == [
        ("second", {"Account": "carrierC_bundle", "MaxUsage": 120 * S, "Cost": 0, "Weight": 0}),
        (
            "rest",
            {"Account": "carrierA_bundle", "MaxUsage": 90 * S, "Cost": 0.0099, "RatingPlanID": "RP_A", "Weight": 0},
        ),
        ("plan", {"Cost": 0.034, "RatingPlanID": "RP_B", "Weight": 0}),
    ]


def test_a_second_plan_is_never_tried_and_all_accounts_may_fail(priced: Node) -> None:
    profile(
        priced,
        {"ID": "plans", "RatingPlanIDs": ["RP_NONE", "RP_A"]},
        {"ID": "accounts", "AccountIDs": ["nobody"], "RatingPlanIDs": ["RP_A"]},
        {"ID": "good", "RatingPlanIDs": ["RP_A"]},
    )
    assert refused(priced) == "SERVER_ERROR: UNAUTHORIZED_DESTINATION"
    assert names(priced, {"*rouIgnoreErrors": True}) == ["good"]


# --- strategies --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sorting", "lacks"),
    [
        ("*lc", "RatingPlanIDs or AccountIDs"),
        ("*hc", "RatingPlanIDs or AccountIDs"),
        ("*reas", "ResourceIDs"),
        ("*reds", "ResourceIDs"),
        ("*load", "StatIDs"),
    ],
)
def test_what_a_strategy_needs_is_not_ignored(node: Node, sorting: str, lacks: str) -> None:
    profile(node, {"ID": "g"}, Sorting=sorting)
    assert refused(node, {"*rouIgnoreErrors": True}) == f"SERVER_ERROR: MANDATORY_IE_MISSING: [{lacks}]"


def test_metrics_are_averaged_and_absent_ones_are_worst(priced: Node) -> None:
    profile(
        priced,
        {"ID": "both", "StatIDs": ["nowhere", "ST_GW1", "ST_GW2"], "Weight": 1},
        {"ID": "none", "Weight": 9},
        {"ID": "last", "StatIDs": ["ST_GW1", "nowhere"]},
        Sorting="*qos",
        SortingParameters=["*asr", "*tcc", "*pdd"],
    )
    for gateway, answered in (("gw1", "2026-03-02T10:00:00Z"), ("gw2", "")):
        event = {"Gw": gateway, "AnswerTime": answered, "Usage": "60s", "PDD": "2s"}
        ok(priced, "StatSv1.ProcessEvent", ID=gateway, Event=event)
    assert refused(priced) == "NOT_FOUND"
    found = routes(priced, {"*rouIgnoreErrors": True})
    assert [name for name, _ in found] == ["both", "none"]
    data = found[0][1]
    assert (data["*asr"], data["*tcc"], data["*pdd"]) == (50, -1, 2 * S)
    assert found[1][1] == {"Weight": 9}


def test_load_by_ratio(priced: Node) -> None:
    def load(*parameters: str) -> list[tuple[str, dict[str, Any]]]:
        profile(
            priced,
            {"ID": "g1", "StatIDs": ["ST_CNT1:*sum#1"], "Weight": 1},
            {"ID": "g2", "StatIDs": ["ST_CNT2"], "Weight": 2},
            Sorting="*load",
            SortingParameters=list(parameters),
        )
        return routes(priced)

    for number, gateway in enumerate(("gw1", "gw2", "gw2")):
        ok(priced, "StatSv1.ProcessEvent", ID=str(number), Event={"Gw": gateway})
    assert load() == [("g1", {"Load": 1, "Ratio": 1, "Weight": 1}), ("g2", {"Load": 2, "Ratio": 1, "Weight": 2})]
    assert [(name, data["Ratio"]) for name, data in load("*default:2", "g2:5")] == [("g2", 5), ("g1", 2)]
    assert [name for name, _ in load("g1:0", "g2:1")] == ["g2", "g1"]


# --- filters of routes -------------------------------------------------------------------------------------------


def test_filters_of_routes_before_and_after_the_price(priced: Node) -> None:
    ok(
        priced, "APIerSv1.SetFilter", ID="OLD", Rules=[{"Type": "*string", "Element": "~*req.Never", "Values": ["1"]}],
        ActivationInterval={"ExpiryTime": "2020-01-01T00:00:00Z"},
    )  # fmt: skip
    profile(
        priced,
        {"ID": "cheap", "RatingPlanIDs": ["RP_A"], "FilterIDs": ["*lt:~*vars.Cost:0.05"]},
        {"ID": "dear", "RatingPlanIDs": ["RP_C"], "FilterIDs": ["*lt:~*vars.Cost:0.05"]},
        {"ID": "opts", "FilterIDs": ["*string:~*opts.Trunk:a"]},
        {"ID": "notopts", "FilterIDs": ["*notstring:~*opts.Trunk:a"]},
        {"ID": "inactive", "FilterIDs": ["OLD"]},
        {"ID": "account", "FilterIDs": ["*string:~*accounts.carrierA_bundle.Disabled:false"]},
        {"ID": "twice", "Weight": 1},
        {"ID": "twice", "Weight": 2, "RouteParameters": "heavy"},
        {"ID": "twice", "Weight": 3, "FilterIDs": ["*string:~*req.Never:1"]},
    )
    found = names(priced, {"Trunk": "a"})
    assert found == ["twice", "cheap", "notopts", "inactive", "account"]
    assert "twice:heavy" in ok(priced, "RouteSv1.GetRoutesList", **asked())


def test_an_unknown_filter_of_a_route_fails_the_call(node: Node) -> None:
    profile(node, {"ID": "g", "FilterIDs": ["GONE"]}, {"ID": "h"})
    assert refused(node, {"*rouIgnoreErrors": True}) == "SERVER_ERROR: NOT_FOUND:GONE"


# --- sessions ----------------------------------------------------------------------------------------------------


def test_routes_of_sessions(priced: Node) -> None:
    profile(priced, *[{"ID": plan, "RatingPlanIDs": [plan], "RouteParameters": "p"} for plan in COSTS], Sorting="*lc")
    given = {**asked(), "GetRoutes": True}
    flat = ok(priced, "SessionSv1.AuthorizeEventWithDigest", **given, Limit=2)
    assert flat["RoutesDigest"] == "RP_B:p,RP_A:p"
    found = ok(priced, "SessionSv1.AuthorizeEvent", **given, RoutesMaxCost="0.05", Offset=1)["RouteProfiles"]
    assert [route["RouteID"] for route in found[0]["Routes"]] == ["RP_A"]
    longer = {**given, "Event": {**given["Event"], "ACD": "45s"}}
    assert ok(priced, "SessionSv1.ProcessMessage", **longer)["RouteProfiles"][0]["Routes"][0]["RouteID"] == "RP_A"
    assert error(priced, "SessionSv1.AuthorizeEvent", **{**given, "Event": {"A": 1}}) == "ROUTES_ERROR:NOT_FOUND"


def test_flags_of_routes(priced: Node) -> None:
    plans = [*COSTS, "RP_NONE"]
    profile(priced, *[{"ID": plan, "RatingPlanIDs": [plan]} for plan in plans], Sorting="*lc")

    def process(*flags: str) -> list[str]:
        found = ok(priced, "SessionSv1.ProcessEvent", Flags=list(flags), **asked())["RouteProfiles"]
        assert list(found) == ["*raw"]
        return [route["RouteID"] for route in found["*raw"][0]["Routes"]]

    told = error(priced, "SessionSv1.ProcessEvent", Flags=["*routes"], **asked())
    assert told == "ROUTES_ERROR:SERVER_ERROR: UNAUTHORIZED_DESTINATION"
    assert process("*routes:*ignore_errors") == ["RP_B", "RP_A", "RP_C"]
    assert process("*routes:*ignore_errors", "*routes:*maxcost:0.05") == ["RP_B", "RP_A"]


def test_sessions_without_routes(node: Node) -> None:
    ok(node, "ConfigSv1.SetConfigFromJSON", Config='{"sessions":{"routes_conns":[]}}')
    assert error(node, "SessionSv1.AuthorizeEvent", GetRoutes=True, **asked()) == "NOT_CONNECTED: RouteS"
    assert error(node, "SessionSv1.ProcessEvent", Flags=["*routes"], **asked()) == "NOT_CONNECTED: RouteS"


def test_what_is_not_connected_is_left_out(priced: Node) -> None:
    profile(priced, {"ID": "g", "StatIDs": ["nowhere"], "ResourceIDs": ["nowhere"]})
    config = '{"routes":{"stats_conns":[],"resources_conns":[],"rals_conns":[],"attributes_conns":[]}}'
    ok(priced, "ConfigSv1.SetConfigFromJSON", Config=config)
    assert routes(priced) == [("g", {"Weight": 0})]
    profile(priced, {"ID": "g", "RatingPlanIDs": ["RP_A"]})
    assert refused(priced) == "SERVER_ERROR: NOT_CONNECTED: RALs"


# --- tariff plans ------------------------------------------------------------------------------------------------


def test_a_tariff_plan_s_profile_is_loaded_and_removed(node: Node) -> None:
    given = {"TPid": "T", "ID": "RP", "Sorting": "*weight", "Routes": [{"ID": "g", "Weight": 2}], "Weight": 3}
    ok(node, "APIerSv1.SetTPRouteProfile", **given)
    assert error(node, "APIerSv1.GetRouteProfile", ID="RP") == "NOT_FOUND"
    ok(node, "APIerSv1.LoadTariffPlanFromStorDb", TPid="T")
    found = ok(node, "APIerSv1.GetRouteProfile", ID="RP")
    assert (found["Weight"], found["Routes"][0]["ID"], found["Routes"][0]["Weight"]) == (3, "g", 2)
    assert names(node) == ["g"]
