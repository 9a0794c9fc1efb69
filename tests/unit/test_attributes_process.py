"""AttributeS on events: which profile, how often, what is written (spec chapter 50, sections 8.1, 8.2, 8.4 and 8.6)."""

from __future__ import annotations

from typing import Any

import pytest

from cgr_cluster.attributes.process import process_attributes, profile_for
from cgr_cluster.attributes.types import Attribute
from cgr_cluster.events.event import CGREvent
from cgr_cluster.filters.live import NOTHING_LIVE
from cgr_cluster.filters.types import ActivationInterval, Filter, Rule
from cgr_cluster.rpc.errors import ApiError
from tests.unit.attributes_world import NOW, TENANT, altered, at, constant, processed, profile, world

ACCOUNT = ("*string:~*req.Account:1",)


def marks(*names: str, **fields: Any) -> Any:
    """Profiles that set the field of their name."""
    return [profile(name, constant(f"*req.{name}", "1"), **fields) for name in names]


def matched(reference: Any, fields: dict[str, Any], opts: dict[str, Any] | None = None, **more: Any) -> list[str]:
    found = processed(reference, fields, opts, **more)
    return [] if found is None else [name.removeprefix(f"{TENANT}:") for name in found.matched]


# --- candidates (8.2 step 2) ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("contexts", "context", "fits"),
    [
        (("*any",), "*cdrs", True),
        (("*any",), "", True),
        (("*any",), "*any", True),
        (("*sessions",), "*sessions", True),
        (("*sessions", "*cdrs"), "*cdrs", True),
        (("*sessions",), "*cdrs", False),
        (("*sessions",), "", False),
        (("*default",), "", True),
        (("*any", "*cdrs"), "*cdrs", True),
        (("*any", "*cdrs"), "*sessions", False),  # not exactly any
        (("own",), "own", True),
    ],
)
def test_contexts(contexts: tuple[str, ...], context: str, fits: bool) -> None:
    opts = {"*context": context} if context else {}
    assert matched(world(*marks("A", contexts=contexts)), {}, opts) == (["A"] if fits else [])


def test_the_context_of_a_caller_is_seen_by_filters_and_not_left_behind() -> None:
    reference = world(*marks("A", contexts=("*cdrs",), filter_ids=("*string:~*opts.*context:*cdrs",)))
    found = processed(reference, {}, {}, context="*cdrs")
    assert found is not None and found.event.opts == {}
    own = processed(reference, {}, {"*context": "*sessions"}, context="*cdrs")
    assert own is None


@pytest.mark.parametrize(
    ("interval", "time", "fits"),
    [
        (None, "2026-03-02T10:00:00Z", True),
        (ActivationInterval(at("2026-01-01T00:00:00Z"), at("2026-12-31T00:00:00Z")), "", True),
        (ActivationInterval(at("2026-01-01T00:00:00Z"), at("2026-12-31T00:00:00Z")), "2026-06-01T00:00:00Z", True),
        (ActivationInterval(at("2026-01-01T00:00:00Z"), at("2026-12-31T00:00:00Z")), "2027-06-01T00:00:00Z", False),
        (ActivationInterval(at("2026-01-01T00:00:00Z")), "2026-01-01T00:00:00Z", False),  # bounds are exclusive
        (ActivationInterval(expiry_time=at("2026-01-01T00:00:00Z")), "2025-01-01T00:00:00Z", True),
    ],
)
def test_activation(interval: ActivationInterval | None, time: str, fits: bool) -> None:
    assert matched(world(*marks("A", activation_interval=interval)), {}, time=time) == (["A"] if fits else [])


def test_the_highest_weight_wins_then_the_context_before_any_then_the_id() -> None:
    low, high = marks("L", weight=1), marks("H", weight=2)
    assert matched(world(*low, *high), {}) == ["H"]
    reference = world(*marks("A", "B", contexts=("*any",)), *marks("Y", "Z", contexts=("*sessions",)))
    assert matched(reference, {}, {"*context": "*sessions"}) == ["Y"]
    assert matched(reference, {}, {"*context": "*cdrs"}) == ["A"]


