"""Rating subjects that make units free (spec 20 §3.4 case A, 10 §7.4)."""

from __future__ import annotations

from functools import lru_cache

from cgr_cluster.accounts.matching import ANY_ID
from cgr_cluster.engine.domain import GenerationView
from cgr_cluster.events.durations import parse_duration
from cgr_cluster.rpc.errors import ApiError

ZERO_PREFIX = "*zero"


@lru_cache(maxsize=4096)
def zero_step_ns(subject: str) -> int | None:
    """The step of `*zero` + duration (`*zero1s`, a bare number is ns); None when no positive duration follows, or the
    subject does not begin with `*zero`."""
    if not subject.startswith(ZERO_PREFIX):
        return None
    try:
        step = parse_duration(subject[len(ZERO_PREFIX) :])
    except ApiError:
        return None
    return step if step > 0 else None


def _default_subjects(generation: GenerationView) -> dict[str, str]:
    return dict(generation.config("rals").get("balance_rating_subject") or {})


def free_step_ns(generation: GenerationView, subject: str, tor: str, is_unit: bool) -> int | None:
    """The step in which a balance gives free units, or None when what it pays is rated."""
    if subject in ("", ANY_ID):
        if is_unit:
            defaults = generation.derived(_default_subjects)
            return zero_step_ns(defaults.get(tor) or defaults.get(ANY_ID) or "")
        return 1 if subject else None
    return zero_step_ns(subject)


def own_subject(subject: str) -> str | None:
    """The rating subject that replaces the request's, or None for standard rates."""
    return None if subject in ("", ANY_ID) or subject.startswith(ZERO_PREFIX) else subject
