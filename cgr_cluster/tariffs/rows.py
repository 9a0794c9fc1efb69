"""CSV rows and what they say: the columns of each file, rows to objects of the tariff plan store, and back (10 §9, 20 §8).

A `FileKind` is one file name. Its rows are read once, in order, each row added to what its object has so far; an object
may be spread over a file, or over files of several folders. Rows that repeat share one frozen object (rate slots), ids
are interned: a deck of a million rates is about as large in memory as on the disk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from sys import intern
from typing import Any

import msgspec

from cgr_cluster.events.durations import parse_duration
from cgr_cluster.events.values import float_of, number_text, parse_bool, parse_int
from cgr_cluster.rpc.errors import ApiError
from cgr_cluster.tariffs import tp_types as tp
from cgr_cluster.tariffs.csv_files import files_named, quoted
from cgr_cluster.tariffs.csv_files import rows as csv_rows
from cgr_cluster.tariffs.slices import SLICE_ROWS, Slices, listed_in_slices, whole

Found = dict[Any, Any]  # id → what its rows have said so far
Add = Callable[[Found, list[Any]], None]
Finish = Callable[[str, str, Found], Iterable[Any]]  # tpid, load id, what was found → objects
Cells = Callable[[Any], Iterable[Sequence[Any]]]  # an object → its rows
Numbers = tuple[tuple[int, Callable[[str], Any]], ...]  # (column, reader)


class Problem(msgspec.Struct, frozen=True, gc=False):
    """A bad row: where it is and the API's error text. `file` is relative to the folder; `line` 0: no line of its own."""

    file: str
    line: int
    text: str


class FileKind(msgspec.Struct, frozen=True, gc=False):
    """One file: `columns` in order, `model` its name in errors, `numbers` the columns that are no text."""

    name: str
    file: str
    model: str
    columns: tuple[str, ...]
    numbers: Numbers
    add: Add
    finish: Finish
    cells: Cells


@lru_cache(maxsize=4096)
def _float(text: str) -> float:
    return float_of(text) if text else 0.0


@lru_cache(maxsize=4096)
def _int(text: str) -> int:
    return parse_int(text, "Atoi") if text else 0


def _bool(text: str) -> bool:
    return parse_bool(text) if text else False


_READERS: dict[str, Callable[[str], Any]] = {"float": _float, "int": _int, "bool": _bool}


def file_kind(name: str, file: str, model: str, columns: str, shape: tuple[Add, Finish, Cells]) -> FileKind:
    """A kind from its blank-separated columns; `Rate:float` is a column with a number."""
    names, numbers = [], []
    for index, column in enumerate(columns.split()):
        column, _, reader = column.partition(":")
        names.append(column)
        if reader:
            numbers.append((index, _READERS[reader]))
    return FileKind(name, file, model, tuple(names), tuple(numbers), *shape)


def read_kind(
    kind: FileKind, files: dict[str, bytes], tpid: str = "", load_id: str = "", separator: str = ","
) -> tuple[list[Any], list[Problem]]:
    """`read_slices` in one go."""
    return whole(read_slices(kind, files, tpid, load_id, separator))


def read_slices(
    kind: FileKind, files: dict[str, bytes], tpid: str = "", load_id: str = "", separator: str = ","
) -> Slices[tuple[list[Any], list[Problem]]]:
    """The objects of a kind's files and all their problems. The first problem is the one that the API answers: wrong
    columns and numbers come before values that are read later (durations)."""
    found: Found = {}
    early: list[Problem] = []
    late: list[Problem] = []
    numbers, add = kind.numbers, kind.add
    done = 0
    for path in files_named(files, kind.file):
        for line, cells in csv_rows(files[path], len(kind.columns), separator):
            done += 1
            if not done % SLICE_ROWS:
                yield
            if isinstance(cells, ApiError):
                early.append(Problem(path, line, cells.text))
                continue
            typed: list[Any] = cells
            bad_column = _read_numbers(numbers, typed)
            if bad_column is not None:
                text = f'invalid value "{typed[bad_column]}" for field {kind.model}.{kind.columns[bad_column]}'
                early.append(Problem(path, line, text))
                continue
            try:
                add(found, typed)
            except ApiError as error:
                late.append(Problem(path, line, error.text))
    objects = yield from listed_in_slices(kind.finish(tpid, load_id, found))
    return objects, early + late


def _read_numbers(numbers: Numbers, cells: list[Any]) -> int | None:
    """Read the number columns in place. Answers the first that cannot be read."""
    for index, reader in numbers:
        try:
            cells[index] = reader(cells[index])
        except ApiError:
            return index
    return None


def write_kind(kind: FileKind, objects: Iterable[Any], separator: str = ",") -> bytes:
    """The CSV file of `objects`, with its columns as a comment in front."""
    out = [f"#{separator.join(kind.columns)}\n"]
    for item in objects:
        out.extend(
            separator.join(quoted(_cell(cell), separator) for cell in cells) + "\n" for cells in kind.cells(item)
        )
    return "".join(out).encode("utf-8", "replace")


