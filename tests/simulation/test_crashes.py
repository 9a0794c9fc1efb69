"""The real domain on three workers, one of them killed at every commit and send of a workload (design 9, invariants 3, 4, 6, 7,
10, 11, 17): answers, money and CDRs are those of the undisturbed run, nothing is left over, memory is what the log holds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from cgr_cluster.accounts.types import Account
from cgr_cluster.engine import remote_steps
from cgr_cluster.node.node import Node
from cgr_cluster.resources.types import Resource, Usage
from cgr_cluster.stats import steps as stat_steps
from cgr_cluster.stats.types import StatEntry, StatItem, StatQueue, StatValue
from cgr_cluster.thresholds.types import Threshold
from tests.simulation.crashing import (
    TENANT,
    WORKERS,
    Prepare,
    Workload,
    accounts_apart,
    cdrs,
    crash_everywhere,
    flaws,
    money_nano,
    of_kind,
    ok,
    run,
)
from tests.simulation.slow_node import SlowNode

PLANS = Path(__file__).parents[1] / "conformance/tariffplans"
S = 10**9
UNIT = 10**9  # nano of one unit of money
CGRID = "b2a1" * 10
GIVEN = {"retail": 10, "reseller": 7}  # money of the two accounts that a call is charged to


def call_plan(node: Node) -> None:
    """Two runs of every call, debited from accounts of different workers: by attributes that change the Account."""
    ok(node, "APIerSv1.LoadTariffPlanFromFolder", {"FolderPath": str(PLANS / "sessions_retail")})
    retail, reseller, _ = accounts_apart(node, 3)
    for account, money in ((retail, GIVEN["retail"]), (reseller, GIVEN["reseller"])):
        balance = {"Account": account, "BalanceType": "*monetary", "Value": money, "Balance": {"ID": "main"}}
        ok(node, "APIerSv1.SetBalance", balance)
    profile = {"ID": "RSL", "RunID": "reseller", "AttributeIDs": [f"*constant:*req.Account:{reseller}"], "Weight": 5}
    ok(node, "APIerSv1.SetChargerProfile", profile)


def event(node: Node, **fields: Any) -> dict[str, Any]:
    return {
        "CGRID": CGRID, "OriginID": "c", "OriginHost": "sw1", "ToR": "*voice", "RequestType": "*prepaid", "Account": accounts_apart(node, 1)[0],
        "Destination": "442071112222", "AnswerTime": "2026-03-02T10:00:00Z", **fields,
    }  # fmt: skip


def shown(node: Node) -> list[Any]:
    """What a client sees at the end."""
    accounts = [ok(node, "APIerSv2.GetAccount", {"Account": name}) for name in accounts_apart(node, 2)]
    records = node.call("CDRsV1.GetCDRs", {})["result"] or []  # NOT_FOUND when there is none
    return [
        [{b["ID"]: b["Value"] for b in account["BalanceMap"]["*monetary"]} for account in accounts],
        sorted((record["RunID"], record["Cost"], record["Usage"]) for record in records),
        ok(node, "SessionSv1.GetActiveSessionsCount", {}),
    ]


def paid_by_cdrs(node: Node) -> bool:
    """What the accounts have lost is what their CDRs cost, to the last digit."""
    given = sum(GIVEN.values()) * UNIT
    return sum(money_nano(node).values()) + sum(cdr.cost_nano for cdr in cdrs(node)) == given


def session(node: Node) -> list[Any]:
    return [
        node.call("SessionSv1.InitiateSession", {"InitSession": True, "Event": event(node, Usage="30s")}),
        node.call("SessionSv1.InitiateSession", {"InitSession": True, "Event": event(node, Usage="30s")}),
        node.call("SessionSv1.UpdateSession", {"UpdateSession": True, "Event": event(node, Usage="60s", LastUsed="20s")}),
        node.call("SessionSv1.TerminateSession", {"TerminateSession": True, "Event": event(node, Usage="75s")}),
        node.call("SessionSv1.ProcessCDR", {"Event": event(node)}),
        shown(node),
    ]  # fmt: skip


def attribute_plan(node: Node) -> None:
    """AttributeS moves a call to the account of another worker, by what a third one holds: where the request comes in, where
    an attribute's source lives and where it is charged differ."""
    call_plan(node)
    ok(node, "APIerSv1.RemoveChargerProfile", {"ID": "RSL"})
    _, reseller, third = accounts_apart(node, 3)
    ok(node, "APIerSv2.SetAccount", {"Account": third})
    attributes = [
        {
            "Path": "*req.Account",
            "Value": [{"Rules": reseller}],
            "FilterIDs": [f"*string:~*accounts.{third}.Disabled:false"],
        },
        {"Path": "*req.Token", "Value": [{"Rules": "x{*random}"}]},
    ]
    profile = {"ID": "MOVE", "Contexts": ["*sessions", "*cdrs"], "Attributes": attributes}
    ok(node, "APIerSv1.SetAttributeProfile", profile)


