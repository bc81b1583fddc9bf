"""The SQLite file itself: connecting, creating, migrating, the named statements, and what SQLite's errors mean.

The file's `user_version` is the number of migrations it has had, its `application_id` says that it is ours.
"""

from __future__ import annotations

import re
import sqlite3
import weakref
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from surefoot.core.errors import DiskFull, JournalCorrupt, JournalError, NewerDatabase, StoreUnavailable

__all__ = ["APPLICATION_ID", "Own", "Statements", "connect", "migrations", "prepare", "statements", "translated", "version"]

#: "sjnl", so that file(1) and we can tell the file from others.
APPLICATION_ID = 0x736A6E6C

_OLDEST = (3, 33)
_SQL = Path(__file__).with_name("sql")
_FULL = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE}
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
#: Rows of one INSERT: any number up to 16, then powers of two.
_SMALL, _LARGE = 16, 256


class Statements(dict[str, str]):
    """The statements of ``queries.sql`` by name, and the one that appends ``rows`` events at once."""

    def __init__(self) -> None:
        super().__init__(statements("queries.sql"))
        self._head, self._values = self["append"].rsplit("\n", 1)
        self._inserts: dict[int, str] = {}

    def insert(self, rows: int) -> str:
        """The statement that appends this many events."""
        found = self._inserts.get(rows)
        if found is None:
            found = self._inserts[rows] = self._head + "\n" + ", ".join([self._values] * rows)
        return found

    @staticmethod
    def chunk(rows: int) -> int:
        """How many of ``rows`` events to append with one statement, so that few different statements are needed."""
        if rows <= _SMALL:
            return rows
        return min(_LARGE, 1 << (rows.bit_length() - 1))


def statements(file: str) -> dict[str, str]:
    """The statements of a file by name; each follows a line ``-- name: …``."""
    text = (_SQL / file).read_text(encoding="utf-8")
    parts = re.split(r"^-- name: (\w+)$", re.sub(r"^-- (?!name:).*\n", "", text, flags=re.MULTILINE), flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], [part.strip().removesuffix(";") for part in parts[1::2]], strict=True))


def migrations() -> list[str]:
    """The released migrations in order, as scripts."""
    return [path.read_text(encoding="utf-8") for path in sorted(_SQL.glob("[0-9]*.sql"))]


def connect(path: str, *, write: bool = False, busy: float = 10.0) -> sqlite3.Connection:
    """A connection without implicit transactions; ``busy`` seconds are waited for a lock. Raises sqlite3.Error."""
    uri = Path(path).absolute().as_uri() + ("" if write else "?mode=ro")
    return sqlite3.connect(uri, uri=True, timeout=busy, isolation_level=None, check_same_thread=False, cached_statements=64)


class Own:
    """One database in memory, with the schema of a file, made when it is first wanted."""

    def __init__(self) -> None:
        self._connection: sqlite3.Connection | None = None

    def __call__(self) -> sqlite3.Connection:
        """Its one connection."""
        if self._connection is None:
            self._connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
            weakref.finalize(self, self._connection.close)
            for script in migrations():
                self._connection.executescript(script)
        return self._connection


def version(connection: sqlite3.Connection) -> int:
    """How many migrations a file has had."""
    found: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return found


def prepare(connection: sqlite3.Connection, path: str) -> None:
    """Create or migrate the schema. Raises NewerDatabase, StoreUnavailable, and what SQLite raises."""
    # Which SQLite is linked is not ours to choose in a test.
    if sqlite3.sqlite_version_info < _OLDEST:  # pragma: no cover
        raise StoreUnavailable(f"SQLite {sqlite3.sqlite_version} is too old; surefoot needs 3.33 or later")
    have, scripts = version(connection), migrations()
    kind = connection.execute("PRAGMA application_id").fetchone()[0]
    if kind not in (0, APPLICATION_ID) or (kind == 0 and connection.execute("PRAGMA schema_version").fetchone()[0]):
        raise StoreUnavailable(f"{path} is a database of another program; give surefoot a file of its own")
    if have > len(scripts):
        raise NewerDatabase(
            f"{path} was written by a newer surefoot (schema {have}, this one knows {len(scripts)}); upgrade surefoot"
        )
    mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    # Some network file systems cannot; no test has one.
    if mode != "wal":  # pragma: no cover
        raise StoreUnavailable(f"{path} cannot have a write-ahead log (mode {mode}); put it on a local disk")
    if have < len(scripts):
        if have:
            _keep(connection, path, have)
        _migrate(connection, scripts)


def _migrate(connection: sqlite3.Connection, scripts: list[str]) -> None:
    """Apply the scripts that are missing, in one transaction."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        # Another process may just have done it.
        for script in scripts[version(connection) :]:
            for statement in _split(script):
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {len(scripts)}")
        connection.execute("COMMIT")
    except BaseException:
        connection.rollback()
        raise


def _split(script: str) -> Iterator[str]:
    """The statements of a script; a trigger's body is one with its trigger."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _keep(connection: sqlite3.Connection, path: str, have: int) -> None:
    """Copy the file as it is before a migration, unless an earlier attempt has."""
    copy = Path(f"{path}.v{have}.backup")
    if not copy.exists():
        connection.execute("VACUUM INTO ?", (str(copy),))


@contextmanager
def translated(path: str) -> Iterator[None]:
    """Raise what SQLite raises as one of our errors, which says what to do next."""
    try:
        yield
    except sqlite3.Error as error:
        raise _ours(error, path) from error


def _ours(error: sqlite3.Error, path: str) -> JournalError:
    code: int = getattr(error, "sqlite_errorcode", 0)
    if code in _FULL or code & 0xFF == sqlite3.SQLITE_FULL:
        return DiskFull(
            f"{path} cannot grow: the disk, a quota or a size limit is full. "
            "Nothing acknowledged was lost; free some space, and go on"
        )
    if code & 0xFF in _DAMAGED or "malformed JSON" in str(error):  # what is read inside SQLite has no code of its own
        return JournalCorrupt(
            f"{path} is damaged or no journal ({error}); `surefoot doctor` checks it and saves what is readable"
        )
    if code & 0xFF in _BUSY:
        return StoreUnavailable(f"{path} stayed locked by another process; see which one, and try again")
    return StoreUnavailable(f"{path} cannot be used ({error}); check that file and folder exist and are writable")


def integrity(path: str) -> list[str]:
    """What SQLite's own check finds; empty when it finds nothing."""
    with closing(connect(path)) as connection:
        rows = connection.execute("PRAGMA integrity_check").fetchall()
    return [row[0] for row in rows if row[0] != "ok"]
