"""Ids that are made again when the same work is done again, and never twice otherwise."""

from __future__ import annotations

import re

import pytest

from cgr_cluster.engine.part import REQUEST_IDS, uuid_of_request

SHAPE = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@pytest.mark.parametrize(
    "uid",
    [
        "b1:1", "b1:12", "b2:1", "b1:9999999999", "b1:10000000000", "b1:99999999999999999999", "b1:7?2", "timer/3/closed/1",
        "b1:7.1", "x", ":5", "b1:", "b:1:1", "b1:\u0663",
    ],
)  # fmt: skip
def test_an_id_has_the_shape_of_a_uuid_and_is_the_same_again(uid: str) -> None:
    for number in (1, 2, REQUEST_IDS, REQUEST_IDS + 1, 10**6):
        made = uuid_of_request(uid, number)
        assert SHAPE.fullmatch(made), made
        assert made == uuid_of_request(uid, number)


def test_no_two_are_the_same() -> None:
    uids = [
        f"b{sender}:{sequence}" for sender in range(30) for sequence in (*range(1, 40), 16**3, 9_999_999_999, 10**11)
    ]
    numbers = (1, 2, 15, 16, 255, REQUEST_IDS, REQUEST_IDS + 1)
    made = {uuid_of_request(uid, number) for uid in uids for number in numbers}
    assert len(made) == len(uids) * len(numbers)
