"""Changes of balances by API methods and actions (spec 20 §4.1-4.4, §5.2). Pure functions on an account's draft.

Each answers the balances that it has changed or created: they are the "changed" ones of the trigger evaluation that
follows (20 §7.1), which is the caller's. Amounts come in nano (10^-9 of the unit whatever the type) and are put into the
balance's grain here.
"""

from __future__ import annotations

from collections.abc import Callable

from cgr_cluster.accounts.amounts import round_system, to_grain
from cgr_cluster.accounts.types import DEFAULT_ID, Account, Balance, IdSet
from cgr_cluster.actions.types import BalanceFilter
from cgr_cluster.rpc.errors import ApiError, not_found

NewUuid = Callable[[], str]


def _includes(balance_set: IdSet, wanted: IdSet | None) -> bool:
    """Whether the balance has all ids that are wanted; one with `!` is never had (kept)."""
    return wanted is None or all(balance_set.get(name) for name in wanted)


def matches(wanted: BalanceFilter, balance: Balance, *, skip_expiry: bool = False) -> bool:
    """The rule of 20 §4.1: by UUID when given, else by ID when given, else every given field."""
    if wanted.uuid:
        return balance.uuid == wanted.uuid
    if wanted.id:
        return balance.id == wanted.id
    return (
        (skip_expiry or wanted.expiration_date is None or wanted.expiration_date.ns == balance.expiration_date.ns)
        and (wanted.weight is None or wanted.weight == balance.weight)
        and (wanted.blocker is None or wanted.blocker == balance.blocker)
        and (wanted.disabled is None or wanted.disabled == balance.disabled)
        and (wanted.rating_subject is None or wanted.rating_subject == balance.rating_subject)
        and _includes(balance.destination_ids, wanted.destination_ids)
        and _includes(balance.categories, wanted.categories)
        and _includes(balance.shared_groups, wanted.shared_groups)
        and _includes(balance.timing_ids, wanted.timing_ids)
    )


def list_of(account: Account, balance_type: str) -> list[Balance]:
    """The account's list of a type, made when it has none."""
    if account.balances is None:
        account.balances = {}
    return account.balances.setdefault(balance_type, [])


def balance_from(wanted: BalanceFilter, uuid: str) -> Balance:
    """A new balance with the given fields, of value 0."""
    balance = Balance(uuid)
    write_fields(balance, wanted)
    return balance


def write_fields(balance: Balance, wanted: BalanceFilter) -> None:
    """Write the given fields but the value."""
    if wanted.id is not None:
        balance.id = wanted.id
    if wanted.expiration_date is not None:
        balance.expiration_date = wanted.expiration_date
    if wanted.weight is not None:
        balance.weight = wanted.weight
    if wanted.destination_ids is not None:
        balance.destination_ids = wanted.destination_ids
    if wanted.rating_subject is not None:
        balance.rating_subject = wanted.rating_subject
    if wanted.categories is not None:
        balance.categories = wanted.categories
    if wanted.shared_groups is not None:
        balance.shared_groups = wanted.shared_groups
    if wanted.timing_ids is not None:
        balance.timing_ids = wanted.timing_ids
        balance.timings = wanted.timings or None
    if wanted.disabled is not None:
        balance.disabled = wanted.disabled
    if wanted.factors is not None:
        balance.factors = wanted.factors
    if wanted.blocker is not None:
        balance.blocker = wanted.blocker


def add_amount(
    account: Account,
    wanted: BalanceFilter,
    amount_nano: int,
    now_ns: int,
    new_uuid: NewUuid,
    rounding: int,
    *,
    reset: bool = False,
    reset_negative: bool = False,
) -> list[Balance]:
    """`*topup` (positive amount) and `*debit` (negative): add to every matching balance of `wanted.type`, or make one
    (20 §4.1). `rounding`: the system rounding (amounts.py). `reset`: matching ones are set to 0 first; `reset_negative`: those below 0."""
    balance_type = wanted.type or ""
    amount = to_grain(balance_type, amount_nano)
    changed = []
    balances = list_of(account, balance_type)
    for balance in balances:
        if not balance.expired(now_ns) and matches(wanted, balance):
            if reset or (reset_negative and balance.value < 0):
                balance.value = 0
            balance.value = round_system(balance_type, balance.value + amount, rounding)
            changed.append(balance)
    if changed:
        return changed
    if wanted.id == DEFAULT_ID:
        made = Balance(new_uuid(), DEFAULT_ID)
    else:
        made = balance_from(wanted, new_uuid())
    made.value = round_system(balance_type, amount, rounding)
    balances.append(made)
    return [made]


