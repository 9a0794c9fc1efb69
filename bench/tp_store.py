"""How long a large tariff takes through the store, and how long it keeps calls waiting.

    python bench/tp_store.py [--address HOST:PORT] [--destinations 100000]

One pipelined connection sets the destinations, their rates and a plan, and loads them; another one asks for a cost all the
time. Prints what each part took and the longest wait of the other connection in it. The node should be an ephemeral one.
"""

from __future__ import annotations

import argparse
import json
import socket
import threading
import time
from typing import Any

WINDOW = 2_000  # calls on the way at once
PING_S = 0.002


class Connection:
    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.create_connection(address, 60)
        self.lines = self.socket.makefile("rb")

    def send(self, method: str, params: Any) -> None:
        self.socket.sendall(json.dumps({"method": method, "params": [params], "id": 1}).encode() + b"\n")

    def receive(self) -> Any:
        answer = json.loads(self.lines.readline())
        if answer["error"] is not None:
            raise SystemExit(answer["error"])
        return answer["result"]

    def call(self, method: str, params: Any) -> Any:
        self.send(method, params)
        return self.receive()


class Prober(threading.Thread):
    """Asks for something small again and again, and keeps how long each took."""

    def __init__(self, address: tuple[str, int]) -> None:
        super().__init__(daemon=True)
        self.connection = Connection(address)
        self.waits: list[float] = []

    def run(self) -> None:
        while True:
            begin = time.perf_counter()
            self.connection.call("APIerSv1.GetCost", {"Usage": "0s"})
            self.waits.append(time.perf_counter() - begin)
            time.sleep(PING_S)

    def taken(self) -> str:
        waits, self.waits = sorted(self.waits) or [0.0], []
        return f"other calls: median {waits[len(waits) // 2] * 1e3:.1f} ms, longest {waits[-1] * 1e3:.0f} ms"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--address", default="127.0.0.1:2012")
    parser.add_argument("--destinations", type=int, default=100_000)
    options = parser.parse_args()
    host, _, port = options.address.rpartition(":")
    address = (host, int(port))
    connection = Connection(address)
    prober = Prober(address)
    prober.start()
    begin = time.perf_counter()

    def told(what: str) -> None:
        nonlocal begin
        print(f"{what}: {time.perf_counter() - begin:.1f} s; {prober.taken()}")
        begin = time.perf_counter()

    under_way = 0
    for number in range(options.destinations):
        connection.send("APIerSv1.SetTPDestination", {"TPid": "TP", "ID": f"D{number}", "Prefixes": [f"{number:06}"]})
        under_way += 1
        if under_way == WINDOW:
            connection.receive()
            under_way -= 1
    for _ in range(under_way):
        connection.receive()
    told(f"{options.destinations} SetTPDestination")
    for method, params in (
        ("SetTPRate", {"ID": "RT", "RateSlots": [{"Rate": 0.6, "RateUnit": "60s", "RateIncrement": "1s"}]}),
        ("SetTPDestinationRate", {"ID": "DR", "DestinationRates": [
            {"DestinationId": f"D{number}", "RateId": "RT"} for number in range(options.destinations)]}),
        ("SetTPRatingPlan", {"ID": "RP", "RatingPlanBindings": [{"DestinationRatesId": "DR", "TimingId": "*any"}]}),
        ("SetTPRatingProfile", {"LoadId": "L", "Category": "call", "Subject": "*any",
                                "RatingPlanActivations": [{"RatingPlanId": "RP"}]}),
    ):  # fmt: skip
        connection.call(f"APIerSv1.{method}", {"TPid": "TP", **params})
    told("rates and plan")
    connection.call("APIerSv1.LoadTariffPlanFromStorDb", {"TPid": "TP"})
    told("LoadTariffPlanFromStorDb")
    cost = connection.call("APIerSv1.GetCost", {"Destination": "000042", "Usage": "60s", "AnswerTime": "*now"})["Cost"]
    print(f"cost of a call then: {cost}")


if __name__ == "__main__":
    main()
