"""DispatcherProfiles.csv and DispatcherHosts.csv: rows, the objects they make, and back (spec chapter 70, section 7).

Several rows of one tenant and id make one profile. A list of parameters in a cell is `VALUE;NAME:VALUE`: one without a name is
kept under its place in the list.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cgr_cluster.dispatchers.types import DispatcherHost, DispatcherProfile, ProfileHost
from cgr_cluster.engine.domain import GenerationView
from cgr_cluster.events.durations import format_duration, parse_duration
from cgr_cluster.events.values import text_of
from cgr_cluster.filters.lists import check_references
from cgr_cluster.rpc.errors import missing
from cgr_cluster.tariffs import tp_types as tp
from cgr_cluster.tariffs.profile_rows import common_cells, draft_of, interval_text, split_list, unite
from cgr_cluster.tariffs.profiles import interval_of
from cgr_cluster.tariffs.rows import Add, Cells, Finish, Found, file_kind


def _profiles() -> tuple[Add, Finish, Cells]:
    """Each row with a ConnID is about that host, whose weight and blocker are those of its first row; lists are united or
    go on, of the other values the last that says something counts."""

    def add(found: Found, row: list[Any]) -> None:
        subsystems, filter_ids, interval, strategy, parameters, *of_host, weight = row[2:]
        draft = draft_of(found, row)
        common_cells(draft, filter_ids, interval, weight)
        unite(draft.values.setdefault("subsystems", []), split_list(subsystems))
        draft.values["strategy"] = strategy or draft.values.get("strategy", "")
        draft.values.setdefault("parameters", []).extend(split_list(parameters))
        host_id, host_filters, host_weight, blocker, host_parameters = of_host
        if not host_id:
            return
        host = next((host for host in draft.parts if host_id == host.ID), None)
        if host is None:
            host = tp.TPDispatcherHostProfile(host_id, [], host_weight, [], blocker)
            draft.parts.append(host)
        unite(host.FilterIDs, split_list(host_filters))
        host.Params.extend(split_list(host_parameters))

    def finish(tpid: str, load_id: str, found: Found) -> list[Any]:
        return [
            tp.TPDispatcherProfile(
                tpid, d.tenant, d.id, d.values["subsystems"], d.filter_ids, d.interval, d.values["strategy"],
                d.values["parameters"], d.weight, d.parts,
            )
            for d in found.values()
        ]  # fmt: skip

    def cells(p: tp.TPDispatcherProfile) -> Iterator[tuple[Any, ...]]:
        head: tuple[str, ...] = (
            ";".join(p.Subsystems), ";".join(p.FilterIDs), interval_text(p.ActivationInterval), p.Strategy,
            _cell(p.StrategyParams),
        )  # fmt: skip
        weight: Any = p.Weight
        for host in p.Hosts or [tp.TPDispatcherHostProfile()]:
            own = (host.ID, ";".join(host.FilterIDs), host.Weight, host.Blocker, _cell(host.Params))
            yield p.Tenant, p.ID, *head, *own, weight
            head, weight = ("", "", "", "", ""), ""

    return add, finish, cells


def _cell(parameters: list[Any]) -> str:
    return ";".join(map(text_of, parameters))


_DURATIONS = ("MaxReconnectInterval", "ConnectTimeout", "ReplyTimeout")


def _hosts() -> tuple[Add, Finish, Cells]:
    """A row without an address says nothing; of several the last counts."""

    def add(found: Found, row: list[Any]) -> None:
        values = dict(zip(HOST_COLUMNS, row, strict=True))
        for name in _DURATIONS:
            values[name] = parse_duration(values[name])  # a text that is none is the file's error
        tenant, host_id = values.pop("Tenant"), values.pop("ID")
        if values["Address"]:
            found[f"{tenant}:{host_id}"] = tenant, host_id, tp.TPDispatcherHostConn(**values)

    def finish(tpid: str, load_id: str, found: Found) -> list[Any]:
        return [tp.TPDispatcherHost(tpid, *host) for host in found.values()]

    def cells(h: tp.TPDispatcherHost) -> Iterator[tuple[Any, ...]]:
        conn = h.Conn or tp.TPDispatcherHostConn()
        yield (
            h.Tenant,
            h.ID,
            *(
                format_duration(getattr(conn, name)) if name in _DURATIONS else getattr(conn, name)
                for name in HOST_COLUMNS[2:]
            ),
        )

    return add, finish, cells


DISPATCHER_PROFILES = file_kind(
    "dispatcher_profile", "DispatcherProfiles.csv", "DispatcherProfileMdl",
    "Tenant ID Subsystems FilterIDs ActivationInterval Strategy StrategyParameters ConnID ConnFilterIDs ConnWeight:float"
    " ConnBlocker:bool ConnParameters Weight:float",
    _profiles(),
)  # fmt: skip
_HOST_CELLS = (
    "Tenant ID Address Transport ConnectAttempts:int Reconnects:int MaxReconnectInterval ConnectTimeout ReplyTimeout"
    " TLS:bool ClientKey ClientCertificate CaCertificate"
)
HOST_COLUMNS = [column.partition(":")[0] for column in _HOST_CELLS.split()]
DISPATCHER_HOSTS = file_kind("dispatcher_host", "DispatcherHosts.csv", "DispatcherHostMdl", _HOST_CELLS, _hosts())


# --- rows and objects ----------------------------------------------------------------------------------------------


def dispatcher_profile_of(
    row: tp.TPDispatcherProfile, generation: GenerationView, now_ns: int, zone: str
) -> DispatcherProfile:
    """Raises ApiError for a missing or broken filter of the profile."""
    if not row.ID:
        raise missing(["ID"])
    interval = interval_of(row.ActivationInterval, now_ns, zone)
    check_references(generation, row.Tenant, row.ID, row.FilterIDs)
    hosts = tuple(
        ProfileHost(one.ID, tuple(one.FilterIDs), one.Weight, _named(one.Params), one.Blocker) for one in row.Hosts
    )
    return DispatcherProfile(
        row.Tenant, row.ID, tuple(row.Subsystems), tuple(row.FilterIDs), interval, row.Strategy,
        _named(row.StrategyParams), row.Weight, hosts,
    )  # fmt: skip


def _named(parameters: list[Any]) -> dict[str, Any]:
    """`NAME:VALUE` under its name, anything else under its place; empty texts say nothing."""
    found: dict[str, Any] = {}
    for place, parameter in enumerate(parameters):
        name, colon, value = parameter.partition(":") if isinstance(parameter, str) else ("", "", None)
        if colon:
            found[name] = value
        elif parameter != "":
            found[str(place)] = parameter
    return found


def dispatcher_host_of(row: tp.TPDispatcherHost) -> DispatcherHost:
    if not row.ID:
        raise missing(["ID"])
    conn = row.Conn or tp.TPDispatcherHostConn()
    return DispatcherHost(
        row.Tenant, row.ID, conn.Address, conn.Transport, conn.ConnectAttempts, conn.Reconnects, conn.MaxReconnectInterval,
        conn.ConnectTimeout, conn.ReplyTimeout, conn.TLS, conn.ClientKey, conn.ClientCertificate, conn.CaCertificate,
    )  # fmt: skip


def _listed(parameters: dict[str, Any] | None) -> list[Any]:
    """The list that makes these parameters."""
    places = [(parameters or {}).get(str(place), "") for place in range(len(parameters or {}))]
    named = [f"{name}:{text_of(value)}" for name, value in (parameters or {}).items() if not name.isdecimal()]
    while places and places[-1] == "":
        places.pop()
    return [*places, *named]


def profile_row(p: DispatcherProfile, interval: tp.TPActivationInterval | None) -> tp.TPDispatcherProfile:
    hosts = [
        tp.TPDispatcherHostProfile(one.id, list(one.filter_ids), one.weight, _listed(one.params), one.blocker)
        for one in p.hosts or ()
    ]
    return tp.TPDispatcherProfile(
        "", p.tenant, p.id, list(p.subsystems), list(p.filter_ids), interval, p.strategy, _listed(p.strategy_params),
        p.weight, hosts,
    )  # fmt: skip


def host_row(h: DispatcherHost) -> tp.TPDispatcherHost:
    conn = tp.TPDispatcherHostConn(
        h.address, h.transport, h.connect_attempts, h.reconnects, h.max_reconnect_interval_ns, h.connect_timeout_ns,
        h.reply_timeout_ns, h.tls, h.client_key, h.client_certificate, h.ca_certificate,
    )  # fmt: skip
    return tp.TPDispatcherHost("", h.tenant, h.id, conn)
