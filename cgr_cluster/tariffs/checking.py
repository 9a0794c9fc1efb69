"""What is wrong with a folder, all of it, for the operator (`cgr-cluster load --validate`). Nothing is loaded."""

from __future__ import annotations

from itertools import count

from cgr_cluster.engine.domain import GenerationView
from cgr_cluster.tariffs.deck import lines_of, read_deck_slices
from cgr_cluster.tariffs.loading import Loader
from cgr_cluster.tariffs.progress import CHECKING, MAKING, Report, counted, nobody
from cgr_cluster.tariffs.rows import RATING_PLANS, Problem
from cgr_cluster.tariffs.validation import flaw


def check_folder(
    files: dict[str, bytes], generation: GenerationView, now_ns: int, zone: str = "UTC", report: Report = nobody
) -> list[Problem]:
    """All problems: bad rows with file and line, broken references and plans with flaws with their file (line 0).
    `generation` is what is live (an empty one: the folder must stand alone)."""
    ids = count(1)
    loader = Loader(generation, now_ns, zone, lambda: str(next(ids)), collect=True)
    deck, problems = counted(read_deck_slices(files), report, CHECKING, lines_of(files))
    loaded = counted(loader.load_slices(deck, problems), report, MAKING, sum(map(len, deck.values())))
    flaws = [Problem(RATING_PLANS.file, 0, text) for text in map(flaw, loaded.rating_plans) if text]
    return loader.problems + flaws
