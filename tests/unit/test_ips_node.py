"""IPsV1 on a node of one and of three workers (spec chapters 60, section 5, and 30, section 5)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cgr_cluster.config import settings
from cgr_cluster.engine.owner import account_owner, object_owner
from cgr_cluster.ips import answers
from cgr_cluster.node.node import Node
from cgr_cluster.services import load
from tests.calls import error, ok

TENANT = "cgrates.org"
S = 10**9
HOUR = 3600 * S


@pytest.fixture(params=[1, 3], ids=["one worker", "three workers"])
def node(request: pytest.FixtureRequest) -> Iterator[Node]:
    yield switched_on(request.param)


def switched_on(workers: int, **cluster: Any) -> Node:
    config = dict(settings.ephemeral())
    config["ips"] = {**config["ips"], "enabled": True}
    config["sessions"] = {**config["sessions"], "ips_conns": ["*internal"]}
    config["cluster"] = cluster
    return Node(workers, config)


def pool(name: str, cidr: str, **more: Any) -> dict[str, Any]:
    return {"ID": name, "Range": cidr, "Message": f"of {name}", **more}


def profile(node: Node, name: str, *pools: dict[str, Any], **more: Any) -> None:
    ok(node, "APIerSv1.SetIPProfile", ID=name, Pools=list(pools), **more)


def call(allocation_id: str, fields: dict[str, Any] | None = None, **opts: Any) -> dict[str, Any]:
    return {"ID": "e", "Event": fields or {"A": "1"}, "APIOpts": {"*ipAllocationID": allocation_id, **opts}}


def allocate(node: Node, allocation_id: str, fields: dict[str, Any] | None = None, **opts: Any) -> str:
    return str(ok(node, "IPsV1.AllocateIP", **call(allocation_id, fields, **opts))["Address"])


def held(node: Node, name: str) -> dict[str, str]:
    found = ok(node, "IPsV1.GetIPAllocations", ID=name)["Allocations"]
    return {allocation_id: one["Address"] for allocation_id, one in found.items()}


def stored(node: Node) -> list[str]:
    """What is kept of allocations."""
    return [key for _, key in node.disk if key.startswith(("ip_", "timer/"))]


# --- the service ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["Ping", "AllocateIP", "Nope"])
def test_a_service_that_is_not_enabled_is_unknown(method: str) -> None:
    node = Node(1)
    assert error(node, f"IPsV1.{method}") == f"rpc: can't find service IPsV1.{method}"
    assert error(node, "SessionSv1.AuthorizeEvent", AuthorizeIP=True, Event={"A": 1}) == "NOT_CONNECTED: IPs"
    ok(node, "ConfigSv1.SetConfig", Config={"ips": {"enabled": True}})
    answers = {"Ping": "Pong", "AllocateIP": "MANDATORY_IE_MISSING: [ID Event]"}
    answer = node.call(f"IPsV1.{method}", {})
    assert (answer["result"] or answer["error"]) == answers.get(method, f"rpc: can't find method IPsV1.{method}")
    assert error(node, "SessionSv1.AuthorizeEvent", AuthorizeIP=True, Event={"A": 1}) == "NOT_CONNECTED: IPs"


def test_sessions_that_are_connected_to_a_service_that_is_not_there() -> None:
    node = Node(1)
    ok(node, "ConfigSv1.SetConfig", Config={"sessions": {"ips_conns": ["*internal"]}})
    unknown = "IPS_ERROR:rpc: can't find service IPsV1.AuthorizeIP"
    assert error(node, "SessionSv1.AuthorizeEvent", AuthorizeIP=True, Event={"A": 1}) == unknown


@pytest.mark.parametrize("service", sorted(load().sections))
def test_every_service_that_may_be_switched_off_is_unknown_at_first(service: str) -> None:
    for method in ("Ping", "Nope"):
        assert error(Node(1), f"{service}.{method}") == f"rpc: can't find service {service}.{method}"


# --- profiles ------------------------------------------------------------------------------------------------------


def test_profiles_come_back_as_they_were_set(node: Node) -> None:
    given = {
        "Tenant": TENANT, "ID": "IP1", "FilterIDs": ["*string:~*req.A:1"], "ActivationInterval": None, "Weight": 10, "TTL": HOUR,
        "Stored": True,
        "Pools": [{
            "ID": "P1", "FilterIDs": None, "Type": "*ipv4", "Range": "10.0.0.1/32", "Strategy": "*ascending", "Message": "M",
            "Weight": 2.5, "Blocker": True,
        }],
    }  # fmt: skip
    ok(node, "APIerSv1.SetIPProfile", **given)
    assert ok(node, "APIerSv1.GetIPProfile", ID="IP1") == given
    assert ok(node, "APIerSv2.GetIPProfileIDs") == ["IP1"]
    assert ok(node, "APIerSv1.GetFilterIndexes", ItemType="*ips") == ["*string:*req.A:1:IP1"]
    assert ok(node, "APIerSv1.RemoveIPProfile", ID="IP1") == "OK"
    for method in ("GetIPProfile", "RemoveIPProfile"):
        assert error(node, f"APIerSv1.{method}", ID="IP1") == "NOT_FOUND"
    assert error(node, "APIerSv1.GetIPProfileIDs") == "NOT_FOUND"
    assert error(node, "IPsV1.GetIPAllocations", ID="IP1") == "NOT_FOUND"


def test_profiles_name_their_errors(node: Node) -> None:
    for method in ("SetIPProfile", "GetIPProfile", "RemoveIPProfile"):
        assert error(node, f"APIerSv1.{method}") == "MANDATORY_IE_MISSING: [ID]"
    for method in ("GetIPAllocations", "ClearIPAllocations"):
        assert error(node, f"IPsV1.{method}") == "MANDATORY_IE_MISSING: [ID]"
    broken = "SERVER_ERROR: broken reference to filter: <F> for item with ID: cgrates.org:I"
    assert error(node, "APIerSv1.SetIPProfile", ID="I", FilterIDs=["F"]) == broken
    assert error(node, "APIerSv1.SetIPProfile", ID="I", Pools=[pool("P", "10.0.0.1/32", FilterIDs=["F"])]) == broken
    for text in ("", "10.0.0.1", "10.0.0.1/33", "10.0.0/8", "x/8", "10.0.0.0/255.0.0.0", "1.2.3.4/-1", "::/129"):
        refused = error(node, "APIerSv1.SetIPProfile", ID="I", Pools=[pool("P", text)])
        no_range = f"SERVER_ERROR: range <{text}> of pool <P> is no CIDR such as 10.0.0.0/24 or 2001:db8::/64"
        assert refused == no_range
    assert error(node, "APIerSv1.GetIPProfile", ID="I") == "NOT_FOUND"


def test_a_filter_that_a_profile_names_stays(node: Node) -> None:
    ok(node, "APIerSv1.SetFilter", ID="F", Rules=[{"Type": "*string", "Element": "~*req.A", "Values": ["1"]}])
    profile(node, "I", pool("P", "10.0.0.1/32"), FilterIDs=["F"])
    assert "*ip_filter_indexes" in error(node, "APIerSv1.RemoveFilter", ID="F")


# --- addresses -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["AuthorizeIP", "AllocateIP", "ReleaseIP", "GetIPAllocationForEvent"])
def test_order_of_checks(node: Node, method: str) -> None:
    name = f"IPsV1.{method}"
    assert error(node, name) == "MANDATORY_IE_MISSING: [ID Event]"
    assert error(node, name, ID="e", Event={}) == "MANDATORY_IE_MISSING: [Event]"
    assert error(node, name, Event={"A": 1}) == "MANDATORY_IE_MISSING: [ID]"
    assert error(node, name, ID="e", Event={"A": 1}) == "MANDATORY_IE_MISSING: [AllocationID]"
    assert error(node, name, **call("a")) == "NOT_FOUND"
    profile(node, "I", pool("P", "10.0.0.1/32", FilterIDs=["*string:~*req.B:1"]), FilterIDs=["*string:~*req.A:1"])
    assert error(node, name, **call("a", {"A": "2"})) == "NOT_FOUND"
    if method in ("AuthorizeIP", "AllocateIP"):
        assert error(node, name, **call("a")) == "NOT_FOUND"  # no pool takes it


def test_pools_are_tried_by_weight_and_refusals_name_the_last(node: Node) -> None:
    profile(node, "LOW", pool("X", "10.9.9.9/32"))
    profile(node, "IP1", pool("P2", "10.0.0.2/32"), pool("P1", "10.0.0.1/32", Weight=10), Weight=5)
    first = {"ProfileID": "IP1", "PoolID": "P1", "Message": "of P1", "Address": "10.0.0.1"}
    assert ok(node, "IPsV1.AuthorizeIP", **call("a1")) == first
    assert held(node, "IP1") == {}
    assert ok(node, "IPsV1.AllocateIP", **call("a1")) == first
    assert ok(node, "IPsV1.AuthorizeIP", **call("a2"))["Address"] == "10.0.0.2"
    assert ok(node, "IPsV1.AllocateIP", **call("a2"))["PoolID"] == "P2"
    assert held(node, "IP1") == {"a1": "10.0.0.1", "a2": "10.0.0.2"}
    full = 'allocation failed for pool "P2", IP "10.0.0.2": IP_ALREADY_ALLOCATED (allocated to "a2")'
    assert error(node, "IPsV1.AllocateIP", **call("a3")) == full
    assert error(node, "IPsV1.AuthorizeIP", **call("a3")) == "IP_UNAUTHORIZED"
    assert ok(node, "IPsV1.AuthorizeIP", **call("a1")) == first  # its own
    assert ok(node, "IPsV1.ReleaseIP", **call("a1")) == "OK"
    assert ok(node, "IPsV1.ReleaseIP", **call("a1")) == "OK"
    assert allocate(node, "a3") == "10.0.0.1"
    assert held(node, "LOW") == {}


def test_pools_have_filters_and_blockers(node: Node) -> None:
    profile(
        node, "I",
        pool("GOLD", "10.0.0.1/32", Weight=3, FilterIDs=["*string:~*req.Class:gold"]),
        pool("WALL", "10.0.0.2/32", Weight=2, Blocker=True),
        pool("NEVER", "10.0.0.3/32", Weight=1),
    )  # fmt: skip
    assert allocate(node, "a") == "10.0.0.2"
    assert allocate(node, "b", {"Class": "gold"}) == "10.0.0.1"
    assert "WALL" in error(node, "IPsV1.AllocateIP", **call("c", {"Class": "gold"}))


def test_an_allocation_is_renewed_and_ends_by_itself(node: Node) -> None:
    profile(node, "I", pool("P", "10.0.0.1/32"), pool("Q", "10.0.0.2/32"), TTL=10 * S)
    allocate(node, "a")
    allocate(node, "b")
    before = ok(node, "IPsV1.GetIPAllocations", ID="I")
    assert before["TTLIndex"] == ["a", "b"]
    node.advance(6 * S)
    assert allocate(node, "a") == "10.0.0.1"
    after = ok(node, "IPsV1.GetIPAllocationForEvent", **call("a"))
    assert after["TTLIndex"] == ["b", "a"]
    assert after["Allocations"]["b"] == before["Allocations"]["b"]
    assert after["Allocations"]["a"]["Time"] > before["Allocations"]["a"]["Time"]
    node.advance(5 * S)
    assert held(node, "I") == {"a": "10.0.0.1"}
    assert allocate(node, "c") == "10.0.0.2"
    node.advance(5 * S)
    assert held(node, "I") == {"c": "10.0.0.2"}
    node.advance(20 * S)
    assert ok(node, "IPsV1.GetIPAllocations", ID="I") == {
        "Tenant": TENANT, "ID": "I", "Allocations": {}, "TTLIndex": [],
    }  # fmt: skip
    assert all(key.startswith("ip_allocations/") for key in stored(node))


@pytest.mark.parametrize(
    ("of_profile", "of_event", "lasts_ns"),
    [
        (0, None, 72 * HOUR),
        (HOUR, None, HOUR),
        (HOUR, "2h", 2 * HOUR),
        (HOUR, 0, HOUR),
        (-1, None, None),
        (HOUR, -1, None),
    ],
)
def test_how_long_an_allocation_lasts(node: Node, of_profile: int, of_event: Any, lasts_ns: int | None) -> None:
    profile(node, "I", pool("P", "10.0.0.1/32"), TTL=of_profile)
    allocate(node, "a", **({} if of_event is None else {"*ipTTL": of_event}))
    node.advance((lasts_ns or 1000 * HOUR) - S)
    assert held(node, "I") == {"a": "10.0.0.1"}
    node.advance(2 * S)
    assert held(node, "I") == ({} if lasts_ns else {"a": "10.0.0.1"})
    assert error(node, "IPsV1.AllocateIP", **call("b", **{"*ipTTL": "soon"})) == 'time: invalid duration "soon"'


def test_clearing_takes_all_or_none(node: Node) -> None:
    profile(node, "I", *(pool(f"P{number}", f"10.0.0.{number}/32") for number in range(4)))
    for name in "abc":
        allocate(node, name)
    lost = error(node, "IPsV1.ClearIPAllocations", ID="I", AllocationIDs=["a", "zz", "yy"])
    assert lost == "cannot find allocation records with ids: [zz yy]"
    assert set(held(node, "I")) == {"a", "b", "c"}
    assert ok(node, "IPsV1.ClearIPAllocations", ID="I", AllocationIDs=["b", "b"]) == "OK"
    assert set(held(node, "I")) == {"a", "c"}
    assert ok(node, "IPsV1.ClearIPAllocations", ID="I") == "OK"
    assert held(node, "I") == {}
    assert error(node, "IPsV1.ClearIPAllocations", ID="NO") == "NOT_FOUND"
    assert error(node, "IPsV1.ClearIPAllocations", ID="NO", AllocationIDs=["a"]) == "NOT_FOUND"


def test_a_change_of_a_profile_takes_no_address_from_anybody(node: Node) -> None:
    profile(node, "I", pool("P", "10.0.0.1/32"), pool("Q", "10.0.0.2/32"), TTL=HOUR, Stored=True)
    assert (allocate(node, "a"), allocate(node, "b")) == ("10.0.0.1", "10.0.0.2")
    profile(node, "I", pool("P", "10.0.0.1/32", Message="M"), TTL=2 * HOUR)
    assert held(node, "I") == {"a": "10.0.0.1", "b": "10.0.0.2"}
    assert ok(node, "IPsV1.AllocateIP", **call("a"))["Message"] == "M"
    refused = error(
        node, "IPsV1.AllocateIP", **call("b")
    )  # its pool has gone: it is asked for another, and there is none
    assert refused.endswith('(allocated to "a")')


# --- ranges --------------------------------------------------------------------------------------------------------


def test_ranges_where_they_are_not_wanted(node: Node) -> None:
    profile(node, "I", pool("P", "10.0.0.0/31"))
    for method in ("AuthorizeIP", "AllocateIP"):
        assert error(node, f"IPsV1.{method}", **call("a")) == "only single IP Pools are supported for now"


@pytest.mark.parametrize(
    ("cidr", "strategy", "first"),
    [
        ("10.0.0.7/8", "", "10.0.0.0"),
        ("10.0.0.0/8", "*descending", "10.255.255.255"),
        ("2001:db8::1/64", "*ascending", "2001:db8::"),
        ("::/0", "*descending", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ],
)
def test_large_ranges_cost_what_is_taken_of_them(cidr: str, strategy: str, first: str) -> None:
    node = switched_on(3, ip_ranges=True)
    profile(node, "I", pool("P", cidr, Strategy=strategy))
    assert allocate(node, "a") == first
    uids = [node.send("IPsV1.AllocateIP", call(f"a{number}")) for number in range(200)]
    given = {node.wait(uid)["result"]["Address"] for uid in uids}
    assert len(given) == 200 and first not in given
    assert len([key for key in stored(node) if key.startswith("ip_block/")]) < 10
    ok(node, "IPsV1.ClearIPAllocations", ID="I")
    assert all(key.startswith("ip_allocations/") for key in stored(node))


def test_a_range_that_is_used_up_and_strategies_that_are_none() -> None:
    node = switched_on(1, ip_ranges=True)
    profile(node, "I", pool("P", "10.0.0.4/30"))
    assert [allocate(node, name) for name in "abcd"] == ["10.0.0.4", "10.0.0.5", "10.0.0.6", "10.0.0.7"]
    used_up = 'allocation failed for pool "P", range "10.0.0.4/30": IP_ALREADY_ALLOCATED'
    assert error(node, "IPsV1.AllocateIP", **call("e")) == used_up
    profile(node, "I", pool("P", "10.0.0.0/29"))  # who has an address keeps it, and nobody else gets it
    assert sorted(allocate(node, name) for name in "efgh") == ["10.0.0.0", "10.0.0.1", "10.0.0.2", "10.0.0.3"]
    assert "IP_ALREADY_ALLOCATED" in error(node, "IPsV1.AllocateIP", **call("i"))
    profile(node, "I", pool("P", "10.0.1.0/24", Strategy="*best"))
    unknown = "unsupported strategy <*best> of pool <P>; there are *ascending, *descending"
    assert error(node, "IPsV1.AllocateIP", **call("i")) == unknown


def test_many_allocations_go_with_their_profile() -> None:
    node = switched_on(3, ip_ranges=True)
    profile(node, "I", pool("P", "10.0.0.0/16"))
    uids = [node.send("IPsV1.AllocateIP", call(f"a{number}")) for number in range(500)]
    assert len({node.wait(uid)["result"]["Address"] for uid in uids}) == 500
    ok(node, "APIerSv1.RemoveIPProfile", ID="I")
    profile(node, "I", pool("P", "10.0.0.0/16"))
    assert allocate(node, "new") == "10.0.0.0"
    node.run()
    assert held(node, "I") == {"new": "10.0.0.0"}
    assert len([key for key in stored(node) if key.startswith(("ip_address/", "ip_allocation/"))]) == 2
    ok(node, "APIerSv1.RemoveIPProfile", ID="I")
    node.run()
    assert stored(node) == []


# --- files ---------------------------------------------------------------------------------------------------------

ROWS = """#Tenant,ID,FilterIDs,ActivationInterval,TTL,Stored,Weight,PoolID,PoolFilterIDs,PoolType,PoolRange,PoolStrategy,PoolMessage,PoolWeight,PoolBlocker
cgrates.org,IP1,*string:~*req.A:1,2026-01-01T00:00:00Z,1h,true,10,P1,*string:~*req.B:1;*exists:~*req.C:,*ipv4,10.0.0.1/32,*ascending,M1,5,true
cgrates.org,IP1,,,,,,P2,,*ipv6,2001:db8::/64,,,,
cgrates.org,IP1,*string:~*req.D:1,,,,,P1,*exists:~*req.E:,,,,M2,,
"""


def test_a_file_of_profiles(node: Node, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "IPs.csv").write_text(ROWS)
    folder = str(tmp_path / "in")
    ok(node, "APIerSv1.LoadTariffPlanFromFolder", FolderPath=folder)
    found = ok(node, "APIerSv1.GetIPProfile", ID="IP1")
    assert found == {
        "Tenant": TENANT, "ID": "IP1", "FilterIDs": ["*string:~*req.A:1", "*string:~*req.D:1"],
        "ActivationInterval": {"ActivationTime": "2026-01-01T00:00:00Z", "ExpiryTime": "0001-01-01T00:00:00Z"},
        "Weight": 10, "TTL": HOUR, "Stored": True,
        "Pools": [
            {"ID": "P1", "FilterIDs": ["*string:~*req.B:1", "*exists:~*req.C:", "*exists:~*req.E:"], "Type": "*ipv4",
             "Range": "10.0.0.1/32", "Strategy": "*ascending", "Message": "M2", "Weight": 5, "Blocker": True},
            {"ID": "P2", "FilterIDs": None, "Type": "*ipv6", "Range": "2001:db8::/64", "Strategy": "", "Message": "",
             "Weight": 0, "Blocker": False},
        ],
    }  # fmt: skip
    allocate(node, "a", {"A": "1", "B": "1", "C": "1", "D": "1", "E": "1"})
    ok(node, "APIerSv1.LoadTariffPlanFromFolder", FolderPath=folder)
    assert held(node, "IP1") == {"a": "10.0.0.1"}
    ok(node, "APIerSv1.ExportToFolder", Path=str(tmp_path / "out"), Items=["*ips"])
    ok(node, "APIerSv1.RemoveTPFromFolder", FolderPath=folder)
    assert error(node, "APIerSv1.GetIPProfile", ID="IP1") == "NOT_FOUND"
    node.run()
    assert stored(node) == []
    ok(node, "APIerSv1.LoadTariffPlanFromFolder", FolderPath=str(tmp_path / "out"))
    assert ok(node, "APIerSv1.GetIPProfile", ID="IP1") == found
    ok(node, "APIerSv1.ImportTariffPlanFromFolder", TPid="TP", FolderPath=folder)
    ok(node, "APIerSv1.RemoveIPProfile", ID="IP1")
    ok(node, "APIerSv1.LoadTariffPlanFromStorDb", TPid="TP")
    assert ok(node, "APIerSv1.GetIPProfile", ID="IP1") == found


# --- sessions ------------------------------------------------------------------------------------------------------


def session(node: Node, **fields: Any) -> dict[str, Any]:
    """An event whose account lives at another worker than the profile, where there are several."""
    at = node.shard_map[object_owner(TENANT, "I").shard]
    names = [str(number) for number in range(100, 200)]
    apart = [name for name in names if node.shard_map[account_owner(TENANT, name).shard] != at]
    return {"OriginID": "c", "OriginHost": "h", "Account": (apart or names)[0], "A": "1", **fields}


ALLOCATED = {"ProfileID": "I", "PoolID": "P", "Message": "of P", "Address": "10.0.0.1"}


def test_sessions_take_an_address_under_their_origin_id(node: Node) -> None:
    profile(node, "I", pool("P", "10.0.0.1/32"))
    asked = {"Event": session(node), "APIOpts": {"*ipAllocationID": "own"}}
    assert ok(node, "SessionSv1.AuthorizeEvent", AuthorizeIP=True, **asked) == {"AllocatedIP": ALLOCATED}
    digest = ok(node, "SessionSv1.AuthorizeEventWithDigest", AuthorizeIP=True, **asked)
    assert digest["AllocatedIP"] == "I:P:of P:10.0.0.1"
    assert held(node, "I") == {}
    assert ok(node, "SessionSv1.InitiateSession", AllocateIP=True, **asked) == {"AllocatedIP": ALLOCATED}
    assert held(node, "I") == {"c": "10.0.0.1"}
    full = 'IPS_ERROR:allocation failed for pool "P", IP "10.0.0.1": IP_ALREADY_ALLOCATED (allocated to "c")'
    assert error(node, "SessionSv1.ProcessMessage", AllocateIP=True, Event=session(node, OriginID="d")) == full
    nameless = session(node, OriginID="")
    for method, flag in (("InitiateSession", "AllocateIP"), ("TerminateSession", "ReleaseIP")):
        assert error(node, f"SessionSv1.{method}", Event=nameless, **{flag: True}) == "MANDATORY_IE_MISSING: [OriginID]"
    assert error(node, "SessionSv1.AuthorizeEvent", AuthorizeIP=True, Event=nameless) == "IPS_ERROR:IP_UNAUTHORIZED"
    assert ok(node, "SessionSv1.TerminateSession", ReleaseIP=True, **asked) == "OK"
    assert held(node, "I") == {}
    assert ok(node, "SessionSv1.AuthorizeEvent", AuthorizeIP=True, Event=nameless) == {"AllocatedIP": ALLOCATED}
    assert ok(node, "SessionSv1.ProcessMessage", AllocateIP=True, Event=session(node)) == {"AllocatedIP": ALLOCATED}


def test_process_event(node: Node) -> None:
    profile(node, "I", pool("P", "10.0.0.1/32"))

    def flags(*flags: str, **fields: Any) -> dict[str, Any]:
        return node.call("SessionSv1.ProcessEvent", {"Flags": list(flags), "Event": session(node, **fields)})

    assert flags("*ips")["result"] == {"AllocatedIP": {}}
    assert flags("*ips:*authorize", OriginID="")["error"] == "MANDATORY_IE_MISSING: [OriginID]"
    assert flags("*ips:*allocate")["result"] == {"AllocatedIP": {"*raw": ALLOCATED}}
    assert flags("*ips:*allocate", OriginID="d")["error"] == "PARTIALLY_EXECUTED"
    assert flags("*ips:*authorize", "*blocker_error", OriginID="d")["error"] == "IPS_ERROR:IP_UNAUTHORIZED"
    assert flags("*ips:*release")["result"] == {"AllocatedIP": {}}
    assert held(node, "I") == {}
    ok(node, "APIerSv1.SetChargerProfile", ID="C", RunID="run", AttributeIDs=["*none"])
    both = flags("*chargers", "*ips:*allocate", "*ips:*derived_reply")
    assert both["result"] == {"AllocatedIP": {"*raw": ALLOCATED, "run": ALLOCATED}}


def test_forced_ends_give_the_address_back(node: Node) -> None:
    """By the OriginID of a session that nobody ends, or that an operator ends."""
    ok(node, "APIerSv1.SetChargerProfile", ID="C", RunID="*default", AttributeIDs=["*none"])
    profile(node, "I", pool("P", "10.0.0.1/32"), pool("Q", "10.0.0.2/32"), TTL=-1)
    for number in range(2):
        fields = session(node, OriginID=f"c{number}", RequestType="*none", Usage="10s", ToR="*voice")
        opts = {"*sessionsTTL": "5s"} if number else {}
        ok(node, "SessionSv1.InitiateSession", InitSession=True, AllocateIP=True, Event=fields, APIOpts=opts)
    assert len(held(node, "I")) == 2
    node.advance(6 * S)
    assert list(held(node, "I")) == ["c0"]
    ok(node, "SessionSv1.ForceDisconnect", Filters=["*string:~*req.OriginID:c0"])
    assert held(node, "I") == {}


@pytest.mark.parametrize("workers", [1, 3])
def test_allocations_in_pieces_are_the_allocations_as_they_were(workers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ones that end by themselves and ones that do not; what others do meanwhile does not show, and does not wait."""
    node = switched_on(workers, ip_ranges=True)
    profile(node, "P", pool("p", "10.0.0.0/24"))
    for number in range(11):
        allocate(node, f"a{number}", **{"*ipTTL": "1h" if number % 3 else "-1"})
    expected = ok(node, "IPsV1.GetIPAllocations", ID="P")
    assert len(expected["Allocations"]) == 11
    assert 0 < len(expected["TTLIndex"]) < 11
    for allocations in (1, 2, 3, 50):
        monkeypatch.setattr(answers, "SLICE_ALLOCATIONS", allocations)
        reborn = Node(workers, node.config, disk=dict(node.disk))  # everything is packed
        for one in (node, reborn):
            assert json.dumps(ok(one, "IPsV1.GetIPAllocations", ID="P")) == json.dumps(expected)
    monkeypatch.setattr(answers, "SLICE_ALLOCATIONS", 1)
    asked = node.send("IPsV1.GetIPAllocations", {"ID": "P"})
    other = node.send("IPsV1.ReleaseIP", call("a4"))
    while other not in node._answers:
        node._step() or node.advance(1)
    assert asked not in node._answers
    assert node.wait(asked)["result"] == expected
    assert "a4" not in held(node, "P")
