"""Changes of balances by API and actions, the Balance object, account answers (spec 20 §4, §2)."""

from __future__ import annotations

from typing import Any

import pytest

from cgr_cluster.accounts import operations
from cgr_cluster.accounts.amounts import MONETARY, half_up, to_grain
from cgr_cluster.accounts.answers import account_json, old_account_json
from cgr_cluster.accounts.balance_fields import id_set, read_balance
from cgr_cluster.accounts.shared_groups import joined
from cgr_cluster.accounts.types import Account, Balance
from cgr_cluster.actions.types import BalanceFilter
from cgr_cluster.engine.codec import pack, unpack
from cgr_cluster.events.amounts import GRAINS, NANO, nano_of
from cgr_cluster.events.instant import NS
from cgr_cluster.rpc.errors import ApiError
from tests.unit.accounts_world import NOW, ROUNDING, worked_example
from tests.unit.rating_world import at

PAST, FUTURE = at("2026-03-01T00:00:00Z"), at("2041-05-01T00:00:00Z")


def account(*balances: Balance, kind: str = MONETARY) -> Account:
    return Account("cgrates.org:a", {kind: list(balances)})


def ids(found: Account, kind: str = MONETARY) -> list[tuple[str, float]]:
    return [(b.id, b.value / NANO) for b in (found.balances or {})[kind]]


# --- amounts -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("amount", "step", "expected"),
    [
        (15_000, 10_000, 20_000),
        (14_999, 10_000, 10_000),
        (-15_000, 10_000, -20_000),
        (-14_999, 10_000, -10_000),
        (0, 10, 0),
    ],
)
def test_half_up_mirrors_negative_amounts(amount: int, step: int, expected: int) -> None:
    assert half_up(amount, step) == expected


@pytest.mark.parametrize(
    ("number", "nano"),
    [
        (0.123456789, 123_456_789),
        (0.1, 10**8),
        (1e15, 10**24),
        (5, 5 * NANO),
        (1.0000000005, 1_000_000_001),
        (-0.5, -NANO // 2),
    ],
)
def test_numbers_become_nano_as_they_are_written(number: float, nano: int) -> None:
    assert nano_of(number) == nano


@pytest.mark.parametrize("number", [1.1e15, float("inf"), float("nan"), -2e15])
def test_amounts_beyond_the_limit_are_refused(number: float) -> None:
    with pytest.raises(ApiError):
        nano_of(number)


def test_grain_is_by_type() -> None:
    assert (to_grain(MONETARY, 123_456_789), to_grain("*voice", 123_456_789)) == (123_456_789, 12_346)


# --- add, debit --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({"id": "A"}, [("A", 11), ("B", 2), ("B", 3)]),
        ({"id": "B"}, [("A", 1), ("B", 12), ("B", 13)]),
        ({"uuid": "2", "id": "A"}, [("A", 1), ("B", 12), ("B", 3)]),
        ({}, [("A", 11), ("B", 12), ("B", 13)]),  # no fields: every balance of the type
        ({"weight": 20.0}, [("A", 1), ("B", 12), ("B", 13)]),
        ({"categories": {"call": True}}, [("A", 1), ("B", 2), ("B", 13)]),
        ({"rating_subject": "X"}, [("A", 1), ("B", 2), ("B", 3), ("", 10)]),
        ({"expiration_date": FUTURE}, [("A", 1), ("B", 2), ("B", 13)]),
        ({"blocker": True, "weight": 20.0}, [("A", 1), ("B", 2), ("B", 3), ("", 10)]),
        ({"id": "OLD"}, [("A", 1), ("B", 2), ("B", 3), ("OLD", 10)]),  # the expired one does not match
        ({"id": "*default", "weight": 9.0}, [("A", 1), ("B", 2), ("B", 3), ("*default", 10)]),
    ],
)
def test_which_balances_a_top_up_changes(wanted: dict[str, Any], expected: list[tuple[str, float]]) -> None:
    held = account(
        Balance("1", "A", NANO, weight=10.0),
        Balance("2", "B", 2 * NANO, weight=20.0),
        Balance("3", "B", 3 * NANO, weight=20.0, categories={"call": True, "sms": True}, expiration_date=FUTURE),
    )
    old = Balance("4", "OLD", 5 * NANO, expiration_date=PAST)
    (held.balances or {})[MONETARY].append(old)
    changed = operations.add_amount(
        held, BalanceFilter(type=MONETARY, **wanted), 10 * NANO, NOW.ns, lambda: "new", ROUNDING
    )
    (held.balances or {})[MONETARY].remove(old)
    assert ids(held) == expected
    assert old.value == 5 * NANO
    assert all(b.value for b in changed)
    made = (held.balances or {})[MONETARY][3:]
    assert [b.uuid for b in made] == ["new"] * len(made)
    assert all(b.weight == 0 for b in made if b.id == "*default")