def set_balance(account: Account, wanted: BalanceFilter, now_ns: int, new_uuid: NewUuid) -> list[Balance]:
    """`*set_balance` (20 §4.2): write the given fields of the balance with the UUID (of any type), else of the first with
    the ID (of `wanted.type`, without it of any type in alphabetical order), else make it. The value is the filter's fixed
    one; it is not rounded. Raises ApiError when nothing is found and nothing can be made."""
    found: Balance | None = None
    balance_type = wanted.type or ""
    kinds = [balance_type] if balance_type and not wanted.uuid else sorted(account.balances or ())
    for kind in kinds:
        for balance in (account.balances or {}).get(kind, ()):
            means = balance.uuid == wanted.uuid if wanted.uuid else wanted.id is not None and balance.id == wanted.id
            if means and not balance.expired(now_ns):
                found, balance_type = balance, kind
                break
        if found is not None:
            break
    if found is None:
        if wanted.uuid:
            raise ApiError(f"cannot find balance with uuid: <{wanted.uuid}>")
        if not balance_type:
            raise ApiError("missing balance type")
        found = Balance(new_uuid())
        list_of(account, balance_type).append(found)
    if wanted.id == DEFAULT_ID:
        found.id = DEFAULT_ID
    else:
        write_fields(found, wanted)
    if wanted.value is not None:
        found.value = to_grain(balance_type, wanted.value.static_nano)
    return [found]


def remove_balances(
    account: Account, wanted: BalanceFilter, expired_at_ns: int | None = None
) -> list[tuple[str, Balance]]:
    """`*remove_balance` (20 §4.3): remove every matching balance, expired ones too, of the type or of all types. The last
    takes the place of the removed; emptied lists stay. With `expired_at_ns`, `*remove_expired`: only those expired then.
    Answers (type, balance) of the removed; raises `NOT_FOUND` when there are none."""
    removed: list[tuple[str, Balance]] = []
    for kind, balances in (account.balances or {}).items():
        if wanted.type and kind != wanted.type:
            continue
        place = 0
        while place < len(balances):
            balance = balances[place]
            if (expired_at_ns is None or balance.expired(expired_at_ns)) and matches(
                wanted, balance, skip_expiry=expired_at_ns is not None
            ):
                removed.append((kind, balance))
                last = balances.pop()
                if place < len(balances):
                    balances[place] = last
            else:
                place += 1
    if not removed:
        raise not_found()
    return removed


# --- transfers ---------------------------------------------------------------------------------------------------


def refused(why: str) -> ApiError:
    """Why a transfer is refused; the methods answer PARTIALLY_EXECUTED."""
    return ApiError(why)


def transfer_source(account: Account, balance_id: str, now_ns: int) -> tuple[str, Balance]:
    """(type, balance) of the first balance with that ID that is not expired; types in alphabetical order."""
    for kind in sorted(account.balances or ()):
        for balance in (account.balances or {})[kind]:
            if balance.id == balance_id and not balance.expired(now_ns):
                return kind, balance
    raise refused("source balance not found or expired")


def transfer_target(account: Account, balance_type: str, balance_id: str, now_ns: int) -> Balance | None:
    """The balance of that type with that ID, None when it has to be made. Raises ApiError when it is expired."""
    for balance in (account.balances or {}).get(balance_type, ()):
        if balance.id == balance_id:
            if balance.expired(now_ns):
                raise refused("destination balance expired")
            return balance
    return None


def transfer_amount(
    balance_type: str, units_nano: int, reference_nano: int | None, source_value: int, source_id: str,
    target_value: int, target_id: str, rounding: int,
) -> int:  # fmt: skip
    """What moves from source to target, in the type's grain (negative: back). With a reference value: what the target
    lacks to it. Raises ApiError when it is 0 or more than the giving balance has, unless that is `*default`."""
    if reference_nano is None:
        amount = to_grain(balance_type, units_nano)
    else:
        amount = to_grain(balance_type, reference_nano) - target_value
    amount = round_system(balance_type, amount, rounding)  # both sides round to it; so both move by the same
    if amount == 0:
        raise refused("transfer amount is missing or 0")
    if source_id != DEFAULT_ID and amount > source_value:
        raise refused("insufficient credits in source balance")
    if target_id != DEFAULT_ID and -amount > target_value:
        raise refused("insufficient credits in destination balance")
    return amount


def move_out(balance: Balance, balance_type: str, amount: int, rounding: int) -> None:
    """Take a transfer's amount from its source."""
    balance.value = round_system(balance_type, balance.value - amount, rounding)


def move_in(
    account: Account, balance_type: str, balance_id: str, amount: int, now_ns: int, new_uuid: NewUuid, rounding: int
) -> Balance:
    """Give a transfer's amount to its target, which is made (with its ID only) when absent."""
    balance = transfer_target(account, balance_type, balance_id, now_ns)
    if balance is None:
        balance = Balance(new_uuid(), balance_id)
        list_of(account, balance_type).append(balance)
    balance.value = round_system(balance_type, balance.value + amount, rounding)
    return balance
