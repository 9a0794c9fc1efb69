"""Records that switches post over HTTP: forms and FreeSWITCH's JSON, as CDRs (spec 40 §8). Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cgr_cluster.cdrs.conversion import Defaults, cdr_of_event
from cgr_cluster.cdrs.types import CDR
from cgr_cluster.engine.domain import GenerationView
from cgr_cluster.events.nesting import read_json
from cgr_cluster.events.rules import parse_rule, split_value
from cgr_cluster.events.values import text_of
from cgr_cluster.filters.paths import MISSING, compile_value
from cgr_cluster.filters.view import View
from cgr_cluster.rpc.errors import ApiError

SOURCE = "freeswitch_json"
_REQ = "*req."
_ACCOUNT = ("cgr_account", "user_name")
_USERNAME = "username"


def cdr_of_form(fields: dict[str, str], source: str, defaults: Defaults, now_ns: int) -> CDR:
    """Form fields are event fields; `source` is the client's `ip:port`. Raises the errors of conversion."""
    return cdr_of_event({**fields, "Source": source}, "", defaults, now_ns)


def cdr_of_freeswitch(
    text: str, extra_fields: Sequence[str], defaults: Defaults, generation: GenerationView, now_ns: int
) -> CDR:
    """A record of FreeSWITCH's mod_json_cdr. Raises ApiError for what is none, and the errors of conversion."""
    try:
        record = read_json(text)
    except (ValueError, RecursionError) as error:
        raise ApiError(f"the body is no JSON: {error}") from None
    variables = record.get("variables") if isinstance(record, dict) else None
    if not isinstance(variables, dict):
        raise ApiError("the body has no object variables")

    def first(*names: str) -> str:
        return next((found for name in names if (found := text_of(variables.get(name)))), "")

    username = _anywhere(record, _USERNAME)
    event = {
        "OriginID": first("uuid"),
        "OriginHost": first("cgr_originhost", "FreeSWITCH-IPv4"),
        "RequestType": first("cgr_reqtype"),
        "Tenant": first("cgr_tenant"),
        "Category": first("cgr_category"),
        "Account": first(*_ACCOUNT) or username,
        "Subject": first("cgr_subject", *_ACCOUNT) or username,
        "Destination": first("cgr_destination", "dialed_extension", "sip_req_user"),
        "SetupTime": first("start_epoch"),
        "AnswerTime": first("answer_epoch"),
        "Usage": f"{first('billsec') or '0'}s",
        "RunID": first("cgr_runid"),
        "PreRated": first("cgr_prerated") or False,
        "Source": SOURCE,
        "ToR": "*voice",
    }
    cdr = cdr_of_event(event, "", defaults, now_ns)
    for value in extra_fields:
        for rule in split_value(value):
            name, found = _extra(rule, variables, record, generation, now_ns)
            if name:
                cdr.extra_fields[name] = found
    return cdr


def _extra(
    rule: str, variables: dict[str, Any], record: Any, generation: GenerationView, now_ns: int
) -> tuple[str, str]:
    """Name and value of an extra field `~*req.NAME...`: a variable, else what has this name anywhere in the record. An
    empty name: the rule names none."""
    path = getattr(parse_rule(rule), "path", None)
    if not path or not path.startswith(_REQ):
        return "", ""
    name = path.removeprefix(_REQ)
    raw = variables.get(name)
    view = View(generation, now_ns, "", {name: _anywhere(record, name) if raw is None else raw}, {})
    found = compile_value(rule).read(view)
    return name, "" if found is MISSING else text_of(found)


def _anywhere(value: Any, name: str) -> str:
    """The first value of that name in the record, from the outside in; "" for none."""
    level = [value]
    while level:
        below: list[Any] = []
        for each in level:
            if isinstance(each, dict):
                if not isinstance(each.get(name, []), (dict, list)):
                    return text_of(each[name])
                below += each.values()
            elif isinstance(each, list):
                below += each
        level = below
    return ""
