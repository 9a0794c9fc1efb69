"""Regular expressions of filters and rules: RE2 syntax, in linear time (spec chapter 41 §1, 50 §2.2).

An expression comes from whoever provisions; RE2 makes sure that none of them can hold a worker up.
"""

from __future__ import annotations

import re
from typing import Any

import re2

from cgr_cluster.rpc.errors import ApiError

_OPTIONS = re2.Options()
_OPTIONS.log_errors = False
_REFERENCE = re.compile(r"\$(?:\$|\{([0-9A-Za-z_]+)\}|([0-9A-Za-z_]+))")


class Expression:
    """A compiled expression."""

    __slots__ = ("_names", "_search", "_size")

    def __init__(self, text: str) -> None:
        """Raises ApiError `error parsing regexp: ...` (the rest of the text is the library's)."""
        try:
            compiled = re2.compile(text, _OPTIONS)
        except re2.error as error:
            cause = error.args[0] if error.args else ""
            raise ApiError(f"error parsing regexp: {cause.decode() if isinstance(cause, bytes) else cause}") from None
        self._search = compiled.search
        self._names: dict[str, int] = dict(compiled.groupindex)
        self._size: int = compiled.groups

    def found_in(self, text: str) -> bool:
        return self._search(text) is not None

    def match(self, text: str) -> Any:
        """The match, with `group(number)`, or None."""
        return self._search(text)

    def group_number(self, name: str) -> int | None:
        """The group that `$name` means, None when there is no such group."""
        if name.isdigit() and (name == "0" or name[0] != "0"):
            return int(name) if int(name) <= self._size else None
        return self._names.get(name)


class Replacement:
    """`s/SEARCH/REPLACE/`: a text in which SEARCH matches becomes the expansion of REPLACE, any other stays.

    In REPLACE `$1`, `${1}` and `$name` are groups (unknown ones empty), `$$` is a dollar."""

    __slots__ = ("_expression", "_pieces")

    def __init__(self, search: str, replace: str) -> None:
        """Raises ApiError for a bad expression."""
        self._expression = Expression(search)
        pieces: list[str | int] = []
        at = 0
        for found in _REFERENCE.finditer(replace):
            pieces.append(replace[at : found.start()])
            at = found.end()
            name = found[1] or found[2]
            if name is None:
                pieces.append("$")
            else:
                number = self._expression.group_number(name)
                if number is not None:
                    pieces.append(number)
        pieces.append(replace[at:])
        self._pieces = [piece for piece in pieces if piece != ""]

    def apply(self, text: str) -> str:
        found = self._expression.match(text)
        if found is None:
            return text
        return "".join(piece if isinstance(piece, str) else found.group(piece) or "" for piece in self._pieces)
