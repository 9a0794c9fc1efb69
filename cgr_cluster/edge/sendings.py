"""What an exporter has sent elsewhere: where to, by which options and method (spec 40 §7)."""

from __future__ import annotations

import msgspec

from cgr_cluster.edge.live_exporter import Live
from cgr_cluster.events.values import text_of
from cgr_cluster.exporters.failed import FailedPost
from cgr_cluster.exporters.payload import Payload
from cgr_cluster.exporters.search_documents import METHOD, document_url
from cgr_cluster.exporters.types import AMQP_TYPE, KAFKA_TYPE, SEARCH_TYPE, Export
from cgr_cluster.rpc.errors import ApiError

_BROKER_OPTIONS = {AMQP_TYPE: "amqp", KAFKA_TYPE: "kafka"}  # type → how the options of its broker begin
INTERNAL = ("*internal", "*localhost")


class Sending(msgspec.Struct, gc=False):
    """Something to be sent elsewhere, and what it belongs to. `at_once`: how many may go there at once (0: any number)."""

    export: Export
    post: FailedPost
    live: Live
    at_once: int


def sending_of(live: Live, export: Export, payload: Payload) -> Sending:
    """What is to be sent for an export."""
    definition = live.definition
    post = FailedPost(definition.id, definition.type, definition.export_path, payload, timeout_s=live.timeout_s)
    if definition.type == SEARCH_TYPE:
        post.path, post.method = document_url(definition.export_path, definition.opts, payload.key), METHOD
    if definition.type in _BROKER_OPTIONS:
        prefix = _BROKER_OPTIONS[definition.type]
        post.opts = {name: value for name, value in definition.opts.items() if name.startswith(prefix)}
    if definition.type == "*rpc":
        try:
            post.address, post.transport, post.method = rpc_address(live)
        except ApiError:
            pass  # the caller asks for it where it matters
    return Sending(export, post, live, definition.concurrent_requests)


def rpc_address(live: Live) -> tuple[str, str, str]:
    """Address ("": this node), transport and method of an `*rpc` exporter. Raises ApiError."""
    opts = live.definition.opts
    method = text_of(opts.get("serviceMethod"))
    if not method:
        raise ApiError("MANDATORY_IE_MISSING: [serviceMethod]")
    names = [text_of(name) for name in opts.get("connIDs") or ()]
    if not names:
        raise ApiError("MANDATORY_IE_MISSING: [connIDs]")
    if names[0] in INTERNAL:
        return "", "", method
    found = live.definition.sections.get("rpc_conns", {}).get(names[0])
    conns = found.get("conns") if isinstance(found, dict) else None
    if not conns:
        raise ApiError(f"connection with id: <{names[0]}> not defined")
    address = str(conns[0].get("address") or "")
    if address in INTERNAL:
        return "", "", method
    codec = text_of(opts.get("rpcCodec")) or str(conns[0].get("transport") or "*json")
    if codec not in ("*json", "*http_jrpc"):
        raise ApiError(f"unsupported rpcCodec of *rpc: {codec}")
    return address, codec, method
