"""Paths and values of rules: `~*req.Field`, constants, search-and-replace (spec chapter 50, section 2.2).

A rule text is compiled once into a function of a view. What is not there is `MISSING`, never an exception; errors of the
chapter are `ApiError`s.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from cgr_cluster.events.values import text_of
from cgr_cluster.filters.view import View
from cgr_cluster.rpc.errors import ApiError


class _Missing:
    def __repr__(self) -> str:
        return "MISSING"


MISSING: Any = _Missing()
Reader = Callable[[View], Any]

_LIVE = frozenset({"*accounts", "*stats", "*resources", "*trends", "*rankings", "*libphonenumber", "*asm"})
_REPLACE = re.compile(r":s/((?:[^/\\]|\\.)*)/((?:[^/\\]|\\.)*)/")


class Value:
    """A compiled rule. `constant` is its text when it is no path, else None; `read` gives the value or MISSING."""

    __slots__ = ("constant", "read")

    def __init__(self, constant: str | None, read: Reader) -> None:
        self.constant = constant
        self.read = read


def compile_value(rule: str) -> Value:
    """The value of a rule. Raises the errors of a bad converter or expression (50 §2.2, 5.1 check 3)."""
    _refuse_converters(rule)
    if not rule.startswith("~"):
        return Value(rule, lambda view: rule)
    path, replacements = _split_replacements(rule[1:])
    read = _compile_path(path)
    if not replacements:
        return Value(None, read)

    def replaced(view: View) -> Any:
        value = read(view)
        if value is MISSING:
            return MISSING
        text = text_of(value)
        for pattern, template in replacements:
            text = pattern.sub(template, text, count=1) if pattern.search(text) else text
        return text

    return Value(None, replaced)


def compile_pattern(text: str) -> re.Pattern[str]:
    """An RE2 expression. Raises `error parsing regexp: ...`."""
    try:
        return re.compile(text.replace(r"\z", r"\Z"))
    except re.error as error:
        raise ApiError(f"error parsing regexp: {error}") from error


def _refuse_converters(rule: str) -> None:
    at = rule.find("{*")
    if at < 0:
        return
    if not rule.endswith("}"):
        raise ApiError(f"invalid converter terminator in rule: {rule}")
    name = rule[at + 1 : -1].split("&", 1)[0]
    raise ApiError(f"invalid converter value in string: <{name}>, err: unsupported converter definition: <{name}>")


def _split_replacements(path: str) -> tuple[str, list[tuple[re.Pattern[str], str]]]:
    found = list(_REPLACE.finditer(path))
    if not found:
        return path, []
    replacements = [
        (compile_pattern(m[1].replace("\\/", "/")), re.sub(r"\$\{?(\w+)\}?", r"\\g<\1>", m[2].replace("\\/", "/")))
        for m in found
    ]
    return path[: found[0].start()], replacements


def split_path(path: str) -> list[str]:
    """Parts separated by `.`, not inside `[...]` or `<...>`, and not from the part with the first `#` on."""
    parts, start, depth = [], 0, 0
    for i, char in enumerate(path):
        if char in "[<":
            depth += 1
        elif char in "]>":
            depth -= 1
        elif char == "#" and not depth:
            break
        elif char == "." and not depth:
            parts.append(path[start:i])
            start = i + 1
    parts.append(path[start:])
    return parts


def _compile_path(path: str) -> Reader:
    if "<" in path:
        return _dynamic(path)
    root, *parts = split_path(path)
    if root == "*tenant" and not parts:
        return lambda view: view.tenant if view.tenant_path else MISSING
    if not parts:
        raise_at_use = ApiError(f"invalid fieldname <[{root}]>")

        def fail(view: View) -> Any:
            raise raise_at_use

        return fail
    if root in ("*req", "*opts", "*vars"):
        return _of_map(root, parts)
    if root in _LIVE:
        names = tuple(parts)

        def live(view: View) -> Any:
            if view.live is None:
                raise ApiError(f"NOT_CONNECTED: {root}")
            return view.live.read(root, names)

        return live
    return lambda view: MISSING


def _of_map(root: str, parts: list[str]) -> Reader:
    first = parts[0]
    if len(parts) == 1 and not first.endswith("]"):
        if root == "*req":
            return lambda view: view.event.get(first, MISSING)
        if root == "*opts":
            return lambda view: view.opts.get(first, MISSING)
        return lambda view: MISSING if view.variables is None else view.variables.get(first, MISSING)
    steps = [step for part in parts for step in _indexed(part)]
    if root == "*req":
        return lambda view: walk(view.event, steps)
    if root == "*opts":
        return lambda view: walk(view.opts, steps)
    return lambda view: MISSING if view.variables is None else walk(view.variables, steps)


def _indexed(part: str) -> list[str]:
    """`Name[i]` as the steps `Name` and `[i]`."""
    name, bracket, rest = part.partition("[")
    return [name, *(f"[{index}" for index in rest.removesuffix("]").split("]["))] if bracket else [part]


def walk(value: Any, steps: list[str]) -> Any:
    """The value below maps and lists; MISSING when something is not there, WRONG_PATH below a plain value."""
    for step in steps:
        index = step[1:] if step.startswith("[") else None
        if isinstance(value, dict):
            value = value.get(step if index is None else index, MISSING)
        elif isinstance(value, list) and index is not None:
            try:
                at = int(index)
            except ValueError:
                raise ApiError(f'strconv.Atoi: parsing "{index}": invalid syntax') from None
            value = value[at] if 0 <= at < len(value) else MISSING
        elif value is None:
            return MISSING
        else:
            raise ApiError("WRONG_PATH")
        if value is MISSING:
            return MISSING
    return value


def _dynamic(path: str) -> Reader:
    """A path with `<...>` parts: each is evaluated and pasted in, then the whole is parsed when it is used."""
    pieces: list[Any] = []
    rest = path
    while "<" in rest:
        before, _, rest = rest.partition("<")
        inner, closed, rest = rest.partition(">")
        if not closed:
            raise ApiError(f"invalid fieldname <[{path}]>")
        pieces.append(before)
        pieces.append([compile_value(piece) for piece in inner.split(";")])
    pieces.append(rest)

    def read(view: View) -> Any:
        text = ""
        for piece in pieces:
            if isinstance(piece, str):
                text += piece
                continue
            for value in piece:
                inside = value.read(view)
                if inside is MISSING:
                    return MISSING
                text += text_of(inside)
        return _compile_path(text)(view)

    return read
