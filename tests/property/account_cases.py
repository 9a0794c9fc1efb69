"""Random accounts and requests for tests of debits: every kind of balance, of two members of shared groups, with triggers.

They are made from a seed, not from Hypothesis' choices one by one: those come out too simple and cost ten times as much.
"""

from __future__ import annotations

from random import Random
from typing import Any

from cgr_cluster.accounts.amounts import MONETARY
from cgr_cluster.accounts.types import Account, Balance
from cgr_cluster.actions import counters
from cgr_cluster.actions.triggers import Changed, Evaluator
from cgr_cluster.actions.types import ActionTrigger, BalanceFilter
from cgr_cluster.engine.generation import Generation
from cgr_cluster.events.amounts import GRAINS, NANO
from cgr_cluster.events.instant import NS, ZERO
from cgr_cluster.rating.reference import GroupParameters, SharedGroup
from cgr_cluster.rating.types import CallDescriptor, Timing
from tests.unit.accounts_world import FIXED, GERMANY, MOBILE, NOW, PREMIUM, TENANT, call, worked_example
from tests.unit.rating_world import ANY_TIME, LONG_AGO, World, at, per_minute, rates

START = NOW.plus(12 * 3600 * NS)  # 21:00 on a Tuesday
BERLIN = "+4930999"
GROUPS = ("FAMILY_MINE_LOWEST", "HIGH", "OWN")
TIMINGS = {
    "LATE": Timing("LATE", start_time="21:00:30"),
    "EARLY": Timing("EARLY", start_time="08:00:00", end_time="21:00:45"),
    "TUESDAY": Timing("TUESDAY", week_days=(2,), start_time="00:00:00"),
    "NIGHT": Timing("NIGHT", start_time="00:00:00", end_time="05:00:00"),
}
SUBJECTS = ("FLAT", "FREE", "SLOTS", "PEAK", "CAPPED_FREE", "CAPPED_CUT", "NOBODY")
DESTINATIONS = ("MOBILE_HOME", "NATIONAL", "PREMIUM", "GERMANY", "BERLIN", "ODD", "*any", "UNKNOWN")


def world() -> World:
    made = worked_example()
    made.destination("BERLIN", "+4930").destination("ODD", "+40211")
    peak = Timing("PEAK", week_days=(1, 2, 3, 4, 5), start_time="21:01:00")
    slots = rates((0.6, "60s", "30s", "0s"), (0.2, "60s", "10s", "60s"), (0.1, "60s", "1s", "120s"), fee=0.1)
    made.plan("RP_SLOTS", ("*any", ANY_TIME, slots, 10.0))
    made.plan("RP_PEAK", ("*any", ANY_TIME, per_minute(0.06, "6s"), 10.0), ("*any", peak, per_minute(0.3, "20s"), 10.0))
    made.plan("RP_UNITS", ("*any", ANY_TIME, rates((0.07, "1", "1", "0"), (0.03, "1", "2", "4"), fee=0.02), 10.0))
    made.plan("RP_LOW", ("*any", ANY_TIME, per_minute(0.1, "7s", rounding_decimals=0), 10.0))
    for name in ("SLOTS", "PEAK", "LOW"):
        made.profile(name, (LONG_AGO, f"RP_{name}", ""))
    made.profile("*any", (LONG_AGO, "RP_UNITS", ""), category="units")
    for name, caller in (("HIGH", "*mine_highest"), ("OWN", "*lowest")):
        made.objects["shared_group", name] = SharedGroup(
            name, {"*any": GroupParameters("*highest"), f"{TENANT}:1001": GroupParameters(caller)}
        )
    return made


TARIFF: Generation = world().generation()


