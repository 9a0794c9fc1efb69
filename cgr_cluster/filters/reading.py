"""Reading profiles of any kind by the API: one by its id, a page of ids, their count (spec chapters 50, 51).

`name` is a kind of reference data whose keys are `TENANT:ID`; an empty tenant in the parameters is the default one.
"""

from __future__ import annotations

from typing import Any

from cgr_cluster.caches.items import note_object
from cgr_cluster.engine.domain import Part
from cgr_cluster.filters.kinds import ids_of
from cgr_cluster.filters.params import Paginator, TenantID, TenantIDWithOpts, TenantWithOpts
from cgr_cluster.rpc.errors import not_found, require
from cgr_cluster.tariffs.paging import page_or_not_found


def profile_asked(part: Part, name: str, params: TenantID | TenantIDWithOpts) -> Any:
    """The profile that a call names. Raises `MANDATORY_IE_MISSING: [ID]`, `NOT_FOUND`."""
    require(params, "ID")
    profile = part.generation.get(name, f"{part.tenant(params.Tenant)}:{params.ID}")
    if profile is None:
        raise not_found()
    note_object(part, name, f"{part.tenant(params.Tenant)}:{params.ID}")
    return profile


def ids_page(part: Part, name: str, params: Paginator) -> list[str] | None:
    """A page of the tenant's ids; null behind the end. Raises `NOT_FOUND` when none matches at all (51 §3.3)."""
    ids = ids_of(part.generation, name, part.tenant(params.Tenant))
    return page_or_not_found(ids, params.Search, params.Limit, params.Offset)


def profile_count(part: Part, name: str, params: TenantWithOpts) -> int:
    """How many the tenant has. Raises `NOT_FOUND` for none."""
    count = len(ids_of(part.generation, name, part.tenant(params.Tenant)))
    if not count:
        raise not_found()
    return count