def attributed_session(node: Node) -> list[Any]:
    asked = {"GetAttributes": True}
    answers = [
        node.call("SessionSv1.AuthorizeEvent", {**asked, "GetMaxUsage": True, "Event": event(node, Usage="30s")}),
        node.call("SessionSv1.InitiateSession", {**asked, "InitSession": True, "Event": event(node, Usage="30s")}),
        node.call("SessionSv1.UpdateSession", {**asked, "UpdateSession": True, "Event": event(node, Usage="60s")}),
        node.call("SessionSv1.TerminateSession", {"TerminateSession": True, "Event": event(node, Usage="75s")}),
        node.call("SessionSv1.ProcessCDR", {"Event": event(node)}),
        node.call("CDRsV1.ProcessEvent", {"Flags": ["*rals"], "Event": event(node, CGRID="c" * 40, Usage="7s")}),
    ]  # fmt: skip
    granted = [answer["result"]["MaxUsage"] for answer in answers[:3]]
    return [granted, [answer["error"] for answer in answers], shown(node)]


def message(node: Node) -> list[Any]:
    fields = event(node, OriginID="m", Usage="45s")
    del fields["CGRID"]
    call = {"AllocateResources": False, "Debit": True, "Event": fields}
    return [node.call("SessionSv1.ProcessMessage", call), shown(node)]


def cdr_twice(node: Node) -> list[Any]:
    params = {"Flags": ["*rals"], "Event": event(node, Usage="61s", SetupTime="2026-03-02T09:59:58Z")}
    return [node.call("CDRsV1.ProcessEvent", params), node.call("CDRsV1.ProcessEvent", params), shown(node)]


def time_to_live(node: Node) -> list[Any]:
    opts = {"*sessionsTTL": "5s"}
    params = {"InitSession": True, "Event": event(node, Usage="30s"), "APIOpts": opts}
    answer = node.call("SessionSv1.InitiateSession", params)
    node.advance(30 * S)
    return [answer, shown(node)]


def automatic_debits(node: Node) -> list[Any]:
    opts = {"*sessionsDebitInterval": "20s"}
    params = {"InitSession": True, "Event": event(node, Usage="20s"), "APIOpts": opts}
    answer = node.call("SessionSv1.InitiateSession", params)
    node.advance(50 * S)
    end = {"TerminateSession": True, "Event": event(node, Usage="50s")}
    return [answer, node.call("SessionSv1.TerminateSession", end), node.call("SessionSv1.ProcessCDR", {"Event": event(node)}),
            shown(node)]  # fmt: skip


def all_at_once(node: Node) -> list[Any]:
    """Many calls on the same accounts under way together; each phone call's own requests follow each other."""
    first, second, third = accounts_apart(node, 3)
    calls = range(4)
    out: list[Any] = []

    def together(*requests: tuple[str, dict[str, Any]]) -> None:
        out.extend([node.wait(uid) for uid in [node.send(method, params) for method, params in requests]])

    def of(number: int, **fields: Any) -> dict[str, Any]:
        return event(node, CGRID=f"{number:x}" * 40, OriginID=f"o{number}", **fields)

    def transfer(number: int) -> dict[str, Any]:
        source = (first, second)[number % 2]
        return {
            "SourceAccountID": source, "SourceBalanceID": "main", "DestinationAccountID": third,
            "DestinationBalanceID": "main", "Units": 0.5,
        }  # fmt: skip

    ok(node, "APIerSv2.SetAccount", {"Account": third})
    together(*(("SessionSv1.InitiateSession", {"InitSession": True, "Event": of(n, Usage="30s")}) for n in calls))
    together(
        *(
            ("SessionSv1.UpdateSession", {"UpdateSession": True, "Event": of(n, Usage="9s", LastUsed="25s")})
            for n in calls
        ),
        *(("CDRsV1.ProcessEvent", {"Flags": ["*rals"], "Event": of(8 + n, Usage="7s")}) for n in calls),
        *(("CDRsV1.ProcessEvent", {"Flags": ["*rals"], "Event": of(8 + n, Usage="7s")}) for n in calls),
        *(("APIerSv1.TransferBalance", transfer(n)) for n in calls),
    )
    together(
        *(
            ("SessionSv1.TerminateSession", {"TerminateSession": True, "Event": of(n, Usage=f"{40 + n}s")})
            for n in calls
        ),
        *(("APIerSv1.TransferBalance", transfer(n)) for n in calls),
    )
    together(*(("SessionSv1.ProcessCDR", {"Event": of(n)}) for n in calls))
    return [
        sorted(str(answer["error"]) for answer in out),
        shown(node),
    ]  # which of two equal CDRs comes first may differ


