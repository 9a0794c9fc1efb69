"""What scripts/compile compiles: a compiled function has no annotations and a compiled Struct no types, so that neither may be
what steps, methods, records and messages are decoded by."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import sys
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

import cgr_cluster
from cgr_cluster.cli import compiled
from cgr_cluster.cluster import mesh_wire
from cgr_cluster.engine.domain import REFERENCE, STEPS, STORED, TASKS, TIMERS
from cgr_cluster.routing import wire
from cgr_cluster.services import load

LIST = compiled.ROOT / "scripts" / "compiled_modules.txt"
NAMES = [line for line in LIST.read_text().splitlines() if not line.startswith("#")]
MODULES = {f"cgr_cluster.{name.replace('/', '.')}" for name in NAMES}
REGISTRY = load()


def test_the_list_names_modules_once_and_in_order() -> None:
    assert sorted(set(NAMES)) == NAMES
    assert [name for name in NAMES if not (compiled.ROOT / "cgr_cluster" / f"{name}.py").exists()] == []


def declared() -> Iterator[tuple[str, Any]]:
    """Every declared function, by its name."""
    yield from ((name, step.function) for name, step in STEPS.items())
    yield from TASKS.items()
    yield from TIMERS.items()
    for service, methods in REGISTRY.services.items():
        yield from ((f"{service}.{name}", method.handler) for name, method in methods.items())


def test_declared_functions_are_not_compiled() -> None:
    assert [name for name, function in declared() if function.__module__ in MODULES] == []


def structs_in(kind: Any, found: set[type]) -> None:
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct) and kind not in found:
        found.add(kind)
        for field in typing.get_type_hints(kind).values():
            structs_in(field, found)
    for inner in typing.get_args(kind):
        structs_in(inner, found)


def test_what_is_decoded_is_not_compiled() -> None:
    found: set[type] = set()
    for step in STEPS.values():
        for kind in (*step.arg_types, step.result_type):
            structs_in(kind, found)
    for function in (*TASKS.values(), *TIMERS.values()):
        for kind in typing.get_type_hints(function).values():
            structs_in(kind, found)
    for kind in (*STORED.values(), *REFERENCE.values()):
        structs_in(kind, found)
    for methods in REGISTRY.services.values():
        for method in methods.values():
            structs_in(method.params, found)
    for module in (wire, mesh_wire):
        for _, kind in inspect.getmembers(module, inspect.isclass):
            structs_in(kind, found)
    assert len(found) > 200
    assert [kind for kind in found if kind.__module__ in MODULES] == []


DIVISIONS_OF_DOUBLES = {  # or of integers below 2^53
    "NANO / step", "descriptor.max_rate / descriptor.max_rate_unit_ns", "floor(scaled) / power",
    "(ceil(scaled) if fraction >= 0.5 else floor(scaled)) / power",
    "(ceil(scaled) if fraction >= 10.0 ** (-max(7, decimals)) else floor(scaled)) / power",
    "rounded_steps(plain, power) / power", "self._sum_ns / 1000000000.0", "slot.value / slot.unit_ns", "steps / power",
    "steps / power / count",
}  # fmt: skip


def test_amounts_are_not_divided_by_compiled_code() -> None:
    """events/quotient.py says why."""
    found: set[str] = set()
    for name in NAMES:
        tree = ast.parse((compiled.ROOT / "cgr_cluster" / f"{name}.py").read_text())
        found |= {
            ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div)
        }
    assert found == DIVISIONS_OF_DOUBLES


def test_compiled_classes_are_made_by_calling_them() -> None:
    """`C.__new__(C)` wants the arguments of `__init__` when C is compiled."""
    made = [name for name in NAMES if "__new__" in (compiled.ROOT / "cgr_cluster" / f"{name}.py").read_text()]
    assert made == []


def test_subclasses_of_compiled_classes_are_compiled() -> None:
    for package in pkgutil.walk_packages(cgr_cluster.__path__, "cgr_cluster."):
        importlib.import_module(package.name)
    classes = {
        member
        for name in MODULES
        for member in vars(sys.modules[name]).values()
        if inspect.isclass(member) and member.__module__ == name and not issubclass(member, msgspec.Struct)
    }
    below = {inner for one in classes for inner in one.__subclasses__()}
    assert [one for one in below if one.__module__.startswith("cgr_cluster") and one.__module__ not in MODULES] == []


def test_a_copy_of_other_sources_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(compiled, "FOLDER", tmp_path)
    plain = compiled.node_command()
    assert plain[1:] == ["-m", "workers.supervisor"]
    (tmp_path / compiled.STAMP).write_text("of other sources")
    assert compiled.node_command() == plain
    assert "is of other sources" in capsys.readouterr().err
    (tmp_path / compiled.STAMP).write_text(compiled.stamp_of(compiled.ROOT))
    assert compiled.node_command()[1:] == [str(tmp_path / compiled.LAUNCHER)]
    assert compiled.node_command(compiled=False) == plain
