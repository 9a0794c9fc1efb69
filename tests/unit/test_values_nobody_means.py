"""Single values that nobody means, each of which once came to a traceback or held a worker up (found by tests/property/test_api_fuzz.py)."""

from __future__ import annotations

import json
import os
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cgr_cluster.events.amounts import grains_of, nano_of
from cgr_cluster.events.calendar import calendar
from cgr_cluster.events.durations import parse_duration
from cgr_cluster.events.instant import Instant
from cgr_cluster.events.integers import read_int
from cgr_cluster.events.nesting import MAX_DEPTH, is_too_deep, read_json
from cgr_cluster.events.rules import parse_rule
from cgr_cluster.events.values import duration_of, float_of, parse_float
from cgr_cluster.filters.timings import active_at
from cgr_cluster.filters.typing_rules import printed, typed
from cgr_cluster.node.keys import read_key
from cgr_cluster.node.node import Node
from cgr_cluster.node.outside import folder_bytes, read_folder, write_folder
from cgr_cluster.rating.rounding import round_amount
from cgr_cluster.rating.types import Timing
from cgr_cluster.rpc.errors import ApiError
from cgr_cluster.rpc.slow_decode import read_parameter
from cgr_cluster.sessions.reading import SHORTEST_DEBIT_INTERVAL_NS, bearable_interval
from cgr_cluster.sessions.stir import Expected, Identity, check_payload

PLAN = str(Path(__file__).parents[1] / "conformance/tariffplans/sessions_retail")
LONG = 200_000  # characters: what takes quadratic time would take hours


def refusal(work: Any, *args: Any) -> str:
    with pytest.raises(ApiError) as refused:
        work(*args)
    return refused.value.text


# --- times and numbers --------------------------------------------------------------------------------------------


@given(st.integers(date.min.toordinal(), date.max.toordinal()))
def test_days_are_those_of_the_calendar(ordinal: int) -> None:
    day = date.fromordinal(ordinal)
    number = (day - date(1970, 1, 1)) // timedelta(days=1)
    assert calendar(number) == (day.year, day.month, day.day, day.isoweekday() % 7)


@pytest.mark.parametrize("seconds", [-(10**14), -62_200_000_000, 253_402_300_800 + 86_400, 10**14])
def test_timings_and_printing_know_every_year(seconds: int) -> None:
    at = Instant(seconds)
    assert active_at(Timing("T", months=tuple(range(1, 13))), at)
    assert not active_at(Timing("T", years=(2026,)), at)
    assert printed(at).endswith(" +0000 UTC")


@pytest.mark.parametrize("number", [1e16, -1e16, 1e308, float("inf"), float("nan"), 10**400])
def test_amounts_beyond_10_to_the_15_are_refused(number: float) -> None:
    for of in (nano_of, grains_of):
        assert refusal(of, number).startswith("amount out of range: ")


@given(st.floats(-1e15, 1e15))
def test_amounts_are_the_nearest_of_their_grain(number: float) -> None:
    from decimal import ROUND_HALF_UP, Decimal

    exact = Decimal(repr(number)) * 10**9
    assert nano_of(number) == int(exact.quantize(Decimal(1), ROUND_HALF_UP))


def test_digits_may_be_many() -> None:
    assert read_int("-" + "9" * LONG) == -(10**20)
    assert read_int("0" * LONG + "7") == 7
    assert refusal(parse_duration, "9" * LONG).startswith("time: invalid duration")
    assert refusal(parse_duration, "9" * LONG + "h").startswith("time: invalid duration")
    assert typed("9" * 5000, 0).kind == "text"  # beyond a double, too


@pytest.mark.parametrize("text", ["\u00b2", "\u0663", "\u00b2s", "1.\u00b2s", "1_000"])
def test_only_ascii_digits_are_digits(text: str) -> None:
    assert typed(text, 0).kind == "text"
    refusal(parse_duration, text)


