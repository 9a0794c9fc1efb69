"""The end of a run: three figures of every account, taken from three places, that must be equal to the last digit.

1. the tool's price list, over the calls that were charged;
2. Cost (and free seconds) in the CDRs of the run, as CDRsV1.GetCDRs returns them;
3. what the account had before, less what it has now.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import msgspec

from cgr_cluster.cli.client import CallFailedError
from cgr_cluster.cli.stress.accounts import NANO, NANO_PER_UNIT, SECOND_NS, Account, exact
from cgr_cluster.cli.stress.connections import Connections

PAGE = 1000
SHOWN = 10
ENOUGH = 0.9  # of the calls begun must have been charged


class Figures(msgspec.Struct):
    """One account: money in 10^-9, free talk in ns, by the tool's prices, its CDRs, its balances; calls and CDRs."""

    account: str
    priced: int = 0
    in_cdrs: int = 0
    taken: int = 0
    priced_free: int = 0
    in_cdrs_free: int = 0
    taken_free: int = 0
    calls: int = 0
    cdrs: int = 0
    is_debited: bool = True

    @property
    def agree(self) -> bool:
        taken = self.priced if self.is_debited else 0
        return (
            self.priced == self.in_cdrs
            and self.taken == taken
            and self.priced_free == self.in_cdrs_free == self.taken_free
            and self.calls == self.cdrs
        )


class _Increment(msgspec.Struct):
    AccountingID: str
    CompressFactor: int


class _Charge(msgspec.Struct):
    Increments: list[_Increment] | None
    CompressFactor: int


class _Payment(msgspec.Struct):
    ExtraChargeID: str
    Units: Decimal


class _Details(msgspec.Struct):
    Charges: list[_Charge] | None = None
    Accounting: dict[str, _Payment] | None = None


class Cdr(msgspec.Struct):
    OrderID: int
    OriginID: str
    Account: str
    Cost: Decimal
    CostDetails: msgspec.Raw = msgspec.Raw(b"null")


_decode_page = msgspec.json.Decoder(list[Cdr]).decode
_decode_details = msgspec.json.Decoder(_Details | None).decode


def free_ns(details: bytes) -> int:
    """Free talk that a record's cost details say was used: increments paid in units alone."""
    if b'"*none"' not in details:
        return 0
    read = _decode_details(details)
    if read is None:
        return 0
    payments = read.Accounting or {}
    total = Decimal(0)
    for charge in read.Charges or ():
        for increment in charge.Increments or ():
            payment = payments.get(increment.AccountingID)
            if payment is not None and payment.ExtraChargeID == "*none":
                total += payment.Units * increment.CompressFactor * charge.CompressFactor
    return exact(total, 1)


async def cdrs_of(connections: Connections, run: str, take: object) -> int:
    """Hand every CDR of the run to `take`, page by page in storage order; how many there were. Raises CallFailedError."""
    assert callable(take)
    count = 0
    last = 0
    at_last: set[str] = set()  # two shards may give one OrderID: a page begins with the one that ended the page before
    while True:
        params = {"OriginHosts": [run], "OrderBy": "OrderID", "Limit": PAGE, "ExtraArgs": {"OrderIDStart": last}}
        result, error = await connections.read("CDRsV1.GetCDRs", params)
        if error == "SERVER_ERROR: NOT_FOUND":
            return count
        if error is not None:
            raise CallFailedError(f"CDRsV1.GetCDRs: {error}")
        page = _decode_page(result)
        new = [cdr for cdr in page if cdr.OrderID != last or cdr.OriginID not in at_last]
        for cdr in new:
            take(cdr)
        count += len(new)
        if len(page) < PAGE or not new:
            return count
        if page[-1].OrderID != last:
            last, at_last = page[-1].OrderID, set()
        at_last.update(cdr.OriginID for cdr in page if cdr.OrderID == last)


class Sheet:
    """The figures of all accounts, and what else is wrong with a run."""

    def __init__(self, accounts: list[Account]) -> None:
        self.figures = {
            account.id: Figures(
                account.id, account.charged_money * NANO_PER_UNIT, 0, account.before.money_nano - account.after.money_nano,
                account.charged_free_s * SECOND_NS, 0, account.before.voice_ns - account.after.voice_ns, account.calls, 0,
                account.is_debited,
            )
            for account in accounts
        }  # fmt: skip
        self.wrong: list[str] = []
        self.wrong_count = 0
        self._seen: set[int] = set()

    def say(self, text: str) -> None:
        self.wrong_count += 1
        if len(self.wrong) < SHOWN:
            self.wrong.append(text)

    def add(self, cdr: Cdr, expected: int | None) -> None:
        """A record, and what its call was priced at (10^-5), None: no call that was charged."""
        figures = self.figures.get(cdr.Account)
        number = int(cdr.OriginID.rpartition("-")[2])
        if number in self._seen:
            self.say(f"call {cdr.OriginID} has two CDRs")
        self._seen.add(number)
        if figures is None:
            self.say(f"CDR {cdr.OriginID} is of account {cdr.Account}, which the run did not use")
            return
        cost = exact(cdr.Cost, NANO)
        figures.cdrs += 1
        figures.in_cdrs += cost
        figures.in_cdrs_free += free_ns(bytes(cdr.CostDetails))
        if expected is None:
            self.say(
                f"call {cdr.OriginID} of {cdr.Account} has a CDR (Cost {cdr.Cost}), but was not charged as far as the tool knows"
            )
        elif cost != expected * NANO_PER_UNIT:
            self.say(
                f"call {cdr.OriginID} of {cdr.Account} costs {cdr.Cost}, its price is {money(expected * NANO_PER_UNIT)}"
            )

    def miss(self, run: str, prices: Sequence[int], no_cdr: int) -> None:
        """After the last record: which calls that were charged (`prices`, by number) have none?"""
        for number, price in enumerate(prices):
            if price != no_cdr and number not in self._seen:
                self.say(f"call {run}-{number} has no CDR; its price is {money(price * NANO_PER_UNIT)}")

    @property
    def differing(self) -> list[Figures]:
        return [figures for figures in self.figures.values() if not figures.agree]


def money(nano: int) -> str:
    """Exact decimal text: 20400000 → 0.0204."""
    sign, nano = ("-", -nano) if nano < 0 else ("", nano)
    text = f"{nano // NANO}.{nano % NANO:09d}".rstrip("0")
    return sign + (text + "0" if text.endswith(".") else text)
