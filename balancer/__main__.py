"""A balancer by itself, as a systemd unit or under a test: `python -m balancer --link ipc:///run/cgr/balancer --json HOST:PORT`.

It stops gracefully on SIGTERM or SIGINT. Exit status 78: an address is taken or the configuration is wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Callable
from typing import Any

from balancer.process import CANNOT_RUN, main
from cgr_cluster.config import logs, settings
from cgr_cluster.config.stop_signals import on_stop_signal

PARENT_SECONDS = 0.5  # how often a balancer that ends with its parent looks for it


class CommandLine:
    """Options from the command line, and the leash of a process that has no supervisor."""

    def __init__(self, arguments: list[str] | None = None) -> None:
        parser = argparse.ArgumentParser(prog="python -m balancer", description=__doc__.partition("\n")[0])
        parser.add_argument(
            "--link", required=True, metavar="ADDRESS", help="where workers connect (ipc://... or tcp://...)"
        )
        parser.add_argument("--json", metavar="HOST:PORT", help="listen for JSON-RPC over TCP")
        parser.add_argument("--http", metavar="HOST:PORT", help="listen for HTTP and WebSocket")
        parser.add_argument("--bijson", metavar="HOST:PORT", help="listen for two-way JSON-RPC")
        parser.add_argument("--config", metavar="FILE", help="TOML configuration over the built-in defaults")
        parser.add_argument("--with-parent", action="store_true", help="end when the parent process has ended")
        parser.add_argument("--log-level", choices=sorted(logs.LEVELS), default="info")
        chosen = parser.parse_args(arguments)
        self.log_level: str = chosen.log_level
        self.balancer_address: str = chosen.link
        self.config: dict[str, Any] = settings.installed(chosen.config)
        self._listen: dict[str, tuple[str, int]] = {}
        for name in ("json", "http", "bijson"):
            text = getattr(chosen, name)
            if text is not None:
                host, _, port = text.rpartition(":")
                if not port.isdigit() or int(port) > 65535:
                    parser.error(f"--{name} {text}: HOST:PORT is expected")
                self._listen[name] = (host.strip("[]") or "127.0.0.1", int(port))
        self._parent = os.getppid() if chosen.with_parent else None

    def listen(self) -> dict[str, tuple[str, int]]:
        return self._listen

    def ready(self) -> None:
        print("ready", flush=True)

    def watch(self, add_reader: Callable[..., object], stop: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()
        on_stop_signal(lambda: loop.call_soon_threadsafe(stop))
        if self._parent is not None:
            self._look_for_parent(loop)

    def _look_for_parent(self, loop: asyncio.AbstractEventLoop) -> None:
        if os.getppid() != self._parent:
            os._exit(70)
        loop.call_later(PARENT_SECONDS, self._look_for_parent, loop)


def run() -> int:
    try:
        options = CommandLine()
    except settings.ConfigError as error:
        print(f"balancer: {error}", file=sys.stderr)
        return CANNOT_RUN
    logs.setup("balancer", options.log_level)
    main(options, options)
    return 0


if __name__ == "__main__":
    sys.exit(run())
