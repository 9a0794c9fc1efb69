"""What the HTTP endpoints `/cdr_http` and `/freeswitch_json` call with what was posted (spec 40 §8; balancer/http.py)."""

from __future__ import annotations

from cgr_cluster.cdrs.conversion import defaults_of
from cgr_cluster.cdrs.form_records import cdr_of_form, cdr_of_freeswitch
from cgr_cluster.cdrs.process_api import process_record
from cgr_cluster.engine.domain import Operation, Steps
from cgr_cluster.rpc.registry import Params, method


class PostedForm(Params, go="v1.PostedForm"):
    """`Source`: who has posted it, `ip:port`."""

    Fields: dict[str, str] = {}
    Source: str = ""


class PostedRecord(Params, go="v1.PostedRecord"):
    """`Record`: the JSON text of a FreeSWITCH record."""

    Record: str = ""


@method("CDRsV1.ProcessForm", changes=True)
def process_form(op: Operation, params: PostedForm) -> Steps[str]:
    cdr = cdr_of_form(params.Fields, params.Source, defaults_of(op.generation), op.now_ns)
    return (yield from process_record(op, cdr, None))


@method("CDRsV1.ProcessFreeSwitchRecord", changes=True)
def process_freeswitch_record(op: Operation, params: PostedRecord) -> Steps[str]:
    rules = [str(rule) for rule in op.generation.config("cdrs").get("extra_fields") or ()]
    cdr = cdr_of_freeswitch(params.Record, rules, defaults_of(op.generation), op.generation, op.now_ns)
    return (yield from process_record(op, cdr, None))