def _cell(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return number_text(value)


# --- shapes ------------------------------------------------------------------------------------------------------


def listed(
    cls: type[Any], make: Callable[[list[Any]], Any], cells: Callable[[str, Any], Sequence[Any]]
) -> tuple[Add, Finish, Cells]:
    """Objects `cls(TPid, ID, rows)`: the first cell is the id, each row adds what `make` gives."""

    def add(found: Found, row: list[Any]) -> None:
        item = make(row)
        rows = found.get(row[0])
        if rows is None:
            found[intern(row[0])] = [item]
        else:
            rows.append(item)

    def finish(tpid: str, load_id: str, found: Found) -> Iterable[Any]:
        return (cls(tpid, name, rows) for name, rows in found.items())

    field = cls.__struct_fields__[2]
    return add, finish, lambda item: (cells(item.ID, row) for row in getattr(item, field))


def _rate_slots() -> tuple[Add, Finish, Cells]:
    """Slots that repeat are one object; which were seen is forgotten with each finished reading."""
    shared: dict[tuple[Any, ...], tp.RateSlot] = {}

    def make(row: list[Any]) -> tp.RateSlot:
        key = tuple(row[1:])
        slot = shared.get(key)
        if slot is None:
            for duration in row[3:]:
                parse_duration(duration)
            slot = shared[key] = tp.RateSlot(*key)
        return slot

    add, finish, cells = listed(
        tp.TPRate, make,
        lambda name, s: (name, s.ConnectFee, s.Rate, s.RateUnit, s.RateIncrement, s.GroupIntervalStart),
    )  # fmt: skip

    def forget(tpid: str, load_id: str, found: Found) -> Iterable[Any]:
        shared.clear()
        return finish(tpid, load_id, found)

    return add, forget, cells


def _timings() -> tuple[Add, Finish, Cells]:
    def add(found: Found, row: list[Any]) -> None:
        found[row[0]] = row

    def finish(tpid: str, load_id: str, found: Found) -> Iterable[Any]:
        return (tp.TPTiming(tpid, *row) for row in found.values())

    return add, finish, lambda t: [(t.ID, t.Years, t.Months, t.MonthDays, t.WeekDays, t.Time)]


def _rating_profiles() -> tuple[Add, Finish, Cells]:
    def add(found: Found, row: list[Any]) -> None:
        found.setdefault((row[0], row[1], row[2]), []).append(tp.RatingActivation(*row[3:]))

    def finish(tpid: str, load_id: str, found: Found) -> list[Any]:
        return [
            tp.TPRatingProfile(tpid, load_id, key[0], key[1], key[2], activations) for key, activations in found.items()
        ]

    def cells(p: tp.TPRatingProfile) -> Iterator[tuple[str, ...]]:
        for a in p.RatingPlanActivations:
            yield p.Tenant, p.Category, p.Subject, a.ActivationTime, a.RatingPlanId, a.FallbackSubjects

    return add, finish, cells


def _action(row: list[Any]) -> tp.ActionRow:
    return tp.ActionRow(
        Identifier=row[1], ExtraParameters=row[2], Filters=row[3], BalanceId=row[4], BalanceType=row[5], Categories=row[6],
        DestinationIds=row[7], RatingSubject=row[8], SharedGroups=row[9], ExpiryTime=row[10], TimingTags=row[11],
        Units=row[12], BalanceWeight=row[13], BalanceBlocker=row[14], BalanceDisabled=row[15], Weight=row[16],
    )  # fmt: skip


def _action_cells(name: str, a: tp.ActionRow) -> tuple[Any, ...]:
    return (
        name, a.Identifier, a.ExtraParameters, a.Filters, a.BalanceId, a.BalanceType, a.Categories, a.DestinationIds,
        a.RatingSubject, a.SharedGroups, a.ExpiryTime, a.TimingTags, a.Units, a.BalanceWeight, a.BalanceBlocker,
        a.BalanceDisabled, a.Weight,
    )  # fmt: skip


def _trigger(row: list[Any]) -> tp.ActionTriggerRow:
    return tp.ActionTriggerRow(
        Id=row[0], UniqueID=row[1], ThresholdType=row[2], ThresholdValue=row[3], Recurrent=row[4], MinSleep=row[5],
        ExpirationDate=row[6], ActivationDate=row[7], BalanceId=row[8], BalanceType=row[9], BalanceCategories=row[10],
        BalanceDestinationIds=row[11], BalanceRatingSubject=row[12], BalanceSharedGroups=row[13],
        BalanceExpirationDate=row[14], BalanceTimingTags=row[15], BalanceWeight=row[16], BalanceBlocker=row[17],
        BalanceDisabled=row[18], ActionsId=row[19], Weight=row[20],
    )  # fmt: skip


def _trigger_cells(name: str, t: tp.ActionTriggerRow) -> tuple[Any, ...]:
    return (
        name, t.UniqueID, t.ThresholdType, t.ThresholdValue, t.Recurrent, t.MinSleep, t.ExpirationDate, t.ActivationDate,
        t.BalanceId, t.BalanceType, t.BalanceCategories, t.BalanceDestinationIds, t.BalanceRatingSubject,
        t.BalanceSharedGroups, t.BalanceExpirationDate, t.BalanceTimingTags, t.BalanceWeight, t.BalanceBlocker,
        t.BalanceDisabled, t.ActionsId, t.Weight,
    )  # fmt: skip


def _account_actions() -> tuple[Add, Finish, Cells]:
    """Every row is an object of its own: an account that occurs twice is an error of the load."""

    def add(found: Found, row: list[Any]) -> None:
        found[str(len(found))] = row

    def finish(tpid: str, load_id: str, found: Found) -> Iterable[Any]:
        return (tp.TPAccountActions(tpid, load_id, *row) for row in found.values())

    def cells(a: tp.TPAccountActions) -> list[tuple[Any, ...]]:
        return [(a.Tenant, a.Account, a.ActionPlanId, a.ActionTriggersId, a.AllowNegative, a.Disabled)]

    return add, finish, cells


# --- the files of chapters 10 and 20 -----------------------------------------------------------------------------

DESTINATIONS = file_kind(
    "destination", "Destinations.csv", "DestinationMdl", "Id Prefix",
    listed(tp.TPDestination, lambda row: row[1], lambda name, prefix: (name, prefix)),
)  # fmt: skip
TIMINGS = file_kind(
    "timing", "Timings.csv", "TimingMdl", "Id Years Months MonthDays WeekDays Time", _timings()
)  # fmt: skip
RATES = file_kind(
    "rate", "Rates.csv", "RateMdl", "Id ConnectFee:float Rate:float RateUnit RateIncrement GroupIntervalStart",
    _rate_slots(),
)  # fmt: skip
DESTINATION_RATES = file_kind(
    "destination_rate", "DestinationRates.csv", "DestinationRateMdl",
    "Id DestinationId RatesId RoundingMethod RoundingDecimals:int MaxCost:float MaxCostStrategy",
    listed(
        tp.TPDestinationRate,
        lambda row: tp.DestinationRate(intern(row[1]), intern(row[2]), None, intern(row[3]), row[4], row[5], row[6]),
        lambda name, d: (
            name, d.DestinationId, d.RateId, d.RoundingMethod, d.RoundingDecimals, d.MaxCost, d.MaxCostStrategy,
        ),
    ),
)  # fmt: skip
RATING_PLANS = file_kind(
    "rating_plan", "RatingPlans.csv", "RatingPlanMdl", "Id DestinationRatesId TimingId Weight:float",
    listed(
        tp.TPRatingPlan, lambda row: tp.RatingPlanBinding(*row[1:]),
        lambda name, b: (name, b.DestinationRatesId, b.TimingId, b.Weight),
    ),
)  # fmt: skip
RATING_PROFILES = file_kind(
    "rating_profile", "RatingProfiles.csv", "RatingProfileMdl",
    "Tenant Category Subject ActivationTime RatingPlanId FallbackSubjects", _rating_profiles(),
)  # fmt: skip
SHARED_GROUPS = file_kind(
    "shared_group", "SharedGroups.csv", "SharedGroupMdl", "Id Account Strategy RatingSubject",
    listed(
        tp.TPSharedGroups, lambda row: tp.SharedGroupRow(*row[1:]),
        lambda name, g: (name, g.Account, g.Strategy, g.RatingSubject),
    ),
)  # fmt: skip
ACTIONS = file_kind(
    "actions", "Actions.csv", "ActionMdl",
    "ActionsId Action ExtraParameters Filter BalanceId BalanceType Categories DestinationIds RatingSubject SharedGroup"
    " ExpiryTime TimingIds Units BalanceWeight BalanceBlocker BalanceDisabled Weight:float",
    listed(tp.TPActions, _action, _action_cells),
)  # fmt: skip
ACTION_PLANS = file_kind(
    "action_plan", "ActionPlans.csv", "ActionPlanMdl", "Id ActionsId TimingId Weight:float",
    listed(
        tp.TPActionPlan, lambda row: tp.ActionTimingRow(*row[1:]),
        lambda name, t: (name, t.ActionsId, t.TimingId, t.Weight),
    ),
)  # fmt: skip
ACTION_TRIGGERS = file_kind(
    "action_trigger", "ActionTriggers.csv", "ActionTriggerMdl",
    "Tag UniqueId ThresholdType ThresholdValue:float Recurrent:bool MinSleep ExpiryTime ActivationTime BalanceTag"
    " BalanceType BalanceCategories BalanceDestinationIds BalanceRatingSubject BalanceSharedGroup BalanceExpiryTime"
    " BalanceTimingIds BalanceWeight BalanceBlocker BalanceDisabled ActionsId Weight:float",
    listed(tp.TPActionTriggers, _trigger, _trigger_cells),
)  # fmt: skip
ACCOUNT_ACTIONS = file_kind(
    "account_actions", "AccountActions.csv", "AccountActionMdl",
    "Tenant Account ActionPlanId ActionTriggersId AllowNegative:bool Disabled:bool", _account_actions(),
)  # fmt: skip
