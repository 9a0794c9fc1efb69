"""Provisioning over HTTP as deployed clients do it (02-clients), against a real node that is then started again."""

from __future__ import annotations

import http.client
import json
from typing import Any

from tests.cluster.node_rig import WAIT, NodeRig
from tests.unit.provisioning import cost, done, set_up_tariff

HTTP = 2  # after the port base
HEADERS = {"Content-Type": "application/x-www-form-urlencoded", "Authorization": "Basic dXNlcjpwYXNz"}


class HttpClient:
    """One keep-alive connection; text ids that must come back, `"jsonrpc":"2.0"`."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT)
        self._last = 0

    def call(self, method: str, params: Any) -> dict[str, Any]:
        self._last += 1
        sent = f"call-{self._last}"
        body = json.dumps({"jsonrpc": "2.0", "id": sent, "method": method, "params": [params]})
        self._connection.request("POST", "/jsonrpc", body, HEADERS)
        response = self._connection.getresponse()
        answer: dict[str, Any] = json.loads(response.read())
        assert response.status == 200 and answer["id"] == sent
        return answer


def test_a_tariff_set_up_over_http_is_there_after_a_restart() -> None:
    rig = NodeRig()
    try:
        rig.start()
        client = HttpClient(rig.port + HTTP)
        set_up_tariff(client.call)
        assert cost(client.call, "4722") == 1
        answer = client.call("ApierV1.LoadTariffPlanFromStorDb", {})  # an error of a method is no error of HTTP
        assert (answer["result"], answer["error"]) == (None, "MANDATORY_IE_MISSING: [TPid]")
        done(
            client.call,
            "ApierV1.AddBalance",
            {"Account": "1001", "BalanceType": "*monetary", "Value": 5, "BalanceId": "M"},
        )
        assert rig.stop() == 0
        rig.start()
        client = HttpClient(rig.port + HTTP)
        assert cost(client.call, "4722") == 1
        found = done(client.call, "ApierV1.GetTPDestination", {"Tpid": "TP", "Id": "DST_NO"})
        assert found["Prefixes"] == ["47", "0047"]
        account = done(client.call, "ApierV2.GetAccount", {"Account": "1001"})
        assert [(b["ID"], b["Value"]) for b in account["BalanceMap"]["*monetary"]] == [("M", 5)]
        assert rig.stop() == 0
    finally:
        rig.discard()
