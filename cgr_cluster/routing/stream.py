"""A stream of JSON documents: bytes in, documents out (spec chapter 01 §2). No socket, no clock.

Rules
* Documents follow each other with or without white space between them; a document may come in any number of pieces.
* A document is an object, or `null`. Anything else (a list, a text, a stray bracket, broken JSON) fails the stream: what
  came before it counts, what comes after it does not, and the connection is to be closed.
* A document has at most `max_document` bytes; a longer one fails the stream.
* The documents do not depend on how the bytes were cut into reads.

Theory of operation
    Nearly every read is one document, or whole lines of one document each. So a read is first tried as one document,
    then line by line, by the typed decoder itself: when it succeeds, the piece was a document, since no document is the
    beginning of another one. Only what it refuses is scanned for its end: by regular expressions that run over
    everything between two brackets at once, remembering where they stopped, so that a big document costs its size and
    not its square. The first piece of an unfinished document is looked through for errors, so that a client that sends
    nonsense is closed at once and not when it stops.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Generic, TypeVar

import msgspec

from cgr_cluster.rpc.envelope import MalformedError

T = TypeVar("T")

MAX_DOCUMENT = 64 << 20
_LOOKED_THROUGH = 64 << 10  # bytes of an unfinished document that are checked for errors
_TRUNCATED = "truncated"
_NUMBER_CHARS = b"0123456789+-.eE"  # a number that is cut in two may look wrong

_WHITE = re.compile(rb"[ \t\r\n]*")
_TO_BRACKET = re.compile(rb'[^{}\[\]"]*(?:"[^"\\]*(?:\\.[^"\\]*)*"[^{}\[\]"]*)*', re.DOTALL)
_TO_QUOTE = re.compile(rb'[^"\\]*(?:\\.[^"\\]*)*', re.DOTALL)
_OPENING, _QUOTE, _BACKSLASH = b"{[", ord('"'), ord("\\")


class DocumentStream(Generic[T]):
    """Feeds bytes, yields decoded documents.

    `decode_usual` decodes a document of the usual form and answers None for anything else; `decode` decodes any
    document and raises MalformedError. Once `failed`, the stream yields nothing any more.
    """

    __slots__ = ("_buffer", "_decode", "_decode_usual", "_depth", "_in_text", "_position", "failed", "max_document")

    def __init__(
        self,
        decode_usual: Callable[[bytes], T | None],
        decode: Callable[[bytes], T],
        max_document: int = MAX_DOCUMENT,
    ) -> None:
        self._decode_usual = decode_usual
        self._decode = decode
        self.max_document = max_document
        self.failed = False
        self._buffer = bytearray()  # an unfinished document; scanned up to _position
        self._position = 0
        self._depth = 0
        self._in_text = False

    @property
    def buffered(self) -> int:
        """Bytes of the unfinished document."""
        return len(self._buffer)

    def feed(self, data: bytes) -> list[T]:
        """The documents that `data` completes."""
        if self.failed:
            return []
        if self._buffer:
            return self._resume(data)
        if data.find(b"\n", 0, -1) < 0:
            document = self._decode_usual(data)
            if document is not None:
                return [document]
        return self._split(data)

    def _resume(self, data: bytes) -> list[T]:
        """Go on with the unfinished document."""
        out: list[T] = []
        self._buffer += data
        if not self._advance(self._buffer, self._position):
            self.failed = len(self._buffer) > self.max_document
            return out
        end = self._position
        whole = bytes(self._buffer)
        self._forget()
        return out + self._split(whole[end:]) if self._take(whole[:end], out) else out

    def _split(self, data: bytes) -> list[T]:
        """Documents of a read that begins with a document."""
        out: list[T] = []
        position = 0
        size = len(data)
        while position < size:
            newline = data.find(b"\n", position)
            line = data[position : newline if newline >= 0 else size]
            document = self._decode_usual(line)
            if document is not None:
                out.append(document)
                position += len(line) + 1
                continue
            start = _WHITE.match(data, position).end()  # type: ignore[union-attr]  # it matches nothing, too
            if start == size:
                break
            position = self._take_one(data, start, out)
            if position < 0:
                break
        return out

    def _take_one(self, data: bytes, start: int, out: list[T]) -> int:
        """The document at `start`; answers where it ends, -1 when it is unfinished or the stream has failed."""
        if data[start] != ord("{"):
            if data.startswith(b"null", start):
                return start + 4 if self._take(data[start : start + 4], out) else -1
            if not b"null".startswith(data[start:]):
                self.failed = True
                return -1
        if self._advance(data, start):
            end = self._position
            self._forget()
            return end if self._take(data[start:end], out) else -1
        self._buffer += data[start:]
        self._position = self._position - start if self._depth else 0
        self.failed = len(self._buffer) > self.max_document or not self._may_go_on()
        return -1

    def _take(self, document: bytes, out: list[T]) -> bool:
        if len(document) <= self.max_document:
            try:
                out.append(self._decode(document))
                return True
            except MalformedError:
                pass
        self.failed = True
        return False

    def _may_go_on(self) -> bool:
        """Whether the unfinished document can be the beginning of a good one."""
        if len(self._buffer) > _LOOKED_THROUGH:
            return True
        try:
            msgspec.json.decode(self._buffer.rstrip(_NUMBER_CHARS), type=dict[str, msgspec.Raw] | None)
        except (msgspec.ValidationError, RecursionError):
            return False
        except msgspec.DecodeError as error:
            return _TRUNCATED in str(error)
        except UnicodeDecodeError:
            return True
        return True

    def _forget(self) -> None:
        self._buffer = bytearray()
        self._position = 0
        self._depth = 0
        self._in_text = False

    def _advance(self, buffer: bytes | bytearray, position: int) -> bool:
        """Scan on from `position`. True when the document ends, at `_position`."""
        size = len(buffer)
        if not self._depth and buffer[position] == ord("n"):  # a cut-off `null`, whose scan begins at its start
            if size < position + 4:
                return False
            self._position = position + 4
            return True
        while position < size:
            if self._in_text:
                position = _TO_QUOTE.match(buffer, position).end()  # type: ignore[union-attr]
                if position == size or buffer[position] == _BACKSLASH:
                    break
                position += 1
                self._in_text = False
                continue
            position = _TO_BRACKET.match(buffer, position).end()  # type: ignore[union-attr]
            if position == size:
                break
            char = buffer[position]
            position += 1
            if char == _QUOTE:
                self._in_text = True
            elif char in _OPENING:
                self._depth += 1
            elif self._depth > 1:
                self._depth -= 1
            else:
                self._position = position
                return True
        self._position = position
        return False
