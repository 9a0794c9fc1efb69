"""What a price costs to compute does not depend on the usage or on the size of the deck (10 §12): counted in calls of
Python functions, which is the same on every machine."""

from __future__ import annotations

import gc
import sys
from pathlib import Path
from typing import Any

import pytest

from cgr_cluster.node.node import Node
from tests.unit.method_rows import folder

START = "2025-03-01T00:00:00Z"
MONTH_END = "2025-04-01T00:00:00Z"
DECK = {
    "Rates.csv": "BYTES,0.1,0.00001,1000,1,0\nTICKS,0.1,0.0001,1s,1ms,0s\n",
    "DestinationRates.csv": "DRB,*any,BYTES,*up,4,0,\nDRT,*any,TICKS,*up,4,0,\n",
    "RatingPlans.csv": "BYTES,DRB,*any,10\nTICKS,DRT,*any,10\n",
    "RatingProfiles.csv": "cgrates.org,data,*any,,BYTES,\ncgrates.org,call,*any,,TICKS,\n",
}


def calls_of(node: Node, method: str, params: dict[str, Any], known: bool = True) -> int:
    """Calls of Python functions that an API call takes; `known`: once what it needs is compiled."""
    for _ in range(3 if known else 0):
        assert node.call(method, params)["error"] is None
    count = 0

    def heard(frame: Any, event: str, argument: Any) -> None:
        nonlocal count
        count += event == "call"

    before = sys.getprofile()
    gc.disable()  # a collection calls what libraries have asked it to call
    sys.setprofile(heard)
    try:
        answer = node.call(method, params)
    finally:
        sys.setprofile(before)
        gc.enable()
    assert answer["error"] is None
    return count


@pytest.fixture
def node(tmp_path: Path) -> Node:
    made = Node()
    made.call("APIerSv1.LoadTariffPlanFromFolder", {"FolderPath": folder(tmp_path, DECK)})
    for account in ("money", "bundle"):
        made.call("APIerSv1.SetBalance", {
            "Account": account, "BalanceType": "*monetary", "Value": 10**9, "Balance": {"ID": "M"},
        })  # fmt: skip
    made.call("APIerSv1.SetBalance", {
        "Account": "bundle", "BalanceType": "*data", "Value": 10**14, "Balance": {"ID": "B", "RatingSubject": "*zero1ns"},
    })  # fmt: skip
    return made


def usage_end(units: int) -> str:
    return f"2025-03-01T00:{units // (60 * 10**9):02d}:{units // 10**9 % 60:02d}.{units % 10**9:09d}Z"


@pytest.mark.parametrize("account", ["money", "bundle"])
@pytest.mark.parametrize("method", ["GetCost", "GetMaxSessionTime", "Debit", "MaxDebit"])
def test_a_month_of_data_is_no_more_work_than_a_moment(node: Node, method: str, account: str) -> None:
    few, many = (
        calls_of(node, f"Responder.{method}", {
            "Category": "data", "ToR": "*data", "Account": account, "TimeStart": START, "TimeEnd": usage_end(units),
            "DurationIndex": units,
        })
        for units in (10**3, 10**11)
    )  # fmt: skip
    assert many <= few + 20, (few, many)


def test_get_cost_and_get_data_cost_neither(node: Node) -> None:
    few, many = (
        calls_of(node, "APIerSv1.GetCost", {"AnswerTime": START, "Usage": usage}) for usage in ("2ms", "23h59m")
    )
    assert many <= few
    few, many = (
        calls_of(node, "APIerSv1.GetDataCost", {"Category": "data", "AnswerTime": START, "Usage": units})
        for units in (10**3, 10**11)
    )
    assert many <= few


def test_a_look_up_is_no_more_work_in_a_large_deck(tmp_path: Path) -> None:
    counts = []
    for size in (10, 2_000):
        numbers = range(100_000, 100_000 + size)
        files = {
            "Destinations.csv": "".join(f"D{n},{n}\n" for n in numbers),
            "Rates.csv": "R,0,1,60s,1s,0s\n",
            "DestinationRates.csv": "".join(f"DR,D{n},R,*up,4,0,\n" for n in numbers),
            "RatingPlans.csv": "P,DR,*any,10\n",
            "RatingProfiles.csv": "".join(f"cgrates.org,call,s{n},,P,\n" for n in numbers),
        }
        node = Node()
        path = folder(tmp_path / str(size), files)
        assert node.call("APIerSv1.LoadTariffPlanFromFolder", {"FolderPath": path})["error"] is None
        for subject in ("s100000", "s100003"):  # what the first call of all compiles
            first = {"Subject": subject, "Destination": "1000051", "AnswerTime": START, "Usage": "60s"}
            assert node.call("APIerSv1.GetCost", first)["error"] is None
        asked = {"Subject": "s100007", "AnswerTime": START, "Usage": "60s"}
        numbers_asked = (f"10000712345{n}" for n in range(3))
        counts.append([
            calls_of(node, "APIerSv1.GetCost", {**asked, "Destination": number}, known=False) for number in numbers_asked
        ])  # fmt: skip
    assert counts[0] == counts[1]
