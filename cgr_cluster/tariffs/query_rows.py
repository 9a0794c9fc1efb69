"""CSV rows of trends and rankings: Trends.csv, Rankings.csv (spec chapter 60, sections 3 and 4).

Several rows of one tenant and id make one profile: lists are united, Stored is true when a row says so, of the other values
the last that says something counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cgr_cluster.events.durations import parse_duration
from cgr_cluster.tariffs import tp_types as tp
from cgr_cluster.tariffs.profile_rows import split_list
from cgr_cluster.tariffs.rows import Add, Cells, FileKind, Finish, Found, file_kind


def _shape(type_of: type[Any], names: list[str]) -> tuple[Add, Finish, Cells]:
    """Rows whose cells are the members `names` of an object of the tariff plan store."""
    lists = {name for name in names if isinstance(getattr(type_of(), name), list)}

    def add(found: Found, row: list[Any]) -> None:
        values = dict(zip(names, row, strict=True))
        parse_duration(values.get("TTL", ""))  # a text that is none is the file's error, and the row says nothing
        key = f"{values['Tenant']}:{values['ID']}"
        held: dict[str, Any] = found.setdefault(key, {})
        for name, value in values.items():
            if name in lists:
                into = held.setdefault(name, [])
                into.extend(part for part in split_list(value) if part not in into)
            elif value or name not in held:
                held[name] = value

    def finish(tpid: str, load_id: str, found: Found) -> list[Any]:
        return [type_of(tpid, **held) for held in found.values()]

    def cells(item: Any) -> Iterator[tuple[Any, ...]]:
        yield tuple(";".join(getattr(item, name)) if name in lists else getattr(item, name) for name in names)

    return add, finish, cells


def _kind(name: str, file: str, model: str, type_of: type[Any], columns: str) -> FileKind:
    names = [column.partition(":")[0] for column in columns.split()]
    return file_kind(name, file, model, columns, _shape(type_of, names))


TRENDS = _kind(
    "trend", "Trends.csv", "TrendMdl", tp.TPTrendsProfile,
    "Tenant ID Schedule StatID Metrics TTL QueueLength:int MinItems:int CorrelationType Tolerance:float Stored:bool"
    " ThresholdIDs",
)  # fmt: skip
RANKINGS = _kind(
    "ranking", "Rankings.csv", "RankingMdl", tp.TPRankingProfile,
    "Tenant ID Schedule StatIDs MetricIDs Sorting SortingParameters Stored:bool ThresholdIDs",
)  # fmt: skip
