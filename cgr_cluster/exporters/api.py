"""EeSv1, and the methods that export stored CDRs and replay failed posts (spec 40 §7)."""

from __future__ import annotations

import logging
from typing import Any

from cgr_cluster.cdrs.conversion import defaults_of, event_of_cdr
from cgr_cluster.cdrs.filters import RPCCDRsFilter, selection_of
from cgr_cluster.cdrs.query_api import selected
from cgr_cluster.engine.domain import Operation, Steps, invoke, outside, sleep
from cgr_cluster.events.event import CGREvent
from cgr_cluster.events.instant import Instant
from cgr_cluster.events.values import json_text
from cgr_cluster.exporters import rules as rules  # registers what must hold in the configuration
from cgr_cluster.exporters.failed import FailedPost
from cgr_cluster.exporters.many import process_events
from cgr_cluster.exporters.process import NOT_CONNECTED, SECOND_NS, VERBOSE, Metrics, process_event
from cgr_cluster.exporters.settings import NONE, ees_settings
from cgr_cluster.rpc.errors import ApiError, missing, not_found, partially_executed
from cgr_cluster.rpc.owners import event
from cgr_cluster.rpc.registry import Params, method, service

logger = logging.getLogger("cgr_cluster.exporters")

service("EeSv1", section="ees")


class CGREventWithEeIDs(Params, go="engine.CGREventWithEeIDs"):
    EeIDs: list[str] | None = None
    Tenant: str = ""
    ID: str = ""
    Time: Instant | None = None
    Event: dict[str, Any] | None = None
    APIOpts: dict[str, Any] | None = None


@method("EeSv1.ProcessEvent", owner=event(), changes=True)
def ees_process_event(op: Operation, params: CGREventWithEeIDs) -> Steps[dict[str, Metrics]]:
    if params.Event is None:
        raise missing(["Event"])
    asked = CGREvent(op.tenant(params.Tenant), params.ID, params.Time, params.Event, params.APIOpts or {})
    return (yield from process_event(op, asked, params.EeIDs or ()))


class ResetMetricsParams(Params, go="ees.V1ResetExporterMetricsParams"):
    Tenant: str = ""
    ID: str = ""
    ExporterID: str = ""
    APIOpts: dict[str, Any] | None = None


@method("EeSv1.ResetExporterMetrics")
def reset_exporter_metrics(op: Operation, params: ResetMetricsParams) -> Steps[str]:
    """Raises `NOT_FOUND` for an exporter that does not live."""
    yield outside("ees.reset", params.ExporterID)
    return "OK"


class ArgExportCDRs(RPCCDRsFilter, go="utils.ArgExportCDRs"):
    ExporterIDs: list[str] | None = None
    Verbose: bool = False


@method("APIerSv1.ExportCDRs", changes=True, deadline_s=None)
def export_cdrs(op: Operation, params: ArgExportCDRs) -> Steps[dict[str, Metrics]]:
    """The metrics after the last record."""
    if not op.generation.config("apiers").get("ees_conns"):
        raise NOT_CONNECTED
    rows = yield from selected(selection_of(params, op.now_ns, defaults_of(op.generation).timezone))
    if not rows:
        raise not_found()
    opts = {VERBOSE: True} if params.Verbose else {}
    asked = [CGREvent(row.cdr.tenant, op.new_uuid(), None, event_of_cdr(row.cdr), opts) for row in rows]
    answer, whole = yield from process_events(op, asked, params.ExporterIDs or ())
    if not whole:
        raise partially_executed()
    return answer


# --- failed posts -------------------------------------------------------------------------------------------------


class ReplayParams(Params, go="v1.ReplayFailedPostsParams"):
    SourcePath: str = ""
    FailedPath: str = ""
    Modules: list[str] | None = None


@method("APIerSv1.ReplayFailedPosts", changes=True, deadline_s=None)
def replay_failed_posts(op: Operation, params: ReplayParams) -> Steps[str]:
    """Send what is in the files again; what fails again goes to a file of the same name in FailedPath."""
    settings = ees_settings(op.generation)
    source = params.SourcePath or settings.failed_dir
    target = "" if params.FailedPath == NONE else params.FailedPath or source
    names: list[str] = yield outside("ees.post_files", source, list(params.Modules or ()), returns=list[str])
    for name in names:
        posts: list[FailedPost] = yield outside("ees.read_posts", source, name, returns=list[FailedPost])
        failed = []
        for post in posts:
            error = yield from _sent_again(op, post)
            if error:
                logger.warning("failed post of exporter %s in %s: %s", post.exporter, name, error)
                failed.append(post)
        yield outside("ees.replace_posts", source, name, target, failed)
    return "OK"


def _sent_again(op: Operation, post: FailedPost) -> Steps[str]:
    """Attempts as the exporter has; the last error, "" when it has arrived."""
    exporter = ees_settings(op.generation).of_id(post.exporter)
    attempts = 1 if exporter is None else exporter.attempts
    pause, following = 1, 1
    for number in range(1, attempts + 1):
        try:
            if post.type == "*rpc" and not post.address:
                yield invoke(post.method, json_text(post.payload.params).encode())
            else:
                yield outside("ees.post", post)
            return ""
        except ApiError as error:
            text = error.text or "UNKNOWN_ERROR"
        if number < attempts:
            yield sleep(pause * SECOND_NS)
            pause, following = following, pause + following
    return text