def purses(node: Node) -> None:
    for account, money in zip(accounts_apart(node, 3), (10, 1, 0), strict=True):
        balance = {"Account": account, "BalanceType": "*monetary", "Value": money, "Balance": {"ID": "MAIN"}}
        ok(node, "APIerSv1.SetBalance", balance)


def top_ups(node: Node) -> list[Any]:
    return [
        node.call(
            "APIerSv1.AddBalance",
            {"Account": account, "BalanceType": "*monetary", "Value": value, "Balance": {"ID": "MAIN"}},
        )
        for account, value in zip(accounts_apart(node, 3), (1.5, 0.00001, 3), strict=True)
    ]


def transfers(node: Node) -> list[Any]:
    first, second, third = accounts_apart(node, 3)
    return [
        node.call(
            "APIerSv1.TransferBalance",
            {
                "SourceAccountID": source, "SourceBalanceID": "MAIN", "DestinationAccountID": target,
                "DestinationBalanceID": "MAIN", "Units": units,
            },
        )
        for source, target, units in ((first, second, 4), (second, third, 2.5), (third, first, 100), (third, second, 1))
    ]  # fmt: skip


def asap_plan(node: Node) -> None:
    topup = {"Identifier": "*topup", "BalanceType": "*monetary", "Units": "2.5", "BalanceId": "MAIN", "Weight": 10}
    ok(node, "APIerSv2.SetActions", {"ActionsId": "GIFT", "Overwrite": True, "Actions": [topup]})
    row = {"ActionsId": "GIFT", "Time": "*asap", "Weight": 10}
    ok(node, "APIerSv1.SetActionPlan", {"Id": "AP", "ActionPlan": [row], "ReloadScheduler": True})


def plan_runs(node: Node) -> list[Any]:
    out = [
        node.call("APIerSv2.SetAccount", {"Account": f"p{n}", "ActionPlanIDs": ["AP"], "ReloadScheduler": n % 2 == 0})
        for n in range(5)
    ]
    node.advance(2 * S)
    return out


def load_plan(node: Node) -> list[Any]:
    loaded = node.call("APIerSv1.LoadTariffPlanFromFolder", {"FolderPath": str(PLANS / "accounts_main")})
    node.advance(2 * S)
    cost = {
        "Category": "call",
        "Subject": "any",
        "AnswerTime": "2026-03-02T10:00:00Z",
        "Destination": "+40721",
        "Usage": "60s",
    }
    return [loaded, node.call("APIerSv1.GetCost", {"Tenant": "cgrates.org", **cost})["result"]["Cost"],
            sorted(node.call("APIerSv1.GetRatingPlanIDs", {})["result"]),
            sorted(node.call("APIerSv2.GetAccounts", {})["result"], key=lambda a: a["ID"])]  # fmt: skip


QUEUES = ("Q0", "Q1", "Q2")  # of different workers


