"""Ports for the processes that tests start: below those that the kernel gives to outgoing connections, so that nobody takes
one between the look and the bind, or while a node is started again; each test process (pytest-xdist's `gw0`, `gw1`, ...)
has a range of its own, and what it has chosen is not chosen by another run of the tests on this machine."""

from __future__ import annotations

import itertools
import os
import random
import socket

FIRST, LAST = 10_000, 30_000  # the kernel's own begin at 32768
RANGE = 2_000  # ports of one test process
STEP = 4  # a node listens on P, P+2 and P+3

_process = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_begin = FIRST + _process * RANGE % (LAST - FIRST)
_bases = itertools.cycle(range(_begin, _begin + RANGE, STEP))
for _ in range(random.randrange(RANGE // STEP)):  # another run of the tests on this machine begins elsewhere
    next(_bases)


_taken: list[socket.socket] = []  # names of what this process has chosen; the kernel forgets them with it


def free_port_base() -> int:
    """P such that P to P+3 are free now, and that nobody else who asks here gets."""
    for base in itertools.islice(_bases, RANGE // STEP):
        if all(_is_free(base + offset) for offset in range(STEP)) and _take(base):
            return base
    raise RuntimeError(f"no four free ports between {_begin} and {_begin + RANGE}")


def _take(base: int) -> bool:
    """Whether this process has it from now on: an abstract name of the network's namespace says so, as the port will."""
    sock = socket.socket(socket.AF_UNIX)
    try:
        sock.bind(f"\0cgr-cluster-tests-{base}")
    except OSError:
        sock.close()
        return False
    _taken.append(sock)
    return True


def _is_free(port: int) -> bool:
    with socket.socket() as sock:
        try:
            sock.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
