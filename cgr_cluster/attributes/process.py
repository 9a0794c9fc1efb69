"""Attribute profiles applied to an event (spec chapter 50, sections 8.2 and 8.4). Pure; events are altered in copies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from cgr_cluster.attributes.selection import ANY_CONTEXT, ATTRIBUTES, CompiledProfile, choose
from cgr_cluster.attributes.settings import attribute_settings
from cgr_cluster.engine.domain import GenerationView
from cgr_cluster.events.event import CGREvent
from cgr_cluster.events.values import bool_of, int_of, text_of, texts_of
from cgr_cluster.filters.lists import passes
from cgr_cluster.filters.live import NOTHING_LIVE, Live
from cgr_cluster.filters.paths import MISSING
from cgr_cluster.filters.tenant_profiles import profiles_of
from cgr_cluster.filters.view import View
from cgr_cluster.rpc.errors import ApiError, missing, server_error

CONTEXT = "*context"
PROFILE_IDS = "*attrProfileIDs"
PROCESS_RUNS = "*attrProcessRuns"
PROFILE_RUNS = "*attrProfileRuns"
IGNORE_FILTERS = "*attrProfileIgnoreFilters"
DEFAULT_CONTEXT = "*default"
TO_FILL = "*attributes"  # a field that holds this text must be given another value
REMOVE = "*remove"
MAX_RUNS = 1000  # process runs of one event, whatever its options say
MAX_TEXT = (
    1 << 20
)  # characters that an attribute may make: runs that append a field to itself would double it each time


class Processed(msgspec.Struct, gc=False):
    """The altered event; `matched` in order of the runs, `altered` paths each once, in order of first change."""

    matched: list[str]
    altered: list[str]
    event: CGREvent


def process_attributes(
    generation: GenerationView, now_ns: int, event: CGREvent, context: str = "", live: Live = NOTHING_LIVE
) -> Processed | None:
    """Run AttributeS on a copy of `event`; None when nothing matches (or a first run finds a source missing). Options are
    those of the event. `context`: for an event that names none; it is among the options while the profiles are looked at.

    Raises the errors of 50 §8.2 with their prefixes, and `Need`."""
    settings = attribute_settings(generation)
    opts = event.opts
    process_runs = int_of(opts[PROCESS_RUNS]) if PROCESS_RUNS in opts else settings.process_runs
    profile_runs = int_of(opts[PROFILE_RUNS]) if PROFILE_RUNS in opts else settings.profile_runs
    lent = bool(context) and not text_of(opts.get(CONTEXT))
    if lent:
        opts = {**opts, CONTEXT: context}
    if process_runs <= 0:
        _refuse_unfilled(event.event)
        return Processed([], [], event.copy())
    if _nothing_to_find(generation, event.tenant, opts):
        _refuse_unfilled(event.event)
        return None
    try:
        out, altered = _run(generation, now_ns, event, opts, process_runs, profile_runs, live)
    except ApiError as error:
        raise server_error(error) from error
    _refuse_unfilled(altered)
    if out is not None and lent:
        out.event.opts.pop(CONTEXT, None)
    return out


def _nothing_to_find(generation: GenerationView, tenant: str, opts: dict[str, Any]) -> bool:
    """Whether no profile is for the context of the event: most events end here. Options that name candidates are read, and
    refused, where there is nothing to find too."""
    if PROFILE_IDS in opts or IGNORE_FILTERS in opts or attribute_settings(generation).profile_ids:
        return False
    indexes = profiles_of(ATTRIBUTES, generation, tenant).indexes
    return not indexes or (
        ANY_CONTEXT not in indexes and (text_of(opts.get(CONTEXT)) or DEFAULT_CONTEXT) not in indexes
    )


def _refuse_unfilled(fields: dict[str, Any]) -> None:
    if TO_FILL in fields.values():
        raise missing([next(field for field, value in fields.items() if value == TO_FILL)])


def _run(
    generation: GenerationView,
    now_ns: int,
    event: CGREvent,
    opts: dict[str, Any],
    process_runs: int,
    profile_runs: int,
    live: Live,
) -> tuple[Processed | None, dict[str, Any]]:
    """The process runs, on a copy that is made when there is something to alter. None: the first found nothing. With the
    fields of the event as they are then."""
    matched: list[str] = []
    used: dict[str, int] = {}
    variables: dict[str, Any] = {"*processedProfileIDs": matched}
    view = View(generation, now_ns, event.tenant, event.event, opts, variables=variables, tenant_path=True, live=live)
    out: Processed | None = None
    for run in range(1, process_runs + 1):
        if run > MAX_RUNS:
            raise ApiError(f"more than {MAX_RUNS} process runs of attributes")
        variables["*processRuns"] = run
        left_out = {name for name, count in used.items() if profile_runs and count >= profile_runs} if used else set()
        left_out.update(matched[-1:])
        options = _options(generation, view.opts)
        chosen = choose(view, event.time, options.context, options.profile_ids, options.ignore_filters, left_out)
        if chosen is None:
            break
        if out is None:
            out = Processed(matched, [], CGREvent(event.tenant, event.id, event.time, dict(event.event), dict(opts)))
            view.event, view.opts = out.event.event, out.event.opts
        variables["*apTenantID"] = chosen.shown
        try:
            _apply(chosen, view, out)
        except ApiError as error:
            if error.text != "NOT_FOUND":
                raise
            break
        matched.append(chosen.shown)
        used[chosen.shown] = used.get(chosen.shown, 0) + 1
        if chosen.profile.blocker:
            break
        view.tenant = out.event.tenant  # the next run is in the tenant that this one has set
    return (out if matched else None), view.event


class _Options(msgspec.Struct, gc=False):
    """What the options of an event say about one run."""

    context: str
    profile_ids: Sequence[str]
    ignore_filters: bool


def _options(generation: GenerationView, opts: dict[str, Any]) -> _Options:
    """Raises their conversion errors, without prefix."""
    settings = attribute_settings(generation)
    return _Options(
        text_of(opts.get(CONTEXT)) or DEFAULT_CONTEXT,
        texts_of(opts[PROFILE_IDS]) if PROFILE_IDS in opts else settings.profile_ids,
        bool_of(opts[IGNORE_FILTERS]) if IGNORE_FILTERS in opts else settings.ignore_filters,
    )


def profile_for(generation: GenerationView, now_ns: int, event: CGREvent, live: Live) -> CompiledProfile | None:
    """The profile that the event would get first, nothing being altered. `~*tenant` cannot be read here (50 §2.2).
    Raises errors of options bare, others with `SERVER_ERROR: `, and `Need`."""
    options = _options(generation, event.opts)
    view = View(generation, now_ns, event.tenant, event.event, event.opts, variables={"*processRuns": 1}, live=live)
    try:
        return choose(view, event.time, options.context, options.profile_ids, options.ignore_filters)
    except ApiError as error:
        raise server_error(error) from error


def _apply(chosen: CompiledProfile, view: View, out: Processed) -> None:
    event = out.event
    for attribute in chosen.attributes:
        if attribute.filter_ids and not passes(view, attribute.filter_ids):
            continue
        path = attribute.path
        text = attribute.constant if attribute.constant is not None else attribute.make(view)
        if attribute.old is not None and text != REMOVE:
            old = attribute.old.read(view)
            text = text if old is MISSING else text_of(old) + text
        if len(text) > MAX_TEXT:
            raise ApiError(f"attribute {path} of {chosen.shown} makes more than {MAX_TEXT} characters")
        if path not in out.altered:
            out.altered.append(path)
        if path == "*tenant":
            event.tenant = event.tenant + text if attribute.composed else text
        elif text == REMOVE:
            _remove(event, view, path)
        else:
            _set(event, view, path, text)


def _fields(event: CGREvent, view: View, root: str) -> dict[str, Any] | None:
    """The map below a root that can be written to; None: a path that changes nothing (50 §8.4)."""
    if root == "*req":
        return event.event
    if root == "*opts":
        return event.opts
    return view.variables if root == "*vars" else None


def _set(event: CGREvent, view: View, path: str, text: str) -> None:
    """Write a path, making the maps on the way. Raises WRONG_PATH for one through a plain value."""
    root, dot, rest = path.partition(".")
    fields = _fields(event, view, root)
    if fields is None or not dot:
        return
    *way, last = rest.split(".")
    for name in way:
        below = fields.get(name)
        if below is not None and not isinstance(below, dict):
            raise ApiError("WRONG_PATH")
        fields[name] = fields = {} if below is None else dict(below)  # the caller's event shares nested values
    fields[last] = text


def _remove(event: CGREvent, view: View, path: str) -> None:
    """Delete a path; one that leads nowhere is fine."""
    root, dot, rest = path.partition(".")
    fields = _fields(event, view, root)
    if fields is None or not dot:
        return
    *way, last = rest.split(".")
    found: Any = fields
    for name in way:
        found = found.get(name) if isinstance(found, dict) else None
    if not isinstance(found, dict) or last not in found:
        return
    for name in way:
        fields[name] = fields = dict(fields[name])
    del fields[last]
