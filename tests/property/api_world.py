"""A node with something of everything, for fuzzing; and what must be so after any sequence of calls."""

from __future__ import annotations

import json
import logging
import re
import tempfile
from pathlib import Path
from typing import Any

from cgr_cluster.config import settings
from cgr_cluster.config.settings import ephemeral
from cgr_cluster.node.node import Node
from cgr_cluster.rpc.errors import ApiError
from tests.simulation.crashing import flaws

START = "2026-03-02T10:00:00Z"
PROBE = "probe.example"  # a tenant that no fuzzed call names

STORED_TOO = {
    "Trends.csv": "cgrates.org,TRD_1,@every 1h,STS_1,*acc,-1,10,1,*last,5,false,*none\n",
    "Rankings.csv": "cgrates.org,RNK_1,@every 1h,STS_1,,*desc,*tcc,false,*none\n",
}
PLAN = {
    "Destinations.csv": "DST_RO,+40\nDST_RO,+4072\nDST_DE,+49\n",
    "Timings.csv": "TM_DAY,*any,*any,*any,1;2;3;4;5,08:00:00\nTM_NIGHT,*any,*any,*any,*any,00:00:00\n",
    "Rates.csv": "RT_STD,0.05,0.12,60s,1s,0s\nRT_STD,0,0.06,60s,10s,60s\nRT_UNIT,0,0.1,1,1,0\n",
    "DestinationRates.csv": "DR_ALL,DST_RO,RT_STD,*up,4,0,\nDR_ALL,DST_DE,RT_STD,*up,2,5,*free\nDR_ANY,*any,RT_UNIT,*middle,4,0,\n",
    "RatingPlans.csv": "RP_ALL,DR_ALL,TM_NIGHT,10\nRP_ALL,DR_ALL,TM_DAY,20\nRP_ALL,DR_ANY,*any,5\n",
    "RatingProfiles.csv": "cgrates.org,call,*any,2020-01-01T00:00:00Z,RP_ALL,\ncgrates.org,data,*any,2020-01-01T00:00:00Z,RP_ALL,\ncgrates.org,*routes,*any,,RP_ALL,\n",
    "SharedGroups.csv": "SG1,*any,*lowest,\n",
    "Filters.csv": "cgrates.org,FLTR_1,*string,~*req.Account,1001;1002,\n",
    "Chargers.csv": "cgrates.org,DEFAULT,,,*default,*none,0\ncgrates.org,EXTRA,FLTR_1,,extra,*constant:*req.RequestType:*rated,10\n",
    "Actions.csv": "ACT_TOPUP,*topup,,,MAIN,*monetary,,,,,*unlimited,,10,10,false,false,10\nACT_BAD,*topup,,,MAIN,*monetary,,,,,*unlimited,,1,10,false,false,20\nACT_BAD,*nope,,,,,,,,,,,,,,,10\n",
    "ActionPlans.csv": "AP_DAY,ACT_TOPUP,TM_DAY,10\nAP_ASAP,ACT_TOPUP,*asap,10\n",
    "ActionTriggers.csv": "TG,U1,*min_balance,2,false,0,,,,*monetary,,,,,,,,,,ACT_TOPUP,10\nTG,U2,*max_event_counter,3,true,0,,,,*monetary,,,,,,,,,,ACT_TOPUP,10\n",
    "Attributes.csv": "cgrates.org,ATTR_1,*any,FLTR_1,,,*req.Extra,*constant,5,false,10\ncgrates.org,ATTR_1,,,,*string:~*req.Account:1002,*req.Sum,*sum,~*req.Usage;1,,\n",
    "Thresholds.csv": "cgrates.org,THD_1,FLTR_1,,-1,1,1s,false,10,ACT_TOPUP,false,\n",
    "Stats.csv": "cgrates.org,STS_1,FLTR_1,,10,1h,0,*tcd;*acc;*sum#~*req.Cost,,true,false,10,*none\n",
    "Resources.csv": "cgrates.org,RES_1,FLTR_1,,1h,3,OK,false,true,10,*none\n",
    "IPs.csv": "cgrates.org,IP_1,,,1h,true,10,P1,FLTR_1,*ipv4,10.0.0.1/32,*ascending,OK,5,false\ncgrates.org,IP_1,,,,,,P2,,*ipv6,2001:db8::/64,,,,\n",
    "Routes.csv": "cgrates.org,ROU_1,,,*weight,,gw1,,,,,,10,false,p,10\n",
    "AccountActions.csv": "cgrates.org,1003,AP_DAY,TG,,\n",
}  # fmt: skip


