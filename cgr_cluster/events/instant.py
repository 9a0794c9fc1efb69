"""Points in time as the API has them: nanoseconds, with the offset that they were written with."""

from __future__ import annotations

import msgspec

NS = 1_000_000_000
ZERO_S = -62_135_596_800  # 0001-01-01T00:00:00Z in Unix seconds
ZERO_NS = ZERO_S * NS


class Instant(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A time: Unix `seconds` (UTC), `nanos` (0..999 999 999) and `offset_s`, the zone offset in seconds east of UTC.

    Two fields instead of one, since the zero time and years like 9999 do not fit 64 bits of nanoseconds, which is where
    records end. Compare and compute with `.ns`. The zero time (`ZERO`) means "not set" or "never" and is false
    (chapter 01, section 5).
    """

    seconds: int
    nanos: int = 0
    offset_s: int = 0

    @classmethod
    def of(cls, ns: int, offset_s: int = 0) -> Instant:
        return cls(ns // NS, ns % NS, offset_s)

    @property
    def ns(self) -> int:
        """Nanoseconds since the Unix epoch (unbounded)."""
        return self.seconds * NS + self.nanos

    def __bool__(self) -> bool:
        return self.seconds != ZERO_S or self.nanos != 0

    def plus(self, ns: int) -> Instant:
        """This time moved by `ns`, in the same offset."""
        return Instant.of(self.ns + ns, self.offset_s)


ZERO = Instant(ZERO_S)
