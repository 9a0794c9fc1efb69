"""Inline attributes `TYPE:PATH:VALUE`, several separated by `;` (spec chapter 50, section 8.6)."""

from __future__ import annotations

import re

from cgr_cluster.attributes.types import Attribute, AttributeProfile
from cgr_cluster.events.rules import split_value
from cgr_cluster.rpc.errors import ApiError

_RULE = re.compile(r"((?:\[[^\]]*\]|[^:\[])*):([^:]*):(.*)", re.DOTALL)  # a type may hold a URL in brackets


def is_inline(attribute_id: str) -> bool:
    return attribute_id.startswith("*")


def parse_inline(tenant: str, text: str) -> AttributeProfile:
    """The profile that `text` writes; its id is the text, it fits every context. Errors without `SERVER_ERROR: `."""
    attributes = []
    for rule in text.split(";"):
        found = _RULE.fullmatch(rule)
        if found is None:
            raise ApiError(f"inline parse error for string: <{rule}>")
        kind, path, value = found.groups()
        if not path:
            raise ApiError(f"empty path in inline AttributeProfile <{text}>")
        attributes.append(Attribute(path, kind, split_value(value, "&")))
    return AttributeProfile(tenant, text, attributes=tuple(attributes))
