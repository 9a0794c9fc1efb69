"""The log process of a node: appends the groups of all its workers, one `fdatasync` for all that came in during the last one.

One thread and one loop: read what has come, write and sync it, answer. While the disk works nothing is read; what comes in meanwhile
waits in the socket buffers and is the next batch. A second thread only fills the next segment with zeros, which is also the
reserve: with it the workers that are told `low_disk` can still log what ends calls and gives money back.

After an I/O error the process ends at once; a new one recovers from the disk (design 6).
"""

from __future__ import annotations

import argparse
import logging
import os
import selectors
import socket
import sqlite3
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from cgr_cluster.config import logs
from cgr_cluster.config.stop_signals import on_stop_signal
from cgr_cluster.log import checkpoint
from cgr_cluster.log.data_dir import DataDir
from cgr_cluster.log.disk import FileDisk
from cgr_cluster.log.errors import DataDirError, DiskFullError, LogError, RefusalError
from cgr_cluster.log.journal import FIRST_SEGMENT_BYTES, SEGMENT_BYTES, Journal
from cgr_cluster.log.segments import PART_NAME
from cgr_cluster.log.service import Answer, Service
from cgr_cluster.log.wire import Frames, refused
from workers.children import Leash
from workers.options import NodeOptions

logger = logging.getLogger("cgr_cluster.log")

READ_BYTES: Final = 1 << 20  # a connection's share of one batch
MAX_UNSENT_BYTES: Final = 1 << 20  # answers to a client that does not read; then its connection ends
MAX_CONNECTIONS: Final = 1024
SOCKET_BUFFER_BYTES: Final = 4 << 20
CHECK_S: Final = 1.0  # free space, the spare segment
HELD_S: Final = 0.1  # how often held groups are tried again
EXIT_DATA: Final = 78  # the supervisor's FATAL: an operator must look; starting again does not help
EXIT_IO: Final = 74  # as EX_IOERR: start again, it recovers from the disk


class LogOptions(msgspec.Struct, frozen=True, kw_only=True):
    data_dir: str
    socket: str = ""  # empty: log.sock in the data directory
    segment_bytes: int = SEGMENT_BYTES
    first_segment_bytes: int = FIRST_SEGMENT_BYTES
    low_disk_bytes: int = 512 << 20  # with less free space than this, workers are told to take nothing new


class Connection:
    """A client of the log: what it has sent and was not handled yet, and what it has not read yet."""

    def __init__(self, number: int, stream: socket.socket) -> None:
        self.number = number
        self.stream = stream
        self.frames = Frames()
        self.waiting: deque[tuple[int, bytes]] = deque()
        self.unsent = bytearray()
        self.ending = False  # it was refused: nothing is read any more, and it closes when all is sent


