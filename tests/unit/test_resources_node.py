"""ResourceS on a node of one and of three workers (spec chapters 60, section 2, and 30, section 5)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cgr_cluster.engine.owner import account_owner, tenant_owner
from cgr_cluster.node.node import Node
from cgr_cluster.resources import answers
from tests.calls import error, ok
from tests.conformance.inprocess import ROOT

TENANT = "cgrates.org"
S = 10**9
ZERO = "0001-01-01T00:00:00Z"


@pytest.fixture(params=[1, 3], ids=["one worker", "three workers"])
def node(request: pytest.FixtureRequest) -> Iterator[Node]:
    yield Node(request.param)


def profile(node: Node, name: str, *filters: str, **more: Any) -> None:
    wanted = {"Limit": 3, "UsageTTL": -1, "ThresholdIDs": ["*none"], **more}
    ok(node, "APIerSv1.SetResourceProfile", ID=name, FilterIDs=list(filters), **wanted)


def call(usage_id: str, units: Any = 1, **fields: Any) -> dict[str, Any]:
    opts = {"*rsUsageID": usage_id, "*rsUnits": units}
    return {"ID": "e", "Event": fields or {"A": "1"}, "APIOpts": opts}


def allocate(node: Node, usage_id: str, units: Any = 1, **fields: Any) -> str:
    return str(ok(node, "ResourceSv1.AllocateResources", **call(usage_id, units, **fields)))


def held(node: Node, name: str) -> dict[str, Any]:
    usages = ok(node, "ResourceSv1.GetResource", ID=name)["Usages"]
    return {usage_id: usage["Units"] for usage_id, usage in usages.items()}


def stored_usages(node: Node) -> list[str]:
    return [key for _, key in node.disk if key.startswith("resource_usage/")]


# --- profiles ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "kept"),
    [
        ({"Limit": 4}, False),
        ({"UsageTTL": S}, False),
        ({"Stored": False}, False),
        ({"Weight": 7, "Blocker": True, "AllocationMessage": "M", "ThresholdIDs": []}, True),
        ({"FilterIDs": ["*string:~*req.A:1", "*prefix:~*req.A:1"]}, True),
    ],
)
def test_what_a_change_empties(node: Node, change: dict[str, Any], kept: bool) -> None:
    wanted = {"ID": "R", "FilterIDs": ["*string:~*req.A:1"], "Limit": 3, "UsageTTL": -1, "Stored": True}
    ok(node, "APIerSv1.SetResourceProfile", **wanted)
    allocate(node, "u")
    ok(node, "APIerSv1.SetResourceProfile", **{**wanted, **change})
    assert held(node, "R") == ({"u": 1} if kept else {})
    assert bool(stored_usages(node)) == kept


def test_a_large_resource_goes_with_its_profile(node: Node) -> None:
    profile(node, "R", Limit=-1)
    uids = [node.send("ResourceSv1.AllocateResources", call(f"u{number}")) for number in range(1100)]
    assert {node.wait(uid)["result"] for uid in uids} == {"R"}
    assert len(stored_usages(node)) == 1100
    ok(node, "APIerSv1.RemoveResourceProfile", ID="R")
    node.run()
    assert not stored_usages(node)
    assert not [key for _, key in node.disk if key.startswith("resource/")]
    assert error(node, "ResourceSv1.GetResource", ID="R") == "NOT_FOUND"
    profile(node, "R", Limit=-1)
    assert held(node, "R") == {}


def test_a_folder_that_is_loaded_again_keeps_the_usages_and_its_removal_ends_them(node: Node) -> None:
    folder = str(ROOT / "tariffplans/platform_carrier")
    ok(node, "APIerSv1.LoadTariffPlanFromFolder", FolderPath=folder)
    allocate(node, "u", Trunk="TRK_A")
    ok(node, "APIerSv1.LoadTariffPlanFromFolder", FolderPath=folder)
    assert held(node, "RES_TRUNK_A") == {"u": 1}
    assert (
        not ok(node, "APIerSv1.DiffTariffPlan", FolderPath=folder)["Kinds"].get("resource_profile", {}).get("Changed")
    )
    ok(node, "APIerSv1.RemoveTPFromFolder", FolderPath=folder)
    assert error(node, "APIerSv1.GetResourceProfileIDs") == "NOT_FOUND"
    assert not stored_usages(node)


def test_profiles_name_their_errors(node: Node) -> None:
    assert error(node, "APIerSv1.SetResourceProfile") == "MANDATORY_IE_MISSING: [ID]"
    broken = "SERVER_ERROR: broken reference to filter: <NONE> for item with ID: cgrates.org:R"
    assert error(node, "APIerSv1.SetResourceProfile", ID="R", FilterIDs=["NONE"]) == broken
    assert error(node, "APIerSv1.GetResourceProfile", ID="R") == "NOT_FOUND"


@pytest.mark.parametrize(
    ("cells", "text"),
    [
        ("soon,3,,", 'time: invalid duration "soon"'),
        ("1h,many,,", 'strconv.ParseFloat: parsing "many": invalid syntax'),
        ("1h,3,,perhaps", 'invalid value "perhaps" for field ResourceMdl.Blocker'),
    ],
)
def test_rows_that_cannot_be_read(node: Node, tmp_path: Path, cells: str, text: str) -> None:
    (tmp_path / "Resources.csv").write_text(f"cgrates.org,R,,,{cells},,,\n")
    assert error(node, "APIerSv1.LoadTariffPlanFromFolder", FolderPath=str(tmp_path)) == f"SERVER_ERROR: {text}"
    assert error(node, "APIerSv1.GetResourceProfileIDs") == "NOT_FOUND"


# --- requests ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["Authorize", "Allocate", "Release"])
def test_order_of_checks(node: Node, method: str) -> None:
    name = f"ResourceSv1.{method}Resources"
    bad = {"*rsUnits": "two", "*rsUsageTTL": "soon"}
    assert error(node, name, Event={}, APIOpts=bad) == "MANDATORY_IE_MISSING: [ID Event]"
    assert error(node, name, ID="e", Event={"A": 1}, APIOpts=bad) == "MANDATORY_IE_MISSING: [UsageID]"
    bad["*rsUsageID"] = "u"
    assert error(node, name, ID="e", Event={"A": 1}, APIOpts=bad) == 'time: invalid duration "soon"'
    del bad["*rsUsageTTL"]
    assert error(node, name, ID="e", Event={"A": 1}, APIOpts=bad) == "NOT_FOUND"
    profile(node, "R")
    answer = node.call(name, {"ID": "e", "Event": {"A": 1}, "APIOpts": bad})
    wrong = 'strconv.ParseFloat: parsing "two": invalid syntax'
    assert answer["error"] == (None if method == "Release" else wrong)


def test_defaults_of_the_options(node: Node) -> None:
    profile(node, "R", Limit=9)
    ok(node, "ConfigSv1.SetConfigFromJSON", Config='{"resources":{"opts":{"*usageID":"all","*units":2.5}}}')
    ok(node, "ResourceSv1.AllocateResources", ID="e", Event={"A": 1})
    assert held(node, "R") == {"all": 2.5}


def test_requests_at_once_never_share_the_last_unit(node: Node) -> None:
    profile(node, "R", Limit=7)
    uids = [node.send("ResourceSv1.AllocateResources", call(f"u{number}")) for number in range(20)]
    answers = [node.wait(uid) for uid in uids]
    assert sorted(str(answer["error"]) for answer in answers) == ["None"] * 7 + ["RESOURCE_UNAVAILABLE"] * 13
    assert len(held(node, "R")) == 7


def test_fractions_do_not_drift(node: Node) -> None:
    profile(node, "R", Limit=0.3)
    for usage_id in "abc":
        assert allocate(node, usage_id, 0.1) == "R"
    assert error(node, "ResourceSv1.AllocateResources", **call("d", 0.000000001)) == "RESOURCE_UNAVAILABLE"
    ok(node, "ResourceSv1.ReleaseResources", **call("b"))
    assert allocate(node, "d", "0.1") == "R"
    assert error(node, "ResourceSv1.AuthorizeResources", **call("x", 1e300)) == "amount out of range: 1e+300"


def test_usages_end_in_the_order_of_the_list(node: Node) -> None:
    """A usage behind one that lasts longer waits for it; freed ones leave the list where they are."""
    profile(node, "R", Limit=9, UsageTTL=10 * S)
    for usage_id, ttl in (("a", "5s"), ("b", 0), ("c", "1h"), ("d", 5 * S), ("e", -1)):
        wanted = call(usage_id)
        wanted["APIOpts"]["*rsUsageTTL"] = ttl
        ok(node, "ResourceSv1.AllocateResources", **wanted)
    found = ok(node, "ResourceSv1.GetResource", ID="R")
    assert found["TTLIdx"] == ["a", "b", "c", "d"]
    assert found["Usages"]["e"]["ExpiryTime"] == ZERO
    node.advance(11 * S)
    ok(node, "ResourceSv1.AuthorizeResources", **call("x"))  # what has ended leaves with it
    assert ok(node, "ResourceSv1.GetResource", ID="R")["TTLIdx"] == ["c", "d"]
    ok(node, "ResourceSv1.ReleaseResources", **call("c"))
    ok(node, "ResourceSv1.AllocateResources", **call("y"))
    found = ok(node, "ResourceSv1.GetResource", ID="R")
    assert (found["TTLIdx"], sorted(found["Usages"])) == (["y"], ["e", "y"])


def test_a_release_that_finds_nothing(node: Node) -> None:
    profile(node, "LASTS", "*string:~*req.A:1", UsageTTL=-1, Weight=20)
    profile(node, "ENDS", "*string:~*req.A:1", "*string:~*req.B:1", UsageTTL=S)
    assert ok(node, "ResourceSv1.ReleaseResources", **call("u", A="1")) == "OK"
    wanted = call("u", A="1")
    wanted["APIOpts"]["*rsUsageTTL"] = "1h"
    gone = "cannot find usage record with id: u"
    assert error(node, "ResourceSv1.ReleaseResources", **wanted) == gone
    allocate(node, "u", A="1")
    assert error(node, "ResourceSv1.ReleaseResources", **call("u", A="1", B="1")) == gone
    assert held(node, "LASTS") == {}  # where it was, it is free


def test_a_blocker_hides_the_others_and_a_refusal_frees(node: Node) -> None:
    profile(node, "LOW", Limit=9, Weight=1)
    profile(node, "TOP", Limit=2, Weight=5, AllocationMessage="top")
    assert allocate(node, "u") == "top"
    assert allocate(node, "v", 2) == "LOW"
    assert (held(node, "TOP"), held(node, "LOW")) == ({"u": 1, "v": 2}, {"u": 1, "v": 2})
    profile(node, "TOP", Limit=2, Weight=5, Blocker=True)
    assert error(node, "ResourceSv1.AllocateResources", **call("u", 3)) == "RESOURCE_UNAVAILABLE"
    assert (held(node, "TOP"), held(node, "LOW")) == ({"v": 2}, {"u": 1, "v": 2})


# --- thresholds ----------------------------------------------------------------------------------------------------


def hits(node: Node, name: str) -> int:
    return int(ok(node, "ThresholdSv1.GetThreshold", ID=name)["Hits"])


def test_thresholds_are_told_of_the_total(node: Node) -> None:
    rule = "*string:~*req.ResourceID:R", "*gte:~*req.Usage:2.5", "*string:~*opts.*own:x"
    ok(node, "APIerSv1.SetThresholdProfile", ID="T", FilterIDs=list(rule), MaxHits=-1)
    profile(node, "R", Limit=9, ThresholdIDs=[])
    for usage_id, units in (("a", 2), ("b", 0.5), ("c", 3)):
        wanted = call(usage_id, units)
        wanted["APIOpts"]["*own"] = "x"
        ok(node, "ResourceSv1.AllocateResources", **wanted)
    assert hits(node, "T") == 2
    profile(node, "R", Limit=9, ThresholdIDs=["NONE"])
    assert error(node, "ResourceSv1.AllocateResources", **call("d")) == "PARTIALLY_EXECUTED"
    assert error(node, "ResourceSv1.ReleaseResources", **call("a")) == "PARTIALLY_EXECUTED"
    assert held(node, "R") == {"b": 0.5, "c": 3, "d": 1}
    ok(node, "ConfigSv1.SetConfigFromJSON", Config='{"resources":{"thresholds_conns":[]}}')
    assert ok(node, "ResourceSv1.ReleaseResources", **call("b")) == "OK"


def test_an_action_makes_a_resource(node: Node) -> None:
    columns = "*tenant;R_<~*req.Account>;*string:~*req.A:1;;1h;2;MADE;true;true;7;*none;"
    ok(node, "ConfigSv1.SetConfigFromJSON", Config='{"thresholds":{"apiers_conns":["*internal"]}}')
    row = {"Identifier": "*dynamic_resource", "ExtraParameters": columns}
    ok(node, "APIerSv2.SetActions", ActionsId="MAKE", Overwrite=True, Actions=[row])
    ok(node, "APIerSv1.SetThresholdProfile", ID="T", FilterIDs=[], MaxHits=-1, ActionIDs=["MAKE"])
    ok(node, "ThresholdSv1.ProcessEvent", ID="e", Event={"Account": "a"})
    assert ok(node, "APIerSv1.GetResourceProfile", ID="R_a") == {
        "Tenant": TENANT, "ID": "R_a", "FilterIDs": ["*string:~*req.A:1"], "UsageTTL": 3600 * S, "Limit": 2,
        "ActivationInterval": {"ActivationTime": ZERO, "ExpiryTime": ZERO},
        "AllocationMessage": "MADE", "Blocker": True, "Stored": True, "Weight": 7, "ThresholdIDs": ["*none"],
    }  # fmt: skip


# --- filters -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "passes"),
    [
        ("*eq:~*resources.R.TotalUsage:1.5", True),
        ("*eq:~*resources.R.Available:1.5", True),
        ("*eq:~*resources.R.Usages.call.1@x.Units:1.5", True),
        ("*string:~*resources.R.Usages.call.1@x.ID:call.1@x", True),
        ("*string:~*resources.R.Config.AllocationMessage:M", True),
        ("*eq:~*resources.R.Config.Limit:3", True),
        ("*string:~*resources.R.Tenant:cgrates.org", True),
        ("*exists:~*resources.R.Usages.nobody.Units:", False),
        ("*exists:~*resources.R.Other:", False),
        ("*exists:~*resources.NONE.TotalUsage:", False),
    ],
)
def test_filters_read_resources(node: Node, rule: str, passes: bool) -> None:
    """Another resource's filter reads it: the owner is asked before anything is matched."""
    profile(node, "R", "*string:~*req.A:1", AllocationMessage="M")
    allocate(node, "call.1@x", 1.5)
    profile(node, "OTHER", "*string:~*req.A:2", rule)
    answer = node.call("ResourceSv1.AllocateResources", call("u", A="2"))
    assert answer["error"] == (None if passes else "NOT_FOUND")


