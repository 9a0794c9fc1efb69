"""The files of CSV and fixed width exporters: lines that count once, whatever dies when.

A file's position is in the journal (export_journal.py). Lines are written behind it and synced, then the position moves in
one commit with the deliveries that they belong to. What is found behind the position later was never acknowledged and is
cut off. The trailer goes in the same way: the file leaves the journal when it is written.
"""

from __future__ import annotations

import logging
import os
import secrets
from pathlib import Path

from cgr_cluster.edge.failed_posts import sync_folder

logger = logging.getLogger("cgr_cluster.edge")

MODE = 0o640
_SUFFIXES = {"*file_csv": "csv", "*file_fwv": "fwv"}


def new_path(folder: str, exporter_id: str, kind: str) -> str:
    """`folder/ID_XXXXXXX.csv`; a `/` in an id is none of a path."""
    return os.path.join(folder, f"{exporter_id.replace('/', '_')}_{secrets.token_hex(4)[:7]}.{_SUFFIXES[kind]}")


class LineFile:
    """An open file of which `position` bytes count."""

    def __init__(self, path: str, position: int) -> None:
        """Raises OSError; FileNotFoundError for a file with lines that has gone."""
        self.path = path
        self.position = position
        self._descriptor = os.open(path, os.O_RDWR | (0 if position else os.O_CREAT), MODE)
        try:
            os.ftruncate(self._descriptor, position)
            if not position:
                os.fchmod(self._descriptor, MODE)  # whatever the process may hide: others collect these files
                sync_folder(Path(path).parent)
        except OSError:
            os.close(self._descriptor)
            raise

    def write(self, text: str) -> int:
        """Write behind the position and sync; answers the new position, which the caller sets when it is in the journal.
        Raises OSError; the file is then as it was."""
        data = text.encode()
        written = 0
        try:
            while written < len(data):
                written += os.pwrite(self._descriptor, data[written:], self.position + written)
            os.fsync(self._descriptor)
        except OSError:
            os.ftruncate(self._descriptor, self.position)
            raise
        return self.position + len(data)

    def close(self) -> None:
        os.close(self._descriptor)
