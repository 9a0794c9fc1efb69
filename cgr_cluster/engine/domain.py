"""What domain packages use of the engine: decorators, commands and the interfaces of part and operation.

The contract is docs/engine.md. This module has no logic of its own beyond registration, so that domain packages do not
depend on how the engine runs them.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Collection, Generator, Iterator
from typing import Any, Protocol, TypeVar

import msgspec

from cgr_cluster.engine.owner import Owner

T = TypeVar("T")
_BIG = 1 << 63


# --- commands that an orchestration yields -----------------------------------------------------------------------


class Call(msgspec.Struct, frozen=True, gc=False):
    step: StepDef
    owner: Owner
    args: tuple[Any, ...]


class Together(msgspec.Struct, frozen=True, gc=False):
    calls: list[Call]


class Everywhere(msgspec.Struct, frozen=True, gc=False):
    step: StepDef
    args: tuple[Any, ...]


class Exclusive(msgspec.Struct, frozen=True, gc=False):
    text: str


class Release(msgspec.Struct, frozen=True, gc=False):
    text: str


class Forward(msgspec.Struct, frozen=True, gc=False):
    owner: Owner


class Outside(msgspec.Struct, frozen=True, gc=False):
    name: str
    args: tuple[Any, ...]
    returns: Any = Any


class Sleep(msgspec.Struct, frozen=True, gc=False):
    ns: int


class Signal(msgspec.Struct, frozen=True, gc=False):
    text: str


class Invoke(msgspec.Struct, frozen=True, gc=False):
    method: str
    params: bytes
    hops: int = 0


Command = Call | Together | Everywhere | Exclusive | Release | Forward | Outside | Sleep | Signal | Invoke
Steps = Generator[Command, Any, T]


def together(calls: list[Call]) -> Together:
    return Together(calls)


def everywhere(step_def: StepDef, *args: Any) -> Everywhere:
    return Everywhere(step_def, args)


def exclusive(text: str) -> Exclusive:
    return Exclusive(text)


def release(text: str) -> Release:
    return Release(text)


def forward(owner: Owner) -> Forward:
    return Forward(owner)


def release_all() -> Release:
    """Before what may call anything, such as actions: nothing that others wait for may be held then."""
    return Release("")


def outside(name: str, *args: Any, returns: Any = Any) -> Outside:
    """Ask the shell for I/O. `returns` is the type of the answer, needed when it holds Structs."""
    return Outside(name, args, returns)


CLIENT_CALL = "client.call"
ALL_CLIENTS = "*"


def ask_client(connection: str, method: str, params: Any, timeout_ns: int) -> Outside:
    """Call a two-way client and wait for its result. `connection`: of a request of its (`op.connection`), or ALL_CLIENTS,
    which answers the list of their results and fails when one of them fails. Raised is the client's error, `DISCONNECTED`
    when it is gone, `REPLY_TIMEOUT`. It may be called twice when a worker dies meanwhile."""
    return Outside(CLIENT_CALL, (connection, method, params, timeout_ns))


def sleep(ns: int) -> Sleep:
    return Sleep(ns)


def signal(text: str) -> Signal:
    """Wait until a part of this worker says `part.signal(text)`, or for nothing: look again at what is waited for. The
    operation must be at the owner of that, and look and wait in one go, without a command that waits in between."""
    return Signal(text)


def invoke(method: str, params: bytes, hops: int = 0) -> Invoke:
    """Call an API method with raw JSON parameters, as a client would; the answer is its decoded result. `hops`: length of
    the chain of calls that led here, when it is longer than the operation knows (its tasks begin at 0)."""
    return Invoke(method, params, hops)


# --- what handlers see -------------------------------------------------------------------------------------------


class GenerationView(Protocol):
    """Reference data: one numbered, immutable state (design 5)."""

    number: int
    default_tenant: str
    has_homes: bool

    def get(self, kind: str, key: str) -> Any: ...
    def keys(self, kind: str) -> Collection[str]: ...
    def destinations_of(self, prefix: str) -> tuple[str, ...]: ...
    def config(self, section: str) -> dict[str, Any]: ...
    def section(self, name: str) -> Any: ...
    def derived(self, build: Callable[[Any], T], *kinds: str) -> T: ...
    def apart(self) -> GenerationView: ...
    def deck_work(self, deck: str, piece: str) -> bytes: ...


class Part(Protocol):
    """One atomic piece of work on one owner's shard (docs/engine.md)."""

    now_ns: int
    op_id: str
    connection: str  # the client's two-way connection, "" when there is none
    generation: GenerationView
    hops: int  # forwards and method calls that led to it

    def tenant(self, text: str) -> str: ...
    def new_uuid(self) -> str: ...
    def ids_from(self, text: str) -> None: ...
    def read(self, kind: type[T], key: str) -> T | None: ...
    def edit(self, kind: type[T], key: str) -> T | None: ...
    def put(self, kind: type[T], key: str, value: T) -> None: ...
    def delete(self, kind: type[Any], key: str) -> None: ...
    def all(self, kind: type[T]) -> Iterator[tuple[str, T]]: ...
    def scan(self, kind: type[T]) -> Iterator[tuple[str, T]]: ...
    def kept(self, kind: type[T], prefix: str) -> dict[str, T | bytes]: ...
    def shards_with(self, kind: type[Any]) -> list[int]: ...
    def keys(self, kind: type[Any]) -> list[str]: ...
    def lives_here(self, owner: Owner) -> bool: ...
    def set_timer(self, key: str, at_ns: int, name: str, *args: Any) -> None: ...
    def set_shard_timer(self, key: str, at_ns: int, name: str, *args: Any) -> None: ...
    def has_timer(self, key: str) -> bool: ...
    def cancel_timer(self, key: str) -> None: ...
    def spawn(self, name: str, *args: Any) -> None: ...
    def tell(self, connection: str, method: str, params: Any) -> None: ...
    def signal(self, text: str) -> None: ...
    def set_reference(self, kind: str, key: str, value: Any) -> None: ...
    def remove_reference(self, kind: str, key: str) -> None: ...


