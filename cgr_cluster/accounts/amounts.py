"""The grain of balance values, and rounding to it (spec 20 §1, design 10).

A balance's `value` is one integer field; its grain is by balance type: money (`*monetary`) counts 10^-9 of the currency
unit ("nano"), every other type 10^-5 of its unit (nanosecond, byte, message: "units"). Amounts that are not bound to a
type yet (an action's Units, a trigger's threshold) are kept in nano and converted where they meet a balance.
"""

from __future__ import annotations

from fractions import Fraction

from cgr_cluster.engine.domain import GenerationView
from cgr_cluster.events.amounts import GRAINS, NANO
from cgr_cluster.events.quotient import quotient

MONETARY = "*monetary"
VOICE = "*voice"
DATA = "*data"
SMS = "*sms"
MMS = "*mms"
GENERIC = "*generic"

NANO_PER_GRAIN = NANO // GRAINS


def scale_of(balance_type: str) -> int:
    """Grains in one unit of a balance of this type."""
    return NANO if balance_type == MONETARY else GRAINS


def half_up(amount: int, step: int) -> int:
    """`amount` rounded to a multiple of `step`; half away from zero, so that -0.000005 and 0.000005 mirror each other."""
    if amount < 0:
        return -half_up(-amount, step)
    return (amount + step // 2) // step * step


def system_rounding(generation: GenerationView) -> int:
    """What adding to and subtracting from a balance rounds to (`general.rounding_decimals`, mostly 5): 10^-9 of its unit."""
    return generation.derived(_system_rounding, "config")


def _system_rounding(generation: GenerationView) -> int:
    decimals = int(generation.config("general").get("rounding_decimals", 5))
    return int(10 ** (9 - decimals))


def grains_rounded(balance_type: str, rounding: int) -> int:
    """A system rounding in grains of a balance type: what is finer than the grain rounds to the grain."""
    return rounding if balance_type == MONETARY else max(1, rounding // NANO_PER_GRAIN)


def round_system(balance_type: str, value: int, rounding: int) -> int:
    """A balance's value after an addition, rounded half up."""
    step = rounding if balance_type == MONETARY else grains_rounded(balance_type, rounding)
    return half_up(value, step) if value % step else value


def to_grain(balance_type: str, nano: int) -> int:
    """Nano in the grain of a balance type, half up."""
    return nano if balance_type == MONETARY else half_up(nano, NANO_PER_GRAIN) // NANO_PER_GRAIN


def to_nano(balance_type: str, value: int) -> int:
    return value if balance_type == MONETARY else value * NANO_PER_GRAIN


def number_of(balance_type: str, value: int) -> float:
    """A balance value as the API's JSON number (in whole currency units, ns, bytes, messages)."""
    return quotient(value, scale_of(balance_type))


def exact_factor(factor: float) -> Fraction:
    """The factor as it is written, not as its double is."""
    return Fraction(repr(factor))