def test_any_context_may_be_the_way_out_only() -> None:
    profiles = [*marks("S", contexts=("*sessions",), weight=1), *marks("A", weight=2)]
    asked = {"*context": "*sessions"}
    assert matched(world(*profiles), {}, asked) == ["A"]
    fallback = world(*profiles, config={"attributes": {"any_context": False}})
    assert matched(fallback, {}, asked) == ["S"]
    assert matched(fallback, {}, {"*context": "*cdrs"}) == ["A"]


@pytest.mark.parametrize(
    ("filter_ids", "fields", "found"),
    [
        (("*string:~*req.Account:1",), {"Account": "1"}, True),
        (("*string:~*req.Account:1",), {"Account": 1}, True),
        (("*string:~*req.Account:1",), {"Account": "2"}, False),
        (("*prefix:~*req.Account:1",), {"Account": "1"}, False),  # not indexed by default
        (("*gt:~*req.N:1",), {"N": 2}, False),  # gives no key
        (("*string:~*req.Account:1", "*gt:~*req.N:1"), {"Account": "1", "N": 2}, True),
        (("*string:~*vars.*processRuns:1",), {}, True),
        (("*string:~*tenant:cgrates.org",), {}, True),
        (("*string:~*opts.*x:1",), {}, False),
    ],
)
def test_profiles_are_found_by_the_index(filter_ids: tuple[str, ...], fields: dict[str, Any], found: bool) -> None:
    assert matched(world(*marks("A", filter_ids=filter_ids)), fields) == (["A"] if found else [])


def test_prefixes_are_found_when_configured() -> None:
    reference = world(
        *marks("A", filter_ids=("*prefix:~*req.Account:1",)),
        config={"attributes": {"prefix_indexed_fields": ["*req.Account"]}},
    )
    assert matched(reference, {"Account": "10"}) == ["A"]


def test_an_error_of_any_candidate_fails_the_call() -> None:
    reference = world(
        *marks("A", filter_ids=("*string:~*req.Account:1", "*gt:~*req.N:1"), weight=1),
        *marks("B", filter_ids=ACCOUNT, weight=9),
    )
    error = "SERVER_ERROR: incomparable: <<nil>> with <1>"
    assert altered(reference, {"Account": "1", "N": "x"}) == error


# --- options -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("opts", "expected"),
    [
        ({"*attrProfileIDs": ["A"]}, ["A"]),
        ({"*attrProfileIDs": ["B"]}, []),  # its filters do not pass
        ({"*attrProfileIDs": ["B"], "*attrProfileIgnoreFilters": True}, ["B"]),
        ({"*attrProfileIDs": ["B"], "*attrProfileIgnoreFilters": "true"}, ["B"]),
        ({"*attrProfileIgnoreFilters": True}, ["A"]),  # only together with ids
        ({"*attrProfileIDs": ["A", "B"]}, ["A"]),
        ({"*attrProfileIDs": ["NOPE"]}, []),
        ({"*attrProfileIDs": []}, ["A"]),
        ({"*attrProfileIDs": None}, ["A"]),
        ({"*attrProfileIDs": ["G"]}, ["G"]),  # named, so no index is asked
        ({"*attrProfileIDs": ["C"]}, []),  # of another context
        ({"*attrProcessRuns": 0}, []),
        ({"*attrProcessRuns": "2"}, ["A"]),
        ({"*attrProcessRuns": 1.9}, ["A"]),
    ],
)
def test_options(opts: dict[str, Any], expected: list[str]) -> None:
    reference = world(
        *marks("A", filter_ids=ACCOUNT),
        *marks("B", filter_ids=("*string:~*req.Account:2",), weight=9),
        *marks("G", filter_ids=("*gt:~*req.Account:0",)),
        *marks("C", contexts=("*cdrs",)),
    )
    assert matched(reference, {"Account": "1"}, opts) == expected