def queue_plan(node: Node) -> None:
    """Queues that take every event, CDR and account event of the first account, and a threshold on one of them that tops
    that account up."""
    call_plan(node)
    account = accounts_apart(node, 1)[0]
    metrics = [{"MetricID": name} for name in ("*sum#1", "*tcc", "*ddc", "*highest#~*req.Cost")]
    filters = [f"*string:~*req.Account:{account}"]
    for queue, length in zip(QUEUES, (0, 2, -1), strict=True):
        profile = {"ID": queue, "FilterIDs": filters, "QueueLength": length, "TTL": -1, "Metrics": metrics}
        ok(node, "APIerSv1.SetStatQueueProfile", {**profile, "ThresholdIDs": ["THD"] if queue == "Q0" else ["*none"]})
    ok(
        node,
        "APIerSv1.SetStatQueueProfile",
        {"ID": "QA", "FilterIDs": [f"*string:~*req.AccountID:{account}"], "Metrics": metrics[:1]},
    )
    topup = {"Identifier": "*topup", "BalanceType": "*monetary", "Units": "1", "BalanceId": "gift"}
    ok(node, "APIerSv2.SetActions", {"ActionsId": "GIFT", "Actions": [topup]})
    threshold = {"ID": "THD", "FilterIDs": ["*gt:~*req.*tcc:1"], "MaxHits": -1, "ActionIDs": ["GIFT"]}
    ok(node, "APIerSv1.SetThresholdProfile", threshold)


def queue_events(node: Node) -> list[Any]:
    account = accounts_apart(node, 1)[0]

    def told(event_id: str, **fields: Any) -> Any:
        opts = {"*accountID": account}
        return node.call(
            "StatSv1.ProcessEvent", {"ID": event_id, "Event": {"Account": account, **fields}, "APIOpts": opts}
        )

    answers = [
        told("one", Cost=1, Destination="49"),
        told("two", Cost=2.5, Destination="44"),
        told("one", Cost=0.5, Destination="49"),
        node.call(
            "CDRsV1.ProcessEvent", {"Flags": ["*rals", "*stats"], "ID": "cdr", "Event": event(node, Usage="61s")}
        ),
        node.call("StatSv1.ResetStatQueue", {"ID": "Q2"}),
        told("three", Cost=4),
    ]
    metrics = [ok(node, "StatSv1.GetQueueStringMetrics", {"ID": queue}) for queue in (*QUEUES, "QA")]
    queues = [ok(node, "StatSv1.GetStatQueue", {"ID": queue}) for queue in QUEUES]
    hits = ok(node, "ThresholdSv1.GetThreshold", {"ID": "THD"})["Hits"]
    return [answers, metrics, queues, hits, shown(node)]


def paid_with_gifts(node: Node) -> bool:
    """Three of the four hits have an account to top up."""
    given = (sum(GIVEN.values()) + 3) * UNIT
    return sum(money_nano(node).values()) + sum(cdr.cost_nano for cdr in cdrs(node)) == given


def sums_to(units: float) -> Callable[[Node], bool]:
    return lambda node: sum(money_nano(node).values()) == round(units * UNIT)


# --- thresholds --------------------------------------------------------------------------------------------------

BONUS = 0.25  # what a hit of the thresholds with actions gives


def threshold_plan(node: Node) -> None:
    """Thresholds on different workers, on account, CDR and session events; two give a bonus, one in the background, to the
    account of the event. The group of one of them does not exist."""
    call_plan(node)
    bonus = {
        "Identifier": "*topup",
        "BalanceType": "*monetary",
        "Units": str(BONUS),
        "BalanceId": "bonus",
        "Weight": 10,
    }
    ok(node, "APIerSv2.SetActions", {"ActionsId": "BONUS", "Overwrite": True, "Actions": [bonus]})
    update, cdr = "*string:~*opts.*eventType:AccountUpdate", "*string:~*opts.*eventType:CDR"
    for name, filters, more in (
        ("T_ACCOUNT", [update], {"ActionIDs": ["BONUS"], "Weight": 30}),
        ("T_LATER", [update, "*gt:~*asm.BalanceSummaries.main.Value:8"], {"ActionIDs": ["BONUS"], "Async": True}),
        ("T_CDR", [cdr, "*gte:~*accounts.<~*req.Account>.BalanceMap.*monetary[0].Value:0"], {"MinSleep": 1}),
        ("T_NONE", [cdr], {"ActionIDs": ["NOBODY"], "MaxHits": 1, "Weight": -1}),
        ("T_SESSION", ["*string:~*req.OriginID:c"], {"Blocker": True, "Weight": 50}),
    ):
        ok(node, "APIerSv1.SetThresholdProfile", {"ID": name, "FilterIDs": filters, "MaxHits": -1, **more})


