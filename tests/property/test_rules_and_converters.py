"""Whatever stands in a rule and in an event, the answer is a text or an error of the API (spec chapter 41)."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from cgr_cluster.attributes.inline import parse_inline
from cgr_cluster.attributes.types import Attribute
from cgr_cluster.attributes.values import CompiledAttribute
from cgr_cluster.engine.generation import Generation
from cgr_cluster.events.rules import split_value
from cgr_cluster.filters.view import View
from cgr_cluster.rpc.errors import ApiError

KINDS = [
    "*constant",
    "*variable",
    "*composed",
    "*prefix",
    "*suffix",
    "*usage_difference",
    "*sum",
    "*difference",
    "*multiply",
    "*divide",
    "*value_exponent",
    "*unix_timestamp",
    "*datetime",
    "*cc_usage",
    "*sipcid",
    "*none",
]
CONVERTERS = [
    "*duration_seconds",
    "*duration_minutes",
    "*duration_nanoseconds",
    "*duration",
    "*durfmt",
    "*durfmt:15h4m05.000",
    "*round",
    "*round:2",
    "*round:-400",
    "*round:400:*up",
    "*round:3:*down",
    "*multiply:2",
    "*multiply:-1e300",
    "*divide:0",
    "*divide:3",
    "*float64",
    "*gigawords",
    "*len",
    "*slice",
    "*json",
    "*string2hex",
    "*ip2hex",
    "*strip:*prefix:2",
    "*strip:*both:*space",
    "*strip:*suffix:*char:a:2",
    "*sipuri_user",
    "*sipuri_host",
    "*sipuri_method",
    "*e164",
    "*e164Domain",
    "*libphonenumber:DE",
    "*libphonenumber:US:0",
    "*unixtime",
    "*timestring:America/New_York",
    "*timestring::Mon_Jan_2006.000_MST_-07:00_002",
    "*datetime:02/01/2006",
    "*datetime:Jan_2_06_PM",
    "*urldecode",
    "*urlencode",
    "*random",
    "*random:5",
    "*random::9",
    "*conn_status",
    "*3gpp_uli",
    "*3gpp_uli:TAI.MCC",
]
INPUTS = st.one_of(
    st.sampled_from(
        ["", "7", "-1", "1e308", "NaN", "-Inf", "90s", "1m30.5s", "*unlimited", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z",
         "2026-03-02 10:00:00", "1772445605", "+4915112233445", "sip:a@10.0.0.1:5060", "5.4.e164.arpa.", '["a",1]', "http://[::1",
         "http://h/p?a=b c", "a%zz", "UP", "0x8262f2100ac962f21003acbe01", "24/12/2026", "9" * 30, "<~*req.A>"]
    ),
    st.text(max_size=12),
)  # fmt: skip
PIECES = st.one_of(
    st.sampled_from(["~*req.A", "~*req.B", "x", "10", "1.5", "30s", "2026-03-02T10:00:00Z", "~*req.<~*req.B>", "<~*req.A>"]),
    st.text("~*req.AB<>[]{}:s/;&`$1()\\", max_size=16),
)  # fmt: skip
VIEW = Generation({"general": {"default_timezone": "America/New_York"}})


def make(kind: str, rules: list[str], first: str, second: str) -> None:
    view = View(
        VIEW, 10**18, "cgrates.org", {"A": first, "B": second, "L": [first]}, {}, variables={}, tenant_path=True
    )
    try:
        made = CompiledAttribute(Attribute("*req.A", kind, tuple(rules))).make(view)
    except ApiError as error:
        assert error.text
    else:
        assert isinstance(made, str)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(CONVERTERS), min_size=1, max_size=3), INPUTS)
def test_converters(converters: list[str], text: str) -> None:
    make("*variable", [f"~*req.A{{{'&'.join(converters)}}}"], text, "")


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(KINDS), st.lists(PIECES, max_size=3), INPUTS, INPUTS)
def test_types(kind: str, rules: list[str], first: str, second: str) -> None:
    make(kind, rules, first, second)


@settings(max_examples=200, deadline=None)
@given(st.text("*constant:req.A;&`~{}[]", max_size=30))
def test_inline_attributes_and_values(text: str) -> None:
    for read in (lambda: parse_inline("t", text), lambda: split_value(text)):
        try:
            read()
        except ApiError as error:
            assert error.text