# --- sessions ------------------------------------------------------------------------------------------------------


def session(node: Node, **fields: Any) -> dict[str, Any]:
    """An event of an account that lives on another worker than the resources, if there are several."""
    at = node.shard_map[tenant_owner(TENANT).shard]
    names = [str(n) for n in range(99)]
    apart = [name for name in names if node.shard_map[account_owner(TENANT, name).shard] != at]
    return {"OriginID": "c", "OriginHost": "h", "Account": (apart or names)[0], "A": "1", **fields}


def test_sessions_ask_for_one_unit_under_their_origin_id(node: Node) -> None:
    profile(node, "R", Limit=1)
    asked = {"Event": session(node), "APIOpts": {"*rsUsageID": "own", "*rsUnits": 50}}
    digest = ok(node, "SessionSv1.InitiateSessionWithDigest", AllocateResources=True, **asked)
    assert digest["ResourceAllocation"] == "R"
    assert held(node, "R") == {"c": 1}
    full = "RESOURCES_ERROR:RESOURCE_UNAVAILABLE"
    assert error(node, "SessionSv1.ProcessMessage", AllocateResources=True, Event=session(node, OriginID="d")) == full
    nameless = session(node, OriginID="")
    for method, flag in (("InitiateSession", "AllocateResources"), ("TerminateSession", "ReleaseResources")):
        assert error(node, f"SessionSv1.{method}", Event=nameless, **{flag: True}) == "MANDATORY_IE_MISSING: [OriginID]"
    refused = "RESOURCES_ERROR:RESOURCE_UNAUTHORIZED"
    assert error(node, "SessionSv1.AuthorizeEvent", AuthorizeResources=True, Event=nameless) == refused
    assert ok(node, "SessionSv1.TerminateSession", ReleaseResources=True, **asked) == "OK"
    assert held(node, "R") == {}
    found = ok(node, "SessionSv1.AuthorizeEvent", AuthorizeResources=True, Event=nameless)
    assert found == {"ResourceAllocation": "R"}


