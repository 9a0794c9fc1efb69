"""The process of the CDR store: takes what the workers' outboxes send, answers the store's part of queries (design 5).

One thread writes: it drains the socket, applies the batches of all workers in one commit per month's file, and
acknowledges them. Another reads, with connections of its own, so that a long query holds up no outbox. A failing disk is
not acknowledged and tried again: the workers keep their tails meanwhile, and nothing is lost.
"""

from __future__ import annotations

import logging
import queue
import select
import socket
import sqlite3
import threading
from pathlib import Path

import zmq

from cgr_cluster.cdrs.outbox import entries_of
from cgr_cluster.cdrs.store import CdrFiles, CdrReader, CdrWriter, store_functions
from cgr_cluster.cdrs.store_wire import Ask, Done, Put, Told, decode, encode, pack_result, unpack_arguments
from cgr_cluster.cdrs.types import TailEntry
from cgr_cluster.rpc.errors import ApiError
from workers.children import Leash
from workers.options import NodeOptions

logger = logging.getLogger("cgr_cluster.store")

FOLDER = "cdrs"  # in the data directory
RETRY_SECONDS = 1.0  # after a failed commit
MAX_QUESTIONS = 1000  # that wait for the reader; more are refused
DRAIN_FRAMES = 256  # at most in one commit


class StoreProcess:
    """The socket and the two threads."""

    def __init__(self, folder: Path, address: str) -> None:
        self._writer = CdrWriter(CdrFiles(folder))
        self._folder = folder
        self._socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.ROUTER)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.RCVHWM, 0)  # bounded by the workers: one batch each, and MAX_QUESTIONS
        self._socket.setsockopt(zmq.SNDHWM, 0)
        self._socket.bind(address)
        self._incarnations: dict[int, int] = {}  # worker → the latest that has sent
        self._questions: queue.Queue[tuple[bytes, Ask] | None] = queue.Queue(MAX_QUESTIONS)
        self._answers: queue.SimpleQueue[tuple[bytes, Told]] = queue.SimpleQueue()
        self._wake_out, self._wake_in = socket.socketpair()
        self._wake_out.setblocking(False)
        self._leash: Leash
        self._stopping = False
        self._reader = threading.Thread(target=self._read, name="reader", daemon=True)

    def run(self, leash: Leash) -> None:
        """Serve until the leash says stop."""
        self._leash = leash
        self._reader.start()
        poller = zmq.Poller()
        poller.register(self._socket, zmq.POLLIN)
        poller.register(self._wake_out, zmq.POLLIN)
        poller.register(leash.down, zmq.POLLIN)
        leash.ready()
        while True:
            ready = dict(poller.poll())
            self._send_answers()
            self._handle(self._drain())
            if leash.down in ready:
                self._stopping = True
                if leash.wanted() == "stop":
                    self._handle(self._drain())
                    self._send_answers()
                self._questions.put(None)
                self._socket.close()
                return

    def _drain(self) -> list[tuple[bytes, bytes]]:
        frames: list[tuple[bytes, bytes]] = []
        try:
            while len(frames) < DRAIN_FRAMES:
                peer, frame = self._socket.recv_multipart(zmq.NOBLOCK)
                frames.append((peer, frame))
        except zmq.Again:
            pass
        return frames

    def _handle(self, frames: list[tuple[bytes, bytes]]) -> None:
        puts: list[tuple[bytes, Put]] = []
        for peer, frame in frames:
            message = decode(frame)
            if isinstance(message, Put):
                if self._incarnations.get(message.worker, 0) <= message.incarnation:
                    self._incarnations[message.worker] = message.incarnation
                    puts.append((peer, message))
            elif isinstance(message, Ask):
                self._ask(peer, message)
        current = [(peer, put) for peer, put in puts if put.incarnation == self._incarnations[put.worker]]
        if current and self._commit([entry for _, put in current for entry in entries_of(put.entries)]):
            for peer, put in current:
                self._send(peer, Done(put.incarnation, put.number))

    def _commit(self, entries: list[TailEntry]) -> bool:
        """Whether they are stored; they are not when the leash says stop before the disk takes them: the workers keep them."""
        while True:
            try:
                self._writer.put(entries)
                return True
            except sqlite3.OperationalError as error:
                logger.error("%d CDRs could not be stored, trying again: %s", len(entries), error)
            if self._stopping or select.select([self._leash.down], [], [], RETRY_SECONDS)[0]:
                return False
            self._send_answers()

    def _ask(self, peer: bytes, question: Ask) -> None:
        try:
            self._questions.put_nowait((peer, question))
        except queue.Full:
            self._send(peer, Told(question.id, b"", "SERVER_ERROR: too many CDR queries are waiting"))

    def _send(self, peer: bytes, message: Done | Told) -> None:
        self._socket.send_multipart([peer, encode(message)], zmq.NOBLOCK)  # a peer that is gone: dropped by the socket

    def _send_answers(self) -> None:
        try:
            self._wake_out.recv(4096)
        except BlockingIOError:
            pass
        while not self._answers.empty():
            self._send(*self._answers.get())

    def _read(self) -> None:
        """The reader's thread."""
        functions = store_functions(CdrReader(CdrFiles(self._folder)))
        while (question := self._questions.get()) is not None:
            peer, ask = question
            try:
                result = functions[ask.name](*unpack_arguments(ask.name, ask.args))
                told = Told(ask.id, pack_result(ask.name, result))
            except ApiError as error:
                told = Told(ask.id, b"", error.text)
            except Exception as error:
                logger.exception("%s failed", ask.name)
                told = Told(ask.id, b"", f"SERVER_ERROR: CDR store: {error}")
            self._answers.put((peer, told))
            self._wake_in.send(b"x")


def main(options: NodeOptions, leash: Leash) -> None:
    StoreProcess(Path(options.data_dir, FOLDER), options.store_address).run(leash)
