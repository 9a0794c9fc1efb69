"""Attribute profiles applied to an event (spec chapter 50, sections 8.2 and 8.4). Pure; events are altered in copies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from cgr_cluster.attributes.inline import is_inline, parse_inline
from cgr_cluster.attributes.types import Attribute, AttributeProfile
from cgr_cluster.attributes.values import Maker, compile_attribute_value
from cgr_cluster.engine.domain import GenerationView
from cgr_cluster.events.event import CGREvent
from cgr_cluster.events.values import bool_of, int_of
from cgr_cluster.filters.index import IndexSettings, ProfileIndex
from cgr_cluster.filters.lists import passes
from cgr_cluster.filters.live import NOTHING_LIVE, Live
from cgr_cluster.filters.view import View
from cgr_cluster.rpc.errors import ApiError, missing, not_found, server_error

ANY_CONTEXT = "*any"


class Processed(msgspec.Struct, gc=False):
    """The altered event; `matched` in order of the runs, `altered` paths each once, in order of first change."""

    matched: list[str]
    altered: list[str]
    event: CGREvent


class CompiledProfile:
    """A profile with its values compiled."""

    __slots__ = ("attributes", "profile", "shown")

    def __init__(self, profile: AttributeProfile) -> None:
        self.profile = profile
        self.shown = profile.id if is_inline(profile.id) else f"{profile.tenant}:{profile.id}"
        self.attributes: tuple[tuple[Attribute, Maker], ...] = tuple(
            (attribute, compile_attribute_value(attribute)) for attribute in profile.attributes
        )


class _Profiles:
    """Profiles and context indexes of a generation, made when first used."""

    def __init__(self, generation: GenerationView) -> None:
        self._generation = generation
        self._compiled: dict[str, CompiledProfile | None] = {}
        self._indexes: dict[str, dict[str, ProfileIndex]] = {}
        self.any_context = bool(generation.config("attributes").get("any_context", True))

    def get(self, tenant: str, profile_id: str) -> CompiledProfile | None:
        key = f"{tenant}:{profile_id}"
        if key not in self._compiled:
            found = (
                parse_inline(tenant, profile_id)
                if is_inline(profile_id)
                else self._generation.get("attribute_profile", key)
            )
            self._compiled[key] = None if found is None else CompiledProfile(found)
        return self._compiled[key]

    def index(self, tenant: str, context: str) -> ProfileIndex | None:
        by_context = self._indexes.get(tenant)
        if by_context is None:
            by_context = self._indexes[tenant] = self._build(tenant)
        return by_context.get(context)

    def _build(self, tenant: str) -> dict[str, ProfileIndex]:
        settings = IndexSettings.of(self._generation, "attributes")
        by_context: dict[str, ProfileIndex] = {}
        for key in sorted(self._generation.keys("attribute_profile")):
            if not key.startswith(f"{tenant}:"):
                continue
            profile: AttributeProfile = self._generation.get("attribute_profile", key)
            for context in profile.contexts:
                index = by_context.setdefault(context, ProfileIndex(settings))
                index.add(self._generation, tenant, profile.id, profile.filter_ids)
        return by_context


def process_attributes(
    generation: GenerationView,
    now_ns: int,
    event: CGREvent,
    context: str,
    profile_ids: Sequence[str] = (),
    live: Live = NOTHING_LIVE,
) -> Processed:
    """Run AttributeS on a copy of `event`. Raises `NOT_FOUND` when nothing matches, the errors of 50 §8.2 with their
    prefixes, and `Need`."""
    config = generation.config("attributes").get("opts") or {}
    opts = event.opts
    process_runs = int_of(opts.get("*attrProcessRuns", _default(config, "*processRuns", 1)))
    profile_runs = int_of(opts.get("*attrProfileRuns", _default(config, "*profileRuns", 0)))
    out = Processed([], [], event.copy())
    try:
        ignore_filters = bool(profile_ids) and bool_of(
            opts.get("*attrProfileIgnoreFilters", _default(config, "*profileIgnoreFilters", False))
        )
        _run(generation, now_ns, out, context, profile_ids, process_runs, profile_runs, ignore_filters, live)
    except ApiError as error:
        if error.text != "NOT_FOUND":
            raise server_error(error) from error
        _refuse_unfilled(out.event)
        raise
    _refuse_unfilled(out.event)
    return out


def _default(config: dict[str, Any], name: str, built_in: Any) -> Any:
    """A default of `attributes.opts`: a plain value, or a list of values with filters whose first one counts."""
    value = config.get(name, built_in)
    if isinstance(value, list):
        value = value[0].get("Value", built_in) if value and isinstance(value[0], dict) else built_in
    return value


def _refuse_unfilled(event: CGREvent) -> None:
    for field, value in event.event.items():
        if value == "*attributes":
            raise missing([field])


def _run(
    generation: GenerationView,
    now_ns: int,
    out: Processed,
    context: str,
    profile_ids: Sequence[str],
    process_runs: int,
    profile_runs: int,
    ignore_filters: bool,
    live: Live,
) -> None:
    profiles = generation.derived(_Profiles, "attribute_profile", "filter", "config")
    previous = ""
    used: dict[str, int] = {}
    variables: dict[str, Any] = {"*processedProfileIDs": out.matched}
    for run in range(1, process_runs + 1):
        event = out.event
        variables["*processRuns"] = run
        view = View(
            generation, now_ns, event.tenant, event.event, event.opts, variables=variables, tenant_path=True, live=live
        )
        full = {name for name, count in used.items() if profile_runs and count >= profile_runs}
        chosen = _choose(profiles, view, event, context, profile_ids, ignore_filters, full | {previous})
        if chosen is None:
            if run == 1:
                raise not_found()
            return
        variables["*apTenantID"] = chosen.shown
        try:
            _apply(chosen, view, out)
        except ApiError as error:
            if error.text == "NOT_FOUND" and run > 1:
                return
            raise
        out.matched.append(chosen.shown)
        previous = chosen.shown
        used[previous] = used.get(previous, 0) + 1
        if chosen.profile.blocker:
            return


def _choose(
    profiles: _Profiles,
    view: View,
    event: CGREvent,
    context: str,
    profile_ids: Sequence[str],
    ignore_filters: bool,
    left_out: set[str],
) -> CompiledProfile | None:
    """The matching profile of the highest weight; the earlier candidate wins among equals."""
    best: CompiledProfile | None = None
    for profile_id in profile_ids or _candidates(profiles, view, context):
        compiled = profiles.get(view.tenant, profile_id)
        if compiled is None or compiled.shown in left_out:
            continue
        profile = compiled.profile
        if profile.contexts != (ANY_CONTEXT,) and context not in profile.contexts:
            continue
        interval = profile.activation_interval
        if event.time is not None and interval is not None and not interval.holds(event.time.ns):
            continue
        if not ignore_filters and not passes(view, profile.filter_ids):
            continue
        if best is None or profile.weight > best.profile.weight:
            best = compiled
    return best


def _candidates(profiles: _Profiles, view: View, context: str) -> list[str]:
    found: dict[str, None] = {}
    index = profiles.index(view.tenant, context)
    if index is not None:
        found.update(dict.fromkeys(sorted(index.candidates(view))))
    if context != ANY_CONTEXT and (profiles.any_context or not found):
        index = profiles.index(view.tenant, ANY_CONTEXT)
        if index is not None:
            found.update(dict.fromkeys(sorted(index.candidates(view))))
    return list(found)


def _apply(compiled: CompiledProfile, view: View, out: Processed) -> None:
    event = out.event
    for attribute, make in compiled.attributes:
        if attribute.filter_ids and not passes(view, attribute.filter_ids):
            continue
        path = attribute.path
        if path not in out.altered:
            out.altered.append(path)
        text = make(view)
        if path == "*tenant":
            event.tenant = event.tenant + text if attribute.type == "*composed" else text
        else:
            _set(event, view, path, text)


def _set(event: CGREvent, view: View, path: str, text: str) -> None:
    """Write (or `*remove`) `path`; other roots than *req, *opts and *vars change nothing (50 §8.4)."""
    root, _, rest = path.partition(".")
    if root == "*req":
        fields = event.event
    elif root == "*opts":
        fields = event.opts
    elif root == "*vars" and view.variables is not None:
        fields = view.variables
    else:
        return
    *way, last = rest.split(".")
    for name in way:
        below = fields.get(name)
        if below is None:
            if text == "*remove":
                return
            below = {}
        elif not isinstance(below, dict):
            raise ApiError("WRONG_PATH")
        else:
            below = dict(below)  # the caller's event shares nested values
        fields[name] = below
        fields = below
    if text == "*remove":
        fields.pop(last, None)
    else:
        fields[last] = text