def test_process_event(node: Node) -> None:
    profile(node, "R", Limit=1)

    def flags(*flags: str, **fields: Any) -> dict[str, Any]:
        return node.call("SessionSv1.ProcessEvent", {"Flags": list(flags), "Event": session(node, **fields)})

    assert flags("*resources")["result"] == {"ResourceAllocation": {}}
    assert flags("*resources:*authorize", OriginID="")["error"] == "MANDATORY_IE_MISSING: [OriginID]"
    assert flags("*resources:*allocate")["result"] == {"ResourceAllocation": {"*raw": "R"}}
    assert flags("*resources:*allocate", OriginID="d")["error"] == "PARTIALLY_EXECUTED"
    blocked = flags("*resources:*authorize", "*blocker_error", OriginID="d")
    assert blocked["error"] == "RESOURCES_ERROR:RESOURCE_UNAUTHORIZED"
    assert flags("*resources:*release")["result"] == {"ResourceAllocation": {"*raw": "OK"}}
    assert held(node, "R") == {}
    ok(node, "APIerSv1.SetChargerProfile", ID="C", RunID="run", AttributeIDs=["*none"])
    both = flags("*chargers", "*resources:*allocate", "*resources:*derived_reply")
    assert both["result"] == {"ResourceAllocation": {"*raw": "R", "run": "R"}}
    assert held(node, "R") == {"c": 1}


