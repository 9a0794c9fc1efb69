"""The method registry: every API method is declared once, here, by a decorator (design 4).

From it come routing (owner rules), decoding (parameter types), the console's completion, the API reference and the
coverage against methods.txt. Nothing is registered that is not built: an unknown name answers `can't find service` or
`can't find method` (chapter 01, section 3).
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable
from typing import Any, ClassVar

import msgspec

from cgr_cluster.rpc.errors import ApiError
from cgr_cluster.rpc.owners import ANY, OwnerRule


class _ParamsMeta(msgspec.StructMeta):
    """Takes `go="utils.X"` in the class statement."""

    def __new__(
        mcls, name: str, bases: tuple[type, ...], namespace: dict[str, Any], go: str = "", **config: Any
    ) -> Any:
        if go:
            namespace["go_type"] = go
        return super().__new__(mcls, name, bases, namespace, **config)


PING_SECONDS = 30.0


class Params(msgspec.Struct, metaclass=_ParamsMeta, gc=False, forbid_unknown_fields=True):
    """Base of parameter types, and of the objects inside them.

    A subclass names its type in params.txt (`class X(Params, go="utils.X")`), spells its fields as that type does, and
    gives each the empty value of its type as default. Fields that a handler never looks at may be left out: they are
    checked by params.txt and dropped (frequent ones should stay: the fast decode refuses unknown members).
    """

    go_type: ClassVar[str] = ""


class Method(msgspec.Struct, frozen=True):
    """One declared method. `orchestrates`: the handler is a generator of steps (docs/engine.md). `when_full`: it is done
    even when the disk is nearly full, since it ends or gives back something (design 4, step 5). `section` of the configuration:
    without `enabled` there, the service is unknown ("": it is always there). `exists`: false for a name that such a service has
    not, whose error therefore only a worker knows."""

    name: str
    handler: Callable[..., Any]
    params: Any  # a Params subclass, str for the old methods that take a plain text, or Any for an untyped map
    owner: OwnerRule
    changes: bool
    deadline_s: float | None
    orchestrates: bool
    when_full: bool = False
    section: str = ""
    exists: bool = True

    def check(self, config: Callable[[str], dict[str, Any]]) -> None:
        """Raise the look-up error of a method that is not there; `config` answers a section of the configuration."""
        if self.section and not config(self.section).get("enabled"):
            raise ApiError(f"rpc: can't find service {self.name}")
        if not self.exists:
            raise ApiError(f"rpc: can't find method {self.name}")


class PingParams(Params, go="utils.CGREvent"):
    """A Ping looks at nothing of its parameter; a list, text or number is a type error all the same."""


def ping(part: Any, params: PingParams) -> str:
    return "Pong"


class Registry:
    """Services, their methods, aliases and inheritance. `find` answers a method or the exact look-up error.

    Every service has a Ping (chapter 01 §3)."""

    def __init__(self) -> None:
        self.services: dict[str, dict[str, Method]] = {}
        self.parents: dict[str, str] = {}
        self.aliases: dict[str, str] = {}
        self.sections: dict[str, str] = {}  # service → section of the configuration that switches it on
        self._found: dict[str, Method] = {}

    def add(self, method: Method) -> None:
        service, _, name = method.name.rpartition(".")
        methods = self._service(service)
        if name in methods:
            raise ValueError(f"method {method.name} is declared twice")
        methods[name] = msgspec.structs.replace(method, section=self.sections.get(service, ""))
        self._found.clear()

    def service(self, name: str, extends: str = "", alias_of: str = "", section: str = "") -> None:
        if alias_of:
            self.aliases[name] = alias_of
            return
        if section:
            self.sections[name] = section
        self._service(name)
        if extends:
            self.parents[name] = extends

    def _service(self, name: str) -> dict[str, Method]:
        """The methods of a service; a new one begins with its Ping."""
        if name not in self.services:
            section = self.sections.get(name, "")
            own = Method(f"{name}.Ping", ping, PingParams, ANY, False, PING_SECONDS, False, section=section)
            self.services[name] = {"Ping": own}
        return self.services[name]

    def find(self, name: str) -> Method:
        found = self._found.get(name)
        if found is not None:
            return found
        service, dot, bare = name.rpartition(".")
        if not dot:
            raise ApiError(f"rpc: service/method request ill-formed: {name}")
        service = self.aliases.get(service, service)
        if service not in self.services:
            raise ApiError(f"rpc: can't find service {name}")
        owner: str | None = service
        while owner is not None:
            method = self.services.get(owner, {}).get(bare)
            if method is not None:
                self._found[name] = method
                return method
            owner = self.parents.get(owner)
        if service in self.sections:
            return Method(
                name, ping, Any, ANY, False, PING_SECONDS, False, section=self.sections[service], exists=False
            )
        raise ApiError(f"rpc: can't find method {name}")

    def names(self) -> list[str]:
        """All callable names, inherited ones included, aliases not."""
        out: set[str] = set()
        for service in self.services:
            owner: str | None = service
            while owner is not None:
                out.update(f"{service}.{name}" for name in self.services.get(owner, {}))
                owner = self.parents.get(owner)
        return sorted(out)


REGISTRY = Registry()


def service(name: str, extends: str = "", alias_of: str = "", section: str = "") -> None:
    """Declare a service (it gets its Ping), one that extends another, or an alias (`ApierV1` of `APIerSv1`). One with a `section` of
    the configuration is there when that is enabled."""
    REGISTRY.service(name, extends, alias_of, section)


def method(
    name: str,
    *more: str,
    owner: OwnerRule = ANY,
    changes: bool = False,
    deadline_s: float | None = 30.0,
    when_full: bool = False,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Declare a handler under one or more public names. Its second parameter's annotation is its parameter type."""

    def declare(handler: Callable[..., Any]) -> Callable[..., Any]:
        hints = typing.get_type_hints(handler)
        second = list(inspect.signature(handler).parameters)[1]
        for public in (name, *more):
            REGISTRY.add(
                Method(
                    public,
                    handler,
                    hints.get(second, Any),
                    owner,
                    changes,
                    deadline_s,
                    inspect.isgeneratorfunction(handler),
                    when_full,
                )
            )
        return handler

    return declare
