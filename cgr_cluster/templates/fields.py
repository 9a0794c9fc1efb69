"""Field templates: the `fields` of readers, exporters and agents (spec chapter 41, section 4). Pure.

A list is compiled once, when the configuration is read, and evaluated on a view, whose targets it fills.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec

from cgr_cluster.attributes.types import Attribute
from cgr_cluster.attributes.values import value_maker
from cgr_cluster.events.layout_writing import format_layout
from cgr_cluster.events.rules import SEPARATOR, split_value
from cgr_cluster.events.times import parse_time
from cgr_cluster.events.values import text_of
from cgr_cluster.filters.lists import passes
from cgr_cluster.filters.paths import MISSING, compile_value
from cgr_cluster.filters.view import View
from cgr_cluster.rpc.errors import ApiError, not_found
from cgr_cluster.templates.view import TemplateView
from cgr_cluster.templates.width import fitted

MAX_INLINED = 8  # templates inside templates
NOT_FOUND = "NOT_FOUND"
# Types whose text is fitted to the width and tested when mandatory.
_FITTED = frozenset(
    {
        "*constant", "*variable", "*composed", "*usage_difference", "*prefix", "*suffix", "*sipcid", "*filler", "*group",
    }
)  # fmt: skip
_MADE_AS = {"*filler": "*constant", "*group": "*variable"}
_WITHOUT_VALUE = frozenset({"*none", "*remove", "*removeall"})


class FieldTemplate(msgspec.Struct, frozen=True, gc=False):
    """A template as it is configured; the keys that this version gives no effect are left out."""

    tag: str = ""
    path: str = ""
    type: str = ""
    value: str = ""
    filters: tuple[str, ...] = ()
    mandatory: bool = False
    width: int = 0
    strip: str = ""
    padding: str = ""
    layout: str = ""
    timezone: str = ""
    new_branch: bool = False
    attribute_id: str = ""
    blocker: bool = False
    mask_destinationd_id: str = ""
    mask_length: int = 0


class CompiledField:
    """A template ready to run."""

    __slots__ = ("make", "path", "read_path", "template")

    def __init__(self, template: FieldTemplate, separator: str = SEPARATOR) -> None:
        """Raises the errors of rules that do not compile (41 §1, 2)."""
        self.template = template
        self.make = _maker(template, separator)
        path = compile_value(template.path) if template.path else None
        self.path = template.path if path is None or path.constant is not None else ""
        self.read_path: Callable[[View], Any] | None = None if path is None or self.path else path.read

    @property
    def tag(self) -> str:
        return self.template.tag or self.template.path

    def set_on(self, view: TemplateView) -> bool:
        """Evaluate the field and set it; whether the list ends here. Raises the errors of 41 §3 and 4."""
        template = self.template
        if template.filters and not passes(view, template.filters):
            return False
        kind = template.type
        try:
            path = self._path_on(view)
            if kind in _WITHOUT_VALUE:
                if kind == "*remove":
                    view.remove(path)
                elif kind == "*removeall":
                    view.remove_all(path)
                return template.blocker
            view.field_zone = template.timezone
            text = self.make(view)
        except ApiError as error:
            if error.text != NOT_FOUND:
                raise
            if template.mandatory:
                raise ApiError(f"{NOT_FOUND}:{self.tag}") from None
            return False
        finally:
            view.field_zone = ""
        if kind in _FITTED:
            padding = "*right" if kind == "*filler" else template.padding
            text = fitted(text, template.width, template.strip, padding, template.mandatory, self.tag)
        view.write(path, text, kind)
        return template.blocker

    def _path_on(self, view: TemplateView) -> str:
        if self.read_path is None:
            return self.path
        found = self.read_path(view)
        if found is MISSING:
            raise not_found()
        return text_of(found)


def compile_fields(
    configured: Sequence[dict[str, Any]], templates: dict[str, Any], separator: str = SEPARATOR
) -> tuple[CompiledField, ...]:
    """The fields of a configured list; those of type `*template` are replaced by what `templates` (the section) holds.

    Raises ApiError: `no template with id: <X>`, `empty template with id: <X>`, and the errors of rules."""
    return tuple(CompiledField(read_field(each), separator) for each in _inlined(configured, templates, 0))


def read_field(configured: dict[str, Any]) -> FieldTemplate:
    """One configured template. Raises ApiError where a member has a wrong type."""
    known = {
        key: value for key, value in configured.items() if value is not None and key in FieldTemplate.__struct_fields__
    }
    try:
        return msgspec.convert(known, FieldTemplate)
    except msgspec.ValidationError as error:
        raise ApiError(f"field template <{configured.get('tag') or configured.get('path', '')}>: {error}") from None


def _inlined(configured: Sequence[dict[str, Any]], templates: dict[str, Any], depth: int) -> Iterator[dict[str, Any]]:
    for each in configured:
        if each.get("type") != "*template":
            yield each
            continue
        name = str(each.get("value", ""))
        fields = templates.get(name)
        if fields is None:
            raise ApiError(f"no template with id: <{name}>")
        if not fields:
            raise ApiError(f"empty template with id: <{name}>")
        if depth >= MAX_INLINED:
            raise ApiError(f"template with id: <{name}> is inside itself")
        yield from _inlined(fields, templates, depth + 1)


def evaluate(fields: Sequence[CompiledField], view: TemplateView) -> None:
    """Evaluate a list in order. The first error ends it; what was set before stays."""
    for field in fields:
        if field.set_on(view):
            return


# --- values -------------------------------------------------------------------------------------------------------


def _maker(template: FieldTemplate, separator: str) -> Callable[[TemplateView], str]:
    kind = template.type
    rules = split_value(template.value, separator)
    if kind in _WITHOUT_VALUE:
        return lambda view: ""
    if kind == "*masked_destination":
        return _masked_destination(template)
    if not kind:
        value_maker(Attribute(template.path, "", rules))  # its rules must compile all the same
        return _unsupported(kind)
    make = value_maker(Attribute(template.path, _MADE_AS.get(kind, kind), rules))
    if kind != "*datetime" or not template.layout:
        return make
    joined = value_maker(Attribute(template.path, "*variable", rules))
    return lambda view: format_layout(parse_time(joined(view), view.now_ns, view.zone), template.layout)


def _unsupported(kind: str) -> Callable[[TemplateView], str]:
    def fail(view: TemplateView) -> str:
        raise ApiError(f"unsupported type: <{kind}>")

    return fail


def _masked_destination(template: FieldTemplate) -> Callable[[TemplateView], str]:
    """The destination with its end hidden, when it is one of those to hide; else an empty text."""

    def make(view: TemplateView) -> str:
        number = text_of(view.event.get("Destination"))
        owners = view.generation.destinations_of
        hidden = any(template.mask_destinationd_id in owners(number[:end]) for end in range(len(number), 0, -1))
        if not hidden or template.mask_length <= 0:
            return ""
        return number[: -template.mask_length] + "*" * min(template.mask_length, len(number))

    return make
