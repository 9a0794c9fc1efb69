"""What a node's processes are told at their start."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from cgr_cluster.config.cluster import ClusterSettings


@dataclass(frozen=True)
class NodeOptions:
    """Options of one node. `run_dir` holds the Unix sockets of its processes. `workers` and `data_dir` are those of the
    command line where it has them, else those of `cluster`. `restarted`: told to a process that was ready once since the node began, and has died."""

    workers: int
    data_dir: str
    run_dir: str
    config: dict[str, Any]
    cluster: ClusterSettings
    ephemeral: bool
    port_base: int | None
    host: str | None
    log_level: str
    announce: bool
    restarted: bool = False

    @property
    def log_socket(self) -> str:
        return os.path.join(self.run_dir, "log")

    @property
    def store_address(self) -> str:
        return f"ipc://{self.run_dir}/store"

    @property
    def edge_address(self) -> str:
        return f"ipc://{self.run_dir}/edge"

    @property
    def balancer_address(self) -> str:
        return f"ipc://{self.run_dir}/balancer"

    def mesh_address(self, worker: int) -> str:
        return f"ipc://{self.run_dir}/mesh-{worker}"

    def listen(self) -> dict[str, tuple[str, int]]:
        """Listener name → (host, port): `json`, `http`, `bijson`. A listener whose configuration is "" is left out."""
        found = {}
        keys = (("json", "rpc_json", 0), ("http", "http", 2), ("bijson", "birpc_json", 3))
        for name, key, offset in keys:
            text = str(self.config["listen"].get(key, ""))
            if not text:
                continue
            host, _, port = text.rpartition(":")
            found[name] = (
                self.host or host.strip("[]") or "127.0.0.1",
                int(port) if self.port_base is None else self.port_base + offset,
            )
        return found

    def greeting(self) -> str:
        """What `./scripts/run` says when the node is ready."""
        listen = self.listen()
        lines = [f"cgr_cluster is ready ({self.workers} workers, data in {self.data_dir})."]
        addresses = {
            name: f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for name, (host, port) in listen.items()
        }
        lines += [f"  {name:7} {address}" for name, address in addresses.items()]
        if "http" in listen:
            lines += [
                "Try:",
                f'  curl http://{addresses["http"]}/jsonrpc -d \'{{"method":"CoreSv1.Ping","params":[{{}}],"id":1}}\'',
            ]
        if "json" in listen:
            lines.append(f"  .venv/bin/cgr-cluster stress --calls 20000 --address {addresses['json']}")
        return "\n".join([*lines, "Ctrl-C stops it."])
