"""What filters and attribute values read: one event and its surroundings (spec chapter 50, sections 2.2 and 7)."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any, Protocol

from cgr_cluster.engine.domain import GenerationView
from cgr_cluster.events.values import json_text
from cgr_cluster.rpc.errors import ApiError


class Live(Protocol):
    """State of other owners that paths reach: accounts, stat queues, resources (50 §2.3; live.py)."""

    def read(self, view: View, root: str, parts: tuple[str, ...]) -> Any:
        """The value at `parts` below `root` (`*accounts` ...), or `paths.MISSING`."""
        ...

    def page(self, url: str, document: str) -> str:
        """What a URL answers (`*http#`)."""
        ...


Sources = Callable[[str, tuple[str, ...]], Any]


class View:
    """`tenant_path`: whether `~*tenant` can be read (attributes only). `now_ns` is the wall clock, for activation
    intervals of filters. `live` None: no such source is connected. `sources`: what reads all other roots of paths (field
    templates: templates/view.py), by root and parts; None: there are no others."""

    __slots__ = (
        "_random", "event", "generation", "live", "now_ns", "opts", "sources", "tenant", "tenant_path", "variables",
    )  # fmt: skip

    def __init__(
        self,
        generation: GenerationView,
        now_ns: int,
        tenant: str,
        event: dict[str, Any],
        opts: dict[str, Any],
        *,
        variables: dict[str, Any] | None = None,
        tenant_path: bool = False,
        live: Live | None = None,
        sources: Sources | None = None,
    ) -> None:
        self.generation = generation
        self.now_ns = now_ns
        self.tenant = tenant
        self.event = event
        self.opts = opts
        self.variables = variables
        self.tenant_path = tenant_path
        self.live = live
        self.sources = sources
        self._random: Random | None = None

    def page(self, url: str, *, with_event: bool = True) -> str:
        """What `url` answers to a GET, with the event as its JSON document or without one."""
        if self.live is None:
            raise ApiError("NOT_CONNECTED: *http")
        return self.live.page(url, json_text({"*opts": self.opts, "*req": self.event}) if with_event else "")

    @property
    def zone(self) -> str:
        """The zone of times that name none."""
        return self.generation.derived(_default_zone, "config")

    @property
    def rounding_decimals(self) -> int:
        return self.generation.derived(_rounding_decimals, "config")

    def random_number(self) -> int:
        """The next number in 0..2^63; the numbers are the same when the same event is looked at again."""
        if self._random is None:
            self._random = Random(f"{self.now_ns} {self.tenant} {json_text(self.event)}")
        return self._random.getrandbits(63)


def _default_zone(generation: GenerationView) -> str:
    return str(generation.config("general").get("default_timezone") or "Local")


def _rounding_decimals(generation: GenerationView) -> int:
    return int(generation.config("general").get("rounding_decimals", 5))
