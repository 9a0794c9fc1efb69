"""Large answers in pieces: what a slice of the work gives is JSON at once, so that nothing is left for the end but to join it."""

from __future__ import annotations

from typing import Any

import msgspec

from cgr_cluster.rpc.encode import encode_result


class Joined:
    """Pieces of one JSON array or object."""

    __slots__ = ("_pieces",)

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def add(self, piece: list[Any] | dict[str, Any]) -> None:
        """The next elements or members."""
        if piece:
            self._pieces.append(encode_result(piece)[1:-1])

    def array(self) -> msgspec.Raw:
        return msgspec.Raw(b"[%b]" % b",".join(self._pieces))

    def object(self) -> msgspec.Raw:
        return msgspec.Raw(b"{%b}" % b",".join(self._pieces))
