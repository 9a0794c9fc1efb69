"""Days of the calendar for any year: times of the API may lie before year 1 and beyond 9999, where `datetime` ends."""

from __future__ import annotations

from functools import lru_cache

_ERA_DAYS = 146_097  # of 400 years
_EPOCH_DAYS = 719_468  # from 0000-03-01, with which a year begins here, to 1970-01-01


@lru_cache(maxsize=512)
def calendar(day: int) -> tuple[int, int, int, int]:
    """(year, month, day of month, weekday with 0 = Sunday) of a day counted from 1970-01-01.

    >>> calendar(0)
    (1970, 1, 1, 4)
    """
    era, of_era = divmod(day + _EPOCH_DAYS, _ERA_DAYS)
    year = (of_era - of_era // 1460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year + year // 4 - year // 100)  # from 1 March on
    month = (5 * of_year + 2) // 153  # 0: March
    month_day = of_year - (153 * month + 2) // 5 + 1
    return era * 400 + year + (month >= 10), month + 3 if month < 10 else month - 9, month_day, (day + 4) % 7
