"""The grain of balance values, and rounding to it (spec 20 §1, design 10).

A balance's `value` is one integer field; its grain is by balance type: money (`*monetary`) counts 10^-9 of the currency
unit ("nano"), every other type 10^-5 of its unit (nanosecond, byte, message: "units"). Amounts that are not bound to a
type yet (an action's Units, a trigger's threshold) are kept in nano and converted where they meet a balance.
"""

from __future__ import annotations

from fractions import Fraction

from cgr_cluster.events.amounts import GRAINS, NANO

MONETARY = "*monetary"
VOICE = "*voice"
DATA = "*data"
SMS = "*sms"
MMS = "*mms"
GENERIC = "*generic"

NANO_PER_GRAIN = NANO // GRAINS
SYSTEM_ROUNDING = 10_000  # nano: adding and subtracting money rounds to 5 decimals


def scale_of(balance_type: str) -> int:
    """Grains in one unit of a balance of this type."""
    return NANO if balance_type == MONETARY else GRAINS


def half_up(amount: int, step: int) -> int:
    """`amount` rounded to a multiple of `step`; half away from zero, so that -0.000005 and 0.000005 mirror each other."""
    if amount < 0:
        return -half_up(-amount, step)
    return (amount + step // 2) // step * step


def round_system(balance_type: str, value: int) -> int:
    """The system rounding of a balance after an addition (5 decimals). Unit balances are at that grain already."""
    return half_up(value, SYSTEM_ROUNDING) if balance_type == MONETARY else value


def to_grain(balance_type: str, nano: int) -> int:
    """Nano in the grain of a balance type, half up."""
    return nano if balance_type == MONETARY else half_up(nano, NANO_PER_GRAIN) // NANO_PER_GRAIN


def to_nano(balance_type: str, value: int) -> int:
    return value if balance_type == MONETARY else value * NANO_PER_GRAIN


def number_of(balance_type: str, value: int) -> float:
    """A balance value as the API's JSON number (in whole currency units, ns, bytes, messages)."""
    return value / scale_of(balance_type)


def exact_factor(factor: float) -> Fraction:
    """The factor as it is written, not as its double is."""
    return Fraction(repr(factor))
