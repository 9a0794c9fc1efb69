"""The supervisor: starts the processes of a node, restarts what dies, stops them in order (design 11, 12).

    python -m workers.supervisor [--workers N] [--data-dir D | --ephemeral] [--port-base P] [--config FILE] ...

It is a single-threaded process without a loop and without sockets, so that it may fork for its whole life: it imports
everything once, freezes the collector, and forks each child at start and at every restart. SIGTERM or SIGINT stop the
node: balancer first, then the workers, the edge, the store, the folder, the log. A child that ends unasked is started again, at
once the first time, then with growing pauses. When the supervisor itself is killed its children end.
"""

from __future__ import annotations

import argparse
import gc
import logging
import os
import select
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from cgr_cluster.cluster.shard_map import MAX_WORKERS
from cgr_cluster.config import cluster, consistency, logs, settings
from cgr_cluster.config.stop_signals import on_stop_signal
from cgr_cluster.node.outside_platform import missing_folders
from cgr_cluster.rpc.errors import ApiError
from cgr_cluster.services import load as load_services
from workers.children import READY, STOP, Leash, name_process
from workers.options import NodeOptions

logger = logging.getLogger("cgr_cluster.supervisor")

STOP_SECONDS = 30.0  # a child that has not ended by then is killed
READY_SECONDS = 60.0
NOTIFY_SECONDS = 1.0  # children are not left alone longer for a systemd that does not listen
RESTART_PAUSES = (0.0, 0.1, 0.5, 1.0, 2.0, 5.0)
QUIET_SECONDS = 30.0  # a child that lived so long begins again with the first pause
ORDER_OF_STOP = ("balancer", "worker", "edge", "store", "folder", "log")
MOST_BY_ITSELF = 8  # workers, where nobody says how many
FATAL = 78  # a child's exit status that says: starting it again will not help (EX_CONFIG)

Main = Callable[[NodeOptions, Leash], None]


class Child:
    """One process of the node: how to start it, and what is known of it."""

    def __init__(self, name: str, role: str, main: Main) -> None:
        self.name = name
        self.role = role
        self.main = main
        self.pid = 0
        self.down = -1
        self.up = -1
        self.ready = False
        self.has_served = False  # it was ready once since the node began
        self.started = 0.0
        self.failures = 0
        self.restart_at: float | None = None


