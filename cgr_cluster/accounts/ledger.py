"""The working copies of one debit or refund: which accounts it touches, and every change of a balance (spec 20 §3).

A request works on drafts and hands them over when it succeeds; an error, or a dry run, leaves nothing behind. Every
amount that leaves a balance passes through `take`, so that the answer can be checked against what the balances lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from cgr_cluster.accounts.amounts import MONETARY, exact_factor, grains_rounded, round_system
from cgr_cluster.accounts.expiry import remove_expired
from cgr_cluster.accounts.hooks import HookOf, TriggerHook
from cgr_cluster.accounts.types import DEFAULT_ID, Account, Balance
from cgr_cluster.events.amounts import GRAINS

ReadAccount = Callable[[str], "Account | None"]
MembersOf = Callable[[str], Iterable[str]]  # ids of the accounts in a shared group


class Payer:
    """A useful balance whose turn it may be: the list it is in, its owner, and the owner's triggers and counters."""

    __slots__ = ("balance", "hook", "owner", "type")

    def __init__(self, balance: Balance, balance_type: str, owner: Account, hook: TriggerHook | None) -> None:
        self.balance = balance
        self.type = balance_type
        self.owner = owner
        self.hook = hook


def groups_of(account: Account) -> dict[str, None]:
    """Ids of the shared groups that the account's balances name."""
    return {
        group: None
        for balances in (account.balances or {}).values()
        for balance in balances
        for group in balance.shared_groups
    }


def affordable(balance_type: str, value: int, amount: int, rounding: int) -> int:
    """How many times `amount` (> 0) can be taken while the value covers it. The first subtraction rounds a value that has
    more decimals than the system `rounding` leaves (20 §1)."""
    if value < amount:
        return 0
    if value % grains_rounded(balance_type, rounding):
        return 1 + max(0, round_system(balance_type, value - amount, rounding)) // amount
    return value // amount


def units_of(duration_ns: int, factor: float, rounding: int) -> int:
    """Duration x factor in 10^-5 units, rounded up to the system `rounding` (20 §3.5)."""
    if factor == 1.0:
        return duration_ns * GRAINS
    exact = exact_factor(factor)
    step = grains_rounded("", rounding)
    return -(-duration_ns * GRAINS * exact.numerator // (exact.denominator * step)) * step


class Drafts:
    """Working copies of the accounts that one request touches; all are of one shard."""

    __slots__ = ("_hook_of", "_hooks", "_read", "drafts", "money_taken_nano", "rounding", "touched")

    def __init__(self, read: ReadAccount, hook_of: HookOf | None, rounding: int) -> None:
        self.rounding = rounding  # the system rounding (amounts.py)
        self.drafts: dict[str, Account] = {}
        self.touched: dict[str, None] = {}  # ids of accounts of which a balance was changed
        self.money_taken_nano = 0  # by `take` from `*monetary` balances
        self._read = read
        self._hook_of = hook_of
        self._hooks: dict[str, TriggerHook] = {}

    def account(self, account_id: str) -> Account | None:
        """The working copy of an account."""
        held = self.drafts.get(account_id)
        if held is None:
            stored = self._read(account_id)
            if stored is None:
                return None
            held = self.drafts[account_id] = stored.draft()
        return held

    def hook(self, account: Account) -> TriggerHook | None:
        """The account's triggers and counters, or None when it has none (or this is a dry run)."""
        held = self._hooks.get(account.id)
        if held is not None:
            return held
        if self._hook_of is None or not (account.triggers or account.unit_counters):
            return None
        made = self._hook_of(account)
        if made is not None:
            self._hooks[account.id] = made
        return made

    def payer(self, balance: Balance, balance_type: str, owner: Account) -> Payer:
        return Payer(balance, balance_type, owner, self.hook(owner))

    def find(self, account: Account, balance_type: str, uuid: str) -> Payer | None:
        """The balance of a type with this UUID."""
        for balance in (account.balances or {}).get(balance_type, ()):
            if balance.uuid == uuid:
                return self.payer(balance, balance_type, account)
        return None

    def find_shared(self, account: Account, balance_type: str, uuid: str, members_of: MembersOf) -> Payer | None:
        """As `find`; when the account does not have it, with the members of the groups that its balances name: an increment
        names one account, also when the units are one member's and the money another's."""
        found = self.find(account, balance_type, uuid)
        if found is not None:
            return found
        for group_id in groups_of(account):
            for member_id in members_of(group_id):
                member = self.account(member_id)
                found = None if member is None else self.find(member, balance_type, uuid)
                if found is not None:
                    return found
        return None

    def take(self, payer: Payer, amount: int, count: int) -> None:
        """Take `count` times `amount` (the balance's grain; negative: give). Taking 0 rounds too (20 §1)."""
        balance = payer.balance
        total = amount * count
        left = round_system(payer.type, balance.value - total, self.rounding)
        if left != balance.value:
            balance.value = left
            self.touched[payer.owner.id] = None
        if payer.type == MONETARY:
            self.money_taken_nano += total

    def cleaned(self, counted: Iterable[str], now_ns: int, balances_too: bool) -> list[str]:
        """Drop what is expired from the `counted` accounts that no trigger evaluation has cleaned. Answers the ids of all
        accounts that are to be stored."""
        changed = dict(self.touched)
        for account_id in counted:
            account = self.drafts[account_id]
            if self.hook(account) is not None or remove_expired(account, now_ns, balances_too):
                changed[account_id] = None
        return list(changed)


class Ledger(Drafts):
    """The drafts of a debit: the caller's `own` account (`stored`: as it was before), and others when balances are
    shared."""

    __slots__ = ("_new_uuid", "own", "stored")

    def __init__(
        self, own: Account, read: ReadAccount, new_uuid: Callable[[], str], hook_of: HookOf | None, rounding: int
    ) -> None:
        super().__init__(read, hook_of, rounding)
        self.stored = own
        self.own = own.draft()
        self.drafts[own.id] = self.own
        self._new_uuid = new_uuid

    def find_default(self) -> Balance | None:
        """The caller's `*default` money balance, if it has one."""
        for balance in (self.own.balances or {}).get(MONETARY, ()):
            if balance.id == DEFAULT_ID:
                return balance
        return None

    def default(self) -> Payer:
        """The caller's `*default` money balance, which may go below zero; made when it has none."""
        balance = self.find_default()
        if balance is None:
            balance = Balance(self._new_uuid(), DEFAULT_ID)
            if self.own.balances is None:
                self.own.balances = {}
            self.own.balances.setdefault(MONETARY, []).append(balance)
        return self.payer(balance, MONETARY, self.own)
