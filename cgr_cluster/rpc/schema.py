"""The parameter types of the API: what params.txt says, parsed once (spec chapter 01 §4); own_params.txt has those of
methods that only we have.

Types are kept in the spelling of the error texts (`[]*utils.TPAction`, `map[string]interface {}`). A `Shape` says what a
type is made of, a `Member` is a field of an object as a request may name it: embedded types are flattened into it.
"""

from __future__ import annotations

from functools import cache
from importlib import resources

import msgspec

_INT_NAMES = frozenset(("int", "int64", "time.Duration", "time.Month", "time.Weekday"))


class Member(msgspec.Struct, frozen=True):
    """A field of an object: `path` is what errors call it, from the object's own level (`StatQueueProfile.TTL`)."""

    name: str
    path: str
    go_type: str


class Shape(msgspec.Struct, frozen=True):
    """`kind` is text, int, float, bool, time, bytes, any, list, map or object. `element` is the type of a list's or
    map's elements; `members` maps the lower-case name of an object's field to it."""

    kind: str
    go_type: str
    element: str = ""
    members: dict[str, Member] = {}


def _fields(body: str) -> list[tuple[str, str]]:
    fields = []
    for field in body.split("; "):
        if field.startswith("("):
            fields.append(("", field.strip("()*")))
        else:
            name, _, field_type = field.partition(" ")
            fields.append((name, field_type))
    return fields


class Schema:
    """All of such texts: the parameter type of each method, and the shape of each type."""

    def __init__(self, text: str) -> None:
        self.method_types: dict[str, str] = {}
        self._fields: dict[str, list[tuple[str, str]]] = {}  # type → (name, type); name "" is an embedded type
        self._named: dict[str, str] = {}  # type → the type it is another name of
        self._shapes: dict[str, Shape] = {}
        for line in text.splitlines():
            if not line or line.startswith("#"):
                continue
            left, more, right = line.partition(" += ")
            if more:  # members that clients of earlier versions still send
                self._fields[left] += _fields(right)
                continue
            left, separator, right = line.partition(" = ")
            if separator:
                self._add_type(left, right)
            else:
                go_type, _, methods = line.partition(": ")
                self.method_types.update(dict.fromkeys(methods.split(), go_type))

    def _add_type(self, go_type: str, body: str) -> None:
        if body == "-":
            self._fields[go_type] = []
            return
        if body.startswith(("[]", "map[")):
            self._named[go_type] = body
            return
        self._fields[go_type] = _fields(body)

    def type_of(self, method: str) -> str | None:
        """The parameter type of a method; every Ping takes `utils.CGREvent`; None for a method that is not listed."""
        if method.endswith(".Ping"):
            return "utils.CGREvent"
        return self.method_types.get(method)

    def shape(self, go_type: str) -> Shape:
        """The shape of a type as params.txt spells it. Raises KeyError for an unknown one."""
        found = self._shapes.get(go_type)
        if found is None:
            found = self._shapes[go_type] = self._shape(go_type.lstrip("*"))
        return found

    def _shape(self, go_type: str) -> Shape:
        body = self._named.get(go_type, go_type)
        if body == "string":
            return Shape("text", go_type)
        if body in _INT_NAMES:
            return Shape("int", go_type)
        if body == "float64":
            return Shape("float", go_type)
        if body == "bool":
            return Shape("bool", go_type)
        if body == "time.Time":
            return Shape("time", go_type)
        if body == "interface {}":
            return Shape("any", go_type)
        if body == "[]byte":
            return Shape("bytes", "[]uint8")
        if body.startswith("[]"):
            return Shape("list", go_type, element=body[2:])
        if body.startswith("map[string]"):
            return Shape("map", go_type, element=body[len("map[string]") :])
        return Shape("object", go_type, members=self._members(go_type))

    def _members(self, go_type: str) -> dict[str, Member]:
        """Fields by lower-case name; of two at different depths the shallower counts."""
        members: dict[str, Member] = {}
        level = [("", go_type)]
        while level:
            deeper: list[tuple[str, str]] = []
            for prefix, current in level:
                for name, field_type in self._fields[current]:
                    if name:
                        members.setdefault(name.lower(), Member(name, prefix + name, field_type))
                    else:
                        deeper.append((f"{prefix}{bare(field_type)}.", field_type))
            level = deeper
        return members


def bare(go_type: str) -> str:
    """`engine.CallDescriptor` → `CallDescriptor`."""
    return go_type.rpartition(".")[2]


@cache
def schema() -> Schema:
    data = resources.files("cgr_cluster.rpc") / "data"
    return Schema((data / "params.txt").read_text() + (data / "own_params.txt").read_text())
