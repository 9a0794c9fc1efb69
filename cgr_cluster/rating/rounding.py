"""The chapter's rounding function, in doubles (spec 10 §1.4), and the way from doubles to integer money.

A price is computed in doubles in the order of operations of the chapter, rounded to `general.rounding_decimals`
decimals, and only then becomes an integer of 10^-9: nothing is lost, since at most 9 decimals can be configured.
"""

from __future__ import annotations

from math import ceil, floor, modf

from cgr_cluster.events.quotient import quotient

NANO = 1_000_000_000
UP = "*up"
MIDDLE = "*middle"
DOWN = "*down"
_DOUBLE_DECIMALS = 15  # beyond them a double has no decimals to round, nor an amount so many digits before them


def round_amount(x: float, decimals: int, method: str) -> float:
    """`x` rounded `*up`, `*middle` or `*down` to `decimals` decimals; any other method leaves it as it is.

    `*up` ignores what lies below 10^-7 of the last decimal: that is noise of the doubles. The fraction keeps the sign
    of x, so that a negative x always goes to the lower neighbour (with `*up` and `*middle` too), as in the reference.
    """
    if not -_DOUBLE_DECIMALS <= decimals <= _DOUBLE_DECIMALS:
        return x
    power = 10.0**decimals
    scaled = x * power
    fraction = modf(scaled)[0]
    if method == UP:
        return (ceil(scaled) if fraction >= 10.0 ** -max(7, decimals) else floor(scaled)) / power
    if method == MIDDLE:
        return (ceil(scaled) if fraction >= 0.5 else floor(scaled)) / power
    if method == DOWN:
        return floor(scaled) / power
    return x


def rounded_steps(x: float, power: float) -> int:
    """`round(x, decimals, *middle)` counted in its last decimal; `power` is 10.0 ** decimals. The hot form of it."""
    scaled = x * power
    steps = floor(scaled)
    return steps + 1 if scaled > 0.0 and scaled - steps >= 0.5 else steps


def nano_of(x: float) -> int:
    """A double in 10^-9, to the nearest."""
    return round(x * NANO)


def amount_of(nano: int) -> float:
    """The double nearest to an amount in 10^-9: for amounts of up to 9 decimals the one that their text stands for."""
    return quotient(nano, NANO)


def round_nano(amount_nano: int, decimals: int, method: str) -> int:
    """`round_amount` on integer money. Decimals 0 round to whole money (30 §4.4, 20 §3.8)."""
    return nano_of(round_amount(quotient(amount_nano, NANO), decimals, method))


def rounding_difference(amount_nano: int, decimals: int, method: str, step_nano: int) -> int:
    """What rounding an amount adds to it (20 §3.8, 30 §4.4). `step_nano` is the system rounding of prices and balances: an
    amount that has been rounded to it keeps its place when the decimals are finer, since what doubles then find between
    two steps (`*down` of 0.00811 to 6 decimals is 0.008109) is noise that no balance can pay."""
    difference = round_nano(amount_nano, decimals, method) - amount_nano
    return 0 if difference % step_nano and amount_nano % step_nano == 0 else difference
