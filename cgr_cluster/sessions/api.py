"""All of SessionSv1 and SMGenericV1: importing this module declares its methods, steps and timers."""

from __future__ import annotations

from cgr_cluster.rpc.registry import service
from cgr_cluster.sessions import api_event, api_generic, api_life, api_lists, api_stir, timers

service("SessionSv1")

__all__ = ["api_event", "api_generic", "api_life", "api_lists", "api_stir", "timers"]