def test_reset_sets_to_zero_first() -> None:
    held = account(Balance("1", "A", 7 * NANO), Balance("2", "A", -2 * NANO))
    operations.add_amount(held, BalanceFilter(type=MONETARY, id="A"), NANO, NOW.ns, str, ROUNDING, reset_negative=True)
    assert ids(held) == [("A", 8), ("A", 1)]
    operations.add_amount(held, BalanceFilter(type=MONETARY, id="A"), -NANO, NOW.ns, str, ROUNDING, reset=True)
    assert ids(held) == [("A", -1), ("A", -1)]


def test_adding_rounds_setting_does_not() -> None:
    held = account(Balance("1", "A", 4 * NANO))
    operations.add_amount(held, BalanceFilter(type=MONETARY, id="A"), nano_of(0.123456789), NOW.ns, str, ROUNDING)
    assert ids(held) == [("A", 4.12346)]
    operations.set_balance(held, read_balance(MONETARY, 0.123456789, {"ID": "A"}, NOW.ns, "UTC"), NOW.ns, str)
    assert ids(held) == [("A", 0.123456789)]


# --- set ---------------------------------------------------------------------------------------------------------


def set_on(held: Account, kind: str, value: float, fields: dict[str, Any]) -> None:
    operations.set_balance(held, read_balance(kind, value, fields, NOW.ns, "UTC"), NOW.ns, lambda: "new")


def test_set_writes_the_given_fields_only() -> None:
    held = account(Balance("1", "A", NANO, weight=10.0, categories={"call": True}))
    set_on(held, MONETARY, 4, {"ID": "A", "DestinationIDs": "NATIONAL;!PREMIUM", "Blocker": True})
    (balance,) = (held.balances or {})[MONETARY]
    assert (balance.value, balance.weight, balance.categories) == (4 * NANO, 10.0, {"call": True})
    assert (balance.destination_ids, balance.blocker) == ({"NATIONAL": True, "PREMIUM": False}, True)
    set_on(held, "*sms", 0, {"UUID": "1", "ID": "RENAMED"})
    assert ids(held) == [("RENAMED", 4)]  # of any type; a top-level 0 is not given
    set_on(held, MONETARY, 0, {"ID": "RENAMED", "Value": 0})
    assert ids(held) == [("RENAMED", 0)]


def test_set_of_the_default_balance_takes_the_value_only() -> None:
    held = account()
    set_on(held, MONETARY, 5, {"ID": "*default", "Weight": 99})
    set_on(held, "*voice", 0, {"ID": "*default"})
    assert ids(held) == [("*default", 5)]
    assert (held.balances or {})[MONETARY][0].weight == 0
    assert (held.balances or {})["*voice"][0].id == "*default"


def test_set_by_an_unknown_uuid_fails() -> None:
    with pytest.raises(ApiError, match="cannot find balance with uuid: <x>"):
        set_on(account(), MONETARY, 1, {"UUID": "x"})


# --- remove ------------------------------------------------------------------------------------------------------


