"""The methods of this package, in a module for each kind; importing them registers them."""

from __future__ import annotations

from cgr_cluster.accounts import account_api, balance_api, explain_api, responder_api, usage_api

__all__ = ["account_api", "balance_api", "explain_api", "responder_api", "usage_api"]
