"""Loading: a deck becomes changes of the reference data (spec chapter 10 §2, §9.2; 20 §8; 30.10; 50 §5.3, §8.5).

Kinds are loaded in the order of the chapter; each may refer to what was loaded before it, destinations, plans and action
groups also to what is live. The result is a value: nothing is changed here. Normally the first error ends it; with
`collect` every object's error is kept, for the operator who validates a folder.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import msgspec

from cgr_cluster.actions.schedule import PREDEFINED, is_asap, predefined
from cgr_cluster.actions.types import ActionGroup, ActionPlan, ActionTiming, ActionTriggerGroup
from cgr_cluster.attributes.settings import attribute_settings
from cgr_cluster.dispatchers.types import DISPATCHERS
from cgr_cluster.dispatchers.types import HOST as DISPATCHER_HOST
from cgr_cluster.engine.domain import GenerationView
from cgr_cluster.events.times import parse_time
from cgr_cluster.ips.types import IPS, IPProfile
from cgr_cluster.rankings.types import KIND as RANKING
from cgr_cluster.rankings.types import ranking_profile
from cgr_cluster.rating.reference import (
    Activation,
    Destination,
    GroupParameters,
    RatingPlan,
    RatingProfile,
    SharedGroup,
    StoredTiming,
)
from cgr_cluster.rating.types import Timing
from cgr_cluster.resources.types import RESOURCES, ResourceProfile
from cgr_cluster.routes.types import ROUTES
from cgr_cluster.rpc.errors import ApiError
from cgr_cluster.stats.matching import STATS
from cgr_cluster.stats.types import StatQueueProfile
from cgr_cluster.tariffs import tp_types as tp
from cgr_cluster.tariffs.action_rows import action_of, trigger_of
from cgr_cluster.tariffs.deck import LOAD_ORDER, Deck
from cgr_cluster.tariffs.dispatcher_rows import dispatcher_host_of, dispatcher_profile_of
from cgr_cluster.tariffs.profiles import (
    attribute_profile_of,
    charger_of,
    filter_of,
    ip_profile_of,
    resource_of,
    route_profile_of,
    stat_queue_of,
    threshold_of,
)
from cgr_cluster.tariffs.queries import ranking_of, trend_of
from cgr_cluster.tariffs.ratings import ANY, PlanBuilder, PriceList, timing_of
from cgr_cluster.tariffs.rows import Problem
from cgr_cluster.tariffs.slices import SLICE_ROWS, Slices, whole
from cgr_cluster.thresholds.types import THRESHOLDS, ThresholdProfile
from cgr_cluster.trends.types import KIND as TREND
from cgr_cluster.trends.types import trend_profile

Change = tuple[str, str, Any]  # kind, key, object (None: removed)
EndedState = tuple[str, str, str, str]  # kind of the profile, tenant, id, what names the state


class AccountLoad(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A row of AccountActions: what it makes of the account `tenant:account` at its owner. Empty ids: none."""

    tenant: str
    account: str
    plan_id: str
    triggers_id: str
    allow_negative: bool
    disabled: bool

    @property
    def id(self) -> str:
        return f"{self.tenant}:{self.account}"


class Loaded(msgspec.Struct, gc=False):
    """`changes` make one changeset. `asap` are the tasks that the load makes: (account id or "", action group).
    `states` are those of the live thresholds, queues, trends, rankings, resources and IP profiles with the ids of the load's: they end should it be
    removed."""

    changes: list[Change] = []
    accounts: list[AccountLoad] = []
    asap: list[tuple[str, str]] = []
    states: list[EndedState] = []

    @property
    def rating_plans(self) -> list[RatingPlan]:
        return [value for kind, _, value in self.changes if kind == "rating_plan"]


def fallback_keys(tenant: str, category: str, subjects: str) -> tuple[str, ...]:
    """`a;b` → full profile ids (10 §2.6)."""
    return tuple(profile_id(tenant, category, subject) for subject in subjects.split(";")) if subjects else ()


def profile_id(tenant: str, category: str, subject: str) -> str:
    return f"*out:{tenant}:{category}:{subject}"