SWITCHED_ON: dict[str, dict[str, Any]] = {
    "ips": {"enabled": True},
    "sessions": {"ips_conns": ["*internal"]},
    "cluster": {"ip_ranges": True},
    "prometheus_agent": {
        "enabled": True,
        "stats_conns": ["*internal"],
        "apiers_conns": ["*internal"],
        "caches_conns": ["*internal"],
    },
}


def call(number: str, account: str, usage: str, request_type: str = "*prepaid", **more: Any) -> dict[str, Any]:
    return {
        "OriginID": number, "OriginHost": "sw1", "ToR": "*voice", "RequestType": request_type, "Account": account, "Destination": "+4072111222",
        "Category": "call", "SetupTime": START, "AnswerTime": START, "Usage": usage, **more,
    }  # fmt: skip


class World:
    """Makes nodes that all begin with the same state; `folders` are the paths that calls may name."""

    def __init__(self) -> None:
        self._temporary = tempfile.TemporaryDirectory(prefix="cgr-fuzz-")
        root = Path(self._temporary.name)
        self.folders = []
        for name, files in (
            ("plan", PLAN),
            ("store", {**PLAN, **STORED_TOO}),
            ("empty", {}),
            ("broken", {"Rates.csv": "a,b\n", "Destinations.csv": "D,+1\n"}),
        ):
            (root / name).mkdir()
            self.folders.append(str(root / name))
            for file, text in files.items():
                (root / name / file).write_text(text)
        (root / "settings.json").write_text('{"rals":{"fallback_depth":2}}')
        self.folders += [
            str(root / "out"),
            str(root / "settings.json"),
            "/nonexistent",
            "/dev/null/x",
            "\x00",
            "a" * 300,
        ]
        self.plan = self.folders[0]
        self._origin = self._made()

    def _node(self) -> Node:
        config = dict(settings.ephemeral())
        for section, values in SWITCHED_ON.items():
            config[section] = {**config.get(section, {}), **values}
        node = Node(2, config)
        node.outside["send_mail"] = node.outside["json_rpc"] = _unreachable
        node.outside["write_folder"] = lambda path, files: None  # what is there to read must stay the same
        return node

    def _made(self) -> Node:
        node = self._node()
        ok = _Ok(node)
        ok("APIerSv1.LoadTariffPlanFromFolder", {"FolderPath": self.plan})
        ok("APIerSv1.ImportTariffPlanFromFolder", {"TPid": "TP", "FolderPath": self.folders[1], "RunId": ""})
        for account in ("1001", "1002", "1003", "shared1", "shared2"):
            ok(
                "APIerSv1.SetBalance",
                {"Account": account, "BalanceType": "*monetary", "Value": 10, "Balance": {"ID": "MAIN"}},
            )
        ok(
            "APIerSv1.AddBalance",
            {
                "Account": "1002",
                "BalanceType": "*voice",
                "Value": 30 * 10**9,
                "Balance": {"ID": "VOICE", "DestinationIDs": "DST_RO"},
            },
        )
        ok(
            "APIerSv1.AddBalance",
            {"Account": "1002", "BalanceType": "*data", "Value": 10**9, "Balance": {"ID": "DATA"}},
        )
        for account in ("shared1", "shared2"):
            ok(
                "APIerSv1.AddBalance",
                {
                    "Account": account,
                    "BalanceType": "*monetary",
                    "Value": 5,
                    "Balance": {"ID": "SHARED", "SharedGroups": "SG1"},
                },
            )
        ok("APIerSv2.SetAccount", {"Account": "postpaid", "ExtraOptions": {"AllowNegative": True}})
        ok(
            "APIerSv2.SetAccount",
            {"Account": "1001", "ActionTriggerIDs": ["TG"], "ActionPlanIDs": ["AP_DAY"], "ReloadScheduler": True},
        )
        ok("SessionSv1.InitiateSession", {"InitSession": True, "Event": call("call-1", "1001", "30s")})
        ok(
            "SessionSv1.InitiateSession",
            {
                "InitSession": True,
                "Event": call("call-2", "1002", "30s"),
                "APIOpts": {"*sessionsDebitInterval": "1m", "*sessionsTTL": "10m"},
            },
        )
        ok("SessionSv1.InitiateSession", {"InitSession": True, "Event": call("passive-1", "1002", "10s")})
        session = ok("SessionSv1.GetActiveSessions", {"Filters": ["*string:~*req.OriginID:passive-1"]})[0]
        ok("SessionSv1.DeactivateSessions", {"IDs": [session["CGRID"]]})
        ok("CDRsV1.ProcessEvent", {"Event": call("cdr-1", "1001", "61s")})
        ok("CDRsV1.ProcessEvent", {"Event": call("cdr-2", "1002", "61s", "*postpaid")})
        node.advance(10**9)
        assert flaws(node) == []
        return node

    def copy(self) -> Node:
        """A node with the world's state, as after a restart of all workers."""
        node = self._node()
        node.disk = dict(self._origin.disk)
        node.now_ns = self._origin.now_ns
        node._next_uid = self._origin._next_uid
        for number in range(len(node.workers)):
            node.kill(number)
        return node


