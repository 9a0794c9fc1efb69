"""Tables of calls and their answers: (method, parameter, what it answers), checked in order on a node."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cgr_cluster.node.node import Node

OK = {"result": "OK"}
NOT_FOUND = {"error": "NOT_FOUND"}
PLAN = {
    "Destinations.csv": "D,49\nD,4930\nE,33\n",
    "Timings.csv": "T,,,,,00:00:00\n",
    "Rates.csv": "R,0.05,0.6,60s,60s,0s\n",
    "DestinationRates.csv": "DR,D,R,*up,4,0,\n",
    "RatingPlans.csv": "P,DR,T,10\n",
    "RatingProfiles.csv": "cgrates.org,call,*any,2020-01-01T00:00:00Z,P,\n",
    "SharedGroups.csv": "G,*any,*lowest,\n",
}


def missing(names: str) -> dict[str, str]:
    return {"error": f"MANDATORY_IE_MISSING: [{names}]"}


def wrong(text: str) -> dict[str, str]:
    return {"error": f"json: cannot unmarshal {text}"}


def folder(path: Path, files: dict[str, str]) -> str:
    for name, text in files.items():
        file = path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text.encode())
    return str(path)


def new_node(by_deck: bool) -> Node:
    """A node whose loads are all small, or all too large for turns of a worker: clients cannot tell."""
    made = Node()
    if by_deck:
        made.decks.big_bytes = made.decks.big_rows = -1
    return made


def provisioned(node: Node, path: Path) -> Node:
    """With the plan live, and in the store as tariff plan T."""
    at = {"FolderPath": folder(path, PLAN)}
    check(node, [("LoadTariffPlanFromFolder", at, OK), ("ImportTariffPlanFromFolder", {**at, "TPid": "T"}, OK)])
    return node


def check(node: Node, rows: list[tuple[str, Any, dict[str, Any]]]) -> None:
    """Calls in order; a method without service is APIerSv1's."""
    for name, params, expected in rows:
        answer = node.call(name if "." in name else f"APIerSv1.{name}", params)
        found = {"error": answer["error"]} if answer["error"] is not None else {"result": answer["result"]}
        assert found == expected, (name, params)