class Loader:
    """One load. `new_id` makes the ids of plans, their timings and unnamed triggers; `zone` reads texts without one."""

    def __init__(
        self, generation: GenerationView, now_ns: int, zone: str, new_id: Callable[[], str], collect: bool = False
    ) -> None:
        self._generation = generation
        self._now_ns = now_ns
        self._zone = zone
        self._new_id = new_id
        self._collect = collect
        self.problems: list[Problem] = []
        self._file = ""
        self._loaded = Loaded()
        self._objects: dict[tuple[str, str], Any] = {}  # (kind, key) → what this load makes live
        self._timings: dict[str, Timing] = {
            name: cast(Timing, predefined(name, now_ns, zone)) for name in PREDEFINED
        }  # fmt: skip
        self._prices = PriceList()
        self._plans = PlanBuilder(self._prices)
        self._destination_rates: dict[str, tp.TPDestinationRate] = {}
        self._plan_accounts: dict[str, list[str]] = {}
        self._account_ids: set[str] = set()

    def load(self, deck: Deck, problems: dict[str, list[Problem]] | None = None) -> Loaded:
        """`load_slices` in one go."""
        return whole(self.load_slices(deck, problems or {}))

    def load_slices(self, deck: Deck, problems: dict[str, list[Problem]]) -> Slices[Loaded]:
        """Load the whole deck. `problems` are those of reading it; a kind's come before those of its references.

        Raises ApiError with the API's text (without `SERVER_ERROR: `).
        """
        for kind in LOAD_ORDER:
            for problem in problems.get(kind.name, ()):
                if not self._collect:
                    raise ApiError(problem.text)
                self.problems.append(problem)
            self._file = kind.file
            yield from self._kind_slices(kind.name, deck.get(kind.name, []))
        self._set_timings()
        return self.result()

    def load_kind(self, kind: str, objects: list[Any]) -> None:
        """Load one kind's objects; what they refer to must have been loaded before, or be live."""
        whole(self._kind_slices(kind, objects))

    def _kind_slices(self, kind: str, objects: list[Any]) -> Slices[None]:
        load_one = _LOADERS[kind]
        tenant = self._generation.default_tenant  # of a row without one, as everywhere (spec 01 §6)
        for number, item in enumerate(objects, 1):
            if getattr(item, "Tenant", tenant) == "":
                item = msgspec.structs.replace(item, Tenant=tenant)
            try:
                slices = load_one(self, item)
                if slices is not None:
                    yield from slices
            except ApiError as error:
                if not self._collect:
                    raise
                self.problems.append(Problem(self._file, 0, error.text))
            if not number % SLICE_ROWS:
                yield

    def result(self) -> Loaded:
        self._loaded.changes = [(kind, key, value) for (kind, key), value in self._objects.items()]
        self._loaded.asap = self._asap_tasks()
        return self._loaded

    # --- what a load knows --------------------------------------------------------------------------------------

    def get(self, kind: str, key: str) -> Any:
        """The object as it is once this load is live."""
        found = self._objects.get((kind, key))
        return found if found is not None else self._generation.get(kind, key)

    def _timing(self, timing_id: str) -> Timing:
        found = self._timings.get(timing_id)
        if found is None:
            raise ApiError(f'could not get timing for tag "{timing_id}"')
        return found

    def balance_timing(self, timing_id: str) -> Timing:
        """A timing of a balance: of this load, or live."""
        found = self._timings.get(timing_id)
        if found is None:
            stored = self._generation.get("timing", timing_id)
            if stored is None:
                raise ApiError(f'error: NOT_FOUND querying timing with id: "{timing_id}"')
            found = cast(Timing, stored.timing)
        return found

    def _destination_rate(self, name: str) -> tp.TPDestinationRate:
        found = self._destination_rates.get(name)
        if found is None:
            raise ApiError(f'could not find destination rate for tag "{name}"')
        return found

    # --- rating (chapter 10) ------------------------------------------------------------------------------------

    def _load_destination(self, row: tp.TPDestination) -> None:
        self._objects["destination", row.ID] = Destination(row.ID, tuple(row.Prefixes))

    def _load_timing(self, row: tp.TPTiming) -> None:
        self._timings[row.ID] = timing_of(row)

    def _set_timings(self) -> None:
        """Make all timings live, the predefined ones with the clock of this load."""
        for name, timing in self._timings.items():
            self._objects["timing", name] = StoredTiming(timing)

    def _load_rate(self, row: tp.TPRate) -> None:
        self._prices.add(row)

    def _load_destination_rate(self, row: tp.TPDestinationRate) -> Slices[None]:
        for number, part in enumerate(row.DestinationRates, 1):
            if not number % SLICE_ROWS:
                yield
            if part.RateId not in self._prices:
                raise ApiError(f'could not find rate for tag "{part.RateId}"')
            if part.DestinationId != ANY and self.get("destination", part.DestinationId) is None:
                raise ApiError(f'could not get destination for tag "{part.DestinationId}"')
        self._destination_rates[row.ID] = row

    def _load_rating_plan(self, row: tp.TPRatingPlan) -> Slices[None]:
        plan = yield from self._plans.plan(row, self._timing, self._destination_rate)
        self._objects["rating_plan", row.ID] = plan

    def _load_rating_profile(self, row: tp.TPRatingProfile) -> None:
        activations = []
        for part in row.RatingPlanActivations:
            try:
                at = parse_time(part.ActivationTime, self._now_ns, self._zone)
            except ApiError:
                raise ApiError(f"cannot parse activation time from {part.ActivationTime}") from None
            if self.get("rating_plan", part.RatingPlanId) is None:
                raise ApiError(f'could not load rating plans for tag: "{part.RatingPlanId}"')
            keys = fallback_keys(row.Tenant, row.Category, part.FallbackSubjects)
            activations.append(Activation(at, part.RatingPlanId, keys))
        key = profile_id(row.Tenant, row.Category, row.Subject)
        self._objects["rating_profile", key] = RatingProfile(key, tuple(activations))

    def _load_shared_group(self, row: tp.TPSharedGroups) -> None:
        parameters = {part.Account: GroupParameters(part.Strategy, part.RatingSubject) for part in row.SharedGroups}
        self._objects["shared_group", row.ID] = SharedGroup(row.ID, parameters)

    # --- actions and accounts (chapter 20) ----------------------------------------------------------------------

    def _load_actions(self, row: tp.TPActions) -> None:
        actions = tuple(action_of(part, self.balance_timing) for part in row.Actions)
        self._objects["actions", row.ID] = ActionGroup(row.ID, actions)

    def _load_action_plan(self, row: tp.TPActionPlan) -> None:
        timings = []
        for part in row.ActionPlan:
            if self.get("actions", part.ActionsId) is None:
                raise ApiError(f'[ActionPlans] Could not load the action for tag: "{part.ActionsId}"')
            timing = self._timings.get(part.TimingId)
            if timing is None:
                raise ApiError(f'[ActionPlans] Could not load the timing for tag: "{part.TimingId}"')
            timings.append(ActionTiming(self._new_id(), timing, part.ActionsId, part.Weight))
        live: ActionPlan | None = self._generation.get("action_plan", row.ID)
        membership = self._new_id() if live is None else live.membership
        self._objects["action_plan", row.ID] = ActionPlan(row.ID, membership, tuple(timings))
        self._plan_accounts.setdefault(row.ID, [])

    def _load_action_triggers(self, row: tp.TPActionTriggers) -> None:
        triggers = tuple(
            trigger_of(row.ID, part, self.balance_timing, self._now_ns, self._zone, self._new_id)
            for part in row.ActionTriggers
        )
        self._objects["action_trigger", row.ID] = ActionTriggerGroup(row.ID, triggers)

    def _load_account_actions(self, row: tp.TPAccountActions) -> None:
        load = AccountLoad(
            row.Tenant, row.Account, row.ActionPlanId, row.ActionTriggersId, row.AllowNegative, row.Disabled
        )
        if load.id in self._account_ids:
            raise ApiError(f'duplicate account action found: "{load.id}"')
        if load.triggers_id and self.get("action_trigger", load.triggers_id) is None:
            raise ApiError(f'could not get action triggers for tag "{load.triggers_id}"')
        if load.plan_id:
            if self.get("action_plan", load.plan_id) is None:
                raise ApiError(f'could not get action plan for tag "{load.plan_id}"')
            self._plan_accounts.setdefault(load.plan_id, []).append(load.id)
        self._account_ids.add(load.id)
        self._loaded.accounts.append(load)

    def _asap_tasks(self) -> list[tuple[str, str]]:
        """A task per `*asap` timing and account of this load; one without account for a plan that has none (20 §6.3)."""
        tasks = []
        for plan_id, accounts in self._plan_accounts.items():
            plan: ActionPlan = self.get("action_plan", plan_id)
            asap = [timing for timing in plan.timings if is_asap(timing.timing)]
            for account_id in accounts or [""]:
                tasks += [(account_id, timing.actions_id) for timing in asap]
        return tasks

    # --- profiles (30.10, 50) -----------------------------------------------------------------------------------

    def _load_filter(self, row: tp.TPFilterProfile) -> None:
        found = filter_of(row, self._now_ns, self._zone)
        self._objects["filter", f"{found.tenant}:{found.id}"] = found

    def _load_threshold(self, row: tp.TPThresholdProfile) -> None:
        found = threshold_of(row, cast(GenerationView, self), self._now_ns, self._zone, self._new_id())
        live: ThresholdProfile | None = THRESHOLDS.get(self._generation, found.tenant, found.id)
        if live is not None:
            self._loaded.states.append((THRESHOLDS.name, live.tenant, live.id, live.state_id))
        self._objects[THRESHOLDS.name, f"{found.tenant}:{found.id}"] = found

    def _load_resource(self, row: tp.TPResourceProfile) -> None:
        found = resource_of(row, cast(GenerationView, self), self._now_ns, self._zone, self._new_id())
        live: ResourceProfile | None = RESOURCES.get(self._generation, found.tenant, found.id)
        if live is not None:
            self._loaded.states.append((RESOURCES.name, live.tenant, live.id, live.state_id))
        self._objects[RESOURCES.name, f"{found.tenant}:{found.id}"] = found

    def _load_ip(self, row: tp.TPIPProfile) -> None:
        found = ip_profile_of(row, cast(GenerationView, self), self._now_ns, self._zone, self._new_id())
        live: IPProfile | None = IPS.get(self._generation, found.tenant, found.id)
        if live is not None:
            self._loaded.states.append((IPS.name, live.tenant, live.id, live.state_id))
        self._objects[IPS.name, f"{found.tenant}:{found.id}"] = found

    def _load_stat(self, row: tp.TPStatProfile) -> None:
        found = stat_queue_of(row, cast(GenerationView, self), self._now_ns, self._zone, self._new_id())
        live: StatQueueProfile | None = STATS.get(self._generation, found.tenant, found.id)
        if live is not None:
            self._loaded.states.append((STATS.name, live.tenant, live.id, live.era))
        self._objects[STATS.name, f"{found.tenant}:{found.id}"] = found

    def _load_route(self, row: tp.TPRouteProfile) -> None:
        found = route_profile_of(row, cast(GenerationView, self), self._now_ns, self._zone)
        self._objects[ROUTES.name, f"{found.tenant}:{found.id}"] = found

    def _load_trend(self, row: tp.TPTrendsProfile) -> None:
        found = trend_of(row, self._generation, self._new_id())
        live = trend_profile(self._generation, found.tenant, found.id)
        if live is not None:
            self._loaded.states.append((TREND, live.tenant, live.id, live.state_id))
        self._objects[TREND, f"{found.tenant}:{found.id}"] = found

    def _load_ranking(self, row: tp.TPRankingProfile) -> None:
        found = ranking_of(row, self._generation, self._new_id())
        live = ranking_profile(self._generation, found.tenant, found.id)
        if live is not None:
            self._loaded.states.append((RANKING, live.tenant, live.id, live.state_id))
        self._objects[RANKING, f"{found.tenant}:{found.id}"] = found

    def _load_attribute_profile(self, row: tp.TPAttributeProfile) -> None:
        separator = attribute_settings(self._generation).rsr_separator
        found = attribute_profile_of(row, cast(GenerationView, self), self._now_ns, self._zone, separator)
        self._objects["attribute_profile", f"{found.tenant}:{found.id}"] = found

    def _load_charger(self, row: tp.TPChargerProfile) -> None:
        found = charger_of(row, cast(GenerationView, self), self._now_ns, self._zone)
        self._objects["charger", f"{found.tenant}:{found.id}"] = found

    def _load_dispatcher_profile(self, row: tp.TPDispatcherProfile) -> None:
        found = dispatcher_profile_of(row, cast(GenerationView, self), self._now_ns, self._zone)
        self._objects[DISPATCHERS.name, f"{found.tenant}:{found.id}"] = found

    def _load_dispatcher_host(self, row: tp.TPDispatcherHost) -> None:
        found = dispatcher_host_of(row)
        self._objects[DISPATCHER_HOST, f"{found.tenant}:{found.id}"] = found


_LOADERS: dict[str, Callable[[Loader, Any], Slices[None] | None]] = {
    "destination": Loader._load_destination,
    "timing": Loader._load_timing,
    "rate": Loader._load_rate,
    "destination_rate": Loader._load_destination_rate,
    "rating_plan": Loader._load_rating_plan,
    "rating_profile": Loader._load_rating_profile,
    "shared_group": Loader._load_shared_group,
    "actions": Loader._load_actions,
    "action_plan": Loader._load_action_plan,
    "action_trigger": Loader._load_action_triggers,
    "account_actions": Loader._load_account_actions,
    "filter": Loader._load_filter,
    "resource": Loader._load_resource,
    "ip": Loader._load_ip,
    "stat": Loader._load_stat,
    "trend": Loader._load_trend,
    "ranking": Loader._load_ranking,
    "threshold": Loader._load_threshold,
    "route": Loader._load_route,
    "attribute_profile": Loader._load_attribute_profile,
    "charger": Loader._load_charger,
    "dispatcher_profile": Loader._load_dispatcher_profile,
    "dispatcher_host": Loader._load_dispatcher_host,
}
