"""Before a run: the demo plan is loaded if it is not there, and every account has what its bundle gives.

The plan's bundles are `*asap` actions, which run a moment after the load was answered. An account that has its money
already is marked first (a balance that no bundle gives), so that the mark's end shows that its bundle has come.
"""

from __future__ import annotations

import asyncio
import time
from decimal import Decimal
from typing import Any

import msgspec

from cgr_cluster.cli.client import CallFailedError
from cgr_cluster.cli.stress.accounts import NANO, Account, AccountView, Bundle, bundle_of, read_account
from cgr_cluster.cli.stress.connections import Connections
from cgr_cluster.cli.stress.pricing import UNITS_PER_CURRENCY, demo_prefixes, price
from conf.demo.tariff import ACCOUNTS, TENANT

BUNDLES_COME_S = 60.0
PROBE_NUMBER, PROBE_ANSWER_S, PROBE_S = "493012345678", 1_772_438_370, 61  # 2026-03-02T07:59:30Z
AT_ONCE = 64


class SetupError(Exception):
    """The run cannot begin; the text says what is missing."""


async def read_accounts(connections: Connections, accounts: list[Account]) -> list[AccountView | None]:
    """Their state by APIerSv2.GetAccount; None: there is no such account. Raises CallFailedError."""

    async def one(account: Account) -> AccountView | None:
        params = {"Tenant": TENANT, "Account": account.id}
        result, error = await connections.read("APIerSv2.GetAccount", params)
        if error == "NOT_FOUND":
            return None
        if error is not None:
            raise CallFailedError(f"GetAccount {account.id}: {error}")
        return read_account(result)

    found: list[AccountView | None] = []
    for begin in range(0, len(accounts), AT_ONCE):
        found += await asyncio.gather(*(one(account) for account in accounts[begin : begin + AT_ONCE]))
    return found


async def _tariff_is_loaded(connections: Connections) -> bool:
    """Whether the server prices a call as the demo tariff does."""
    rate = demo_prefixes().rate(PROBE_NUMBER)
    assert rate is not None
    params = {
        "Tenant": TENANT, "Category": "call", "Subject": "demo0000", "Destination": PROBE_NUMBER,
        "AnswerTime": "2026-03-02T07:59:30Z", "Usage": f"{PROBE_S}s",
    }  # fmt: skip
    result, error = await connections.read("APIerSv1.GetCost", params)
    if error is not None:
        return False
    cost = msgspec.json.decode(result, type=dict[str, Any])["Cost"]
    return Decimal(str(cost)) == Decimal(price(rate, PROBE_ANSWER_S, PROBE_S).money) / UNITS_PER_CURRENCY


async def _call(connections: Connections, method: str, params: dict[str, Any]) -> None:
    """A call that may be repeated. Raises SetupError."""
    _, error = await connections.read(method, params)
    if error is not None:
        raise SetupError(f"{method} answers {error} ({params})")


def _set(account: Account, kind: str, name: str, value: int | float, more: dict[str, Any]) -> dict[str, Any]:
    return {
        "Tenant": TENANT, "Account": account.id, "BalanceType": kind, "Balance": {"ID": name, "Value": value, **more},
    }  # fmt: skip


async def _give(connections: Connections, account: Account, bundle: Bundle, view: AccountView | None) -> None:
    """What it has of its bundle is set to the full value; an account that is not there is made."""
    if view is None:
        params = {
            "Tenant": TENANT, "Account": account.id, "ExtraOptions": {"AllowNegative": account.mode == "*postpaid"},
        }  # fmt: skip
        await _call(connections, "APIerSv2.SetAccount", params)
    if view is None or view.money.get("MONEY") != bundle.money_nano:
        params = _set(account, "*monetary", "MONEY", bundle.money_nano / NANO, {"Weight": 10})
        await _call(connections, "APIerSv1.SetBalance", params)
    if bundle.voice_ns and (view is None or view.voice.get("MINUTES") != bundle.voice_ns):
        more = {"Weight": 20, "DestinationIDs": bundle.minutes_to}
        await _call(connections, "APIerSv1.SetBalance", _set(account, "*voice", "MINUTES", bundle.voice_ns, more))


async def prepare(connections: Connections, accounts: list[Account]) -> bool:
    """Answers whether the plan had to be loaded. Raises SetupError, CallFailedError."""
    bundles = [bundle_of(number) for number in range(len(accounts))]
    of_plan = accounts[: len(ACCOUNTS)]
    views = await read_accounts(connections, accounts)
    load = not await _tariff_is_loaded(connections) or any(
        view is None or "MONEY" not in view.money for view in views[: len(of_plan)]
    )
    if load:
        for account, bundle, view in zip(of_plan, bundles, views, strict=False):
            if view is not None and "MONEY" in view.money:
                mark = _set(account, "*monetary", "MONEY", bundle.money_nano / NANO + 1, {})
                await _call(connections, "APIerSv1.SetBalance", mark)
        params = {"FolderPath": "folder:demo"}
        _, error = await connections.ask("APIerSv1.LoadTariffPlanFromFolder", params)
        if error is not None:
            raise SetupError(f"the demo plan cannot be loaded: {error}")
        await _wait_for_bundles(connections, of_plan, bundles)
        views = await read_accounts(connections, accounts)
    for begin in range(0, len(accounts), AT_ONCE):
        part = slice(begin, begin + AT_ONCE)
        await asyncio.gather(
            *(
                _give(connections, account, bundle, view)
                for account, bundle, view in zip(accounts[part], bundles[part], views[part], strict=True)
            )
        )
    if not await _tariff_is_loaded(connections):
        raise SetupError("the server does not price calls as the demo tariff does; has another plan replaced it?")
    return load


async def _wait_for_bundles(connections: Connections, accounts: list[Account], bundles: list[Bundle]) -> None:
    end = time.monotonic() + BUNDLES_COME_S
    waiting = list(zip(accounts, bundles, strict=False))
    while waiting:
        views = await read_accounts(connections, [account for account, _ in waiting])
        waiting = [
            (account, bundle)
            for (account, bundle), view in zip(waiting, views, strict=True)
            if view is None
            or view.money.get("MONEY") != bundle.money_nano
            or (bundle.voice_ns and view.voice.get("MINUTES") != bundle.voice_ns)
        ]
        if waiting:
            if time.monotonic() > end:
                raise SetupError(
                    f"{len(waiting)} accounts, {waiting[0][0].id} first, have not got their bundles within "
                    f"{BUNDLES_COME_S:.0f} s of the load: do *asap actions run?"
                )
            await asyncio.sleep(0.05)
