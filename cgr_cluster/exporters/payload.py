"""What an exporter makes of an event: templates to a row, a form or a JSON object (spec 40 §7, 41 §4). Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

import msgspec

from cgr_cluster.engine.domain import GenerationView
from cgr_cluster.events.durations import Duration
from cgr_cluster.events.event import CGREvent
from cgr_cluster.events.instant import Instant
from cgr_cluster.events.nesting import read_json
from cgr_cluster.events.times import format_instant
from cgr_cluster.events.values import json_text, text_of
from cgr_cluster.exporters.search_documents import authorization
from cgr_cluster.exporters.types import FILE_TYPES, KAFKA_TYPE, SEARCH_TYPE, Definition
from cgr_cluster.rpc.errors import ApiError
from cgr_cluster.templates.fields import CompiledField, compile_fields, evaluate
from cgr_cluster.templates.view import Branch, TemplateView

CONTENT, HEADER, TRAILER, CACHE = "*exp", "*hdr", "*trl", "*uch"
SEPARATOR_OPTION = "csvFieldSeparator"
FORM = "application/x-www-form-urlencoded"
JSON = "application/json"


class Payload(msgspec.Struct, frozen=True, gc=False):
    """What leaves: `body`, and for HTTP its type and `headers`. `params`: of the method that `*rpc` calls; `key`: of a
    document or message."""

    body: str = ""
    content_type: str = ""
    headers: dict[str, str] = {}
    params: dict[str, Any] | None = None
    key: str = ""


class Templates:
    """The fields of an exporter, compiled, by what they build."""

    def __init__(self, definition: Definition) -> None:
        """Raises the errors of values that do not compile (41 §1)."""
        general = definition.sections.get("general", {})
        fields = compile_fields(
            definition.fields, definition.sections.get("templates", {}), str(general.get("rsr_separator") or ";")
        )
        self.header = _of(HEADER, fields)
        self.trailer = _of(TRAILER, fields)
        self.content = tuple(field for field in fields if field not in self.header and field not in self.trailer)
        self.whole = not _of(CONTENT, fields)  # no `*exp` fields: the whole event
        self.reads_metrics = any("*em" in json_text(field) for field in definition.fields)


def _of(root: str, fields: Sequence[CompiledField]) -> tuple[CompiledField, ...]:
    return tuple(field for field in fields if field.template.path.startswith(f"{root}."))


class Sources(msgspec.Struct, gc=False):
    """What templates of an exporter look at beside the event."""

    generation: GenerationView
    now_ns: int
    tenant: str
    metrics: dict[str, Any]
    shared: Branch  # `*uch`
    zone: str


def _view(definition: Definition, event: CGREvent, sources: Sources, root: str) -> TemplateView:
    targets = {root: Branch(), "*tmp": Branch(), CACHE: sources.shared}
    variables = {"*tenant": sources.tenant, "*exporterID": definition.id}
    given = {"*em": sources.metrics, "*ec": _event_cost(event)}
    return TemplateView(
        sources.generation, sources.now_ns, sources.tenant, event.event, event.opts, targets, variables, given,
        sources.zone,
    )  # fmt: skip


def _event_cost(event: CGREvent) -> Any:
    details = event.event.get("CostDetails")
    if isinstance(details, str):
        try:
            details = read_json(details)
        except ValueError:
            return {}
    return details if isinstance(details, dict) else {}


def row_of(branch: Branch) -> list[str]:
    """All elements, in the order in which their paths were first set."""
    return [text for elements in branch.elements.values() for text in elements]


def map_of(branch: Branch) -> dict[str, str]:
    """The last element of each path."""
    return {path: elements[-1] for path, elements in branch.elements.items()}


def payload_of(definition: Definition, templates: Templates, event: CGREvent, sources: Sources) -> Payload:
    """Raises the errors of fields (41 §3, 4)."""
    kind = definition.type
    branch = Branch()
    if templates.content:
        view = _view(definition, event, sources, CONTENT)
        evaluate(templates.content, view)
        branch = view.targets[CONTENT]
    if kind in FILE_TYPES:
        fields = event.event
        row = [text_of(fields[name]) for name in sorted(fields)] if templates.whole else row_of(branch)
        return Payload(line_of(definition, row))
    if kind == "*rpc":
        return Payload(params=_rpc_params(definition, templates, event, branch))
    whole = {name: _plain(value) for name, value in event.event.items()} if templates.whole else map_of(branch)
    if kind == "*http_post":
        texts = {name: text_of(event.event[name]) for name in sorted(whole)} if templates.whole else map_of(branch)
        return Payload(urlencode(sorted(texts.items())), FORM, headers_of(definition, templates, event, sources))
    if kind == SEARCH_TYPE:
        return Payload(json_text(whole), JSON, authorization(definition.opts), key=key_of(event))
    if kind == KAFKA_TYPE:
        return Payload(json_text(whole), JSON, key=key_of(event))
    headers = headers_of(definition, templates, event, sources) if kind == "*http_json_map" else {}
    return Payload(json_text(whole), JSON, headers)


def _plain(value: Any) -> Any:
    if isinstance(value, Instant):
        return format_instant(value)
    return int(value) if isinstance(value, Duration) else value


def headers_of(definition: Definition, templates: Templates, event: CGREvent, sources: Sources) -> dict[str, str]:
    """`*hdr` fields as HTTP headers. Raises ApiError for what is no header."""
    if not templates.header:
        return {}
    view = _view(definition, event, sources, HEADER)
    evaluate(templates.header, view)
    headers = map_of(view.targets[HEADER])
    for name, text in headers.items():
        if not name.isascii() or any(ord(char) < 33 for char in name) or ":" in name:
            raise ApiError(f"no name of an HTTP header: {name}")
        if any(ord(char) < 32 or ord(char) > 255 for char in text):
            raise ApiError(f"no value of an HTTP header {name}: {text}")
    return headers


def _rpc_params(definition: Definition, templates: Templates, event: CGREvent, branch: Branch) -> dict[str, Any]:
    """Fields as parameters; without fields the event as it came, with the options of the exporter (rpcAPIOpts)."""
    if not templates.whole:
        return dict(map_of(branch))
    more = definition.opts.get("rpcAPIOpts") or {}
    fields = {name: _plain(value) for name, value in event.event.items()}
    return {"Tenant": event.tenant, "ID": event.id, "Event": fields, "APIOpts": {**event.opts, **more}}


# --- lines of files ----------------------------------------------------------------------------------------------


def frame_line(definition: Definition, fields: tuple[CompiledField, ...], root: str, sources: Sources) -> str:
    """The header or trailer line of a file; "" when it has none. Raises the errors of fields."""
    if not fields:
        return ""
    view = _view(definition, CGREvent(sources.tenant, ""), sources, root)
    evaluate(fields, view)
    row = row_of(view.targets[root])
    return line_of(definition, row) if row else ""


def line_of(definition: Definition, row: Sequence[str]) -> str:
    """A line of the file: fields separated and quoted where they must be, or of fixed width."""
    if definition.type == "*file_fwv":
        return "".join(row) + "\n"
    separator = str(definition.opts.get(SEPARATOR_OPTION) or ",")
    return separator.join(_quoted(text, separator) for text in row) + "\n"


def _quoted(text: str, separator: str) -> str:
    if text == "":
        return text
    must = text == r"\." or separator in text or any(char in text for char in '"\r\n') or text[0].isspace()
    return '"' + text.replace('"', '""') + '"' if must else text


# --- keys --------------------------------------------------------------------------------------------------------


def key_of(event: CGREvent) -> str:
    """`CGRID:RunID`, by which targets with keys know an event (40 §7); what is missing is as for a CDR."""
    cgrid = text_of(event.event.get("CGRID"))
    if not cgrid:
        origin = text_of(event.event.get("OriginID")) + text_of(event.event.get("OriginHost"))
        cgrid = hashlib.sha1(origin.encode(), usedforsecurity=False).hexdigest()
    return f"{cgrid}:{text_of(event.event.get('RunID')) or '*default'}"
