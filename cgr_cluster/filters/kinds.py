"""Kinds of profiles that events select by filters: declared once, used by selection, indexes and their methods (50 §6).

A package that has profiles of such a kind declares it beside their type:

    THRESHOLDS = profile_kind("threshold_profile", "*thresholds", "thresholds")

Profiles are frozen reference data under the key `TENANT:ID`, with the fields of `Profile`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import msgspec

from cgr_cluster.engine.domain import GenerationView
from cgr_cluster.filters.types import ActivationInterval


class Profile(Protocol):
    """What all profiles have."""

    @property
    def tenant(self) -> str: ...
    @property
    def id(self) -> str: ...
    @property
    def filter_ids(self) -> tuple[str, ...]: ...
    @property
    def activation_interval(self) -> ActivationInterval | None: ...
    @property
    def weight(self) -> float: ...


def as_it_is(profile: Any) -> Any:
    return profile


class ProfileKind(msgspec.Struct, frozen=True, eq=False, gc=False):
    """`name`: kind of the reference data. `item`: ItemType of the index methods. `section`: of the configuration, with the
    settings of 50 §6.2. `contexts`: of a profile that is indexed by context, None for kinds without. `compiled`: what
    selection answers for a profile, made once per profile and generation."""

    name: str
    item: str
    section: str
    contexts: Callable[[Any], Sequence[str]] | None = None
    compiled: Callable[[Any], Any] = as_it_is

    @property
    def user_name(self) -> str:
        """What RemoveFilter calls the index: `*threshold_filter_indexes`."""
        return f"{self.item[:-1]}_filter_indexes"

    def key(self, tenant: str, profile_id: str) -> str:
        return f"{tenant}:{profile_id}"

    def get(self, generation: GenerationView, tenant: str, profile_id: str) -> Any:
        """The profile, or None."""
        return generation.get(self.name, f"{tenant}:{profile_id}")

    def ids(self, generation: GenerationView, tenant: str) -> list[str]:
        """Ids of the tenant's profiles, sorted."""
        return ids_of(generation, self.name, tenant)


def ids_of(generation: GenerationView, name: str, tenant: str) -> list[str]:
    """Ids of the tenant's objects of a kind of reference data whose keys are `TENANT:ID`, sorted."""
    prefix = f"{tenant}:"
    return sorted(key.removeprefix(prefix) for key in generation.keys(name) if key.startswith(prefix))


KINDS: dict[str, ProfileKind] = {}  # ItemType → kind
ITEM_TYPES = ("*thresholds", "*routes", "*stats", "*resources", "*ips", "*chargers", "*attributes", "*dispatchers")
WITH_CONTEXT = ("*attributes", "*dispatchers")


def profile_kind(
    name: str,
    item: str,
    section: str,
    contexts: Callable[[Any], Sequence[str]] | None = None,
    compiled: Callable[[Any], Any] = as_it_is,
) -> ProfileKind:
    """Declare a kind."""
    if item not in ITEM_TYPES or (contexts is not None) != (item in WITH_CONTEXT):
        raise ValueError(f"{item} is no item type of 50 §6.5, or its contexts are missing")
    kind = KINDS[item] = ProfileKind(name, item, section, contexts, compiled)
    return kind
