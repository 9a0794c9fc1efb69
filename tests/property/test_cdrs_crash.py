"""A worker is killed at every commit and every send of a few calls: no answer differs, nothing is done twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cgr_cluster.node.node import Node

PLAN = Path(__file__).parents[1] / "conformance" / "tariffplans" / "cdrs_derived"
EVENT = {
    "OriginID": "call", "OriginHost": "host", "RequestType": "*postpaid", "Account": "1001", "Destination": "4915112233",
    "AnswerTime": "2026-03-02T10:00:05Z", "Usage": "60s",
}  # fmt: skip


def answers(crash_at: int) -> tuple[list[Any], int]:
    """What the calls answer, and how many events they took. `crash_at`: the event at which a worker dies, 0: none."""
    node = Node(3)

    def call(method: str, **params: Any) -> Any:
        reply = node.call(method, params)
        return reply["error"] or reply["result"]

    assert call("APIerSv1.LoadTariffPlanFromFolder", FolderPath=str(PLAN)) == "OK"
    assert call("APIerSv1.SetBalance", Account="1001", BalanceType="*monetary", Value=10, Balance={"ID": "m"}) == "OK"
    before = node.events
    node.crash_at = {before + crash_at} if crash_at else set()
    out = [
        call("CDRsV1.ProcessEvent", Event=EVENT),
        call("CDRsV1.RateCDRs", RequestTypes=["*postpaid"], Flags=["*rerate", "*chargers:false"]),
        call("CDRsV1.ProcessEvent", Event=EVENT),
        call("CDRsV1.ProcessEvent", Event=EVENT, Flags=["*reprocess"]),
        sorted((found["RunID"], found["Cost"], found["RequestType"]) for found in call("CDRsV1.GetCDRs")),
        call("APIerSv1.RemoveCDRs", RunIDs=["*raw"]),
        call("CDRsV1.GetCDRsCount"),
        call("APIerSv2.GetAccount", Account="1001")["BalanceMap"]["*monetary"][0]["Value"],
    ]
    return out, node.events - before


def test_a_crash_anywhere_changes_nothing() -> None:
    expected, events = answers(0)
    assert expected[:4] == ["OK", "OK", "EXISTS", "EXISTS"]
    assert expected[5:] == ["OK", 1, 9.83]
    assert [event for event in range(1, events + 1) if answers(event)[0] != expected] == []
