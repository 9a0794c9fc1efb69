"""`cgr-cluster load FOLDER`: check a tariff plan's CSV files here, all of them, then have the server load them."""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
from pathlib import Path
from typing import Any

from cgr_cluster.cli.client import CallFailedError, Client, UnreachableError, parse_address

LOAD_TIMEOUT_S = 3600.0
SPIN = "|/-\\"
SPIN_S = 0.2
BAR = 30
PROGRESS_TIMEOUT_S = 5.0


def add_parser(commands: Any) -> None:
    parser = commands.add_parser("load", help="check a folder of tariff plan CSV files and load it")
    parser.add_argument(
        "folder", metavar="FOLDER", help="folder as the server sees it too (with folders in it: all of them)"
    )
    parser.add_argument("--validate", action="store_true", help="only check it here; no server is needed")
    parser.add_argument("--dry-run", action="store_true", help="check it here and on the server; nothing is changed")
    parser.add_argument(
        "--diff", action="store_true", help="tell what a load would change on the server, and change nothing"
    )
    parser.add_argument("--json", action="store_true", help="with --diff: as JSON (docs/diff.md)")
    parser.add_argument("--address", default="127.0.0.1:2012", metavar="HOST:PORT", help="default: %(default)s")
    parser.set_defaults(run=run)


def read_folder(folder: Path) -> dict[str, bytes]:
    """Its CSV files, by path relative to it."""
    from tqdm import tqdm

    paths = sorted(path for path in folder.rglob("*.csv") if path.is_file())
    bar = tqdm(
        total=sum(path.stat().st_size for path in paths), desc="reading", unit="B", unit_scale=True, leave=False,
        disable=not sys.stderr.isatty(), file=sys.stderr,
    )  # fmt: skip
    files = {}
    with bar:
        for path in paths:
            files[path.relative_to(folder).as_posix()] = data = path.read_bytes()
            bar.update(len(data))
    return files


class Spinner:
    """What is being done and for how long, on a terminal only."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._spin, daemon=True)

    def __enter__(self) -> Spinner:
        if sys.stderr.isatty():
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        if self._thread.is_alive():
            self._thread.join()
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    def now(self) -> str:
        """What the line says by now."""
        return self.text

    def _spin(self) -> None:
        begin = time.monotonic()
        turn = 0
        while not self._end.wait(SPIN_S):
            turn += 1
            sys.stderr.write(f"\r\x1b[K{SPIN[turn % len(SPIN)]} {self.now()} {time.monotonic() - begin:.0f} s")
            sys.stderr.flush()


class ServerProgress(Spinner):
    """A spinner that asks the server how far a load is (APIerSv1.GetLoadProgress)."""

    def __init__(self, text: str, address: tuple[str, int], source: str) -> None:
        super().__init__(text)
        self._address = address
        self._source = source
        self._client: Client | None = None
        self._silent = False

    def now(self) -> str:
        found = None if self._silent else self._ask()
        return self.text if found is None else f"the server: {progress_text(found)}"

    def _ask(self) -> dict[str, Any] | None:
        try:
            if self._client is None:
                self._client = Client(self._address, PROGRESS_TIMEOUT_S)
            loads = self._client.call("APIerSv1.GetLoadProgress", {})
        except (CallFailedError, UnreachableError):
            self._silent = True  # the load itself tells what is wrong
            return None
        return next((load for load in loads if load["Source"] == self._source), None)

    def __exit__(self, *raised: object) -> None:
        super().__exit__(*raised)
        if self._client is not None:
            self._client.close()


def progress_text(load: dict[str, Any]) -> str:
    """One entry of GetLoadProgress in a line: phase, bar, share, counts."""
    done, total = load["Done"], load["Total"]
    if not total:
        return str(load["Phase"])
    filled = BAR * done // total
    return f"{load['Phase']} [{'#' * filled}{'.' * (BAR - filled)}] {100 * done // total:3d} %  {done} of {total}"


def validate(files: dict[str, bytes]) -> list[str]:
    """`FILE:LINE: what is wrong`, for all that is wrong with the folder by itself."""
    from cgr_cluster.engine.generation import Generation
    from cgr_cluster.tariffs.checking import check_folder

    with Spinner(f"checking {len(files)} files") as spinner:

        def report(phase: str, done: int, total: int) -> None:
            spinner.text = progress_text({"Phase": phase, "Done": done, "Total": total})

        problems = check_folder(files, Generation({}), time.time_ns(), report=report)
    return [f"{p.file}:{p.line}: {p.text}" if p.line else f"{p.file}: {p.text}" for p in problems]


def diff(folder: Path, address: tuple[str, int], as_json: bool) -> int:
    from cgr_cluster.cli.diff import text_of

    params = {"FolderPath": str(folder.resolve())}
    try:
        with Spinner(f"the server is comparing {folder}"), Client(address, LOAD_TIMEOUT_S) as client:
            found = client.call("APIerSv1.DiffTariffPlan", params)
    except CallFailedError as error:
        print(f"cgr-cluster load: the server answers {error}", file=sys.stderr)
        return 1
    print(json.dumps(found, ensure_ascii=False, indent=1) if as_json else "\n".join(text_of(found)))
    return 0


def run(options: argparse.Namespace) -> int:
    folder = Path(options.folder)
    try:
        address = parse_address(options.address)
    except ValueError as error:
        print(f"cgr-cluster load: {error}", file=sys.stderr)
        return 2
    if not folder.is_dir():
        print(f"cgr-cluster load: {folder} is no folder", file=sys.stderr)
        return 1
    files = read_folder(folder)
    if not files:
        print(f"cgr-cluster load: {folder} holds no CSV files", file=sys.stderr)
        return 1
    problems = validate(files)
    for text in problems:
        print(text)
    if problems:
        print(f"{len(problems)} problems in {len(files)} files; nothing was loaded", file=sys.stderr)
        return 1
    if options.diff:
        return diff(folder, address, options.json)
    rows = sum(data.count(b"\n") for data in files.values())
    print(f"{len(files)} files, {rows} lines: no problems")
    if options.validate:
        return 0
    begin = time.monotonic()
    params: dict[str, Any] = {"FolderPath": str(folder.resolve()), "DryRun": options.dry_run, "Validate": True}
    try:
        progress = ServerProgress(f"the server is loading {folder}", address, params["FolderPath"])
        with progress, Client(address, LOAD_TIMEOUT_S) as client:
            client.call("APIerSv1.LoadTariffPlanFromFolder", params)
    except CallFailedError as error:
        print(f"cgr-cluster load: the server answers {error}", file=sys.stderr)
        return 1
    print(f"{'checked by the server' if options.dry_run else 'loaded'} in {time.monotonic() - begin:.1f} s")
    return 0
