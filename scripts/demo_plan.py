#!/usr/bin/env python3
"""Writes the demo tariff plan, conf/demo/*.csv: every country's numbers, peak and off-peak prices, bundles, 1000 accounts.

The prefixes are enumerated from the number patterns of the `phonenumbers` package: from the country calling codes on, a
prefix is lengthened until all numbers that begin with it are of one region and one kind (fixed or mobile), and no
further. Where the patterns do not tell fixed from mobile the region has one price for both.

    .venv/bin/python scripts/demo_plan.py [FOLDER]
"""

from __future__ import annotations

import csv
import re
import sys
from pathlib import Path

import phonenumbers
from phonenumbers import PhoneMetadata

if sys.version_info >= (3, 11):  # the pattern's syntax tree: patterns are followed digit by digit, which `re` cannot
    from re import _parser
else:
    import sre_parse as _parser

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from conf.demo.tariff import ACCOUNTS, BUNDLES, KINDS, MESSAGE_PRICES, TIMINGS, ZONES, zone_of_code

MAX_DIGITS = 7  # national digits after which numbers that are still of two kinds are sold at one price
Label = tuple[str, str]  # region, kind


# --- patterns as automata ------------------------------------------------------------------------------------------


class Automaton:
    """A number pattern as a nondeterministic automaton over digits; `step` takes the states after one more digit."""

    def __init__(self, pattern: str) -> None:
        self.edges: list[list[tuple[frozenset[int] | None, int]]] = [[]]
        self.end = self._sequence(_parser.parse(pattern), 0)
        self._steps: dict[tuple[frozenset[int], int], frozenset[int]] = {}
        self.start = self._closure({0})

    def _new(self) -> int:
        self.edges.append([])
        return len(self.edges) - 1

    def _sequence(self, items: object, state: int) -> int:
        for op, argument in items:  # type: ignore[attr-defined]
            state = self._item(str(op), argument, state)
        return state

    def _item(self, op: str, argument: object, state: int) -> int:
        if op in ("LITERAL", "IN"):
            digits = frozenset({argument - 48}) if op == "LITERAL" else _digits(argument)  # type: ignore[operator]
            after = self._new()
            self.edges[state].append((digits, after))
            return after
        if op == "SUBPATTERN":
            return self._sequence(argument[3], state)  # type: ignore[index]
        if op == "BRANCH":
            join = self._new()
            for branch in argument[1]:  # type: ignore[index]
                self.edges[self._sequence(branch, state)].append((None, join))
            return join
        if op == "MAX_REPEAT":
            least, most, inner = argument  # type: ignore[misc]
            for _ in range(least):
                state = self._sequence(inner, state)
            optional_from = state
            ends = [state]
            for _ in range(int(most) - least):
                optional_from = self._sequence(inner, optional_from)
                ends.append(optional_from)
            join = self._new()
            for end in ends:
                self.edges[end].append((None, join))
            return join
        raise ValueError(f"the pattern uses {op}, which this script does not know")

    def _closure(self, states: set[int]) -> frozenset[int]:
        todo = list(states)
        found = set(states)
        while todo:
            for digits, after in self.edges[todo.pop()]:
                if digits is None and after not in found:
                    found.add(after)
                    todo.append(after)
        return frozenset(found)

    def step(self, states: frozenset[int], digit: int) -> frozenset[int]:
        found = self._steps.get((states, digit))
        if found is None:
            found = self._steps[states, digit] = self._closure(
                {
                    after
                    for state in states
                    for digits, after in self.edges[state]
                    if digits is not None and digit in digits
                }
            )
        return found


def _digits(items: object) -> frozenset[int]:
    found: set[int] = set()
    for op, argument in items:  # type: ignore[attr-defined]
        if str(op) == "LITERAL":
            found.add(argument - 48)
        elif str(op) == "RANGE":
            found.update(range(argument[0] - 48, argument[1] - 47))
        elif str(op) == "CATEGORY":
            found.update(range(10))
        else:
            raise ValueError(f"the pattern uses {op} in a set, which this script does not know")
    return frozenset(found)


# --- prefixes ------------------------------------------------------------------------------------------------------