class Cases:
    """What one seed gives: `accounts`, then `request`s. `watched`: some have triggers. `aligned`: no balance has more
    decimals than the system rounding leaves."""

    def __init__(self, seed: int, watched: bool = True, aligned: bool = False) -> None:
        self._random = Random(seed)
        self._watched = watched
        self._odd_nano = 0 if aligned else 1_234_567
        self.accounts = self._accounts()

    def _one_of(self, *choices: Any) -> Any:
        return self._random.choice(choices)

    def _seldom(self, value: Any, often: Any, share: float = 0.2) -> Any:
        return value if self._random.random() < share else often

    def _set(self, names: tuple[str, ...], share: float) -> dict[str, bool]:
        if self._random.random() > share:
            return {}
        return {name: self._one_of(True, True, False) for name in self._random.sample(names, self._one_of(1, 1, 2, 3))}

    def _balance(self, uuid: str, kind: str, groups: dict[str, bool]) -> Balance:
        seconds = self._one_of(0, 1, 7, 30, 45, 100, 200)
        if kind == MONETARY:
            value = self._random.randint(-20, 300) * NANO // 100 + self._seldom(self._odd_nano, 0)
            subject = self._one_of("", "", "", "", "", "", *SUBJECTS, self._one_of("*any", "*zero5s", "*zerominute"))
        elif kind in ("*voice", "*generic"):
            value = seconds * NS * GRAINS + self._seldom(12_345, 0)
            subject = self._one_of("", "", "*any", "*zero30s", "*zero7s", "*zero1m", "*zerominute", *SUBJECTS)
        else:
            value = seconds // 7 * GRAINS + self._seldom(12_345, 0)
            subject = self._one_of("", "", "*any", "*zero1", "*zero3", "*zerominute", *SUBJECTS)
        timings = self._set(tuple(TIMINGS), 0.2)
        name = self._one_of("A", "B", "C", "*default")
        expiries = (START.plus(3600 * NS), START.plus(-NS), NOW.plus(-NS), NOW)
        return Balance(
            uuid, name, value,
            ZERO if name == "*default" else self._seldom(self._one_of(*expiries), ZERO),  # no call gives it an expiry
            self._one_of(0.0, 0.0, 10.0, 20.0), self._set(DESTINATIONS, 0.35), subject,
            self._seldom(self._one_of({"call": True}, {"data": True}), {}),
            groups, tuple(TIMINGS[name] for name in timings) or None, timings, self._seldom(True, False, 0.05),
            None if kind == MONETARY else self._seldom(self._one_of({"f": 2.5}, {"f": 1 / 3, "g": 0.1}), None, 0.4),
            self._seldom(True, False, 0.07),
        )  # fmt: skip

    def _trigger(self, number: int) -> ActionTrigger:
        kind = self._one_of(MONETARY, MONETARY, "*voice", "*voice", "*sms", "*event_connect")
        units = self._random.randint(0, 30)
        return ActionTrigger(
            "GRP", f"T{number}",
            self._one_of("*min_balance", "*min_balance", "*max_event_counter", "*max_balance_counter", "*balance_expired"),
            {MONETARY: units * NANO // 10, "*voice": units * 7 * NS * NANO}.get(kind, units * NANO // 4),
            recurrent=self._one_of(True, False), weight=self._one_of(0.0, 10.0),
            balance=BalanceFilter(id=self._one_of(None, None, "A"), type=kind),
            actions_id=self._one_of("TOPUP", "BONUS", "OFF", "BROKEN"),
        )  # fmt: skip

    def _accounts(self) -> dict[str, Account]:
        made: dict[str, Account] = {}
        shared = self._one_of(True, False)
        favourite = self._one_of(*GROUPS)
        for name, most in (("1001", 5), ("1002", 4 if shared else 0)):
            lists: dict[str, list[Balance]] = {}
            for number in range(self._random.randint(most // 4, most)):
                kind = self._one_of(
                    MONETARY, MONETARY, MONETARY, "*voice", "*voice", "*voice", "*generic", "*sms", "*own"
                )
                groups = self._one_of({}, {favourite: True}, {self._one_of(*GROUPS): True, favourite: True})
                lists.setdefault(kind, []).append(self._balance(f"{name}-{number}", kind, groups if shared else {}))
            watched = [self._trigger(number) for number in range(self._one_of(0, 0, 0, 1, 2) * self._watched)]
            account = Account(
                f"{TENANT}:{name}", lists or None, None, watched or None, self._seldom(True, False),
                name != "1001" and self._seldom(True, False),
            )  # fmt: skip
            counters.rebuild(account)
            made[account.id] = account
        return made

    def members(self) -> dict[str, list[str]]:
        """Per group the accounts that have a balance in it."""
        return {
            group: [
                key
                for key, account in self.accounts.items()
                if any(group in b.shared_groups for held in (account.balances or {}).values() for b in held)
            ]
            for group in GROUPS
        }

    def request(self) -> CallDescriptor:
        tor = self._one_of(*["*voice"] * 6, "*sms", "*sms", "*generic", "*own", self._one_of(MONETARY, "*voice"))
        category = "call" if tor in ("*voice", "*generic") else self._one_of("units", "units", "call")
        usage = self._random.randint(-5, 250) * NS if tor == "*voice" else self._random.randint(1, 12)
        length = usage or NS
        return call(
            usage=length, tor=tor, category=category,
            start=self._seldom(at("2026-03-10T23:59:00+02:00"), START),
            destination=self._one_of(MOBILE, MOBILE, MOBILE, GERMANY, BERLIN, FIXED, PREMIUM, self._seldom("+33", FIXED)),
            subject=self._one_of(*["1001"] * 6, *SUBJECTS, "LOW", "ROUND"),
            loop_index=self._one_of(0, 0, 1),
            duration_index_ns=self._one_of(0, 0, length, 60 * NS, 300 * NS),
            max_rate=self._seldom(0.2, 0.0), max_rate_unit_ns=60 * NS,
            max_cost_so_far_nano=self._one_of(0, 0, 90_000_000, 500_000_000),
            force_duration=self._seldom(True, False), perform_rounding=self._seldom(True, False),
            dry_run=self._seldom(True, False), deny_negative_account=self._seldom(True, False),
            extra_fields=self._one_of({}, {"BalanceFactorID": "f"}, {"BalanceFactorID": "x"}),
        )  # fmt: skip


def evaluator() -> Evaluator:
    """Triggers whose actions are simple, and the same on both sides of a comparison."""
    made = iter(range(100_000))

    def run(account: Account, actions_id: str, changed: Changed) -> bool:
        lists = account.balances if account.balances is not None else {}
        if actions_id == "TOPUP" and lists.get(MONETARY):
            lists[MONETARY][0].value += 3 * NANO // 10
            changed.add(lists[MONETARY][0])
        elif actions_id == "BONUS":
            bonus = Balance(f"bonus{next(made)}", "BONUS", 2 * GRAINS)
            lists.setdefault("*sms", []).append(bonus)
            changed.add(bonus)
        elif actions_id == "OFF":
            account.disabled = True
        return actions_id != "BROKEN"

    return Evaluator(TARIFF, NOW, True, lambda actions_id: True, run)
