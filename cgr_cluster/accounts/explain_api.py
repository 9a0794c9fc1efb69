"""APIerSv1.ExplainCost: why a call costs what it costs, and what the account's balances would be rated with.

A method of ours (docs/explain.md). It is here, not in rating, since the rating subjects of balances are the account's.
"""

from __future__ import annotations

import msgspec

from cgr_cluster.accounts.amounts import MONETARY
from cgr_cluster.accounts.matching import active, useful
from cgr_cluster.accounts.types import Account, Balance
from cgr_cluster.accounts.zero_subject import free_step_ns, own_subject
from cgr_cluster.engine.domain import Part
from cgr_cluster.rating.answers import Json, money, number, units
from cgr_cluster.rating.api import AttrGetCost, cost_request
from cgr_cluster.rating.explain import explain
from cgr_cluster.rating.rate import VOICE
from cgr_cluster.rating.types import CallDescriptor
from cgr_cluster.rpc.owners import account
from cgr_cluster.rpc.registry import method


class AttrExplainCost(AttrGetCost, go="v1.AttrExplainCost"):
    Account: str = ""
    ToR: str = ""


@method("APIerSv1.ExplainCost", owner=account("Tenant", "Account"))
def explain_cost(part: Part, params: AttrExplainCost) -> Json:
    """The explanation of what GetCost answers to the same parameters. With an account that exists also its balances that
    may pay the call, in the order of the debit, each with its own rates explained if it has any."""
    descriptor = cost_request(part, params)
    descriptor.account = params.Account
    descriptor.tor = params.ToR
    explanation = explain(part.generation, descriptor)
    if params.Account:
        found = part.read(Account, f"{part.tenant(params.Tenant)}:{params.Account}")
        explanation["Account"] = params.Account
        explanation["AccountFound"] = found is not None
        explanation["Balances"] = [] if found is None else _balances(part, found, descriptor, explanation["Category"])
    return explanation


def _balances(part: Part, found: Account, descriptor: CallDescriptor, category: str) -> list[Json]:
    tor = descriptor.tor or VOICE
    start = descriptor.time_start
    out: list[Json] = []
    for kind in dict.fromkeys((tor, MONETARY)):
        for balance, listed in useful(
            part.generation, found, kind, category, descriptor.destination, start.ns
        ):  # fmt: skip
            if active(balance, start):
                out.append(_balance_json(part, balance, listed, descriptor))
    return out


def _balance_json(part: Part, balance: Balance, listed: str, descriptor: CallDescriptor) -> Json:
    tor = descriptor.tor or VOICE
    is_unit = listed != MONETARY
    step_ns = free_step_ns(part.generation, balance.rating_subject, tor, is_unit)
    subject = own_subject(balance.rating_subject)
    rates = None
    if subject is not None:
        own = msgspec.structs.replace(descriptor, subject=subject, account=subject)
        rates = explain(part.generation, own)
    return {
        "Type": listed,
        "ID": balance.id,
        "UUID": balance.uuid,
        "Value": units(balance.value) if is_unit else money(balance.value),
        "Weight": number(balance.weight),
        "RatingSubject": balance.rating_subject,
        "RatedBy": "own rates" if rates is not None else "free" if step_ns is not None else "standard rates",
        "FreeIncrement": step_ns,
        "Rates": rates,
    }
