"""What has been seen long ago, in four bytes a run: sorted segments of fingerprints.

A repeated CDR must be found out also after its guard has expired. Asking the store for every new CDR would put a look-up
on disk into the hot path; so the registry of a CGRID remembers a fingerprint of every run for which it ever let a record
be made. A run whose fingerprint is not there is new for certain; else (a repeat, or one in about 10 000 by chance) the
tails and the store are asked.

Segments of a shard: `0` takes what each sweep brings, and goes into `1` when it is large; `1` becomes one of the full
segments `2`, `3`, ... when it is. So each fingerprint is written a few times only, and no merge takes long.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable
from hashlib import blake2b

SMALL = 4096  # fingerprints in segment 0 before it goes into 1
FULL = 65536  # in segment 1 before it is left as it is


def fingerprint(cgrid: str, run_id: str) -> int:
    """32 bits, independent of the hash that picks the shard."""
    return int.from_bytes(blake2b(f"{cgrid}\x1f{run_id}".encode(), digest_size=4).digest(), "little")


def segment(prints: Iterable[int]) -> bytes:
    return array("I", sorted(prints)).tobytes()


def size(fingerprints: bytes) -> int:
    return len(fingerprints) // 4


def holds(fingerprints: bytes, value: int) -> bool:
    view = memoryview(fingerprints).cast("I")
    place = bisect_left(view, value)
    return place < len(view) and view[place] == value


def merged(first: bytes, second: bytes) -> bytes:
    """Both segments in one, equal fingerprints once."""
    return segment({*memoryview(first).cast("I"), *memoryview(second).cast("I")})
