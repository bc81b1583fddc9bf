"""Checking a SQLite journal: the file, every chain, every row and table derived from events, every blob.

SQLite's own check finds damaged structure, the chain finds every changed byte of an event, and the rest is compared
with what the events say. Nothing is changed.
"""

from __future__ import annotations

import hashlib
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

import msgspec

from surefoot.core import codec
from surefoot.core.errors import JournalCorrupt
from surefoot.core.events import Record, RunClaimed
from surefoot.core.ports import Projection
from surefoot.core.rows import Problem, RunRow
from surefoot.core.state import ENDED
from surefoot.journal import chain, database, projections, rules
from surefoot.journal.transfer import StoredRun

__all__ = ["RawEvent", "check", "inspect"]


#: What a stored body stands for; raises JournalCorrupt.
Body = Callable[[bytes], bytes]


class RawEvent(NamedTuple):
    """One row of the table ``event``; texts are bytes, because they may be damaged."""

    run: int
    seq: int
    epoch: int
    time: int
    tag: bytes
    version: int
    salt: bytes
    body: bytes
    hash: bytes
    position: int


def check(path: str, tables: Sequence[Projection] = ()) -> list[Problem]:
    """Everything that is wrong with a journal. Raises StoreUnavailable when there is none to be read."""
    try:
        with database.translated(path):
            problems = [Problem("", 0, f"the file: {text}") for text in database.integrity(path)]
    except JournalCorrupt as error:
        problems = [Problem("", 0, str(error))]
    with closing(database.connect(path)) as connection:
        connection.text_factory = bytes
        connection.execute("BEGIN")
        try:
            problems += _Check(connection).run()
        except sqlite3.DatabaseError as error:
            problems.append(Problem("", 0, f"the file cannot be read further: {error}"))
    if tables and not problems:
        problems += _compare(path, tables)
    return problems


class _Check:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._sql = database.Statements()

    def run(self) -> list[Problem]:
        """The problems of one snapshot."""
        problems = [*self._schema(), *self._blobs_right()]
        runs: dict[int, StoredRun] = {}
        for key, claimed, ended, text in self._connection.execute(self._sql["all_runs"]):
            try:
                runs[key] = StoredRun(key, msgspec.json.decode(text, type=RunRow), claimed, ended)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                problems.append(Problem("", 0, f"the row of run number {key} cannot be read: {error}"))
        for key, rows in groupby(self._connection.execute(self._sql["all_events"]), itemgetter(0)):
            problems += self._stream(key, runs.pop(key, None), map(RawEvent._make, rows))
        problems += [Problem(run.row.id, 0, "the run has no events") for run in runs.values()]
        return problems

    def _stream(self, key: int, run: StoredRun | None, rows: Iterator[RawEvent]) -> list[Problem]:
        if key == 0:
            return inspect(rules.APP, rows, self._body)[1]
        if run is None:
            return [Problem("", 0, f"{len(list(rows))} events belong to run number {key}, which has no row")]
        records, problems = inspect(run.row.id, rows, self._body)
        if problems:
            return problems
        row = replace(run.row, head=records[-1].seq)
        return [*rules.compare(row, records), *_marks(run, records)]

    def _body(self, text: bytes) -> bytes:
        """What a stored body stands for."""
        digest = chain.digest_of(text)
        if digest is None:
            return text
        row = self._connection.execute(self._sql["blob"], (digest, digest + "g")).fetchone()
        if row is None:
            raise JournalCorrupt(f"its long body {digest} is missing")
        body: bytes = row[0]
        return body

    def _blobs_right(self) -> Iterator[Problem]:
        for digest, data in self._connection.execute(self._sql["all_blobs"]):
            if hashlib.sha256(data).hexdigest().encode() != digest:
                yield Problem("", 0, f"blob {digest.decode(errors='replace')}: its bytes are not those that were saved")

    def _schema(self) -> Iterator[Problem]:
        """Compare tables, indexes and triggers with those that the migrations make."""
        with closing(sqlite3.connect(":memory:")) as fresh:
            fresh.text_factory = bytes
            for script in database.migrations():
                fresh.executescript(script)
            wanted = dict(fresh.execute(self._sql["schema"]))
        have = dict(self._connection.execute(self._sql["schema"]))
        for name, text in wanted.items():
            if have.get(name) != text:
                yield Problem("", 0, f"the definition of {name.decode()} is missing or changed")