class LogProcess:
    """The loop. `stop` may be called by a signal handler."""

    def __init__(self, options: LogOptions, journal: Journal, disk: FileDisk, listener: socket.socket) -> None:
        self._options = options
        self._journal = journal
        self._disk = disk
        self._service = Service(journal)
        self._listener = listener
        self._selector = selectors.DefaultSelector()
        self._connections: dict[int, Connection] = {}
        self._count = 0
        self._stopping = False
        self._spare: threading.Thread | None = None
        self._spare_error: OSError | DiskFullError | None = None  # of the last attempt
        self._checked_s = 0.0
        self._segment = journal.durable.segment
        self._wake_out, self._wake_in = socket.socketpair()
        self._wake_out.setblocking(False)
        self._selector.register(listener, selectors.EVENT_READ, self._accept)
        self._selector.register(self._wake_out, selectors.EVENT_READ, self._woken)

    def add_reader(self, descriptor: int, readable: Callable[[], None]) -> None:
        self._selector.register(descriptor, selectors.EVENT_READ, readable)

    def stop(self) -> None:
        self._stopping = True
        self._wake_in.send(b"x")

    def serve(self) -> None:
        """Serves until `stop`. Raises OSError when the disk has failed."""
        self._check_disk()
        while not self._stopping:
            held = self._handle_waiting()
            for answer in self._service.commit():
                self._answer(answer)
            if self._journal.durable.segment != self._segment:
                self._segment = self._journal.durable.segment
                logger.info("segment %d begun", self._segment)
                self._checked_s = 0.0
            self._check_disk()
            ready = self._selector.select(HELD_S if held else CHECK_S)
            if not ready and not held:
                self._journal.prove()
            for key, events in ready:
                if isinstance(key.data, Connection):
                    self._ready(key.data, events)
                else:
                    key.data()
        self._handle_waiting()
        for answer in self._service.commit():
            self._answer(answer)
        self._journal.prove()

    # --- connections ---

    def _accept(self) -> None:
        try:
            stream, _ = self._listener.accept()
        except OSError as error:  # the client went away, or this process has no descriptors left
            logger.error("a connection could not be accepted: %s", error)
            return
        stream.setblocking(False)
        if len(self._connections) >= MAX_CONNECTIONS:
            stream.send(refused("TOO_MANY", f"the log process serves {MAX_CONNECTIONS} connections at most"))
            stream.close()
            return
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SOCKET_BUFFER_BYTES)
        self._count += 1
        connection = self._connections[self._count] = Connection(self._count, stream)
        self._selector.register(stream, selectors.EVENT_READ, connection)

    def _woken(self) -> None:
        self._wake_out.recv(64)

    def _ready(self, connection: Connection, events: int) -> None:
        if events & selectors.EVENT_WRITE:
            self._flush(connection)
        if not events & selectors.EVENT_READ or connection.number not in self._connections:
            return
        try:
            data = connection.stream.recv(READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._drop(connection)
            return
        try:
            connection.waiting += connection.frames.feed(data)
        except RefusalError as refusal:
            self._answer(Answer(connection.number, refused(refusal.code, str(refusal)), True))

    def _handle_waiting(self) -> bool:
        """Gives what has come in to the service. True when something is held for lack of room on the disk."""
        held = False
        for connection in self._connections.values():
            waiting = connection.waiting
            while waiting and not connection.ending:
                if not self._service.take(connection.number, *waiting[0]):
                    held = True
                    break
                waiting.popleft()
            self._watch(connection)
        return held

    def _answer(self, answer: Answer) -> None:
        connection = self._connections.get(answer.connection)
        if connection is None:
            return
        connection.unsent += answer.data
        if answer.last:
            connection.ending = True
            connection.waiting.clear()
        self._flush(connection)

    def _flush(self, connection: Connection) -> None:
        try:
            sent = connection.stream.send(connection.unsent) if connection.unsent else 0
        except BlockingIOError:
            sent = 0
        except OSError:
            self._drop(connection)
            return
        del connection.unsent[:sent]
        if connection.ending and not connection.unsent:
            self._drop(connection)
        elif len(connection.unsent) > MAX_UNSENT_BYTES:
            logger.error("a client does not read its answers: ended with %d bytes unsent", len(connection.unsent))
            self._drop(connection)
        else:
            self._watch(connection)

    def _watch(self, connection: Connection) -> None:
        """Reads only while nothing is held: a client's window bounds what waits here."""
        reading = 0 if connection.ending or connection.waiting else selectors.EVENT_READ
        wanted = reading | (selectors.EVENT_WRITE if connection.unsent else 0)
        current = self._selector.get_map().get(connection.stream)
        if current is None:
            if wanted:
                self._selector.register(connection.stream, wanted, connection)
        elif not wanted:
            self._selector.unregister(connection.stream)
        elif current.events != wanted:
            self._selector.modify(connection.stream, wanted, connection)

    def _drop(self, connection: Connection) -> None:
        if connection.stream in self._selector.get_map():
            self._selector.unregister(connection.stream)
        connection.stream.close()
        self._connections.pop(connection.number, None)
        self._service.gone(connection.number)

    # --- the disk ---

    def _check_disk(self) -> None:
        """Watermark and spare segment, at most once in `CHECK_S`."""
        if time.monotonic() - self._checked_s < CHECK_S:
            return
        self._checked_s = time.monotonic()
        service = self._service
        if self._spare is not None and not self._spare.is_alive():
            self._spare = None
            if isinstance(self._spare_error, OSError):
                raise self._spare_error
            if self._spare_error is None and not self._journal.has_spare:
                self._journal.adopt_spare()
        service.free_bytes = self._disk.free_bytes()
        has_spare = self._journal.has_spare
        fits = service.free_bytes >= self._options.segment_bytes
        no_reserve = not has_spare and (not fits or self._spare_error is not None)
        low = service.free_bytes < self._options.low_disk_bytes or no_reserve
        if low != service.low_disk:
            service.low_disk = low
            if low:
                reserve = "one segment in reserve" if not no_reserve else "nothing in reserve"
                logger.error(
                    "disk low: %d bytes free (low_disk_bytes is %d), %s; workers take nothing new",
                    *(service.free_bytes, self._options.low_disk_bytes, reserve),
                )
            else:
                logger.info("disk has room again: %d bytes free", service.free_bytes)
        if self._spare is None and not has_spare and fits:
            self._spare = threading.Thread(target=self._fill_spare, name="spare segment", daemon=True)
            self._spare.start()

    def _fill_spare(self) -> None:
        try:
            self._disk.create(PART_NAME, self._options.segment_bytes)
            self._spare_error = None
        except (OSError, DiskFullError) as error:
            self._spare_error = error


def run(options: LogOptions, leash: Leash | None = None) -> int:
    """Opens the log and serves it until it is told to stop: by the leash, or SIGTERM or SIGINT. Returns the exit status."""
    place = DataDir(options.data_dir)
    path = options.socket or str(place.socket)
    started = time.monotonic()
    try:
        place.prepare()
        lock = place.lock()
        disk = FileDisk(place.segments)
        journal = Journal(
            disk,
            time.time_ns,
            folded_below=checkpoint.position(options.data_dir),
            segment_bytes=options.segment_bytes,
            first_segment_bytes=options.first_segment_bytes,
        )
        listener = _listen(path)
    except LogError as error:
        logger.error("cannot start: %s", error)
        return EXIT_DATA
    except (OSError, sqlite3.Error) as error:
        logger.error("cannot start: %s (data directory %s, socket %s)", error, options.data_dir, path)
        return EXIT_IO
    process = LogProcess(options, journal, disk, listener)
    if leash is None:
        on_stop_signal(process.stop)
    else:
        leash.watch(process.add_reader, process.stop)
        leash.ready()
    logger.info(
        "ready in %.3f s: segment %d, %d groups carried over, socket %s",
        time.monotonic() - started,
        journal.durable.segment,
        len(journal.recovered.tail),
        path,
    )
    try:
        process.serve()
    except OSError as error:
        logger.error("the disk has failed: %s; the log ends, its next start recovers from the disk", error)
        return EXIT_IO
    os.unlink(path)
    os.close(lock)
    logger.info("stopped: %d groups in %d syncs", journal.groups, journal.syncs)
    return 0


def _listen(path: str) -> socket.socket:
    if len(os.fsencode(path)) > 107:
        raise DataDirError(
            f"socket name {path} is longer than the 107 bytes the system allows: configure a shorter one"
        )
    if os.path.exists(path):
        os.unlink(path)  # of a process that died: we hold the lock
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(path)
    os.chmod(path, 0o600)
    listener.listen(128)
    listener.setblocking(False)
    return listener


def main(node: NodeOptions, leash: Leash) -> None:
    """Under the supervisor."""
    options = LogOptions(
        data_dir=node.data_dir,
        socket=node.log_socket,
        segment_bytes=node.cluster.segment_bytes,
        low_disk_bytes=node.cluster.low_disk_bytes,
    )
    sys.exit(run(options, leash))


def command() -> int:
    """As a process of its own, for instance a unit of systemd."""
    logs.setup("log")
    parser = argparse.ArgumentParser(description="Serves the log of a node.")
    parser.add_argument("--data-dir", required=True, type=Path)
    parser.add_argument("--socket", default="", help="default: log.sock in the data directory")
    parser.add_argument("--segment-bytes", type=int, default=SEGMENT_BYTES)
    parser.add_argument("--first-segment-bytes", type=int, default=FIRST_SEGMENT_BYTES)
    parser.add_argument("--low-disk-bytes", type=int, default=512 << 20, help="below this workers take nothing new")
    given = parser.parse_args()
    return run(
        LogOptions(
            data_dir=str(given.data_dir),
            socket=given.socket,
            segment_bytes=given.segment_bytes,
            first_segment_bytes=given.first_segment_bytes,
            low_disk_bytes=given.low_disk_bytes,
        )
    )


if __name__ == "__main__":
    sys.exit(command())
