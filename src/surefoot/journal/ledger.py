"""What the writer remembers of streams, so that an append needs no look-up, and what one transaction is to change.

`Ledger` trusts its memory as long as nobody else wrote. Nobody has to ask whether somebody did: every event takes the
next position, which is a primary key, so whoever works from an old memory collides, forgets, and plans again. `Batch`
is the plan of one transaction. It is made without touching the database, but for loading streams not yet remembered.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from surefoot.core import canonical, codec
from surefoot.core.errors import JournalError, RunNotFound
from surefoot.core.events import AppEvent, Event, Record, RunStarted, RunSuspended, tag_of
from surefoot.core.state import ENDED
from surefoot.journal import rules
from surefoot.journal.chain import LONG, SALT_BYTES, aside
from surefoot.journal.database import Statements

__all__ = ["Batch", "Encoded", "Entry", "Ledger", "encode"]

#: Bodies of more bytes are refused: they would be read again with every resume.
_TOO_LONG = 64 * 1024 * 1024
#: Streams remembered at once.
_REMEMBERED = 20_000

#: An event with its tag and its body.
Encoded = tuple[Event | AppEvent, str, bytes]


@dataclass(slots=True)
class Entry:
    """A stream as the writer knows it: its row, and its last event's seq (``head``), time and hash.

    ``claimed`` and ``ended`` are the positions of its last claim and end. ``held`` says that an earlier run of the session
    goes first; that and the lease are true only right after loading.
    """

    id: str
    key: int
    status: str = "new"
    epoch: int = 0
    parent: str = ""
    owner: str = ""
    lease_until: int = 0
    wake_at: int = 0
    claimed: int = 0
    ended: int = 0
    ended_at: int = 0
    head: int = 0
    time: int = 0
    hash: bytes = b""
    held: bool = False


class Ledger:
    """The streams that the writer remembers, and the last position and run key of the journal."""

    def __init__(self, connection: sqlite3.Connection, sql: Statements) -> None:
        self.connection = connection
        self.sql = sql
        self.position = 0
        self.key = 0
        #: The first events of runs that were added here and not claimed yet.
        self.firsts: dict[str, Record] = {}
        self._certain = 0
        self._entries: dict[str, Entry] = {}
        self._chance, self._taken = b"", 0

    def refresh(self) -> bool:
        """Forget everything if somebody else wrote, and say so. Inside a transaction, what is known is then certain."""
        position, key = self.connection.execute(self.sql["last"]).fetchone()
        moved = bool(position != self._certain)
        if moved or len(self._entries) > _REMEMBERED:
            self.forget()
        self.position = self._certain = position
        self.key = key
        return moved

    def salt(self) -> bytes:
        """A new salt; chance is asked of the system for many at a time."""
        start = self._taken
        if start == len(self._chance):
            self._chance, start = os.urandom(256 * SALT_BYTES), 0
        self._taken = start + SALT_BYTES
        return self._chance[start : start + SALT_BYTES]

    def settle(self) -> None:
        """What was planned is committed."""
        self._certain = self.position

    def forget(self) -> None:
        """Remember nothing of any stream."""
        self._entries.clear()
        self.firsts.clear()

    def drop(self, stream: str) -> None:
        """Remember nothing of one stream."""
        self._entries.pop(stream, None)

    def put(self, entry: Entry) -> None:
        """Remember a new stream."""
        self._entries[entry.id] = entry

    def entry(self, stream: str) -> Entry:
        """A stream. Raises RunNotFound."""
        found = self._entries.get(stream) or self.find(stream)
        if found is None:
            raise RunNotFound(stream)
        return found

    def remembered(self, stream: str) -> Entry | None:
        """A stream, if it need not be looked up."""
        return self._entries.get(stream)

    def find(self, stream: str) -> Entry | None:
        """A stream, or None."""
        return next(iter(self.some([stream])), None)

    def some(self, streams: Sequence[str]) -> list[Entry]:
        """Those of these streams that exist."""
        missing = [name for name in streams if name not in self._entries]
        if missing:
            self.load(missing)
        return [self._entries[name] for name in streams if name in self._entries]

    def load(self, streams: Iterable[str]) -> None:
        """Read streams anew, as many as there are."""
        names = set(streams)
        if rules.APP in names:
            row = self.connection.execute(self.sql["load_app"]).fetchone() or (0, 0, b"")
            self._entries[rules.APP] = Entry(rules.APP, 0, head=row[0], time=row[1], hash=row[2])
            names.discard(rules.APP)
        if names:
            (text,) = self.connection.execute(self.sql["load"], (json.dumps(list(names)),)).fetchone()
            for *row, digest, held in json.loads(text):
                entry = self._entries[row[0]] = Entry(*row)
                entry.hash, entry.held = bytes.fromhex(digest), bool(held)


class Batch:
    """What one transaction is to write. Planned from a ledger, whose entries move as if it were done already."""

    def __init__(self, ledger: Ledger, now: int) -> None:
        self.ledger = ledger
        self.now = now
        self.records: list[Record] = []
        self.outside: dict[str, bool] = {}
        #: What to look up before anything is planned: streams, runs to load anew, and callers' keys (tenant, user, key),
        #: whose runs are then in `known`.
        self.stale: list[str] = []
        self.streams: list[str] = []
        self.bytes = 0
        self.wanted: list[tuple[str, str, str]] = []
        self.known: dict[tuple[str, str, str], str] = {}
        #: Whether it removes anything, so that what is derived from events is to be derived anew.
        self.removes = False
        self._rows: list[Any] = []
        self._adds: list[list[Any]] = []
        self._moves: dict[int, Entry] = {}
        self._blobs: dict[str, bytes] = {}
        self._more: list[Callable[[sqlite3.Connection], object]] = []

    @property
    def single(self) -> bool:
        """Whether one statement does it all, and so needs no transaction around it."""
        count = len(self.records)
        return not (self._adds or self._moves or self._blobs or self._more) and Statements.chunk(count) == count

    def look(self) -> None:
        """Load what the jobs of this batch want to know; the transaction has begun."""
        self.ledger.some(self.streams)
        if self.stale:
            self.ledger.load(self.stale)
        if self.wanted:
            statement = self.ledger.sql["known"]
            (text,) = self.ledger.connection.execute(statement, (json.dumps(self.wanted),)).fetchone()
            self.known = {(tenant, user, key): run for tenant, user, key, run in json.loads(text)}

    def write(self, entry: Entry, encoded: Sequence[Encoded], epoch: int) -> list[Record]:
        """Append to a stream, move its row, and wake the parent of a run that ends."""
        stream, time, previous = entry.id, max(self.now, entry.time), entry.hash
        position, seq, key, add = self.ledger.position, entry.head, entry.key, self._rows.extend
        records = []
        for event, tag, body in encoded:
            position += 1
            seq += 1
            self.bytes += len(body)
            salt = self.ledger.salt()
            sealed = codec.body_hash(salt, body)
            previous = codec.chain_hash(previous, stream, seq, epoch, time, tag, codec.VERSION, sealed)
            text = body.decode() if len(body) <= LONG else self._aside(body)
            add((position, key, seq, epoch, time, tag, codec.VERSION, salt, text, previous))
            records.append(Record(position, stream, seq, epoch, time, event))
        self.ledger.position = position
        entry.head, entry.time, entry.hash = seq, time, previous
        self.records += records
        self.outside[stream] = self.outside.get(stream, False) or not epoch
        events = [event for event, _, _ in encoded]
        if key and rules.moves(entry.status, events):
            self._move(entry, events)
        return records

    def add(self, run: str, started: RunStarted, encoded: Encoded) -> Entry:
        """Create a run."""
        self.ledger.key += 1
        # A claim before this is committed cannot know what holds the run, so it does not get it.
        entry = Entry(run, self.ledger.key, "ready", parent=started.parent, held=True)
        self.ledger.put(entry)
        self._adds.append(
            [
                entry.key,
                run,
                started.agent,
                "ready",
                started.key,
                started.session,
                started.user,
                started.tenant,
                started.parent,
                json.dumps(started.tags),
                self.now,
            ]
        )
        (self.ledger.firsts[run],) = self.write(entry, [encoded], 0)
        return entry

    def moved(self, entry: Entry) -> None:
        """Note that a row is to be written."""
        self._moves[entry.key] = entry

    def then(self, work: Callable[[sqlite3.Connection], object]) -> None:
        """Note something more to be done once the events are in."""
        self._more.append(work)

    def also(self, statement: str, *values: Any) -> None:  # noqa: ANN401  whatever the statement binds
        """Note one more statement."""
        text = self.ledger.sql[statement]
        self.then(lambda connection: connection.execute(text, values))

    def keep(self, data: bytes) -> str:
        """Note a blob; its digest."""
        digest = canonical.blob_id(data)
        self._blobs[digest] = data
        return digest

    def execute(self) -> None:
        """Do what was planned. Raises sqlite3.Error; the caller holds the transaction."""
        connection, sql = self.ledger.connection, self.ledger.sql
        if self._adds:
            connection.execute(sql["add"], (json.dumps(self._adds),))
        for blob in self._blobs.items():
            connection.execute(sql["save"], blob)
        left, start = len(self.records), 0
        while left:
            rows = sql.chunk(left)
            width = 10 * rows
            connection.execute(sql.insert(rows), self._rows[start : start + width])
            start += width
            left -= rows
        if self._moves:
            moves = [
                [e.key, e.status, e.epoch, e.owner, e.lease_until, e.wake_at, e.claimed, e.ended, e.ended_at]
                for e in self._moves.values()
            ]
            connection.execute(sql["move"], (json.dumps(moves),))
        for work in self._more:
            work(connection)

    def _move(self, entry: Entry, events: Sequence[Event | AppEvent]) -> None:
        status, wake_at = rules.moved(entry.status, entry.wake_at, events)
        if status == "waiting" and self._missed(entry, events[-1]):
            status, wake_at = "ready", 0
        entry.status, entry.wake_at = status, wake_at
        if status != "running":
            entry.owner, entry.lease_until = "", 0
        self.moved(entry)
        if status in ENDED:
            entry.ended, entry.ended_at = self.ledger.position, entry.time
            self._wake(entry.parent)

    def _wake(self, parent: str) -> None:
        entry = self.ledger.find(parent) if parent else None
        if entry is not None and entry.status == "waiting":
            entry.status, entry.wake_at = "ready", 0
            self.moved(entry)
            self.outside[parent] = True

    def _missed(self, entry: Entry, last: Event | AppEvent) -> bool:
        """Whether a run that this one is about to wait for ended since this one was claimed, and so woke nobody."""
        if type(last) is not RunSuspended or not last.waiting_for:
            return False
        return any(child.ended > entry.claimed for child in self.ledger.some(last.waiting_for))

    def _aside(self, body: bytes) -> str:
        return aside(self.keep(body))


def encode(event: Event | AppEvent) -> Encoded:
    """An event as it is stored. Raises JournalError for what JSON cannot say, or what is too long."""
    try:
        tag, body = codec.encode(event)
    except (TypeError, ValueError, RecursionError, OverflowError) as error:
        raise JournalError(f"an event {tag_of(event)!r} cannot be stored: {error}") from None
    if len(body) > _TOO_LONG:
        raise JournalError(f"an event {tag!r} of {len(body):,} bytes cannot be stored; keep large data as a blob")
    return event, tag, body
