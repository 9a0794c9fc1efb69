"""An export that did not arrive, as it is kept and sent again (spec 40 §7)."""

from __future__ import annotations

from typing import Any

import msgspec

from cgr_cluster.exporters.payload import Payload


class FailedPost(msgspec.Struct, gc=False):
    """A payload that did not arrive. `path`: the folder or URL; `method`: of `*rpc`, of HTTP when it is another than POST;
    `opts`: of the exporter, as far as its type needs them."""

    exporter: str
    type: str
    path: str
    payload: Payload
    method: str = ""
    timeout_s: float = 2.0
    address: str = ""
    transport: str = ""
    opts: dict[str, Any] = {}