@pytest.mark.parametrize(
    ("opts", "error"),
    [
        ({"*attrProcessRuns": "x"}, 'strconv.ParseInt: parsing "x": invalid syntax'),
        ({"*attrProfileRuns": "x"}, 'strconv.ParseInt: parsing "x": invalid syntax'),
        ({"*attrProfileIDs": "A"}, "SERVER_ERROR: cannot convert field: string to []string"),
        ({"*attrProfileIDs": 5}, "SERVER_ERROR: cannot convert field: float64 to []string"),
        ({"*attrProfileIgnoreFilters": "x"}, 'SERVER_ERROR: strconv.ParseBool: parsing "x": invalid syntax'),
    ],
)
def test_options_of_a_wrong_type(opts: dict[str, Any], error: str) -> None:
    assert altered(world(*marks("A")), {}, opts) == error


def test_no_runs_at_all_change_nothing() -> None:
    found = processed(world(*marks("A")), {"X": "1"}, {"*attrProcessRuns": 0})
    assert found is not None and (found.matched, found.altered, found.event.event) == ([], [], {"X": "1"})


def test_defaults_of_options_are_configured() -> None:
    opts = {"*processRuns": 3, "*profileRuns": 1, "*profileIDs": ["B", "A"], "*profileIgnoreFilters": True}
    reference = world(
        *marks("A", filter_ids=("*string:~*req.Never:1",)),
        *marks("B"),
        *marks("C", weight=9),
        config={"attributes": {"opts": opts}},
    )
    assert matched(reference, {}) == ["B", "A"]


# --- runs ----------------------------------------------------------------------------------------------------------


def test_runs_go_on_with_the_altered_event_until_nothing_is_found() -> None:
    reference = world(
        profile("A", constant("*req.Subject", "s"), filter_ids=ACCOUNT),
        profile("B", constant("*req.Category", "c"), filter_ids=("*string:~*req.Subject:s",), weight=1),
    )
    assert matched(reference, {"Account": "1"}) == ["A"]
    assert matched(reference, {"Account": "1"}, {"*attrProcessRuns": 9}) == [
        "A",
        "B",
        "A",
        "B",
        "A",
        "B",
        "A",
        "B",
        "A",
    ]
    assert matched(reference, {"Account": "1"}, {"*attrProcessRuns": 9, "*attrProfileRuns": 2}) == ["A", "B", "A", "B"]


def test_a_profile_does_not_follow_itself() -> None:
    assert matched(world(*marks("A")), {}, {"*attrProcessRuns": 5}) == ["A"]


def test_a_blocker_ends_the_runs() -> None:
    reference = world(*marks("A", weight=2, blocker=True), *marks("B", weight=1))
    assert matched(reference, {}, {"*attrProcessRuns": 5}) == ["A"]


def test_a_run_may_change_tenant_context_and_options_of_the_next() -> None:
    reference = world(
        profile(
            "A",
            constant("*tenant", "mvno.org"),
            constant("*opts.*context", "*cdrs"),
            # filters of this run are still of the old tenant, ~*tenant too
            Attribute("*req.Tnt", "*variable", ("~*tenant",)),
            weight=9,
        ),
        profile("M", constant("*req.Brand", "mvno"), tenant="mvno.org", contexts=("*cdrs",)),
        profile("M", constant("*req.Brand", "none")),
    )
    found = processed(reference, {}, {"*attrProcessRuns": 2})
    assert found is not None
    assert found.matched == ["cgrates.org:A", "mvno.org:M"]
    assert (found.event.tenant, found.event.event) == ("mvno.org", {"Tnt": "cgrates.org", "Brand": "mvno"})
    assert found.altered == ["*tenant", "*opts.*context", "*req.Tnt", "*req.Brand"]


def test_a_missing_source_fails_the_first_run_and_ends_later_ones() -> None:
    broken = Attribute("*req.X", "*variable", ("~*req.Nope",))
    assert altered(world(profile("A", broken)), {}) == "NOT_FOUND"
    reference = world(*marks("A", weight=2), profile("B", constant("*req.B", "1"), broken, weight=1))
    found = processed(reference, {}, {"*attrProcessRuns": 3})
    assert found is not None and found.matched == ["cgrates.org:A"]


