"""Dispatcher profiles and hosts are kept and shown (spec chapter 70, section 7)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cgr_cluster.node.node import Node
from tests.calls import error, ok

S = 10**9


@pytest.fixture(params=[1, 3], ids=["one worker", "three workers"])
def node(request: pytest.FixtureRequest) -> Iterator[Node]:
    yield Node(request.param)


PROFILE = {
    "Tenant": "t", "ID": "P", "Subsystems": ["*sessions", "*stats"], "FilterIDs": ["*string:~*req.A:1"],
    "ActivationInterval": {"ActivationTime": "2026-01-01T00:00:00Z", "ExpiryTime": "0001-01-01T00:00:00Z"},
    "Strategy": "*round_robin", "StrategyParams": {"*defaultRatio": 2, "x": [1.5, None]}, "Weight": 1.5,
    "Hosts": [{"ID": "H", "FilterIDs": ["*prefix:~*req.B:4"], "Weight": 3, "Params": {"*ratio": "1"}, "Blocker": True}],
}  # fmt: skip


def test_a_profile_is_shown_as_it_was_set(node: Node) -> None:
    assert ok(node, "APIerSv1.SetDispatcherProfile", **PROFILE) == "OK"
    assert ok(node, "ApierV1.GetDispatcherProfile", Tenant="t", ID="P") == PROFILE
    ok(node, "APIerSv1.SetDispatcherProfile", ID="EMPTY")
    found = ok(node, "APIerSv1.GetDispatcherProfile", ID="EMPTY")
    assert found["Tenant"] == "cgrates.org"
    empty = ("Subsystems", "FilterIDs", "ActivationInterval", "StrategyParams", "Hosts")
    assert [found[name] for name in empty] == [None] * len(empty)


def test_what_is_missing(node: Node) -> None:
    for kind in ("Host", "Profile"):
        gone = f"DSP_{kind.upper()}_NOT_FOUND"
        assert error(node, f"APIerSv1.GetDispatcher{kind}", ID="X") == gone
        assert error(node, f"APIerSv1.RemoveDispatcher{kind}", ID="X") == gone
        assert error(node, f"APIerSv1.GetDispatcher{kind}IDs") == "NOT_FOUND"
        for verb in ("Set", "Get", "Remove"):
            assert error(node, f"APIerSv1.{verb}Dispatcher{kind}") == "MANDATORY_IE_MISSING: [ID]"
    broken = error(node, "APIerSv1.SetDispatcherProfile", ID="P", FilterIDs=["NOPE"])
    assert broken == "SERVER_ERROR: broken reference to filter: <NOPE> for item with ID: cgrates.org:P"


def test_ids_by_tenant_and_page(node: Node) -> None:
    for name in ("H1", "H2", "X"):
        ok(node, "APIerSv1.SetDispatcherHost", ID=name)
    ok(node, "APIerSv1.SetDispatcherHost", Tenant="t", ID="OTHER")
    assert sorted(ok(node, "APIerSv1.GetDispatcherHostIDs", Search="H")) == ["H1", "H2"]
    assert len(ok(node, "APIerSv1.GetDispatcherHostIDs", Limit=2)) == 2
    ok(node, "APIerSv1.RemoveDispatcherHost", ID="H1")
    assert sorted(ok(node, "APIerSv1.GetDispatcherHostIDs")) == ["H2", "X"]


def test_a_profile_is_indexed_by_its_subsystems(node: Node) -> None:
    ok(node, "APIerSv1.SetDispatcherProfile", **PROFILE)
    index = {"Tenant": "t", "ItemType": "*dispatchers"}
    assert ok(node, "APIerSv1.GetFilterIndexes", **index, Context="*stats") == ["*string:*req.A:1:P"]
    assert error(node, "APIerSv1.GetFilterIndexes", **index, Context="*any") == "NOT_FOUND"
    ok(
        node,
        "APIerSv1.SetFilter",
        Tenant="t",
        ID="F",
        Rules=[{"Type": "*string", "Element": "~*req.C", "Values": ["1"]}],
    )
    ok(node, "APIerSv1.SetDispatcherProfile", **{**PROFILE, "FilterIDs": ["F"]})
    assert "cannot remove filter <t:F>" in error(node, "APIerSv1.RemoveFilter", Tenant="t", ID="F")


def test_files_are_loaded_and_written(node: Node, tmp_path: Path) -> None:
    (tmp_path / "DispatcherProfiles.csv").write_text(
        "#Tenant,ID,Subsystems,FilterIDs,ActivationInterval,Strategy,StrategyParameters,ConnID,ConnFilterIDs,ConnWeight,"
        "ConnBlocker,ConnParameters,Weight\n"
        "t,P,*any,*string:~*req.A:1,2026-01-01T00:00:00Z,*weight,a;*defaultRatio:2,H1,,20,false,*ratio:1,10\n"
        "t,P,,,,,,H2,*string:~*req.B:2,10,true,,\n"
    )
    (tmp_path / "DispatcherHosts.csv").write_text("t,H1,127.0.0.1:2012,*json,1,-1,1m,2s,3s,true,/k,/c,/ca\n")
    ok(node, "APIerSv1.LoadTariffPlanFromFolder", FolderPath=str(tmp_path))
    found = ok(node, "APIerSv1.GetDispatcherProfile", Tenant="t", ID="P")
    assert found == {
        **found, "Subsystems": ["*any"], "FilterIDs": ["*string:~*req.A:1"], "Strategy": "*weight", "Weight": 10,
        "StrategyParams": {"0": "a", "*defaultRatio": "2"},
        "Hosts": [
            {"ID": "H1", "FilterIDs": None, "Weight": 20, "Params": {"*ratio": "1"}, "Blocker": False},
            {"ID": "H2", "FilterIDs": ["*string:~*req.B:2"], "Weight": 10, "Params": {}, "Blocker": True},
        ],
    }  # fmt: skip
    host = ok(node, "APIerSv1.GetDispatcherHost", Tenant="t", ID="H1")
    assert host == {
        "Tenant": "t", "ID": "H1", "Address": "127.0.0.1:2012", "Transport": "*json", "ConnectAttempts": 1, "Reconnects": -1,
        "MaxReconnectInterval": 60 * S, "ConnectTimeout": 2 * S, "ReplyTimeout": 3 * S, "TLS": True, "ClientKey": "/k",
        "ClientCertificate": "/c", "CaCertificate": "/ca",
    }  # fmt: skip
    assert set(ok(node, "APIerSv1.GetLoadTimes")) >= {"*dispatcher_profiles", "*dispatcher_hosts"}
    out = tmp_path / "out"
    ok(node, "APIerSv1.ExportToFolder", Path=str(out))
    ok(node, "APIerSv1.RemoveTPFromFolder", FolderPath=str(tmp_path))
    assert error(node, "APIerSv1.GetDispatcherProfile", Tenant="t", ID="P") == "DSP_PROFILE_NOT_FOUND"
    assert error(node, "APIerSv1.GetDispatcherHost", Tenant="t", ID="H1") == "DSP_HOST_NOT_FOUND"
    ok(node, "APIerSv1.LoadTariffPlanFromFolder", FolderPath=str(out))
    assert ok(node, "APIerSv1.GetDispatcherProfile", Tenant="t", ID="P") == found
    assert ok(node, "APIerSv1.GetDispatcherHost", Tenant="t", ID="H1") == host


def test_rows_of_the_store_become_profiles_and_hosts(node: Node) -> None:
    row = {
        "TPid": "TP",
        "Tenant": "t",
        "ID": "P",
        "Strategy": "*random",
        "Hosts": [{"ID": "H", "Params": ["*ratio:2", 5]}],
    }
    ok(node, "APIerSv1.SetTPDispatcherProfile", **row)
    ok(node, "APIerSv1.SetTPDispatcherHost", TPid="TP", Tenant="t", ID="H", Conn={"Address": "h:1", "ReplyTimeout": S})
    ok(node, "APIerSv1.LoadTariffPlanFromStorDb", TPid="TP")
    hosts = ok(node, "APIerSv1.GetDispatcherProfile", Tenant="t", ID="P")["Hosts"]
    assert hosts == [{"ID": "H", "FilterIDs": None, "Weight": 0, "Params": {"*ratio": "2", "1": 5}, "Blocker": False}]
    assert ok(node, "APIerSv1.GetDispatcherHost", Tenant="t", ID="H")["ReplyTimeout"] == S
