"""Which attribute profile an event gets (spec chapter 50, section 8.2, step 2). Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from functools import lru_cache

from cgr_cluster.attributes.inline import is_inline, parse_inline
from cgr_cluster.attributes.settings import attribute_settings
from cgr_cluster.attributes.types import AttributeProfile
from cgr_cluster.attributes.values import CompiledAttribute
from cgr_cluster.events.instant import Instant
from cgr_cluster.filters.kinds import profile_kind
from cgr_cluster.filters.lists import passes
from cgr_cluster.filters.tenant_profiles import TenantProfiles, profiles_of
from cgr_cluster.filters.view import View

ANY_CONTEXT = "*any"
LONGEST_KEPT = 1024  # characters of an inline profile that is kept compiled


class CompiledProfile:
    """A profile with its values compiled. `shown` is its name in answers."""

    __slots__ = ("attributes", "profile", "shown")

    def __init__(self, profile: AttributeProfile) -> None:
        self.profile = profile
        self.shown = profile.id if is_inline(profile.id) else f"{profile.tenant}:{profile.id}"
        self.attributes = tuple(CompiledAttribute(attribute) for attribute in profile.attributes)

    def fits(self, view: View, time: Instant | None, context: str, ignore_filters: bool) -> bool:
        """Whether its contexts, its interval (when the event has a time) and its filters allow it."""
        profile = self.profile
        if profile.contexts != (ANY_CONTEXT,) and context not in profile.contexts:
            return False
        interval = profile.activation_interval
        if time is not None and interval is not None and not interval.holds(time.ns):
            return False
        return ignore_filters or passes(view, profile.filter_ids)


ATTRIBUTES = profile_kind(
    "attribute_profile",
    "*attributes",
    "attributes",
    contexts=lambda profile: profile.contexts,
    compiled=CompiledProfile,
)


def inline_profile(text: str) -> CompiledProfile:
    """The profile that `text` writes, for any tenant. Raises the errors of 50 §8.6."""
    return _kept_inline(text) if len(text) <= LONGEST_KEPT else CompiledProfile(parse_inline("", text))


@lru_cache(maxsize=4096)
def _kept_inline(text: str) -> CompiledProfile:
    return CompiledProfile(parse_inline("", text))


def choose(
    view: View,
    time: Instant | None,
    context: str,
    profile_ids: Sequence[str] = (),
    ignore_filters: bool = False,
    left_out: Collection[str] = (),
) -> CompiledProfile | None:
    """The profile of the highest weight that fits and is not `left_out` (by its shown name); the earlier candidate wins
    among equals. `profile_ids`: candidates instead of those of the indexes; only with them `ignore_filters` counts."""
    profiles = profiles_of(ATTRIBUTES, view.generation, view.tenant)
    best: CompiledProfile | None = None
    for profile_id in profile_ids or _candidates(profiles, view, context):
        found = _profile(profiles, profile_id)
        if found is None or found.shown in left_out:
            continue
        if found.fits(view, time, context, ignore_filters and bool(profile_ids)) and (
            best is None or found.profile.weight > best.profile.weight
        ):
            best = found
    return best


def _profile(profiles: TenantProfiles, profile_id: str) -> CompiledProfile | None:
    if is_inline(profile_id):
        return inline_profile(profile_id)
    chosen = profiles.get(profile_id)
    if chosen is None:
        return None
    compiled: CompiledProfile = chosen.compiled
    return compiled


def _candidates(profiles: TenantProfiles, view: View, context: str) -> Iterable[str]:
    """Those of the context, then those of any context, each by id."""
    if not profiles.indexes:
        return ()
    found = dict.fromkeys(sorted(profiles.candidates(view, context)))
    if context != ANY_CONTEXT and (not found or attribute_settings(view.generation).any_context):
        found.update(dict.fromkeys(sorted(profiles.candidates(view, ANY_CONTEXT))))
    return found