def test_an_error_in_a_later_run_fails_the_call() -> None:
    reference = world(*marks("A", weight=2), profile("B", Attribute("*req.X", "*bogus"), weight=1))
    assert altered(reference, {}, {"*attrProcessRuns": 2}) == "SERVER_ERROR: unsupported type: <*bogus>"


def test_variables_of_runs() -> None:
    def trace(name: str, weight: float) -> Any:
        values = ("~*vars.*processRuns", "~*vars.*apTenantID", "~*vars.*processedProfileIDs")
        return profile(
            name, *(Attribute(f"*req.{name}{i}", "*variable", (v,)) for i, v in enumerate(values)), weight=weight
        )

    fields = altered(world(trace("A", 2), trace("B", 1)), {}, {"*attrProcessRuns": 2})
    assert [fields[name] for name in ("A0", "A1", "A2")] == ["1", "cgrates.org:A", "[]"]
    assert [fields[name] for name in ("B0", "B1", "B2")] == ["2", "cgrates.org:B", '["cgrates.org:A"]']


def test_own_variables_last_over_the_runs() -> None:
    reference = world(
        profile("A", constant("*vars.mine", "x"), weight=2),
        profile("B", Attribute("*req.B", "*variable", ("~*vars.mine",)), filter_ids=("*string:~*vars.mine:x",)),
    )
    assert altered(reference, {}, {"*attrProcessRuns": 2}) == {"B": "x"}


def test_runs_and_texts_are_bounded() -> None:
    reference = world(*marks("A", weight=2), *marks("B", weight=1))
    assert (
        altered(reference, {}, {"*attrProcessRuns": 10**15})
        == "SERVER_ERROR: more than 1000 process runs of attributes"
    )
    double = Attribute("*req.X", "*composed", ("~*req.X",))
    reference = world(profile("A", double, weight=2), profile("B", double, weight=1))
    error = "SERVER_ERROR: attribute *req.X of cgrates.org:A makes more than 1048576 characters"
    assert altered(reference, {"X": "x"}, {"*attrProcessRuns": 500}) == error


# --- fields to be filled (8.2 step 3) ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"Account": "1", "PIN": "*attributes"}, {"Account": "1", "PIN": "1"}),
        ({"Account": "1", "Other": "*attributes"}, "MANDATORY_IE_MISSING: [Other]"),
        ({"Account": "2", "PIN": "*attributes"}, "MANDATORY_IE_MISSING: [PIN]"),
        ({"Account": "1", "List": ["*attributes"]}, {"Account": "1", "List": ["*attributes"], "PIN": "1"}),
    ],
)
def test_fields_that_must_be_filled(fields: dict[str, Any], expected: Any) -> None:
    assert altered(world(profile("A", constant("*req.PIN", "1"), filter_ids=ACCOUNT)), fields) == expected


def test_fields_must_be_filled_also_where_no_profile_is() -> None:
    assert altered(world(), {"PIN": "*attributes"}) == "MANDATORY_IE_MISSING: [PIN]"
    assert altered(world(), {}) == "NOT_FOUND"


# --- writing (8.4) -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        ("*req.X", "v", {"X": "v"}),
        ("*req.A", "v", {"A": "v"}),
        ("*req.C.L", "v", {"C": {"L": "v"}}),
        ("*req.M.N", "v", {"M": {"K": 1, "N": "v"}}),
        ("*req.M.N.O", "v", {"M": {"K": 1, "N": {"O": "v"}}}),
        ("*req.M", "v", {"M": "v"}),
        ("*req.A.Sub", "v", "SERVER_ERROR: WRONG_PATH"),
        ("*req.L[0]", "v", {"L[0]": "v"}),
        ("*req.L.x", "v", "SERVER_ERROR: WRONG_PATH"),
        # *remove deletes; what is not there is fine
        ("*req.A", "*remove", {"A": None}),
        ("*req.M.K", "*remove", {"M": {}}),
        ("*req.Nope", "*remove", {}),
        ("*req.Nope.Sub", "*remove", {}),
        ("*req.A.Sub", "*remove", {}),
        # other starts change nothing
        ("Account", "v", {}),
        ("*foo.X", "v", {}),
        ("*req", "v", {}),
        ("*req", "*remove", {}),
        ("*vars.X", "v", {}),
    ],
)
def test_writing(path: str, text: str, expected: Any) -> None:
    fields = {"A": "a", "M": {"K": 1}, "L": ["x"]}
    found = altered(world(profile("P", constant(path, text))), fields)
    if isinstance(expected, str):
        assert found == expected
    else:
        assert found == {name: value for name, value in {**fields, **expected}.items() if value is not None}
        assert fields["M"] == {"K": 1}, "the caller's nested values are untouched"