def test_the_last_takes_the_place_of_the_removed() -> None:
    held = account(
        *(Balance(name, name, NANO, weight=w) for name, w in (("A", 1.0), ("B", 2.0), ("C", 2.0), ("D", 3.0)))
    )
    removed = operations.remove_balances(held, BalanceFilter(type=MONETARY, id="A"))
    assert [balance.id for _, balance in removed] == ["A"]
    assert [name for name, _ in ids(held)] == ["D", "B", "C"]
    operations.remove_balances(held, BalanceFilter(type=MONETARY, weight=2.0))
    operations.remove_balances(held, BalanceFilter(type=MONETARY))
    assert held.balances == {MONETARY: []}
    with pytest.raises(ApiError, match="NOT_FOUND"):
        operations.remove_balances(held, BalanceFilter(type=MONETARY))


# --- transfer ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("units", "reference", "source", "target", "expected"),
    [
        (4, None, ("A", 10), ("B", 1), 4),
        (400, None, ("A", 10), ("B", 1), None),
        (0, None, ("A", 10), ("B", 1), None),
        (1, 6, ("A", 10), ("B", 5), 1),  # what the target lacks
        (9, 3, ("A", 10), ("B", 5), -2),
        (0, -6, ("A", 10), ("B", 5), None),  # more back than it has
        (0, -6, ("A", 10), ("*default", 5), -11),
        (40, None, ("*default", 10), ("B", 5), 40),
    ],
)
def test_what_a_transfer_moves(
    units: int, reference: int | None, source: tuple[str, int], target: tuple[str, int], expected: int | None
) -> None:
    def amount() -> int:
        return operations.transfer_amount(
            MONETARY, units * NANO, None if reference is None else reference * NANO,
            source[1] * NANO, source[0], target[1] * NANO, target[0], ROUNDING,
        )  # fmt: skip

    if expected is None:
        with pytest.raises(ApiError):
            amount()
    else:
        assert amount() == expected * NANO


def test_sources_and_targets_of_transfers() -> None:
    held = Account(
        "cgrates.org:a",
        {
            "*voice": [Balance("1", "X")],
            "*data": [Balance("2", "X", expiration_date=PAST), Balance("3", "X")],
            "*sms": [Balance("4", "OLD", expiration_date=PAST)],
        },
    )
    kind, found = operations.transfer_source(held, "X", NOW.ns)
    assert (kind, found.uuid) == ("*data", "3")
    for name in ("OLD", "NONE"):
        with pytest.raises(ApiError):
            operations.transfer_source(held, name, NOW.ns)
    assert operations.transfer_target(held, "*sms", "NEW", NOW.ns) is None
    with pytest.raises(ApiError):
        operations.transfer_target(held, "*sms", "OLD", NOW.ns)


# --- the Balance object ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "name", "expected"),
    [
        ({"Weight": "10"}, "weight", 10.0),
        ({"Weight": "*time_asc"}, "weight", float(NOW.seconds)),
        ({"Weight": "*time_desc"}, "weight", float(2_524_608_000 - NOW.seconds)),
        ({"Disabled": "true"}, "disabled", True),
        ({"Blocker": 1}, "blocker", True),
        ({"ExpiryTime": "*unlimited"}, "expiration_date", at("")),
        ({"ExpiryTime": "2041-05-01T00:00:00Z"}, "expiration_date", FUTURE),
        ({"DestinationIDs": "A; B ;!C"}, "destination_ids", {"A": True, "B": True, "C": False}),
        ({"DestinationIDs": {"A": True, "C": False}}, "destination_ids", {"A": True, "C": False}),
        ({"DestinationIDs": ["A", "!C"]}, "destination_ids", {"A": True, "C": False}),
        ({"SharedGroups": {}}, "shared_groups", {}),
        ({"Categories": "*zero"}, "categories", {}),
        ({"RatingSubject": "*zero"}, "rating_subject", ""),
        ({"RatingSubject": "*zero10s"}, "rating_subject", "*zero10s"),
        ({"Factors": '{"f": 2}'}, "factors", {"f": 2.0}),
        ({"Factors": {"f": "0.5"}}, "factors", {"f": 0.5}),
        ({"ExpirationDate": "never read"}, "expiration_date", None),
        ({"ID": 7}, "id", "7"),
    ],
)
def test_forgiving_values(fields: dict[str, Any], name: str, expected: Any) -> None:
    assert getattr(read_balance(MONETARY, 0, fields, NOW.ns, "UTC"), name) == expected


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"ExpiryTime": "next week"}, "Unsupported time format"),
        ({"ExpiryTime": "+soon"}, 'time: invalid duration "soon"'),
        ({"Weight": "heavy"}, 'strconv.ParseFloat: parsing "heavy": invalid syntax'),
        ({"Value": "many"}, 'strconv.ParseFloat: parsing "many": invalid syntax'),
        ({"Disabled": "perhaps"}, 'strconv.ParseBool: parsing "perhaps": invalid syntax'),
    ],
)
def test_bad_values(fields: dict[str, Any], error: str) -> None:
    with pytest.raises(ApiError) as refused:
        read_balance(MONETARY, 0, fields, NOW.ns, "UTC")
    assert refused.value.text == error


