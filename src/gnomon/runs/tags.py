"""Human input about the examples of a run: tags, comments, reviews. One table that only grows, in SQLite."""

from __future__ import annotations

import os
import secrets
import sqlite3
import threading
import time
import weakref
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, final

from gnomon.core.errors import ArtefactError, GnomonError, MachineError
from gnomon.runs import reader

FILE = "tags.sqlite"  # in the run's folder; SQLite keeps tags.sqlite-wal and -shm next to it while it is in use
FORMAT = 1
PATIENCE = 10.0  # seconds a writer waits for the others
MAX_TEXT = 2_000  # characters of a tag's name or a comment

# What a damaged or foreign file may cost. A run with 100,000 examples and 20 tags on each stays below all three.
LONGEST = 5.0  # seconds of work that one operation may take
MOST_ROWS = 5_000_000  # of one result
LARGEST_CELL = 1 << 20  # bytes of a text
STEPS_BETWEEN_CHECKS = 50_000  # of SQLite's virtual machine, about a millisecond, between two checks of the clock

Identity = tuple[int, int, bool]  # device, inode, and whether its folder is read-only
MOST_COST = 1e6  # of fixing a tag, in whatever the user counts in
Kind = Literal["look", "tag", "comment", "review", "new", "drop", "cost", "undo"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS events (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  batch TEXT NOT NULL,     -- events recorded together are undone together
  at TEXT NOT NULL,        -- UTC
  who TEXT NOT NULL,       -- which browser, or the command line
  split TEXT NOT NULL, example TEXT NOT NULL,
  kind TEXT NOT NULL,      -- look, tag, comment, review; new, drop and cost of a tag; undo
  tag TEXT NOT NULL, value TEXT NOT NULL,
  undone INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS by_example ON events (split, example, kind, tag, seq) WHERE undone = 0;
CREATE INDEX IF NOT EXISTS by_batch ON events (batch);
CREATE INDEX IF NOT EXISTS by_who ON events (who, seq) WHERE undone = 0;
"""
_COLUMNS = ("seq", "batch", "at", "who", "split", "example", "kind", "tag", "value", "undone")


@dataclass(frozen=True, slots=True)
class TagEvent:
    """One event: about an example, or (kinds new, drop, cost) that a tag exists, no longer does, or costs this much."""

    split: str
    example: str  # its id
    kind: Kind
    tag: str = ""
    value: str = ""  # "1" or "0" of a tag; the text of a comment; the answer of a review; what fixing a tag costs


@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """An event that is valid now, with its sequence number."""

    seq: int
    event: TagEvent


def read_cost(text: str) -> float | None:
    """A number above 0 and at most MOST_COST; None for anything else."""
    try:
        cost = float(text)
    except ValueError:
        return None
    return cost if 0 < cost <= MOST_COST else None


@final
class TagStore:
    """The tags, comments and reviews of one run. Every write is one transaction; nothing is ever deleted.

    Safe to use from several threads and processes. Raises MachineError if the file cannot be read or written,
    ArtefactError if it is not such a file. Connections are closed when the store is no longer used.
    """

    def __init__(self, run: Path) -> None:
        self.path = run / FILE
        self._run = run
        self._known: Identity | None = None  # of the file this store has used
        self._lock = threading.Lock()
        self._idle: list[tuple[Identity | None, sqlite3.Connection]] = []  # each serves one thread at a time
        weakref.finalize(self, _close_all, self._idle)

    # --- writing ------------------------------------------------------------------------------------------------------
    def record(self, events: Sequence[TagEvent], who: str) -> int:
        """Write all of them, or none; returns the last sequence number. The last event on an example wins."""
        for one in events:
            if len(one.value) > MAX_TEXT or len(one.tag) > MAX_TEXT:
                raise ValueError(f"a tag or comment has at most {MAX_TEXT:,} characters")
        batch, now = secrets.token_hex(8), datetime.now(UTC).isoformat(timespec="seconds")
        rows = [(batch, now, who, one.split, one.example, one.kind, one.tag, one.value) for one in events]
        with self._writing() as connection:
            connection.executemany(
                "INSERT INTO events (batch, at, who, split, example, kind, tag, value) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                rows,
            )
            return _last(connection)

    def undo(self, who: str) -> list[TagEvent]:
        """Undo what `who` recorded last and has not undone yet; returns it, or nothing if there is nothing.

        What others recorded about the same examples stays valid.
        """
        with self._writing() as connection:
            found = connection.execute(
                "SELECT batch FROM events WHERE who = ? AND undone = 0 AND kind != 'undo' ORDER BY seq DESC LIMIT 1",
                (who,),
            ).fetchone()
            if found is None:
                return []
            undone = [TagEvent(*row) for row in self._texts(connection.execute(
                "SELECT split, example, kind, tag, value FROM events WHERE batch = ? ORDER BY seq", found
            ))]  # fmt: skip
            connection.execute("UPDATE events SET undone = 1 WHERE batch = ?", found)
            now = datetime.now(UTC).isoformat(timespec="seconds")
            connection.executemany(
                "INSERT INTO events (batch, at, who, split, example, kind, tag, value) "
                "VALUES (?, ?, ?, ?, ?, 'undo', ?, '')",
                [(secrets.token_hex(8), now, who, one.split, one.example, one.tag) for one in undone],
            )
            return undone

    # --- reading ------------------------------------------------------------------------------------------------------
    def tags(self) -> dict[str, int]:
        """The tags created by people, in order, with the sequence number at which each began."""
        with self._reading() as connection:
            if connection is None:
                return {}
            rows = self._texts(connection.execute(
                "SELECT tag, kind, seq FROM events WHERE kind IN ('new', 'drop') AND undone = 0 ORDER BY seq"
            ))  # fmt: skip
        found: dict[str, int] = {}
        for tag, kind, seq in rows:
            if kind == "drop":
                found.pop(tag, None)
            else:
                found.setdefault(tag, seq)
        return found

    def costs(self) -> dict[str, float]:
        """What fixing each tag costs, in any unit that is the same for all; only tags for which somebody said so."""
        with self._reading() as connection:
            if connection is None:
                return {}
            rows = self._texts(connection.execute(
                "SELECT tag, value FROM events WHERE kind = 'cost' AND undone = 0 ORDER BY seq"
            ))  # fmt: skip
        found = {}
        for tag, value in rows:
            cost = read_cost(value)
            if cost is None:
                raise _no_tags(self.path, f"a cost is {value[:40]!r}")
            found[tag] = cost
        return found

    def current(self, split: str, examples: Iterable[str] | None = None) -> list[RecordedEvent]:
        """The last event for every example (and tag) of a split; or only for `examples`."""
        query = (
            "SELECT split, example, kind, tag, value, MAX(seq) FROM events "
            "WHERE undone = 0 AND split = ? AND kind IN ('look', 'tag', 'comment', 'review') {} "
            "GROUP BY split, example, kind, tag"
        )
        with self._reading() as connection:
            if connection is None:
                return []
            if examples is None:
                rows = self._texts(connection.execute(query.format(""), (split,)))
            else:
                rows = [row for example in dict.fromkeys(examples) for row in
                        self._texts(connection.execute(query.format("AND example = ?"), (split, example)))]  # fmt: skip
        return [RecordedEvent(row[5], TagEvent(*row[:5])) for row in rows]

    def since(self, seq: int) -> tuple[int, list[tuple[str, str]]]:
        """The newest sequence number, and the (split, example) of all events after `seq`."""
        with self._reading() as connection:
            if connection is None:
                return 0, []
            rows = self._texts(connection.execute("SELECT DISTINCT split, example FROM events WHERE seq > ?", (seq,)))
            return _last(connection), [(split, example) for split, example in rows]

    def history(self, split: str, example: str) -> list[dict[str, Any]]:
        """All events of an example, oldest first, with who made them, when, and whether they were undone."""
        with self._reading() as connection:
            if connection is None:
                return []
            rows = self._texts(connection.execute(
                "SELECT seq, at, who, kind, tag, value, undone FROM events "
                "WHERE split = ? AND example = ? ORDER BY seq", (split, example)))  # fmt: skip
        names = ("seq", "at", "who", "kind", "tag", "value", "undone")
        return [dict(zip(names, row, strict=True)) for row in rows]

    # --- the file -----------------------------------------------------------------------------------------------------
    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._connection(make=True) as connection:
            assert connection is not None
            connection.set_progress_handler(None, 0)
            connection.execute("BEGIN IMMEDIATE")  # a plain BEGIN that reads first cannot wait for another writer
            try:
                _limit(connection)  # from here on: waiting for others is not a fault of the file
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection | None]:
        """None if nothing was ever recorded."""
        with self._connection(make=False) as connection:
            if connection is not None:
                _limit(connection)
            yield connection

    @contextmanager
    def _connection(self, *, make: bool) -> Iterator[sqlite3.Connection | None]:
        """A connection to the current file, for the caller alone; kept for the next one if all went well."""
        with _as_our_errors(self.path):
            identity, connection = self._opened(make=make)
            if connection is None:
                yield None
                return
            try:
                yield connection
            except BaseException:
                connection.close()
                raise
            with self._lock:
                self._idle.append((identity, connection))

    def _opened(self, *, make: bool) -> tuple[Identity | None, sqlite3.Connection | None]:
        identity = self._identity()
        if identity is None:
            if make and _can_only_be_read(self._run):
                raise _read_only(self.path)
            if self._known is not None:
                raise MachineError(
                    "the file with the tags has disappeared.", where=str(self.path), fix="put it back, or start again."
                )
            if not make:
                return None, None
        while kept := self._taken():
            if identity is not None and kept[0] is not None and _serves(kept[0], identity):
                return kept
            kept[1].close()
        path = reader.contained(self._run, FILE)
        connection = _opened_for_reading(path) if identity is not None and identity[2] else _opened(path)
        self._known = self._identity()
        return self._known, connection

    def _taken(self) -> tuple[Identity | None, sqlite3.Connection] | None:
        with self._lock:
            return self._idle.pop() if self._idle else None

    def _texts(self, answer: sqlite3.Cursor) -> list[tuple[Any, ...]]:
        """The rows of a result, once they are known to match the column types: SQLite accepts anything."""
        rows = answer.fetchmany(MOST_ROWS + 1)
        if len(rows) > MOST_ROWS:
            raise _no_tags(self.path, f"it has more than {MOST_ROWS:,} rows")
        names = [column[0] for column in answer.description]
        for row in rows:
            for name, value in zip(names, row, strict=True):
                wanted = int if name in ("seq", "undone", "MAX(seq)") else str
                if type(value) is not wanted:
                    raise _no_tags(self.path, f"a {name} is {_kind_of(value)}")
        return rows

    def _identity(self) -> Identity | None:
        try:
            found = os.lstat(self.path)
        except FileNotFoundError:
            return None
        return found.st_dev, found.st_ino, _can_only_be_read(self._run)


def _serves(kept: Identity, now: Identity) -> bool:
    """Whether a connection to `kept` works for the current file: a read-only one cannot become writable."""
    return kept[:2] == now[:2] and (now[2] or not kept[2])


def _close_all(idle: list[tuple[Identity | None, sqlite3.Connection]]) -> None:
    while idle:
        idle.pop()[1].close()


def _limit(connection: sqlite3.Connection) -> None:
    """Abort whatever takes longer than LONGEST from now on with an error."""
    end = time.monotonic() + LONGEST
    connection.set_progress_handler(lambda: time.monotonic() > end, STEPS_BETWEEN_CHECKS)


def _opened(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=PATIENCE, isolation_level=None, check_same_thread=False)
    try:
        is_new = _checked(connection, path)
        connection.execute("PRAGMA synchronous = NORMAL")  # with WAL: survives any kill, and is intact after power loss
        if is_new:
            _begin_wal(connection)
            connection.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version = {FORMAT}; COMMIT;")
    except BaseException:
        connection.close()
        raise
    return connection


def _opened_for_reading(path: Path) -> sqlite3.Connection:
    """SQLite reads a file in WAL mode only if it can write next to it, or is told that nobody changes it."""
    unfinished = path.with_name(f"{path.name}-wal")
    if unfinished.exists() and unfinished.stat().st_size:
        raise MachineError(
            "its last events are in a file next to it that can be read only in a writable folder.", where=str(path),
            fix="copy the run to a writable folder.",
        )  # fmt: skip
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True, isolation_level=None, check_same_thread=False
    )
    try:
        _checked(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _checked(connection: sqlite3.Connection, path: Path) -> bool:
    """Whether the file is still empty. Raises ArtefactError for one with anything but our table.

    A view or a trigger runs whatever its author wrote, for any length of time, as soon as the table is read or written;
    so may a virtual table.
    """
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LARGEST_CELL)
    connection.execute("PRAGMA trusted_schema = OFF")
    version, count = connection.execute(
        "SELECT user_version, (SELECT COUNT(*) FROM sqlite_master) FROM pragma_user_version"  # at one moment
    ).fetchone()
    if version > FORMAT:
        raise ArtefactError(
            f"has format {version}; this gnomon reads format {FORMAT}.", where=str(path),
            fix="use the gnomon that wrote it, or a later one.",
        )  # fmt: skip
    if (version, count) == (0, 0):
        return True
    if version != FORMAT:
        raise _no_tags(path, "another program wrote it")
    strange = connection.execute(
        "SELECT type, name FROM sqlite_master WHERE type NOT IN ('table', 'index') OR sql LIKE '%VIRTUAL%' "
        "OR (type = 'table' AND name NOT IN ('events', 'sqlite_sequence'))"
    ).fetchone()
    if strange is not None:
        raise _no_tags(path, f"it has the {strange[0]} {strange[1]!r}")
    columns = connection.execute("SELECT name, hidden FROM pragma_table_xinfo('events')").fetchall()
    if columns != [(name, 0) for name in _COLUMNS]:
        raise _no_tags(path, "its table has other columns")
    return False


def _no_tags(path: Path, why: str) -> ArtefactError:
    return ArtefactError(
        f"is not a file of tags ({why}).", where=str(path), fix="move it away, or replace it with a good copy."
    )


def _kind_of(value: Any) -> str:
    return {bytes: "bytes", int: "a number", float: "a number", str: "a text"}.get(type(value), "missing")


def _can_only_be_read(folder: Path) -> bool:
    try:
        return bool(os.statvfs(folder).f_flag & os.ST_RDONLY) or not os.access(folder, os.W_OK)
    except OSError:  # it has disappeared: another matter
        return False


def _read_only(path: Path) -> MachineError:
    return MachineError(
        "cannot be written: its folder is read-only.", where=str(path), fix="get permission to write there."
    )


def _begin_wal(connection: sqlite3.Connection) -> None:
    """If several processes do this at once, SQLite rejects some without waiting."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > end:
                raise
            time.sleep(0.01)


@contextmanager
def _as_our_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.DatabaseError as error:
        raise _our_error(error, path) from error


def _our_error(error: sqlite3.DatabaseError, path: Path) -> GnomonError:
    text = str(error)
    if text == "interrupted":
        return _no_tags(path, f"it takes more than {LONGEST:g} s to read")
    if any(part in text for part in ("not a database", "malformed", "no such", "decode", "too big", "constraint")):
        return _no_tags(path, text)
    if "readonly" in text or _can_only_be_read(path.parent):
        return _read_only(path)
    if "full" in text:
        return MachineError("cannot be written: the disk is full.", where=str(path), fix="free some space.")
    if "locked" in text:
        return MachineError("is locked by another program.", where=str(path), fix="close that program and try again.")
    return MachineError(f"cannot be used: {text}.", where=str(path), fix="check the path and its permissions.")


def is_sound(path: Path) -> bool:
    """Whether SQLite finds nothing wrong with the file."""
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        found: str = connection.execute("PRAGMA integrity_check").fetchone()[0]
    return found == "ok"


def _last(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT COALESCE(MAX(seq), 0) FROM events").fetchone()[0])
