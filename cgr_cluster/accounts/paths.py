"""Paths below an account: `BalanceMap.*monetary[0].Value`, `BalanceMap.*monetary.GetTotalValue`, `Disabled` (spec chapter
50, section 2.3; the filters of actions see the same names, 20 §5.1)."""

from __future__ import annotations

from typing import Any

from cgr_cluster.accounts.amounts import number_of
from cgr_cluster.accounts.answers import account_json, balance_json
from cgr_cluster.accounts.matching import active
from cgr_cluster.accounts.types import Account, Balance
from cgr_cluster.engine.domain import GenerationView, Part, step
from cgr_cluster.engine.owner import account_owner
from cgr_cluster.events.instant import Instant
from cgr_cluster.events.values import parse_int
from cgr_cluster.filters.live import live_source
from cgr_cluster.filters.view import View
from cgr_cluster.filters.walk import MISSING, steps_of, walk
from cgr_cluster.rpc.errors import ApiError

TOTAL = "GetTotalValue"


@step("accounts.look_at", reads=True)
def look_at(part: Part, tenant: str, account: str) -> Account | None:
    """The whole account, for filters that read it from elsewhere."""
    return part.read(Account, f"{tenant}:{account}")


def account_value(account: Account, parts: tuple[str, ...], view: View) -> Any:
    """What `parts` name in the account, or MISSING. Raises `unsupported field prefix: <X>` for a field that accounts or
    balances do not have."""
    steps = steps_of(parts)
    if not steps:
        return account_json(account)
    if steps[0] == "BalanceMap" and len(steps) > 1:
        return _in_balances(account, steps[1:], view)
    shown = account_json(account)
    return _field(shown, steps)


def _in_balances(account: Account, steps: list[str], view: View) -> Any:
    kind, *rest = steps
    balances = (account.balances or {}).get(kind)
    if not balances:
        return MISSING
    if not rest:
        return [balance_json(kind, balance) for balance in balances]
    if rest == [TOTAL]:
        return total_value(kind, balances, Instant.of(view.now_ns), view.generation)
    balance = balance_at(balances, rest[0].removeprefix("["))
    if balance is None:
        return MISSING
    shown = balance_json(kind, balance)
    return shown if len(rest) == 1 else _field(shown, rest[1:])


def _field(shown: dict[str, Any], steps: list[str]) -> Any:
    if steps[0] not in shown:
        raise ApiError(f"unsupported field prefix: <{steps[0]}>")
    return walk(shown, steps)


def balance_at(balances: list[Balance], name: str) -> Balance | None:
    """The balance of this ID, else the one at this place of the list. Raises ApiError when the name is neither."""
    for balance in balances:
        if balance.id == name:
            return balance
    place = parse_int(name, "Atoi")
    return balances[place] if 0 <= place < len(balances) else None


def total_value(kind: str, balances: list[Balance], now: Instant, generation: GenerationView) -> float:
    """What is active and not expired, together, rounded to the general decimals."""
    usable = sum(b.value for b in balances if not b.expired(now.ns) and active(b, now))
    return round(number_of(kind, usable), int(generation.config("general").get("rounding_decimals", 5)))


live_source("*accounts", account_owner, look_at, account_value)