@pytest.mark.parametrize(
    ("top", "inner", "expected"),
    [(5, {"Value": 3}, 5 * NANO), (0, {"Value": "-3"}, 3 * NANO), (0, {}, None), (-4, {}, 4 * NANO)],
)
def test_which_value_counts(top: float, inner: dict[str, Any], expected: int | None) -> None:
    value = read_balance(MONETARY, top, inner, NOW.ns, "UTC").value
    assert (None if value is None else value.static_nano) == expected


def test_sets_as_text() -> None:
    assert id_set("") == {} == id_set(";")


# --- account -----------------------------------------------------------------------------------------------------


def test_a_draft_never_shows_in_the_original() -> None:
    held = Account("cgrates.org:a", {MONETARY: [Balance("1", "A", NANO)]}, triggers=[])
    draft = held.draft()
    (draft.balances or {})[MONETARY][0].value = 0
    (draft.balances or {})[MONETARY].append(Balance("2"))
    (draft.balances or {})["*sms"] = []
    assert held == Account("cgrates.org:a", {MONETARY: [Balance("1", "A", NANO)]}, triggers=[])


def test_accounts_of_any_size_are_kept() -> None:
    held = Account("cgrates.org:a", {MONETARY: [Balance("1", "A", 10**24)], "*voice": [Balance("2", "V", -(10**20))]})
    assert unpack(Account, pack(held)) == held


def test_both_shapes() -> None:
    held = Account(
        "cgrates.org:a",
        {
            MONETARY: [Balance("1", "M", 12_500_000_000, destination_ids={"A": True, "B": False})],
            "*voice": [Balance("2", "V", 90 * NS * GRAINS)],
            "*sms": [],
        },
    )
    new, old = account_json(held), old_account_json(held)
    assert (new["BalanceMap"][MONETARY][0]["Value"], new["BalanceMap"]["*voice"][0]["Value"]) == (12.5, 90 * NS)
    assert (new["BalanceMap"]["*sms"], new["UnitCounters"]) == ([], None)
    assert old["Id"] == "*out:cgrates.org:a"
    assert set(old["BalanceMap"]) == {"*monetary*out", "*voice*out"}
    assert old["BalanceMap"]["*monetary*out"][0]["DestinationIds"] == "A;B"


def test_groups_that_a_change_joins() -> None:
    generation = worked_example().generation()
    before = account(Balance("1", shared_groups={"FAMILY_LOWEST": True}))
    after = before.draft()
    (after.balances or {})[MONETARY].append(Balance("2", shared_groups={"FAMILY_HIGHEST": True, "NO_SUCH": True}))
    assert joined(generation, after, before) == ["FAMILY_HIGHEST"]
    assert joined(generation, after, None) == ["FAMILY_LOWEST", "FAMILY_HIGHEST"]
