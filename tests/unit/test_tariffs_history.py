"""What was loaded when, and live profiles written as files: GetLoadHistory, GetLoadIDs, GetLoadTimes, ExportToFolder (spec 70 §6, §10)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from cgr_cluster.node.node import Node
from cgr_cluster.tariffs.exporting import EXPORTS
from cgr_cluster.tariffs.history import MOST_LOADS, PARTITIONS

PLANS = Path(__file__).parents[1] / "conformance/tariffplans"
RATES = str(PLANS / "accounts_main")
S = 10**9


def ok(node: Node, method: str, params: Any) -> Any:
    answer = node.call(method, params)
    assert answer["error"] is None, (method, answer)
    return answer["result"]


def refusal(node: Node, method: str, params: Any) -> str:
    return str(node.call(method, params)["error"])


@pytest.fixture(params=["small", "deck"])
def node(request: pytest.FixtureRequest) -> Node:
    node = Node(3)
    if request.param == "deck":
        node.decks.big_bytes = 0
        node.decks.big_rows = 1
    return node


def test_before_anything_is_loaded(node: Node) -> None:
    for method, params in (
        ("GetLoadHistory", {}),
        ("GetLoadIDs", ""),
        ("GetLoadTimes", {}),
        ("GetLoadIDs", "*rating_plans"),
    ):
        assert refusal(node, f"APIerSv1.{method}", params) == "NOT_FOUND"


def test_loads_are_remembered_the_newest_first_also_after_a_restart(node: Node) -> None:
    ok(node, "APIerSv1.ImportTariffPlanFromFolder", {"TPid": "TP1", "FolderPath": RATES})
    ok(node, "APIerSv1.LoadTariffPlanFromFolder", {"FolderPath": RATES})
    node.advance(3600 * S)
    ok(node, "APIerSv1.LoadTariffPlanFromStorDb", {"TPid": "TP1"})
    for refused in ({"FolderPath": RATES, "DryRun": True}, {"FolderPath": str(PLANS / "rating_bad_rate")}):
        node.call("APIerSv1.LoadTariffPlanFromFolder", refused)
    ok(node, "APIerSv1.LoadTariffPlanFromStorDb", {"TPid": "UNKNOWN"})
    for number in range(3):
        node.kill(number)
    found = ok(node, "APIerSv1.GetLoadHistory", {})
    assert [load["LoadID"] for load in found] == ["TP1", RATES]
    assert found[0]["LoadTime"] > found[1]["LoadTime"]
    assert len({load["RatingLoadID"] for load in found}) == 2
    assert ok(node, "APIerSv1.GetLoadHistory", {"Limit": 1}) == found[:1]
    assert ok(node, "APIerSv1.GetLoadHistory", {"Offset": 1}) == found[1:]
    for page in ({"Offset": 2}, {"Limit": 0}):
        assert refusal(node, "APIerSv1.GetLoadHistory", page) == "NOT_FOUND"


def test_only_the_last_loads_are_remembered(tmp_path: Path) -> None:
    node = Node(1)
    (tmp_path / "Destinations.csv").write_text("D,+1\n")
    for _ in range(MOST_LOADS + 2):
        ok(node, "APIerSv1.LoadTariffPlanFromFolder", {"FolderPath": str(tmp_path)})
    assert len(ok(node, "APIerSv1.GetLoadHistory", {})) == MOST_LOADS


def test_every_kind_says_when_it_changed_last(node: Node) -> None:
    ok(node, "APIerSv1.LoadTariffPlanFromFolder", {"FolderPath": RATES})
    loaded = ok(node, "APIerSv1.GetLoadIDs", "")
    assert (
        {"*destinations", "*reverse_destinations", "*rating_plans", "*timings", "*actions"}
        <= set(loaded)
        <= set(PARTITIONS)
    )
    assert len(set(loaded.values())) == 1
    node.advance(10 * S)
    ok(node, "APIerSv1.SetDestination", {"Id": "NEW", "Prefixes": ["+9"]})
    ok(node, "APIerSv1.SetFilter", {"ID": "F", "Rules": [{"Type": "*string", "Element": "~*req.A", "Values": ["1"]}]})
    changed = ok(node, "APIerSv1.GetLoadIDs", "")
    assert {name for name in changed if changed[name] != loaded.get(name)} == {
        "*destinations",
        "*reverse_destinations",
        "*filters",
    }
    assert changed["*destinations"] >= loaded["*destinations"] + 10 * S
    assert ok(node, "APIerSv1.GetLoadIDs", "*filters") == {"*filters": changed["*filters"]}
    node.advance(S)
    ok(node, "APIerSv1.RemoveFilter", {"ID": "F"})
    assert ok(node, "APIerSv1.GetLoadIDs", "*filters")["*filters"] > changed["*filters"]
    for number in range(3):
        node.kill(number)
    assert ok(node, "APIerSv1.GetLoadIDs", "*destinations") == {"*destinations": changed["*destinations"]}
    assert refusal(node, "APIerSv1.GetLoadIDs", "*nope") == "NOT_FOUND"


def test_times_are_texts_in_the_zone_that_is_asked_for() -> None:
    node = Node(1, start_ns=1_772_445_600 * S)  # 2026-03-02T10:00:00Z
    ok(node, "APIerSv1.SetDestination", {"Id": "D", "Prefixes": ["+9"]})
    assert ok(node, "APIerSv1.GetLoadTimes", {"Item": "*destinations"}) == {
        "*destinations": "2026-03-02 10:00:00.000001 +0000 UTC"
    }
    berlin = ok(node, "APIerSv1.GetLoadTimes", {"Timezone": "Europe/Berlin"})
    assert berlin["*reverse_destinations"] == "2026-03-02 11:00:00.000001 +0100 CET"
    assert refusal(node, "APIerSv1.GetLoadTimes", {"Timezone": "Nowhere/X"}) == "unknown time zone Nowhere/X"
    assert refusal(node, "APIerSv1.GetLoadTimes", {"Item": "*actions"}) == "NOT_FOUND"


# --- ExportToFolder -----------------------------------------------------------------------------------------------

OF_STATE = {
    "state_id",
    "era",
    "revision",
    "numbers",
    "number",
}  # what a profile says of its state, which is no part of the file
PROFILES = {
    "Filters.csv": "cgrates.org,F,*string,~*req.A,1;2,2020-01-01T00:00:00Z\ncgrates.org,F,*gt,~*req.B,5,\nother,F,*exists,~*req.C,,\n",
    "Attributes.csv": "cgrates.org,A,*sessions;*cdrs,F,2020-01-01T00:00:00Z;2030-01-01T00:00:00Z,,*req.X,*constant,`a;b`;c,true,2.5\n"
    "cgrates.org,A,,,,*string:~*req.A:1,*req.Y,*sum,~*req.Usage;1,,\n",
    "Chargers.csv": "cgrates.org,C,F,,run,*constant:*req.A:1;A,10\ncgrates.org,C2,,,r2,*none,0\n",
    "Thresholds.csv": "cgrates.org,T,F,2020-01-01T00:00:00Z,-1,2,1s,true,7,ACT;LOG,true,e1;e2\n",
    "Resources.csv": "cgrates.org,R,F,,1h,2.5,OK,false,true,10,T\ncgrates.org,R2,,,-1,-1,,true,false,0,*none\n",
    "Routes.csv": "cgrates.org,RT,F,,*load,gw1:2;*default:1,gw1,F,acc,RP,R,S,10,false,strip=2,5\ncgrates.org,RT,,,,,gw2,,,,,,20,true,,\n",
    "Trends.csv": "cgrates.org,TR,@every 10s,S,*tcd;*acc,-1,5,2,*average,2.5,true,T\ncgrates.org,TR2,0 4 * * *,S,,1h,0,0,*last,0,false,\n",
    "Rankings.csv": "cgrates.org,RK,@hourly,S;S2,*tcd;*acc,*desc,*tcd;*acc:false,true,*none\ncgrates.org,RK2,,,,,,false,\n",
    "Stats.csv": "cgrates.org,S,F,,10,-1,2,*tcd;*sum#~*req.Cost,F,true,false,3,*none\ncgrates.org,S,,,,,,*acc,,,,,\n",
}  # fmt: skip


def live(node: Node) -> dict[str, Any]:
    def without_state(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: without_state(item) for name, item in value.items() if name not in OF_STATE}
        return [without_state(item) for item in value] if isinstance(value, list | tuple) else value

    generation = node.workers[0].engine.generation
    kinds = [export.kind for export in EXPORTS.values()]
    out = {f"{kind}/{key}": generation.get(kind, key) for kind in kinds for key in generation.keys(kind)}
    return {name: without_state(msgspec.to_builtins(found)) for name, found in out.items()}


def test_what_is_exported_loads_as_the_same(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "made" / "by_export"
    source.mkdir()
    for name, text in PROFILES.items():
        (source / name).write_text(text)
    node, other = Node(1), Node(1)
    ok(node, "APIerSv1.LoadTariffPlanFromFolder", {"FolderPath": str(source)})
    assert len(live(node)) == 14
    assert ok(node, "APIerSv1.ExportToFolder", {"Path": str(target)}) == "OK"
    assert sorted(path.name for path in target.iterdir()) == sorted(PROFILES)
    ok(other, "APIerSv1.LoadTariffPlanFromFolder", {"FolderPath": str(target)})
    assert live(other) == live(node)
    again = tmp_path / "again"
    ok(other, "APIerSv1.ExportToFolder", {"Path": str(again)})
    for name in PROFILES:
        assert (again / name).read_bytes() == (target / name).read_bytes()


def test_some_items_and_what_is_no_item(tmp_path: Path) -> None:
    node = Node(1)
    ok(node, "APIerSv1.SetFilter", {"ID": "F", "Rules": [{"Type": "*string", "Element": "~*req.A", "Values": ["1"]}]})
    ok(node, "APIerSv1.ExportToFolder", {"Path": str(tmp_path), "Items": ["*filters", "*chargers"]})
    assert [path.name for path in tmp_path.iterdir()] == ["Filters.csv"]  # there are no chargers
    assert refusal(node, "APIerSv1.ExportToFolder", {}) == "MANDATORY_IE_MISSING: [Path]"
    text = refusal(node, "APIerSv1.ExportToFolder", {"Path": str(tmp_path), "Items": ["*rates"]})
    assert text.startswith("*rates cannot be exported; items are *attributes")
    assert refusal(node, "APIerSv1.ExportToFolder", {"Path": "/dev/null/x"}).startswith("SERVER_ERROR: ")
