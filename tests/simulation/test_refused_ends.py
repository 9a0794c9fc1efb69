"""A terminate without a session whose debit is refused makes nothing, so it keeps no claim either, whoever dies when (spec 30.5.6;
design 5 and 9: invariants 6, 10)."""

from __future__ import annotations

from typing import Any

import pytest

from cgr_cluster.engine.domain import Steps
from cgr_cluster.node.node import Node
from cgr_cluster.sessions import life
from cgr_cluster.sessions.types import Claim, Session
from tests.simulation.crashing import WORKERS, crash_everywhere, of_kind, ok
from tests.simulation.slow_node import SlowNode
from tests.simulation.test_closed_sessions import S, begin, claimed_elsewhere, finish, held, record
from tests.simulation.test_crashes import call_plan, shown

NO_ACCOUNT = {"Account": "acc_gone"}
NO_RATE = {"Category": "none"}  # refused where the call has its account
REFUSALS = [NO_ACCOUNT, NO_RATE]


def one_account(node: Node) -> None:
    """All that a call is debited from lives with its session."""
    call_plan(node)
    ok(node, "APIerSv1.RemoveChargerProfile", {"ID": "RSL"})


LAYOUTS = pytest.mark.parametrize("prepare", [one_account, call_plan], ids=["one account", "accounts of two workers"])


@LAYOUTS
def test_a_refused_end_keeps_no_claim(prepare: Any) -> None:
    node = Node(WORKERS)
    prepare(node)
    for cgrid in claimed_elsewhere():
        for refusal in REFUSALS:
            assert node.call(*finish(node, cgrid, **refusal))["error"] is not None
            assert held(node) == []


def test_it_is_shown_to_fail_when_the_claim_is_not_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def keep(*claim: Any) -> Steps[None]:
        yield from ()

    monkeypatch.setattr(life, "give_up_claim", keep)
    node = Node(WORKERS)
    one_account(node)
    node.call(*finish(node, claimed_elsewhere()[0], **NO_ACCOUNT))
    assert [key for key in held(node) if key.startswith("claim/")]


@LAYOUTS
def test_a_call_that_has_just_ended_stays_known_to_its_record(prepare: Any) -> None:
    node = Node(WORKERS)
    prepare(node)
    cgrid = claimed_elsewhere()[1]
    for step in (begin, finish):
        assert node.call(*step(node, cgrid))["error"] is None
    assert node.call(*finish(node, cgrid, **NO_RATE))["error"] is not None
    assert of_kind(node, "claim", Claim)  # of the closed session
    assert node.call(*record(node, cgrid))["error"] is None
    node.advance(25 * S)
    assert held(node) == []


def refused_ends(node: Node) -> list[Any]:
    """Of a call that was never there, of one that has just ended, and of one that begins anew."""
    first, second, third = claimed_elsewhere()
    answers = [node.call(*finish(node, first, **NO_ACCOUNT)), node.call(*finish(node, second, **NO_RATE))]
    answers += [node.call(*step(node, third)) for step in (begin, finish)]
    answers += [node.call(*finish(node, third, **refusal)) for refusal in REFUSALS]
    answers.append(node.call(*record(node, third)))
    answers += [node.call(*step(node, first)) for step in (begin, finish)]
    node.advance(25 * S)
    return [*answers, shown(node)]


@LAYOUTS
def test_a_crash_at_any_event_leaves_no_claim(prepare: Any) -> None:
    wrong, events = crash_everywhere(prepare, refused_ends, lambda node: held(node) == [], again_after=(None,))
    assert events > 30
    assert wrong == []


@LAYOUTS
def test_a_session_that_begins_meanwhile_has_its_claim(prepare: Any) -> None:
    """Any order of turns and commits: the session that is left is the one that the registry knows."""
    for seed in range(30):
        node = SlowNode(WORKERS, seed)
        prepare(node)
        cgrid = claimed_elsewhere()[seed % WORKERS]
        together = [node.send(*step(node, cgrid, **fields)) for step, fields in (
            (finish, NO_RATE), (begin, {}), (finish, NO_RATE), (finish, NO_ACCOUNT),
        )]  # fmt: skip
        for uid in together:
            node.wait(uid)
        node.run()
        sessions, claims = of_kind(node, "session", Session), of_kind(node, "claim", Claim)
        for held_cgrid, session in sessions.items():
            assert claims[held_cgrid].number == session.claim, seed
        node.call(*finish(node, cgrid))
        node.advance(25 * S)
        assert held(node) == [], seed