def regions_of(code: int) -> list[str]:
    """Regions that share a country calling code; `001` stands for a code of no country (satellites and the like)."""
    return list(phonenumbers.COUNTRY_CODE_TO_REGION_CODE[code])


def patterns_of(code: int) -> list[tuple[Label, Automaton]]:
    found = []
    for region in regions_of(code):
        metadata = (
            PhoneMetadata.metadata_for_nongeo_region(code, None)
            if region == "001"
            else PhoneMetadata.metadata_for_region(region, None)
        )
        if metadata is None:
            continue
        name = f"{code}" if region == "001" else region
        for kind, description in (("FIXED", metadata.fixed_line), ("MOBILE", metadata.mobile)):
            if description is not None and description.national_number_pattern not in (None, "NA"):
                found.append(((name, kind), Automaton(re.sub(r"\(\?:", "(", description.national_number_pattern))))
        if region == "001":  # such codes have neither: take what the package calls their numbers
            general = metadata.general_desc.national_number_pattern
            if not any(label[0] == name for label, _ in found):
                found.append(((name, "ANY"), Automaton(general)))
    return found


Alive = tuple[tuple[int, frozenset[int]], ...]  # (index of the pattern, its states) of the patterns still possible


def prefixes_of(code: int) -> list[tuple[str, Label]]:
    """All (prefix, label) of a country calling code: the shortest prefixes under which only one label is possible."""
    patterns = patterns_of(code)
    known: dict[tuple[Alive, int], list[tuple[str, Label]]] = {}  # the rest of the way depends on these only

    def after(alive: Alive, digit: int) -> Alive:
        moved = ((index, patterns[index][1].step(states, digit)) for index, states in alive)
        return tuple((index, states) for index, states in moved if states)

    def same(alive: Alive) -> bool:
        """Whether the patterns match the very same numbers from here on, so that no digit will tell them apart."""
        seen: set[Alive] = set()
        todo = [alive]
        while todo:
            here = todo.pop()
            if here in seen:
                continue
            seen.add(here)
            if len(here) < len(alive) or len({patterns[index][1].end in states for index, states in here}) > 1:
                return False
            todo += [following for digit in range(10) if (following := after(here, digit))]
        return True

    def walk(alive: Alive, digits: int) -> list[tuple[str, Label]]:
        labels = {patterns[index][0] for index, _ in alive}
        if not labels:
            return []
        if len(labels) == 1:
            return [("", next(iter(labels)))]
        if digits >= MAX_DIGITS:
            return [("", merged(labels))]
        found = known.get((alive, digits))
        if found is None:
            if len({region for region, _ in labels}) == 1 and same(alive):
                found = [("", merged(labels))]
            else:
                found = [
                    (f"{digit}{rest}", label)
                    for digit in range(10)
                    for rest, label in walk(after(alive, digit), digits + 1)
                ]
            found = known[alive, digits] = list(compact(found).items())
        return found

    start = tuple((index, automaton.start) for index, (_, automaton) in enumerate(patterns))
    return [(f"{code}{rest}", label) for rest, label in walk(start, 0)]


def merged(labels: set[Label]) -> Label:
    """The label of numbers that the patterns do not tell apart: one region's, both kinds; of several regions the first's."""
    regions = sorted({region for region, _ in labels})
    kinds = {kind for region, kind in labels if region == regions[0]}
    return regions[0], "ANY" if len(kinds) > 1 else kinds.pop()


def compact(prefixes: list[tuple[str, Label]]) -> dict[str, Label]:
    """Where all ten digits after a prefix say the same, the prefix says it."""
    table = dict(prefixes)
    children = [table.get(f"{digit}") for digit in range(10)]
    if len(table) == 10 and children[0] is not None and all(child == children[0] for child in children):
        return {"": children[0]}
    return table


# --- the files -----------------------------------------------------------------------------------------------------


def write(folder: Path, name: str, columns: str, rows: list[tuple[object, ...]]) -> None:
    with (folder / name).open("w", newline="") as file:
        file.write(f"#{columns}\n")
        csv.writer(file, lineterminator="\n").writerows(rows)


