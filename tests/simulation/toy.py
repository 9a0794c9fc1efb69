"""A small domain that uses every command of the engine: purses of coins, transfers, wages, interest by timer."""

from __future__ import annotations

from typing import Any

import msgspec

from cgr_cluster.engine.domain import (
    Operation,
    Part,
    Steps,
    everywhere,
    exclusive,
    forward,
    invoke,
    outside,
    reference,
    sleep,
    step,
    stored,
    task,
    timer,
    together,
)
from cgr_cluster.engine.owner import LEADER, Owner
from cgr_cluster.engine.placement import Moving
from cgr_cluster.rpc.errors import ApiError, not_found
from cgr_cluster.rpc.owners import ANY, LEADER_RULE
from cgr_cluster.rpc.registry import Method, Registry


@stored("purse")
class Purse(msgspec.Struct, array_like=True, gc=False):
    coins: int = 0

    def draft(self) -> Purse:
        return Purse(self.coins)


@reference("wage")
class Wage(msgspec.Struct, frozen=True, gc=False):
    coins: int


def owner(name: str) -> Owner:
    return Owner("purse", name)


class PurseRule:
    def owner(self, raw_params: bytes, default_tenant: str) -> Owner | None:
        return owner(msgspec.json.decode(raw_params)["purse"])


@step("toy.give")
def give(part: Part, name: str, coins: int) -> int:
    purse = part.edit(Purse, name)
    if purse is None:
        purse = Purse()
        part.put(Purse, name, purse)
    purse.coins += coins
    return purse.coins


@step("toy.take")
def take(part: Part, name: str, coins: int) -> int:
    purse = part.edit(Purse, name)
    if purse is None:
        raise not_found()
    purse.coins -= coins
    if purse.coins < 0:
        raise ApiError("TOO_POOR")
    return coins


@step("toy.refuse")
def refuse(part: Part, name: str) -> int:
    purse = part.edit(Purse, name)
    assert purse is not None
    purse.coins = 0
    raise ApiError("REFUSED")


@step("toy.count", reads=True)
def count(part: Part) -> dict[str, int]:
    return {name: purse.coins for name, purse in part.all(Purse)}


def do_give(part: Part, params: Any) -> int:
    return give(part, params["purse"], params["coins"])


def do_get(part: Part, params: Any) -> int:
    purse = part.read(Purse, params["purse"])
    if purse is None:
        raise not_found()
    return purse.coins


def do_transfer(op: Operation, params: Any) -> Steps[str]:
    yield exclusive(params["purse"])
    taken = yield take.at(owner(params["purse"]), params["purse"], params["coins"])
    try:
        yield (
            refuse.at(owner(params["to"]), params["to"])
            if params.get("refuse")
            else give.at(owner(params["to"]), params["to"], taken)
        )
    except ApiError:
        yield give.at(owner(params["purse"]), params["purse"], taken)
        raise
    return op.new_uuid()


def do_share(op: Operation, params: Any) -> Steps[list[int]]:
    """Give every purse in `to` a part of the coins, all at once."""
    taken = yield take.at(owner(params["purse"]), params["purse"], params["coins"])
    each = taken // len(params["to"])
    return (yield together([give.at(owner(name), name, each) for name in params["to"]]))  # type: ignore[no-any-return]


def do_total(op: Operation, params: Any) -> Steps[int]:
    found = yield everywhere(count)
    return sum(coins for part in found for coins in part.values())


def do_set_wage(part: Part, params: Any) -> str:
    part.set_reference("wage", "all", Wage(params["coins"]))
    return "OK"


def do_get_wage(part: Part, params: Any) -> int:
    wage = part.generation.get("wage", "all")
    return 0 if wage is None else wage.coins


def do_pay(part: Part, params: Any) -> str:
    part.spawn("toy.pay", params["names"])
    return "OK"


@task("toy.pay")
def pay(op: Operation, names: list[str]) -> Steps[None]:
    for name in names:
        yield give.at(owner(name), name, op.generation.get("wage", "all").coins)


