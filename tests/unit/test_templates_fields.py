"""Field templates: the values of 41 §5, mandatory fields, filters, widths, targets, templates of the configuration."""

from __future__ import annotations

from typing import Any

import pytest

from cgr_cluster.engine.generation import Generation
from cgr_cluster.rpc.errors import ApiError
from cgr_cluster.templates.fields import compile_fields, evaluate
from cgr_cluster.templates.view import Branch, TemplateView
from tests.unit.attributes_world import NOW, world

EVENT = {
    "Account": "491700099",
    "Usage": "1m34.5678s",
    "Destination": "+4915112233445",
    "AnswerTime": "2026-03-02T10:00:05Z",
    "Empty": "",
    "Count": 7,
}
OUT = "*cgreq"


def view(generation: Generation | None = None, **given: Any) -> TemplateView:
    config = {"general": {"default_timezone": "UTC", "node_id": "node7"}}
    return TemplateView(
        generation or world(config=config), NOW, "cgrates.org", dict(EVENT), {"*opt": "o"},
        {OUT: Branch(), "*tmp": Branch()}, {"*fileName": "f.csv"}, given,
    )  # fmt: skip


def made(
    *fields: dict[str, Any], templates: dict[str, Any] | None = None, on: TemplateView | None = None
) -> dict[str, str]:
    """What the fields of a list come to, in the order of setting. A field without path is `*cgreq.X`."""
    seen = on or view()
    evaluate(compile_fields([{"path": f"{OUT}.X", **each} for each in fields], templates or {}), seen)
    return seen.targets[OUT].first()


def field(value: str, kind: str = "*variable", **more: Any) -> dict[str, Any]:
    return {"value": value, "type": kind, **more}


@pytest.mark.parametrize(
    ("template", "column"),
    [
        (field("~*req.Account", width=12, padding="*zeroleft"), "000491700099"),
        (field("~*req.Usage{*duration_seconds&*round:0:*up}"), "95"),
        (field(r"~*req.Destination:s/^\+(\d+)$/00${1}/"), "004915112233445"),
        (field("~*req.AnswerTime", "*datetime", layout="2006/01/02"), "2026/03/02"),
        (field("2026-03-02 10:00:05", "*datetime", layout="15:04 -0700", timezone="Europe/Berlin"), "10:00 +0100"),
        (field("~*req.AnswerTime", "*datetime"), "2026-03-02T10:00:05Z"),
        (field("~*req.AnswerTime{*timestring:Europe/Berlin}"), "2026-03-02 11:00:05"),
        (field("EUR", "*constant"), "EUR"),
        (field("4915112233", width=8, strip="*xright"), "4915112x"),
        (field("4915112233", width=8, strip="*xleft"), "x5112233"),
        (field("4915112233", width=8, strip="*left"), "15112233"),
        (field("4915112233", width=8, strip="*right"), "49151122"),
        (field("ab", width=4, padding="*left"), "  ab"),
        (field("ab", "*filler", width=4), "ab  "),
        (field("ab", width=4, padding="*what"), "ab"),
        (field("~*vars.*fileName;#;~*opts.*opt;~*tenant"), "f.csv#ocgrates.org"),
        (field("~*cfg.general.node_id"), "node7"),
        (field("~*req.Count;3", "*sum"), "10"),
    ],
)  # fmt: skip
def test_value(template: dict[str, Any], column: str) -> None:
    assert made(template) == {"X": column}


