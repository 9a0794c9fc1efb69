"""Fixed widths of fields (spec chapter 41, section 4): bytes, not characters."""

from __future__ import annotations

from collections.abc import Callable

from cgr_cluster.rpc.errors import ApiError

MAX_WIDTH = 1 << 20  # bytes; a field filled up to more would take the memory of its process

_STRIP: dict[str, Callable[[bytes, int], bytes]] = {
    "*right": lambda data, width: data[:width],
    "*xright": lambda data, width: data[: width - 1] + b"x",
    "*left": lambda data, width: data[len(data) - width :],
    "*xleft": lambda data, width: b"x" + data[len(data) - width + 1 :],
}
_PAD: dict[str, Callable[[bytes, int], bytes]] = {
    "*right": lambda data, width: data.ljust(width),
    "*left": lambda data, width: data.rjust(width),
    "*zeroleft": lambda data, width: data.rjust(width, b"0"),
}


def fitted(text: str, width: int, strip: str, padding: str, mandatory: bool, tag: str) -> str:
    """`text` cut or filled up to `width` bytes (0: free); unknown words of `strip` and `padding` leave it as it is.

    Raises `Empty source value for fieldID: <TAG>`, `Source X is bigger than the width N, no strip defied, fieldID: <TAG>`
    and `Source X is smaller than the width N, no padding defined, fieldID: <TAG>`."""
    if not text and mandatory:
        raise ApiError(f"Empty source value for fieldID: <{tag}>")
    if width <= 0:
        return text
    if width > MAX_WIDTH:
        raise ApiError(f"width {width} is more than {MAX_WIDTH}, fieldID: <{tag}>")
    data = text.encode()
    if len(data) == width:
        return text
    bigger = len(data) > width
    word = strip if bigger else padding
    if not word:
        what = (
            "bigger than the width {}, no strip defied" if bigger else "smaller than the width {}, no padding defined"
        )
        raise ApiError(f"Source {text} is {what.format(width)}, fieldID: <{tag}>")
    change = (_STRIP if bigger else _PAD).get(word)
    return text if change is None else change(data, width).decode("utf-8", "replace")
