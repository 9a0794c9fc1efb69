"""The slow decoder on any document: an object, or an ApiError; and what the fast path accepts it reads the same."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cgr_cluster.events.instant import ZERO, Instant
from cgr_cluster.rpc import decode
from cgr_cluster.rpc.errors import ApiError
from cgr_cluster.rpc.owners import ANY
from cgr_cluster.rpc.registry import Method, Params
from cgr_cluster.rpc.schema import schema
from cgr_cluster.rpc.slow_decode import read_parameter


class Trigger(Params, go="engine.FilterRule"):
    Type: str = ""
    Element: str = ""
    Values: list[str] | None = None


class Authorize(Params, go="sessions.V1AuthorizeArgs"):
    GetMaxUsage: bool = False
    RoutesMaxCost: str = ""
    AttributeIDs: list[str] | None = None
    Tenant: str = ""
    Time: Instant = ZERO
    Event: dict[str, Any] | None = None
    Limit: int | None = None


class Profile(Params, go="engine.FilterWithAPIOpts"):
    Tenant: str = ""
    Rules: list[Trigger] | None = None


TYPES = (Authorize, Profile)
NAMES = sorted({name for params in TYPES for name in params.__struct_fields__} | {"Type", "Values", "Element", "Other"})
NAME = st.sampled_from(NAMES) | st.sampled_from([name.lower() for name in NAMES]) | st.text(max_size=3)
LEAF = (
    st.none() | st.booleans() | st.integers() | st.integers(-(10**25), 10**25) | st.text(max_size=5)
    | st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from(["2026-01-01T00:00:00Z", "2026-02-30T00:00:00Z"])
)  # fmt: skip
VALUE = st.recursive(
    LEAF, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAME, inner, max_size=5), max_leaves=15
)
OBJECT = st.dictionaries(NAME, VALUE, max_size=6)


def outcome(function: Any, *args: Any) -> Any:
    try:
        return function(*args)
    except ApiError as error:
        assert error.text
        return error.text


@pytest.mark.parametrize("params", TYPES)
@settings(max_examples=200, deadline=None)
@given(document=OBJECT | VALUE)
def test_both_paths_agree(params: Any, document: Any) -> None:
    raw = json.dumps(document).encode()
    method = Method("X.Y", lambda: None, params, ANY, False, None, False)

    def slowly() -> Any:
        value = read_parameter(params.go_type, raw)
        return params() if value is None else decode.build(params, value)

    assert outcome(decode.decode_params, method, raw) == outcome(slowly)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(sorted(set(schema().method_types.values()))), OBJECT | VALUE)
def test_any_document_for_any_type(go_type: str, document: Any) -> None:
    outcome(read_parameter, go_type, json.dumps(document).encode())


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=80))
def test_any_bytes(raw: bytes) -> None:
    method = Method("X.Y", lambda: None, Authorize, ANY, False, None, False)
    outcome(decode.decode_params, method, raw)
