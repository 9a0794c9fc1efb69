"""AttributeS on a whole node: its methods, and its use by chargers, CDRs and sessions (spec chapters 50 §8, 30 and 40)."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from cgr_cluster import services
from cgr_cluster.node.node import Node

services.load()
PLANS = Path(__file__).parents[1] / "conformance/tariffplans"
CONVERTER = "invalid converter value in string: <*x>, err: unsupported converter definition: <*x>"


def call(node: Node, method: str, **params: Any) -> Any:
    """The result, or the text of the error."""
    answer = node.call(method, params)
    return answer["result"] if answer["error"] is None else answer["error"]


def attribute(path: str, *rules: str, kind: str = "*constant", **fields: Any) -> dict[str, Any]:
    return {"Path": path, "Type": kind, "Value": [{"Rules": rule} for rule in rules], **fields}


def put(node: Node, profile_id: str, *attributes: dict[str, Any], **fields: Any) -> None:
    assert call(node, "APIerSv1.SetAttributeProfile", ID=profile_id, Attributes=list(attributes), **fields) == "OK"


@pytest.fixture(params=[1, 3], ids=["one worker", "three workers"])
def node(request: pytest.FixtureRequest) -> Node:
    return Node(request.param)


# --- methods -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "error"),
    [
        ({}, "MANDATORY_IE_MISSING: [ID Attributes]"),
        ({"ID": "A"}, "MANDATORY_IE_MISSING: [Attributes]"),
        ({"ID": "A", "Attributes": []}, "MANDATORY_IE_MISSING: [Attributes]"),
        ({"Attributes": [attribute("*req.X", "1")]}, "MANDATORY_IE_MISSING: [ID]"),
        ({"ID": "A", "Attributes": [attribute("", "1")]}, "MANDATORY_IE_MISSING: [Path]"),
        ({"ID": "A", "Attributes": [None]}, "MANDATORY_IE_MISSING: [Path]"),
        ({"ID": "A", "Attributes": [attribute("*req.X", "1", "")]}, "MANDATORY_IE_MISSING: [Rules]"),
        ({"ID": "A", "Attributes": [attribute("*req.X", "~*req.A{*x}")]}, f"SERVER_ERROR: {CONVERTER}"),
        ({"ID": "A", "Attributes": [attribute("*req.X", "1")], "FilterIDs": ["NO"]},
         "SERVER_ERROR: broken reference to filter: <NO> for item with ID: cgrates.org:A"),
        ({"ID": "A", "Attributes": [attribute("*req.X", "1")], "FilterIDs": ["*string:x"]},
         "SERVER_ERROR: broken reference to filter: <*string:x> for item with ID: cgrates.org:A"),
        ({"ID": "A", "Attributes": [attribute("*req.X", "1")], "FilterIDs": ["*exists:~*req.A:x"]},
         "SERVER_ERROR: value of filter <*exists:~*req.A:x> is not empty <x> for item with ID: cgrates.org:A"),
        ({"ID": "A", "Attributes": [{"Path": "*req.X", "Value": "1"}]},
         "json: cannot unmarshal string into Go struct field Attribute.AttributeProfile.Attributes.Value of type config.RSRParsers"),
        ({"ID": "A", "Weight": "x"},
         "json: cannot unmarshal string into Go struct field AttributeProfileWithAPIOpts.AttributeProfile.Weight of type float64"),
    ],
)  # fmt: skip
def test_set_refuses(params: dict[str, Any], error: str) -> None:
    one = Node(1)
    assert call(one, "APIerSv1.SetAttributeProfile", **params) == error
    assert call(one, "APIerSv1.GetAttributeProfileIDs") == "NOT_FOUND"


@pytest.mark.parametrize(
    ("params", "error"),
    [
        ({}, "SERVER_ERROR: MANDATORY_IE_MISSING: [ID Attributes]"),
        ({"ID": "A", "Attributes": [{"Value": "1"}]}, "SERVER_ERROR: MANDATORY_IE_MISSING: [Path]"),
        ({"ID": "A", "Attributes": [{"Path": "*req.X"}]}, "SERVER_ERROR: MANDATORY_IE_MISSING: [Value]"),
        ({"ID": "A", "Attributes": [{"Path": "*req.X", "Value": "a;;b"}]}, "SERVER_ERROR: emtpy RSRParser in rule: <>"),
        ({"ID": "A", "Attributes": [{"Path": "*req.X", "Value": "`a"}]}, "SERVER_ERROR: Unclosed unspilit syntax"),
        ({"ID": "A", "Attributes": [{"Path": "*req.X", "Value": "~*req.A{*x}"}]}, f"SERVER_ERROR: {CONVERTER}"),
        ({"ID": "A", "Attributes": [{"Path": "*req.X", "Value": "1"}], "FilterIDs": ["NO"]},
         "SERVER_ERROR: broken reference to filter: <NO> for item with ID: cgrates.org:A"),
    ],
)  # fmt: skip
def test_set_with_texts_refuses(params: dict[str, Any], error: str) -> None:
    assert call(Node(1), "APIerSv2.SetAttributeProfile", **params) == error


def test_profiles_are_kept_listed_counted_replaced_and_removed(node: Node) -> None:
    put(node, "B", attribute("*req.X", "1"))
    put(
        node,
        "A1",
        attribute("*req.X", "1", FilterIDs=["*string:~*req.A:1"]),
        Contexts=["*cdrs"],
        Blocker=True,
        Weight=2.5,
    )
    put(node, "X", attribute("*req.X", "1"), Tenant="other.org")
    assert call(node, "APIerSv1.GetAttributeProfile", ID="A1") == {
        "Tenant": "cgrates.org", "ID": "A1", "Contexts": ["*cdrs"], "FilterIDs": [], "ActivationInterval": None,
        "Attributes": [{"FilterIDs": ["*string:~*req.A:1"], "Path": "*req.X", "Type": "*constant", "Value": [{"Rules": "1"}]}],
        "Blocker": True, "Weight": 2.5,
    }  # fmt: skip
    assert call(node, "APIerSv1.GetAttributeProfileIDs") == ["A1", "B"]
    assert call(node, "APIerSv1.GetAttributeProfileIDs", Search="1") == ["A1"]
    assert call(node, "APIerSv1.GetAttributeProfileIDs", Search="zz") == "NOT_FOUND"
    assert call(node, "APIerSv1.GetAttributeProfileIDs", Limit=1, Offset=1) == ["B"]
    assert call(node, "APIerSv1.GetAttributeProfileIDs", Offset=5) is None
    assert call(node, "APIerSv2.GetAttributeProfileCount") == 2
    assert call(node, "APIerSv1.GetAttributeProfileCount", Tenant="none.org") == "NOT_FOUND"
    assert call(node, "APIerSv1.GetAttributeProfile", Tenant="other.org", ID="A1") == "NOT_FOUND"
    put(node, "A1", attribute("*req.Y", "~*req.A{*len}", kind=""))
    assert call(node, "APIerSv2.GetAttributeProfile", ID="A1")["Contexts"] == ["*any"]
    assert call(node, "APIerSv1.RemoveAttributeProfile", ID="A1") == "OK"
    assert call(node, "APIerSv1.RemoveAttributeProfile", ID="A1") == "NOT_FOUND"
    assert call(node, "APIerSv1.RemoveAttributeProfile") == "MANDATORY_IE_MISSING: [ID]"
    assert call(node, "APIerSv1.GetAttributeProfile", ID="A1") == "NOT_FOUND"


def test_a_filter_in_use_is_not_removed(node: Node) -> None:
    rules = [{"Type": "*string", "Element": "~*req.A", "Values": ["1"]}]
    assert call(node, "APIerSv1.SetFilter", ID="F", Rules=rules) == "OK"
    put(node, "A", attribute("*req.X", "1"), FilterIDs=["F"])
    assert call(node, "APIerSv1.RemoveFilter", ID="F") == (
        "SERVER_ERROR: cannot remove filter <cgrates.org:F> because will broken the reference to following items: "
        '{"*attribute_filter_indexes":{"A":{}}}'
    )
    assert call(node, "AttributeSv1.ProcessEvent", Event={"A": "1"})["Event"] == {"A": "1", "X": "1"}
    assert call(node, "APIerSv1.SetFilter", ID="F", Rules=[{**rules[0], "Values": ["2"]}]) == "OK"
    assert call(node, "AttributeSv1.ProcessEvent", Event={"A": "1"}) == "NOT_FOUND"
    assert call(node, "AttributeSv1.ProcessEvent", Event={"A": "2"})["Event"] == {"A": "2", "X": "1"}


def test_process_event_answers_the_altered_event(node: Node) -> None:
    put(node, "A", attribute("*req.X", "1"), Contexts=["*sessions"])
    event = {
        "Tenant": "",
        "ID": "e",
        "Time": "2026-03-02T10:00:00+01:00",
        "Event": {"N": 1.5},
        "APIOpts": {"*context": "*sessions"},
    }
    assert call(node, "AttributeSv1.ProcessEvent", **event) == {
        "MatchedProfiles": ["cgrates.org:A"], "AlteredFields": ["*req.X"], "Tenant": "cgrates.org", "ID": "e",
        "Time": "2026-03-02T10:00:00+01:00", "Event": {"N": 1.5, "X": "1"}, "APIOpts": {"*context": "*sessions"},
    }  # fmt: skip
    assert call(node, "AttributeSv1.ProcessEvent", ID="e") == "MANDATORY_IE_MISSING: [Event]"
    assert call(node, "AttributeSv1.ProcessEvent") == "MANDATORY_IE_MISSING: [Event]"
    assert call(node, "AttributeSv1.ProcessEvent", Event={}) == "NOT_FOUND"
    assert call(node, "AttributeSv1.GetAttributeForEvent", APIOpts={"*context": "*sessions"})["ID"] == "A"
    assert call(node, "AttributeSv1.GetAttributeForEvent") == "NOT_FOUND"
    assert call(node, "AttributeSv1.Ping") == "Pong"


def test_values_may_read_accounts(node: Node) -> None:
    call(node, "APIerSv1.SetBalance", Account="1001", BalanceType="*monetary", Value=12.5, Balance={"ID": "main"})
    put(
        node,
        "A",
        attribute("*req.Money", "~*accounts.<~*req.Account>.BalanceMap.*monetary[0].Value", kind="*variable"),
        attribute("*req.Rich", "1", FilterIDs=["*gt:~*accounts.<~*req.Account>.BalanceMap.*monetary.GetTotalValue:10"]),
        FilterIDs=["*string:~*req.Kind:prepaid", "*string:~*accounts.<~*req.Account>.Disabled:false"],
    )
    event = {"Account": "1001", "Kind": "prepaid"}
    assert call(node, "AttributeSv1.ProcessEvent", Event=event)["Event"] == {**event, "Money": "12.5", "Rich": "1"}
    assert call(node, "AttributeSv1.ProcessEvent", Event={**event, "Account": "nobody"}) == "NOT_FOUND"


class Echo(BaseHTTPRequestHandler):
    """Answers `seen ` and the document it got; 500 for the path /broken."""

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(500 if self.path == "/broken" else 200)
        self.end_headers()
        self.wfile.write(b"seen " + body)

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def page() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Echo)
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_values_may_be_asked_of_a_url(node: Node, page: str) -> None:
    put(node, "A", attribute("*req.Seen", "-", kind=f"*http#[{page}/x]"), attribute("*req.After", "1"))
    found = call(node, "AttributeSv1.ProcessEvent", Event={"A": "1"}, APIOpts={"*x": 2})
    assert found["Event"] == {"A": "1", "Seen": 'seen {"*opts":{"*x":2},"*req":{"A":"1"}}', "After": "1"}
    inline = [f"*http#[{page}/x]:*req.Seen:-"]
    found = call(node, "AttributeSv1.ProcessEvent", Event={}, APIOpts={"*attrProfileIDs": inline})
    assert found["Event"]["Seen"].startswith("seen ")
    put(node, "A", attribute("*req.Seen", "-", kind=f"*http#{page}/broken"))
    error = call(node, "AttributeSv1.ProcessEvent", Event={"A": "1"})
    assert error == f"SERVER_ERROR: GET of {page}/broken: HTTP Error 500: Internal Server Error"


# --- loading -------------------------------------------------------------------------------------------------------

HEAD = "#Tenant,ID,Contexts,FilterIDs,ActivationInterval,AttributeFilterIDs,Path,Type,Value,Blocker,Weight\n"


def load(node: Node, folder: Path, rows: str) -> Any:
    (folder / "Attributes.csv").write_text(HEAD + rows)
    return call(node, "APIerSv1.LoadTariffPlanFromFolder", FolderPath=str(folder))


def test_rows_of_one_id_make_a_profile(tmp_path: Path) -> None:
    node = Node(1)
    rows = """\
