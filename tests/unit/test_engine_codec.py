"""The stored form of values: what is packed is what is unpacked, whatever its size (design 10)."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from cgr_cluster.engine.codec import pack, unpack

small = st.integers(-200, 200)  # every one-byte form of MessagePack, `[` and `{` among them
any_size = st.integers(-(1 << 80), 1 << 80)
values: Any = st.one_of(
    small,
    any_size,
    st.text(max_size=3),
    st.booleans(),
    st.none(),
    st.lists(any_size, max_size=3),
    st.dictionaries(st.text(max_size=2), any_size, max_size=3),
)


@given(values)
def test_what_is_packed_is_unpacked(value: Any) -> None:
    assert unpack(Any, pack(value)) == value


@given(any_size)
def test_integers_of_any_size_are_unpacked_by_their_type(value: int) -> None:
    assert unpack(int, pack(value)) == value


def test_small_integers_that_look_like_json() -> None:
    assert [unpack(int, pack(number)) for number in (91, 123)] == [91, 123]
