"""Where a node listens, and what it says of it (`workers/options.py`)."""

from __future__ import annotations

from pathlib import Path

import pytest

from cgr_cluster.cli.client import parse_address
from workers.supervisor import parse


@pytest.mark.parametrize(
    ("arguments", "config", "host", "shown"),
    [
        ([], "", "127.0.0.1", "127.0.0.1:2012"),
        (["--port-base", "4000"], "", "127.0.0.1", "127.0.0.1:4000"),
        (["--host", "::1"], "", "::1", "[::1]:2012"),
        ([], '[listen]\nrpc_json = "[::1]:2012"\n', "::1", "[::1]:2012"),
        ([], '[listen]\nrpc_json = ":2012"\n', "127.0.0.1", "127.0.0.1:2012"),
    ],
)
def test_addresses(tmp_path: Path, arguments: list[str], config: str, host: str, shown: str) -> None:
    file = tmp_path / "config.toml"
    file.write_text(config)
    options = parse([*arguments, "--config", str(file), "--data-dir", str(tmp_path)])
    Path(options.run_dir).rmdir()
    assert options.listen()["json"][0] == host
    assert f"--address {shown}\n" in options.greeting()
    assert f"  json    {shown}\n" in options.greeting()
    assert parse_address(shown) == options.listen()["json"]
