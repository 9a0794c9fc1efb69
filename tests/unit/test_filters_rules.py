"""Filter rules, lists and indexes (spec chapter 50, sections 3, 4 and 6)."""

from __future__ import annotations

from typing import Any

import pytest

from cgr_cluster.engine.codec import pack
from cgr_cluster.engine.generation import Generation
from cgr_cluster.events.times import parse_rfc3339
from cgr_cluster.filters.index import IndexSettings, ProfileIndex, profile_keys
from cgr_cluster.filters.inline import parse_inline
from cgr_cluster.filters.lists import check_filter, check_references, passes
from cgr_cluster.filters.types import ActivationInterval, Filter, Rule
from cgr_cluster.filters.view import View
from cgr_cluster.rating.reference import Destination
from cgr_cluster.rpc.errors import ApiError

NOW = parse_rfc3339("2026-03-02T10:00:00Z").ns
EVENT: dict[str, Any] = {
    "Account": "1001",
    "Destination": "442071112222",
    "Usage": "11s",
    "Count": 60.0,
    "Flag": True,
    "Null": None,
    "Empty": "",
    "AnswerTime": "2026-03-02T10:00:00Z",
    "IP": "10.1.2.3",
    "Customer": {"Segment": "gold", "Hops": ["a", "b"]},
}


def generation(**objects: dict[str, Any]) -> Generation:
    changes = [(kind, key, pack(value)) for kind, table in objects.items() for key, value in table.items()]
    return Generation({}).apply(changes, 1)


def view(reference: Generation | None = None, **event: Any) -> View:
    return View(reference or generation(), NOW, "cgrates.org", {**EVENT, **event}, {"*context": "x"})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("*string:~*req.Account:1001|1002", True),
        ("*string:~*req.Account:1003", False),
        ("*string:1001:~*req.Account", True),
        ("*string:~*req.Count:60", True),
        ("*string:~*req.Flag:true", True),
        ("*string:~*req.Nope:1", False),
        ("*notstring:~*req.Nope:1", True),
        ("*string:~*req.Account:", False),
        ("*notstring:~*req.Account:", True),
        ("*string:~*opts.*context:x", True),
        ("*string:~*req.Customer.Segment:gold", True),
        ("*string:~*req.Customer.Hops[1]:b", True),
        ("*string:~*req.Customer.Hops[7]:b", False),
        ("*string:~*tenant:cgrates.org", False),
        ("*prefix:~*req.Destination:44|33", True),
        ("*suffix:~*req.Destination:222", True),
        ("*contains:~*req.Destination:0711", True),
        ("*notprefix:~*req.Destination:44", False),
        ("*exists:~*req.Null:", True),
        ("*exists:~*req.Nope:", False),
        ("*notexists:~*req.Nope:", True),
        ("*empty:~*req.Null:", True),
        ("*empty:~*req.Flag:", False),
        ("*notempty:~*req.Account:", True),
        ("*gt:~*req.Usage:10s", True),
        ("*gt:~*req.Usage:10000000000", True),
        ("*lte:~*req.Usage:10s", False),
        ("*lt:~*req.Nope:10s", False),
        ("*eq:~*req.Count:60.0", True),
        ("*noteq:~*req.Nope:1", True),
        ("*gt:~*req.AnswerTime:2026-03-02T09:00:00Z", True),
        ("*rsr:~*req.Account:^10", True),
        ("*rsr:~*req.Account:01$", True),
        ("*rsr:~*req.Account:^1001$", True),
        ("*rsr:~*req.Account:!^2", True),
        ("*rsr:~*req.Account:~^1\\d+$", True),
        ("*rsr:~*req.Account:>1000", True),
        ("*rsr:~*req.Nope:^$", True),
        ("*rsr:~*req.Nope:!x", False),
        ("*regex:~*req.Account:^1[0-9]+$", True),
        ("*notregex:~*req.Account:^2", True),
        ("*ai:~*req.AnswerTime:2026-03-02T09:59:59Z|2026-03-02T10:00:01Z", True),
        ("*ai:~*req.AnswerTime:|2026-03-02T10:00:00Z", False),
        ("*ipnet:~*req.IP:10.0.0.0/8", True),
        ("*ipnet:~*req.Account:10.0.0.0/8", False),
        ("*string:~*req.<~*req.Pointer>:1001", False),
        ("*string:~*req.<Acc;ount>:1001", True),
    ],
)
def test_inline_rules(text: str, expected: bool) -> None:
    assert passes(view(), [text]) is expected


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("*bogus:~*req.Account:1", "NOT_IMPLEMENTED:*bogus"),
        ("*gt:~*req.Empty:10", "incomparable: <<nil>> with <10>"),
        ("*gt:~*req.AnswerTime:10000000000", "incomparable: <2026-03-02 10:00:00 +0000 UTC> with <1e+10>"),
        ("*lt:~*req.Account:abc", "incomparable: <1001> with <<nil>>"),
        ("*lt:~*req.Tail:abc", "unsupported comparison type: string, kind: string"),
        ("*eq:~*req.Flag:true", "unsupported comparison type: bool, kind: bool"),
        ("*string:~*req.Account.Sub:1", "WRONG_PATH"),
        ("*string:~Account:1", "invalid fieldname <[Account]>"),
        ("NAMED", "NOT_FOUND:NAMED"),
        ("*string:x", "inline parse error for string: <*string:x>"),
    ],
)
def test_errors_end_the_evaluation(text: str, error: str) -> None:
    with pytest.raises(ApiError) as raised:
        passes(view(Tail="zz"), [text])
    assert raised.value.text == error


