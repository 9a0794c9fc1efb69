"""Filters on a node: account summaries, phone numbers, URLs, indexes and their methods (spec chapter 50)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cgr_cluster.node.node import Node
from cgr_cluster.rpc.errors import ApiError

TENANT = "cgrates.org"
Answer = dict[str, Any]


def call(node: Node, method: str, **params: Any) -> Any:
    """The result, or the text of the error."""
    answer = node.call(method, params)
    return answer["result"] if answer["error"] is None else answer["error"]


def threshold(node: Node, name: str, *filters: str) -> Any:
    return call(node, "APIerSv1.SetThresholdProfile", ID=name, FilterIDs=list(filters), MaxHits=-1)


def indexed(node: Node, **params: Any) -> Any:
    found = call(node, "APIerSv1.GetFilterIndexes", ItemType="*thresholds", **params)
    return sorted(found) if isinstance(found, list) else found


def matched(node: Node, rule: str, **event: Any) -> Any:
    """Whether the rule passes, or its error."""
    assert threshold(node, "T", rule) == "OK"
    found = call(node, "ThresholdSv1.GetThresholdsForEvent", ID="e", Event=event, APIOpts={"*thdProfileIDs": ["T"]})
    return True if isinstance(found, list) else False if found == "NOT_FOUND" else found


BALANCES = [
    {"UUID": "u1", "ID": "main", "Type": "*monetary", "Initial": 5, "Value": 1.5, "Disabled": False},
    {"UUID": "u2", "ID": "data", "Type": "*data", "Initial": 9, "Value": 8, "Weight": 10},
]


def test_rules_on_sources_that_the_event_makes() -> None:
    node = Node(1)
    event = {"AccountID": "a", "BalanceSummaries": BALANCES}
    unsupported = "unsupported field prefix: <X>"
    for rule, expected in (
        ("*string:~*asm.AccountID:a", True),
        ("*string:~*asm.Disabled:false", True),
        ("*lt:~*asm.BalanceSummaries.main.Value:2", True),
        ("*eq:~*asm.BalanceSummaries[1].Value:8", True),
        ("*eq:~*asm.BalanceSummaries.main.Weight:0", True),
        ("*exists:~*asm.BalanceSummaries.none:", False),
        ("*exists:~*asm.BalanceSummaries[7].Value:", False),
        ("*exists:~*asm.X:", unsupported),
        ("*exists:~*asm.BalanceSummaries.main.X:", unsupported),
        ("*exists:~*asm:", "invalid fieldname <[*asm]>"),
        ("*string:~*libphonenumber.+442079460000.Region:GB", True),
        ("*string:~*libphonenumber.+442079460000.NumberType:0", True),
        ("*exists:~*libphonenumber.+442079460000.Nothing:", False),
        ("*notstring:~*libphonenumber.abc.Region:GB", "the phone number supplied is not a number"),
        ("*nistring:~*req.AccountID:a", True),
        ("*notnistring:~*req.AccountID:a", "NOT_IMPLEMENTED:*notnistring"),
        ("*apiban:~*req.AccountID:*some", "invalid value for apiban filter: <*some>"),
        ("*sentrypeer:~*req.AccountID:*ip", "NOT_CONNECTED: SentryPeer"),
    ):
        assert matched(node, rule, **event) == expected, rule


def pages(node: Node, answer: Callable[[str, str], str]) -> list[tuple[str, str]]:
    """Let `answer` be what URLs answer; the requests."""
    asked: list[tuple[str, str]] = []

    def get_page(url: str, document: str) -> str:
        asked.append((url, document))
        return answer(url, document)

    node.outside["get_page"] = get_page
    return asked


@pytest.mark.parametrize("workers", [1, 3])
def test_a_url_decides(workers: int) -> None:
    node = Node(workers)
    asked = pages(node, lambda url, document: "T" if "49" in url + document else "false")
    assert matched(node, "*http#[http://h/p]:~*req.Who:", Who="+49") is True
    assert matched(node, "*http#[http://h/p?a=1]:~*req.Who:", Who="+43") is False
    assert matched(node, "*http#[http://h/p]:~*req.Nobody:", Who="+49") is False
    assert matched(node, "*http#[http://h/p]:*any:", Who="+49") is True
    assert asked == [
        ("http://h/p?~%2Areq.Who=%2B49", ""), ("http://h/p?a=1&~%2Areq.Who=%2B43", ""),
        ("http://h/p", '{"*opts":{"*thdProfileIDs":["T"]},"*req":{"Who":"+49"}}'),
    ]  # fmt: skip
    pages(node, lambda url, document: "perhaps")
    assert matched(node, "*http#[http://h/p]:*any:", Who="x") == 'strconv.ParseBool: parsing "perhaps": invalid syntax'

    def refuse(url: str, document: str) -> str:
        raise ApiError("GET of http://h/p: HTTP Error 404: Not Found")

    pages(node, refuse)
    assert matched(node, "*http#[http://h/p]:*any:", Who="x") == "GET of http://h/p: HTTP Error 404: Not Found"


def test_what_is_taken_out_of_an_index_comes_back_with_what_changes() -> None:
    node = Node(3)
    rule = {"Type": "*string", "Element": "~*req.A", "Values": ["1"]}
    call(node, "APIerSv1.SetFilter", ID="F", Rules=[rule])
    threshold(node, "T1", "F", "*string:~*req.B:2")
    threshold(node, "T2")
    everything = ["*none:*any:*any:T2", "*string:*req.A:1:T1", "*string:*req.B:2:T1"]
    assert indexed(node) == everything
    assert indexed(node, FilterField="*req.B") == ["*string:*req.B:2:T1"]
    assert call(node, "APIerSv1.RemoveFilterIndexes", ItemType="*thresholds") == "OK"
    assert indexed(node) == "NOT_FOUND"
    health = call(node, "APIerSv1.GetThresholdsIndexesHealth")
    assert health["MissingIndexes"] == {
        f"{TENANT}:*none:*any:*any": ["T2"], f"{TENANT}:*string:*req.A:1": ["T1"], f"{TENANT}:*string:*req.B:2": ["T1"],
    }  # fmt: skip
    threshold(node, "T1", "F", "*string:~*req.C:3")  # only what is added comes in
    assert indexed(node) == ["*string:*req.C:3:T1"]
    call(node, "APIerSv1.SetFilter", ID="F", Rules=[{**rule, "Values": ["9"]}])  # its keys change: they come in
    assert indexed(node) == ["*string:*req.A:9:T1", "*string:*req.C:3:T1"]
    assert call(node, "APIerSv1.ComputeFilterIndexIDs", ThresholdIDs=["T2", "NOBODY"]) == "OK"
    assert indexed(node) == ["*none:*any:*any:T2", "*string:*req.A:9:T1", "*string:*req.C:3:T1"]
    call(node, "APIerSv1.RemoveFilterIndexes", ItemType="*thresholds")
    assert call(node, "APIerSv1.ComputeFilterIndexes", StatS=True) == "OK"
    assert indexed(node) == "NOT_FOUND"
    assert call(node, "APIerSv1.ComputeFilterIndexes", ThresholdS=True) == "OK"
    assert len(indexed(node)) == 3
    health = call(node, "APIerSv1.GetThresholdsIndexesHealth")
    assert set(health.values()) == {None}


def test_a_filter_stays_while_profiles_of_any_kind_name_it() -> None:
    node = Node(1)
    call(node, "APIerSv1.SetFilter", ID="F", Rules=[])
    threshold(node, "T", "F")
    call(node, "APIerSv1.SetChargerProfile", ID="C", RunID="r", FilterIDs=["F"], AttributeIDs=["*none"])
    wanted = '{"*charger_filter_indexes":{"C":{}},"*threshold_filter_indexes":{"T":{}}}'
    refused = f"SERVER_ERROR: cannot remove filter <{TENANT}:F> because will broken the reference to following items: "
    assert call(node, "APIerSv1.RemoveFilter", ID="F") == refused + wanted
    threshold(node, "T")
    call(node, "APIerSv1.RemoveChargerProfile", ID="C")
    assert call(node, "APIerSv1.RemoveFilter", ID="F") == "OK"


def test_fields_that_the_settings_name_are_looked_up_as_they_are_written() -> None:
    node = Node(1)
    threshold(node, "T", "*string:~*req.Customer.Segment:gold")
    event = {"ID": "e", "Event": {"Customer": {"Segment": "gold"}}}
    assert call(node, "ThresholdSv1.GetThresholdsForEvent", **event) == "NOT_FOUND"
    settings = '{"thresholds":{"string_indexed_fields":["*req.Customer.Segment"]}}'
    assert call(node, "ConfigSv1.SetConfigFromJSON", Config=settings) == "OK"
    assert [one["ID"] for one in call(node, "ThresholdSv1.GetThresholdsForEvent", **event)] == ["T"]


@pytest.mark.parametrize(
    ("rules", "text"),
    [
        ([{"Type": "*notexists", "Element": "~*req.A", "Values": ["", "x"]}], "value of filter <F> is not empty <x>"),
        ([{"Type": "*empty", "Element": "~*req.A", "Values": [""]}], "value of filter <F> is not empty <>"),
        (
            [{"Type": "*ai", "Element": "~*req.A", "Values": ["2024-01-01T00:00:00Z", ""]}],
            "emtpy RSRParser in rule: <>",
        ),
        ([{"Type": "*string", "Element": "", "Values": ["1"]}], "empty RSRParser in rule: <>"),
    ],
)
def test_broken_filters(rules: list[Answer], text: str) -> None:
    assert call(Node(1), "APIerSv1.SetFilter", ID="F", Rules=rules) == f"SERVER_ERROR: {text}"
