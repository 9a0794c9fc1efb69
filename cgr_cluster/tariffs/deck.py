"""A deck: a whole tariff plan as objects of the tariff plan store, by kind (spec chapter 10 §9, §10).

Folders and the store both give decks; loading reads nothing else.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from typing import Any

from cgr_cluster.tariffs import dispatcher_rows, profile_rows, query_rows, rows
from cgr_cluster.tariffs.rows import FileKind, Problem, read_slices, write_kind
from cgr_cluster.tariffs.slices import Slices, whole

Deck = dict[str, list[Any]]  # kind → objects (tp_types), in file order

LOAD_ORDER: tuple[FileKind, ...] = (
    rows.DESTINATIONS, rows.TIMINGS, rows.RATES, rows.DESTINATION_RATES, rows.RATING_PLANS, rows.RATING_PROFILES,
    rows.SHARED_GROUPS, rows.ACTIONS, rows.ACTION_PLANS, rows.ACTION_TRIGGERS, rows.ACCOUNT_ACTIONS,
    profile_rows.FILTERS, profile_rows.RESOURCES, profile_rows.IPS, profile_rows.STATS, query_rows.TRENDS,
    query_rows.RANKINGS, profile_rows.THRESHOLDS, profile_rows.ROUTES, profile_rows.ATTRIBUTES, profile_rows.CHARGERS,
    dispatcher_rows.DISPATCHER_PROFILES, dispatcher_rows.DISPATCHER_HOSTS,
)  # fmt: skip
KIND_OF_FILE = {kind.file: kind for kind in LOAD_ORDER}


def read_deck(files: dict[str, bytes]) -> tuple[Deck, dict[str, list[Problem]]]:
    """`read_deck_slices` in one go."""
    return whole(read_deck_slices(files))


def read_deck_slices(files: dict[str, bytes]) -> Slices[tuple[Deck, dict[str, list[Problem]]]]:
    """A folder's files as a deck, and the problems by kind. A kind without problems has none listed."""
    deck: Deck = {}
    problems: dict[str, list[Problem]] = {}
    for kind in LOAD_ORDER:
        deck[kind.name], found = yield from read_slices(kind, files)
        if found:
            problems[kind.name] = found
    return deck, problems


def lines_of(files: dict[str, bytes]) -> int:
    """How many lines there are to read."""
    return sum(data.count(b"\n") for data in files.values())


def write_deck(deck: Deck, separator: str = ",") -> dict[str, bytes]:
    """A deck as CSV files: file name → contents. Kinds without objects make no file."""
    return {
        kind.file: write_kind(kind, deck[kind.name], separator) for kind in LOAD_ORDER if deck.get(kind.name)
    }  # fmt: skip


ZIP_TIME = (1980, 1, 1, 0, 0, 0)  # the same deck makes the same bytes


def zip_files(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(files):
            archive.writestr(zipfile.ZipInfo(name, ZIP_TIME), files[name], zipfile.ZIP_DEFLATED)
    return out.getvalue()


MAX_UNZIPPED_BYTES = 128 << 20
_PACKED_AS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # what can be unpacked piece by piece
_PIECE_BYTES = 1 << 20


def unzip_files(data: bytes) -> dict[str, bytes] | None:
    """The CSV files of an archive; None: it is no readable archive, or more than MAX_UNZIPPED_BYTES, whatever its
    headers say. Names are only names: nothing is written."""
    files: dict[str, bytes] = {}
    left = MAX_UNZIPPED_BYTES
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for entry in archive.infolist():
                if not entry.filename.endswith(".csv"):
                    continue
                if entry.compress_type not in _PACKED_AS or entry.file_size > left:
                    return None
                with archive.open(entry) as packed:
                    pieces = []
                    while piece := packed.read(_PIECE_BYTES):
                        pieces.append(piece)
                files[entry.filename] = b"".join(pieces)
                left -= len(files[entry.filename])
    except (zipfile.BadZipFile, zlib.error, OSError, RuntimeError, NotImplementedError, ValueError, EOFError):
        return None
    return files
