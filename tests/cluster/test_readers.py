"""Readers and the endpoints of switches in real processes: a kill -9 in the middle of a file, records posted over HTTP."""

from __future__ import annotations

import json
import threading
import urllib.request
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.cluster.node_rig import WAIT, Client, NodeRig, wait_until
from tests.unit.readers_world import reader

pytestmark = pytest.mark.cluster

ROWS = 300
CHARGER = {"ID": "C", "RunID": "*default", "AttributeIDs": ["*none"]}


def ok(client: Client, method: str, params: Any) -> Any:
    answer = client.call(method, params)
    assert answer["error"] is None, answer
    return answer["result"]


def count(client: Client) -> int:
    return int(ok(client, "CDRsV1.GetCDRsCount", {}))


def origin_ids(client: Client) -> list[str]:
    return [row["OriginID"] for row in ok(client, "CDRsV1.GetCDRs", {})]


def folders(root: Path) -> tuple[Path, Path, set[str]]:
    source, processed = root / "in", root / "out"
    source.mkdir()
    processed.mkdir()
    rows = [f"r{n},10{n % 7:02d},{n}s" for n in range(ROWS)]
    (source / "a.csv").write_text("\n".join(rows) + "\n")
    return source, processed, {row.partition(",")[0] for row in rows}


def config(source: Path, processed: Path, **more: Any) -> dict[str, Any]:
    return {"Config": {"ers": {"enabled": True, "readers": [reader(source, processed_path=str(processed), **more)]}}}


def test_workers_killed_in_the_middle_of_a_file(tmp_path: Path) -> None:
    source, processed, expected = folders(tmp_path)
    with NodeRig(workers=2) as node:
        client = Client(node.port)
        ok(client, "APIerSv1.SetChargerProfile", CHARGER)
        ok(client, "ConfigSv1.SetConfig", config(source, processed))
        answers: list[Any] = []
        caller = Client(node.port)
        call = threading.Thread(target=lambda: answers.append(caller.call("ErSv1.RunReader", {"ReaderID": "R"})))
        call.start()
        wait_until(lambda: count(client) >= 20, "some records")
        for worker in ("worker-0", "worker-1"):
            node.kill(worker)
        call.join()
        assert [answer["error"] or answer["result"] for answer in answers] == ["OK"]
        found = origin_ids(client)
        assert len(found) == ROWS
        assert set(found) == expected
        assert [file.name for file in processed.iterdir()] == ["a.csv"]
        assert "EXISTS" not in node.log.read_text()  # no row was taken twice
        assert "Traceback" not in node.log.read_text()
        caller.close()
        client.close()


def toml(value: Any) -> str:
    """A JSON value as TOML, on one line."""
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{json.dumps(key)} = {toml(each)}' for key, each in value.items())} }}"
    return f"[{', '.join(map(toml, value))}]" if isinstance(value, list) else json.dumps(value)


def test_node_killed_in_the_middle_of_a_file(tmp_path: Path) -> None:
    """The reader is in the node's configuration file: it starts with the node, when there are files."""
    source, processed, expected = folders(tmp_path)
    file = source / "a.csv"
    file.rename(tmp_path / "later.csv")
    watching = reader(source, processed_path=str(processed), run_delay="-1")
    with NodeRig(
        data_dir=tmp_path / "data", workers=2, config=f"[ers]\nenabled = true\nreaders = {toml([watching])}\n"
    ) as node:
        client = Client(node.port)
        ok(client, "APIerSv1.SetChargerProfile", CHARGER)
        (tmp_path / "later.csv").rename(file)
        wait_until(lambda: count(client) >= 20, "some records")
        assert node.process is not None
        family = [psutil.Process(node.process.pid), *psutil.Process(node.process.pid).children(recursive=True)]
        for process in family:
            process.kill()
        psutil.wait_procs(family, WAIT)
        node.process.wait(WAIT)
        client.close()
        node.start()
        client = Client(node.port)
        wait_until(lambda: count(client) == ROWS, "all records")
        assert set(origin_ids(client)) == expected
        wait_until(lambda: [file.name for file in processed.iterdir()] == ["a.csv"], "the file's move")
        client.close()


def post(url: str, body: bytes | None, kind: str = "application/x-www-form-urlencoded") -> tuple[int, bytes]:
    request = urllib.request.Request(url, body, {"Content-Type": kind})
    with urllib.request.urlopen(request, timeout=WAIT) as response:
        return response.status, response.read()


def test_switches_post_records(tmp_path: Path) -> None:
    with NodeRig(workers=2, ephemeral=True) as node:
        client = Client(node.port)
        ok(client, "APIerSv1.SetChargerProfile", CHARGER)
        base = f"http://127.0.0.1:{node.port + 2}"
        form = "OriginID={}&RequestType=*none&Account=1001&Usage=61s&Note=a%20b"
        assert post(f"{base}/cdr_http", form.format("f1").encode()) == (200, b"")
        assert post(f"{base}/cdr_http?{form.format('f2')}", None) == (200, b"")
        variables = {"uuid": "s1", "cgr_reqtype": "*none", "cgr_account": "1001", "billsec": "5"}
        record = json.dumps({"variables": variables}).encode()
        assert post(f"{base}/freeswitch_json", record, "application/json") == (200, b"")
        for path, body in (
            ("cdr_http", b"OriginID=f3&Usage=long"),
            ("freeswitch_json", b"{"),
            ("cdr_http", form.format("f1").encode()),
        ):
            assert post(f"{base}/{path}", body) == (200, b"")
        rows = {row["OriginID"]: row for row in ok(client, "CDRsV1.GetCDRs", {})}
        assert set(rows) == {"f1", "f2", "s1"}
        assert rows["f1"]["ExtraFields"] == {"Note": "a b"}
        assert rows["f1"]["Source"].startswith("127.0.0.1:")
        assert (rows["s1"]["Source"], rows["s1"]["Usage"]) == ("freeswitch_json", 5 * 10**9)
        log = node.log.read_text()
        assert "CDRsV1.ProcessForm of 127.0.0.1" in log
        assert 'invalid duration "long"' in log
        assert "the body is no JSON" in log
        assert "Traceback" not in log
        client.close()
