"""Whatever a client sends to whatever method: an answer or an error text, never a traceback; and the node is as sound as
before (invariants 4, 6, 11): memory is what the log holds, no operation is left, and a known call is answered as ever.

How long it runs: fuzzing.py.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.property.api_values import BUSY, METHODS, Values
from tests.property.api_world import Logged, World, flaw_of, known_good
from tests.property.fuzzing import fuzzed
from tests.simulation.crashing import flaws

CALLS = 12  # of a sequence


@cache
def world() -> World:
    return World()


@cache
def answers_of_a_sound_node() -> list[Any]:
    return known_good(world().copy(), world().plan)


@st.composite
def sequences(draw: st.DrawFn, methods: list[str]) -> list[tuple[str, Any]]:
    values = Values(lambda count: draw(st.integers(0, count - 1)), world().folders)
    return [values.call(methods) for _ in range(draw(st.integers(1, CALLS)))]


def sound_after(calls: list[tuple[str, Any]]) -> list[str]:
    """What a node does wrong with these calls."""
    node = world().copy()
    wrong = []
    with Logged() as logged:
        for method, params in calls:
            answer = node.call(method, params)
            flaw = flaw_of(answer)
            if flaw is not None:
                wrong.append(f"{method}: {flaw}")
            json.dumps(answer["result"], allow_nan=False)
        node.advance(60 * 10**9)
        wrong += [f"logged: {line}" for line in logged.lines]
        wrong += flaws(node)
        if known_good(node, world().plan) != answers_of_a_sound_node():
            wrong.append("a known call is answered otherwise")
    return wrong


@fuzzed(40)
@given(sequences(METHODS))
def test_any_method(calls: list[tuple[str, Any]]) -> None:
    assert sound_after(calls) == []


@fuzzed(40)
@given(sequences(BUSY))
def test_the_methods_that_charge(calls: list[tuple[str, Any]]) -> None:
    assert sound_after(calls) == []
