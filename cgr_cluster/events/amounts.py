"""A number of the API as an exact amount (design 10): money in 10^-9 of its unit ("nano"), units of balances in 10^-5."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Context, Decimal

from cgr_cluster.rpc.errors import ApiError

NANO = 1_000_000_000  # grains of money in one currency unit
GRAINS = 100_000  # grains of a unit balance in one unit
MAX_UNITS = 10**15  # a parameter beyond it is refused before any effect (design 10)

_EXACT = Context(prec=60)
_EXACT_DOUBLES = 1 << 53


def nano_of(number: float | int | Decimal) -> int:
    """In nano, half up. Raises ApiError `amount out of range: N` beyond 10^15 units."""
    return _exactly(number, NANO)


def grains_of(number: float | int | Decimal) -> int:
    """In 10^-5, half up. Raises ApiError `amount out of range: N` beyond 10^15 units."""
    return _exactly(number, GRAINS)


def _exactly(number: float | int | Decimal, scale: int) -> int:
    if isinstance(number, float) and -MAX_UNITS <= number <= MAX_UNITS:
        amount = round(number * scale)
        if amount / scale == number and -_EXACT_DOUBLES < amount < _EXACT_DOUBLES:
            return amount  # it has no more decimals than the grain
    value = Decimal(repr(number)) if isinstance(number, float) else Decimal(number)
    if not value.is_finite() or abs(value) > MAX_UNITS:
        raise ApiError(f"amount out of range: {number}")
    return int((value * scale).quantize(Decimal(1), ROUND_HALF_UP, _EXACT))
