"""The stress tool's price list: cases by hand, and against the server's rating over random calls."""

from __future__ import annotations

from random import Random

import pytest

from cgr_cluster.cli.stress.plan import MONDAY_S, Plan, parse_mix, parse_range
from cgr_cluster.cli.stress.pricing import Charge, affordable, demo_prefixes, is_peak, price, seconds_to_border
from cgr_cluster.node.node import Node

H = 3600
PREFIXES = demo_prefixes()
FIXED, MOBILE = PREFIXES.rate("493012345678"), PREFIXES.rate("491511234567")  # Germany: 12 a second, no fee
AFRICA = PREFIXES.rate("27111234567")  # 60 a second, fee 5000
assert FIXED and MOBILE and AFRICA


@pytest.mark.parametrize(
    ("hour", "peak"),
    [(0, False), (7.99, False), (8, True), (19.99, True), (20, False), (24 + 12, True), (5 * 24 + 12, False)],
)
def test_peak_is_from_8_to_20_on_weekdays(hour: float, peak: bool) -> None:
    assert is_peak(MONDAY_S + int(hour * H)) is peak


@pytest.mark.parametrize(("second", "left"), [(0, 8 * H), (8 * H - 1, 1), (8 * H, 12 * H), (20 * H, 4 * H)])
def test_the_next_border(second: int, left: int) -> None:
    assert seconds_to_border(MONDAY_S + second) == left


OFF, PEAK, BEFORE_8, BEFORE_20 = MONDAY_S, MONDAY_S + 9 * H, MONDAY_S + 8 * H - 30, MONDAY_S + 20 * H - 30


@pytest.mark.parametrize(
    ("rate", "answer", "seconds", "free", "charge"),
    [
        (FIXED, OFF, 10, 0, Charge(120, 0)),
        (FIXED, PEAK, 10, 0, Charge(240, 0)),
        (FIXED, BEFORE_8, 40, 0, Charge(30 * 12 + 10 * 24, 0)),
        (FIXED, BEFORE_20, 40, 0, Charge(30 * 24 + 10 * 12, 0)),
        (MOBILE, OFF, 1, 0, Charge(12 * 180, 0)),
        (MOBILE, OFF, 61, 0, Charge(12 * 180 + 12 * 15, 0)),
        (MOBILE, BEFORE_20, 61, 0, Charge(24 * 180 + 12 * 15, 0)),  # the first minute has begun in peak time
        (AFRICA, OFF, 1, 0, Charge(5000 + 60, 0)),
        (FIXED, OFF, 10, 6, Charge(4 * 12, 6)),
        (FIXED, OFF, 10, 60, Charge(0, 10)),
        (MOBILE, OFF, 100, 37, Charge(12 * 180 + 12 * 15, 37)),  # 37 s free, a first minute until 97 s, six seconds
        (MOBILE, OFF, 100, 70, Charge(5 * 12 * 15, 70)),
        (FIXED, OFF, 0, 0, Charge(0, 0)),
    ],
)
def test_price(rate, answer, seconds, free, charge) -> None:  # type: ignore[no-untyped-def]
    assert price(rate, answer, seconds, free) == charge


@pytest.mark.parametrize(
    ("rate", "seconds", "free", "money", "granted"),
    [
        (FIXED, 60, 0, 12 * 60, 60),
        (FIXED, 60, 0, 12 * 60 - 1, 59),
        (FIXED, 60, 10, 12, 11),
        (MOBILE, 60, 0, 12 * 180 - 1, 0),
        (MOBILE, 30, 0, 12 * 180, 30),
        (AFRICA, 60, 0, 4999, 0),
        (AFRICA, 60, 0, 5059, 0),
        (AFRICA, 60, 0, 5120, 2),
        (FIXED, 60, 0, -5, 0),
    ],
)
def test_affordable(rate, seconds, free, money, granted) -> None:  # type: ignore[no-untyped-def]
    assert affordable(rate, OFF, seconds, free, money) == granted


def test_random_calls_cost_what_the_server_says() -> None:
    node = Node()
    assert node.call("APIerSv1.LoadTariffPlanFromFolder", {"FolderPath": "folder:demo"})["result"] == "OK"
    plan = Plan(11, PREFIXES, parse_mix("rated=1"), (1, 4000))
    for _ in range(400):
        number, length = plan.number(False), plan.length_s()
        answer = plan.answer_s(length)
        params = {
            "Category": "call", "Subject": "x", "Destination": number.digits, "AnswerTime": str(answer), "Usage": f"{length}s",
        }  # fmt: skip
        cost = node.call("APIerSv1.GetCost", params)["result"]["Cost"]
        assert round(cost * 100_000, 6) == price(number.rate, answer, length).money, params


def test_a_plan_is_the_same_for_the_same_seed() -> None:
    def drawn(seed: int) -> list[tuple[str, str, int]]:
        plan = Plan(seed, PREFIXES, parse_mix("prepaid=1,rated=2"), (10, 20))
        return [(plan.mode(), plan.number(True).digits, plan.answer_s(plan.length_s())) for _ in range(50)]

    assert drawn(1) == drawn(1) != drawn(2)


def test_no_call_crosses_the_midnight_of_saturday() -> None:
    plan = Plan(Random(3).randrange(1000), PREFIXES, parse_mix("rated=1"), (10, 9000))
    sunday = MONDAY_S + 6 * 24 * H
    for _ in range(5000):
        length = plan.length_s()
        answer = plan.answer_s(length)
        assert not answer < sunday < answer + length


@pytest.mark.parametrize("text", ["prepaid", "prepaid=x", "fancy=1", "prepaid=0"])
def test_a_mix_that_is_none(text: str) -> None:
    with pytest.raises(ValueError):
        parse_mix(text)


def test_a_range() -> None:
    assert (parse_range("10-20"), parse_range("7")) == ((10, 20), (7, 7))
    for text in ("", "0-4", "9-3", "a-b", "1-20000"):
        with pytest.raises(ValueError):
            parse_range(text)
