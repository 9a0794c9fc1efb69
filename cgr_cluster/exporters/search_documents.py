"""Documents for Elasticsearch, by its HTTP interface: `PUT /INDEX/_doc/ID` (spec 40 §7, `*els`). Pure."""

from __future__ import annotations

from base64 import b64encode
from typing import Any
from urllib.parse import quote, urlencode

from cgr_cluster.events.values import text_of

DEFAULT_INDEX = "cdrs"
METHOD = "PUT"
# option of the exporter → parameter of the request
_PARAMETERS = {
    "elsOpType": "op_type",
    "elsPipeline": "pipeline",
    "elsRouting": "routing",
    "elsRefresh": "refresh",
    "elsTimeout": "timeout",
    "elsVersion": "version",
    "elsVersionType": "version_type",
    "elsIfPrimaryTerm": "if_primary_term",
    "elsIfSeqNo": "if_seq_no",
    "elsWaitForActiveShards": "wait_for_active_shards",
}


def document_url(address: str, opts: dict[str, Any], key: str) -> str:
    """Where the document `key` of the exporter's index is put. `address` may be a list, of which the first counts."""
    index = text_of(opts.get("elsIndex")) or DEFAULT_INDEX
    given = {name: text_of(opts[option]) for option, name in _PARAMETERS.items() if opts.get(option) not in (None, "")}
    base = address.split(";")[0].strip().rstrip("/")
    return f"{base}/{quote(index, safe='')}/_doc/{quote(key, safe='')}" + (f"?{urlencode(given)}" if given else "")


def authorization(opts: dict[str, Any]) -> dict[str, str]:
    """The header by which the exporter logs in: an API key, or user and password; none without them."""
    api_key = text_of(opts.get("elsApiKey") or opts.get("elsAPIKey"))
    if api_key:
        return {"Authorization": f"ApiKey {api_key}"}
    user, password = text_of(opts.get("elsUsername")), text_of(opts.get("elsPassword"))
    if not user and not password:
        return {}
    return {"Authorization": "Basic " + b64encode(f"{user}:{password}".encode()).decode()}