class Supervisor:
    """The node. Stop signals are noted from here on: one that comes before `run` has `run` begin with the end."""

    def __init__(self, options: NodeOptions) -> None:
        self.options = options
        self.children: list[Child] = []
        self._wake, self._wake_write = os.pipe()
        os.set_blocking(self._wake_write, False)
        self._stopping = False
        self._announced = False
        self._watchdog_s = _watchdog_interval_s()
        self._watchdog_at = 0.0
        self.status = 0
        on_stop_signal(self._note_stop)

    def _note_stop(self) -> None:
        self._stopping = True

    # --- children ---------------------------------------------------------------------------------------------

    def start(self, child: Child) -> None:
        down_read, down_write = os.pipe()
        up_read, up_write = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                for other in self.children:
                    for end in (other.down, other.up):
                        if end >= 0:
                            os.close(end)
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                for end in (down_write, up_read, self._wake, self._wake_write):
                    os.close(end)
                name_process(child.name)
                logs.setup(child.name, self.options.log_level)
                options = replace(self.options, restarted=child.has_served)
                child.main(options, Leash(down_read, up_write))
                status = 0
            except SystemExit as end_of_process:
                code = end_of_process.code
                status = code if isinstance(code, int) else 0 if code is None else 1
            except BaseException:
                logger.error("%s", traceback.format_exc().replace("\n", " | "))
            finally:
                sys.stderr.flush()
                os._exit(status)
        os.close(down_read)
        os.close(up_write)
        child.pid, child.down, child.up = pid, down_write, up_read
        child.ready, child.started, child.restart_at = False, time.monotonic(), None

    def _ended(self, child: Child, status: int) -> None:
        if not child.has_served and select.select([child.up], [], [], 0)[0]:
            child.has_served = os.read(child.up, 1) == READY  # said just before it died
        for end in (child.down, child.up):
            os.close(end)
        pid, child.pid, child.down, child.up, child.ready = child.pid, 0, -1, -1, False
        code = os.waitstatus_to_exitcode(status)
        if self._stopping:
            if code:
                logger.warning("%s (pid %d) ended with status %d while stopping", child.name, pid, code)
                self.status = self.status or 1
            return
        if code == FATAL or (not self._announced and code != 0 and child.failures >= 3):
            logger.error("%s cannot run (status %d); the node stops", child.name, code)
            self.status = code if code > 0 else 1
            self._stopping = True
            return
        if time.monotonic() - child.started > QUIET_SECONDS:
            child.failures = 0
        pause = RESTART_PAUSES[min(child.failures, len(RESTART_PAUSES) - 1)]
        child.failures += 1
        how = f"killed by signal {-code}" if code < 0 else f"ended with status {code}"
        logger.error("%s (pid %d) %s; it is started again in %.1f s", child.name, pid, how, pause)
        child.restart_at = time.monotonic() + pause

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            for child in self.children:
                if child.pid == pid:
                    self._ended(child, status)

    # --- the life of the node ---------------------------------------------------------------------------------

    def run(self, children: list[Child]) -> int:
        """Until a stop signal, or until a child says that the node cannot run. Answers the exit status."""
        self.children = children
        signal.signal(
            signal.SIGCHLD, lambda *_: None
        )  # it writes to the pipe that `_turn` waits for, as the stop signals do
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        begin = time.monotonic()
        for child in self.children:
            if self._stopping:
                break
            self.start(child)
            if child.role == "log":  # everything else needs it
                self._wait(lambda child=child: child.ready or self._stopping, READY_SECONDS)  # type: ignore[misc]
        while not self._stopping:
            self._turn(1.0)
            if not self._announced and all(child.ready for child in self.children):
                self._announced = True
                self._announce(time.monotonic() - begin)
        self._stop_all()
        return self.status

    def _turn(self, timeout: float) -> None:
        """Wait for something to happen, and see to it."""
        now = time.monotonic()
        if self._watchdog_s is not None:
            if now >= self._watchdog_at:
                _notify_systemd("WATCHDOG=1")
                self._watchdog_at = now + self._watchdog_s
            timeout = min(timeout, self._watchdog_at - now)
        for child in self.children:
            if child.restart_at is not None:
                if child.restart_at <= now:
                    self.start(child)
                else:
                    timeout = min(timeout, child.restart_at - now)
        ups = {child.up: child for child in self.children if child.up >= 0 and not child.ready}
        readable, _, _ = select.select([self._wake, *ups], [], [], max(timeout, 0))
        for end in readable:
            if end == self._wake:
                os.read(self._wake, 4096)
            elif os.read(end, 1) == READY:
                ups[end].ready = ups[end].has_served = True
        self._reap()

    def _wait(self, condition: Callable[[], bool], seconds: float) -> bool:
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                return False
            self._turn(min(0.5, max(end - time.monotonic(), 0.01)))
        return True

    def _announce(self, seconds: float) -> None:
        logger.info("ready in %.2f s: %d workers", seconds, self.options.workers)
        if self.options.announce:
            print(self.options.greeting(), flush=True)
        _notify_systemd("READY=1")

    def _stop_all(self) -> None:
        _notify_systemd("STOPPING=1")
        self._stopping = True
        for role in ORDER_OF_STOP:
            for child in self.children:
                if child.role == role:
                    child.restart_at = None  # one that is needed no more; those of later roles still come back
            group = [child for child in self.children if child.role == role and child.pid]
            for child in group:
                try:
                    os.write(child.down, STOP)
                except BrokenPipeError:
                    pass  # it has ended by itself; it is reaped below
            if not self._wait(lambda g=group: not any(child.pid for child in g), STOP_SECONDS):  # type: ignore[misc]
                for child in group:
                    if child.pid:
                        logger.error(
                            "%s (pid %d) did not stop in %.0f s and is killed", child.name, child.pid, STOP_SECONDS
                        )
                        self.status = 1
                        os.kill(child.pid, signal.SIGKILL)
                self._wait(lambda g=group: not any(child.pid for child in g), STOP_SECONDS)  # type: ignore[misc]
        logger.info("stopped")


def _watchdog_interval_s() -> float | None:
    """How often systemd wants to hear WATCHDOG=1: half of what it allows (WatchdogSec=); None: it does not ask."""
    usec, pid = os.environ.get("WATCHDOG_USEC", ""), os.environ.get("WATCHDOG_PID", "")
    if not usec.isdigit() or int(usec) == 0 or (pid and pid != str(os.getpid())):
        return None
    return int(usec) / 2e6


