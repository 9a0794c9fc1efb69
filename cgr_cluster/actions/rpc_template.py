"""The `<< .Account.ID >>` templates in ExtraParameters of `*cgr_rpc` (spec 20 §5.3).

Inside `<<` and `>>` stands a path of names: `.Account` is the account as APIerSv2.GetAccount shows it, `.Action` the action
as APIerSv2.GetActions does, `.ExtraData` the event that a threshold was hit by (`Tenant`, `ID`, `Event`, `APIOpts`). Texts
are pasted so that they may stand inside a JSON text, all else as JSON.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from cgr_cluster.events.values import number_text
from cgr_cluster.rpc.errors import ApiError

_PLACE = re.compile(r"<<(.*?)>>", re.DOTALL)
_PATH = re.compile(r"(?:\.[A-Za-z_*][A-Za-z0-9_*]*)+")

Objects = Mapping[str, Callable[[], Any]]


def filled(template: str, objects: Objects) -> str:
    """The template with its places filled. Raises ApiError that names a place that cannot be."""
    return _PLACE.sub(lambda found: _value(found[1].strip(), objects), template)


def _value(path: str, objects: Objects) -> str:
    if not _PATH.fullmatch(path):
        raise ApiError(f"cannot read <<{path}>>: a path of names is wanted, as in <<.Account.ID>>")
    first, *names = path[1:].split(".")
    if first not in objects:
        raise ApiError(f"cannot read <<{path}>>: there is no {first}, but {', '.join(objects)}")
    value = objects[first]()
    for name in names:
        if not isinstance(value, dict) or name not in value:
            raise ApiError(f"cannot read <<{path}>>: there is no {name}")
        value = value[name]
    if isinstance(value, str):
        return json.dumps(value)[1:-1]
    if isinstance(value, int | float) and not isinstance(value, bool):
        return number_text(value)
    return json.dumps(value)