class Operation(Protocol):
    """What a generator handler sees besides its parameters and the results of its commands."""

    uid: str
    now_ns: int
    connection: str
    generation: GenerationView
    hops: int  # forwards and method calls that led to it

    def tenant(self, text: str) -> str: ...
    def new_uuid(self) -> str: ...


# --- registration ------------------------------------------------------------------------------------------------


class StepDef:
    """A declared step. `at` makes the command that runs it at an owner."""

    __slots__ = ("arg_types", "function", "idempotent", "name", "reads", "result_type")

    def __init__(self, name: str, function: Callable[..., Any], reads: bool, idempotent: bool) -> None:
        hints = typing.get_type_hints(function)
        names = list(inspect.signature(function).parameters)[1:]
        self.name = name
        self.function = function
        self.reads = reads
        self.idempotent = idempotent or reads
        self.arg_types = tuple(hints.get(n, Any) for n in names)
        self.result_type = hints.get("return", Any)

    def at(self, owner: Owner, *args: Any) -> Call:
        return Call(self, owner, args)

    def __call__(self, part: Part, *args: Any) -> Any:
        """Run it inside another step or plain handler of the same owner."""
        return self.function(part, *args)


STEPS: dict[str, StepDef] = {}
TASKS: dict[str, Callable[..., Any]] = {}
AWAITED: set[str] = set()  # tasks whose end the answer of their cause waits for (deliveries.py)
GIVEN_UP: dict[str, str] = {}  # task → the task that clears up after it
TIMERS: dict[str, Callable[..., Any]] = {}
BACKGROUND: set[str] = set()  # timers whose work gives way to everything else
STORED: dict[str, type[Any]] = {}
STORED_NAME: dict[type[Any], str] = {}
REFERENCE: dict[str, type[Any]] = {}
APART: dict[str, tuple[str, Any]] = {}  # kind of reference data → its large map's field, type of the map's values


def step(name: str, *, reads: bool = False, idempotent: bool = False) -> Callable[[Callable[..., Any]], StepDef]:
    def declare(function: Callable[..., Any]) -> StepDef:
        if name in STEPS:
            raise ValueError(f"step {name} is declared twice")
        STEPS[name] = StepDef(name, function, reads, idempotent)
        return STEPS[name]

    return declare


def task(name: str, *, awaited: bool = False, given_up: str = "") -> Callable[[Callable[..., T]], Callable[..., T]]:
    """A generator function `(op, *args)` that `part.spawn(name, ...)` runs once, after the commit. `awaited`: the answer
    of the request that has caused it leaves when it has ended. `given_up`: the task that is run, with the same arguments,
    when it has ended with an error, expected or not, and left something half done."""

    def declare(function: Callable[..., T]) -> Callable[..., T]:
        TASKS[name] = function
        if awaited:
            AWAITED.add(name)
        if given_up:
            GIVEN_UP[name] = given_up
        return function

    return declare


def timer(name: str, *, background: bool = False) -> Callable[[Callable[..., T]], Callable[..., T]]:
    """A generator function `(op, *args)` (or a plain one `(part, *args)` on the timer's shard) run at a deadline.

    `background`, for plain ones: a piece of long work. A worker does one such piece a turn, with pauses in between, and
    what the piece unpacks is packed again afterwards.
    """

    def declare(function: Callable[..., T]) -> Callable[..., T]:
        TIMERS[name] = function
        if background:
            BACKGROUND.add(name)
        return function

    return declare


def stored(kind: str) -> Callable[[type[T]], type[T]]:
    """A type whose objects live in shards. It has `draft()`; a draft's change never shows in the original."""

    def declare(cls: type[T]) -> type[T]:
        STORED[kind] = cls
        STORED_NAME[cls] = kind
        return cls

    return declare


def reference(kind: str, apart: str = "") -> Callable[[type[T]], type[T]]:
    """A type of reference data: immutable, the same on every worker. `apart`: the field (a mapping from texts) that may
    be very large; a deck reads its values one by one (docs/decks.md)."""

    def declare(cls: type[T]) -> type[T]:
        REFERENCE[kind] = cls
        if apart:
            APART[kind] = (apart, typing.get_args(typing.get_type_hints(cls)[apart])[1])
        return cls

    return declare


LAST_CHANGE = (
    "last_change"  # kind of reference data → when it changed last, ns since the epoch; part of every changeset
)
reference(LAST_CHANGE)(int)
