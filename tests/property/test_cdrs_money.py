"""One record per key, and the account has paid what the records say, whatever the order of calls, kills and deliveries."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.unit.cdrs_world import StoreNode

PLAN = Path(__file__).parents[1] / "conformance" / "tariffplans" / "cdrs_retail"
MINUTES_10_NS = 600 * 10**9
STEP_S = 30
NANO = 10**9

numbers = st.integers(0, 2)
steps = st.integers(0, 4)


def cost_nano(steps: int) -> int:
    """Of `steps` times 30 s at 0.12 a minute with a connect fee of 0.05."""
    return 50_000_000 + steps * 60_000_000 if steps else 0


class Calls(RuleBasedStateMachine):
    """Calls of one *postpaid account. The model: what is stored, what is guarded until when, what has been paid."""

    @initialize(workers=st.integers(1, 3))
    def start(self, workers: int) -> None:
        self.node = StoreNode(workers)
        assert self.call("APIerSv1.LoadTariffPlanFromFolder", FolderPath=str(PLAN)) == "OK"
        balance = {"Account": "1001", "BalanceType": "*monetary", "Value": 100, "Balance": {"ID": "main"}}
        assert self.call("APIerSv1.SetBalance", **balance) == "OK"
        self.stored: dict[int, int] = {}  # number → steps
        self.guarded: dict[int, int] = {}  # number → time of its last event
        self.paid_nano = 0

    def call(self, method: str, **params: Any) -> Any:
        reply = self.node.call(method, params)
        return reply["error"] or reply["result"]

    def process(self, number: int, steps: int, *flags: str) -> Any:
        event = {
            "OriginID": f"call-{number}", "RequestType": "*postpaid", "Account": "1001", "Destination": "4915112233",
            "AnswerTime": "2026-03-02T10:00:05Z", "Usage": f"{steps * STEP_S}s",
        }  # fmt: skip
        return self.call("CDRsV1.ProcessEvent", Event=event, Flags=list(flags))

    @rule(number=numbers, steps=steps)
    def event(self, number: int, steps: int) -> None:
        answer = self.process(number, steps)
        guarded = number in self.guarded and self.node.now_ns < self.guarded[number] + MINUTES_10_NS
        if guarded or number in self.stored:
            assert answer == "EXISTS"
        else:
            assert answer == "OK"
            self.stored[number] = steps
            self.paid_nano += cost_nano(steps)
        if not guarded:
            self.guarded[number] = self.node.now_ns

    @rule(number=numbers, steps=steps)
    def reprocess(self, number: int, steps: int) -> None:
        answer = self.process(number, steps, "*reprocess")
        if number in self.stored:
            assert answer == "EXISTS"
        else:
            assert answer == "OK"
            self.stored[number] = steps
            self.paid_nano += cost_nano(steps)

    @rule(number=numbers, steps=steps)
    def rerate(self, number: int, steps: int) -> None:
        """By the event: the guard is passed over (*rerate switches *reprocess on)."""
        answer = self.process(number, steps, "*rerate")
        if number not in self.stored:
            assert answer == "PARTIALLY_EXECUTED"
            return
        assert answer == "OK"
        old = self.stored[number]
        if old or not steps:  # a cost without increments has nothing to refund, and covers no usage
            self.paid_nano -= cost_nano(old)
        self.stored[number] = steps
        self.paid_nano += cost_nano(steps)

    @rule(number=numbers)
    def rate_stored(self, number: int) -> None:
        answer = self.call("CDRsV1.RateCDRs", OriginIDs=[f"call-{number}"], Flags=["*rerate", "*chargers:false"])
        assert answer == ("OK" if number in self.stored else "NOT_FOUND")

    @rule(number=numbers)
    def remove(self, number: int) -> None:
        answer = self.call("APIerSv1.RemoveCDRs", OriginIDs=[f"call-{number}"])
        assert answer == ("OK" if self.stored.pop(number, None) is not None else "SERVER_ERROR: NOT_FOUND")

    @rule()
    def deliver(self) -> None:
        self.node.store_all()
        assert self.node.tail() == []
        assert self.node.reader.count(()) == len(self.stored)

    @rule(minutes=st.sampled_from([1, 11]))
    def wait(self, minutes: int) -> None:
        self.node.advance(minutes * 60 * NANO)

    @rule(worker=st.integers(0, 2))
    def kill(self, worker: int) -> None:
        self.node.kill(worker % len(self.node.workers))

    @invariant()
    def one_record_per_key_and_paid_as_it_says(self) -> None:
        found = self.node.call("CDRsV1.GetCDRs", {})["result"] or []
        assert sorted(record["OriginID"] for record in found) == sorted(f"call-{number}" for number in self.stored)
        for record in found:
            steps = self.stored[int(record["OriginID"][5:])]
            assert round(record["Cost"] * NANO) == cost_nano(steps)
        account = self.node.call("APIerSv2.GetAccount", {"Account": "1001"})["result"]
        assert round(account["BalanceMap"]["*monetary"][0]["Value"] * NANO) == 100 * NANO - self.paid_nano


TestCalls = Calls.TestCase
TestCalls.settings = settings(max_examples=30, stateful_step_count=25, deadline=None)
