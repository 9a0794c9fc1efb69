"""The few file operations that the log needs, so that a simulation can put a disk with faults in their place.

`FileDisk` is a folder of real files; `memory_disk.MemoryDisk` loses what was not synced. Errors of the device are OSError, as the
operating system reports them; only a lack of room is its own error, because the log goes on after it.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Final, Protocol

from cgr_cluster.log.errors import DiskFullError

_NO_ROOM: Final = (errno.ENOSPC, errno.EDQUOT)
_FILL_BYTES: Final = (
    1 << 20
)  # zeros are written and synced in pieces, so that appends in between wait for one piece only


class Disk(Protocol):
    """A flat folder of files. What `sync` and `sync_directory` have not confirmed may be lost in a crash."""

    def names(self) -> list[str]: ...

    def read(self, name: str) -> bytes:
        """The whole file. Raises FileNotFoundError."""

    def size(self, name: str) -> int:
        """Length of the file in bytes. Raises FileNotFoundError."""

    def create(self, name: str, size: int) -> None:
        """A new file of `size` zeros, synced; its name is not until `sync_directory`. Raises DiskFullError."""

    def write(self, name: str, offset: int, data: bytes) -> None:
        """Writes all of `data` inside the file's length."""

    def sync(self, name: str) -> None: ...
    def rename(self, old: str, new: str) -> None: ...
    def remove(self, name: str) -> None: ...

    def release(self, name: str) -> None:
        """The file will not be written again by this process."""

    def sync_directory(self) -> None: ...
    def free_bytes(self) -> int: ...


class FileDisk:
    """`Disk` on a folder of the file system."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: dict[str, int] = {}

    def names(self) -> list[str]:
        return os.listdir(self._folder)

    def read(self, name: str) -> bytes:
        return (self._folder / name).read_bytes()

    def size(self, name: str) -> int:
        return (self._folder / name).stat().st_size

    def create(self, name: str, size: int) -> None:
        path = self._folder / name
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640)
        try:
            zeros = bytes(min(size, _FILL_BYTES))
            for offset in range(0, size, _FILL_BYTES):
                _write_all(fd, zeros[: size - offset], offset)
                os.fdatasync(fd)
            os.fsync(fd)
        except OSError as error:
            if error.errno not in _NO_ROOM:
                raise
            path.unlink()
            raise DiskFullError(f"{path}: no room for {size} bytes") from error
        finally:
            os.close(fd)

    def write(self, name: str, offset: int, data: bytes) -> None:
        _write_all(self._descriptor(name), data, offset)

    def sync(self, name: str) -> None:
        os.fdatasync(self._descriptor(name))

    def rename(self, old: str, new: str) -> None:
        os.rename(self._folder / old, self._folder / new)
        if old in self._open:
            self._open[new] = self._open.pop(old)

    def remove(self, name: str) -> None:
        self.release(name)
        os.unlink(self._folder / name)

    def release(self, name: str) -> None:
        fd = self._open.pop(name, None)
        if fd is not None:
            os.close(fd)

    def sync_directory(self) -> None:
        fd = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def free_bytes(self) -> int:
        status = os.statvfs(self._folder)
        return status.f_bavail * status.f_frsize

    def close(self) -> None:
        for name in list(self._open):
            self.release(name)

    def _descriptor(self, name: str) -> int:
        fd = self._open.get(name)
        if fd is None:
            fd = self._open[name] = os.open(self._folder / name, os.O_RDWR | os.O_CLOEXEC)
        return fd


def _write_all(fd: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(fd, view, offset)
        offset += written
        view = view[written:]
