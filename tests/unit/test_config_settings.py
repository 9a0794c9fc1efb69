"""The TOML configuration: what is refused and how it is said, and that docs/configuration.md and the code agree."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest

from cgr_cluster.config import cluster, settings
from cgr_cluster.node.node import Node
from workers.supervisor import parse

ROOT = Path(__file__).parents[2]
DOC = (ROOT / "docs" / "configuration.md").read_text()

REFUSED = [
    ("[sesions]\n", "unknown section [sesions]; there are: "),
    ("[sessions]\nttl = '1s'", "unknown key sessions.ttl; [sessions] has: alterable_fields, "),
    ("sessions = 5", "sessions = 5 is a number; a table is accepted"),
    ("[cores]\ncaps = true", "cores.caps = True is a boolean; a number such as 0 is accepted"),
    ("[cores]\ncaps = 1.5", "cores.caps = 1.5; a whole number, 0 or more, is accepted"),
    ("[cores]\ncaps = '10'", "cores.caps = '10' is a text; a number such as 0 is accepted"),
    ("[cores]\ncaps_strategy = '*wait'", "cores.caps_strategy = '*wait'; *busy or *queue is accepted"),
    ("[general]\nrounding_decimals = 10", "general.rounding_decimals = 10; a whole number, 0 to 9, is accepted"),
    ("[general]\ndefault_timezone = 'Mars'", "general.default_timezone = 'Mars' is no time zone; "),
    ("[general]\ndefault_tenant = ''", "general.default_tenant = '' must not be empty"),
    ("[general]\ndefault_category = 1970-01-01", "general.default_category = datetime.date(1970, 1, 1) is a date; "),
    ("[listen]\nhttp = '2080'", "listen.http = '2080'; HOST:PORT such as \"127.0.0.1:2012\" is accepted"),
    ("[listen]\nrpc_json = 'x:99999'", "listen.rpc_json = 'x:99999'; HOST:PORT"),
    ("[http]\nauth_users = { bob = 'no base64' }", "http.auth_users.bob must be the password in base64"),
    ("[http]\njson_rpc_url = 'rpc'", "http.json_rpc_url = 'rpc'; a path such as \"/jsonrpc\" is accepted"),
    ("[sessions]\nsession_ttl = '5 minutes'", "sessions.session_ttl = '5 minutes' is no duration; "),
    ("[sessions]\nsession_ttl_usage = 5", "sessions.session_ttl_usage = 5 is no duration; "),
    ("[sessions.default_usage]\n'*voice' = 'long'", "sessions.default_usage.*voice = 'long' is no duration; "),
    ("[sessions]\nalterable_fields = [1]", "sessions.alterable_fields has 1; a list of texts is accepted"),
    ("[cdrs]\nonline_cdr_exports = [5]", "cdrs.online_cdr_exports has 5; a list of texts is accepted"),
    ("[ers]\nsessions_conns = [[]]", "ers.sessions_conns has []; a list of texts is accepted"),
    ("[rals]\nmax_computed_usage = 5", "rals.max_computed_usage = 5 is a number; a table is accepted"),
    ("[cluster]\nworkers = 257", "cluster.workers = 257; a whole number, 0 to 256, is accepted"),
    ("[cluster]\nfold_interval = '0'", "cluster.fold_interval = '0'; more than 0 is needed"),
    ("[cluster]\nsegment_bytes = 1000", "cluster.segment_bytes = 1000; a whole number, 4194304 or more, is accepted"),
    ("[cluster\n", "Expected"),
]


@pytest.mark.parametrize(("text", "error"), REFUSED, ids=[text for text, _ in REFUSED])
def test_refused(tmp_path: Path, text: str, error: str) -> None:
    file = tmp_path / "node.toml"
    file.write_text(text)
    with pytest.raises(settings.ConfigError) as refused:
        settings.installed(str(file))
    assert str(file) in str(refused.value) and error in str(refused.value)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(settings.ConfigError, match="No such file"):
        settings.installed(str(tmp_path / "none.toml"))


def test_over_the_defaults(tmp_path: Path) -> None:
    file = tmp_path / "node.toml"
    file.write_text(
        "[sessions]\nsession_ttl = '1m'\ndefault_usage = { '*mms' = '1' }\n[attributes]\nstring_indexed_fields = ['A']"
    )
    config = settings.installed(str(file))
    assert config["sessions"]["session_ttl"] == "1m"
    assert config["sessions"]["default_usage"] == {
        "*any": "3h0m0s",
        "*data": "1048576",
        "*sms": "1",
        "*voice": "3h0m0s",
        "*mms": "1",
    }
    assert config["attributes"]["string_indexed_fields"] == ["A"]
    assert config["cores"] == settings.defaults()["cores"]


def test_own_section_reaches_the_processes(tmp_path: Path) -> None:
    file = tmp_path / "node.toml"
    file.write_text("[cluster]\nworkers = 3\ndata_dir = '/srv/x'\nfold_interval = '5s'\nlow_disk_bytes = 7")
    by_file = parse(["--config", str(file)])
    assert (by_file.workers, by_file.data_dir) == (3, "/srv/x")
    assert (by_file.cluster.fold_interval_ns, by_file.cluster.low_disk_bytes) == (5 * 10**9, 7)
    node = Node(1, by_file.config)
    assert node.workers[0].engine.generation.config("cluster")["ip_ranges"] is True  # workers read its switches
    assert node.call("ConfigSv1.GetConfig", {"Section": "cluster"})["error"] == "Invalid section"
    assert "cluster" not in node.call("ConfigSv1.GetConfig", {})["result"]
    by_hand = parse(["--config", str(file), "--workers", "2", "--data-dir", str(tmp_path)])
    assert (by_hand.workers, by_hand.data_dir) == (2, str(tmp_path))
    for options in (by_file, by_hand):
        Path(options.run_dir).rmdir()


def test_the_example_is_accepted() -> None:
    settings.installed(str(ROOT / "conf" / "example.toml"))


# --- the documentation --------------------------------------------------------------------------------------------

# Modules that are given a section by others, or whose reading of single keys is not seen.
GIVEN = {
    "balancer/http.py": ("http", "prometheus_agent.path"),
    "cgr_cluster/filters/index.py": ("chargers", "attributes", "thresholds", "stats", "resources", "ips", "routes"),
    "cgr_cluster/stats/queries.py": ("trends", "rankings"),
    "cgr_cluster/actions/dynaprepaid.py": ("cdrs", "sessions"),
    "cgr_cluster/actions/calling_types.py": (
        "rals.sessions_conns", "thresholds.sessions_conns", "apiers.ees_conns", "schedulers.thresholds_conns",
        "schedulers.stats_conns", "rals.stats_conns",
    ),
    "cgr_cluster/actions/dynamic.py": ("thresholds.apiers_conns",),
    "cgr_cluster/node/outside_effects.py": ("mailer",),
    "cgr_cluster/readers/settings.py": ("ers", "general.rsr_separator"),
    "cgr_cluster/edge/exporter_service.py": ("general.reply_timeout",),
}  # fmt: skip


def known() -> dict[str, dict[str, Any]]:
    """All keys with their defaults; None: unset."""
    config = settings.defaults()
    for section, keys in settings.UNSET.items():
        config[section] |= dict.fromkeys(keys)
    return {**config, "cluster": cluster.DEFAULTS}


def documented() -> dict[str, str]:
    """`section.key` → default, of the tables."""
    found = {}
    for section, body in re.findall(r"^## \[(\w+)\]\n(.*?)(?=^#)", DOC, re.MULTILINE | re.DOTALL):
        for key, default in re.findall(r"^\| (\w+) \| `(.*?)` \| .+ \|$", body, re.MULTILINE):
            found[f"{section}.{key}"] = default
    return found


def sections_read(tree: ast.AST) -> set[str]:
    """The sections that a module asks for: `....config("x")`, `config["x"]`."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "config":
            found |= {a.value for a in node.args if isinstance(a, ast.Constant)}
        elif (
            isinstance(node, ast.Subscript)
            and isinstance(node.slice, ast.Constant)
            and getattr(node.value, "id", getattr(node.value, "attr", "")) == "config"
        ):
            found.add(node.slice.value)
    return found


