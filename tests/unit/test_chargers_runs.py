"""Charging runs (spec 30.10)."""

from __future__ import annotations

from typing import Any

import pytest

from cgr_cluster.attributes.types import Attribute, AttributeProfile
from cgr_cluster.chargers.runs import charge_runs
from cgr_cluster.chargers.types import ChargerProfile
from cgr_cluster.engine.codec import pack
from cgr_cluster.engine.generation import Generation
from cgr_cluster.events.event import CGREvent
from cgr_cluster.events.instant import Instant
from cgr_cluster.filters.types import ActivationInterval
from cgr_cluster.rpc.errors import ApiError

TENANT = "cgrates.org"


def generation(*chargers: ChargerProfile, attributes: tuple[AttributeProfile, ...] = ()) -> Generation:
    changes: list[Any] = [("charger", f"{c.tenant}:{c.id}", pack(c)) for c in chargers]
    changes += [("attribute_profile", f"{a.tenant}:{a.id}", pack(a)) for a in attributes]
    return Generation({}).apply(changes, 1)


def event(**fields: Any) -> CGREvent:
    return CGREvent(TENANT, "ev", None, {"Account": "5001", "RequestType": "*prepaid", **fields})


def test_runs_come_by_weight_and_leave_the_event_alone() -> None:
    given = event()
    runs = charge_runs(
        generation(
            ChargerProfile(TENANT, "A", run_id="*default", attribute_ids=("*none",), weight=10),
            ChargerProfile(TENANT, "B", run_id="*raw", attribute_ids=("*constant:*req.RequestType:*none",), weight=20),
        ),
        0,
        given,
    )
    assert [(r.event.event["RunID"], r.event.event["RequestType"], r.matched) for r in runs] == [
        ("*raw", "*none", ["*constant:*req.RequestType:*none"]),
        ("*default", "*prepaid", None),
    ]
    assert runs[0].altered == ["*req.RunID", "*req.RequestType"]
    assert given.event == {"Account": "5001", "RequestType": "*prepaid"}


def test_filters_and_activation_select() -> None:
    reference = generation(
        ChargerProfile(TENANT, "A", ("*string:~*req.Account:5001",), None, "a", ("*none",), 1),
        ChargerProfile(TENANT, "B", ("*string:~*req.Account:5002",), None, "b", ("*none",), 2),
        ChargerProfile(TENANT, "C", (), ActivationInterval(Instant(1000)), "c", ("*none",), 3),
        ChargerProfile("other", "D", (), None, "d", ("*none",), 3),
    )
    assert [r.charger.id for r in charge_runs(reference, 0, event())] == ["C", "A"]
    early = event()
    early.time = Instant(999)
    assert [r.charger.id for r in charge_runs(reference, 0, early)] == ["A"]


def test_only_the_first_of_two_inline_attributes_is_applied() -> None:
    charger = ChargerProfile(TENANT, "A", run_id="a", attribute_ids=("*constant:*req.X:1", "*constant:*req.Y:2"))
    run = charge_runs(generation(charger), 0, event())[0]
    assert run.event.event["X"] == "1" and "Y" not in run.event.event


def test_named_profiles_must_pass_their_own_filters_and_nothing_matching_is_no_error() -> None:
    attributes = AttributeProfile(
        TENANT,
        "ATTR",
        ("*chargers",),
        ("*string:~*req.Reseller:north",),
        attributes=(Attribute("*req.Account", "*variable", ("~*req.Reseller",)),),
    )
    by_context = ChargerProfile(TENANT, "A", run_id="a")
    named = ChargerProfile(TENANT, "B", run_id="b", attribute_ids=("ATTR",))
    reference = generation(by_context, named, attributes=(attributes,))
    assert [(r.event.event["Account"], r.matched) for r in charge_runs(reference, 0, event(Reseller="north"))] == [
        ("north", ["cgrates.org:ATTR"])
    ] * 2
    assert [r.matched for r in charge_runs(reference, 0, event(Reseller="south"))] == [[], []]


def test_malformed_inline_attributes_fail_when_used() -> None:
    with pytest.raises(ApiError) as raised:
        charge_runs(generation(ChargerProfile(TENANT, "A", run_id="a", attribute_ids=("*constant:x",))), 0, event())
    assert raised.value.text == "SERVER_ERROR: inline parse error for string: <*constant:x>"
