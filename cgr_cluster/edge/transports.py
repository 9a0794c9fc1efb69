"""Sending a payload over the network or into a file of its own: one attempt, with a time limit."""

from __future__ import annotations

import os
import threading
from http.client import HTTPException
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING
from urllib.error import HTTPError

from cgr_cluster.events.values import json_text
from cgr_cluster.exporters.failed import FailedPost
from cgr_cluster.exporters.types import AMQP_TYPE, FILE_TYPES, HTTP_TYPES, KAFKA_TYPE, SEARCH_TYPE
from cgr_cluster.node.outside_effects import json_rpc, post_body
from cgr_cluster.rpc.errors import ApiError

if TYPE_CHECKING:
    from cgr_cluster.edge.amqp_sender import AmqpSender
    from cgr_cluster.edge.kafka_sender import KafkaSender

IDLE_S = 5.0  # a connection to a broker that was not used for so long is made anew: its heartbeats were not answered


class Transports:
    """Sends payloads, from any thread. Connections to brokers are kept for the next."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: dict[tuple[str, str], list[tuple[AmqpSender, float]]] = {}  # (url, options) → connection, last used
        self._producers: dict[tuple[str, str], KafkaSender] = {}

    def send(self, post: FailedPost) -> None:
        """One attempt. Raises ApiError with what was wrong."""
        if post.type in HTTP_TYPES or post.type == SEARCH_TYPE:
            _over_http(post)
        elif post.type == AMQP_TYPE:
            self._to_broker(post)
        elif post.type == KAFKA_TYPE:
            self._kafka(post).send(post.payload.body, post.payload.key)
        elif post.type == "*rpc":
            json_rpc(post.address, post.transport, post.method, json_text(post.payload.params))
        elif post.type in FILE_TYPES:
            suffix = post.type.removeprefix("*file_")
            _append(Path(post.path, f"{post.exporter.replace('/', '_')}_replayed.{suffix}"), post.payload.body)
        else:
            raise ApiError(f"exports of type {post.type} are not sent")

    def send_error(self, post: FailedPost) -> str:
        """One attempt; "" when it has arrived."""
        try:
            self.send(post)
        except ApiError as error:
            return error.text
        return ""

    def _to_broker(self, post: FailedPost) -> None:
        """Over a kept connection; one that has died meanwhile is replaced."""
        from cgr_cluster.edge.amqp_sender import AmqpSender  # a library that few need

        place = post.path, json_text(post.opts)
        kept = self._take(place)
        if kept is not None:
            try:
                kept.send(post.payload.body)
            except ApiError:
                kept.close()
            else:
                self._give(place, kept)
                return
        sender = AmqpSender(post.path, post.opts, post.timeout_s)
        try:
            sender.send(post.payload.body)
        except ApiError:
            sender.close()
            raise
        self._give(place, sender)

    def _kafka(self, post: FailedPost) -> KafkaSender:
        """A producer finds its brokers again by itself, so one is kept for ever."""
        from cgr_cluster.edge.kafka_sender import KafkaSender  # a library that few need

        place = post.path, json_text([post.opts, post.timeout_s])
        with self._lock:
            known = self._producers.get(place)
            if known is None:
                known = self._producers[place] = KafkaSender(post.path, post.opts, post.timeout_s)
        return known

    def _take(self, place: tuple[str, str]) -> AmqpSender | None:
        with self._lock:
            idle = self._idle.get(place) or []
            stale = [sender for sender, used in idle if monotonic() - used > IDLE_S]
            idle[:] = [(sender, used) for sender, used in idle if sender not in stale]
            taken = idle.pop()[0] if idle else None
        for sender in stale:
            sender.close()
        return taken

    def _give(self, place: tuple[str, str], sender: AmqpSender) -> None:
        with self._lock:
            self._idle.setdefault(place, []).append((sender, monotonic()))

    def close(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, {}
            producers, self._producers = self._producers, {}
        for producer in producers.values():
            producer.close()
        for senders in idle.values():
            for sender, _ in senders:
                sender.close()


def _over_http(post: FailedPost) -> None:
    payload, method = post.payload, post.method or "POST"
    headers = {"Content-Type": payload.content_type, **payload.headers}
    try:
        post_body(post.path, payload.body.encode(), headers, post.timeout_s, method=method)
    except HTTPError as error:
        error.close()
        raise ApiError(f"unexpected status code received: <{error.code}>") from None
    except (OSError, HTTPException, ValueError) as error:
        raise ApiError(f"{method} to {post.path}: {error}") from None


def _append(path: Path, text: str) -> None:
    """A line that could not be written when its file was open."""
    try:
        with open(path, "ab") as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise ApiError(f"{path}: {error.strerror}") from None
