"""Sending a payload over the network or into a file of its own: one attempt, with a time limit."""

from __future__ import annotations

import logging
import os
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError

from cgr_cluster.events.values import json_text
from cgr_cluster.exporters.failed import FailedPost
from cgr_cluster.exporters.types import FILE_TYPES, HTTP_TYPES, SEARCH_TYPE
from cgr_cluster.node.outside_effects import json_rpc, post_body
from cgr_cluster.rpc.errors import ApiError

logger = logging.getLogger("cgr_cluster.edge")


def send(post: FailedPost) -> None:
    """One attempt. Raises ApiError with what was wrong."""
    payload = post.payload
    if post.type in HTTP_TYPES or post.type == SEARCH_TYPE:
        headers = {"Content-Type": payload.content_type, **payload.headers}
        try:
            post_body(post.path, payload.body.encode(), headers, post.timeout_s, method=post.method or "POST")
        except HTTPError as error:
            error.close()
            raise ApiError(f"unexpected status code received: <{error.code}>") from None
        except (OSError, HTTPException, ValueError) as error:
            raise ApiError(f"{post.method or 'POST'} to {post.path}: {error}") from None
    elif post.type == "*rpc":
        json_rpc(post.address, post.transport, post.method, json_text(payload.params))
    elif post.type in FILE_TYPES:
        suffix = post.type.removeprefix("*file_")
        _append(Path(post.path, f"{post.exporter.replace('/', '_')}_replayed.{suffix}"), payload.body)
    else:
        raise ApiError(f"exports of type {post.type} are not sent")


def _append(path: Path, text: str) -> None:
    """A line that could not be written when its file was open."""
    try:
        with open(path, "ab") as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise ApiError(f"{path}: {error.strerror}") from None
