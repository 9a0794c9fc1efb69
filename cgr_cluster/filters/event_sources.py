"""Path sources that are computed from the event or the path itself: `~*asm` and `~*libphonenumber` (spec chapter 50,
sections 2.4 and 2.5)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cgr_cluster.events.phone_numbers import phone_field
from cgr_cluster.events.values import parse_int
from cgr_cluster.filters.view import View
from cgr_cluster.filters.walk import MISSING, steps_of, walk
from cgr_cluster.rpc.errors import ApiError

_SUMMARY: dict[str, Any] = {"Tenant": "", "AccountID": "", "AllowNegative": False, "Disabled": False}
_BALANCES = "BalanceSummaries"
_BALANCE: dict[str, Any] = {
    "UUID": "", "ID": "", "Type": "", "Initial": 0, "Value": 0, "Weight": 0, "Disabled": False, "Factors": None,
}  # fmt: skip


def _unsupported(name: str) -> ApiError:
    return ApiError(f"unsupported field prefix: <{name}>")


def account_summary(view: View, parts: tuple[str, ...]) -> Any:
    """The event taken as an account summary; what it lacks is empty. Raises `unsupported field prefix: <X>`."""
    name, *rest = steps_of(parts)
    event = view.event
    if name in _SUMMARY:
        return walk(event.get(name, _SUMMARY[name]), rest)
    if name != _BALANCES:
        raise _unsupported(parts[0])
    balances = event.get(_BALANCES)
    if not rest:
        return [] if balances is None else balances
    balance = _balance(balances if isinstance(balances, list) else [], rest[0])
    if balance is None:
        return MISSING
    if len(rest) == 1:
        return balance
    if rest[1] not in _BALANCE:
        raise _unsupported(rest[1])
    return walk(balance.get(rest[1], _BALANCE[rest[1]]), rest[2:])


def _balance(balances: list[Any], step: str) -> dict[str, Any] | None:
    """By index (`[i`) or by balance id."""
    if step.startswith("["):
        place = parse_int(step[1:], "Atoi")
        found = balances[place] if 0 <= place < len(balances) else None
    else:
        found = next((one for one in balances if isinstance(one, dict) and one.get("ID") == step), None)
    return found if isinstance(found, dict) else None


def phone_number(view: View, parts: tuple[str, ...]) -> Any:
    if len(parts) < 2:
        return MISSING
    found = phone_field(parts[0], parts[1])
    return MISSING if found is None else found


EVENT_SOURCES: dict[str, Callable[[View, tuple[str, ...]], Any]] = {
    "*asm": account_summary,
    "*libphonenumber": phone_number,
}
