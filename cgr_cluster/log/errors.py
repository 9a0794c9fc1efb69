"""What can be wrong with a log, as one family. Every text says what was found, where, and what to do."""

from __future__ import annotations

from typing import Final


class LogError(Exception):
    """Base of everything the log package raises on purpose."""


class BadGroup(LogError):  # noqa: N818 - the format's term; the reader decides whether it is an error
    """The bytes at `offset` are not a whole group. The end of a segment that is in use looks like this too."""

    def __init__(self, offset: int, reason: str) -> None:
        super().__init__(f"offset {offset}: {reason}")
        self.offset = offset
        self.reason = reason


class CorruptionError(LogError):
    """Bytes that were once synced are not what was written. Nothing is served from such a log."""

    def __init__(self, file: str, offset: int, reason: str) -> None:
        super().__init__(
            f"log is corrupt: {file} at offset {offset}: {reason}; restore this node's data, or give up everything behind"
            f" this point with `cgr-cluster log cut`"
        )
        self.file = file
        self.offset = offset
        self.reason = reason


class MissingSegmentError(LogError):
    """A segment that the checkpoint does not contain yet is not there."""


class DataDirError(LogError):
    """The data directory cannot be used: not writable, in use, or of another format version."""


class DiskFullError(LogError):
    """There is no room for another segment. The group was not taken; it may be given again when there is room."""


class RefusalError(LogError):
    """The log does not take this group or this writer, now or later: the writer must end and reload.

    `code` is one of the `REFUSED_*` names below.
    """

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


REFUSED_FENCED: Final = "FENCED"  # a younger incarnation of this worker has taken over
REFUSED_GAP: Final = "GAP"  # a number was left out
REFUSED_EPOCH: Final = "EPOCH"  # an epoch below the one this worker has already written under
REFUSED_BAD_GROUP: Final = "BAD_GROUP"  # not a group, or a group of another writer than the connection's
REFUSED_LOST: Final = "LOST"  # the writer holds an acknowledgement for a group that the log does not have
REFUSED_PROTOCOL: Final = "PROTOCOL"  # a frame that the protocol does not allow here
