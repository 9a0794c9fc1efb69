"""An account as filters of actions see it (spec 20 §5.1): `~*req.ID`, `~*req.BalanceMap.*monetary.MAIN.Value`,
`~*req.BalanceMap.*monetary[0].Value`, `~*req.BalanceMap.*monetary.GetTotalValue`, `~*req.Disabled`."""

from __future__ import annotations

from typing import Any

from cgr_cluster.accounts.answers import balance_json
from cgr_cluster.accounts.paths import TOTAL, balance_at, total_value
from cgr_cluster.accounts.types import Account, Balance
from cgr_cluster.engine.domain import GenerationView
from cgr_cluster.events.instant import Instant
from cgr_cluster.filters.lists import passes
from cgr_cluster.filters.live import Live
from cgr_cluster.filters.view import View


class _Balances(dict[str, Any]):
    """The balances of one type: by ID, by index, or their total."""

    def __init__(self, kind: str, balances: list[Balance], now: Instant, generation: GenerationView) -> None:
        super().__init__()
        self._kind, self._balances, self._now, self._generation = kind, balances, now, generation

    def get(self, key: str, default: Any = None) -> Any:
        if key == "":
            return self
        if key == TOTAL:
            return total_value(self._kind, self._balances, self._now, self._generation)
        if not self._balances:
            return default
        balance = balance_at(self._balances, key)  # raises for an unknown ID: it cannot be evaluated (20 §5.1)
        return default if balance is None else balance_json(self._kind, balance)


def account_passes(
    generation: GenerationView, now_ns: int, account: Account, filter_ids: tuple[str, ...], live: Live
) -> bool:
    """Whether the account passes all filters. Raises ApiError when one cannot be evaluated, and `Need`."""
    now = Instant.of(now_ns)
    event = {
        "ID": account.id,
        "BalanceMap": {
            kind: _Balances(kind, balances, now, generation) for kind, balances in (account.balances or {}).items()
        },
        "AllowNegative": account.allow_negative,
        "Disabled": account.disabled,
    }
    return passes(View(generation, now_ns, account.tenant, event, {}, live=live), filter_ids)
