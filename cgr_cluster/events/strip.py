"""The converter `*strip:SIDE:WHAT[:N]`: what is cut off a text's ends (spec chapter 41, section 2)."""

from __future__ import annotations

from collections.abc import Callable

from cgr_cluster.events.values import parse_int
from cgr_cluster.rpc.errors import ApiError

PREFIX, SUFFIX = "*prefix", "*suffix"
_SIDES = {PREFIX: (True, False), SUFFIX: (False, True), "*both": (True, True)}


def compile_strip(params: str) -> Callable[[bytes], bytes]:
    """What `*strip:PARAMS` does to the bytes of a text. Raises the construction errors; an unknown side fails when used."""
    side, *rest = params.split(":") if params else [""]
    count = len(rest) + 2  # the name `*strip` counts too
    if not 3 <= count <= 5:
        raise _error("invalid number of parameters (should have 3, 4 or 5)")
    what, *rest = rest
    sides = _SIDES.get(side)
    if what == "":
        raise _error("substr parameter cannot be empty")
    if what in ("*nil", "*space"):
        if count == 5:
            raise _error("cannot have 5 params in *nil/*space case")
        return _characters(sides, b"\0" if what == "*nil" else b" ", rest)
    if what == "*char":
        if count < 4 or rest[0] == "":
            raise _error("usage of *char implies the need of 4 or 5 non-empty params")
        return _characters(sides, rest[0].encode(), rest[1:])
    if count > 3:
        raise _error("just the amount specified, cannot have more than 3 params")
    return _bytes(sides, _amount(what))


def _error(text: str) -> ApiError:
    return ApiError(f"strip converter: {text}")


def _amount(text: str) -> int:
    try:
        return parse_int(text, "Atoi")
    except ApiError as error:
        raise _error(f"invalid amount parameter ({error.text})") from None


def _ends(sides: tuple[bool, bool] | None) -> tuple[bool, bool]:
    if sides is None:
        raise _error("invalid side parameter")
    return sides


def _bytes(sides: tuple[bool, bool] | None, amount: int) -> Callable[[bytes], bytes]:
    """So many bytes of each end."""

    def apply(text: bytes) -> bytes:
        start, end = _ends(sides)
        if amount <= 0:
            return text
        if amount * (start + end) >= len(text):
            return b""
        return text[amount if start else 0 : len(text) - amount if end else None]

    return apply


def _characters(sides: tuple[bool, bool] | None, chars: bytes, amount: list[str]) -> Callable[[bytes], bytes]:
    """All characters of the set at the ends; with an amount the text so many times over, once, where it is."""
    times = _amount(amount[0]) if amount else None
    among = chars.decode()

    def apply(text: bytes) -> bytes:
        start, end = _ends(sides)
        if times is None:
            whole = text.decode()
            whole = whole.lstrip(among) if start else whole
            return (whole.rstrip(among) if end else whole).encode()
        if times <= 0 or len(chars) * times > len(text):
            return text
        wanted = chars * times
        if start:
            text = text.removeprefix(wanted)
        return text.removesuffix(wanted) if end else text

    return apply
