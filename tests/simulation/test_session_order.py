"""Requests of one session that are sent without waiting for answers keep their order, also when its runs are charged on
different workers (design 4, step 6)."""

from __future__ import annotations

from typing import Any

import pytest

from cgr_cluster.node.node import Node
from tests.conformance.inprocess import ROOT


def event(method: str, usage: str, **flags: bool) -> dict[str, Any]:
    data = {
        "OriginID": "o1", "OriginHost": "h", "ToR": "*voice", "RequestType": "*prepaid", "Account": "order_a",
        "Destination": "491700099", "Category": "call", "SetupTime": "2026-03-02T10:00:00Z",
        "AnswerTime": "2026-03-02T10:00:00Z", "Usage": usage,
    }  # fmt: skip
    return {"Tenant": "cgrates.org", "ID": method, "Event": data, **flags}


def charger(run: str, attributes: list[str], weight: int) -> dict[str, Any]:
    return {"Tenant": "cgrates.org", "ID": f"CHG_{run}", "RunID": run, "AttributeIDs": attributes, "Weight": weight}


@pytest.mark.parametrize("workers", [1, 3])
def test_a_whole_call_sent_at_once_is_charged_once_on_both_accounts(workers: int) -> None:
    node = Node(workers)
    folder = str(ROOT / "tariffplans" / "cdrs_retail")
    assert node.call("APIerSv1.LoadTariffPlanFromFolder", {"FolderPath": folder})["result"] == "OK"
    ids = node.call("APIerSv1.GetChargerProfileIDs", {})["result"] or []
    for name in ids:
        node.call("APIerSv1.RemoveChargerProfile", {"ID": name})
    others = ("order_b", "order_c", "order_d", "order_e")
    for account in ("order_a", *others):
        balance = {"Account": account, "BalanceType": "*monetary", "Value": 10, "Balance": {"ID": "M"}}
        assert node.call("APIerSv1.AddBalance", balance)["result"] == "OK"
    assert node.call("APIerSv1.SetChargerProfile", charger("first", ["*none"], 30))["result"] == "OK"
    for place, other in enumerate(others):
        rule = f"*constant:*req.Account:{other};*constant:*req.Subject:{other}"
        assert node.call("APIerSv1.SetChargerProfile", charger(other, [rule], place))["result"] == "OK"
    sent = [
        node.send("SessionSv1.InitiateSession", event("i", "60s", InitSession=True)),
        node.send("SessionSv1.UpdateSession", event("u", "60s", UpdateSession=True)),
        node.send("SessionSv1.TerminateSession", event("t", "75s", TerminateSession=True)),
        node.send("SessionSv1.ProcessCDR", event("c", "75s")),
    ]
    answers = [node.wait(uid) for uid in sent]
    assert [answer["error"] for answer in answers] == [None] * 4, answers
    cdrs = node.call("CDRsV1.GetCDRs", {})["result"]
    assert sorted(cdr["RunID"] for cdr in cdrs) == sorted(["first", *others])
    assert {cdr["CostSource"] for cdr in cdrs} == {"*sessions"}
    spent = {
        account: round(10 - node.call("APIerSv2.GetAccount", {"Account": account})["result"]["BalanceMap"]["*monetary"][0]["Value"], 9)
        for account in ("order_a", *others)
    }  # fmt: skip
    assert spent == {cdr["Account"]: cdr["Cost"] for cdr in cdrs}
    assert all(cost > 0 for cost in spent.values())
