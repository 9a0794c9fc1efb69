"""A disk in memory that loses what a real one may lose: for the simulation and for crash tests.

Files have two states: what programs read (`page cache`) and what is on the medium. `crash` makes the disk that the next start finds: of every
512-byte sector written since its file's last sync either state survives, each sector for itself; of renames and removals since the last
`sync_directory` a first part survives, in their order.
"""

from __future__ import annotations

import errno
import random
from collections.abc import Callable
from typing import Final

from cgr_cluster.log.errors import DiskFullError

SECTOR_BYTES: Final = 512


class _File:
    __slots__ = ("cached", "dirty", "medium")

    def __init__(self, medium: bytes | bytearray) -> None:
        self.cached = bytearray(medium)
        self.medium = bytearray(medium)
        self.dirty: set[int] = set()  # sectors

    def copy(self) -> _File:
        copy = _File(self.medium)
        copy.cached[:] = self.cached
        copy.dirty |= self.dirty
        return copy


class MemoryDisk:
    """`Disk` in memory. `capacity` is in bytes; `before` is called with the name of each operation before it is done.

    An exception from `before` is the device's or the process's death at this point. `fail_next_sync` makes the next sync fail as Linux does: the
    pages count as clean afterwards, are read as if written, and are not on the medium.
    """

    def __init__(self, capacity: int = 1 << 40, before: Callable[[str], None] = lambda operation: None) -> None:
        self.capacity = capacity
        self.before = before
        self.fail_next_sync = False
        self._files: dict[str, _File] = {}  # as programs see the folder
        self._directory: dict[str, _File] = {}  # the folder on the medium
        self._unsynced_directories: list[dict[str, _File]] = []

    def names(self) -> list[str]:
        return list(self._files)

    def read(self, name: str) -> bytes:
        return bytes(self._file(name).cached)

    def size(self, name: str) -> int:
        return len(self._file(name).cached)

    def create(self, name: str, size: int) -> None:
        self.before("create")
        if self.free_bytes() < size:
            raise DiskFullError(f"{name}: no room for {size} bytes")
        self._change(lambda files: files.__setitem__(name, _File(bytes(size))))

    def write(self, name: str, offset: int, data: bytes) -> None:
        self.before("write")
        file = self._file(name)
        if offset + len(data) > len(file.cached):
            raise ValueError(f"{name}: write behind the end of the file")
        file.cached[offset : offset + len(data)] = data
        file.dirty.update(range(offset // SECTOR_BYTES, -(-(offset + len(data)) // SECTOR_BYTES)))

    def sync(self, name: str) -> None:
        self.before("sync")
        file = self._file(name)
        if self.fail_next_sync:
            self.fail_next_sync = False
            file.dirty.clear()
            raise OSError(errno.EIO, "injected: the device lost the pages")
        for sector in file.dirty:
            _copy_sector(file.cached, file.medium, sector)
        file.dirty.clear()
        self.before("synced")

    def rename(self, old: str, new: str) -> None:
        self.before("rename")
        self._file(old)
        self._change(lambda files: files.__setitem__(new, files.pop(old)))

    def remove(self, name: str) -> None:
        self.before("remove")
        self._file(name)
        self._change(lambda files: files.pop(name))

    def release(self, name: str) -> None:
        pass

    def sync_directory(self) -> None:
        self.before("sync_directory")
        self._directory = dict(self._files)
        self._unsynced_directories.clear()
        self.before("synced_directory")

    def free_bytes(self) -> int:
        return self.capacity - sum(len(file.cached) for file in self._files.values())

    def crash(self, rng: random.Random) -> MemoryDisk:
        """The disk after a power loss. This one stays as it is, so one history can be crashed in many ways."""
        directory = rng.choice([self._directory, *self._unsynced_directories])
        after = MemoryDisk(self.capacity)
        for name, file in directory.items():
            content = bytearray(file.medium)
            for sector in sorted(file.dirty):
                if rng.random() < 0.5:
                    _copy_sector(file.cached, content, sector)
            after._files[name] = _File(content)
        after._directory = dict(after._files)
        return after

    def process_died(self) -> MemoryDisk:
        """The disk as the next process finds it when only the process died: all that was written is still read."""
        after = MemoryDisk(self.capacity)
        copies: dict[int, _File] = {}

        def copied(directory: dict[str, _File]) -> dict[str, _File]:
            return {name: copies.setdefault(id(file), file.copy()) for name, file in directory.items()}

        after._files = copied(self._files)
        after._directory = copied(self._directory)
        after._unsynced_directories = [copied(directory) for directory in self._unsynced_directories]
        return after

    def flip(self, name: str, offset: int, mask: int = 1) -> None:
        """Bits of one byte turn over on the medium: what a bad disk does to data at rest."""
        file = self._file(name)
        file.cached[offset] ^= mask
        file.medium[offset] ^= mask

    def _file(self, name: str) -> _File:
        if name not in self._files:
            raise FileNotFoundError(errno.ENOENT, "no such file", name)
        return self._files[name]

    def _change(self, change: Callable[[dict[str, _File]], object]) -> None:
        change(self._files)
        self._unsynced_directories.append(dict(self._files))


def _copy_sector(source: bytearray, target: bytearray, sector: int) -> None:
    start = sector * SECTOR_BYTES
    target[start : start + SECTOR_BYTES] = source[start : start + SECTOR_BYTES]
