"""How deep documents may be nested. Values of any type are walked by recursion all over the program, so the bound is
checked once, where a document comes in."""

from __future__ import annotations

import json
import re
from typing import Any

MAX_DEPTH = 128

_ESCAPE = re.compile(rb"\\.", re.DOTALL)
_STRING = re.compile(rb'"[^"]*"')
_ONE_KIND = bytes.maketrans(b"{}", b"[]")
_NO_MARKS = bytes(set(range(256)) - set(b'[]{}"'))


def is_too_deep(document: bytes) -> bool:
    """Whether a JSON document has more than MAX_DEPTH lists and objects inside each other."""
    if document.count(b"[") + document.count(b"{") <= MAX_DEPTH:
        return False
    if b"\\" in document:
        document = _ESCAPE.sub(b"", document)
    left = _STRING.sub(b"", document.translate(_ONE_KIND, _NO_MARKS))
    for _ in range(MAX_DEPTH):  # each round takes away the innermost level
        left = left.replace(b"[]", b"")
        if not left:
            return False
    return True


def read_json(text: str | bytes) -> Any:
    """The JSON inside a text of the API. Raises ValueError for what is none, or is nested too deeply."""
    if is_too_deep(text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text):
        raise ValueError("nested too deeply")
    return json.loads(text, parse_constant=_no_number)


def _no_number(literal: str) -> Any:
    raise ValueError(f"{literal} is not JSON")
