"""Every declared parameter type agrees with params.txt: names, types, and empty values as defaults (spec 01 §4)."""

from __future__ import annotations

import importlib
import pkgutil
import types
import typing
from typing import Any

import msgspec
import pytest

import cgr_cluster
from cgr_cluster.events.instant import Instant
from cgr_cluster.rpc.decode import go_type_of
from cgr_cluster.rpc.registry import REGISTRY
from cgr_cluster.rpc.schema import Shape, schema

KINDS: dict[str, tuple[type, ...]] = {
    "text": (str,), "int": (int,), "float": (float,), "bool": (bool,), "time": (Instant,), "bytes": (bytes,),
    "list": (list, tuple), "map": (dict,),
}  # fmt: skip


def load_all_handlers() -> None:
    for module in pkgutil.walk_packages(cgr_cluster.__path__, "cgr_cluster."):
        if module.name.endswith("api") or "_api" in module.name or ".api_" in module.name:
            importlib.import_module(module.name)


load_all_handlers()
DECLARED = sorted(
    {(go_type_of(m) or "", m.params) for s in REGISTRY.services.values() for m in s.values()}, key=lambda d: str(d)
)


def faults(params: Any, go_type: str) -> list[str]:
    """What a parameter type says that params.txt does not."""
    shape = schema().shape(go_type)
    if shape.kind != "object":
        return []
    out = []
    names = {member.name: member.go_type for member in shape.members.values()}
    for field in msgspec.structs.fields(params):
        if field.name not in names:
            out.append(f"{params.__name__}.{field.name}: {go_type} has no such field")
        else:
            out += type_faults(f"{params.__name__}.{field.name}", field.type, schema().shape(names[field.name]))
    return out


def type_faults(place: str, annotation: Any, shape: Shape) -> list[str]:
    if shape.kind == "any" or annotation is Any:
        return []
    union = typing.get_origin(annotation) in (typing.Union, types.UnionType)
    members = [m for m in (typing.get_args(annotation) if union else (annotation,)) if m is not type(None)]
    if len(members) != 1:
        return [f"{place}: {annotation} is not one type"]
    member = members[0]
    origin = typing.get_origin(member) or member
    if shape.kind == "object":
        if origin is dict:
            return []
        if not (isinstance(member, type) and issubclass(member, msgspec.Struct)):
            return [f"{place}: {member} must be a Struct, as {shape.go_type} is an object"]
        return faults(member, shape.go_type)
    if origin not in KINDS[shape.kind]:
        return [f"{place}: is {member}, {shape.go_type} is a {shape.kind}"]
    inner = typing.get_args(member)
    if shape.kind in ("list", "map") and inner:
        element = inner[1] if shape.kind == "map" else inner[0]
        return type_faults(place + "[]", element, schema().shape(shape.element))
    return []


@pytest.mark.parametrize(("go_type", "params"), DECLARED)
def test_declared_type(go_type: str, params: Any) -> None:
    if not (isinstance(params, type) and issubclass(params, msgspec.Struct)):
        return
    assert go_type, f"{params.__name__} names no type of params.txt"
    assert faults(params, go_type) == []
    params()  # every field has its empty value as default
