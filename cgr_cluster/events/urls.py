"""The converters `*urldecode` and `*urlencode` (spec chapter 41, section 2)."""

from __future__ import annotations

import re
from urllib.parse import quote_plus, unquote_plus, unquote_to_bytes, urlsplit

from cgr_cluster.events.values import quote_text
from cgr_cluster.rpc.errors import ApiError

_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2}).{0,2}", re.DOTALL)
_HOST = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*:)?//[^/?#]+")
_SAFE = "-_.~"


def _escape_error(text: str) -> str | None:
    bad = _BAD_ESCAPE.search(text)
    return None if bad is None else f"invalid URL escape {quote_text(bad.group())}"


def decode(text: str) -> str:
    """Query unescaping. Raises ApiError `invalid URL escape "%zz"`."""
    error = _escape_error(text)
    if error is not None:
        raise ApiError(error)
    return unquote_plus(text)


def encode(text: str) -> str:
    """A text with a host stays a URL and has its query encoded; of any other the part before `?` or `#` is encoded.
    Escapes that are there already are decoded first. Raises ApiError `parse "x": invalid URL escape "%zz"`."""
    if _HOST.match(text):
        return _with_query(text)
    part = re.split(r"[?#]", text, maxsplit=1)[0]
    error = _escape_error(part)
    if error is not None:
        raise ApiError(f"parse {quote_text(text)}: {error}")
    return quote_plus(unquote_to_bytes(part), safe=_SAFE)


def _with_query(url: str) -> str:
    try:
        split = urlsplit(url)
    except ValueError as error:
        raise ApiError(f"parse {quote_text(url)}: {error}") from None
    pairs: list[tuple[str, str]] = []
    for piece in split.query.split("&"):
        if not piece or _escape_error(piece) is not None or ";" in piece:
            continue
        name, _, value = piece.partition("=")
        pairs.append((unquote_plus(name), unquote_plus(value)))
    pairs.sort(key=lambda pair: pair[0])
    query = "&".join(f"{quote_plus(name, safe=_SAFE)}={quote_plus(value, safe=_SAFE)}" for name, value in pairs)
    return split._replace(query=query).geturl()
