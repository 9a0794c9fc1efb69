"""Records posted by switches: forms and FreeSWITCH's JSON become CDRs (spec 40 §8)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from balancer.forms import FORM, MAX_FIELDS, form_fields
from cgr_cluster.node.node import Node
from tests.unit.readers_world import SECOND, node_with

FREESWITCH: dict[str, Any] = {
    "variables": {
        "uuid": "fs-1", "FreeSWITCH-IPv4": "10.0.0.1", "cgr_reqtype": "*none", "cgr_tenant": "", "cgr_account": "",
        "user_name": "1001", "dialed_extension": "1002", "sip_req_user": "1003", "start_epoch": "1772445600",
        "answer_epoch": "1772445605", "billsec": "61", "cgr_runid": "", "read_codec": "PCMA", "write_rate": 8000,
    },
    "callflow": [{"caller_profile": {"username": "deep", "network_addr": "10.0.0.9"}}],
}  # fmt: skip


def posted(node: Node, method: str, params: dict[str, Any]) -> Any:
    answer = node.call(method, params)
    return answer["error"] or node.call("CDRsV1.GetCDRs", {})["result"][0]


@pytest.mark.parametrize(
    ("url", "kind", "body", "fields"),
    [
        (b"/cdr_http", FORM, b"A=1&B=a+b%2Fc&A=2&C=", {"A": "1", "B": "a b/c", "C": ""}),
        (b"/cdr_http?A=3&D=4", FORM + b"; charset=utf-8", b"A=1", {"A": "1", "D": "4"}),
        (b"/cdr_http?A=%C3%A4#x", None, b"", {"A": "\xe4"}),
        (b"/cdr_http", b"application/json", b'{"A":1}', {}),
    ],
)
def test_form(url: bytes, kind: bytes | None, body: bytes, fields: dict[str, str]) -> None:
    assert form_fields(url, kind, body) == fields


def test_form_of_too_many_fields_is_refused() -> None:
    with pytest.raises(ValueError, match="Max number of fields exceeded"):
        form_fields(b"/", FORM, b"&".join(b"a%d=1" % n for n in range(MAX_FIELDS + 1)))


def test_form_becomes_a_record() -> None:
    node = node_with()
    fields = {
        "OriginID": "f1", "RequestType": "*none", "Account": "1001", "AnswerTime": "2026-03-02 10:00:00", "Usage": "61",
        "Other": "x", "Source": "mine",
    }  # fmt: skip
    cdr = posted(node, "CDRsV1.ProcessForm", {"Fields": fields, "Source": "10.0.0.1:4711"})
    assert (cdr["OriginID"], cdr["Usage"], cdr["Source"], cdr["Cost"]) == ("f1", 61, "10.0.0.1:4711", -1)
    assert (cdr["Tenant"], cdr["Category"], cdr["ToR"]) == ("cgrates.org", "call", "*voice")
    assert cdr["ExtraFields"] == {"Other": "x"}
    assert posted(node, "CDRsV1.ProcessForm", {"Fields": {**fields, "AnswerTime": "soon"}}) == "Unsupported time format"


def test_freeswitch_record() -> None:
    node = node_with()
    rules = ["~*req.read_codec;~*req.write_rate:s/^(\\d)000$/${1}k/", "~*req.network_addr", "~*req.nowhere", "constant"]
    assert node.call("ConfigSv1.SetConfig", {"Config": {"cdrs": {"extra_fields": rules}}})["error"] is None
    cdr = posted(node, "CDRsV1.ProcessFreeSwitchRecord", {"Record": json.dumps(FREESWITCH)})
    main = (
        "OriginID",
        "OriginHost",
        "RequestType",
        "Tenant",
        "Account",
        "Subject",
        "Destination",
        "Source",
        "Usage",
        "RunID",
    )
    assert [cdr[name] for name in main] == [
        "fs-1", "10.0.0.1", "*none", "cgrates.org", "1001", "1001", "1002", "freeswitch_json", 61 * SECOND, "*default",
    ]  # fmt: skip
    assert (cdr["SetupTime"], cdr["AnswerTime"]) == ("2026-03-02T10:00:00Z", "2026-03-02T10:00:05Z")
    assert {name: text for name, text in cdr["ExtraFields"].items() if text} == {
        "read_codec": "PCMA", "write_rate": "8k", "network_addr": "10.0.0.9",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("variables", "account", "subject", "destination"),
    [
        ({"cgr_account": "a", "cgr_subject": "s", "cgr_destination": "d"}, "a", "s", "d"),
        ({"cgr_account": "a"}, "a", "a", "1002"),
        ({"user_name": "", "dialed_extension": ""}, "deep", "deep", "1003"),
    ],
)
def test_where_freeswitch_fields_come_from(
    variables: dict[str, str], account: str, subject: str, destination: str
) -> None:
    record = {**FREESWITCH, "variables": {**FREESWITCH["variables"], **variables}}
    cdr = posted(node_with(), "CDRsV1.ProcessFreeSwitchRecord", {"Record": json.dumps(record)})
    assert (cdr["Account"], cdr["Subject"], cdr["Destination"]) == (account, subject, destination)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("{", "the body is no JSON: "),
        ("[1]", "the body has no object variables"),
        ("[" * 300, "the body is no JSON: nested"),
    ],
)
def test_what_is_no_record(text: str, error: str) -> None:
    assert node_with().call("CDRsV1.ProcessFreeSwitchRecord", {"Record": text})["error"].startswith(error)