@task("toy.gift", awaited=True)
def gift(op: Operation, names: list[str], coins: int) -> Steps[None]:
    for name in names:
        yield give.at(owner(name), name, coins)


@step("toy.celebrate")
def celebrate(part: Part, name: str, names: list[str]) -> int:
    """One coin for this purse, and one for each of the others before the answer leaves."""
    part.spawn("toy.gift", names, 1)
    return int(give(part, name, 1))


@task("toy.thank", awaited=True)
def thank(op: Operation, name: str, giver: str) -> Steps[None]:
    """A coin back to the giver, by a method that must have the giver for itself."""
    yield invoke("Toy.Transfer", msgspec.json.encode({"purse": giver, "to": name, "coins": 1}))
    yield invoke("Toy.Transfer", msgspec.json.encode({"purse": name, "to": giver, "coins": 2}))


@step("toy.accept")
def accept(part: Part, name: str, giver: str) -> int:
    part.spawn("toy.thank", name, giver)
    return int(give(part, name, 0))


def do_court(op: Operation, params: Any) -> Steps[list[int]]:
    """Hold the giver while others are visited who have a method called that needs it."""
    yield exclusive(params["purse"])
    return (yield together([accept.at(owner(name), name, params["purse"]) for name in params["to"]]))  # type: ignore[no-any-return]


def do_celebrate(part: Part, params: Any) -> int:
    return int(celebrate(part, params["purse"], params["to"]))


def do_celebrate_at(op: Operation, params: Any) -> Steps[int]:
    """The same as a step at the first of the others."""
    first, *rest = params["to"]
    return (yield celebrate.at(owner(first), first, [*rest, params["purse"]]))


def do_deposit(part: Part, params: Any) -> str:
    """Interest of one coin after a second, five times."""
    part.set_timer("interest/" + params["purse"], part.now_ns + 10**9, "toy.interest", params["purse"], 5)
    return "OK"


@step("toy.freeze")
def freeze(part: Part, name: str, seconds: int) -> None:
    """Let the purse be on the move, which ends after some seconds where it began."""
    part.put(Moving, f"purse:{name}", Moving(0))
    part.spawn("toy.thaw", name, seconds)


@task("toy.thaw")
def thaw_later(op: Operation, name: str, seconds: int) -> Steps[None]:
    yield sleep(seconds * 10**9)
    yield thaw.at(owner(name), name)


@step("placement.toy_thaw", idempotent=True)
def thaw(part: Part, name: str) -> None:
    if part.read(Moving, f"purse:{name}") is not None:
        part.delete(Moving, f"purse:{name}")


def do_freeze(part: Part, params: Any) -> str:
    freeze(part, params["purse"], params["seconds"])
    return "OK"


@timer("toy.interest")
def interest(op: Operation, name: str, times: int) -> Steps[None]:
    yield give.at(owner(name), name, 1)
    yield give.at(owner("bank"), "bank", -1)
    if times > 1:
        yield again.at(owner(name), name, op.now_ns + 10**9, times - 1)


@step("toy.again")
def again(part: Part, name: str, at_ns: int, times: int) -> None:
    part.set_timer("interest/" + name, at_ns, "toy.interest", name, times)


@step("toy.wage_at", reads=True)
def wage_at(part: Part) -> int:
    """The wage as the owner's worker sees it for this operation."""
    return do_get_wage(part, None)


def do_wages(op: Operation, params: Any) -> Steps[list[int]]:
    """The wage as each purse's worker sees it, with a second between two looks."""
    found = []
    for name in params["names"]:
        found.append((yield wage_at.at(owner(name))))
        yield sleep(10**9)
    return found


def do_ask(op: Operation, params: Any) -> Steps[Any]:
    answer = yield outside("toy.double", params["coins"])
    yield sleep(10**9)
    yield forward(owner(params["purse"]))
    return (yield give.at(owner(params["purse"]), params["purse"], answer))


