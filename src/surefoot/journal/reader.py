"""Reading a SQLite journal: a read-only connection with a thread of its own, so that neither loop nor writer waits.

Each answer is one JSON value that one statement makes, parsed once: stepping from row to row would wait for the
interpreter's lock at every one of them.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from typing import Any, TypeVar

import msgspec

from surefoot.core import codec
from surefoot.core.errors import JournalCorrupt, RunNotFound
from surefoot.core.events import AppEvent, Event, Record
from surefoot.core.rows import Query, RunRow, SessionRow
from surefoot.journal import chain, database, rules
from surefoot.journal.hand import Hand
from surefoot.journal.owner import is_gone

__all__ = ["Reader", "blobs", "records_after", "says"]

T = TypeVar("T")

#: Records read with one statement.
_CHUNK = 2000

_own = msgspec.json.Decoder(list[tuple[int, int, int, int, str, int, msgspec.Raw]])
_any = msgspec.json.Decoder(list[tuple[int, str, int, int, int, str, int, msgspec.Raw]])
_runs = msgspec.json.Decoder(list[RunRow])
_sessions = msgspec.json.Decoder(list[SessionRow])


class Reader:
    """The reading side of one store; every method runs its statement on the reader's thread."""

    def __init__(self, path: str, busy: float) -> None:
        self._path = path
        self._busy = busy
        self._sql = database.Statements()
        self._thread = Hand("surefoot-reader")
        self._opened: sqlite3.Connection | None = None

    async def close(self) -> None:
        """Disconnect, once what was asked is answered."""
        await self._do(self._disconnect)
        self._thread.close()

    async def read(self, stream: str, after: int, limit: int | None) -> list[Record]:
        """See `Journal.read`."""
        return await self._do(lambda: self._read(stream, after, limit))

    async def read_all(self, after: int, limit: int) -> list[Record]:
        """Records of all streams, by position."""
        return await self._do(lambda: records_after(self._connection, self._sql, after, limit))

    async def get(self, run: str) -> RunRow:
        """See `Runs.get`."""
        text = await self._do(lambda: self._value("get", (run,)))
        if text is None:
            raise RunNotFound(run)
        return _rows(text)[0]

    async def find(self, query: Query) -> list[RunRow]:
        """See `Runs.find`."""
        return _rows(await self._matching("find", query))

    async def sessions(self, query: Query) -> list[SessionRow]:
        """See `Runs.sessions`."""
        try:
            return _sessions.decode(await self._matching("sessions", query))
        except msgspec.DecodeError as error:
            raise JournalCorrupt(f"the list of sessions is damaged ({error}); run `surefoot doctor`") from None

    async def _matching(self, statement: str, query: Query) -> str:
        """What a statement gives of the runs that match, as JSON."""
        conditions = " AND ".join([self._sql[f"find_{name}"] for name in _conditions(query)])
        text = self._sql[statement].replace("{conditions}", conditions).replace("{order}", "key" if query.ahead_of else "id")
        wanted = asdict(query)
        wanted["status"] = json.dumps(query.status)
        wanted["tags"] = json.dumps(query.tags)
        wanted["text"] = query.text.casefold()
        found: str = await self._do(lambda: self._connection.execute(text, wanted).fetchone()[0])
        return found

    async def due(self, agents: Sequence[str], now: int, limit: int) -> tuple[list[str], int]:
        """See `Leases.due`."""
        return await self._do(lambda: self._due(json.dumps(list(agents)), now, limit))

    async def load(self, digest: str) -> bytes:
        """See `Blobs.load`."""
        found = await self._do(lambda: blobs(self._connection, self._sql, digest)) if len(digest) >= rules.DIGEST_DIGITS else []
        if len(found) != 1:
            raise KeyError(digest)
        return found[0]

    async def parents(self, runs: Sequence[str]) -> list[str]:
        """The parents of those runs that have one."""
        text = await self._do(lambda: self._value("parents", (json.dumps(list(runs)),)))
        found: list[str] = json.loads(text or "[]")
        return found

    # ------------------------------------------------------------------------------------------------ the thread

    async def _do(self, work: Callable[[], T]) -> T:
        return await self._thread.do(lambda: self._translated(work))

    def _translated(self, work: Callable[[], T]) -> T:
        with database.translated(self._path):
            return work()

    def _disconnect(self) -> None:
        if self._opened is not None:
            self._opened.close()

    @property
    def _connection(self) -> sqlite3.Connection:
        if self._opened is None:
            self._opened = database.connect(self._path, busy=self._busy)
            self._opened.create_function("says", 4, says, deterministic=True)
        return self._opened

    def _value(self, statement: str, values: Any) -> Any:  # noqa: ANN401  whatever the statement binds
        row = self._connection.execute(self._sql[statement], values).fetchone()
        return None if row is None else row[0]

    def _due(self, agents: str, now: int, limit: int) -> tuple[list[str], int]:
        owners = json.loads(self._value("owners", (agents, now)) or "[]")
        gone = json.dumps([owner for owner in owners if is_gone(owner)])
        due = self._value("due", {"agents": agents, "now": now, "gone": gone, "limit": limit}) or "[]"
        (soon,) = self._connection.execute(self._sql["next_due"], {"agents": agents, "now": now}).fetchone()
        return json.loads(due), soon

    def _read(self, stream: str, after: int, limit: int | None) -> list[Record]:
        key = 0
        if stream != rules.APP:
            row = self._connection.execute(self._sql["key"], (stream,)).fetchone()
            if row is None:
                raise RunNotFound(stream)
            (key,) = row
        records: list[Record] = []
        while limit is None or len(records) < limit:
            most = _CHUNK if limit is None else min(_CHUNK, limit - len(records))
            found = self._chunk(stream, key, after, most)
            records += found
            after += len(found)
            if len(found) < most:
                break
        return records

    def _chunk(self, stream: str, key: int, after: int, most: int) -> list[Record]:
        text = self._value("read", (key, after, most))
        try:
            rows = _own.decode(text) if text else []
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise _damage(stream) from None
        if rows and rows[-1][1] - after != len(rows):
            raise JournalCorrupt(f"events of {stream} after {after} are missing; run `surefoot doctor`")
        return [
            Record(position, stream, seq, epoch, time, _event(self._connection, self._sql, tag, version, body))
            for position, seq, epoch, time, tag, version, body in rows
        ]


