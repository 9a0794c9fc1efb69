"""Stored filters (spec chapter 50, section 5), and the activation interval that filters and all profile kinds share."""

from __future__ import annotations

import msgspec

from cgr_cluster.engine.domain import reference
from cgr_cluster.events.instant import ZERO, Instant


class ActivationInterval(msgspec.Struct, frozen=True, gc=False):
    """When something is in force; both bounds exclusive, the zero time is no bound (50 §4.4)."""

    activation_time: Instant = ZERO
    expiry_time: Instant = ZERO

    def holds(self, at_ns: int) -> bool:
        """Whether it holds at `at_ns` (nanoseconds since the epoch)."""
        return (not self.activation_time or self.activation_time.ns < at_ns) and (
            not self.expiry_time or at_ns < self.expiry_time.ns
        )


class Rule(msgspec.Struct, frozen=True, gc=False):
    """One rule as written; it passes when any of `values` matches (50 §4)."""

    type: str
    element: str = ""
    values: tuple[str, ...] = ()


@reference("filter")
class Filter(msgspec.Struct, frozen=True, gc=False):
    """A named filter; the key is `TENANT:ID`. All `rules` must pass."""

    tenant: str
    id: str
    rules: tuple[Rule, ...] = ()
    activation_interval: ActivationInterval | None = None
