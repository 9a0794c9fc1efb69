"""Reading CSV bytes: lines to cells (spec chapter 10, section 9.1).

Separator `,` (one other character for imports), `#` in column one begins a comment, empty lines are skipped, RFC 4180
quotes, cells keep their blanks, the number of cells is exact. Lines without quotes, all lines of most decks, are split
in one call; the others go through a small state machine. Lines are read one at a time, so a deck of a million rows is
never held as text twice. Bytes that are no UTF-8 become U+FFFD, a byte order mark at the start is dropped.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import PurePosixPath

from cgr_cluster.rpc.errors import ApiError

COMMENT = "#"


def files_named(files: dict[str, bytes], name: str) -> list[str]:
    """Paths of the files of this name, in the order in which they are joined: a folder before its subfolders, these by
    name."""
    found = [path for path in files if PurePosixPath(path).name == name]
    return sorted(found, key=lambda path: PurePosixPath(path).parts[:-1])


def rows(data: bytes, columns: int, separator: str = ",") -> Iterator[tuple[int, list[str] | ApiError]]:
    """(line number, cells) of every row; in place of the cells the error of a row that cannot be read:
    `record on line 1: wrong number of fields`, or the place of a misplaced quote."""
    lines = _lines(data)
    quotes = b'"' in data
    for number, line in lines:
        if not line or line[0] == COMMENT:
            continue
        start = number
        if quotes and '"' in line:
            try:
                cells, _ = _quoted_row(line, number, lines, separator)
            except ApiError as error:
                yield start, error
                continue
        else:
            cells = line.split(separator)
        if len(cells) != columns:
            yield start, ApiError(f"record on line {start}: wrong number of fields")
            continue
        yield start, cells


def _lines(data: bytes) -> Iterator[tuple[int, str]]:
    """Numbered lines without their ends (`\\n` or `\\r\\n`)."""
    stream = io.TextIOWrapper(io.BytesIO(data), encoding="utf-8-sig", errors="replace", newline="\n")
    for number, line in enumerate(stream, 1):
        if line.endswith("\n"):
            line = line[:-1]
        yield number, line[:-1] if line.endswith("\r") else line


def _quoted_row(line: str, number: int, lines: Iterator[tuple[int, str]], separator: str) -> tuple[list[str], int]:
    """Cells of a row that has quotes; it may go on over following `lines`. Answers cells and the last line's number."""
    start = number
    cells: list[str] = []
    position = 0
    while True:
        if not line.startswith('"', position):
            end = line.find(separator, position)
            cell = line[position:] if end < 0 else line[position:end]
            bare = cell.find('"')
            if bare >= 0:
                raise _quote_error(start, number, line, position + bare, 'bare " in non-quoted field')
            cells.append(cell)
        else:
            opened = position
            text: list[str] = []
            position += 1
            while True:
                end = line.find('"', position)
                if end >= 0:
                    text.append(line[position:end])
                    position = end + 1
                    if not line.startswith('"', position):
                        break
                    text.append('"')
                    position += 1
                    continue
                text.append(line[position:] + "\n")
                following = next(lines, None)
                if following is None:
                    raise _quote_error(start, number, line, len(line), _MISPLACED)
                number, line = following
                position = opened = 0
            cells.append("".join(text))
            if position < len(line) and not line.startswith(separator, position):
                raise _quote_error(start, number, line, max(opened, position - 1), _MISPLACED)
            end = position if position < len(line) else -1
        if end < 0:
            return cells, number
        position = end + len(separator)


_MISPLACED = 'extraneous or missing " in quoted-field'


def _quote_error(start: int, number: int, line: str, position: int, text: str) -> ApiError:
    column = len(line[:position].encode()) + 1
    where = f"parse error on line {number}, column {column}: {text}"
    return ApiError(where if start == number else f"record on line {start}; {where}")


def quoted(cell: str, separator: str = ",") -> str:
    """A cell as it is written to a file."""
    if cell and (cell[0] in " \t#" or separator in cell or '"' in cell or "\n" in cell or "\r" in cell):
        return '"' + cell.replace('"', '""') + '"'
    return cell
