"""The data directory: its names, its format version and its lock (docs/log-format.md)."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Final

from cgr_cluster.log.errors import DataDirError
from cgr_cluster.log.format import FORMAT_VERSION

_FORMAT_TEXT: Final = f"cgr-cluster log {FORMAT_VERSION}\n"


class DataDir:
    """Paths of a data directory. Nothing is read or made before one of the methods is called."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.segments = self.path / "segments"
        self.checkpoint = self.path / "checkpoint.sqlite"
        self.socket = self.path / "log.sock"
        self._format = self.path / "FORMAT"
        self._lock = self.path / "LOCK"

    def prepare(self) -> None:
        """Makes it when it is not there; checks that this program can use it. Raises DataDirError."""
        try:
            self.segments.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataDirError(f"data directory {self.path} cannot be made: {error.strerror}") from error
        if not os.access(self.path, os.W_OK | os.X_OK) or not os.access(self.segments, os.W_OK | os.X_OK):
            raise DataDirError(
                f"data directory {self.path} is not writable for user id {os.geteuid()}: change its owner"
            )
        if not self._format.exists():
            if any(self.segments.iterdir()) or self.checkpoint.exists():
                raise DataDirError(f"{self._format} is missing, but there are data: this is not a whole data directory")
            _write_synced(self._format, _FORMAT_TEXT)
        self.check()

    def check(self) -> None:
        """Raises DataDirError when there is no data directory that this program can read."""
        try:
            text = self._format.read_text()
        except OSError as error:
            raise DataDirError(f"{self.path} is not a data directory: {self._format}: {error.strerror}") from error
        if text != _FORMAT_TEXT:
            raise DataDirError(
                f"{self._format} says {text.strip()!r}; this program knows {_FORMAT_TEXT.strip()!r}: use the release that"
                f" wrote it, or convert the data"
            )

    def lock(self) -> int:
        """Takes the lock and keeps it as long as the returned descriptor is open. Raises DataDirError."""
        fd = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(fd, 32, 0).decode().strip() or "unknown"
            os.close(fd)
            raise DataDirError(f"data directory {self.path} is in use by the log process with pid {holder}") from None
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        return fd


def _write_synced(path: Path, text: str) -> None:
    """The file appears with its whole content or not at all."""
    part = path.with_suffix(".part")
    with open(part, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.rename(part, path)
    fd = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
