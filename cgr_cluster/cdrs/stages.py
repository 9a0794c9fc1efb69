"""Which stages a call runs: configuration, then options, then flags (spec 40 §3.2)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from cgr_cluster.engine.domain import GenerationView
from cgr_cluster.events.values import bool_of
from cgr_cluster.rpc.errors import ApiError


class Stages(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What is on. `export` needs `ees_conns` too, to have an effect."""

    attributes: bool = False
    chargers: bool = False
    refund: bool = False
    rate: bool = False
    rerate: bool = False
    store: bool = False
    reprocess: bool = False
    thresholds: bool = False
    stats: bool = False
    export: bool = False


NO_STAGES = Stages()

# Options that are read, and refused when they are no boolean, in this order; those of stages that are not connected too.
_OPTIONS = ("*attributeS", "*chargerS", "*refund", "*ralS", "*rerate", "*thresholdS", "*statS")


def configured(generation: GenerationView) -> Stages:
    """The stages that the configuration switches on."""
    return generation.derived(_build, "config")


def _build(generation: GenerationView) -> Stages:
    config = generation.config("cdrs")
    return Stages(
        attributes=bool(config.get("attributes_conns")),
        chargers=bool(config.get("chargers_conns")),
        rate=bool(config.get("rals_conns")),
        store=bool(config.get("store_cdrs", True)),
        thresholds=bool(config.get("thresholds_conns")),
        stats=bool(config.get("stats_conns")),
        export=bool(config.get("online_cdr_exports") or config.get("ees_conns")),
    )


def flag_values(flags: Iterable[str]) -> dict[str, bool]:
    """Flags as switches: `*name`, `*name:true`, `*name:false`, the last word counting. Of several of one name `:true` wins
    over `:false`, which wins over no word."""
    words: dict[str, list[str]] = {}
    for flag in flags:
        name, *rest = flag.split(":")
        words.setdefault(name, []).append(rest[-1] if rest else "")
    return {name: "true" in said or "false" not in said for name, said in words.items()}


def stages_of(base: Stages, flags: list[str] | None, opts: dict[str, Any] | None) -> Stages:
    """`base` changed by options and flags. Raises ApiError `failed to configure processing args: ...`."""
    if not flags and not opts:
        return base
    option: dict[str, bool] = {}
    for name in _OPTIONS:
        if opts and name in opts:
            try:
                option[name] = bool_of(opts[name])
            except ApiError as error:
                raise ApiError(f"failed to configure processing args: {error.text}") from None
    flag = flag_values(flags or ())

    def switch(default: bool, flag_name: str, option_name: str = "") -> bool:
        return flag.get(flag_name, option.get(option_name, default))

    rerate = switch(base.rerate, "*rerate", "*rerate")
    refund = switch(base.refund or rerate, "*refund", "*refund")
    rate = base.rate or rerate
    if refund and not rerate:
        rate = False
    return Stages(
        attributes=switch(base.attributes, "*attributes", "*attributeS"),
        chargers=switch(base.chargers, "*chargers", "*chargerS"),
        refund=refund,
        rate=switch(rate, "*rals", "*ralS"),
        rerate=rerate,
        store=switch(base.store, "*store"),
        reprocess=switch(base.reprocess or refund, "*reprocess"),
        thresholds=switch(base.thresholds, "*thresholds", "*thresholdS"),
        stats=switch(base.stats, "*stats", "*statS"),
        export=switch(base.export, "*export"),
    )
