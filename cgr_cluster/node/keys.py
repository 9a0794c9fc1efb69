"""Reading the keys of STIR identities (spec 30.15) for `outside("read_key", path)`."""

from __future__ import annotations

import time
from http.client import HTTPException
from urllib.error import URLError
from urllib.request import urlopen

from cgr_cluster.rpc.errors import ApiError

TIMEOUT_S = 2.0
KEPT_S = 3 * 3600.0
LONGEST = 64 * 1024  # bytes of a key or certificate
_kept: dict[str, tuple[float, bytes]] = {}
_MOST_KEPT = 1024


def read_key(path: str) -> bytes:
    """The PEM text at a path or an http(s) address; addresses are kept for three hours. Raises ApiError with the reason."""
    if not path.startswith(("http://", "https://")):
        try:
            with open(path, "rb") as file:
                return file.read(LONGEST)
        except (OSError, ValueError) as error:  # the latter: a NUL in the path
            raise ApiError(f"open {path}: {(getattr(error, 'strerror', '') or 'unreadable').lower()}") from None
    now = time.monotonic()
    kept = _kept.get(path)
    if kept is not None and now - kept[0] < KEPT_S:
        return kept[1]
    try:
        with urlopen(path, timeout=TIMEOUT_S) as answer:
            pem: bytes = answer.read(LONGEST)
    except (URLError, OSError, ValueError, HTTPException) as error:
        raise ApiError(f'Get "{path}": {getattr(error, "reason", error)}') from None
    if len(_kept) >= _MOST_KEPT:
        _kept.clear()
    _kept[path] = (now, pem)
    return pem
