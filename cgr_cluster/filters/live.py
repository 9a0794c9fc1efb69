"""Live state in filters: `~*accounts.X`, `~*stats.X`, `~*resources.X` (spec chapter 50, sections 2.2 and 2.3).

Such state belongs to other owners, and a filter is evaluated in one go. So what is not known yet is asked for: the path
raises `Need`, the operation reads it by a step at its owner, and the evaluation is run again (design 3). What has been read
is kept until the evaluation ends, so a source is read at most once.

    def compute(live: Live) -> list[Any]:
        view = View(op.generation, op.now_ns, tenant, event, opts, live=live)
        return matching(THRESHOLDS, view, time)
    found = yield from with_live(compute)

`compute` must have no effects. The package that owns the state declares it as a source:

    live_source("*accounts", account_owner, look_at, value_of)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from cgr_cluster.engine.domain import Call, Outside, StepDef, Steps, outside
from cgr_cluster.engine.owner import Owner
from cgr_cluster.filters.paths import MISSING
from cgr_cluster.filters.view import View
from cgr_cluster.rpc.errors import ApiError

T = TypeVar("T")

PAGE = "*http"
MAX_LIVE_READS = 64  # objects that one evaluation may ask for

ReadValue = Callable[[Any, tuple[str, ...], View], Any]


class LiveSource(NamedTuple):
    """`read`: a step (part, tenant, id) → the object or None. `value`: what `parts` name in the object, or MISSING; it
    may raise ApiError. `id_of`: the id that a path's parts ask for."""

    owner: Callable[[str, str], Owner]
    read: StepDef
    value: ReadValue
    id_of: Callable[[tuple[str, ...]], str]


SOURCES: dict[str, LiveSource] = {}


def first_part(parts: tuple[str, ...]) -> str:
    return parts[0]


def live_source(
    root: str,
    owner: Callable[[str, str], Owner],
    read: StepDef,
    value: ReadValue,
    id_of: Callable[[tuple[str, ...]], str] = first_part,
) -> None:
    """Declare what paths that begin with `~root` read; `owner` (tenant, id) holds the object."""
    if not read.reads:
        raise ValueError(f"step {read.name} of the source {root} must only read")
    SOURCES[root] = LiveSource(owner, read, value, id_of)


class Need(Exception):  # noqa: N818 - a question, no error
    """An evaluation cannot go on before this object is known. No API error: nothing that answers those may swallow it."""

    def __init__(self, root: str, tenant: str, object_id: str) -> None:
        super().__init__(f"~{root}.{object_id} of tenant {tenant} is read where no live state is given")
        self.key = root, tenant, object_id

    def ask(self) -> Call | Outside:
        """The command that reads it."""
        root, tenant, object_id = self.key
        source = SOURCES[root]
        return source.read.at(source.owner(tenant, object_id), tenant, object_id)

    @property
    def result_type(self) -> Any:
        """The type of what `ask` answers, for who packs it."""
        return SOURCES[self.key[0]].read.result_type


class NeedPage(Need):
    """The same for what a URL answers (`*http#`)."""

    def __init__(self, url: str, document: str) -> None:
        super().__init__(PAGE, url, document)

    def ask(self) -> Outside:
        _, url, document = self.key
        return outside("get_page", url, document, returns=str)


class Live:
    """What one evaluation knows: (root, tenant, id) → object, None for one that does not exist; (`*http`, url, document) →
    text of the answer."""

    __slots__ = ("known",)

    def __init__(self) -> None:
        self.known: dict[tuple[str, str, str], Any] = {}

    def read(self, view: View, root: str, parts: tuple[str, ...]) -> Any:
        """The value at `parts` below the source `root`, or MISSING. Raises `Need`."""
        source = SOURCES.get(root)
        if source is None:
            raise ApiError(f"NOT_CONNECTED: {root}")
        key = root, view.tenant, source.id_of(parts)
        if key not in self.known:
            raise Need(*key)
        found = self._known(key)
        return MISSING if found is None else source.value(found, parts[1:], view)

    def page(self, url: str, document: str) -> str:
        """What `url` answers to a GET with a JSON document. Raises `Need`, and the
        endpoint's failure."""
        key = PAGE, url, document
        if key not in self.known:
            raise NeedPage(url, document)
        text: str = self._known(key)
        return text

    def _known(self, key: tuple[str, str, str]) -> Any:
        found = self.known[key]
        if isinstance(found, ApiError):
            raise found
        return found


NOTHING_LIVE = Live()  # knows nothing: whoever evaluates with it gets `Need` for every live path


def with_live(compute: Callable[[Live], T]) -> Steps[T]:
    """`compute`, run again until it has what it asks for. Raises its errors."""
    live = NOTHING_LIVE
    for _ in range(MAX_LIVE_READS):
        try:
            return compute(live)
        except Need as need:
            asked = need
        if live is NOTHING_LIVE:
            live = Live()
        try:
            live.known[asked.key] = yield asked.ask()
        except ApiError as error:
            live.known[asked.key] = error  # raised where it is read
    raise ApiError(f"filters of one event ask for more than {MAX_LIVE_READS} accounts, queues or resources")