def test_a_session_that_nobody_ends_frees_what_it_holds(node: Node) -> None:
    """By its OriginID, or by the id that its start names."""
    ok(node, "APIerSv1.SetChargerProfile", ID="C", RunID="*default", AttributeIDs=["*none"])
    profile(node, "R", Limit=9)
    for number, opts in enumerate(({}, {"*originID": "named"})):
        fields = session(node, OriginID=f"c{number}", RequestType="*none", Usage="10s", ToR="*voice")
        wanted = {"InitSession": True, "AllocateResources": True, "APIOpts": {"*sessionsTTL": "5s", **opts}}
        ok(node, "SessionSv1.InitiateSession", Event=fields, **wanted)
    allocate(node, "named")
    assert held(node, "R") == {"c0": 1, "c1": 1, "named": 1}
    node.advance(6 * S)
    assert ok(node, "SessionSv1.GetActiveSessionsCount") == 0
    assert held(node, "R") == {"c1": 1}


def test_sessions_without_connection(node: Node) -> None:
    profile(node, "R")
    ok(node, "ConfigSv1.SetConfigFromJSON", Config='{"sessions":{"resources_conns":[]}}')
    lacking = "NOT_CONNECTED: ResourceS"
    assert error(node, "SessionSv1.AuthorizeEvent", AuthorizeResources=True, Event=session(node)) == lacking
    assert error(node, "SessionSv1.ProcessEvent", Flags=["*resources:*allocate"], Event=session(node)) == lacking