@pytest.mark.parametrize(
    ("attributes", "tenant", "opts"),
    [
        ([constant("*tenant", "t")], "t", {"*x": "1"}),
        ([Attribute("*tenant", "*composed", (".sub",))], "cgrates.org.sub", {"*x": "1"}),
        ([constant("*tenant", "*remove")], "*remove", {"*x": "1"}),
        ([constant("*opts.*x", "2")], TENANT, {"*x": "2"}),
        ([constant("*opts.*x", "*remove")], TENANT, {}),
        ([constant("*opts.*m.y", "2")], TENANT, {"*x": "1", "*m": {"y": "2"}}),
    ],
)
def test_writing_tenant_and_options(attributes: list[Attribute], tenant: str, opts: dict[str, Any]) -> None:
    found = processed(world(profile("P", *attributes)), {}, {"*x": "1"})
    assert found is not None and (found.event.tenant, found.event.opts) == (tenant, opts)
    assert found.altered == [attribute.path for attribute in attributes]


@pytest.mark.parametrize("kind", ["*variable", "*composed", "*suffix", "*prefix"])
def test_every_type_removes(kind: str) -> None:
    rules = ("*remove",) if kind in ("*variable", "*composed") else ("*rem",) if kind == "*prefix" else ("ove",)
    old = {"*prefix": "ove", "*suffix": "*rem"}.get(kind, "x")
    assert altered(world(profile("P", Attribute("*req.X", kind, rules))), {"X": old}) == {}


def test_attributes_see_the_changes_of_those_before_them() -> None:
    reference = world(
        profile(
            "P",
            constant("*req.A", "1"),
            constant("*req.B", "2", "*string:~*req.A:1"),
            constant("*req.C", "3", "*string:~*req.A:2"),
            Attribute("*req.D", "*composed", ("~*req.B",)),
            Attribute("*req.D", "*composed", ("~*req.B",)),
        )
    )
    found = processed(reference, {})
    assert found is not None and found.event.event == {"A": "1", "B": "2", "D": "22"}
    assert found.altered == ["*req.A", "*req.B", "*req.D"]  # each once; a filtered one is not noted


def test_filters_of_an_attribute_may_be_stored_ones_and_must_be_known() -> None:
    stored = {"filter": {f"{TENANT}:F": Filter(TENANT, "F", (Rule("*string", "~*req.A", ("1",)),))}}
    reference = world(profile("P", constant("*req.B", "2", "F")), **stored)
    assert altered(reference, {"A": "1"}) == {"A": "1", "B": "2"}
    assert altered(world(profile("P", constant("*req.B", "2", "F"))), {}) == "SERVER_ERROR: NOT_FOUND:F"