def do_order(op: Operation, params: Any) -> Steps[Any]:
    """Call other methods: of a purse's owner, of the leader, of many owners; and one that refuses."""
    raised = yield invoke("Toy.Give", msgspec.json.encode({"purse": params["purse"], "coins": 3}))
    yield invoke("Toy.SetWage", msgspec.json.encode({"coins": params["wage"]}))
    moved = yield invoke("Toy.Transfer", msgspec.json.encode({"purse": params["purse"], "to": "p0", "coins": 2}))
    try:
        yield invoke("Toy.Transfer", msgspec.json.encode({"purse": params["purse"], "to": "p0", "coins": 9999}))
    except ApiError as error:
        return [raised, bool(moved), error.text]
    return None


def do_lend(op: Operation, params: Any) -> Steps[Any]:
    """Hold the purse while a method is called that must have it for itself."""
    yield exclusive(params["purse"])
    yield give.at(owner(params["purse"]), params["purse"], 1)
    lent = yield invoke("Toy.Transfer", msgspec.json.encode(params))
    yield take.at(owner(params["purse"]), params["purse"], 1)
    return bool(lent)


def do_loop(op: Operation, params: Any) -> Steps[Any]:
    """Call itself without an end."""
    return (yield invoke("Toy.Loop", msgspec.json.encode(params)))


@reference("route")
class Route(msgspec.Struct, frozen=True, gc=False):
    """What `Toy.Travel` does: `name` give, `?name` look, `!name` give by a method, `a+b` give at once, `*` count all,
    `=text` have the text for itself."""

    stops: list[str]
    coins: int


def do_travel(op: Operation, params: Any) -> Steps[list[Any]]:
    """Pay a coin, then go where the reference data say. Answers how that was, and what each stop came to."""
    yield take.at(owner(params["purse"]), params["purse"], 1)
    route: Route = op.generation.get("route", "all")
    came_to: list[Any] = []
    for stop in route.stops:
        if stop == "*":
            counted = yield everywhere(count)
            came_to.append(all(isinstance(part, dict) for part in counted))
        elif stop[0] == "=":
            yield exclusive(stop)
            came_to.append(True)
        elif stop[0] == "?":
            came_to.append((yield wage_at.at(owner(stop[1:]))) == 0)
        elif stop[0] == "!":
            raised = yield invoke("Toy.Give", msgspec.json.encode({"purse": stop[1:], "coins": route.coins}))
            came_to.append(isinstance(raised, int))
        else:
            raised = yield together([give.at(owner(name), name, route.coins) for name in stop.split("+")])
            came_to.append(all(isinstance(coins, int) for coins in raised))
    return [route.stops, came_to]


def do_break(op: Operation, params: Any) -> Steps[None]:
    yield give.at(owner(params["purse"]), params["purse"], 1000)
    raise ZeroDivisionError("on purpose")


def do_hop(op: Operation, params: Any) -> Steps[None]:
    yield give.at(LEADER, "leader", 1)


def registry() -> Registry:
    found = Registry()
    found.service("Toy")
    for name, handler, rule, changes in (
        ("Give", do_give, PurseRule(), True), ("Get", do_get, PurseRule(), False), ("Transfer", do_transfer, PurseRule(), True),
        ("Share", do_share, PurseRule(), True), ("Total", do_total, ANY, False), ("SetWage", do_set_wage, LEADER_RULE, True),
        ("GetWage", do_get_wage, ANY, False), ("Pay", do_pay, LEADER_RULE, True), ("Deposit", do_deposit, PurseRule(), True),
        ("Ask", do_ask, ANY, True), ("Wages", do_wages, ANY, False), ("Break", do_break, PurseRule(), True), ("Order", do_order, ANY, True),
        ("Loop", do_loop, PurseRule(), True), ("Lend", do_lend, PurseRule(), True), ("Freeze", do_freeze, PurseRule(), True),
        ("Travel", do_travel, PurseRule(), True), ("Court", do_court, PurseRule(), True), ("Celebrate", do_celebrate, PurseRule(), True), ("CelebrateAt", do_celebrate_at, PurseRule(), True),
    ):  # fmt: skip
        orchestrates = handler.__code__.co_flags & 0x20 != 0
        found.add(Method(f"Toy.{name}", handler, Any, rule, changes, None, orchestrates))
    return found