cgrates.org,A,*sessions;*cdrs,*string:~*req.Account:1,2020-01-01T00:00:00Z,,*req.T,*constant,*prepaid,true,20
cgrates.org,A,*cdrs;*routes,*string:~*req.Account:1;*string:~*req.B:2,,*string:~*req.C:3;*string:~*req.D:4,*req.P,,~*req.Account;`;`;x,false,0
cgrates.org,A,,,,,,,,,5
cgrates.org,B,,,,,*req.N,*none,,,
"""
    assert load(node, tmp_path, rows) == "OK"
    found = call(node, "APIerSv1.GetAttributeProfile", ID="A")
    assert sorted(found["Contexts"]) == ["*cdrs", "*routes", "*sessions"]
    assert sorted(found["FilterIDs"]) == ["*string:~*req.Account:1", "*string:~*req.B:2"]
    assert (found["Blocker"], found["Weight"]) == (True, 5)
    assert found["ActivationInterval"] == {
        "ActivationTime": "2020-01-01T00:00:00Z",
        "ExpiryTime": "0001-01-01T00:00:00Z",
    }
    first, second = found["Attributes"]
    assert (first["Path"], first["Type"], first["Value"]) == ("*req.T", "*constant", [{"Rules": "*prepaid"}])
    assert second["FilterIDs"] == ["*string:~*req.C:3", "*string:~*req.D:4"]
    assert (second["Type"], second["Value"]) == ("", [{"Rules": "~*req.Account"}, {"Rules": ";"}, {"Rules": "x"}])
    plain = call(node, "APIerSv1.GetAttributeProfile", ID="B")
    assert (plain["Contexts"], plain["Attributes"][0]["Value"]) == (["*any"], [])


@pytest.mark.parametrize(
    ("row", "error"),
    [
        ("cgrates.org,A,,,,,*req.X,*variable,~*req.A{*x},,", CONVERTER),
        ("cgrates.org,A,,,,,*req.X,*variable,a;;b,,", "emtpy RSRParser in rule: <>"),
        (
            "cgrates.org,A,,NO,,,*req.X,*constant,1,,",
            "broken reference to filter: <NO> for item with ID: cgrates.org:A",
        ),
        ("cgrates.org,A,,,,,*req.X,*constant,1,maybe,", 'invalid value "maybe" for field AttributeMdl.Blocker'),
        ("cgrates.org,A,,,,,*req.X,*constant,1,,heavy", 'invalid value "heavy" for field AttributeMdl.Weight'),
        ("cgrates.org,A,,,soon,,*req.X,*constant,1,,", "Unsupported time format"),
        ("cgrates.org,A,,,,,*req.X,*constant,1,", "record on line 2: wrong number of fields"),
        ("cgrates.org,,,,,,*req.X,*constant,1,,", "MANDATORY_IE_MISSING: [ID]"),
    ],
)
def test_rows_that_do_not_load(tmp_path: Path, row: str, error: str) -> None:
    node = Node(1)
    assert load(node, tmp_path, row + "\n") == f"SERVER_ERROR: {error}"
    assert call(node, "APIerSv1.GetAttributeProfileIDs") == "NOT_FOUND"


def test_types_are_not_checked_when_loaded(tmp_path: Path) -> None:
    node = Node(1)
    assert load(node, tmp_path, "cgrates.org,A,,,,NO,*req.X,*bogus,1,,\n") == "OK"


def test_profiles_of_the_tariff_plan_store() -> None:
    node = Node(1)
    profile = {
        "TPid": "TP", "Tenant": "cgrates.org", "ID": "A", "FilterIDs": ["*string:~*req.Account:1"], "Contexts": ["*cdrs"],
        "ActivationInterval": {"ActivationTime": "2020-01-01T00:00:00Z", "ExpiryTime": ""}, "Blocker": True, "Weight": 3,
        "Attributes": [{"FilterIDs": [], "Path": "*req.X", "Type": "*variable", "Value": "~*req.Account;-"}],
    }  # fmt: skip
    assert call(node, "APIerSv1.SetTPAttributeProfile", **profile) == "OK"
    assert call(node, "APIerSv1.GetTPAttributeProfile", TPid="TP", ID="A") == profile
    assert call(node, "APIerSv1.GetTPAttributeProfileIds", TPid="TP") == ["cgrates.org:A"]
    assert call(node, "APIerSv1.GetAttributeProfile", ID="A") == "NOT_FOUND"
    assert call(node, "APIerSv1.LoadTariffPlanFromStorDb", TPid="TP") == "OK"
    assert call(node, "APIerSv1.GetAttributeProfile", ID="A")["Attributes"][0]["Value"] == [
        {"Rules": "~*req.Account"},
        {"Rules": "-"},
    ]
    assert call(node, "APIerSv1.RemoveTPAttributeProfile", TPid="TP", ID="A") == "OK"
    assert call(node, "APIerSv1.GetTPAttributeProfile", TPid="TP", ID="A") == "NOT_FOUND"


# --- chargers (30.10) ----------------------------------------------------------------------------------------------


def charger(node: Node, profile_id: str, *attribute_ids: str, **fields: Any) -> None:
    assert (
        call(
            node,
            "APIerSv1.SetChargerProfile",
            ID=profile_id,
            RunID=profile_id,
            AttributeIDs=list(attribute_ids),
            **fields,
        )
        == "OK"
    )


def runs(node: Node, opts: dict[str, Any] | None = None, **fields: Any) -> Any:
    found = call(node, "ChargerSv1.ProcessEvent", ID="e", Event=fields, APIOpts=opts or {})
    if isinstance(found, str):
        return found
    return [
        (run["AttributeSProfiles"], run["AlteredFields"], run["CGREvent"]["Event"], run["CGREvent"]["APIOpts"])
        for run in found
    ]


def test_chargers_ask_by_context_by_name_or_inline(node: Node) -> None:
    put(node, "C", attribute("*req.Subject", "chargers"), Contexts=["*chargers"])
    put(node, "S", attribute("*req.Subject", "sessions"), Contexts=["*sessions"])
    put(node, "N", attribute("*req.Subject", "named"), FilterIDs=["*string:~*opts.*subsys:*chargers"], Weight=-1)
    asked = {"*subsys": "*chargers", "*attrProfileIDs": []}
    charger(node, "a")
    assert runs(node, A="1") == [
        (["cgrates.org:C"], ["*req.RunID", "*req.Subject"], {"A": "1", "RunID": "a", "Subject": "chargers"}, asked)
    ]
    own = {"*context": "*sessions"}
    assert runs(node, own, A="1")[0][2]["Subject"] == "sessions"
    charger(node, "a", "N")
    assert runs(node)[0] == (["cgrates.org:N"], ["*req.RunID", "*req.Subject"], {"RunID": "a", "Subject": "named"},
                             {"*subsys": "*chargers", "*attrProfileIDs": ["N"]})  # fmt: skip
    charger(node, "a", "NOPE")
    assert runs(node)[0][:3] == ([], ["*req.RunID"], {"RunID": "a"})
    charger(node, "a", "*none")
    assert runs(node)[0] == (None, ["*req.RunID"], {"RunID": "a"}, {"*subsys": "*chargers"})
    charger(node, "a", "*constant:*req.A:x", "*constant:*req.B:y")
    assert runs(node)[0][2] == {"RunID": "a", "A": "x"}  # one profile for each request
    assert runs(node, {"*attrProcessRuns": 2})[0][2] == {"RunID": "a", "A": "x", "B": "y"}
    assert runs(node, {"*attrProcessRuns": "x"}) == 'SERVER_ERROR: strconv.ParseInt: parsing "x": invalid syntax'
    charger(node, "a", "*constant:*req.A")
    assert runs(node) == "SERVER_ERROR: inline parse error for string: <*constant:*req.A>"
    charger(node, "a", "*constant:*req.A:x")
    assert runs(node, PIN="*attributes") == "SERVER_ERROR: MANDATORY_IE_MISSING: [PIN]"


def test_configured_runs_hold_for_chargers_too(node: Node) -> None:
    charger(node, "a", "*constant:*req.A:x", "*constant:*req.B:y")
    change = '{"attributes":{"opts":{"*processRuns":2}}}'
    assert call(node, "ConfigSv1.SetConfigFromJSON", Config=change) == "OK"
    assert runs(node)[0][2] == {"RunID": "a", "A": "x", "B": "y"}


# --- CDRs (40 §3.3 step 1) -----------------------------------------------------------------------------------------


def cdr(node: Node, flags: list[str], opts: dict[str, Any] | None = None, **fields: Any) -> Any:
    event = {"OriginID": "c", "Account": "1001", "RequestType": "*none", **fields}
    found = call(node, "CDRsV2.ProcessEvent", Flags=flags, Event=event, APIOpts=opts or {})
    return found if isinstance(found, str) else [run["Event"] for run in found]


def test_cdrs_take_the_altered_event(node: Node) -> None:
    put(node, "A", attribute("*req.Account", "1002"), attribute("*req.Extra", "x"), Contexts=["*cdrs"],
        FilterIDs=["*string:~*opts.*subsys:*cdrs"])  # fmt: skip
    put(node, "O", attribute("*req.Account", "own"), Contexts=["mine"])
    off = ["*chargers:false", "*rals:false"]
    assert [e["Account"] for e in cdr(node, off)] == ["1002"]
    assert [e["Account"] for e in cdr(node, [*off, "*attributes:false"], OriginID="d")] == ["1001"]
    assert [e["Account"] for e in cdr(node, off, {"*attributeS": "false"}, OriginID="e")] == ["1001"]
    assert [e["Account"] for e in cdr(node, off, {"*context": "mine"}, OriginID="f")] == ["own"]
    assert cdr(node, off, OriginID="g", PIN="*attributes") == "PARTIALLY_EXECUTED"
    assert cdr(node, off, {"*attrProcessRuns": "x"}, OriginID="h") == "PARTIALLY_EXECUTED"
    stored = call(node, "CDRsV1.GetCDRs", OriginIDs=["c"])
    assert [(record["Account"], record["ExtraFields"]) for record in stored] == [("1002", {"Extra": "x"})]


def test_attributes_read_fields_of_records_as_texts(node: Node) -> None:
    rules = ("~*req.Usage", "|", "~*req.AnswerTime", "|", "~*req.Cost", "|", "~*req.PreRated")
    put(node, "A", attribute("*req.Read", *rules, kind="*variable"), FilterIDs=["*string:~*req.Usage:1m30s"])
    record = {
        "OriginID": "c",
        "Usage": 90 * 10**9,
        "AnswerTime": "2026-03-02T10:00:05.5+01:00",
        "Cost": 0.3,
        "PreRated": True,
    }
    assert call(node, "CDRsV1.ProcessCDR", **record) == "OK"
    read = call(node, "CDRsV1.GetCDRs", OriginIDs=["c"])[0]
    assert read["ExtraFields"] == {"Read": "1m30s|2026-03-02T10:00:05+01:00|0.3|true"}
    assert read["Usage"] == 90 * 10**9


def test_after_cdrs_found_nothing_chargers_look_in_their_context(node: Node) -> None:
    put(node, "C", attribute("*req.Subject", "chargers"), Contexts=["*chargers"])
    put(node, "D", attribute("*req.Subject", "cdrs"), Contexts=["*cdrs"], FilterIDs=["*string:~*req.RunID:a"])
    charger(node, "a")
    assert cdr(node, ["*rals:false"])[0]["Subject"] == "cdrs"  # kept: `*cdrs` stays in the options
    assert cdr(node, ["*rals:false", "*attributes:false"], OriginID="d")[0]["Subject"] == "chargers"


# --- sessions (30.5, 30.9) -----------------------------------------------------------------------------------------

CALL = {"OriginID": "c", "OriginHost": "sw", "ToR": "*voice", "RequestType": "*prepaid", "Destination": "442071112222",
        "AnswerTime": "2026-03-02T10:00:00Z", "SIPUser": "anna", "Usage": "30s"}  # fmt: skip


@pytest.fixture
def prepaid(node: Node) -> Node:
    """A SIP user without account in its events: AttributeS knows the account, which lives somewhere."""
    assert call(node, "APIerSv1.LoadTariffPlanFromFolder", FolderPath=str(PLANS / "sessions_retail")) == "OK"
    for account in ("5001", "5002"):
        call(node, "APIerSv1.SetBalance", Account=account, BalanceType="*monetary", Value=10, Balance={"ID": "main"})
    put(node, "SIP", attribute("*req.Account", "5001"), attribute("*req.Secret", "*remove"), Contexts=["*sessions"],
        FilterIDs=["*string:~*req.SIPUser:anna"])  # fmt: skip
    put(node, "OTHER", attribute("*req.Account", "5002"), Contexts=["*sessions"], Weight=-1)
    return node


def money(node: Node, account: str) -> float:
    return float(call(node, "APIerSv2.GetAccount", Account=account)["BalanceMap"]["*monetary"][0]["Value"])


def test_a_call_whose_account_attributes_know(prepaid: Node) -> None:
    asked = {"GetAttributes": True, "Event": CALL}
    granted = call(prepaid, "SessionSv1.AuthorizeEvent", GetMaxUsage=True, **asked)
    assert granted["MaxUsage"] == 30 * 10**9
    assert granted["Attributes"]["MatchedProfiles"] == ["cgrates.org:SIP"]
    assert granted["Attributes"]["Event"] == {
        **CALL,
        "Account": "5001",
        "CGRID": granted["Attributes"]["Event"]["CGRID"],
    }
    assert granted["Attributes"]["APIOpts"] == {"*subsys": "*sessions", "*attrProfileIDs": None}
    flat = call(prepaid, "SessionSv1.AuthorizeEventWithDigest", GetMaxUsage=True, **asked)
    assert (flat["AttributesDigest"], flat["MaxUsage"]) == ("Account:5001", 30)
    begun = call(prepaid, "SessionSv1.InitiateSessionWithDigest", InitSession=True, **asked)
    assert (begun["AttributesDigest"], begun["MaxUsage"]) == ("Account:5001", 30)
    assert money(prepaid, "5001") == 9.7
    more = call(prepaid, "SessionSv1.UpdateSession", UpdateSession=True, **asked)
    assert (more["MaxUsage"], more["Attributes"]["AlteredFields"]) == (30 * 10**9, ["*req.Account", "*req.Secret"])
    assert call(prepaid, "SessionSv1.GetActiveSessionsCount") == 1
    ended = {"TerminateSession": True, "Event": {**CALL, "Usage": "45s"}}  # finds its session by its CGRID
    assert call(prepaid, "SessionSv1.TerminateSession", **ended) == "OK"
    assert call(prepaid, "SessionSv1.ProcessCDR", Event=CALL) == "OK"
    assert (money(prepaid, "5001"), money(prepaid, "5002")) == (9.55, 10)


def test_named_profiles_and_none(prepaid: Node) -> None:
    named = call(prepaid, "SessionSv1.AuthorizeEvent", GetAttributes=True, AttributeIDs=["OTHER"], Event=CALL)
    assert named == {"Attributes": {
        "MatchedProfiles": ["cgrates.org:OTHER"], "AlteredFields": ["*req.Account"], "Tenant": "cgrates.org",
        "ID": named["Attributes"]["ID"], "Time": None, "Event": {**CALL, "Account": "5002"},
        "APIOpts": {"*subsys": "*sessions", "*attrProfileIDs": ["OTHER"]},
    }}  # fmt: skip
    assert call(prepaid, "SessionSv1.AuthorizeEvent", GetAttributes=True, AttributeIDs=["NOPE"], Event=CALL) == {}
    nothing = call(
        prepaid, "SessionSv1.AuthorizeEventWithDigest", GetAttributes=True, AttributeIDs=["NOPE"], Event=CALL
    )
    assert nothing["AttributesDigest"] is None
    inline = ["*constant:*req.Account:5002;*constant:*req.Who:x"]
    found = call(prepaid, "SessionSv1.ProcessMessage", GetAttributes=True, AttributeIDs=inline, Debit=True, Event=CALL)
    assert (found["Attributes"]["MatchedProfiles"], found["MaxUsage"]) == (inline, 30 * 10**9)
    assert money(prepaid, "5002") == 9.7
    context = call(prepaid, "SessionSv1.UpdateSession", GetAttributes=True, Event=CALL, APIOpts={"*context": "*cdrs"})
    assert context == {}


def test_errors_of_attributes_end_a_session_request(prepaid: Node) -> None:
    pin = {**CALL, "PIN": "*attributes"}
    error = "ATTRIBUTES_ERROR:MANDATORY_IE_MISSING: [PIN]"
    assert call(prepaid, "SessionSv1.InitiateSession", GetAttributes=True, InitSession=True, Event=pin) == error
    assert call(prepaid, "SessionSv1.ProcessEvent", Flags=["*attributes", "*rals:*initiate"], Event=pin) == error
    broken = ["*bogus:*req.X:1"]
    error = "ATTRIBUTES_ERROR:SERVER_ERROR: unsupported type: <*bogus>"
    assert call(prepaid, "SessionSv1.UpdateSession", GetAttributes=True, AttributeIDs=broken, Event=CALL) == error
    assert call(prepaid, "SessionSv1.GetActiveSessionsCount") == 0
    off = '{"sessions":{"attributes_conns":[]}}'
    assert call(prepaid, "ConfigSv1.SetConfigFromJSON", Config=off) == "OK"
    error = "ATTRIBUTES_ERROR:NOT_CONNECTED: AttributeS"
    assert call(prepaid, "SessionSv1.AuthorizeEvent", GetAttributes=True, Event=CALL) == error
    assert call(prepaid, "SessionSv1.ProcessEvent", Flags=["*attributes"], Event=CALL) == error
    assert call(prepaid, "SessionSv1.GetCost", Flags=["*attributes"], Event=CALL) == error


def test_flags_of_process_event(prepaid: Node) -> None:
    charger(prepaid, "second", "*constant:*req.Leg:second", Weight=5)

    def process(*flags: str) -> Any:
        return call(prepaid, "SessionSv1.ProcessEvent", Flags=list(flags), ID="e", Event=CALL)

    raw = process("*attributes")["Attributes"]
    assert {run: found["Event"]["Account"] for run, found in raw.items()} == {"*raw": "5001"}
    named = process("*attributes:*ids:OTHER&SIP", "*rals:*authorize")
    assert named["Attributes"]["*raw"]["MatchedProfiles"] == ["cgrates.org:SIP"]
    assert named["Attributes"]["*raw"]["APIOpts"]["*attrProfileIDs"] == ["OTHER", "SIP"]
    assert named["MaxUsage"] == {"*raw": 30 * 10**9}
    assert process("*attributes:*ids:NOPE")["Attributes"] == {}
    assert "Attributes" not in process("*attributes", "*attributes:false")
    derived = process("*chargers", "*attributes:*derived_reply")["Attributes"]
    assert {run: (found["Event"].get("Leg"), found["Event"]["Account"]) for run, found in derived.items()} == {
        "*raw": (None, "5001"), "*default": (None, "5001"), "second": ("second", "5001"),
    }  # fmt: skip
    cost = call(prepaid, "SessionSv1.GetCost", Flags=["*attributes:*ids:OTHER"], ID="e", Event=CALL)
    assert (cost["Attributes"]["Event"]["Account"], cost["EventCost"]["Cost"]) == ("5002", 0.3)
    assert process("*attributes", "*rals:*initiate")["MaxUsage"] == {"*raw": 30 * 10**9}
    assert process("*attributes", "*rals:*terminate", "*cdrs")["Attributes"]["*raw"]["Event"]["Account"] == "5001"
    assert money(prepaid, "5001") < 10


def test_the_digest_is_written_as_configured(prepaid: Node) -> None:
    ids = ["*constant:*req.A:1;*constant:*req.B:2;*constant:*req.Gone:*remove;*constant:*opts.*x:3"]
    change = '{"general":{"digest_equal":"=","digest_separator":";"}}'
    ask = {"GetAttributes": True, "AttributeIDs": ids, "Event": CALL}
    assert call(prepaid, "SessionSv1.AuthorizeEventWithDigest", **ask)["AttributesDigest"] == "A:1,B:2"
    assert call(prepaid, "ConfigSv1.SetConfigFromJSON", Config=change) == "OK"
    assert call(prepaid, "SessionSv1.AuthorizeEventWithDigest", **ask)["AttributesDigest"] == "A=1;B=2"
