"""What field templates read and write: a view with targets (spec chapter 41, sections 1 and 4).

Beside `*req`, `*opts` and `*vars` there are *targets*, which a list of templates fills (`*cgreq`, `*exp`, `*hdr`, `*tmp`
...) and whose fields later templates may read, and *given* sources, which are only read (`*ec`, `*em` ...).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cgr_cluster.engine.domain import GenerationView
from cgr_cluster.filters.view import Live, View
from cgr_cluster.filters.walk import MISSING, steps_of, walk
from cgr_cluster.rpc.errors import ApiError


class Branch:
    """A target: the elements of each path, in the order in which the paths were first set."""

    __slots__ = ("elements",)

    def __init__(self) -> None:
        self.elements: dict[str, list[str]] = {}

    def set(self, path: str, text: str) -> None:
        """Replace what is there; `path[n]` replaces element n, or adds one behind the last. Raises INDEX_OUT_OF_BOUNDS."""
        name, bracket, index = path.partition("[")
        if not bracket or not index.removesuffix("]").isdigit():
            self.elements[path] = [text]
            return
        elements = self.elements.setdefault(name, [])
        place = int(index.removesuffix("]"))
        if place > len(elements):
            raise ApiError("INDEX_OUT_OF_BOUNDS")
        elements[place : place + 1] = [text]

    def compose(self, path: str, text: str) -> None:
        """Append to the text that is there."""
        elements = self.elements.setdefault(path, [""])
        elements[-1] += text

    def add(self, path: str, text: str) -> None:
        """A further element."""
        self.elements.setdefault(path, []).append(text)

    def first(self) -> dict[str, str]:
        """The first element of each path."""
        return {path: elements[0] for path, elements in self.elements.items()}

    def read(self, parts: tuple[str, ...]) -> Any:
        """The last element at a path, or element n of `path[n]`; all of it for no parts."""
        if not parts:
            return {path: elements[-1] for path, elements in self.elements.items()}
        path = ".".join(parts)
        elements = self.elements.get(path)
        if elements is not None:
            return elements[-1]
        name, bracket, index = path.partition("[")
        elements = self.elements.get(name) if bracket else None
        if elements is None or not index.removesuffix("]").isdigit():
            return MISSING
        place = int(index.removesuffix("]"))
        return elements[place] if place < len(elements) else MISSING


class TemplateView(View):
    """`targets`: root → what is being built; `given`: root → a map that is only read. `default_zone`: the zone of times that
    name none ("" takes that of the configuration), `field_zone` that of the field under way."""

    __slots__ = ("default_zone", "field_zone", "given", "targets")

    def __init__(
        self, generation: GenerationView, now_ns: int, tenant: str, event: dict[str, Any], opts: dict[str, Any],
        targets: Mapping[str, Branch], variables: dict[str, Any] | None = None, given: Mapping[str, Any] | None = None,
        default_zone: str = "", live: Live | None = None,
    ) -> None:  # fmt: skip
        super().__init__(
            generation, now_ns, tenant, event, opts, variables={} if variables is None else variables, tenant_path=True,
            live=live, sources=self._source,
        )  # fmt: skip
        self.targets = targets
        self.given = {} if given is None else given
        self.default_zone = default_zone
        self.field_zone = ""

    @property
    def zone(self) -> str:
        return self.field_zone or self.default_zone or super().zone

    def _source(self, root: str, parts: tuple[str, ...]) -> Any:
        """The value of a path in a target, a given source or the configuration. Raises `unsupported field prefix: <*x>`."""
        branch = self.targets.get(root)
        if branch is not None:
            return branch.read(parts)
        if root in self.given:
            return walk(self.given[root], steps_of(parts))
        if root == "*cfg" and parts:
            return walk(self.generation.config(parts[0]), steps_of(parts[1:]))
        raise ApiError(f"unsupported field prefix: <{root}>")

    # --- writing --------------------------------------------------------------------------------------------------

    def write(self, path: str, text: str, how: str) -> None:
        """Set a field: `how` is `*composed` (append), `*group` (a further element), anything else replaces. Raises
        `unsupported field prefix: <*x> when set field`."""
        root, _, rest = path.partition(".")
        branch = self.targets.get(root)
        if branch is not None and rest:
            if how == "*composed":
                branch.compose(rest, text)
            elif how == "*group":
                branch.add(rest, text)
            else:
                branch.set(rest, text)
            return
        plain = self.opts if root == "*opts" else self.variables if root == "*vars" else None
        if plain is None or not rest:
            raise ApiError(f"unsupported field prefix: <{root}> when set field")
        old = plain.get(rest)
        plain[rest] = old + text if how == "*composed" and isinstance(old, str) else text

    def remove(self, path: str) -> None:
        """`*remove`: the field goes."""
        root, _, rest = path.partition(".")
        branch = self.targets.get(root)
        if branch is not None:
            branch.elements.pop(rest, None)
        elif root == "*opts":
            self.opts.pop(rest, None)
        elif root == "*vars" and self.variables is not None:
            self.variables.pop(rest, None)
        else:
            raise ApiError(f"unsupported field prefix: <{root}> when set field")

    def remove_all(self, path: str) -> None:
        """`*removeall`: all under the first part goes."""
        root = path.partition(".")[0]
        branch = self.targets.get(root)
        if branch is None:
            raise ApiError(f"unsupported field prefix: <{root}> when set field")
        branch.elements.clear()
