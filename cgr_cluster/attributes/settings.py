"""Section `attributes` of the configuration, read once per generation (spec chapter 50, section 9)."""

from __future__ import annotations

import msgspec

from cgr_cluster.engine.domain import GenerationView
from cgr_cluster.events.values import text_of


class AttributeSettings(msgspec.Struct, frozen=True, gc=False):
    """`any_context`: profiles of any context join those of the event's; else they are used only where that has none. The
    rest holds where an event has no such option. `rsr_separator` separates the pieces of a value that is one text."""

    any_context: bool
    profile_ids: tuple[str, ...]
    process_runs: int
    profile_runs: int
    ignore_filters: bool
    rsr_separator: str


def _read(generation: GenerationView) -> AttributeSettings:
    config = generation.config("attributes")
    opts = config.get("opts") or {}
    return AttributeSettings(
        bool(config.get("any_context", True)),
        tuple(text_of(name) for name in opts.get("*profileIDs") or ()),
        int(opts.get("*processRuns", 1)),
        int(opts.get("*profileRuns", 0)),
        bool(opts.get("*profileIgnoreFilters", False)),
        str(generation.config("general").get("rsr_separator") or ";"),
    )


def attribute_settings(generation: GenerationView) -> AttributeSettings:
    return generation.derived(_read, "config")
