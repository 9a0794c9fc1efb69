"""ErSv1 (spec 40 §9)."""

from __future__ import annotations

from typing import Any

from cgr_cluster.engine.domain import Operation, Steps, sleep
from cgr_cluster.readers import scans as scans  # its tasks and timers
from cgr_cluster.readers.files import SUFFIXES
from cgr_cluster.readers.scans import scan_once
from cgr_cluster.readers.settings import reader_settings
from cgr_cluster.rpc.errors import ApiError, not_found
from cgr_cluster.rpc.registry import Params, method, service

service("ErSv1", section="ers")

TRY_AGAIN_NS = 100_000_000  # while another run of the reader is under way


class RunReaderParams(Params, go="ers.V1RunReaderParams"):
    Tenant: str = ""
    ID: str = ""
    ReaderID: str = ""
    APIOpts: dict[str, Any] | None = None


@method("ErSv1.RunReader", changes=True, deadline_s=None)
def run_reader(op: Operation, params: RunReaderParams) -> Steps[str]:
    """Read the folder once. Answered when its files are read and their events processed."""
    reader = reader_settings(op.generation).readers.get(params.ReaderID)
    if reader is None:
        raise not_found()
    if not reader.by_request_only:
        raise ApiError("readers with RunDelay different from 0 are not supported")
    if reader.type not in SUFFIXES:
        raise ApiError("reader type does not yet support manual processing")
    while not (yield from scan_once(reader)):
        yield sleep(TRY_AGAIN_NS)
    return "OK"
