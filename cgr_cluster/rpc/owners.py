"""Owner rules: how a method's owner key is read from its raw parameters (design 4, step 1).

Balancer and worker use the same rule on the same bytes. The balancer decodes only the members that the rule names; it
never re-encodes the parameters.
"""

from __future__ import annotations

from typing import Protocol

from cgr_cluster.engine.owner import LEADER, Owner


class OwnerRule(Protocol):
    def owner(self, raw_params: bytes, default_tenant: str) -> Owner | None:
        """The owner of a request with these raw parameters (the first element of `params`); None: any worker."""
        ...


class AnyWorker:
    """Reference data only, or an orchestration that any worker can run."""

    def owner(self, raw_params: bytes, default_tenant: str) -> Owner | None:
        return None


class Leader:
    """Writers of reference data, scheduler: the owner of shard 0."""

    def owner(self, raw_params: bytes, default_tenant: str) -> Owner | None:
        return LEADER


ANY = AnyWorker()
LEADER_RULE = Leader()
