"""The stress tool against a node in this process: it finds what is right, and each way in which money can be wrong."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from cgr_cluster.cli.stress import runner
from cgr_cluster.cli.stress.pricing import Charge, price
from tests.unit.stress_server import Server, stressed


@pytest.fixture(scope="module")
def node() -> Server:
    """One for all: that a run can follow another is a promise of the tool."""
    return Server()


@pytest.fixture
def server(node: Server) -> Iterator[Server]:
    yield node
    node.spoil, node.break_each = None, 0


@pytest.mark.parametrize("changes", [{}, {"updates": True, "seed": 2}, {"seed": 3, "in_flight": 1, "connections": 1}])
def test_a_sound_node_balances(server: Server, changes: dict[str, Any]) -> None:
    found = stressed(server, **changes)

    assert found["balanced"], found
    assert found["charged"] == found["cdrs"] == 60
    assert found["money"]["priced"] == found["money"]["in_cdrs"]
    assert found["money"]["priced_debited"] == found["money"]["taken"] != "0.0"


def test_a_rate_is_kept(server: Server) -> None:
    found = stressed(server, calls=40, rate=100.0)

    assert found["balanced"], found
    assert found["seconds"] > 0.35


def test_free_minutes_are_counted_in_all_three_figures_until_they_end(server: Server) -> None:
    mix = {"prepaid": 1, "pseudoprepaid": 0, "postpaid": 0, "rated": 0}
    found = stressed(server, calls=60, mix=mix, accounts=5, in_flight=2, call_seconds=(400, 900))

    free = found["free_seconds"]
    assert found["balanced"], found
    assert free["priced"] == free["in_cdrs"] == free["taken"] == 100 * 60


def test_lost_answers_are_resolved_and_the_money_adds_up(server: Server) -> None:
    server.break_each = 45
    found = stressed(server, calls=60)

    assert found["doubts"] and found["reconnects"]
    assert found["balanced"], found


def test_a_second_run_on_the_same_node_balances(server: Server) -> None:
    assert stressed(server, calls=20)["balanced"]
    assert stressed(server, calls=20)["balanced"]


def test_calls_end_when_the_money_does_exactly_as_foretold(server: Server) -> None:
    assert stressed(server, calls=8)["balanced"]
    for number in (0, 1, 4, 5, 8, 9):  # the prepaid and pseudo-prepaid accounts of the first twelve
        balance = {"ID": "MONEY", "Value": 0.3}
        account = {"Account": f"demo{number:04d}", "BalanceType": "*monetary", "Balance": balance}
        assert server.node.call("APIerSv1.SetBalance", account)["result"] == "OK"

    found = stressed(server, setup=False, calls=120, seed=4)

    assert found["refused"] > 5 and found["cut"] > 0
    assert not found["problems"] and not found["differing"] and not found["wrong_records"]
    assert found["reasons"] == [f"only {found['charged']} of 120 calls were charged"]


def test_a_price_of_its_own_that_differs_is_found(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def dearer(*arguments: Any) -> Charge:
        charge = price(*arguments)
        return charge._replace(money=charge.money + 1)

    monkeypatch.setattr(runner, "price", dearer)
    found = stressed(server)

    assert not found["balanced"]
    assert found["differing"] and found["wrong_records"]
    assert found["differing"][0]["priced"] != found["differing"][0]["in_cdrs"] == found["differing"][0]["in_cdrs"]


def test_a_wrong_cost_in_one_cdr_is_found(server: Server) -> None:
    def spoil(method: str, params: Any, result: Any) -> Any:
        if method == "CDRsV1.GetCDRs":
            result[0]["Cost"] = round(result[0]["Cost"] + 0.00001, 5)
        return result

    server.spoil = spoil
    found = stressed(server)

    assert not found["balanced"]
    assert len(found["differing"]) == len(found["wrong_records"]) == 1


def test_a_missing_cdr_is_found(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def spoil(method: str, params: Any, result: Any) -> Any:
        return result[1:] if method == "CDRsV1.GetCDRs" else result

    monkeypatch.setattr("cgr_cluster.cli.stress.session.CDRS_ARRIVE_S", 0.0)
    server.spoil = spoil
    found = stressed(server)

    assert not found["balanced"]
    assert found["cdrs"] == 59 and len(found["differing"]) == 1
    assert "has no CDR" in found["wrong_records"][0]


def test_money_that_is_taken_beside_the_calls_is_found(server: Server) -> None:
    taken = False

    def spoil(method: str, params: Any, result: Any) -> Any:
        nonlocal taken
        if method == "SessionSv1.ProcessCDR" and not taken:
            taken = True
            debit = {
                "Account": "demo0003", "BalanceType": "*monetary", "Value": 0.00001, "Balance": {"ID": "MONEY"},
            }  # fmt: skip
            assert server.node.call("APIerSv1.DebitBalance", debit)["result"] == "OK"
        return result

    server.spoil = spoil
    found = stressed(server)

    assert not found["balanced"]
    assert [row["account"] for row in found["differing"]] == ["demo0003"]
    assert found["differing"][0]["taken"] == "0.00001"


def test_refusals_that_nobody_expects_are_found(server: Server) -> None:
    def spoil(method: str, params: Any, result: Any) -> Any:
        return {"MaxUsage": 0} if method == "SessionSv1.AuthorizeEvent" else result

    server.spoil = spoil
    found = stressed(server, calls=20)

    assert not found["balanced"]
    assert found["refused"] == 20 and len(found["problems"]) == 10
