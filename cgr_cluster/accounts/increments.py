"""Increments of spans as a debit pays them: adding equal ones up, cutting what was not paid (spec 20 §3.1, §3.4)."""

from __future__ import annotations

from cgr_cluster.rating.types import BalanceInfo, Increment, Timespan


def cut_span(span: Timespan, asked: Increment, done: int) -> None:
    """End a span after `done` of its increments."""
    lost = (asked.compress_factor - done) * asked.duration_ns
    span.time_end = span.time_end.plus(-lost)
    span.duration_index_ns = max(0, span.duration_index_ns - lost)


def add_increment(out: list[Increment], new: Increment) -> None:
    """Append, or merge with an equal last one; its balances then show their values after the new ones."""
    if out:
        last = out[-1]
        if last.duration_ns == new.duration_ns and last.cost_nano == new.cost_nano and _same_payers(last, new):
            last.compress_factor += new.compress_factor
            last.balance_info = new.balance_info
            return
    out.append(new)


def _same_payers(a: Increment, b: Increment) -> bool:
    left, right = a.balance_info, b.balance_info
    if left is None or right is None or left.account_id != right.account_id:
        return False
    return _uuids(left) == _uuids(right)


def _uuids(info: BalanceInfo) -> tuple[str, str]:
    return info.unit.uuid if info.unit else "", info.monetary.uuid if info.monetary else ""
