"""The event that every charging request carries (spec 30.2, 50 §2.1)."""

from __future__ import annotations

from typing import Any

import msgspec

from cgr_cluster.events.instant import Instant


class CGREvent(msgspec.Struct, gc=False):
    """`event` holds free fields of any JSON type; names in `opts` start with `*`. `time` None: not given."""

    tenant: str
    id: str
    time: Instant | None = None
    event: dict[str, Any] = {}
    opts: dict[str, Any] = {}

    def copy(self) -> CGREvent:
        """A copy whose fields and options can be set without changing this one (nested values are shared)."""
        return CGREvent(self.tenant, self.id, self.time, dict(self.event), dict(self.opts))