def _notify_systemd(text: str) -> None:
    """Tell systemd (Type=notify), when it asked for it."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    import socket

    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.settimeout(NOTIFY_SECONDS)
        try:
            sock.sendto(text.encode(), "\0" + address[1:] if address[0] == "@" else address)
        except OSError as error:
            logger.warning("systemd could not be told %s: %s", text, error)


def children(options: NodeOptions) -> list[Child]:
    """The processes of a node. Imported here, once, so that a fork is ready in milliseconds."""
    from balancer.process import main as balancer
    from workers.cdr_store import main as store
    from workers.edge import main as edge
    from workers.folder import main as folder
    from workers.log_process import main as log
    from workers.shard import main as shard

    def worker(number: int) -> Main:
        return lambda node, leash: shard(node, leash, number)

    return [
        Child("log", "log", log),
        Child("store", "store", store),
        Child("edge", "edge", edge),
        *(Child(f"worker-{number}", "worker", worker(number)) for number in range(options.workers)),
        Child("balancer", "balancer", balancer),
        Child("folder", "folder", folder),
    ]


def check_consistency(config: settings.Config, source: str | None) -> None:
    """What must hold between configured values, folders and services. Raises ConfigError."""
    load_services()  # their rules
    try:
        consistency.check(config, missing_folders(consistency.needed_folders(config)))
    except ApiError as error:
        raise settings.ConfigError(f"{source or 'built-in configuration'}: {error.text}") from None


def _one_per_core() -> int:
    return max(1, min(os.cpu_count() or 1, MOST_BY_ITSELF))


def parse(arguments: list[str] | None = None) -> NodeOptions:
    parser = argparse.ArgumentParser(
        prog="cgr-cluster run", description="Start a node: log, store, workers and balancer, in the foreground."
    )
    parser.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help="worker processes, each owning a share of the accounts (default: cluster.workers, else one per core)",
    )
    parser.add_argument(
        "--data-dir", metavar="D", help="where the log and the stores live (default: cluster.data_dir, else ./data)"
    )
    parser.add_argument(
        "--ephemeral",
        action="store_true",
        help="an empty throw-away store, with the configuration of the conformance recordings",
    )
    parser.add_argument(
        "--port-base",
        type=int,
        metavar="P",
        help="listen on P (JSON over TCP), P+2 (HTTP) and P+3 (BiJSON) instead of 2012, 2080 and 2014",
    )
    parser.add_argument(
        "--host", default=None, help="address to listen on (default: that of the configuration, 127.0.0.1)"
    )
    parser.add_argument(
        "--config", metavar="FILE", help="TOML configuration over the built-in defaults (docs/configuration.md)"
    )
    parser.add_argument("--log-level", choices=sorted(logs.LEVELS), default="info")
    parser.add_argument("--announce", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    if chosen.workers is not None and not 1 <= chosen.workers <= MAX_WORKERS:
        parser.error(f"--workers {chosen.workers}: 1 to {MAX_WORKERS} are possible")
    if chosen.port_base is not None and not 1 <= chosen.port_base <= 65532:
        parser.error(f"--port-base {chosen.port_base}: 1 to 65532 are possible")
    if chosen.ephemeral and chosen.config:
        parser.error("--ephemeral has a fixed configuration; leave out --config")
    config = settings.ephemeral() if chosen.ephemeral else settings.installed(chosen.config)
    check_consistency(config, chosen.config)
    own = cluster.cluster_settings({**cluster.DEFAULTS, **config.get("cluster", {})})
    data_dir = os.path.abspath(chosen.data_dir or own.data_dir)
    if chosen.ephemeral:
        data_dir = tempfile.mkdtemp(prefix="cgr-cluster-")
    run_dir = tempfile.mkdtemp(prefix="cgr-")  # short: names of Unix sockets end at 107 bytes
    return NodeOptions(
        workers=chosen.workers or own.workers or _one_per_core(), data_dir=data_dir, run_dir=run_dir, config=config,
        cluster=own, ephemeral=chosen.ephemeral, port_base=chosen.port_base, host=chosen.host, log_level=chosen.log_level, announce=chosen.announce,
    )  # fmt: skip


def main(arguments: list[str] | None = None) -> int:
    try:
        options = parse(arguments)
    except settings.ConfigError as error:
        print(f"cgr-cluster: {error}", file=sys.stderr)
        return FATAL
    logs.setup("supervisor", options.log_level)
    os.umask(0o077)
    try:
        try:
            Path(options.data_dir).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            logger.error("data directory %s cannot be made: %s", options.data_dir, error.strerror)
            return FATAL
        supervisor = Supervisor(options)
        parts = children(options)
        gc.collect()
        gc.freeze()
        return supervisor.run(parts)
    finally:
        shutil.rmtree(options.run_dir, ignore_errors=True)
        if options.ephemeral:
            shutil.rmtree(options.data_dir, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
