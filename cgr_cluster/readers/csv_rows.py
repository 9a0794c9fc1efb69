"""Rows of CSV files, as strict about quotes as the system that ours is compatible with (spec 40 §9). Pure."""

from __future__ import annotations

from collections.abc import Callable

_BARE = 'bare " in non-quoted field'
_EXTRANEOUS = 'extraneous or missing " in quoted field'
COMMENT = b"#"


class CsvError(ValueError):
    """A row whose quotes are wrong."""


def next_row(readline: Callable[[], bytes], separator: str, lazy_quotes: bool) -> list[str] | None:
    """The next row, None at the end. Empty lines and those that begin with `#` are none. A quoted field may hold line
    ends. `lazy_quotes`: a quote may stand anywhere. Raises CsvError."""
    while True:
        line = readline()
        if not line:
            return None
        if not line.startswith(COMMENT) and line not in (b"\n", b"\r\n"):
            return _fields(_text(line), readline, separator, lazy_quotes)


def _text(line: bytes) -> str:
    text = line.decode("utf-8", "replace")
    return text[:-2] + "\n" if text.endswith("\r\n") else text


def _fields(text: str, readline: Callable[[], bytes], separator: str, lazy: bool) -> list[str]:
    if '"' not in text:
        return text.removesuffix("\n").split(separator)
    fields: list[str] = []
    while True:
        if text.startswith('"'):
            field, text, more = _quoted(text[1:], readline, separator, lazy)
        else:
            field, found, text = text.partition(separator)
            more = bool(found)
            if not more:
                field = field.removesuffix("\n")
            if not lazy and '"' in field:
                raise CsvError(_BARE)
        fields.append(field)
        if not more:
            return fields


def _quoted(text: str, readline: Callable[[], bytes], separator: str, lazy: bool) -> tuple[str, str, bool]:
    """A field from behind its opening quote: its value, the rest of the line, whether another field follows."""
    value = ""
    while True:
        before, quote, rest = text.partition('"')
        value += before
        if not quote:  # the field goes on in the next line
            text = _text(readline())
            if not text:
                if not lazy:
                    raise CsvError(_EXTRANEOUS)
                return value.removesuffix("\n"), "", False
        elif rest.startswith('"'):
            value += '"'
            text = rest[1:]
        elif rest.startswith(separator):
            return value, rest[len(separator) :], True
        elif rest in ("", "\n"):
            return value, "", False
        elif lazy:
            value += '"'
            text = rest
        else:
            raise CsvError(_EXTRANEOUS)


def csv_line(fields: list[str], separator: str) -> str:
    """A row as it is written: quoted where a field would be read otherwise."""
    return separator.join(_written(field, separator) for field in fields) + "\n"


def _written(field: str, separator: str) -> str:
    if not field:
        return field
    if field == "\\." or separator in field or any(char in field for char in '"\r\n') or field[0].isspace():
        return '"' + field.replace('"', '""') + '"'
    return field