def counted(node: Node) -> list[Any]:
    names = ok(node, "ThresholdSv1.GetThresholdIDs", {})
    return [(name, ok(node, "ThresholdSv1.GetThreshold", {"ID": name})["Hits"]) for name in names]


def threshold_events(node: Node) -> list[Any]:
    retail = accounts_apart(node, 1)[0]
    call = {"InitSession": True, "ProcessThresholds": True, "Event": event(node, Usage="30s")}
    cdr = {"Flags": ["*rals"], "Event": event(node, CGRID="c" * 40, OriginID="d", Usage="61s")}
    debit = {"Account": retail, "BalanceType": "*monetary", "Value": 0.5, "Balance": {"ID": "main"}}
    own = {"ID": "e1", "Event": {"Account": retail, "OriginID": "c"}}
    out = [
        node.call("APIerSv1.DebitBalance", debit),
        counted(node),  # at once: the answer says that the hit is there
        node.call("SessionSv1.InitiateSession", call),
        node.call("SessionSv1.TerminateSession", {"TerminateSession": True, "Event": event(node, Usage="75s")}),
        node.call("CDRsV1.ProcessEvent", cdr),
        node.call("ThresholdSv1.ProcessEvent", own),
        counted(node),
        node.call("ThresholdSv1.ResetThreshold", {"ID": "T_SESSION"}),
        node.call("APIerSv1.RemoveThresholdProfile", {"ID": "T_CDR"}),
    ]
    return [*out, counted(node), shown(node)]


def bonuses_as_counted(node: Node) -> bool:
    """The bonuses on the accounts are the hits of the thresholds that give them, and no state is one of a profile that is
    gone."""
    hits = of_kind(node, "threshold", Threshold)
    given = sum(hits[f"{TENANT}:{name}"].hits for name in ("T_ACCOUNT", "T_LATER"))
    accounts = of_kind(node, "account", Account).values()
    held = sum(b.value for a in accounts for b in (a.balances or {}).get("*monetary", ()) if b.id == "bonus")
    return held == given * round(BONUS * UNIT) and f"{TENANT}:T_CDR" not in hits


def hits_of_many(node: Node) -> list[Any]:
    """Many events for the same thresholds under way together."""
    first, second, _ = accounts_apart(node, 3)
    debit = {"BalanceType": "*monetary", "Value": 0.001, "Balance": {"ID": "main"}}
    requests: list[tuple[str, dict[str, Any]]] = []
    for number in range(6):
        account = (first, second)[number % 2]
        requests.append(("APIerSv1.DebitBalance", {**debit, "Account": account}))
        requests.append(("ThresholdSv1.ProcessEvent", {"ID": f"e{number}", "Event": {"OriginID": "c"}}))
    answers = [node.wait(uid) for uid in [node.send(method, params) for method, params in requests]]
    ok(node, "APIerSv1.RemoveThresholdProfile", {"ID": "T_CDR"})
    return [*answers, counted(node)]


# --- resources ---------------------------------------------------------------------------------------------------


def resource_plan(node: Node) -> None:
    """A resource of all calls and one of an account, which tells a threshold; sessions take them too."""
    call_plan(node)
    retail = accounts_apart(node, 1)[0]
    for name, filters, more in (
        ("ALL", [], {"Limit": 5, "UsageTTL": 3600 * S}),
        ("OWN", [f"*string:~*req.Account:{retail}"], {"Limit": 2, "UsageTTL": -1, "Weight": 10, "ThresholdIDs": ["T"]}),
    ):
        profile = {"ID": name, "FilterIDs": filters, "ThresholdIDs": ["*none"], **more}
        ok(node, "APIerSv1.SetResourceProfile", profile)
    threshold = {"ID": "T", "FilterIDs": ["*string:~*opts.*eventType:ResourceUpdate"], "MaxHits": -1}
    ok(node, "APIerSv1.SetThresholdProfile", threshold)


def taken(node: Node) -> list[Any]:
    """Usages with their units, and the hits of the threshold."""
    found = [ok(node, "ResourceSv1.GetResource", {"ID": name}) for name in ("ALL", "OWN")]
    units = [{name: usage["Units"] for name, usage in resource["Usages"].items()} for resource in found]
    return [units, found[0]["TTLIdx"], counted(node)]


