"""Provisioning as deployed clients do it (02-clients), against the node in one process."""

from __future__ import annotations

from typing import Any

import pytest

from cgr_cluster.node.node import Node
from tests.unit.provisioning import ACTIVATION_TIMES, EXPIRY_TIMES, cost, done, set_up_tariff

CALLS_OF_A_LOAD = 40  # events of the node in which a load may be killed


@pytest.fixture(params=[1, 3], ids=["one worker", "three workers"])
def node(request: pytest.FixtureRequest) -> Node:
    return Node(request.param)


def test_a_tariff_through_the_store(node: Node) -> None:
    set_up_tariff(node.call)
    assert cost(node.call, "4722334455") == cost(node.call, "46700") == 1  # 0.1 + 0.6 + 0.3
    assert cost(node.call, "33") == "SERVER_ERROR: UNAUTHORIZED_DESTINATION"


def test_nothing_is_live_before_the_load_and_nothing_of_a_refused_one(node: Node) -> None:
    set_up_tariff(node.call)
    done(node.call, "ApierV1.SetTPDestination", {"TPid": "TP", "ID": "DST_NO", "Prefixes": ["4799"]})
    assert cost(node.call, "4722") == 1
    done(node.call, "ApierV1.SetTPDestinationRate", {
        "TPid": "TP", "ID": "DR", "DestinationRates": [{"DestinationId": "DST_NO", "RateId": "GONE"}],
    })  # fmt: skip
    load = ("ApierV1.LoadTariffPlanFromStorDb", {"TPid": "TP"})
    assert node.call(*load)["error"] == 'SERVER_ERROR: could not find rate for tag "GONE"'
    assert cost(node.call, "4722") == 1
    done(node.call, "ApierV1.SetTPDestinationRate", {
        "TPid": "TP", "ID": "DR", "DestinationRates": [{"DestinationId": "DST_NO", "RateId": "RT"}],
    })  # fmt: skip
    assert done(node.call, *load) == "OK"
    assert cost(node.call, "4722") == "SERVER_ERROR: UNAUTHORIZED_DESTINATION"
    assert cost(node.call, "4799") == 1


@pytest.mark.parametrize("text", ACTIVATION_TIMES)
def test_activation_times(text: str) -> None:
    node = Node()
    set_up_tariff(node.call)
    done(node.call, "ApierV1.SetTPRatingProfile", {
        "TPid": "TP", "LoadId": "L1", "Category": "call", "Subject": "*any",
        "RatingPlanActivations": [{"ActivationTime": text, "RatingPlanId": "RP"}],
    })  # fmt: skip
    assert done(node.call, "ApierV1.LoadTariffPlanFromStorDb", {"TPid": "TP"}) == "OK"
    assert cost(node.call, "4722") == 1


def test_validation_is_that_of_folders(node: Node) -> None:
    set_up_tariff(node.call)
    for method, params, error in [
        ("SetTPDestination", {"Tpid": "TP"}, "MANDATORY_IE_MISSING: [ID Prefixes]"),
        ("SetTPDestination", {"TPid": "TP", "ID": None, "Prefixes": []}, "MANDATORY_IE_MISSING: [ID Prefixes]"),
        ("SetTPRate", {"ID": "RT"}, "MANDATORY_IE_MISSING: [TPid RateSlots]"),
        ("SetTPRatingPlan", {"TPid": "TP", "ID": "RP", "RatingPlanBindings": [{"Weight": "10"}]},
         "json: cannot unmarshal string into Go struct field TPRatingPlanBinding.RatingPlanBindings.Weight of type float64"),
        ("LoadTariffPlanFromStorDb", {}, "MANDATORY_IE_MISSING: [TPid]"),
    ]:  # fmt: skip
        assert node.call(f"ApierV1.{method}", params)["error"] == error


def balance(node: Node, account: str, kind: str) -> dict[str, Any]:
    found = done(node.call, "ApierV2.GetAccount", {"Tenant": None, "Account": account})
    (one,) = found["BalanceMap"][kind]
    result: dict[str, Any] = one
    return result


