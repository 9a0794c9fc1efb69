"""The `Balance` object of API methods (spec 20 §4): its keys, its forgiving values, its errors."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from cgr_cluster.accounts.types import IdSet
from cgr_cluster.accounts.zero_subject import ZERO_PREFIX
from cgr_cluster.actions.types import BalanceFilter, ValueFormula
from cgr_cluster.engine.domain import GenerationView
from cgr_cluster.events.amounts import nano_of
from cgr_cluster.events.durations import parse_go_duration
from cgr_cluster.events.instant import NS
from cgr_cluster.events.json_syntax import json_error
from cgr_cluster.events.nesting import read_json
from cgr_cluster.events.values import bool_of, float_of, parse_float, text_of, time_of
from cgr_cluster.rating.reference import StoredTiming
from cgr_cluster.rpc.errors import ApiError, not_found
from cgr_cluster.rpc.registry import Params

_TIME_ASC = "*time_asc"
_TIME_DESC = "*time_desc"
_YEAR_2050_S = 2_524_608_000  # 2050-01-01T00:00:00Z
_EMPTY_SET = "*zero"


def id_set(text: str) -> IdSet:
    """`A;B;!C` as a set; `*zero` as the whole text is the empty set (20 §1)."""
    if text == _EMPTY_SET:
        return {}
    found: IdSet = {}
    for part in text.split(";"):
        name = part.strip()
        if name.startswith("!"):
            found[name[1:]] = False
        elif name:
            found[name] = True
    return found


def set_of(value: Any) -> IdSet:
    """A set as text, and as GetAccount shows it (`{"A": true}`), or as a list of ids."""
    if isinstance(value, dict):
        return {str(name): included is not False for name, included in value.items()}
    if isinstance(value, list):
        return id_set(";".join(text_of(name) for name in value))
    return id_set(text_of(value))


def weight_of(value: Any, now_ns: int) -> float:
    """A weight: a number or its text, `*time_asc` (now) or `*time_desc` (seconds until 2050)."""
    if value == _TIME_ASC:
        return float(now_ns // NS)
    if value == _TIME_DESC:
        return float(_YEAR_2050_S - now_ns // NS)
    return float_of(value)


def value_of(value: Any) -> float | int:
    """An amount: a number, its text, or a duration as text, which counts its nanoseconds (`5m`)."""
    if isinstance(value, str):
        try:
            return parse_go_duration(value)
        except ApiError:
            return parse_float(value)
    return float_of(value)


def _factors(value: Any) -> dict[str, float]:
    """An object of numbers, or its JSON as text. Raises the errors of Go's reader."""
    if isinstance(value, str):
        wrong = json_error(value)
        if wrong:
            raise ApiError(wrong)
        try:
            value = read_json(value)
        except ValueError as error:
            raise ApiError(str(error)) from None
    if not isinstance(value, dict):
        raise ApiError(f"json: cannot unmarshal {_kind(value)} into Go value of type engine.ValueFactors")
    for factor in value.values():
        if _kind(factor) not in ("number", "string"):
            raise ApiError(f"json: cannot unmarshal {_kind(factor)} into Go value of type float64")
    return {str(name): float_of(factor) for name, factor in value.items()}


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    kinds: dict[type[Any], str] = {str: "string", int: "number", float: "number", list: "array", dict: "object"}
    return kinds.get(type(value), "null")


class FlatBalance(Params):
    """Members of a balance beside the account, as deployed clients of earlier versions send them."""

    BalanceUuid: Any = None
    BalanceId: Any = None
    ExpiryTime: Any = None
    RatingSubject: Any = None
    Categories: Any = None
    DestinationIds: Any = None
    TimingIds: Any = None
    Weight: Any = None
    SharedGroups: Any = None
    Blocker: Any = None
    Disabled: Any = None


_FLAT = {
    "BalanceUuid": "UUID", "BalanceId": "ID", "ExpiryTime": "ExpiryTime", "RatingSubject": "RatingSubject",
    "Categories": "Categories", "DestinationIds": "DestinationIDs", "TimingIds": "TimingIDs", "Weight": "Weight",
    "SharedGroups": "SharedGroups", "Blocker": "Blocker", "Disabled": "Disabled",
}  # fmt: skip


_KEYS = {name.lower(): name for name in (*_FLAT.values(), "Value", "Factors")}


def given_fields(flat: FlatBalance, balance: dict[str, Any] | None) -> dict[str, Any]:
    """What is given of a balance: the flat members, and over them the Balance object, its keys in any case. A null is not
    given."""
    given = {name: getattr(flat, old) for old, name in _FLAT.items()}
    for key, value in (balance or {}).items():
        name = _KEYS.get(key.lower())
        if name is not None and value is not None:
            given[name] = value
    return {name: value for name, value in given.items() if value is not None}


def read_balance(
    balance_type: str, value: float, fields: dict[str, Any] | None, now_ns: int, zone: str
) -> BalanceFilter:
    """The filter and template that BalanceType, the top-level Value (0: not given) and the Balance object make. Amounts
    are made positive; timings are not looked up yet. Unknown keys are ignored. Raises ApiError with the reading error of
    the first bad value."""
    given = fields or {}
    read: dict[str, Any] = {"type": balance_type}
    if "UUID" in given:
        read["uuid"] = text_of(given["UUID"])
    if "ID" in given:
        read["id"] = text_of(given["ID"])
    if "Value" in given:
        read["value"] = ValueFormula(static_nano=nano_of(abs(value_of(given["Value"]))))
    if value:
        read["value"] = ValueFormula(static_nano=nano_of(abs(value)))
    if "ExpiryTime" in given:
        read["expiration_date"] = time_of(given["ExpiryTime"], now_ns, zone)
    if "Weight" in given:
        read["weight"] = weight_of(given["Weight"], now_ns)
    if "DestinationIDs" in given:
        read["destination_ids"] = set_of(given["DestinationIDs"])
    if "RatingSubject" in given:
        subject = text_of(given["RatingSubject"])
        read["rating_subject"] = "" if subject == ZERO_PREFIX else subject
    if "Categories" in given:
        read["categories"] = set_of(given["Categories"])
    if "SharedGroups" in given:
        read["shared_groups"] = set_of(given["SharedGroups"])
    if "TimingIDs" in given:
        read["timing_ids"] = set_of(given["TimingIDs"])
    if "Disabled" in given:
        read["disabled"] = bool_of(given["Disabled"])
    if "Blocker" in given:
        read["blocker"] = bool_of(given["Blocker"])
    if "Factors" in given:
        read["factors"] = _factors(given["Factors"])
    return BalanceFilter(**read)


def with_timings(wanted: BalanceFilter, generation: GenerationView) -> BalanceFilter:
    """The filter with the timings that its TimingIDs name. Raises `NOT_FOUND` for an unknown one."""
    if not wanted.timing_ids:
        return wanted
    timings = []
    for timing_id in wanted.timing_ids:
        stored: StoredTiming | None = generation.get("timing", timing_id)
        if stored is None:
            raise not_found()
        timings.append(stored.timing)
    return replace(wanted, timings=tuple(timings))
