"""Segment files: their names, their header, and the groups in them. Functions over bytes; the format is docs/log-format.md."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple
from zlib import crc32

from cgr_cluster.log.errors import BadGroup, CorruptionError
from cgr_cluster.log.format import FORMAT_VERSION, HEADER_BYTES, MAGIC, Header, check_body, parse_header

SEGMENT_HEADER_BYTES: Final = 64
PART_NAME: Final = "next.part"  # a segment that is being filled with zeros
READY_NAME: Final = "next.ready"  # one that is filled and synced
_MAGIC: Final = b"CGRSEG\r\n"
_HEAD = struct.Struct("<8sIIQQQ20x")
_CRC = struct.Struct("<I")
_NAME = re.compile(r"(\d{16})\.seg")


class Position(NamedTuple):
    """A place in the log. Everything before it is meant."""

    segment: int
    offset: int


class SegmentHeader(NamedTuple):
    segment: int
    previous_end: int  # offset at which the log ends in the segment before this one
    created_ns: int


class Group(NamedTuple):
    """A group as it lies in a segment. `body` is a view of the segment's bytes."""

    offset: int
    header: Header
    body: memoryview

    @property
    def end(self) -> int:
        return self.offset + HEADER_BYTES + self.header.body_bytes


def segment_name(segment: int) -> str:
    return f"{segment:016d}.seg"


def segment_numbers(names: Iterable[str]) -> list[int]:
    """Numbers of the segments among the names of a folder, ascending."""
    return sorted(int(match[1]) for match in map(_NAME.fullmatch, names) if match)


def encode_segment_header(header: SegmentHeader) -> bytes:
    head = _HEAD.pack(_MAGIC, FORMAT_VERSION, 0, *header)
    return head + _CRC.pack(crc32(head))


def parse_segment_header(data: bytes, segment: int) -> SegmentHeader:
    """The header of the file of segment `segment`. Raises CorruptionError: a file with a segment's name has one."""
    name = segment_name(segment)
    if len(data) < SEGMENT_HEADER_BYTES:
        raise CorruptionError(
            name, 0, f"the file has {len(data)} bytes, a segment's header alone {SEGMENT_HEADER_BYTES}"
        )
    magic, version, _, *fields = _HEAD.unpack_from(data)
    if magic != _MAGIC:
        raise CorruptionError(name, 0, "no segment's header")
    if _CRC.unpack_from(data, _HEAD.size)[0] != crc32(data[: _HEAD.size]):
        raise CorruptionError(name, 0, "checksum of the segment's header differs")
    if version != FORMAT_VERSION:
        raise CorruptionError(name, 0, f"format version {version}; this program knows {FORMAT_VERSION}")
    header = SegmentHeader(*fields)
    if header.segment != segment:
        raise CorruptionError(name, 0, f"the header is that of segment {header.segment}")
    return header


def walk(data: bytes, segment: int, start: int, end: int) -> Iterator[Group]:
    """The whole groups of a segment from offset `start` to exactly `end`. Raises BadGroup at the first bad one."""
    view = memoryview(data)[:end]
    offset = start
    while offset < end:
        header = parse_header(view, offset)
        if header.segment != segment:
            raise BadGroup(offset, f"a group of segment {header.segment}")
        body = view[offset + HEADER_BYTES : offset + HEADER_BYTES + header.body_bytes]
        check_body(header, body, offset)
        yield Group(offset, header, body)
        offset += HEADER_BYTES + header.body_bytes


def proven_behind(data: bytes, segment: int, offset: int) -> int:
    """The highest `synced` that any whole header of this segment behind `offset` names; 0 when there is none.

    A group whose header says that more was synced than can be read now is the proof that the disk has lost something.
    """
    proven = 0
    at = data.find(MAGIC, offset)
    while at >= 0:
        try:
            header = parse_header(data, at)
        except BadGroup:
            pass
        else:
            if header.segment == segment:
                proven = max(proven, header.synced)
        at = data.find(MAGIC, at + 1)
    return proven