def read_in_code() -> set[str]:
    """Keys that occur as a text in a module that asks for their section."""
    found = {f"cluster.{key}" for key in cluster.DEFAULTS}
    everything = known()
    for package in ("cgr_cluster", "workers", "balancer"):
        for file in (ROOT / package).rglob("*.py"):
            name = str(file.relative_to(ROOT))
            if name.startswith("cgr_cluster/config/"):
                continue
            tree = ast.parse(file.read_text())
            texts = {n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str)}
            given = GIVEN.get(name, ())
            found |= {key for key in given if "." in key}
            for section in sections_read(tree) | {section for section in given if "." not in section}:
                keys = everything.get(section, {})
                found |= {f"{section}.{key}" for key in keys if isinstance(keys, dict) and key in texts}
    return found


def test_documented_is_what_the_code_reads() -> None:
    assert set(documented()) == read_in_code()


def toml_text(value: Any) -> str:
    if value is None:
        return "unset"
    if isinstance(value, dict):
        members = ", ".join(f"{json.dumps(key)} = {toml_text(member)}" for key, member in value.items())
        return f"{{ {members} }}" if members else "{}"
    if isinstance(value, list):
        return f"[{', '.join(map(toml_text, value))}]"
    return json.dumps(value)


def test_documented_defaults() -> None:
    defaults = known()
    for name, default in documented().items():
        section, _, key = name.partition(".")
        if default == "[...]":  # a long one, described in a page of its own
            continue
        assert default == toml_text(defaults[section][key]), name


def test_documented_without_effect() -> None:
    """Every other key and section is listed as one without effect."""
    _, _, rest = DOC.partition("# What is accepted and has no effect yet")
    listed = {f"{s}.{k}" for s, keys in re.findall(r"^\* `(\w+)`: (.+)$", rest, re.MULTILINE) for k in keys.split(", ")}
    tables = {name.partition(".")[0] for name in documented()}
    assert listed == {f"{s}.{k}" for s in tables for k in known()[s]} - set(documented())
    whole = re.search(r"^Whole sections: (.+)\.$", rest, re.MULTILINE)
    assert whole is not None
    assert set(re.findall(r"`(\w+)`", whole[1])) == set(known()) - tables - {"templates"}  # its keys are the user's
