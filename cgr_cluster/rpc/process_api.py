"""Methods that are about the processes of the node: profiles, a crash, the end (spec chapter 70 §2).

Steps here act on the process that they run in and not on a shard: `everywhere` brings them to each worker, and they are
repeated without harm.
"""

from __future__ import annotations

from typing import Any

from cgr_cluster.engine.domain import Operation, Part, StepDef, Steps, everywhere, outside, step
from cgr_cluster.node import profiling
from cgr_cluster.rpc.errors import ApiError, require, server_error
from cgr_cluster.rpc.registry import Params, method, service

service("CoreSv1")
service("Responder")


class DirectoryArgs(Params, go="utils.DirectoryArgs"):
    DirPath: str = ""
    Tenant: str = ""
    APIOpts: dict[str, Any] | None = None


class MemoryProfilingParams(Params, go="cores.MemoryProfilingParams"):
    Tenant: str = ""
    DirPath: str = ""
    Interval: int = 0
    MaxFiles: int = 0
    UseTimestamp: bool = False
    APIOpts: dict[str, Any] | None = None


class TenantParams(Params, go="utils.TenantWithAPIOpts"):
    Tenant: str = ""
    APIOpts: dict[str, Any] | None = None


class PanicParams(Params, go="utils.PanicMessageArgs"):
    Tenant: str = ""
    APIOpts: dict[str, Any] | None = None
    Message: str = ""


# --- profiles ------------------------------------------------------------------------------------------------------


def _of_all(step_def: StepDef, *args: Any) -> Steps[list[Any]]:
    """The results of a step at each worker. Raises the first error."""
    results: list[Any] = yield everywhere(step_def, *args)
    for result in results:
        if isinstance(result, ApiError):
            raise result
    return results


@step("core.start_cpu_profiling", reads=True)
def start_cpu(part: Part, uid: str, folder: str) -> bool:
    try:
        return profiling.start_cpu(uid, folder)
    except ValueError as error:  # a debugger or the like is at work
        raise ApiError(f"start CPU profiling: {error}") from None


@step("core.stop_cpu_profiling", reads=True)
def stop_cpu(part: Part) -> tuple[str, str, bytes] | None:
    return profiling.stop_cpu()


@step("core.start_memory_profiling", reads=True)
def start_memory(part: Part, uid: str, folder: str, interval_ns: int, most: int, stamped: bool) -> bool:
    return profiling.start_memory(uid, folder, interval_ns, most, stamped)


@step("core.stop_memory_profiling", reads=True)
def stop_memory(part: Part) -> str | None:
    return profiling.stop_memory()


@method("CoreSv1.StartCPUProfiling")
def start_cpu_profiling(op: Operation, params: DirectoryArgs) -> Steps[str]:
    """Of all workers; the folder is made when it is not there. Files are written by the stop."""
    require(params, "DirPath")
    yield outside("write_folder", params.DirPath, {})
    started: list[bool] = yield from _of_all(start_cpu, op.uid, params.DirPath)
    if not all(started):
        raise ApiError("start CPU profiling: already started")
    return "OK"


@method("CoreSv1.StopCPUProfiling", deadline_s=None)
def stop_cpu_profiling(op: Operation, params: TenantParams) -> Steps[str]:
    """Write a file for each worker, which `pstats` reads."""
    stopped: list[tuple[str, str, bytes] | None] = yield from _of_all(stop_cpu)
    written = [one for one in stopped if one is not None]
    if not written:
        raise ApiError("stop CPU profiling: not started yet")
    for folder, name, data in written:
        yield outside("write_folder", folder, {name: data})
    return "OK"


@method("CoreSv1.StartMemoryProfiling")
def start_memory_profiling(op: Operation, params: MemoryProfilingParams) -> Steps[str]:
    """Of all workers: a file every `Interval` ns (0: 15 s, at least 1 s), `MaxFiles` of each kept (0: all)."""
    require(params, "DirPath")
    yield outside("write_folder", params.DirPath, {})
    started: list[bool] = yield from _of_all(
        start_memory, op.uid, params.DirPath, params.Interval, params.MaxFiles, params.UseTimestamp
    )
    if not all(started):
        raise ApiError("start memory profiling: already started")
    return "OK"


@method("CoreSv1.StopMemoryProfiling", deadline_s=None)
def stop_memory_profiling(op: Operation, params: TenantParams) -> Steps[str]:
    """Each worker writes a last file."""
    errors: list[str | None] = yield from _of_all(stop_memory)
    if all(error is None for error in errors):
        raise ApiError("stop memory profiling: not started yet")
    failed = next(filter(None, errors), "")
    if failed:
        raise server_error(failed)
    return "OK"


# --- the end -------------------------------------------------------------------------------------------------------


def _check_allowed(op: Operation, name: str, key: str) -> None:
    """Raise `SERVER_ERROR: ...` unless the section `cluster` of this node allows it."""
    if not op.generation.config("cluster").get(key):
        raise server_error(
            f"{name} is not allowed on this node; {key} in section cluster of its configuration allows it"
        )


@method("CoreSv1.Panic")
def panic(op: Operation, params: PanicParams) -> Steps[str]:
    """The worker that answers dies right after its answer, and is started again: a test aid."""
    _check_allowed(op, "CoreSv1.Panic", "allow_panic")
    yield outside("panic", params.Message)
    return "OK"


@method("Responder.Shutdown")
def shutdown(op: Operation, params: TenantParams) -> Steps[str]:
    """The node stops as at SIGTERM: what is under way ends first, this call too."""
    _check_allowed(op, "Responder.Shutdown", "allow_shutdown")
    yield outside("stop_node")
    return "Done!"