@pytest.mark.parametrize(
    ("template", "error"),
    [
        (field("~*req.No", mandatory=True, tag="T"), "NOT_FOUND:T"),
        (field("~*req.No", mandatory=True), "NOT_FOUND:*cgreq.X"),
        (field("~*req.Empty", mandatory=True, tag="T", width=3, padding="*left"), "Empty source value for fieldID: <T>"),
        (field("abc", width=2, tag="T"), "Source abc is bigger than the width 2, no strip defied, fieldID: <T>"),
        (field("abc", width=4, tag="T"), "Source abc is smaller than the width 4, no padding defined, fieldID: <T>"),
        (field("x", "*handler"), "unsupported type: <*handler>"),
        (field("x", ""), "unsupported type: <>"),
        (field("~*nosuch.X"), "unsupported field prefix: <*nosuch>"),
        (field("x", path="*nosuch.X"), "unsupported field prefix: <*nosuch> when set field"),
        (field("~*req.A", "*usage_difference"), 'invalid arguments <[{"Rules":"~*req.A"}]> to *usage_difference'),
        (field("~*req.Count;2.5", "*sum"), "cannot convert field: 2.5 to int"),
    ],
)  # fmt: skip
def test_error_ends_the_list(template: dict[str, Any], error: str) -> None:
    seen = view()
    with pytest.raises(ApiError) as raised:
        made(field("1", path=f"{OUT}.Before"), template, field("1", path=f"{OUT}.After"), on=seen)
    assert raised.value.text == error
    assert list(seen.targets[OUT].elements) == ["Before"]


def test_field_that_is_not_found_is_left_out_and_one_that_is_filtered_too() -> None:
    assert made(
        field("~*req.No", path=f"{OUT}.A"),
        field("1", path=f"{OUT}.B", filters=["*string:~*req.Account:1"]),
        field("2", path=f"{OUT}.C", filters=["*string:~*req.Account:491700099"]),
        field("3", path=f"{OUT}.D", filters=[f"*string:~{OUT}.C:2"]),
    ) == {"C": "2", "D": "3"}


def test_targets_keep_the_order_of_first_setting_and_are_read_by_later_fields() -> None:
    seen = view()
    out = made(
        field("1", path=f"{OUT}.A"), field("b", path="*tmp.B"), field(f"~*tmp.B;~{OUT}.A", path=f"{OUT}.C"),
        field("2", path=f"{OUT}.A"), field("+", "*composed", path=f"{OUT}.A"), field("p", "*prefix", path=f"{OUT}.A"),
        field("v", path="*vars.V"), field("o", path="*opts.*partial"), on=seen,
    )  # fmt: skip
    assert list(out.items()) == [("A", "p2+"), ("C", "b1")]
    assert seen.opts["*partial"] == "o"
    assert (seen.variables or {})["V"] == "v"


def test_group_adds_elements_and_remove_takes_away() -> None:
    seen = view()
    made(field("1", "*group"), field("2", "*group"), field(f"~{OUT}.X;~{OUT}.X[0]", path=f"{OUT}.Read"), on=seen)
    assert seen.targets[OUT].elements == {"X": ["1", "2"], "Read": ["21"]}
    assert made(field("", "*remove"), on=seen) == {"Read": "21"}
    assert made(field("", "*removeall", path=OUT), on=seen) == {}


def test_blocker_ends_the_list_when_its_field_was_set() -> None:
    skipped = field("~*req.No", path=f"{OUT}.No", blocker=True)
    assert made(skipped, field("1", blocker=True), field("2")) == {"X": "1"}


def test_path_is_made_from_the_event() -> None:
    assert made(field("1", path=f"{OUT}.F<~*req.Count>")) == {"F7": "1"}


def test_templates_of_the_configuration_are_put_in_their_place() -> None:
    templates = {
        "*t": [field("1", path=f"{OUT}.A"), field("*u", "*template")],
        "*u": [field("2", path=f"{OUT}.B")],
        "*e": [],
    }
    assert made(field("*t", "*template"), field("3", path=f"{OUT}.C"), templates=templates) == {
        "A": "1",
        "B": "2",
        "C": "3",
    }
    for name, error in (("*x", "no template with id: <*x>"), ("*e", "empty template with id: <*e>")):
        with pytest.raises(ApiError) as raised:
            made(field(name, "*template"), templates=templates)
        assert raised.value.text == error
    with pytest.raises(ApiError, match="is inside itself"):
        made(field("*s", "*template"), templates={"*s": [field("*s", "*template")]})


def test_value_that_does_not_compile_is_told_by_the_error_of_the_rule() -> None:
    with pytest.raises(ApiError) as raised:
        compile_fields([field("~*req.A{*round:two}", path="*cgreq.A")], {})
    assert raised.value.text == (
        "invalid converter value in string: <*round:two>, err: *round converter needs integer as decimals, have: <two>"
    )