# --- inline attributes (8.6) ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("inline", "expected"),
    [
        ("*constant:*req.RequestType:*prepaid", {"RequestType": "*prepaid"}),
        ("*constant:*req.A:x;*variable:*req.B:~*req.A", {"A": "x", "B": "x"}),
        ("*variable:*req.A:~*req.Account&-&x", {"A": "1-x"}),
        ("*constant:*req.A:x&y", {"A": "xy"}),
        ("*constant:*req.A:x:y", {"A": "x:y"}),
        ("*constant:*req.A:", {"A": ""}),
        ("*variable:*req.A:~*req.Account:s/1/one/", {"A": "one"}),
        ("*constant:*req.RequestType", "SERVER_ERROR: inline parse error for string: <*constant:*req.RequestType>"),
        ("*constant:*req.A:x;bad", "SERVER_ERROR: inline parse error for string: <bad>"),
        ("*constant::x", "SERVER_ERROR: empty path in inline AttributeProfile <*constant::x>"),
        ("*bogus:*req.A:x", "SERVER_ERROR: unsupported type: <*bogus>"),
        ("*variable:*req.A:~*req.Account{*wrong}",
         "SERVER_ERROR: invalid converter value in string: <*wrong>, err: unsupported converter definition: <*wrong>"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("context", ["*cdrs", ""])
def test_inline_attributes(inline: str, expected: Any, context: str) -> None:
    found = altered(world(), {"Account": "1"}, {"*attrProfileIDs": [inline]}, context=context)
    assert found == (expected if isinstance(expected, str) else {"Account": "1", **expected})


def test_inline_attributes_are_named_by_their_text_and_weigh_nothing() -> None:
    reference = world(*marks("H", weight=1), *marks("L", weight=-1))
    inline = "*constant:*req.A:x"
    assert matched(reference, {}, {"*attrProfileIDs": [inline, "H"]}) == ["H"]
    assert matched(reference, {}, {"*attrProfileIDs": [inline, "L"]}) == [inline]
    assert matched(reference, {}, {"*attrProfileIDs": [inline, inline], "*attrProcessRuns": 2}) == [inline]


# --- GetAttributeForEvent ------------------------------------------------------------------------------------------


def winner(reference: Any, opts: dict[str, Any], fields: dict[str, Any] | None = None) -> str | None:
    try:
        found = profile_for(reference, NOW, CGREvent(TENANT, "ev", None, fields or {}, opts), NOTHING_LIVE)
    except ApiError as error:
        return error.text
    return None if found is None else found.profile.id


@pytest.mark.parametrize(
    ("opts", "error"),
    [
        ({"*attrProfileIDs": "A"}, "SERVER_ERROR: cannot convert field: string to []string"),
        ({"*attrProfileIDs": ""}, "SERVER_ERROR: cannot convert field: string to []string"),
        ({"*attrProfileIgnoreFilters": "x"}, 'SERVER_ERROR: strconv.ParseBool: parsing "x": invalid syntax'),
        ({"*attrProfileIDs": [], "*attrProfileIgnoreFilters": True}, "NOT_FOUND"),
    ],
)
def test_bad_options_are_refused_where_there_is_no_profile(opts: dict[str, Any], error: str) -> None:
    assert altered(world(), {"F": 1}, opts) == error


def test_the_profile_of_an_event() -> None:
    reference = world(*marks("A", weight=1), *marks("B", weight=2, contexts=("*cdrs",)))
    assert winner(reference, {}) == "A"
    assert winner(reference, {"*context": "*cdrs"}) == "B"
    assert winner(reference, {"*context": "*cdrs", "*attrProfileIDs": ["A"]}) == "A"
    assert winner(world(), {}) is None
    assert winner(reference, {"*attrProfileIDs": "A"}) == "cannot convert field: string to []string"
    broken = world(*marks("A", filter_ids=(*ACCOUNT, "NOPE")))
    assert winner(broken, {}, {"Account": "1"}) == "SERVER_ERROR: NOT_FOUND:NOPE"


def test_tenant_cannot_be_filtered_there() -> None:
    reference = world(*marks("A", filter_ids=("*string:~*tenant:cgrates.org",)))
    assert matched(reference, {}) == ["A"]
    assert winner(reference, {}) is None


def test_the_event_of_the_caller_is_never_changed() -> None:
    fields = {"Account": "1", "C": {"D": {"E": "x"}}}
    event = CGREvent(TENANT, "ev", None, fields, {})
    reference = world(
        profile("A", constant("*req.C.D.E", "y"), constant("*req.C.D.F", "*remove"), constant("*req.Z", "1"))
    )
    found = process_attributes(reference, NOW, event)
    assert found is not None and found.event.event["C"] == {"D": {"E": "y"}}
    assert fields == {"Account": "1", "C": {"D": {"E": "x"}}}
