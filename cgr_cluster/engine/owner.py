"""Who owns what: owner keys and their shards (design 2). Pure."""

from __future__ import annotations

from functools import lru_cache
from zlib import crc32

import msgspec

SHARDS = 256  # a constant of the record format
REFERENCE_SHARD = 256  # pseudo-shard of the reference data in the log; written by the leader only


class Owner(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An owner key. `kind` is `account`, `session` (CGRID registry), `object` (shared objects) or `leader`."""

    kind: str
    key: str

    @property
    def shard(self) -> int:
        return shard_of(self.kind, self.key)


@lru_cache(maxsize=8192)  # a request asks several times for the same owners
def shard_of(kind: str, key: str) -> int:
    if kind == "leader":
        return 0
    if kind == "shard":
        return int(key)
    return crc32(f"{kind}:{key}".encode()) % SHARDS


def account_owner(tenant: str, account: str) -> Owner:
    return Owner("account", f"{tenant}:{account}")


def registry_owner(cgrid: str) -> Owner:
    """The registry of sessions and CDRs: claims, duplicate guard (design 5)."""
    return Owner("session", cgrid)


def object_owner(tenant: str, object_id: str) -> Owner:
    return Owner("object", f"{tenant}:{object_id}")


def tenant_owner(tenant: str) -> Owner:
    """What a tenant has one of: all its resources, which are checked and taken together (design 5)."""
    return object_owner(tenant, "")


LEADER = Owner("leader", "")