def test_a_list_passes_when_one_active_filter_passed_and_none_failed() -> None:
    reference = generation(
        filter={
            "cgrates.org:OLD": Filter(
                "cgrates.org", "OLD", (), ActivationInterval(expiry_time=parse_rfc3339("2020-01-01T00:00:00Z"))
            ),
            "cgrates.org:BARE": Filter("cgrates.org", "BARE"),
            "cgrates.org:A": Filter("cgrates.org", "A", (Rule("*string", "~*req.Account", ("1001",)),)),
        }
    )
    assert not passes(view(reference), ["OLD"])
    assert passes(view(reference), ["OLD", "A"])
    assert passes(view(reference), ["BARE"])
    assert not passes(view(reference, Account="7"), ["BARE", "A"])


def test_destinations_and_replacement_in_named_filters() -> None:
    reference = generation(
        destination={"UK": Destination("UK", ("44", "4420"))},
        filter={
            "cgrates.org:UK": Filter("cgrates.org", "UK", (Rule("*destinations", "~*req.Destination", ("UK", "X")),)),
            "cgrates.org:R": Filter(
                "cgrates.org", "R", (Rule("*string", "~*req.Destination:s/^44(\\d+)$/0${1}/", ("02071112222",)),)
            ),
        },
    )
    assert passes(view(reference), ["UK", "R"])
    assert not passes(view(reference, Destination="33"), ["UK"])


@pytest.mark.parametrize(
    ("rules", "error"),
    [
        ((Rule("*string", "~*req..A", ("1",)),), "Empty field path  for filter <F>"),
        ((Rule("*exists", "~*req.A", ("x",)),), "value of filter <F> is not empty <x>"),
        ((Rule("*string", "~*req.A", ("",)),), "emtpy RSRParser in rule: <>"),
        ((Rule("*string", "", ("1",)),), "empty RSRParser in rule: <>"),
        ((Rule("*string", "~*req.A{*nope}", ("1",)),),
         "invalid converter value in string: <*nope>, err: unsupported converter definition: <*nope>"),
        ((Rule("*string", "~*req.A{*nope", ("1",)),), "invalid converter terminator in rule: <~*req.A{*nope>"),
    ],
)  # fmt: skip
def test_checks_of_stored_filters(rules: tuple[Rule, ...], error: str) -> None:
    with pytest.raises(ApiError) as raised:
        check_filter(Filter("cgrates.org", "F", rules))
    assert raised.value.text == error


def test_broken_references_name_the_item() -> None:
    with pytest.raises(ApiError) as raised:
        check_references(generation(), "cgrates.org", "CHR", ["*string:~*req.A:1", "NO_SUCH"])
    assert raised.value.text == "broken reference to filter: <NO_SUCH> for item with ID: cgrates.org:CHR"
    with pytest.raises(ApiError) as raised:
        check_references(generation(), "cgrates.org", "CHR", ["*exists:~*req.A:x"])
    assert raised.value.text == "value of filter <*exists:~*req.A:x> is not empty <x> for item with ID: cgrates.org:CHR"


def index(settings: IndexSettings, **profiles: list[str]) -> ProfileIndex:
    out = ProfileIndex(settings)
    for name, filter_ids in profiles.items():
        out.add(name, profile_keys(generation(), "cgrates.org", filter_ids))
    return out


def test_candidates_by_default_settings() -> None:
    found = index(
        IndexSettings(),
        A=["*string:~*req.Account:1001"],
        B=["*prefix:~*req.Destination:44"],
        C=[],
        D=["*gt:~*req.Usage:1s"],
        E=["*string:~*req.Account:9", "*string:~*req.Count:60"],
        F=["*string:~*opts.*context:x"],
        G=["*string:~*req.Customer.Segment:gold"],
    )
    assert sorted(found.candidates(view())) == ["A", "C", "E", "F"]
    assert sorted(index(IndexSettings(nested=True), G=["*string:~*req.Customer.Segment:gold"]).candidates(view())) == [
        "G"
    ]


def test_the_longest_prefix_wins_and_unindexed_selects_take_all() -> None:
    profiles = {"P": ["*prefix:~*req.Destination:44"], "Q": ["*prefix:~*req.Destination:4420"]}
    settings = IndexSettings(prefix_fields=("*req.Destination",))
    assert list(index(settings, **profiles).candidates(view())) == ["Q"]
    assert list(index(IndexSettings(indexed=False), **profiles).candidates(view())) == ["P", "Q"]


def test_inline_values_are_not_split_inside_angle_brackets() -> None:
    assert parse_inline("t", "*string:~*req.A:<~*req.B|x>|c").rules[0].values == ("<~*req.B|x>", "c")
    assert parse_inline("t", "*ipnet:~*req.IP[a:b]:x").rules[0].element == "~*req.IP[a:b]"
