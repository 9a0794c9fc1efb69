"""Which worker owns which shard (design 2). On one node the map follows from the number of workers: whole shards, in runs."""

from __future__ import annotations

from cgr_cluster.engine.owner import SHARDS

MAX_WORKERS = SHARDS


def shard_map(workers: int) -> list[int]:
    """Shard → worker. Every worker owns at least one shard; shard 0, the leader's, belongs to worker 0."""
    if not 1 <= workers <= MAX_WORKERS:
        raise ValueError(f"workers = {workers}; 1 to {MAX_WORKERS} are possible, one per shard at most")
    return [shard * workers // SHARDS for shard in range(SHARDS)]
