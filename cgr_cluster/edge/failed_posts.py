"""Failed posts: what could not be exported, in files that `APIerSv1.ReplayFailedPosts` reads (spec 40 §7).

What fails is collected per folder, path, type and queue, and written `failed_posts.ttl` later to one file
`EEs|XXXXXXX.gob`: the naming is CGRateS's, the contents are ours, JSON. Until then it is in the journal.
"""

from __future__ import annotations

import logging
import os
import secrets
from pathlib import Path

import msgspec

from cgr_cluster.edge.export_journal import ExportJournal
from cgr_cluster.exporters.failed import FailedPost
from cgr_cluster.rpc.errors import ApiError

logger = logging.getLogger("cgr_cluster.edge")

MODULE = "EEs"
SUFFIX = ".gob"
_FORMAT = "cgr_cluster failed posts 1"


class _Document(msgspec.Struct):
    format: str
    posts: list[FailedPost]


_encode_post = msgspec.json.Encoder().encode
_decode_post = msgspec.json.Decoder(FailedPost).decode


class FailedPosts:
    def __init__(self, journal: ExportJournal) -> None:
        self._journal = journal
        self._open: dict[tuple[str, str], tuple[str, int]] = {}  # (folder, posts) → file name, when it is written
        for folder, name, posts, due_ns in journal.failed_files():
            self._open[folder, posts] = name, due_ns

    def add(self, folder: str, ttl_ns: int, post: FailedPost, now_ns: int) -> None:
        """Keep a post; inside of a commit."""
        posts = "\0".join((post.path.partition("/_doc/")[0], post.type, post.exporter, post.method))
        name, due_ns = self._open.setdefault(
            (folder, posts), (f"{MODULE}|{secrets.token_hex(4)[:7]}{SUFFIX}", now_ns + ttl_ns)
        )
        self._journal.add_failed(folder, name, posts, due_ns, _encode_post(post))

    def next_deadline_ns(self) -> int | None:
        return min((due_ns for _, due_ns in list(self._open.values())), default=None)

    def write(self, now_ns: int, everything: bool = False) -> None:
        """Write the files that are due. One that cannot be written stays in the journal and is tried again."""
        for (folder, posts), (name, due_ns) in list(self._open.items()):
            if due_ns > now_ns and not everything:
                continue
            try:
                found = [_decode_post(post) for post in self._journal.failed_posts(folder, name)]
                write_posts(Path(folder), name, found)
            except OSError as error:
                logger.error("failed posts cannot be written to %s: %s; they are kept and tried again", folder, error)
                self._open[folder, posts] = name, now_ns + RETRY_NS
                continue
            with self._journal.commit():
                self._journal.drop_failed(folder, name)
            del self._open[folder, posts]
            logger.warning("%d failed exports are in %s", len(found), os.path.join(folder, name))


RETRY_NS = 10_000_000_000


def write_posts(folder: Path, name: str, posts: list[FailedPost]) -> None:
    """A whole file or none. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f".{name}"
    with open(temporary, "wb") as file:
        file.write(msgspec.json.encode(_Document(_FORMAT, posts)))
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(folder / name)
    sync_folder(folder)


def sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def post_files(folder: str, modules: list[str]) -> list[str]:
    """Names of the files of failed posts in a folder whose names begin with one of `modules` (none: all), in order.
    Raises ApiError."""
    try:
        names = sorted(entry.name for entry in os.scandir(folder) if entry.is_file())
    except (OSError, ValueError) as error:
        raise ApiError(f"SERVER_ERROR: open {folder}: {_reason(error)}") from None
    wanted = tuple(modules) or ("",)
    return [name for name in names if name.endswith(SUFFIX) and name.startswith(wanted) and not name.startswith(".")]


def read_posts(folder: str, name: str) -> list[FailedPost]:
    """Raises ApiError for a file that cannot be read or is no such file."""
    path = os.path.join(folder, name)
    try:
        document = msgspec.json.decode(Path(path).read_bytes(), type=_Document)
    except OSError as error:
        raise ApiError(f"SERVER_ERROR: open {path}: {_reason(error)}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ApiError(f"SERVER_ERROR: {path} holds no failed posts of this system: {error}") from None
    if document.format != _FORMAT:
        raise ApiError(f"SERVER_ERROR: {path} holds failed posts of another format: {document.format}")
    return document.posts


def replace_posts(folder: str, name: str, failed_folder: str, posts: list[FailedPost]) -> None:
    """A file of failed posts has been replayed: what failed again goes to `failed_folder` ("" drops it), the file goes.
    Raises ApiError."""
    try:
        if posts and failed_folder:
            write_posts(Path(failed_folder), name, posts)
            if os.path.realpath(failed_folder) == os.path.realpath(folder):
                return
        Path(folder, name).unlink(missing_ok=True)
    except OSError as error:
        raise ApiError(f"SERVER_ERROR: {error.filename}: {_reason(error)}") from None


def _reason(error: OSError | ValueError) -> str:
    return (error.strerror or str(error)).lower() if isinstance(error, OSError) else str(error)
