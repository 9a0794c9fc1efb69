"""Processes of a real node killed with -9 during a stream of calls: nothing acknowledged is lost, nothing is done twice
(design 9, invariants 3, 7, 11, 13)."""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.cluster.node_rig import Client, NodeRig, wait_until

pytestmark = pytest.mark.cluster
PLAN = str(Path(__file__).parents[1] / "conformance/tariffplans/sessions_retail")
GIVEN = 1e6  # more than any stream uses: a fast machine makes thousands of calls while a killed part waits for its next start
CALL_COST = 0.75  # of 75 s to 4420...
CLIENTS = 3


def give_money(node: NodeRig, account: str) -> None:
    balance = {"Account": account, "BalanceType": "*monetary", "Value": GIVEN, "Balance": {"ID": "main"}}
    node.ok("APIerSv1.SetBalance", balance)


def money(node: NodeRig, account: str) -> float:
    found = node.ok("APIerSv2.GetAccount", {"Account": account})
    return float(found["BalanceMap"]["*monetary"][0]["Value"])


def event(account: str, call: str, **fields: Any) -> dict[str, Any]:
    return {
        "OriginID": call, "OriginHost": "sw1", "ToR": "*voice", "RequestType": "*prepaid", "Account": account,
        "Destination": "442071112222", "AnswerTime": "2026-03-02T10:00:00Z", **fields,
    }  # fmt: skip


class Switch(threading.Thread):
    """A client that makes call after call on its account. When its connection breaks it connects again, looks whether
    its request was done, and repeats it only when it was not."""

    def __init__(self, node: NodeRig, account: str) -> None:
        super().__init__(daemon=True)
        self.node = node
        self.account = account
        self.calls = 0  # calls whose CDR is acknowledged
        self.broken = 0  # connections
        self.failure = ""
        self.ending = False
        self.client = Client(node.port)

    def run(self) -> None:
        try:
            while not self.ending:
                self._one_call(f"{self.account}-{self.calls}")
                self.calls += 1
        except Exception as error:  # told by the test, which reads it
            self.failure = repr(error)
        self.client.close()

    def _one_call(self, call: str) -> None:
        account = self.account
        self._do(
            "SessionSv1.InitiateSession", {"InitSession": True, "Event": event(account, call, Usage="30s")}, "EXISTS"
        )
        self._do("SessionSv1.UpdateSession", {"UpdateSession": True, "Event": event(account, call, Usage="60s")})
        self._do("SessionSv1.TerminateSession", {"TerminateSession": True, "Event": event(account, call, Usage="75s")})
        self._do("SessionSv1.ProcessCDR", {"Event": event(account, call)}, "PARTIALLY_EXECUTED")

    def _do(self, method: str, params: Any, done_error: str | None = None) -> None:
        repeated = False
        while True:
            try:
                if repeated and method.endswith("TerminateSession") and not self._active(params["Event"]["OriginID"]):
                    return
                answer = self.client.call(method, params)
            except (OSError, ValueError):
                self._connect_again()
                repeated = True
                continue
            if answer["error"] is None or (repeated and answer["error"] == done_error):
                return
            raise AssertionError(f"{method} {params['Event']['OriginID']}: {answer['error']} (repeated: {repeated})")

    def _active(self, call: str) -> bool:
        answer = self.client.call("SessionSv1.GetActiveSessions", {"Filters": [f"*string:~*req.OriginID:{call}"]})
        return bool(answer["result"])

    def _connect_again(self) -> None:
        self.broken += 1
        self.client.close()

        def connect() -> Client | None:
            try:
                return Client(self.node.port)
            except OSError:
                return None

        self.client = wait_until(connect, "the node to listen again")


def warnings_of(node: NodeRig) -> str:
    lines = node.log.read_text().splitlines()
    return "\n".join([line for line in lines if " WARNING " in line or " ERROR " in line][-30:])


class Stream:
    """Some switches at work. Ends by checking what they were told against what the node has."""

    def __init__(self, node: NodeRig, name: str) -> None:
        self.node = node
        self.name = name
        self.accounts = [f"{name}{number}" for number in range(CLIENTS)]
        for account in self.accounts:
            give_money(node, account)
        self.switches = [Switch(node, account) for account in self.accounts]
        for switch in self.switches:
            switch.start()

    def goes_on(self, calls: int = 3) -> None:
        """Wait until each switch has made so many more calls."""
        before = [switch.calls for switch in self.switches]

        def all_moved() -> bool:
            failures = [switch.failure for switch in self.switches if switch.failure]
            assert not failures, (failures, warnings_of(self.node))
            return all(s.calls >= b + calls for s, b in zip(self.switches, before, strict=True))

        wait_until(all_moved, "every client to make calls")

    def end(self) -> None:
        for switch in self.switches:
            switch.ending = True
        for switch in self.switches:
            switch.join()
        assert [switch.failure for switch in self.switches if switch.failure] == []

    def check(self) -> None:
        """Every acknowledged call has one CDR and cost its price once; nothing else was taken."""
        for switch in self.switches:
            account = switch.account
            records = self.node.ok("CDRsV1.GetCDRs", {"Accounts": [account], "Limit": 100_000})
            keys = Counter((record["CGRID"], record["RunID"], record["OriginID"]) for record in records)
            assert [key for key, count in keys.items() if count > 1] == []
            made = {record["OriginID"] for record in records}
            assert {f"{account}-{number}" for number in range(switch.calls)} == made
            assert {record["Cost"] for record in records} == {CALL_COST}
            assert money(self.node, account) == pytest.approx(GIVEN - CALL_COST * switch.calls, abs=1e-9)


