"""Lists of ids: search and pages (spec chapter 01, section 6)."""

from __future__ import annotations

from collections.abc import Iterable

from cgr_cluster.rpc.errors import not_found


def page(ids: Iterable[str], search: str, limit: int | None, offset: int | None) -> list[str]:
    """Ids that contain `search`, sorted, from `offset`, at most `limit` (None and 0: no bound)."""
    found = sorted(name for name in ids if search in name)
    start = max(offset or 0, 0)
    return found[start : start + limit] if limit and limit > 0 else found[start:]


def page_or_not_found(ids: Iterable[str], search: str, limit: int | None, offset: int | None) -> list[str] | None:
    """Like `page`; raises NOT_FOUND when nothing matches at all. A page behind the end is null."""
    found = [name for name in ids if search in name]
    if not found:
        raise not_found()
    return page(found, "", limit, offset) or None
