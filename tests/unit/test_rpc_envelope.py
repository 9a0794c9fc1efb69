"""Documents and owner rules: what the balancer reads of a request (spec 01 §2, 30.2, design 4)."""

from __future__ import annotations

import json
from hashlib import sha1
from typing import Any

import pytest

from cgr_cluster.engine.owner import LEADER, Owner
from cgr_cluster.rpc.encode import encode_answer, encode_error
from cgr_cluster.rpc.envelope import MISSING_PARAMS, Envelope, MalformedError, decode_envelope
from cgr_cluster.rpc.owners import ANY, LEADER_RULE, account, event, record, session, shared_object, tenant_object

PING = "CoreSv1.Ping"
ONE = "[1]interface {}"


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ('{"method":"CoreSv1.Ping","params":[{}],"id":1}', Envelope(PING, b"1", b"{}")),
        ('{"jsonrpc":"2.0","method":"CoreSv1.Ping","params":[{"a":1}],"id":"a-1"}', Envelope(PING, b'"a-1"', b'{"a":1}')),
        (' {"id": -1.50 , "params" : [ {"a": 1} , 2 ],\n "method":"CoreSv1.Ping"}\n', Envelope(PING, b"-1.50", b'{"a": 1}')),
        ('{"method":"CoreSv1.Ping","params":[{}]}', Envelope(PING, b"null", b"{}", has_id=False)),
        ('{"method":"CoreSv1.Ping","params":[{}],"id":{"k":\n[1,2]}}', Envelope(PING, b'{"k":[1,2]}', b"{}")),
        ('{"method":"CoreSv1.Ping","params":[{}],"id":18446744073709551617}', Envelope(PING, b"18446744073709551617", b"{}")),
        ('{"METHOD":"CoreSv1.Ping","Params":[{}],"ID":1,"x":{}}', Envelope(PING, b"1", b"{}")),
        ('{"method":"A.B","method":"CoreSv1.Ping","params":[1],"params":[2],"id":1}', Envelope(PING, b"1", b"2")),
        ('{"method":"CoreSv1.Ping","params":[],"id":1}', Envelope(PING, b"1", b"null")),
        ('{"method":"CoreSv1.Ping","id":1}', Envelope(PING, b"1", b"null", MISSING_PARAMS)),
        ('{"method":"CoreSv1.Ping","params":null,"id":1}', Envelope(PING, b"1", b"null", MISSING_PARAMS)),
        ('{"method":"CoreSv1.Ping","params":{},"id":1}',
         Envelope(PING, b"1", b"null", f"json: cannot unmarshal object into Go value of type {ONE}")),
        ('{"method":"CoreSv1.Ping","params":"x","id":1}',
         Envelope(PING, b"1", b"null", f"json: cannot unmarshal string into Go value of type {ONE}")),
        ('{"method":"CoreSv1.Ping","params":5,"id":1}',
         Envelope(PING, b"1", b"null", f"json: cannot unmarshal number into Go value of type {ONE}")),
        ('{"method":"CoreSv1.Ping","params":true,"id":1}',
         Envelope(PING, b"1", b"null", f"json: cannot unmarshal bool into Go value of type {ONE}")),
        ("null", Envelope("", b"null", b"null", MISSING_PARAMS, False)),
        ("{}", Envelope("", b"null", b"null", MISSING_PARAMS, False)),
        ('{"method":null,"params":[{}],"id":1}', Envelope("", b"1", b"{}")),
    ],
)  # fmt: skip
def test_documents(document: str, expected: Envelope) -> None:
    assert decode_envelope(document.encode()) == expected


def test_text_that_is_no_utf8() -> None:
    found = decode_envelope(b'{"method":"A.\xff","params":[{"a":"\xff"}],"id":"\xff"}')
    assert (found.method, found.id) == ("A.\ufffd", '"\ufffd"'.encode())


@pytest.mark.parametrize(
    "document",
    ["hello", '"text"', "7", "true", "[]", '[{"method":"CoreSv1.Ping","params":[{}],"id":1}]', '{"method":5}',
     '{"method":"CoreSv1.Ping",,}', '{"method":["x"],"params":[{}]}', "", "{", "{'a':1}", '{"a":01}', "nul",
     '{"method":"A.B","params":[' + "[" * 50_000 + "]" * 50_000 + "]}"],
)  # fmt: skip
def test_what_is_no_request(document: str) -> None:
    with pytest.raises(MalformedError):
        decode_envelope(document.encode())


def test_answers_are_one_line_with_the_id_unchanged() -> None:
    assert encode_answer(b"1.50", "Pong") == b'{"id":1.50,"result":"Pong","error":null}\n'
    assert encode_error(b'{"k":[1]}', 'a "b"') == b'{"id":{"k":[1]},"result":null,"error":"a \\"b\\""}\n'


CGRID = sha1(b"callhost").hexdigest()


@pytest.mark.parametrize(
    ("rule", "parameter", "owner"),
    [
        (account(), {"Tenant": "t", "Account": "1001"}, Owner("account", "t:1001")),
        (account(), {"Account": "1001"}, Owner("account", "cgrates.org:1001")),
        (account(), {"tenant": "t", "ACCOUNT": "1001"}, Owner("account", "t:1001")),
        (account(), {"tenant": "t", "Account": "1001"}, Owner("account", "t:1001")),
        (event(), {"tenant": "t", "Event": {"Account": "1001"}}, Owner("account", "t:1001")),
        (account(), {"Tenant": "", "Account": "1001", "x": [1]}, Owner("account", "cgrates.org:1001")),
        (account(), {"Tenant": "t"}, None), (account(), {"Account": 5}, None), (account(), [], None),
        (account("Tenant", "SourceAccountID"), {"SourceAccountID": "a"}, Owner("account", "cgrates.org:a")),
        (event(), {"Tenant": "t", "Event": {"Account": "1001", "OriginID": "call"}}, Owner("account", "t:1001")),
        (event(), {"Event": {"Account": 1001}}, Owner("account", "cgrates.org:1001")),
        (event(), {"Event": {"Account": 1001.0}}, Owner("account", "cgrates.org:1001")),
        (event(), {"tenant": "t", "event": {"Account": "1001"}}, Owner("account", "t:1001")),
        (event(), {"Event": {"OriginID": "call", "OriginHost": "host"}}, Owner("session", CGRID)),
        (event(), {"Event": {"OriginID": "call", "OriginHost": "host", "CGRID": "x"}}, Owner("session", "x")),
        (event(), {"Event": {"OriginID": "callhost", "account": "no"}}, Owner("session", CGRID)),
        (event(), {"Tenant": "t"}, None), (event(), {"Event": [1]}, None), (event(), "x", None),
        (record(), {"OriginID": "call", "OriginHost": "host"}, Owner("session", CGRID)),
        (record(), {"Tenant": "t", "Account": "1001"}, Owner("account", "t:1001")),
        (session(), {"CGRID": "x"}, Owner("session", "x")), (session(), {}, None),
        (shared_object(), {"Tenant": "t", "ID": "q"}, Owner("object", "t:q")),
        (tenant_object(), {}, Owner("object", "cgrates.org:")),
        (LEADER_RULE, {}, LEADER), (ANY, {}, None),
    ],
)  # fmt: skip
def test_owner_rules(rule: Any, parameter: Any, owner: Owner | None) -> None:
    assert rule.owner(json.dumps(parameter).encode(), "cgrates.org") == owner
