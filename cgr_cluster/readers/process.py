"""An event of a reader goes to SessionS, as a client's call would, and what comes of it to exporters, statistic queues and
thresholds (spec 40 §9). Its errors are logged; nothing is tried again, as with a client that sends a call once.
"""

from __future__ import annotations

import json
import logging
from typing import Any

from cgr_cluster.engine.domain import Steps, invoke, outside
from cgr_cluster.events.times import format_instant, in_zone
from cgr_cluster.readers.session_calls import (
    CDRS,
    DRY_RUN,
    MESSAGE,
    METHODS,
    action_of,
    call_params,
    event_params,
    ids_of,
)
from cgr_cluster.readers.settings import Reader, ReaderSettings
from cgr_cluster.readers.types import ReaderEvent
from cgr_cluster.rpc.errors import ApiError

logger = logging.getLogger("cgr_cluster.readers")

_STATES = {
    "*authorize": "ERR_AUTHORIZE", "*initiate": "ERR_INITIATE", "*update": "ERR_UPDATE", "*terminate": "ERR_TERMINATE",
    MESSAGE: "ERR_MESSAGE", "*event": "ERR_EVENT", CDRS: "ERR_CDRS",
}  # fmt: skip
_STATS, _THRESHOLDS = "*ersStats", "*ersThresholds"


def process_event(settings: ReaderSettings, reader: Reader, event: ReaderEvent) -> Steps[None]:
    """Do what the reader's flags say with an event."""
    reports = reader.flags.present(_STATS) or reader.flags.present(_THRESHOLDS)
    start_ns = (yield outside("clock")) if reports else 0
    if reader.flags.present("*log") or reader.flags.present(DRY_RUN):
        logger.info("reader %s, event %s: %s", reader.id, event.id, json.dumps(event_params(event)))
    state = yield from _handed_on(settings, reader, event)
    yield from _export_raw(reader, event, state == "OK")
    if reports:
        end_ns = yield outside("clock")
        yield from _report(settings, reader, event, state, start_ns, end_ns)


def _handed_on(settings: ReaderSettings, reader: Reader, event: ReaderEvent) -> Steps[str]:
    """Call SessionS. `OK`, or which call has failed."""
    state = "ERR_EVENT"
    try:
        action = action_of(reader.flags)
        state = _STATES.get(action, "OK")
        if action == DRY_RUN:
            return "OK"
        calls = action in METHODS
        wants_cdr = reader.flags.on(CDRS)
        if (calls or wants_cdr) and not settings.sessions_connected:
            raise ApiError("NOT_CONNECTED: SessionS")
        if calls:
            params = call_params(action, reader.flags, reader.flag_texts, event)
            yield from _session_call(action, params, event)
        if wants_cdr:
            state = _STATES[CDRS]
            yield invoke("SessionSv1.ProcessCDR", _encoded(event_params(event)))
    except ApiError as error:
        logger.warning("reader %s, event %s of %s: %s", reader.id, event.id, event.event.get("OriginID"), error.text)
        return state
    return "OK"


def _session_call(action: str, params: dict[str, Any], event: ReaderEvent) -> Steps[None]:
    """The call of an action; after a message the event's usage is what was debited."""
    try:
        answer = yield invoke(METHODS[action], _encoded(params))
    except ApiError as error:
        if action == MESSAGE and error.text.startswith("RALS_ERROR"):
            event.event = {**event.event, "Usage": 0}
        raise
    if action == MESSAGE and params["Debit"]:
        event.event = {**event.event, "Usage": answer.get("MaxUsage", 0)}


def _export_raw(reader: Reader, event: ReaderEvent, succeeded: bool) -> Steps[None]:
    """The raw record to the exporters for what came of it."""
    ids = reader.success_ids if succeeded else reader.failed_ids
    if not ids:
        return
    params = {**event_params(event), "Event": event.raw or event.event, "APIOpts": {}, "EeIDs": list(ids)}
    try:
        yield invoke("EeSv1.ProcessEvent", _encoded(params))
    except ApiError as error:
        logger.error("reader %s, raw record of event %s to exporters %s: %s", reader.id, event.id, ids, error.text)


def _report(
    settings: ReaderSettings, reader: Reader, event: ReaderEvent, state: str, start_ns: int, end_ns: int
) -> Steps[None]:
    """The performance event."""
    fields = {
        "ReplyState": state,
        "StartTime": format_instant(in_zone(start_ns, "UTC")),
        "EndTime": format_instant(in_zone(end_ns, "UTC")),
        "ProcessingTime": end_ns - start_ns,
        "Source": "ERs",
        "EventReaderID": reader.id,
    }
    opts = {"*eventType": "PerformanceReport"}
    for flag, method, option, connected in (
        (_STATS, "StatSv1.ProcessEvent", "*stsProfileIDs", settings.stats_connected),
        (_THRESHOLDS, "ThresholdSv1.ProcessEvent", "*thdProfileIDs", settings.thresholds_connected),
    ):
        ids = ids_of(reader.flags, flag)
        if not ids:
            continue
        params = {"Tenant": event.tenant, "ID": event.id, "Event": fields, "APIOpts": {**opts, option: ids}}
        try:
            if not connected:
                raise ApiError(f"NOT_CONNECTED: {method.partition('v1')[0]}")
            yield invoke(method, _encoded(params))
        except ApiError as error:
            if error.text != "NOT_FOUND":  # none of them takes it
                logger.warning("reader %s, performance of event %s: %s", reader.id, event.id, error.text)


def _encoded(params: dict[str, Any]) -> bytes:
    return json.dumps(params).encode()
