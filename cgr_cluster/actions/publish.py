"""Account events (spec 20 §3.10): what `*publish_account` and debits send to ThresholdS, StatS and EEs.

The one place where they would leave. While none of these services is built none is connected, which is how they are
configured off, and there is nothing to send.
"""

from __future__ import annotations

from cgr_cluster.accounts.types import Account
from cgr_cluster.engine.domain import Part


def publish_account(part: Part, account: Account) -> None:
    """Send the account's event to the connected services: to none yet."""
