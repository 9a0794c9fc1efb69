"""The step that asks whether what an earlier step delivers is with its owners (deliveries.py). The runner answers it itself."""

from __future__ import annotations

from cgr_cluster.engine.domain import Part, step


@step("engine.delivered", reads=True)
def delivered(part: Part, number: int) -> None:
    """Answered when what step `number` of the same operation delivers is with its owners."""