def test_a_resource_in_pieces_is_the_resource_as_it_was(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """Usages that end by themselves and ones that do not; what others do meanwhile does not show, and does not wait."""
    profile(node, "R", Limit=100)
    for number in range(11):
        fields = {
            "APIOpts": {"*rsUsageID": f"u{number}", "*rsUnits": number + 1, "*rsUsageTTL": "1h" if number % 3 else "-1"}
        }
        ok(node, "ResourceSv1.AllocateResources", ID=f"e{number}", Event={"A": 1}, **fields)
    expected = ok(node, "ResourceSv1.GetResourceWithConfig", ID="R")
    assert len(expected["Usages"]) == 11
    assert len(expected["TTLIdx"]) < 11
    for usages in (1, 2, 3, 50):
        monkeypatch.setattr(answers, "SLICE_USAGES", usages)
        reborn = Node(len(node.workers), disk=dict(node.disk))  # everything is packed
        for one in (node, reborn):
            assert json.dumps(ok(one, "ResourceSv1.GetResourceWithConfig", ID="R")) == json.dumps(expected)
    monkeypatch.setattr(answers, "SLICE_USAGES", 1)
    asked = node.send("ResourceSv1.GetResourceWithConfig", {"ID": "R"})
    other = node.send("ResourceSv1.ReleaseResources", {"Event": {"A": 1}, "ID": "e4", "APIOpts": {"*rsUsageID": "u4"}})
    while other not in node._answers:
        node._step() or node.advance(1)
    assert asked not in node._answers
    assert node.wait(asked)["result"] == expected
    assert "u4" not in ok(node, "ResourceSv1.GetResource", ID="R")["Usages"]