def inspect(stream: str, rows: Iterator[RawEvent], body_of: Body) -> tuple[list[Record], list[Problem]]:
    """The records of a stream up to its first problem, and every problem of its chain."""
    records: list[Record] = []
    problems: list[Problem] = []
    before = RawEvent(0, 0, 0, 0, b"", 0, b"", b"", b"", 0)
    for row in rows:
        try:
            record = _proved(stream, row, before, body_of)
        except (JournalCorrupt, ValueError, TypeError, AttributeError) as error:
            # Damage can give a column any type and any length.
            problems.append(Problem(stream, row.seq, str(error)))
        else:
            if not problems:
                records.append(record)
        before = row
    return records, problems


def _proved(stream: str, row: RawEvent, before: RawEvent, body_of: Body) -> Record:
    """A row as a record, if its chain is whole."""
    if row.seq != before.seq + 1:
        raise JournalCorrupt(f"the events from {before.seq + 1} up to this one are missing")
    if row.position <= before.position:
        raise JournalCorrupt("its position is not above that of the event before it")
    tag, body = row.tag.decode(), body_of(row.body)
    sealed = chain.Sealed(row.seq, row.epoch, row.time, tag, row.version, row.salt, body)
    if chain.seal(before.hash, stream, sealed) != row.hash:
        raise JournalCorrupt("it, or the event before it, is not what was written: its hash differs")
    return Record(row.position, stream, row.seq, row.epoch, row.time, codec.decode(tag, body, row.version))


def _marks(run: StoredRun, records: Sequence[Record]) -> Iterator[Problem]:
    """Compare what only this store keeps in a run's row."""
    row, claimed, ended, worker = run.row, 0, 0, ""
    for record in records:
        if rules.ends(record.event):
            ended = record.position
        elif rules.tag_of(record.event) == "run.claimed":
            claimed = record.position
            worker = record.event.worker if isinstance(record.event, RunClaimed) else row.owner
    if run.claimed != claimed:
        yield Problem(row.id, 0, f"the row says that it was last claimed at {run.claimed}, its events say {claimed}")
    if row.status in ENDED and not ended <= run.ended <= records[-1].position:
        yield Problem(row.id, 0, f"the row says that it ended at {run.ended}, its events say {ended}")
    owners = {"", worker} if row.status == "running" else {""}
    if row.owner not in owners:
        yield Problem(row.id, 0, f"the row says that {row.owner!r} works on it, its events say {worker!r}")


def _compare(path: str, tables: Sequence[Projection]) -> list[Problem]:
    """Derive every table anew in a copy, and compare."""
    problems = []
    sql = database.Statements()
    with tempfile.TemporaryDirectory() as folder:
        copy = str(Path(folder) / "copy.db")
        with closing(database.connect(path)) as connection:
            connection.execute("VACUUM INTO ?", (copy,))
        with closing(database.connect(copy, write=True)) as connection:
            for table in tables:
                have = _dump(connection, sql, table.name)
                projections.rebuild(connection, sql, table)
                if have != _dump(connection, sql, table.name):
                    problems.append(Problem("", 0, f"the table {table.name} is not what the events make of it"))
    return problems


def _dump(connection: sqlite3.Connection, sql: database.Statements, table: str) -> list[str]:
    quoted = table.replace('"', '""')
    return sorted(map(repr, connection.execute(sql["dump"].replace("TABLE", f'"{quoted}"')).fetchall()))
