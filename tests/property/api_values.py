"""Parameters of API methods for fuzzing: by the types of params.txt, from ids that exist, values that may be meant, and values
that nobody means."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cgr_cluster import services
from cgr_cluster.rpc.decode import go_type_of
from cgr_cluster.rpc.schema import Member, schema

REGISTRY = services.load()
# They let any time pass, and profile the process that tests.
NOT_FUZZED = {
    "CoreSv1.Sleep", "SessionSv1.Sleep", "CoreSv1.StartCPUProfiling", "CoreSv1.StopCPUProfiling", "CoreSv1.StartMemoryProfiling",
    "CoreSv1.StopMemoryProfiling",
}  # fmt: skip
METHODS = sorted(set(REGISTRY.names()) - NOT_FUZZED)
SERVICES_THAT_CHARGE = ("SessionSv1", "CDRsV1", "CDRsV2", "Responder")
BUSY = sorted(name for name in METHODS if name.partition(".")[0] in SERVICES_THAT_CHARGE)


TENANTS = ["cgrates.org", "", "other.example", "cgrates.org:1001"]
ACCOUNTS = ["1001", "1002", "1003", "postpaid", "shared1", "shared2", "", "nobody", "a:b", "*any", "x/y"]
DESTINATIONS = ["+4072111222", "+49301234", "+491", "*any", "DST_RO", "", "anything", "+" + "9" * 40]
TIMES = [
    "2026-03-02T10:00:00Z", "2026-03-02T23:59:50Z", "2026-03-02T10:00:00.123456789+14:00", "2026-03-02T09:30:00-03:00", "*now", "", "*unlimited", "+1h", "-1h", "0",
    "1772445600", "*month_end", "*mo+10h", "2026-02-30T00:00:00Z", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "+2562047h", "20260302100000",
    "0000-01-01T00:00:00Z", "9999999999999999", "99999-01-01T00:00:00Z", "*monthly", "*yearly", "02/03/2026 10:00:00", "9999-12-31T23:59:59-23:59", "*daily",
]  # fmt: skip
USAGES = [
    "60s", "1m30s", "0", "", "-5s", "90", "1h", "72h", "189h", "2562047h47m16.854775807s", "9223372036854775807", "1e9", "*unlimited", "ninety", "1us",
    60_000_000_000, 0, -1, 1, 2**63 - 1, -(2**63), 1.5, 10**20, "1.5s", "999999999999h", "9" * 5000, "9" * 5000 + "h", "\u00b2s", "1.\u00b2s",
]  # fmt: skip
NUMBERS = [
    1,
    10,
    0,
    0.5,
    2.25,
    3,
    -1,
    -2,
    -0.00001,
    1e-9,
    1e-12,
    1e15,
    1e16,
    10**18,
    1e308,
    5e-324,
    2**63 - 1,
    -(2**63),
    2**63,
    10**30,
    10**400,
]
TORS = ["*voice", "*data", "*sms", "*mms", "*generic", "*monetary", "", "*any", "*own"]
REQUEST_TYPES = [
    "*prepaid",
    "*postpaid",
    "*pseudoprepaid",
    "*rated",
    "*none",
    "*dynaprepaid",
    "*directdebit",
    "prepaid",
    "",
    "*fancy",
]
ACTION_TYPES = [
    "*topup", "*debit", "*topup_reset", "*debit_reset", "*set_balance", "*remove_balance", "*remove_expired", "*set_expiry", "*transfer_balance",
    "*transfer_monetary_default", "*allow_negative", "*deny_negative", "*enable_account", "*disable_account", "*reset_account", "*remove_account",
    "*reset_triggers", "*set_recurrent", "*unset_recurrent", "*reset_counters", "*log", "*cdrlog", "*publish_account", "*mail_async", "*cgr_rpc",
    "*topup_zero_negative", "*reset_account_cdr", "*alter_sessions", "*force_disconnect_sessions", "*remove_session_costs", "*unknown", "",
]  # fmt: skip
FLAGS = [
    "*rals", "*rals:*authorize", "*rals:*initiate", "*rals:*update", "*rals:*terminate", "*rals:*cost", "*rals:*fd", "*chargers", "*cdrs", "*attributes",
    "*rerate", "*refund", "*store", "*store:false", "*chargers:false", "*attributes:false", "*rals:false", "*reprocess", "*export", "*thresholds:true",
    "*blocker_error", "*derived_reply", "*cdrs:*rals:false", "*rals:*initiate:*fd", ":", "", "*a:b:c:d:e", "*resources:*authorize",
]  # fmt: skip
FILTERS = [
    "*string:~*req.Account:1001", "*prefix:~*req.Destination:+4", "FLTR_1", "*gt:~*req.Usage:0", "*exists:~*req.X:", "*bad", "*string:bad", "*foo:~*req.A:1",
    "*string:~*req.A[-1]:1", "*rsr::~*req.Account(^1)", "*rsr::~*req.A{*round:2}", "*ai:~*req.AnswerTime:2026-01-01T00:00:00Z|*now", "*empty:~*req.X:",
    "*string:~*accounts.1001.BalanceMap.*monetary[0].Value:1", "*suffix:~*opts.X:1;2", "*string:~*req.<~*req.B>:1", "*gte:~*req.X:1e400", "*lt:~*req.Usage:1h", "*lt:~*req.Extra:5", "*gt:~*req.Usage:~*req.Extra", "*gte:~*req.AnswerTime:~*req.SetupTime", "*eq:~*req.Extra:" + "9" * 5000,
    "*string:~*act.AccountID:x", "*notstring:~*req.RunID:*default", "*cronexp:~*req.T:* * * * *", "*regex:~*req.A:(", "*ipnet:~*req.A:1.1.1.1/33",
]  # fmt: skip
PARAMETERS = [
    "", "{}", "null", "[]", '{"GroupID":"TG"}', '{"UniqueID":"U1"}', '{"DestinationAccountID":"cgrates.org:1002","DestinationBalanceID":"MAIN"}', '{"Tenant":5}',
    '{"DestinationAccountID":"1002"}', '{"Address":"*internal","Transport":"*json","Method":"CoreSv1.Ping","Attempts":1,"Async":true,"Params":{}}', '{"a":"~*req.X"}',
    '{"Method":"*incremental","Params":{"Units":30,"Interval":"month","Increment":"day"}}', "a@b;c", "cgrates.org;*string:~*req.Account:1001;1;;", ";;;;", "&:&;",
    '{"Address":"x","Method":"{{<< .Account.ID >>","Params":{"a":"<< .Account.Nope >>"}}', "~*acnt.BalanceID", '{"A":"`x"}', '{"A":"~*req.B{*bad"}', '{"A":1e400}',
]  # fmt: skip
UNITS = ["10", "5m", "-1", "1e16", "NaN", "", "abc", "0.0000000001", '{"Method":"*incremental","Params":{"Units":30,"Interval":"month","Increment":"day"}}',
         '{"Method":"*incremental","Params":{"Units":"x"}}', '{"Method":"*nope"}', "1e400", "-Inf"]  # fmt: skip
IDS_OF = {  # what a method's name speaks of: the id that exists
    "RatingPlan": "RP_ALL", "DestinationRate": "DR_ALL", "Rate": "RT_STD", "ReverseDestination": "+4072", "Destination": "DST_RO", "ActionPlan": "AP_DAY",
    "ActionTrigger": "TG", "Action": "ACT_TOPUP", "SharedGroup": "SG1", "Filter": "FLTR_1", "Charger": "DEFAULT", "Timing": "TM_DAY", "Attribute": "ATTR_1",
    "Threshold": "THD_1", "Stat": "STS_1", "Resource": "RES_1", "Route": "ROU_1", "Trend": "TRD_1", "Ranking": "RNK_1", "IP": "IP_1", "Service": "*scheduler",
}  # fmt: skip
BALANCE_IDS = [
    "RP_ALL", "DR_ALL", "RT_STD", "DST_RO", "DST_DE", "ACT_TOPUP", "ACT_BAD", "AP_DAY", "AP_ASAP", "TG", "U1", "SG1", "FLTR_1", "DEFAULT", "TP", "TM_DAY",
    "*any", "", "NEW1", "NEW2", "ATTR_1", "THD_1", "STS_1", "RES_1", "ROU_1", "TRD_1", "RNK_1", "+4072", "*scheduler",
]  # fmt: skip
TEXTS = [
    "", "\x00", "é", "\U0001f600", "a" * 1000, ";", ":", "a:b:c", "*any", "*", "~", "~*req.X", "<b>&amp;", "NaN", "Infinity", "-Inf", "1e400", "9" * 200, "true", "5",
    "%s%n", "{{", "`x;", "~*req.A{*duration_seconds}", "null", "../../etc", "a/b", "!x", "x;!y;z", "\u2028", "\r\n", "'\"", "*zero", "*zero10s", "*zero-1", "*zero1e9", "-0", "9" * 5000, "9" * 5000 + "s", "\u00b2", "\u0663", "\u00b2:00:00", "~*req.X[\u00b2]", "1_000", " 1", "0x10", "1e999999999", "-", "+", ".", "e5",
]  # fmt: skip
IDS = [
    "RP_ALL",
    "DR_ALL",
    "RT_STD",
    "DST_RO",
    "DST_DE",
    "ACT_TOPUP",
    "ACT_BAD",
    "AP_DAY",
    "AP_ASAP",
    "TG",
    "U1",
    "SG1",
    "FLTR_1",
    "DEFAULT",
    "TP",
    "TM_DAY",
    "*any",
    "",
    "NEW1",
    "NEW2",
]

GOOD: dict[str, list[Any]] = {
    "metricid": ["*tcd", "*acc", "*sum#~*req.Cost", "*asr", "*acd", "*pdd", "*ddc", "*average#~*req.Usage", "*distinct#~*req.Account", "*sum", "*sum#", "*bad", "*highest#1"],
    "metrics": ["*tcd", "*acc"], "metricids": ["*tcd", "*sum"], "sorting": ["*weight", "*lc", "*hc", "*qos", "*load", "*reas", "*reds", "x"],
    "sortingparameters": ["*acc", "gw1:2", "*default:1", "x", ":", "gw1:"], "itemtype": ["*chargers", "*attributes", "*thresholds", "*stats", "*resources", "*routes", "x"],
    "context": ["*any", "*sessions", "*cdrs", ""], "contexts": ["*any", "*sessions", "*cdrs"], "items": ["*filters", "*chargers", "x"], "item": ["*timings", "*destinations", "x", ""],
    "tenant": TENANTS, "account": ACCOUNTS, "accountid": [*ACCOUNTS, "cgrates.org:1001"], "accountids": ["1001", "cgrates.org:1001", "nobody", ""], "accounts": ACCOUNTS,
    "sourceaccountid": ["1001", "cgrates.org:1001", "1002", ""], "destinationaccountid": ["1002", "cgrates.org:1002", "1001", "nobody"],
    "subject": [*ACCOUNTS, "*zero1s"], "destination": DESTINATIONS, "category": ["call", "*any", "", "data", "*routes"], "categories": ["call", "*any", "!call", "a;b"],
    "tor": TORS, "tors": TORS, "balancetype": TORS, "requesttype": REQUEST_TYPES, "requesttypes": REQUEST_TYPES, "identifier": ACTION_TYPES, "flags": FLAGS,
    "filters": FILTERS, "filterids": FILTERS, "filter": FILTERS, "extraparameters": PARAMETERS, "units": UNITS, "balanceid": BALANCE_IDS, "sourcebalanceid": BALANCE_IDS,
    "destinationbalanceid": BALANCE_IDS, "usage": USAGES, "lastused": USAGES, "totalusage": USAGES, "duration": USAGES, "minusage": USAGES, "maxusage": USAGES,
    "originid": ["call-1", "call-2", "passive-1", "new-1", "new-2", ""], "originids": ["call-1", "cdr-1"], "originhost": ["sw1", ""], "initialoriginid": ["call-1", "new-1", ""],
    "folderpath": [], "exportpath": [], "path": [], "sourcepath": [], "failedpath": [], "dirpath": [], "privatekeypath": [], "publickeypath": [],
    "runid": ["*default", "", "*raw", "extra"], "id": IDS, "ids": IDS, "tpid": ["TP", "TP2", ""], "loadid": ["L1", "CSVLOAD", ""], "actionsid": ["ACT_TOPUP", "ACT_BAD", "NOPE", ""],
    "actionids": IDS, "actionplanid": ["AP_DAY", "AP_ASAP", "NOPE", ""], "actionplanids": ["AP_DAY", "AP_ASAP", "NOPE"], "actiontriggersid": ["TG", "NOPE", ""], "actiontriggerids": ["TG", "NOPE"],
    "groupid": ["TG", "NEW", ""], "uniqueid": ["U1", "", "NEW"], "thresholdtype": ["*min_balance", "*max_balance", "*balance_expired", "*max_event_counter", "*min_balance_counter", "*max_balance_counter", "x", ""],
    "ratingplanid": ["RP_ALL", "NOPE", ""], "ratingplanids": ["RP_ALL", "NOPE"], "destinationid": ["DST_RO", "DST_DE", "*any", "NOPE"], "destinationids": ["DST_RO", "!DST_DE", "*any", "NOPE"],
    "ratingsubject": ["", "*zero1s", "*zero0", "*zero", "*any", "1001", "nobody", "*zero-5s"], "timingids": ["TM_DAY", "NOPE"], "timingid": ["TM_DAY", "*any", "*asap", "NOPE"],
    "time": [*TIMES, "*asap", "10:00:00", "*:*:00", "*hourly", "25:61:61", "*every_minute"], "orderby": ["OrderID", "Usage;desc", "Cost", "AnswerTime", "Nope", ";", ""],
    "caching": ["*none", "*reload", "*load", "*clear", "bad", ""], "section": ["sessions", "general", "rals", "", "nope"], "method": ["*incremental"], "roundingmethod": ["*up", "*middle", "*down", "x"],
    "months": ["1", "13", "*any", "1;2", "-1"], "weekdays": ["0", "7", "8", "*any"], "years": ["2026", "99999", "-1", "*any"], "monthdays": ["31", "32", "-1", "0", "*any"],
    "ratingprofileid": ["L1:cgrates.org:call:*any", "a:b", ""], "accountactionsid": ["L1:cgrates.org:1001", "a", ":"], "limit": [0, 1, -1, 5, 2**63 - 1], "offset": [0, 1, -1, 10**6, 2**63 - 1],
    "fallbacksubjects": ["", "1001;1002", "*any;;"], "rateunit": USAGES, "rateincrement": USAGES, "groupintervalstart": USAGES, "fallbackkeys": ["*out:cgrates.org:call:1001", ""],
    "strategy": ["*lowest", "*highest", "*random", "*mine_random", "*descending", "", "x"], "allocationids": ["call-1", "new-1"],
    "range": ["10.0.0.1/32", "10.0.0.0/8", "10.0.0.0/30", "2001:db8::/64", "10.0.0.0/33", "10.0.0.1", "x", ""], "loopindex": [0, 1, 2, -1], "compressfactor": [1, 0, -1, 3, 10**9, 2**62], "attest": ["A", "B", ""],
    "config": ['{"sessions":{"session_ttl":"10m"}}', '{"rals":{"fallback_depth":1}}', '{"a":{}}', "{", "[]", "", '{"general":{"rounding_decimals":99}}', '{"sessions":null}', '{"sessions":[]}'],
    "costdetails": ["", "null", "{}", '{"Charges":[{"RatingID":"x","Increments":[{"Usage":1,"Cost":1,"AccountingID":"y","CompressFactor":1}],"CompressFactor":1}]}', "{bad"],
    "searchvalue": TEXTS, "prefixes": ["+40", "+4072", "", "*any", "x" * 100], "cgrevent": [], "schedule": ["@every 1s", "* * * * *", "x"], "csvseparator": [",", ";", "", "ab", "\x00", '"', "\n"],
    "expirytime": TIMES, "weight": [10, 0, 20, "5", "*time_asc", "heavy", -1, 1e308], "value": [1, 10, 2.5, "3", "x", {"Method": "*incremental", "Params": {}}, 1e16, -1],
    "sharedgroups": ["SG1", "", "NOPE", "SG1;NOPE"], "factors": [{"f": 2.5}, '{"f":2}', "x", {"f": "x"}, {"f": -1}, {"f": 1e308}], "disabled": [False, True, "true", "perhaps"],
    "blocker": [False, True, "true", "perhaps"], "fieldseparator": [",", ";", "", "ab", "\x00", '"'], "file": ["", "AAAA", "UEsDBAoAAAAAAAAAAAA=", "*"],
}  # fmt: skip

EVENT_FIELDS = [
    "Account", "Destination", "OriginID", "OriginHost", "ToR", "RequestType", "Category", "Subject", "SetupTime", "AnswerTime", "Usage", "LastUsed", "TotalUsage", "Tenant",
    "RunID", "CGRID", "InitialOriginID", "Cost", "CostDetails", "CostSource", "PreRated", "Partial", "ExtraInfo", "OrderID", "Source", "Extra", "rated", "BalanceFactorID", "ACD", "",
]  # fmt: skip
OPTIONS = [
    "*sessionsDebitInterval", "*sessionsTTL", "*sessionsTTLMaxDelay", "*sessionsTTLLastUsage", "*sessionsTTLLastUsed", "*sessionsTTLUsage", "*sessionsChargeable", "*context", "*profileIDs", "*thdProfileIDs", "*attrProcessRuns", "*profileIgnoreFilters", "*eventType",
    "*ralsDryRun", "*rals", "*ralS", "*attributeS", "*chargerS", "*refund", "*rerate", "*cache", "*stirIdentity", "*stirATest", "*attrProfileIDs", "*rsUsageID", "*ipAllocationID", "*ipTTL",
]  # fmt: skip
CONFIG = {
    "sessions": ["session_ttl", "debit_interval", "default_usage", "alterable_fields", "scheduler_conns", "chargers_conns", "stir", "terminate_attempts", "min_dur_low_balance"],
    "general": ["rounding_decimals", "default_tenant", "default_timezone", "default_category", "node_id"], "rals": ["max_computed_usage", "balance_rating_subject", "fallback_depth", "enabled"],
    "cdrs": ["store_cdrs", "chargers_conns", "rals_conns", "session_cost_retries"], "chargers": ["indexed_selects", "nested_fields"], "schedulers": ["enabled", "filters", "dynaprepaid_actionplans"],
    "nope": ["x"], "listen": ["http"],
}  # fmt: skip

# --- drawing ------------------------------------------------------------------------------------------------------


def nested(levels: int) -> Any:
    value: Any = 1
    for level in range(levels):
        value = [value] if level % 2 else {"a": value}
    return value


BUILT: list[Any] = [
    [], {}, [None], [[]], {"": None}, {"ID": []}, [1, "a", None], {"a": {"b": [{"c": 1}]}}, nested(20), nested(150), nested(300), "x" * 20_000, [0] * 500,
]  # fmt: skip
ANYTHING: list[Any] = [None, True, False, *NUMBERS, *TEXTS, *USAGES, *TIMES, *BUILT]
CHARACTERS = "aA0\u00b2+-*~:;.<>&{}()[]|!/%\\\"'` \x00\x7f\xad\u0660é€\u2028\U0001f600\ufeff"
RFC_TIMES = [text for text in TIMES if "T" in text and "30T" not in text]
SELDOM_TRUE = {
    "GetAttributes", "GetRoutes", "AuthorizeResources", "AllocateResources", "ReleaseResources", "AuthorizeIP", "AllocateIP", "ReleaseIP",
    "ProcessThresholds", "ProcessStats", "DryRun", "ForceDuration", "Validate", "Disabled", "BalanceDisabled",
}  # fmt: skip
ALWAYS = {
    "Event",
    "CGREvent",
    "TerminateSession",
    "InitSession",
    "UpdateSession",
    "Debit",
    "GetMaxUsage",
    "Account",
    "BalanceType",
    "Balance",
    "ID",
    "Id",
    "TPid",
}
BALANCE_FIELDS = [
    "ID", "Value", "UUID", "ExpiryTime", "Weight", "DestinationIDs", "RatingSubject", "Categories", "SharedGroups", "TimingIDs", "Disabled", "Blocker", "Factors",
]  # fmt: skip
PATHS = ("folderpath", "path", "exportpath", "sourcepath", "failedpath", "dirpath", "privatekeypath", "publickeypath")


def _named(name: str) -> str:
    """The pool of a member: `DestinationIds` and `destinationid` share one, and a time is known by its ending."""
    lower = name.lower()
    if lower in GOOD:
        return lower
    if lower.endswith(("time", "timestart", "timeend", "date")):
        return "time"
    if lower.rstrip("s") in GOOD:
        return lower.rstrip("s")
    if lower.startswith("not") and lower[3:] in GOOD:
        return lower[3:]
    return "id" if lower.endswith(("id", "ids")) else ""


class Values:
    """Draws parameters. `choose(n)` is a number from 0 to n - 1 (of Hypothesis, or of a random generator); `folders` are
    the paths that a method may read or write. Most calls are drawn `tame`: of the types that are wanted, mostly of values
    that may be meant, so that they do something."""

    def __init__(self, choose: Callable[[int], int], folders: list[str]) -> None:
        self.choose = choose
        self.folders = folders
        self.tame = True
        self.known = ""  # an id that the method at hand may mean
        self.types = schema()

    def call(self, methods: list[str]) -> tuple[str, Any]:
        method = methods[self.choose(len(methods))]
        return method, self.of(method)

    def of(self, method: str) -> Any:
        """The parameter of a method: mostly an object of its type, at times anything."""
        go_type = go_type_of(REGISTRY.find(method))
        self.tame = self.choose(10) < 7
        self.known = next((known for word, known in IDS_OF.items() if word in method), "")
        if go_type is None or (not self.tame and self._seldom()):
            return self.anything()
        return self.value(go_type, "", 0)

    def anything(self) -> Any:
        return self._text() if self._seldom() else self._one_of(ANYTHING)

    def _one_of(self, pool: list[Any]) -> Any:
        """Pools begin with what may be meant."""
        if self.tame and len(pool) > 3 and self.choose(10):
            return pool[self.choose(1 + len(pool) // 3)]
        return pool[self.choose(len(pool))]

    def _seldom(self) -> bool:
        return self.choose(12) == 11

    def _text(self) -> str:
        return "".join(CHARACTERS[self.choose(len(CHARACTERS))] for _ in range(self.choose(6)))

    def value(self, go_type: str, name: str, depth: int) -> Any:
        if depth and not self.tame and self._seldom():
            return self.anything()
        pool = _named(name)
        if pool in PATHS:
            return self._one_of(self.folders)
        shape = self.types.shape(go_type)
        kind = shape.kind
        if kind == "object":
            return self._object(shape.members, depth)
        if kind == "list":
            return [self.value(shape.element, name, depth + 1) for _ in range(self.choose(3))]
        if kind == "map":
            return self._map(shape.element, name, depth)
        if kind == "time":
            return self._one_of(RFC_TIMES)
        if kind in ("text", "any"):
            if not depth or pool in ("id", "ids"):
                value = self.known if self.known and self.choose(3) else IDS[self.choose(len(IDS))]
            elif self._seldom() and not self.tame:
                value = self._text()
            else:
                value = self._one_of(GOOD.get(pool) or TEXTS)
            return value if kind == "any" or isinstance(value, str) else str(value)
        if kind == "int":
            return self._integer(GOOD.get(pool, []))
        if kind == "float":
            return self._one_of(NUMBERS)
        if kind == "bool":
            return self.choose(2 if not self.tame or name not in SELDOM_TRUE else 12) == 1 or (
                self.tame and name in ALWAYS
            )
        return self.anything()

    def _integer(self, pool: list[Any]) -> int:
        found = [value for value in pool if isinstance(value, int)]
        return int(self._one_of(found or [1, 0, 2, 5, 60 * 10**9, -1, 2**31, 2**63 - 1, -(2**63)]))

    def _object(self, members: dict[str, Member], depth: int) -> dict[str, Any]:
        """Some members (mostly most of them), in one spelling or another, and at times an unknown one."""
        chosen = list(members.values())
        if depth >= 6:
            chosen = chosen[:1]
        elif len(chosen) > 3:
            share = (2, 5, 9, 9, 9)[self.choose(5)] if len(chosen) < 24 else (1, 1, 2, 5)[self.choose(4)]
            chosen = [m for m in chosen if (self.tame and m.name in ALWAYS) or self.choose(10) < share]
        spelling = (str, str, str, str, str.lower, str.upper)[self.choose(6)]
        out = {spelling(member.name): self.value(member.go_type, member.name, depth + 1) for member in chosen}
        if not self.tame and self._seldom():
            out[self._text()] = self.anything()
        return out

    def _map(self, element: str, name: str, depth: int) -> dict[str, Any]:
        if name in ("Event", "EventStart"):
            chosen = [field for field in EVENT_FIELDS[:11] if self.choose(20)]
            chosen += [EVENT_FIELDS[self.choose(len(EVENT_FIELDS))] for _ in range(self.choose(3))]
        elif name in ("APIOpts", "Opts", "OptsStart"):
            chosen = [OPTIONS[self.choose(len(OPTIONS))] for _ in range(self.choose(3))]
        elif name == "Balance":
            chosen = BALANCE_FIELDS[: 1 + self.choose(2)] + [
                self._one_of(BALANCE_FIELDS) for _ in range(self.choose(3))
            ]
        elif name == "Config":
            section = sorted(CONFIG)[self.choose(len(CONFIG))]
            keys = [CONFIG[section][self.choose(len(CONFIG[section]))] for _ in range(self.choose(3))]
            return {section: {key: self.anything() for key in keys}}
        else:
            chosen = [self._text() for _ in range(self.choose(3))]
        return {field: self.value(element, field, depth + 1) for field in chosen}