@pytest.mark.parametrize("text", ["1" * LONG + "x", "1e" + "1" * LONG + "x", "2026-01-01T00:00:00." + "1" * LONG + "x"])
def test_long_texts_are_read_in_linear_time(text: str) -> None:
    refusal(parse_float, text)
    refusal(parse_duration, text)
    assert typed(text, 0).kind == "text"
    refusal(parse_rule, "~*req.X:s/" + "\\/" * (len(text) // 2))


def test_what_is_stored_is_finite() -> None:
    assert refusal(float_of, "NaN") == 'strconv.ParseFloat: parsing "NaN": invalid syntax'
    assert refusal(float_of, "Inf") == 'strconv.ParseFloat: parsing "Inf": invalid syntax'
    assert refusal(duration_of, 10**20) == "cannot convert field: 100000000000000000000 to time.Duration"
    assert round_amount(5.0, -400, "*up") == 5.0


# --- documents ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("opening, closing", [("[", "]"), ('{"a":', "}"), ('[{"]":', "}]")])
def test_documents_are_nested_so_deep_at_most(opening: str, closing: str) -> None:
    levels = opening.count("[") + opening.count("{")
    fits = MAX_DEPTH // levels
    assert not is_too_deep((opening * fits + "1" + closing * fits).encode())
    assert is_too_deep((opening * (fits + 1) + "1" + closing * (fits + 1)).encode())
    with pytest.raises(ValueError, match="nested too deeply"):
        read_json(opening * 100_000)


def test_brackets_in_texts_and_wide_documents_are_not_deep() -> None:
    wide = {"a": ["[" * 500, '\\"{' * 500, "]\\"], "b": [{"c": [{}]}] * 500}
    assert not is_too_deep(json.dumps(wide).encode())


def test_bytes_are_base64() -> None:
    with pytest.raises(ApiError, match="illegal base64 data at input byte 1"):
        read_parameter("[]byte", '"Aé"'.encode())


@pytest.mark.parametrize(
    "payload", [{"iat": "x"}, {"iat": None}, {"iat": [1]}, {"orig": [1]}, {"dest": "x"}, {"iat": 1e300}]
)
def test_a_payload_of_another_shape(payload: dict[str, Any]) -> None:
    identity = Identity({}, {"iat": 0, **payload}, b"", "", {})
    refusal(check_payload, identity, Expected((), "a", "", "b", "", 1), 0)


# --- files --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["\x00", "a" * 300, "/nonexistent", "/dev/null", ""])
def test_paths_that_are_none(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert folder_bytes(path) == 0
    if path:
        assert refusal(read_folder, path) == "INVALID_PATH"
        assert refusal(read_key, path + "/x").startswith("open ")
        assert refusal(write_folder, path + "\x00", {"A.csv": b""}).startswith("SERVER_ERROR: ")


def test_only_regular_files_are_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "Rates.csv")
    (tmp_path / "Timings.csv").mkdir()
    (tmp_path / "Destinations.csv").write_text("D,+1\n")
    assert read_folder(str(tmp_path)) == {"Destinations.csv": b"D,+1\n"}
    assert folder_bytes(str(tmp_path)) == 5


# --- on a node ----------------------------------------------------------------------------------------------------


@pytest.fixture
def node() -> Node:
    node = Node(1)
    assert node.call("APIerSv1.LoadTariffPlanFromFolder", {"FolderPath": PLAN})["error"] is None
    return node


def test_prices_at_infinity_are_not_loaded(node: Node, tmp_path: Path) -> None:
    for name, text in {
        "Destinations.csv": "D,+1\n", "Rates.csv": "R,0,1e308,1s,1s,0s\n", "DestinationRates.csv": "DR,D,R,*up,4,0,\n",
        "RatingPlans.csv": "RP,DR,*any,10\n",
    }.items():  # fmt: skip
        (tmp_path / name).write_text(text)
    answer = node.call("APIerSv1.LoadTariffPlanFromFolder", {"FolderPath": str(tmp_path)})
    assert answer["error"] == "SERVER_ERROR: amount out of range: 1e+308"
    assert node.call("APIerSv1.GetDestination", "D")["error"] == "NOT_FOUND"


def test_a_replay_of_thousands_of_runs_is_refused(node: Node) -> None:
    group = [{"Identifier": "*log", "Weight": 10}]
    assert node.call("APIerSv2.SetActions", {"ActionsId": "LOG", "Actions": group})["error"] is None
    plan = {"Id": "P", "ActionPlan": [{"ActionsId": "LOG", "Time": "*every_minute"}]}
    assert node.call("APIerSv1.SetActionPlan", plan)["error"] is None
    for start in ("0000-01-01T00:00:00Z", "2026-01-01T00:00:00Z"):
        interval = {"TimeStart": start, "TimeEnd": "9999-12-31T23:59:59Z"}
        answer = node.call("SchedulerSv1.ExecuteActions", interval)
        assert answer["error"] == "SERVER_ERROR: more than 2000 runs in the interval"
    late = {"TimeStart": "9999-12-31T23:59:58-23:59", "TimeEnd": "9999-12-31T23:59:59-23:59"}
    assert node.call("SchedulerSv1.ExecuteActions", late)["result"] == "OK"


def test_debits_every_nanosecond_are_every_ten_milliseconds(node: Node) -> None:
    assert [bearable_interval(ns) for ns in (-5, 0, 1, 60 * 10**9)] == [0, 0, SHORTEST_DEBIT_INTERVAL_NS, 60 * 10**9]
    money = {"Account": "5001", "BalanceType": "*monetary", "Value": 1, "Balance": {"ID": "M"}}
    assert node.call("APIerSv1.SetBalance", money)["error"] is None
    event = {
        "OriginID": "c", "ToR": "*voice", "RequestType": "*prepaid", "Account": "5001", "Destination": "442071112222", "Category": "call",
        "AnswerTime": "2026-03-02T10:00:00Z",
    }  # fmt: skip
    opts = {"*sessionsDebitInterval": "1ns"}
    answer = node.call("SessionSv1.InitiateSession", {"InitSession": True, "Event": event, "APIOpts": opts})
    assert answer["result"] == {"MaxUsage": -1}
    node.advance(10**9)
    assert node.events < 1000


def test_cost_details_with_nulls_where_numbers_are_due(node: Node) -> None:
    details = {"Timings": {"T": {"WeekDays": [None], "Years": [1]}}, "Charges": [None]}
    cost = {"CGRID": "c", "RunID": "r", "OriginHost": "h", "OriginID": "o", "CostDetails": details}
    assert node.call("CDRsV1.StoreSessionCost", {"Cost": cost})["result"] == "OK"