@pytest.fixture
def node() -> Iterator[NodeRig]:
    with NodeRig(workers=2) as node:
        node.ok("APIerSv1.LoadTariffPlanFromFolder", {"FolderPath": PLAN})
        yield node


def parts(node: NodeRig, names: tuple[str, ...]) -> dict[str, int] | None:
    """Pids of these parts, when all are there."""
    found = node.pids()
    return found if found.keys() >= set(names) else None


def has_ended(process: psutil.Process) -> bool:
    """Also when nobody has reaped it: an init that does not is no matter of ours."""
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def kill_and_wait(node: NodeRig, *names: str) -> None:
    """kill -9; until all parts are there again under new pids."""
    old = wait_until(lambda: parts(node, names), f"{names} to be there")
    for name in names:
        os.kill(old[name], signal.SIGKILL)
    wait_until(lambda: all(node.pids().get(name, old[name]) != old[name] for name in names), f"{names} to be back")


@pytest.mark.parametrize(
    "victims",
    [
        pytest.param(
            [("worker-0",), ("worker-1",), ("worker-0", "worker-1"), ("worker-1",), ("worker-0",)], id="workers"
        ),
        pytest.param([("log",)] * 5, id="log"),
        pytest.param([("store",), ("folder",)] * 2 + [("store",)], id="store and folder"),
        pytest.param([("balancer",)] * 5, id="balancer"),
        pytest.param([("log", "worker-0", "store", "balancer", "worker-1", "folder")] * 2, id="all at once"),
    ],
)
def test_invariants_03_07_and_11_five_kills_during_a_stream(
    node: NodeRig, victims: list[tuple[str, ...]], request: Any
) -> None:
    name = request.node.callspec.id.replace(" ", "-")
    waiting = f"{name}-waiting"
    give_money(node, waiting)
    start = {"InitSession": True, "Event": event(waiting, f"{name}-long", Usage="30s")}
    node.ok("SessionSv1.InitiateSession", start)
    stream = Stream(node, name)
    stream.goes_on()
    for together in victims:
        kill_and_wait(node, *together)
        stream.goes_on(2)
    stream.end()
    stream.check()
    if not any("balancer" in together for together in victims):
        assert [switch.broken for switch in stream.switches] == [0] * CLIENTS  # clients have not noticed
    update = {"UpdateSession": True, "Event": event(waiting, f"{name}-long", Usage="30s")}
    assert node.ok("SessionSv1.UpdateSession", update) == {"MaxUsage": 30 * 10**9}  # a session that was running goes on
    node.ok(
        "SessionSv1.TerminateSession", {"TerminateSession": True, "Event": event(waiting, f"{name}-long", Usage="60s")}
    )
    assert money(node, waiting) == pytest.approx(GIVEN - 0.6, abs=1e-9)


def test_supervisor_killed_and_started_again_with_more_and_with_fewer_workers() -> None:
    node = NodeRig(workers=2)
    try:
        node.start()
        node.ok("APIerSv1.LoadTariffPlanFromFolder", {"FolderPath": PLAN})
        stream = Stream(node, "s")
        stream.goes_on()
        assert node.process is not None
        family = node.pids()
        assert family.keys() >= {"log", "worker-0", "worker-1", "balancer", "store", "folder"}
        children = [psutil.Process(pid) for pid in family.values()]
        os.kill(node.process.pid, signal.SIGKILL)
        node.process.wait()
        wait_until(lambda: all(map(has_ended, children)), "the parts to end with their supervisor")
        node.start(workers=3)
        stream.goes_on()
        stream.end()
        stream.check()
        assert node.stop() == 0  # SIGTERM to the process group
        node.start(workers=1)
        stream.check()
        assert node.ok("SessionSv1.GetActiveSessionsCount", {}) == 0
        assert node.stop() == 0
    finally:
        node.discard()


def test_a_graceful_stop_in_a_stream_loses_nothing() -> None:
    node = NodeRig(workers=2)
    try:
        node.start()
        node.ok("APIerSv1.LoadTariffPlanFromFolder", {"FolderPath": PLAN})
        stream = Stream(node, "g")
        for _ in range(2):
            stream.goes_on()
            assert node.stop() == 0, node.log.read_text()
            node.start()
        stream.goes_on()
        stream.end()
        stream.check()
        assert node.stop() == 0
        assert "Traceback" not in node.log.read_text()
    finally:
        node.discard()


def test_invariant_13_what_one_connection_wrote_every_other_reads(node: NodeRig) -> None:
    """Reference data and accounts, each from a connection of its own, right after the answer."""
    with node.client() as writer, node.client() as reader:
        for number in range(200):
            account = f"rw{number % 7}"
            balance = {"Account": account, "BalanceType": "*monetary", "Value": number, "Balance": {"ID": "m"}}
            assert writer.call("APIerSv1.SetBalance", balance)["error"] is None
            found = reader.call("APIerSv2.GetAccount", {"Account": account})["result"]
            assert found["BalanceMap"]["*monetary"][0]["Value"] == number
            destination = {"Id": "DST_RW", "Prefixes": [f"+{number}"], "Overwrite": True}
            assert writer.call("APIerSv1.SetDestination", destination)["error"] is None
            readers = [reader, writer]
            for client in readers:  # spread over the workers by the balancer
                found = client.call("APIerSv1.GetDestination", "DST_RW")["result"]
                assert found["Prefixes"] == [f"+{number}"]
