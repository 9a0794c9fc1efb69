"""Loads by decks on a whole node: the answers are those of small loads, and a crash at any event changes none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cgr_cluster.engine.generation import Generation
from cgr_cluster.node.deck_files import Rows
from cgr_cluster.node.node import Node
from cgr_cluster.tariffs.applying import ShardWork
from cgr_cluster.tariffs.deck_load import PIECE, BuiltDeck, DeckJob, pieces_of
from cgr_cluster.tariffs.loading import AccountLoad
from cgr_cluster.tariffs.progress import (
    ACCOUNTS,
    CHECKING,
    MAKING,
    PACKING,
    READING,
    SWITCHING,
    WAITING,
    WRITING,
    Report,
)

FILES = {
    "Destinations.csv": "".join(f"D{n},49{n}\nD{n},490{n}\n" for n in range(20)),
    "Timings.csv": "T,,,,,00:00:00\n",
    "Rates.csv": "R,0,0.02,60s,1s,0s\n",
    "DestinationRates.csv": "".join(f"DR,D{n},R,*up,4,0,\n" for n in range(20)),
    "RatingPlans.csv": "P,DR,T,10\n",
    "RatingProfiles.csv": "cgrates.org,call,*any,2020-01-01T00:00:00Z,P,\n",
    "Actions.csv": "A,*topup,,,MAIN,*monetary,,,,,,,5,10,,,10\n",
    "ActionPlans.csv": "AP,A,*asap,10\n",
    "AccountActions.csv": "".join(f"cgrates.org,acc{n},AP,,{'true' if n % 2 else ''},\n" for n in range(12)),
}
MORE = {"Destinations.csv": "D3,48\nE,47\n"}
COST = {
    "Tenant": "cgrates.org",
    "Category": "call",
    "Subject": "s",
    "Destination": "4917",
    "AnswerTime": "2024-01-01T00:00:00Z",
    "Usage": "60s",
}


def folder(path: Path, files: dict[str, str]) -> str:
    path.mkdir()
    for name, text in files.items():
        (path / name).write_text(text)
    return str(path)


@pytest.fixture
def folders(tmp_path: Path) -> list[str]:
    return [folder(tmp_path / "first", FILES), folder(tmp_path / "more", MORE)]


def new_node(workers: int, crash_at: tuple[int, ...] = (), by_deck: bool = True) -> Node:
    node = Node(workers, crash_at=crash_at)
    if by_deck:
        node.decks.big_bytes = node.decks.big_rows = -1
    return node


def look(node: Node) -> list[Any]:
    """What clients see of the loads."""
    out = [node.call("APIerSv1.GetReverseDestination", prefix) for prefix in ("493", "48", "47", "46", "4905")]
    out.append(node.call("APIerSv1.GetDestination", "D3"))
    out.append(node.call("APIerSv1.GetCost", COST))
    plan = node.call("APIerSv1.GetRatingPlan", "P")["result"]
    out.append(plan and sorted(plan["DestinationRates"].items()))
    for n in (0, 1, 7):
        account = node.call("APIerSv2.GetAccount", {"Tenant": "cgrates.org", "Account": f"acc{n}"})["result"]
        balances = (account or {}).get("BalanceMap") or {}
        out.append(account and (account["AllowNegative"], [b["Value"] for b in balances.get("*monetary", ())]))
    return out


def workload(node: Node, folders: list[str]) -> list[Any]:
    """Loads, Sets over the deck, a second load, a removal."""
    first, more = folders
    out: list[Any] = [node.call("APIerSv1.LoadTariffPlanFromFolder", {"FolderPath": first, "DryRun": True})]
    out += look(node)
    out.append(node.call("APIerSv1.LoadTariffPlanFromFolder", {"FolderPath": first}))
    node.advance(2 * 10**9)
    out += look(node)
    out.append(node.call("APIerSv1.SetDestination", {"Id": "D3", "Prefixes": ["46"], "Overwrite": True}))
    out.append(node.call("APIerSv1.RemoveDestination", {"DestinationIDs": ["D5"]}))
    out += look(node)
    out.append(node.call("APIerSv1.LoadTariffPlanFromFolder", {"FolderPath": more}))
    out += look(node)
    out.append(node.call("APIerSv1.RemoveTPFromFolder", {"FolderPath": more}))
    out.append(node.call("APIerSv1.RemoveTPFromFolder", {"FolderPath": more}))
    out.append(node.call("APIerSv1.ImportTariffPlanFromFolder", {"FolderPath": first, "TPid": "TP"}))
    out.append(node.call("APIerSv1.LoadTariffPlanFromStorDb", {"TPid": "TP"}))
    node.advance(2 * 10**9)
    out += look(node)
    out.append(node.call("APIerSv1.RemoveTPFromStorDB", {"TPid": "TP"}))
    node.advance(2 * 10**9)
    return out + look(node)


def files_of(node: Node) -> list[str]:
    return [file.name for file in node.decks.path.iterdir()]


@pytest.mark.parametrize("workers", [1, 3])
def test_a_load_by_a_deck_answers_as_a_small_one(workers: int, folders: list[str]) -> None:
    expected = workload(new_node(workers, by_deck=False), folders)
    node = new_node(workers)
    assert workload(node, folders) == expected
    deck = node.workers[0].engine.generation.deck
    assert deck is not None
    assert files_of(node) == [deck.name]
    assert all(worker.engine.generation.deck is deck for worker in node.workers)


@pytest.mark.parametrize(("workers", "every"), [(1, 1), (3, 4)], ids=["one worker", "three workers, every fourth"])
def test_a_crash_at_any_event_of_deck_loads_changes_no_answer(workers: int, every: int, folders: list[str]) -> None:
    calm = new_node(workers)
    expected = workload(calm, folders)
    for at in range(1, calm.events + 1, every):
        node = new_node(workers, (at,))
        assert workload(node, folders) == expected, f"crash at event {at}"
        assert node.crashes == 1
        assert not any(key.startswith("intent/") for _, key in node.disk), f"crash at event {at}: an intent is left"
        node.kill(0)  # its start sweeps what the crash has left
        deck = node.workers[0].engine.generation.deck
        assert deck is not None
        assert files_of(node) == [deck.name], f"crash at event {at}"
        assert look(node) == expected[-len(look(node)) :]


def test_neither_log_nor_intents_hold_the_folder(folders: list[str]) -> None:
    node = new_node(3)
    sizes: list[int] = []

    class Disk(dict[tuple[int, str], bytes]):
        def __setitem__(self, key: tuple[int, str], value: bytes) -> None:
            sizes.append(len(value))
            super().__setitem__(key, value)

    node.disk = Disk()
    node.call("APIerSv1.LoadTariffPlanFromFolder", {"FolderPath": folders[0]})
    references = {key: value for (_, key), value in node.disk.items() if key.startswith("ref/")}
    assert sorted(references) == ["ref/*deck/", "ref/number"]
    assert max(sizes) < 2_000


def test_what_is_set_while_a_deck_is_made_stays_unless_the_folder_has_it(folders: list[str]) -> None:
    node = new_node(1)
    node.call("APIerSv1.SetDestination", {"Id": "OLD", "Prefixes": ["44"]})
    node.decks.big_bytes = -1
    make = node.decks._build

    def beside(generation: Generation, job: DeckJob, rows: Rows, report: Report) -> BuiltDeck:
        built = make(generation, job, rows, report)
        node.send("APIerSv1.SetDestination", {"Id": "D3", "Prefixes": ["46"]})
        node.send("APIerSv1.SetDestination", {"Id": "NEW", "Prefixes": ["45"]})
        node.send("APIerSv1.RemoveDestination", {"DestinationIDs": ["OLD"]})
        return built

    node.decks._build = beside
    node.call("APIerSv1.LoadTariffPlanFromFolder", {"FolderPath": folders[0]})
    assert node.call("APIerSv1.GetDestination", "NEW")["result"]["Prefixes"] == ["45"]
    assert node.call("APIerSv1.GetDestination", "D3")["result"]["Prefixes"] == ["493", "4903"]
    assert node.call("APIerSv1.GetDestination", "OLD")["error"] == "NOT_FOUND"
    node.kill(0)
    assert node.call("APIerSv1.GetDestination", "OLD")["error"] == "NOT_FOUND"


def test_a_bad_folder_leaves_no_file(tmp_path: Path) -> None:
    node = new_node(1)
    bad = folder(tmp_path / "bad", {**FILES, "RatingProfiles.csv": "cgrates.org,call,*any,,NO_PLAN,\n"})
    text = node.call("APIerSv1.LoadTariffPlanFromFolder", {"FolderPath": bad})["error"]
    assert text == 'SERVER_ERROR: could not load rating plans for tag: "NO_PLAN"'
    assert node.call("APIerSv1.LoadTariffPlanFromFolder", {"FolderPath": "/no"})["error"] == "INVALID_PATH"
    assert files_of(node) == []


def test_a_load_tells_how_far_it_is_until_it_ends(folders: list[str], caplog: pytest.LogCaptureFixture) -> None:
    node = new_node(2)
    node.decks.big_bytes = -1
    loads, told = node.decks.loads, []
    note = loads.note

    def noted(uid: str, source: str, phase: str, done: int, total: int) -> None:
        note(uid, source, phase, done, total)
        assert [load.source for load in loads.listed()] == [source]
        told.append((phase, done, total))

    loads.note = noted  # type: ignore[method-assign]
    caplog.set_level("INFO", "cgr_cluster.tariffs")
    assert node.call("APIerSv1.LoadTariffPlanFromFolder", {"FolderPath": folders[0]})["result"] == "OK"
    phases = list(dict.fromkeys(phase for phase, _, _ in told))
    assert phases == [WAITING, READING, CHECKING, MAKING, PACKING, WRITING, SWITCHING, ACCOUNTS]
    assert all(done <= total for _, done, total in told)
    assert f"load of {folders[0]}: {SWITCHING}" in caplog.text
    assert node.call("APIerSv1.GetLoadProgress", {})["result"] == []
    broken = {"FolderPath": f"{folders[0]}/none"}
    assert node.call("APIerSv1.LoadTariffPlanFromFolder", broken)["error"] == "INVALID_PATH"
    assert node.call("APIerSv1.GetLoadProgress", {})["result"] == []


def test_pieces_hold_each_account_once_and_are_spread_over_the_workers() -> None:
    shards = {
        shard: ShardWork(
            [AccountLoad("t", f"{shard}-{n}", "", "", False, False) for n in range(shard)],
            {"": ["X"], **{f"t:{shard}-{n}": ["A"] for n in range(0, shard, 3)}},
        )
        for shard in (0, 1, PIECE, PIECE + 1, 3 * PIECE)
    }
    pieces = pieces_of(shards)
    names = [piece.name for piece, _ in pieces]
    assert len(set(names)) == len(names)
    assert all(len(work.accounts) == piece.accounts <= PIECE for piece, work in pieces)
    for shard, whole in shards.items():
        own = [work for piece, work in pieces if piece.shard == shard]
        assert [row for work in own for row in work.accounts] == whole.accounts
        assert {name: group for work in own for name, group in work.tasks.items()} == whole.tasks
    assert [piece.number for piece, _ in pieces] == sorted(piece.number for piece, _ in pieces)
