"""Rules and values: constants, paths, search and replace, nested values, joining (spec chapters 41 §1 and 50 §2.2)."""

from __future__ import annotations

from typing import Any

import pytest

from cgr_cluster.attributes.types import Attribute
from cgr_cluster.events.durations import Duration
from cgr_cluster.events.rules import split_value
from cgr_cluster.events.times import parse_rfc3339
from cgr_cluster.rpc.errors import ApiError
from tests.unit.attributes_world import computed

EVENT: dict[str, Any] = {
    "Account": "1001",
    "Destination": "+4915112233445",
    "Usage": "1m34.5678s",
    "Count": 7,
    "F7": "seven",
    "Price": 0.30000000000000004,
    "Big": 1e21,
    "Whole": 100.0,
    "Flag": True,
    "Null": None,
    "Time": parse_rfc3339("2026-03-02T10:00:05.25+01:00"),
    "Span": Duration(90_000_000_000),
    "Unlimited": Duration(-1),
    "Hops": ["a", "b", {"c": 1}],
    "Customer": {"Segment": "gold", "Levels": [3, 4], "<x>": "&"},
    "Pointer": "~*req.Account",
    "Field": "Account",
    "Dollar": "a",
}


def value(text: str) -> Any:
    """What the value makes of EVENT, or its error."""
    try:
        rules = split_value(text)
    except ApiError as error:
        return error.text
    return computed(Attribute("*req.R", "*variable", rules), **EVENT)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("EUR", "EUR"),
        ("", ""),
        ("~", "~"),
        ("~*req.Account", "1001"),
        ("call-;~*req.Account;-;~*req.Count", "call-1001-7"),
        ("~*req.Usage{*duration_seconds&*round:1:*up}", "94.6"),
        ("1m{*duration_seconds}", "60"),
        ("~*req.Account;~*req.Usage{*duration_seconds};EUR", "100194.5678EUR"),
        # back quotes keep separators; glued to text they belong to its rule
        ("`a;b`;~*req.Account", "a;b1001"),
        ("`a;b`c;d", "a;bcd"),
        ("x`;`y", "x;y"),
        ("~*req.Account:s/`10(0);?1`/$1/", "0"),
        # nested values
        ("ACNT_<~*req.Account>_X", "ACNT_1001_X"),
        ("~*req.F<~*req.Count>", "seven"),
        ("<~*req.Pointer>", "1001"),
        ("~*req.<~*req.Field>{*len}", "4"),
        ("<~*req.Field><~*req.Count>", "Account7"),
        ("`<~*req.Account;x;~*req.Count>`", "1001x7"),
        ("<~*req.Usage{*duration_seconds}>s", "94.5678s"),
        ("a<>c", ""),
        ("a>b<c", "a>b<c"),
        ("a<b", "a<b"),
        # a paste is parsed when it is used
        ("~*req.Nope<~*req.Count>", "NOT_FOUND"),
        ("~*req.<~*req.Nope>", "NOT_FOUND"),
        # other braces mean nothing
        ("{x}", "{x}"),
        ("a{b", "a{b"),
    ],
)
def test_forms_of_values(text: str, expected: str) -> None:
    assert value(text) == expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("~*req.Count", "7"),
        ("~*req.Price", "0.30000000000000004"),
        ("~*req.Big", "1000000000000000000000"),
        ("~*req.Whole", "100"),
        ("~*req.Flag", "true"),
        ("~*req.Null", ""),
        ("~*req.Time", "2026-03-02T10:00:05+01:00"),
        ("~*req.Span", "1m30s"),
        ("~*req.Unlimited", "-1"),
        ("~*req.Hops", '["a","b",{"c":1}]'),
        ("~*req.Hops[1]", "b"),
        ("~*req.Hops[2].c", "1"),
        ("~*req.Hops[9]", "NOT_FOUND"),
        ("~*req.Hops[-1]", "NOT_FOUND"),
        ("~*req.Hops[x]", 'SERVER_ERROR: strconv.Atoi: parsing "x": invalid syntax'),
        ("~*req.Customer", '{"\\u003cx\\u003e":"\\u0026","Levels":[3,4],"Segment":"gold"}'),
        ("~*req.Customer.Segment", "gold"),
        ("~*req.Customer[Segment]", "gold"),
        ("~*req.Customer.Levels[0]", "3"),
        ("~*req.Customer.Nope", "NOT_FOUND"),
        ("~*req.Customer.Levels[0|1]", "NOT_FOUND"),
        ("~*req.Account.Sub", "SERVER_ERROR: WRONG_PATH"),
        ("~*req.account", "NOT_FOUND"),
        ("~*opts.*x", "NOT_FOUND"),
        ("~*tenant", "cgrates.org"),
        ("~*vars.*processRuns", "1"),
        ("~*vars.*apTenantID", "cgrates.org:A"),
        ("~*vars.*processedProfileIDs", "[]"),
        ("~*foo.X", "NOT_FOUND"),
        ("~Account", "SERVER_ERROR: invalid fieldname <[Account]>"),
        ("~*accounts", "SERVER_ERROR: invalid fieldname <[*accounts]>"),
        ("~*opts", "{}"),
    ],
)
def test_paths_and_texts_of_values(path: str, expected: str) -> None:
    assert value(path) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r"~*req.Destination:s/^\+(\d+)$/00${1}/", "004915112233445"),
        (r"~*req.Destination:s/^\+49(\d{3})(\d+)$/0$1-$2/", "0151-12233445"),
        (r"~*req.Destination:s/^\+49/0/", "0"),
        (r"~*req.Destination:s/^\+(\d+)$/$1/:s/^49(\d+)$/0$1/", "015112233445"),
        (r"~*req.Account:s/^00(\d+)$/+$1/", "1001"),
        (r"~*req.Account:s/10(\d+)/$1/{*multiply:2}", "2"),
        (r"~*req.Account:s/1001//", ""),
        (r"~*req.Account:s/(\d)\d+/$1xxx/", ""),
        (r"~*req.Account:s/(\d)\d+/${1}xxx/", "1xxx"),
        (r"~*req.Account:s/(?P<head>\d\d)\d+/$head/",  # what stands in <...> is taken as a nested value
         r"SERVER_ERROR: invalid Search&Replace subfield rule: <(?Phead\d\d)\d+>"),
        (r"~*req.Account:s/(\d)(\d)/$2$1$0/", "0110"),
        (r"~*req.Account:s/1/$$1/", "$1"),
        (r"~*req.Account:s/1/$9/", ""),
        (r"~*req.Account:s/1/a$/", "a$"),
        (r"~*req.Account:s/1/${1/", "${1"),
        (r"~*req.Account:s/1/\1/", r"\1"),
        (r"~*req.Customer:s/^\{.*$/map/", "map"),
        (r"~*req.Count:s/7/eight/", "eight"),
        # the last unescaped slashes decide, and what follows the last is ignored
        (r"~*req.Account:s/1/0/01/x/", "1001"),
        (r"~*req.Account:s/1001/x/ignored", "x"),
        (r"~*req.Account:s/1001/a\/b/", r"a\/b"),
        # RE2: no look-around, no back-references; $ is the end of the text alone
        (r"~*req.Account:s/(?=1)/x/", "SERVER_ERROR: invalid Search&Replace subfield rule: <(?=1)>"),
        (r"~*req.Account:s/(1)\1/x/", r"SERVER_ERROR: invalid Search&Replace subfield rule: <(1)\1>"),
        (r"~*req.Nope:s/1/x/", "NOT_FOUND"),
    ],
)  # fmt: skip
def test_search_and_replace(text: str, expected: str) -> None:
    assert value(text) == expected


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("~*req.X{*duration_seconds", "invalid converter terminator in rule: <~*req.X{*duration_seconds>"),
        ("a{*len}b", "invalid converter terminator in rule: <a{*len}b>"),
        ("~*req.X{*wrong}", "invalid converter value in string: <*wrong>, err: unsupported converter definition: <*wrong>"),
        ("~*req.X{*len&wrong}", "invalid converter value in string: <wrong>, err: unsupported converter definition: <wrong>"),
        ("~*req.X:s/abc", "not enough members in Search&Replace, ruleStr: <abc>, matches: [], "),
        ("~*req.X:s//y/", "not enough members in Search&Replace, ruleStr: </y/>, matches: [], "),
        ("~*req.X:s/a/b", "not enough members in Search&Replace, ruleStr: <a/b>, matches: [], "),
        ("~*req.X:s/(/y/", "invalid Search&Replace subfield rule: <(>"),
        ("~*req.X:s/a;b/c/", "not enough members in Search&Replace, ruleStr: <a>, matches: [], "),
        ("<~*req.X{*wrong}>", "invalid converter value in string: <*wrong>, err: unsupported converter definition: <*wrong>"),
    ],
)  # fmt: skip
def test_rules_that_do_not_compile(text: str, error: str) -> None:
    assert value(text) == f"SERVER_ERROR: {error}"


def test_errors_of_what_a_paste_makes_show_when_it_is_used() -> None:
    text = "~*req.<~*req.Account>{*wrong}"
    wrong = "invalid converter value in string: <*wrong>, err: unsupported converter definition: <*wrong>"
    assert value(text) == f"SERVER_ERROR: {wrong}"
    assert computed(Attribute("*req.R", "*variable", (text,))) == "NOT_FOUND"


def test_pastes_that_never_end_are_an_error() -> None:
    rule = Attribute("*req.R", "*variable", ("<~*req.Loop>",))
    assert computed(rule, Loop="<~*req.Loop>") == "SERVER_ERROR: MAX_RECURSION_DEPTH"
    assert computed(rule, Loop="x<~*req.Loop>") == "SERVER_ERROR: MAX_RECURSION_DEPTH"
    twenty = "<~*req.A>" * 20
    assert computed(Attribute("*req.R", "*variable", (twenty,)), A="a") == "a" * 20


def test_back_quotes_come_in_pairs() -> None:
    assert value("`a;b") == "Unclosed unspilit syntax"


def test_the_separator_is_configured() -> None:
    assert split_value("a;b|`c|d`|", "|") == ("a;b", "c|d", "")