def resource_calls(node: Node) -> list[Any]:
    retail = accounts_apart(node, 1)[0]

    def of(method: str, usage_id: str, units: float = 1, account: str = retail) -> Any:
        opts = {"*rsUsageID": usage_id, "*rsUnits": units}
        return node.call(f"ResourceSv1.{method}", {"ID": "e", "Event": {"Account": account}, "APIOpts": opts})

    start = {"AllocateResources": True, "InitSession": True, "Event": event(node, Usage="30s")}
    end = {"TerminateSession": True, "ReleaseResources": True, "Event": event(node, Usage="31s")}
    out = [
        of("AllocateResources", "a"),
        of("AllocateResources", "b", 1.5),
        node.call("SessionSv1.InitiateSession", start),
        of("AuthorizeResources", "x", 2),
        of("AllocateResources", "a", 0.25),
        of("AllocateResources", "x", 9),
        taken(node),
        of("ReleaseResources", "b"),
        of("ReleaseResources", "nobody"),
        node.call("SessionSv1.TerminateSession", end),
        node.call("SessionSv1.ProcessCDR", {"Event": event(node)}),
        of("AllocateResources", "b", 1, "other"),
        taken(node),
    ]
    lost = {"AllocateResources": True, "InitSession": True, "APIOpts": {"*sessionsTTL": "5s"}}
    fields = event(node, OriginID="ttl", CGRID="d" * 40, Usage="10s")
    out.append(node.call("SessionSv1.InitiateSession", {**lost, "Event": fields}))
    out.append(taken(node))
    node.advance(30 * S)
    return [*out, taken(node), shown(node)]


def resources_whole(node: Node) -> bool:
    """What a resource counts is what its usages hold, and no usage is one of nobody's."""
    resources, usages = of_kind(node, "resource", Resource), of_kind(node, "resource_usage", Usage)
    held = dict.fromkeys((resource.state_id for resource in resources.values()), 0)
    for key, usage in usages.items():
        held[key.partition(":")[0]] += usage.units_nano
    return all(resource.used_nano == held[resource.state_id] for resource in resources.values()) and paid_by_cdrs(node)


# --- addresses ---------------------------------------------------------------------------------------------------


def ip_plan(node: Node) -> None:
    call_plan(node)
    ok(node, "ConfigSv1.SetConfig", {"Config": {"ips": {"enabled": True}, "sessions": {"ips_conns": ["*internal"]}}})
    pools = [{"ID": f"P{number}", "Range": f"10.0.0.{number}/32"} for number in range(3)]
    ok(node, "APIerSv1.SetIPProfile", {"ID": "I", "Pools": pools, "TTL": 20 * S})


def addresses(node: Node) -> Any:
    found = ok(node, "IPsV1.GetIPAllocations", {"ID": "I"})
    return [{name: one["Address"] for name, one in found["Allocations"].items()}, found["TTLIndex"]]


def ip_calls(node: Node) -> list[Any]:
    def of(method: str, allocation_id: str, **opts: Any) -> Any:
        asked = {"ID": "e", "Event": {"A": "1"}, "APIOpts": {"*ipAllocationID": allocation_id, **opts}}
        return node.call(f"IPsV1.{method}", asked)

    start = {"AllocateIP": True, "InitSession": True, "Event": event(node, Usage="30s")}
    end = {"TerminateSession": True, "ReleaseIP": True, "Event": event(node, Usage="31s")}
    lost = {"AllocateIP": True, "InitSession": True, "APIOpts": {"*sessionsTTL": "5s"}}
    fields = event(node, OriginID="ttl", CGRID="d" * 40, Usage="10s")
    out = [
        of("AllocateIP", "a"),
        node.call("SessionSv1.InitiateSession", start),
        of("AllocateIP", "b", **{"*ipTTL": -1}),
        of("AllocateIP", "x"),
        of("AllocateIP", "a"),
        addresses(node),
        node.call("SessionSv1.TerminateSession", end),
        node.call("SessionSv1.ProcessCDR", {"Event": event(node)}),
        of("ReleaseIP", "nobody"),
        node.call("SessionSv1.InitiateSession", {**lost, "Event": fields}),
        addresses(node),
    ]
    node.advance(30 * S)
    out += [addresses(node), of("AllocateIP", "y"), shown(node)]
    out += [ok(node, "IPsV1.ClearIPAllocations", {"ID": "I", "AllocationIDs": ["b"]}), addresses(node)]
    return [*out, ok(node, "APIerSv1.RemoveIPProfile", {"ID": "I"})]


