"""The configuration of routes (spec chapter 51, sections 7.2 and 9) and what an event's options say over it."""

from __future__ import annotations

from typing import Any

import msgspec

from cgr_cluster.engine.domain import GenerationView
from cgr_cluster.events.values import bool_of, float_of, int_of, text_of

CONTEXT = "*routes"
EVENT_COST = "*event_cost"
MAX_COST, IGNORE_ERRORS, LIMIT, OFFSET = "*rouMaxCost", "*rouIgnoreErrors", "*rouLimit", "*rouOffset"
PROFILE_COUNT = "*rouProfileCount"


class RouteSettings(msgspec.Struct, frozen=True, gc=False):
    """Of the section `routes`. `opts`: defaults of the options, by their names there."""

    attributes_connected: bool
    resources_connected: bool
    stats_connected: bool
    rals_connected: bool
    default_ratio: int
    opts: dict[str, Any]

    @property
    def context(self) -> str:
        return text_of(self.opts.get("*context")) or CONTEXT


def route_settings(generation: GenerationView) -> RouteSettings:
    return generation.derived(_settings, "config")


def _settings(generation: GenerationView) -> RouteSettings:
    config = generation.config("routes")
    return RouteSettings(
        attributes_connected=bool(config.get("attributes_conns")),
        resources_connected=bool(config.get("resources_conns")),
        stats_connected=bool(config.get("stats_conns")),
        rals_connected=bool(config.get("rals_conns")),
        default_ratio=int(config.get("default_ratio", 1)),
        opts=dict(config.get("opts") or {}),
    )


class Options(msgspec.Struct, frozen=True, gc=False):
    """`max_cost`: a number, `*event_cost`, or 0: none. `limit` None: no limit. `profile_count` 0: all."""

    ignore_errors: bool = False
    max_cost: float | str = 0.0
    limit: int | None = None
    offset: int = 0
    profile_count: int = 0


def options_of(settings: RouteSettings, opts: dict[str, Any]) -> Options:
    """Raises ApiError for one that cannot be read, `strconv.ParseInt: parsing "x": invalid syntax` and the like."""

    def given(option: str, name: str) -> Any:
        return opts[option] if option in opts else settings.opts.get(name)

    count, ignore_errors = given(PROFILE_COUNT, "*profileCount"), given(IGNORE_ERRORS, "*ignoreErrors")
    max_cost, limit, offset = given(MAX_COST, "*maxCost"), given(LIMIT, "*limit"), given(OFFSET, "*offset")
    return Options(
        ignore_errors=ignore_errors is not None and bool_of(ignore_errors),
        max_cost=max_cost if max_cost == EVENT_COST else 0.0 if max_cost in (None, "") else float_of(max_cost),
        limit=None if limit is None else int_of(limit),
        offset=0 if offset is None else max(0, int_of(offset)),
        profile_count=0 if count is None else int_of(count),
    )