@pytest.mark.parametrize("nested", [False, True], ids=["flat", "object"])
def test_balances_in_old_and_new_shape(node: Node, nested: bool) -> None:
    names = {"ID": "BalanceId", "DestinationIDs": "DestinationIds"}
    fields = {"ID": "B", "ExpiryTime": "*unlimited", "Weight": "12.5", "Blocker": "true", "Disabled": None,
              "DestinationIDs": "DST_NO;DST_SE", "RatingSubject": "*zero1s", "Categories": "call"}  # fmt: skip
    given: dict[str, Any] = {"Balance": fields} if nested else {names.get(k, k): v for k, v in fields.items()}
    head = {"Tenant": "", "Account": "1001", "BalanceType": "*voice"}
    done(node.call, "ApierV1.AddBalance", {**head, "Value": 12.5, **given, "Overwrite": False, "cdrlog": False})
    one = balance(node, "1001", "*voice")
    assert (one["ID"], one["Value"], one["Weight"], one["Blocker"]) == ("B", 12.5, 12.5, True)
    assert one["DestinationIDs"] == {"DST_NO": True, "DST_SE": True}
    assert one["Categories"] == {"call": True} and one["RatingSubject"] == "*zero1s"
    done(node.call, "ApierV1.SetBalance", {**head, "Value": 100, **given})
    assert balance(node, "1001", "*voice")["Value"] == 100
    done(node.call, "ApierV1.RemoveBalances", {**head, **given})
    assert done(node.call, "ApierV2.GetAccount", {"Account": "1001"})["BalanceMap"]["*voice"] == []


def test_the_object_wins_over_flat_members(node: Node) -> None:
    head = {"Account": "1001", "BalanceType": "*monetary", "Value": 1, "BalanceId": "OLD", "Weight": 5}
    done(node.call, "ApierV1.AddBalance", {**head, "Balance": {"ID": "NEW", "Weight": None, "Value": "100"}})
    one = balance(node, "1001", "*monetary")
    assert (one["ID"], one["Weight"], one["Value"]) == ("NEW", 5, 1)


@pytest.mark.parametrize("text", EXPIRY_TIMES)
def test_expiry_times(text: str | None) -> None:
    node = Node()
    params = {"Account": "1001", "BalanceType": "*monetary", "Value": 10, "Balance": {"ID": "M", "ExpiryTime": text}}
    assert done(node.call, "ApierV1.SetBalance", params) == "OK"


def test_actions_of_the_store_with_texts(node: Node) -> None:
    set_up_tariff(node.call)
    done(node.call, "ApierV1.SetAccount", {"Account": "1001"})
    done(node.call, "ApierV1.ExecuteAction", {"Account": "1001", "ActionsId": "TOPUP"})
    one = balance(node, "1001", "*voice")
    assert (one["Value"], one["Weight"], one["Blocker"]) == (300_000_000_000, 10, True)


def test_cdrs_under_their_old_service_names(node: Node) -> None:
    event = {"ToR": "*voice", "OriginID": "o1", "OriginHost": "h", "RequestType": "*rated", "Account": "1001",
             "Destination": "4722", "AnswerTime": "2025-03-04 10:00:00", "Usage": "120"}  # fmt: skip
    set_up_tariff(node.call)
    charger = {"ID": "DEFAULT", "RunID": "*default", "AttributeIDs": ["*none"], "FilterIDs": None, "Weight": 0}
    done(node.call, "ApierV1.SetChargerProfile", charger)
    assert done(node.call, "CdrsV1.ProcessExternalCDR", event) == "OK"
    assert done(node.call, "CdrsV2.Ping", None) == "Pong"


def test_a_load_of_the_store_survives_a_crash_at_any_event() -> None:
    quiet = Node(2)
    set_up_tariff(quiet.call)
    first = quiet.events
    for number in range(1, CALLS_OF_A_LOAD):
        node = Node(2, crash_at=[first + number])
        set_up_tariff(node.call)
        done(node.call, "ApierV1.SetTPDestination", {"TPid": "TP", "ID": "DST_NO", "Prefixes": ["4799"]})
        assert done(node.call, "ApierV1.LoadTariffPlanFromStorDb", {"TPid": "TP"}) == "OK"
        assert (cost(node.call, "4799"), cost(node.call, "4711")) == (1, "SERVER_ERROR: UNAUTHORIZED_DESTINATION"), (
            number
        )