def no_address_left(node: Node) -> bool:
    return paid_by_cdrs(node) and not [key for _, key in node.disk if key.startswith(("ip_", "timer/ip/"))]


def query_plan(node: Node) -> None:
    """Queues of several owners, a trend of one of them and a ranking of all, and thresholds that count their runs."""
    for name in ("Q1", "Q2"):
        metrics = [{"MetricID": "*tcc"}, {"MetricID": "*sum#1"}]
        queue = {"ID": name, "FilterIDs": [f"*string:~*req.Q:{name}"], "TTL": -1, "Metrics": metrics}
        ok(node, "APIerSv1.SetStatQueueProfile", {**queue, "ThresholdIDs": ["*none"]})
    for name in ("TH_TREND", "TH_RANKING"):
        ok(node, "APIerSv1.SetThresholdProfile", {"ID": name, "MaxHits": -1, "MinHits": 99})
    trend = {"ID": "T", "Schedule": "@every 3s", "StatID": "Q1", "TTL": -1, "QueueLength": 2}
    ok(node, "APIerSv1.SetTrendProfile", {**trend, "CorrelationType": "*average", "ThresholdIDs": ["TH_TREND"]})
    ranking = {"ID": "R", "Schedule": "@every 5s", "StatIDs": ["Q1", "Q2"], "Sorting": "*desc"}
    ok(node, "APIerSv1.SetRankingProfile", {**ranking, "SortingParameters": ["*tcc"], "ThresholdIDs": ["TH_RANKING"]})


def queries(node: Node) -> list[Any]:
    """Each instant of a schedule has one run, which thresholds hear of once."""

    def cost(name: str, amount: int) -> Any:
        return node.call("StatSv1.ProcessEvent", {"ID": f"{name}{amount}", "Event": {"Q": name, "Cost": amount}})

    answers = [
        node.call("TrendSv1.ScheduleQueries", {"TrendIDs": ["T", "NONE"]}),
        node.call("RankingSv1.ScheduleQueries", {"RankingIDs": ["R"]}),
    ]
    for number, name in enumerate(("Q1", "Q2")):
        answers.append(cost(name, 1 + number))
        node.advance(4 * S)
    samples = ok(node, "TrendSv1.GetTrend", {"ID": "T"})["Metrics"].values()
    answers.append([[list(one.values()) for one in metrics.values()] for metrics in samples])
    ranking = ok(node, "RankingSv1.GetRanking", {"ID": "R"})
    answers += [ranking["SortedStatIDs"], ranking["Metrics"]]
    answers += [ok(node, "ThresholdSv1.GetThreshold", {"ID": name})["Hits"] for name in ("TH_TREND", "TH_RANKING")]
    node.call("APIerSv1.RemoveTrendProfile", {"ID": "T"})
    node.call("APIerSv1.RemoveRankingProfile", {"ID": "R"})
    node.advance(6 * S)
    answers += [node.call("TrendSv1.GetScheduledTrends", {}), node.call("RankingSv1.GetSchedule", {})]
    return answers


def no_query_left(node: Node) -> bool:
    kinds = ("trend/", "trend_sample/", "ranking/", "scheduled_query/", "timer/query/")
    return not any(key.startswith(kinds) for _, key in node.disk)


def nothing(node: Node) -> None:
    pass


CASES: dict[str, tuple[Prepare, Workload, Callable[[Node], bool]]] = {
    "a session with two runs": (call_plan, session, paid_by_cdrs),
    "a session that attributes move to another owner": (attribute_plan, attributed_session, paid_by_cdrs),
    "a message": (call_plan, message, lambda node: sum(money_nano(node).values()) == round(16.1 * UNIT)),
    "a CDR with two debited runs, twice": (call_plan, cdr_twice, paid_by_cdrs),
    "a session that nobody ends": (call_plan, time_to_live, paid_by_cdrs),
    "automatic debits": (call_plan, automatic_debits, paid_by_cdrs),
    "top-ups": (purses, top_ups, sums_to(15.50001)),
    "transfers between shards": (purses, transfers, sums_to(11)),
    "an *asap plan over five accounts": (asap_plan, plan_runs, sums_to(12.5)),
    "events that thresholds count and act on": (threshold_plan, threshold_events, bonuses_as_counted),
    "events in statistic queues": (queue_plan, queue_events, paid_with_gifts),
    "resources of sessions and of others": (resource_plan, resource_calls, resources_whole),
    "addresses of sessions and of others": (ip_plan, ip_calls, no_address_left),
    "a load of a folder": (nothing, load_plan, lambda node: True),
    "scheduled queries": (query_plan, queries, no_query_left),
}


