"""What a load would change (docs/diff.md)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cgr_cluster.cli.diff import text_of
from tests.unit.test_tariffs_api import Client, client, folder

assert client  # a fixture

LIVE = {
    "Destinations.csv": "NO,47\nNO,0047\nSE,46\n",
    "Timings.csv": "EVENING,*any,*any,*any,*any,18:00:00\n",
    "Rates.csv": "RT,0,0.5,60s,1s,0s\n",
    "DestinationRates.csv": "DR,NO,RT,*up,4,0,\nDR,SE,RT,*up,4,0,\n",
    "RatingPlans.csv": "RP,DR,*any,10\n",
    "RatingProfiles.csv": "cgrates.org,call,*any,2020-01-01T00:00:00Z,RP,\n",
    "Actions.csv": "ACT,*log,,,,,,,,,,,,,,,0\n",
    "ActionPlans.csv": "AP,ACT,EVENING,10\n",
}


def diff_of(client: Client, **params: Any) -> tuple[dict[str, Any], str]:
    found = client.ok("DiffTariffPlan", params)
    return found["Kinds"], "\n".join(text_of(found))


def load(client: Client, tmp_path: Path, files: dict[str, str]) -> str:
    path = folder(tmp_path, files)
    client.ok("LoadTariffPlanFromFolder", {"FolderPath": path})
    return path


def test_the_same_folder_changes_nothing(client: Client, tmp_path: Path) -> None:
    path = folder(tmp_path, LIVE)
    kinds, text = diff_of(client, FolderPath=path)
    assert {kind: diff["Added"] for kind, diff in kinds.items()} == {
        "destination": 2, "timing": 1, "rating_plan": 1, "rating_profile": 1, "actions": 1, "action_plan": 1,
    }  # fmt: skip
    assert client.error("GetDestination", "NO") == "NOT_FOUND"  # nothing was written
    client.ok("LoadTariffPlanFromFolder", {"FolderPath": path})
    kinds, text = diff_of(client, FolderPath=path)
    assert text == "nothing would change"
    assert all((diff["Added"], diff["Changed"], diff["Vanishing"]) == (0, 0, 0) for diff in kinds.values())


@pytest.mark.parametrize(
    ("file", "rows", "line"),
    [
        ("Destinations.csv", "NO,47\nNO,474\nSE,46\n", '      Prefixes: "0047" -> (nothing)'),
        ("Destinations.csv", "NO,47\nNO,474\nSE,46\n", '      Prefixes: (nothing) -> "474"'),
        ("Destinations.csv", "NO,47\nNO,474\nSE,46\n", "destination: 0 added, 1 changed, 1 unchanged; 1 parts vanish"),
        ("Rates.csv", "RT,0,0.7,60s,1s,0s\n", "      DestinationRates.NO.0.Rating.Slots.0.Value: 0.5 -> 0.7"),
        ("DestinationRates.csv", "DR,NO,RT,*up,4,0,\n", "      DestinationRates.SE: [{"),
        ("RatingPlans.csv", "RP,DR,EVENING,10\n", '      DestinationRates.NO.0.Timing.ID: "*any" -> "EVENING"'),
        ("RatingProfiles.csv", "cgrates.org,call,*any,2021-01-01T00:00:00Z,RP,sub\n",
         '      Activations.0.ActivationTime: "2020-01-01T00:00:00Z" -> "2021-01-01T00:00:00Z"'),
        ("Timings.csv", "EVENING,*any,*any,*any,*any,19:00:00\n", '      Timings.0.Timing.StartTime: "18:00:00" -> "19:00:00"'),
    ],
)  # fmt: skip
def test_a_change_of_a_row(client: Client, tmp_path: Path, file: str, rows: str, line: str) -> None:
    load(client, tmp_path, LIVE)
    path = folder(tmp_path, {file: rows})
    _, text = diff_of(client, FolderPath=path)
    assert line in text, text


def test_the_store_is_compared_too_and_lists_are_bounded(client: Client) -> None:
    for number in range(12):
        client.ok("SetTPDestination", {"TPid": "TP", "ID": f"D{number:02}", "Prefixes": [str(number)]})
    kinds, text = diff_of(client, TPid="TP", Limit=3)
    assert kinds["destination"]["Added"] == 12
    assert [item["ID"] for item in kinds["destination"]["Objects"]] == ["D00", "D01", "D02"]
    assert "  and 9 more" in text
    assert diff_of(client, TPid="UNKNOWN")[1] == "nothing would change"


def test_errors_are_those_of_the_load(client: Client, tmp_path: Path) -> None:
    assert client.error("DiffTariffPlan", {}) == "MANDATORY_IE_MISSING:FolderPath"
    assert client.error("DiffTariffPlan", {"FolderPath": str(tmp_path / "none")}) == "INVALID_PATH"
    path = folder(tmp_path, {"DestinationRates.csv": "DR,NO,RT,*up,4,0,\n"})
    assert client.error("DiffTariffPlan", {"FolderPath": path}) == 'SERVER_ERROR: could not find rate for tag "RT"'
