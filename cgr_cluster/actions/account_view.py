"""An account as filters of actions see it (spec 20 §5.1): `~*req.ID`, `~*req.BalanceMap.*monetary.MAIN.Value`,
`~*req.BalanceMap.*monetary[0].Value`, `~*req.BalanceMap.*monetary.GetTotalValue`, `~*req.Disabled`."""

from __future__ import annotations

from typing import Any

from cgr_cluster.accounts.amounts import number_of
from cgr_cluster.accounts.matching import active
from cgr_cluster.accounts.types import Account, Balance
from cgr_cluster.engine.domain import GenerationView
from cgr_cluster.events.instant import Instant
from cgr_cluster.events.times import format_instant
from cgr_cluster.filters.lists import passes
from cgr_cluster.filters.view import View
from cgr_cluster.rpc.errors import ApiError


class _Balances(dict[str, Any]):
    """The balances of one type: by ID, by index, or their total."""

    def __init__(self, kind: str, balances: list[Balance], now: Instant) -> None:
        super().__init__()
        self._kind, self._balances, self._now = kind, balances, now

    def get(self, key: str, default: Any = None) -> Any:
        if key == "":
            return self
        if key == "GetTotalValue":
            usable = (b.value for b in self._balances if not b.expired(self._now.ns) and active(b, self._now))
            return number_of(self._kind, sum(usable))
        if key.isdigit():
            place = int(key)
            return _fields(self._kind, self._balances[place]) if place < len(self._balances) else default
        if not self._balances:
            return default
        for balance in self._balances:
            if balance.id == key:
                return _fields(self._kind, balance)
        raise ApiError(f"NOT_FOUND:{key}")  # 20 §5.1: not "does not match", but "cannot be evaluated"


def _fields(kind: str, balance: Balance) -> dict[str, Any]:
    return {
        "Uuid": balance.uuid,
        "ID": balance.id,
        "Value": number_of(kind, balance.value),
        "ExpirationDate": format_instant(balance.expiration_date),
        "Weight": balance.weight,
        "DestinationIDs": balance.destination_ids,
        "RatingSubject": balance.rating_subject,
        "Categories": balance.categories,
        "SharedGroups": balance.shared_groups,
        "TimingIDs": balance.timing_ids,
        "Disabled": balance.disabled,
        "Factors": balance.factors or {},
        "Blocker": balance.blocker,
    }


def account_passes(generation: GenerationView, now_ns: int, account: Account, filter_ids: tuple[str, ...]) -> bool:
    """Whether the account passes all filters. Raises ApiError when one cannot be evaluated."""
    now = Instant.of(now_ns)
    event = {
        "ID": account.id,
        "BalanceMap": {kind: _Balances(kind, balances, now) for kind, balances in (account.balances or {}).items()},
        "AllowNegative": account.allow_negative,
        "Disabled": account.disabled,
    }
    return passes(View(generation, now_ns, account.tenant, event, {}), filter_ids)
