"""The `*dynamic_*` family: a threshold's event makes an object (spec 20 §5.3).

ExtraParameters are the columns of the object's CSV file, separated by `;`, lists in them by `&`. Values may be `~*req.Field`
or `~*opts.*opt` of the event, `*tenant`, `*now`, or have such paths inside `<...>` (several joined by `+`). The columns
become the parameters of the method that sets such an object, and the method does the rest: so one line of DYNAMIC is all
there is to an object.

A column is NAME or NAME:KIND. NAME is a member of the parameters, `A[].B` a member of the only element of list A. Kinds:
`list`, `int`, `float`, `bool`, `duration`, `interval`, `opts`, `time`; `raw` where only `<...>` is read. An empty column
is left out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from cgr_cluster.actions.calling_types import connected, encode, pairs
from cgr_cluster.actions.calls import MethodCall
from cgr_cluster.actions.schedule import PREDEFINED
from cgr_cluster.actions.types import Action
from cgr_cluster.events.durations import parse_duration
from cgr_cluster.events.instant import ZERO, Instant
from cgr_cluster.events.times import format_instant, parse_time
from cgr_cluster.events.values import parse_bool, parse_float, parse_int, text_of
from cgr_cluster.filters.paths import MISSING, compile_value
from cgr_cluster.filters.view import View
from cgr_cluster.rating.reference import StoredTiming
from cgr_cluster.rpc.errors import ApiError, not_found

if TYPE_CHECKING:
    from cgr_cluster.actions.execute import Run

Params = dict[str, Any]
ENCAPSULATED = "\f"  # around a column that has `;` inside

_NEVER = format_instant(ZERO)


class Column(msgspec.Struct, frozen=True, gc=False):
    name: str
    kind: str


class Dynamic(msgspec.Struct, frozen=True, gc=False):
    """`subsystem`: the name in the error while the method is not built. `finish` makes the parameters fit the method."""

    method: str
    subsystem: str
    columns: tuple[Column, ...]
    finish: Callable[[Run, Params], Params]


def run_dynamic(run: Run, action: Action, place: int) -> None:
    """One action of the family. Raises ApiError for what cannot be read, and what the method answers."""
    wanted = DYNAMIC[action.action_type]
    if run.event is None:
        raise ApiError(f"{action.action_type} needs the event of a threshold")
    connected(run, "thresholds", "apiers_conns", "ApierS")
    cells = split_columns(action.extra_parameters)
    if len(cells) != len(wanted.columns):
        raise ApiError(f"invalid number of parameters <{len(cells)}> expected {len(wanted.columns)}")
    event = run.event
    view = View(run.part.generation, run.part.now_ns, event.tenant, event.event, event.opts, tenant_path=True)
    params: Params = {}
    for column, cell in zip(wanted.columns, cells, strict=True):
        _put(params, column, [_value(part, view, column.kind == "raw") for part in cell.split("&")], run)
    run.called(place, MethodCall(wanted.method, encode(wanted.finish(run, params)), wanted.subsystem))


def split_columns(text: str) -> list[str]:
    """The columns: separated by `;`, but not between two form feeds, which are dropped."""
    columns = [""]
    for place, piece in enumerate(text.split(ENCAPSULATED)):
        if place % 2:
            columns[-1] += piece
        else:
            first, *more = piece.split(";")
            columns[-1] += first
            columns += more
    return columns


# --- values ------------------------------------------------------------------------------------------------------


def _value(text: str, view: View, raw: bool) -> str:
    """A part of a column with what it names in the event. Raises `NOT_FOUND` for what is not there."""
    if not raw:
        if text.startswith(("~*req.", "~*opts")):
            return _read(text, view)
        if text in ("*now", "*tenant"):
            return _read(text, view)
    before, opening, rest = text.partition("<")
    if not opening:
        return text
    inside, closing, after = rest.partition(">")
    if not closing:
        raise ApiError("WRONG_PATH")
    return before + "".join(_read(path, view) for path in inside.split("+")) + _value(after, view, True)


def _read(path: str, view: View) -> str:
    if path == "*now":
        return format_instant(Instant.of(view.now_ns))
    if path == "*tenant":
        return view.tenant
    found = compile_value(path).read(view)
    if found is MISSING:
        raise not_found()
    return text_of(found)


def _put(params: Params, column: Column, parts: list[str], run: Run) -> None:
    """Set the member of `params` that the column is."""
    text = "&".join(parts)
    if column.kind == "interval":
        value: Any = _interval(parts)
    elif not text:
        return
    elif column.kind == "list":
        value = parts
    elif column.kind == "texts":
        value = ";".join(parts)
    else:
        value = _READERS[column.kind](text, run)
    outer, inside, name = column.name.rpartition("[].")
    if inside:
        params.setdefault(outer, [{}])[0][name] = value
    else:
        params[name] = value


def _interval(parts: list[str]) -> Params:
    """`START&END`, both RFC 3339."""
    if len(parts) > 2:
        raise ApiError("UNSUPPORTED_FORMAT")
    start, end = (*parts, "")[:2]
    return {"ActivationTime": start or _NEVER, "ExpiryTime": (start and end) or _NEVER}


def _time(text: str, run: Run) -> str:
    return format_instant(parse_time(text, run.part.now_ns, run.zone))


_READERS: dict[str, Callable[[str, Any], Any]] = {
    "": lambda text, run: text,
    "raw": lambda text, run: text,
    "int": lambda text, run: parse_int(text, "Atoi"),
    "float": lambda text, run: parse_float(text),
    "bool": lambda text, run: parse_bool(text),
    "duration": lambda text, run: parse_duration(text),
    "opts": lambda text, run: pairs(text),
    "time": _time,
}


# --- what does not fit as it is ----------------------------------------------------------------------------------


def _as_it_is(run: Run, params: Params) -> Params:
    return params


def _metrics(run: Run, params: Params) -> Params:
    """Every metric gets all filters."""
    filters = params.pop("MetricFilterIDs", None)
    params["Metrics"] = [{"MetricID": metric, "FilterIDs": filters} for metric in params.get("Metrics", ())]
    return params


def _attribute(run: Run, params: Params) -> Params:
    """Without Path there is no attribute; its Value is a list of rules."""
    attribute = params.pop("Attributes", [{}])[0]
    if attribute.get("Path"):
        attribute["Value"] = [{"Rules": rule} for rule in attribute.get("Value", ())]
        params["Attributes"] = [attribute]
    return params


def _plan(run: Run, params: Params) -> Params:
    """The timing named, predefined or stored, becomes the parts that SetActionPlan takes."""
    row = params.setdefault("ActionPlan", [{}])[0]
    if not row.get("ActionsId"):
        raise ApiError(f"empty ActionsId for <{params.get('Id', '')}> dynamic_action_plan")
    timing_id = row.get("TimingID", "")
    stored: StoredTiming | None = run.part.generation.get("timing", timing_id) if timing_id else None
    if timing_id in PREDEFINED and timing_id != "*any":
        row["Time"] = timing_id
    elif stored is not None:
        timing = stored.timing
        for name, numbers in (
            ("Years", timing.years), ("Months", timing.months), ("MonthDays", timing.month_days),
            ("WeekDays", timing.week_days),
        ):  # fmt: skip
            row[name] = ";".join(map(str, numbers))
        row["Time"] = timing.start_time
    elif timing_id == "*any":
        row["Time"] = "00:00:00"
    elif timing_id:
        raise not_found()
    params["ReloadScheduler"] = True
    return params


def _action(run: Run, params: Params) -> Params:
    if not params.get("ActionsId"):
        raise ApiError("empty ActionsId for dynamic_action")
    if not params.get("Actions", [{}])[0].get("Identifier"):
        raise ApiError(f"empty Action for <{params['ActionsId']}> dynamic_action")
    return params


# --- the table ---------------------------------------------------------------------------------------------------


def _dynamic(method: str, subsystem: str, columns: str, finish: Callable[[Run, Params], Params] = _as_it_is) -> Dynamic:
    found = (column.partition(":") for column in columns.split())
    return Dynamic(f"APIerSv{method}", subsystem, tuple(Column(name, kind) for name, _, kind in found), finish)


DYNAMIC: dict[str, Dynamic] = {
    "*dynamic_threshold": _dynamic(
        "1.SetThresholdProfile", "ThresholdS",
        "Tenant ID FilterIDs:list ActivationInterval:interval MaxHits:int MinHits:int MinSleep:duration Blocker:bool"
        " Weight:float ActionIDs:list Async:bool EeIDs:list APIOpts:opts",
    ),
    "*dynamic_stats": _dynamic(
        "1.SetStatQueueProfile", "StatS",
        "Tenant ID FilterIDs:list ActivationInterval:interval QueueLength:int TTL:duration MinItems:int Metrics:list"
        " MetricFilterIDs:list Stored:bool Blocker:bool Weight:float ThresholdIDs:list APIOpts:opts",
        _metrics,
    ),
    "*dynamic_attribute": _dynamic(
        "1.SetAttributeProfile", "AttributeS",
        "Tenant ID Contexts:list FilterIDs:list ActivationInterval:interval Attributes[].FilterIDs:list Attributes[].Path"
        " Attributes[].Type Attributes[].Value:list Blocker:bool Weight:float APIOpts:opts",
        _attribute,
    ),
    "*dynamic_action_plan": _dynamic(
        "1.SetActionPlan", "ApierS",
        "Id ActionPlan[].ActionsId ActionPlan[].TimingID ActionPlan[].Weight:float Overwrite:bool",
        _plan,
    ),
    "*dynamic_action_plan_accounts": _dynamic(
        "1.SetActionPlanAccounts", "ApierS",
        "Id ActionPlan[].ActionsId ActionPlan[].TimingID ActionPlan[].Weight:float Overwrite:bool AccountIDs:list",
        _plan,
    ),
    "*dynamic_action": _dynamic(
        "2.SetActions", "ApierS",
        "ActionsId Actions[].Identifier Actions[].ExtraParameters Actions[].Filters:texts Actions[].BalanceId"
        " Actions[].BalanceType Actions[].Categories:texts Actions[].DestinationIds:texts Actions[].RatingSubject"
        " Actions[].SharedGroups:texts Actions[].ExpiryTime Actions[].TimingTags:texts Actions[].Units"
        " Actions[].BalanceWeight Actions[].BalanceBlocker Actions[].BalanceDisabled Actions[].Weight:float Overwrite:bool",
        _action,
    ),
    "*dynamic_destination": _dynamic("1.SetDestination", "ApierS", "Id Prefixes:list"),
    "*dynamic_filter": _dynamic(
        "1.SetFilter", "ApierS",
        "Tenant ID Rules[].Type Rules[].Element:raw Rules[].Values:list ActivationInterval:interval APIOpts:opts",
    ),
    "*dynamic_route": _dynamic(
        "1.SetRouteProfile", "RouteS",
        "Tenant ID FilterIDs:list ActivationInterval:interval Sorting SortingParameters:list Routes[].ID"
        " Routes[].FilterIDs:list Routes[].AccountIDs:list Routes[].RatingPlanIDs:list Routes[].ResourceIDs:list"
        " Routes[].StatIDs:list Routes[].Weight:float Routes[].Blocker:bool Routes[].RouteParameters Weight:float"
        " APIOpts:opts",
    ),
    "*dynamic_ranking": _dynamic(
        "1.SetRankingProfile", "RankingS",
        "Tenant ID Schedule StatIDs:list MetricIDs:list Sorting SortingParameters:list Stored:bool ThresholdIDs:list"
        " APIOpts:opts",
    ),
    "*dynamic_rating_profile": _dynamic(
        "1.SetRatingProfile", "ApierS",
        "Tenant Category Subject RatingPlanActivations[].ActivationTime:raw RatingPlanActivations[].RatingPlanId"
        " RatingPlanActivations[].FallbackSubjects:texts APIOpts:opts",
    ),
    "*dynamic_trend": _dynamic(
        "1.SetTrendProfile", "TrendS",
        "Tenant ID Schedule StatID Metrics:list TTL:duration QueueLength:int MinItems:int CorrelationType Tolerance:float"
        " Stored:bool ThresholdIDs:list APIOpts:opts",
    ),
    "*dynamic_resource": _dynamic(
        "1.SetResourceProfile", "ResourceS",
        "Tenant ID FilterIDs:list ActivationInterval:interval UsageTTL:duration Limit:float AllocationMessage Blocker:bool"
        " Stored:bool Weight:float ThresholdIDs:list APIOpts:opts",
    ),
    "*dynamic_action_trigger": _dynamic(
        "1.SetActionTrigger", "ApierS",
        "GroupID UniqueID ThresholdType ThresholdValue:float Recurrent:bool MinSleep:duration ExpirationDate:time"
        " ActivationDate:time BalanceID BalanceType BalanceCategories:list BalanceDestinationIds:list BalanceRatingSubject"
        " BalanceSharedGroups:list BalanceExpirationDate:time BalanceTimingTags:list BalanceWeight:float"
        " BalanceBlocker:bool BalanceDisabled:bool ActionsID Weight:float",
        lambda run, params: {
            "GroupID": params.pop("GroupID", ""), "UniqueID": params.pop("UniqueID", ""), "ActionTrigger": params,
        },
    ),
}  # fmt: skip
