"""Switches of the stages: configuration, options, flags (spec 40 §3.2)."""

from __future__ import annotations

from typing import Any

import pytest

from cgr_cluster.cdrs.stages import NO_STAGES, Stages, flag_values, stages_of
from cgr_cluster.rpc.errors import ApiError

USUAL = Stages(attributes=True, chargers=True, rate=True, store=True)


def on(stages: Stages) -> set[str]:
    return {name for name in Stages.__struct_fields__ if getattr(stages, name)}


@pytest.mark.parametrize(
    ("flags", "values"),
    [
        (["*store"], {"*store": True}),
        (["*store:true"], {"*store": True}),
        (["*store:false"], {"*store": False}),
        (["*store:maybe"], {"*store": True}),
        (["*store:true:false"], {"*store": False}),
        (["*store:false", "*store:true"], {"*store": True}),
        (["*store", "*store:false"], {"*store": False}),
        ([], {}),
    ],
)
def test_flags(flags: list[str], values: dict[str, bool]) -> None:
    assert flag_values(flags) == values


@pytest.mark.parametrize(
    ("flags", "opts", "expected"),
    [
        ([], {}, {"attributes", "chargers", "rate", "store"}),
        (["*unknown"], {"other": 1}, {"attributes", "chargers", "rate", "store"}),
        (["*rals:false", "*attributes:false"], {}, {"chargers", "store"}),
        (["*rals:true"], {"*ralS": False}, {"attributes", "chargers", "rate", "store"}),
        ([], {"*chargerS": "false", "*attributeS": 0}, {"rate", "store"}),
        (["*refund"], {}, {"attributes", "chargers", "refund", "store", "reprocess"}),
        (["*refund", "*rals"], {}, {"attributes", "chargers", "refund", "rate", "store", "reprocess"}),
        (["*rerate"], {}, {"attributes", "chargers", "refund", "rate", "rerate", "store", "reprocess"}),
        (["*rerate", "*refund:false"], {}, {"attributes", "chargers", "rate", "rerate", "store"}),
        (["*rerate", "*reprocess:false"], {}, {"attributes", "chargers", "refund", "rate", "rerate", "store"}),
        ([], {"*rerate": "t"}, {"attributes", "chargers", "refund", "rate", "rerate", "store", "reprocess"}),
        (["*store:false"], {}, {"attributes", "chargers", "rate"}),
    ],
)
def test_stages(flags: list[str], opts: dict[str, Any], expected: set[str]) -> None:
    assert on(stages_of(USUAL, flags, opts)) == expected


def test_reprocessing_starts_from_nothing() -> None:
    assert on(stages_of(NO_STAGES, ["*rerate"], None)) == {"refund", "rate", "rerate", "reprocess"}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("maybe", 'strconv.ParseBool: parsing "maybe": invalid syntax'),
        ("", 'strconv.ParseBool: parsing "": invalid syntax'),
        ([1], "cannot convert field: [1] to bool"),
        (None, "cannot convert field: <nil> to bool"),
        ({"a": 1}, "cannot convert field: map[a:1] to bool"),
    ],
)
@pytest.mark.parametrize("name", ["*attributeS", "*chargerS", "*refund", "*ralS", "*rerate", "*thresholdS", "*statS"])
def test_an_option_that_is_no_boolean(name: str, value: Any, text: str) -> None:
    with pytest.raises(ApiError) as error:
        stages_of(USUAL, None, {name: value})
    assert error.value.text == f"failed to configure processing args: {text}"