def main() -> int:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent.parent / "conf" / "demo"
    destinations: list[tuple[object, ...]] = []
    zones: dict[str, tuple[str, str]] = {}  # destination → zone, kind
    for code in sorted(phonenumbers.COUNTRY_CODE_TO_REGION_CODE):
        for prefix, (region, kind) in sorted(prefixes_of(code)):
            name = f"DST_{region}_{kind}"
            destinations.append((name, prefix))
            zones[name] = (zone_of_code(code), kind)
    write(folder, "Destinations.csv", "Id,Prefix", destinations)
    write(
        folder, "Timings.csv", "Id,Years,Months,MonthDays,WeekDays,Time",
        [(t.id, "*any", "*any", "*any", t.week_days, t.start) for t in TIMINGS],
    )  # fmt: skip
    rates: list[tuple[object, ...]] = []
    for zone in ZONES.values():
        for kind in KINDS:
            for peak in (True, False):
                rates += [(zone.rate_id(kind, peak), *row) for row in zone.rate_rows(kind, peak)]
    rates += [(f"RT_{name}", 0, price, unit, unit, "0s") for name, (price, unit) in MESSAGE_PRICES.items()]
    write(folder, "Rates.csv", "Id,ConnectFee,Rate,RateUnit,RateIncrement,GroupIntervalStart", rates)
    bindings: list[tuple[object, ...]] = []
    for peak in (True, False):
        for name, (zone, kind) in sorted(zones.items()):
            rate = ZONES[zone].rate_id(kind, peak)
            bindings.append((f"DR_{'PEAK' if peak else 'OFFPEAK'}", name, rate, "*up", 5, 0, ""))
    bindings += [(f"DR_{name}", "*any", f"RT_{name}", "*up", 5, 0, "") for name in MESSAGE_PRICES]
    write(
        folder, "DestinationRates.csv",
        "Id,DestinationId,RatesId,RoundingMethod,RoundingDecimals,MaxCost,MaxCostStrategy", bindings,
    )  # fmt: skip
    plans: list[tuple[object, ...]] = [("RP_VOICE", f"DR_{'PEAK' if t.peak else 'OFFPEAK'}", t.id, 10) for t in TIMINGS]
    plans += [(f"RP_{name}", f"DR_{name}", "*any", 10) for name in MESSAGE_PRICES]
    write(folder, "RatingPlans.csv", "Id,DestinationRatesId,TimingId,Weight", plans)
    profiles: list[tuple[object, ...]] = [("cgrates.org", "call", "*any", "2020-01-01T00:00:00Z", "RP_VOICE", "")]
    profiles += [
        ("cgrates.org", name.lower(), "*any", "2020-01-01T00:00:00Z", f"RP_{name}", "") for name in MESSAGE_PRICES
    ]
    write(
        folder, "RatingProfiles.csv", "Tenant,Category,Subject,ActivationTime,RatingPlanId,FallbackSubjects", profiles
    )
    write(folder, "Actions.csv",
        "ActionsId,Action,ExtraParameters,Filter,BalanceId,BalanceType,Categories,DestinationIds,RatingSubject,SharedGroup,"
        "ExpiryTime,TimingIds,Units,BalanceWeight,BalanceBlocker,BalanceDisabled,Weight",
        [row for bundle in BUNDLES.values() for row in bundle.action_rows()])  # fmt: skip
    write(
        folder,
        "ActionPlans.csv",
        "Id,ActionsId,TimingId,Weight",
        [(f"AP_{b}", f"ACT_{b}", "*asap", 10) for b in BUNDLES],
    )
    write(
        folder, "AccountActions.csv", "Tenant,Account,ActionPlanId,ActionTriggersId,AllowNegative,Disabled",
        [("cgrates.org", a.id, f"AP_{a.bundle}", "", str(a.mode == "*postpaid").lower(), "false") for a in ACCOUNTS],
    )  # fmt: skip
    write(
        folder, "Chargers.csv", "Tenant,ID,FilterIDs,ActivationInterval,RunID,AttributeIDs,Weight",
        [("cgrates.org", "CHG_DEFAULT", "", "", "*default", "*none", 0)],
    )  # fmt: skip
    print(f"{len(destinations)} prefixes of {len(zones)} destinations, {len(ACCOUNTS)} accounts in {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