@pytest.mark.parametrize("name", CASES)
def test_invariants_03_04_06_07_10_11_a_crash_at_any_event_changes_nothing(name: str) -> None:
    prepare, workload, balanced = CASES[name]
    wrong, events = crash_everywhere(prepare, workload, balanced)
    assert events >= 6  # a workload that sends nothing proves nothing
    assert wrong == []


def slowly(seed: int, prepare: Prepare, workload: Workload, crash_at: tuple[int, ...]) -> tuple[Node, list[Any]]:
    """The workload on a node with a slow log and a random order of turns."""
    node = SlowNode(WORKERS, seed)
    prepare(node)
    node.run()
    node.crash_at = {node.events + number for number in crash_at}
    answers = workload(node)
    node.run()
    return node, answers


AT_ONCE: dict[str, tuple[Prepare, Workload, Callable[[Node], bool]]] = {
    "many calls at once": (call_plan, all_at_once, paid_by_cdrs),
    "many hits at once": (threshold_plan, hits_of_many, bonuses_as_counted),
}


@pytest.mark.parametrize("name", [*CASES, *AT_ONCE])
def test_invariants_03_06_07_any_order_of_turns_commits_and_crashes_changes_nothing(name: str) -> None:
    prepare, workload, balanced = (CASES | AT_ONCE)[name]
    calm, expected, events = run(prepare, workload, ())
    for seed in range(40):
        random = Random(seed)
        crash_at = tuple(random.sample(range(1, events + 10), random.choice((0, 1, 2, 3, 5))))
        node, answers = slowly(seed, prepare, workload, crash_at)
        assert answers == expected, (seed, crash_at)
        assert flaws(node) == [], (seed, crash_at)
        assert balanced(node), (seed, crash_at)
        assert money_nano(node) == money_nano(calm), (seed, crash_at)


def test_a_large_queue_is_emptied_in_pieces_whoever_dies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stat_steps, "SWEPT_AT_ONCE", 2)
    profile = {"ID": "Q0", "TTL": -1, "Metrics": [{"MetricID": "*ddc"}, {"MetricID": "*tcc"}]}

    def take(node: Node, event_id: str, number: int) -> Any:
        fields = {"Destination": str(number % 3), "Cost": number}
        return node.call("StatSv1.ProcessEvent", {"ID": event_id, "Event": fields})

    def fill(node: Node) -> None:
        ok(node, "APIerSv1.SetStatQueueProfile", profile)
        for number in range(7):
            take(node, f"e{number % 5}", number)

    def empty(node: Node) -> list[Any]:
        answers = [
            node.call("APIerSv1.SetStatQueueProfile", {**profile, "QueueLength": 9}),
            *(take(node, f"x{number}", number) for number in range(4)),
            node.call("StatSv1.ResetStatQueue", {"ID": "Q0"}),
            take(node, "y", 1),
            node.call("StatSv1.GetStatQueue", {"ID": "Q0"}),
            node.call("APIerSv1.RemoveStatQueueProfile", {"ID": "Q0"}),
        ]
        node.run()
        return answers

    kinds = (("stat_queue", StatQueue), ("stat_item", StatItem), ("stat_entry", StatEntry), ("stat_value", StatValue))
    wrong, _ = crash_everywhere(fill, empty, lambda node: not any(of_kind(node, *kind) for kind in kinds))
    assert wrong == []


def test_invariant_07_is_shown_to_fail_when_owners_forget_step_results(monkeypatch: pytest.MonkeyPatch) -> None:
    """A transfer's step that is delivered again is done again: money appears from nothing."""
    monkeypatch.setattr(remote_steps, "Memo", lambda *record: None)
    wrong, _ = crash_everywhere(purses, transfers, sums_to(11))
    assert any("invariant 7" in text for text in wrong)
