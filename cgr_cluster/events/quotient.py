"""Division of integers of any size to the nearest double.

Python's `/` is exact to the last bit; the one of compiled code (scripts/compile) turns both into doubles first, which loses digits
beyond 2^53. So compiled modules divide amounts with this, from a module that is not compiled.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import truediv

quotient: Callable[[int, int], float] = truediv
