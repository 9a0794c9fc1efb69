"""`cgr-cluster load --validate`, `log check`, `status`, `call`: what they print and how they end."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import pytest

from cgr_cluster.cli.call import read_params
from cgr_cluster.cli.client import UnreachableError, parse_address
from cgr_cluster.cli.explain import texts
from cgr_cluster.cli.main import main
from cgr_cluster.cli.status import http_address, quantile_s, read_metrics, table
from cgr_cluster.routing.metrics import Metrics

DEMO = Path(__file__).resolve().parents[2] / "conf" / "demo"
NOBODY = "127.0.0.1:1"


def test_a_sound_folder_validates(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["load", str(DEMO), "--validate"]) == 0
    assert "no problems" in capsys.readouterr().out


def test_every_bad_row_is_named_with_file_and_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "Destinations.csv").write_text("#Id,Prefix\nDST_A,49\nDST_B,\n")
    (tmp_path / "Rates.csv").write_text(
        "#Id,ConnectFee,Rate,RateUnit,RateIncrement,GroupIntervalStart\nRT_A,x,1,60s,1s,0s\nRT_B,0,y,60s,1s,0s\n"
    )

    assert main(["load", str(tmp_path), "--validate"]) == 1
    out = capsys.readouterr().out
    assert "Rates.csv:2:" in out and "Rates.csv:3:" in out


@pytest.mark.parametrize("arguments", [["load", "/nowhere"], ["log", "check", "--data-dir", "/nowhere"]])
def test_what_is_not_there(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 1
    assert "/nowhere" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["status"], ["stress", "--calls", "1"], ["call", "CoreSv1.Ping"]])
def test_no_server(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*arguments, "--address", NOBODY]) == 1
    assert "nothing answers on 127.0.0.1:" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--calls", "0"], "--calls 0: more than 0"),
        (["--mix", "fancy=1"], "'fancy=1' is no MODE=WEIGHT"),
        (["--accounts", "2", "--mix", "rated=1"], "none of them is rated"),
        (["--address", "here"], "'here' is no address"),
    ],
)
def test_options_that_make_no_sense(arguments: list[str], text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stress", *arguments]) == 2
    assert text in capsys.readouterr().err


def test_status_reads_the_balancers_metrics() -> None:
    metrics = Metrics()
    for took in (400_000, 700_000, 3_000_000):
        metrics.answered("CoreSv1.Ping", took > 2_000_000, took)
    read = read_metrics(metrics.text({"connections": ("Open connections.", {'kind="tcp"': 3})}))

    assert read["cgr_requests_total"] == {"CoreSv1.Ping": 3}
    assert read["cgr_connections"] == {"tcp": 3}
    assert (quantile_s(read, 0.5), quantile_s(read, 0.99)) == (0.001, 0.005)
    assert "CoreSv1.Ping" in table({"node_id": "n1"}, True, {"status": "ok"}, read)


def test_addresses() -> None:
    assert parse_address(":2012") == parse_address("2012") == ("127.0.0.1", 2012)
    assert http_address(("h", 2012)) == ("h", 2080)
    assert http_address(("h", 4000)) == ("h", 4002)


@pytest.mark.parametrize(
    ("answer", "text"),
    [(b"HTTP/1.1 400 Bad Request\r\n", "speaks HTTP: its JSON port"), (b"220 mail\r\n", "speaks no JSON-RPC")],
)
def test_a_port_of_something_else(answer: bytes, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            connection.recv(1000)
            connection.sendall(answer)
            connection.close()

        other = threading.Thread(target=serve)
        other.start()
        assert main(["call", "--address", f"127.0.0.1:{listener.getsockname()[1]}", "CoreSv1.Ping"]) == 1
        other.join()
    assert text in capsys.readouterr().err


def test_explain_takes_only_what_it_looks_at_and_now_when_no_time_is_given(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "Destintion=4930"]) == 2
    assert "no parameter 'Destintion'; there are Tenant, " in capsys.readouterr().err
    assert texts({"destination": 4930}) == {"destination": "4930", "AnswerTime": "*now"}
    assert texts({"answertime": "*now"}) == {"answertime": "*now"}


def test_parameters_from_words() -> None:
    assert read_params(["Account=1001", "Balance.ID=MAIN", "Value=10"]) == {
        "Account": 1001, "Balance": {"ID": "MAIN"}, "Value": 10,
    }  # fmt: skip
    with pytest.raises(ValueError):
        read_params(["nonsense", "x=1"])


def test_unreachable_is_an_error_of_its_own() -> None:
    assert issubclass(UnreachableError, Exception)