def records_after(
    connection: sqlite3.Connection, sql: database.Statements, after: int, limit: int, tags: frozenset[str] = frozenset()
) -> list[Record]:
    """Records of all streams, by position; with ``tags``, only those. Raises JournalCorrupt."""
    if tags:
        (text,) = connection.execute(sql["read_some"], (after, json.dumps(sorted(tags)), limit)).fetchone()
    else:
        (text,) = connection.execute(sql["read_all"], (after, limit)).fetchone()
    try:
        rows = _any.decode(text) if text else []
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise _damage("the journal") from None
    return [
        Record(position, stream, seq, epoch, time, _event(connection, sql, tag, version, body))
        for position, stream, seq, epoch, time, tag, version, body in rows
    ]


def blobs(connection: sqlite3.Connection, sql: database.Statements, digest: str) -> list[bytes]:
    """The bytes of every digest that begins like this, but of no more than two."""
    # Every hexadecimal digit sorts before "g".
    return [row[0] for row in connection.execute(sql["blob"], (digest, digest + "g")).fetchall()]


def says(tag: str, version: int, body: bytes | str, text: str) -> bool:
    """Whether a stored event says a casefolded text; registered with SQLite for `Query.text`."""
    try:
        return text in rules.said(codec.decode(tag, body, version)).casefold()
    except JournalCorrupt:
        return False


def _conditions(query: Query) -> Iterator[str]:
    """The names of the conditions that a query sets."""
    yield "all"
    for name in ("agent", "before", "after", "ahead_of", "tags", "text", "unknown", "status"):
        if getattr(query, name):
            yield name
    for name in ("user", "tenant", "key"):
        if getattr(query, name) is not None:
            yield name
    for name in ("session", "parent"):
        if getattr(query, name) is not None:
            yield name if getattr(query, name) else f"no_{name}"
    if query.status == ("waiting",):
        yield "waiting"
    elif query.status and rules.OPEN.issuperset(query.status):
        yield "open"


def _event(
    connection: sqlite3.Connection, sql: database.Statements, tag: str, version: int, raw: msgspec.Raw
) -> Event | AppEvent:
    body = bytes(raw)
    digest = chain.digest_of(body)
    if digest is not None:
        found = blobs(connection, sql, digest)
        if not found:
            raise JournalCorrupt(f"the long body {digest} of an event {tag!r} is missing; run `surefoot doctor`")
        body = found[0]
    return codec.decode(tag, body, version)


def _damage(what: str) -> JournalCorrupt:
    return JournalCorrupt(f"events of {what} cannot be read; run `surefoot doctor` to see which")


def _rows(text: str) -> list[RunRow]:
    try:
        return _runs.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise JournalCorrupt(f"the list of runs cannot be read ({error}); run `surefoot doctor`") from None