def _unreachable(*args: Any) -> None:
    raise ApiError("no such endpoint")


class _Ok:
    def __init__(self, node: Node) -> None:
        self.node = node

    def __call__(self, method: str, params: Any) -> Any:
        answer = self.node.call(method, params)
        assert answer["error"] is None, (method, answer)
        return answer["result"]


# --- answers ------------------------------------------------------------------------------------------------------

INSIDE = re.compile(
    r"internal error|traceback|object has no attribute|nonetype|\.py\b|msgspec|recursion|exception|unsupported operand|not supported between|"
    r"codec can't|unhashable|keyerror|indexerror|valueerror|typeerror|argument must be|expected .* got|out of range for|int too large|cannot convert float|"
    r"must be str|is not iterable|missing \d+ required|unexpected keyword|math domain|division or modulo|surrogates not allowed",
    re.IGNORECASE,
)  # fmt: skip


def flaw_of(answer: dict[str, Any]) -> str | None:
    """What is wrong with an answer, whatever was asked."""
    error = answer["error"]
    if error is None:
        return None
    if not isinstance(error, str) or not error:
        return f"the error is no text: {error!r}"
    shown = re.sub(r'"(?:[^"\\]|\\.)*"|<[^>]*>', "", error)  # without what it quotes of the request
    if INSIDE.search(shown):
        return f"the error shows its inside: {error[:300]}"
    return None


class Logged(logging.Handler):
    """Exceptions that were logged: nothing of a request may come to that."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and record.exc_info[1] is not None:
            self.lines.append(f"{record.getMessage()}: {record.exc_info[1]!r}")

    def __enter__(self) -> Logged:
        logging.getLogger("cgr_cluster").addHandler(self)
        return self

    def __exit__(self, *exc: Any) -> None:
        logging.getLogger("cgr_cluster").removeHandler(self)


# --- afterwards ---------------------------------------------------------------------------------------------------


def known_good(node: Node, plan: str) -> list[Any]:
    """Calls whose answers must not depend on what came before: in a tenant of their own, after the configuration is set back."""
    ok = _Ok(node)
    ok(
        "ConfigSv1.SetConfig",
        {"Config": {name: value for name, value in ephemeral().items() if isinstance(value, dict)}},
    )
    row = {"ActivationTime": "2020-01-01T00:00:00Z", "RatingPlanId": "RP_ALL"}
    ok("APIerSv1.LoadTariffPlanFromFolder", {"FolderPath": plan})
    ok(
        "APIerSv1.SetRatingProfile",
        {"Tenant": PROBE, "Category": "call", "Subject": "p", "RatingPlanActivations": [row]},
    )
    ok("APIerSv1.SetChargerProfile", {"Tenant": PROBE, "ID": "P", "RunID": "*default", "AttributeIDs": ["*none"]})
    balance = {"Tenant": PROBE, "Account": "p", "BalanceType": "*monetary", "Value": 10, "Balance": {"ID": "MAIN"}}
    ok("APIerSv1.SetBalance", balance)
    event = {"Tenant": PROBE, "Event": call("probe", "p", "90s")}
    out = [
        ok("APIerSv1.GetCost", {"Tenant": PROBE, "Category": "call", "Subject": "p", "AnswerTime": START, "Destination": "+4072111222", "Usage": "90s"})["Cost"],
        ok("SessionSv1.AuthorizeEvent", {"GetMaxUsage": True, **event}),
        ok("SessionSv1.InitiateSession", {"InitSession": True, **event}),
        ok("SessionSv1.TerminateSession", {"TerminateSession": True, **event}),
        ok("SessionSv1.ProcessCDR", event),
        [cdr["Cost"] for cdr in ok("CDRsV1.GetCDRs", {"Tenants": [PROBE]})],
        ok("APIerSv2.GetAccount", {"Tenant": PROBE, "Account": "p"})["BalanceMap"]["*monetary"][0]["Value"],
        ok("CoreSv1.Ping", {}),
    ]  # fmt: skip
    return json.loads(json.dumps(out))
