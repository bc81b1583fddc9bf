"""Removing for good, and copying: redaction, pruning, scrubbing and backup of a SQLite journal.

Redaction and pruning are planned as part of a batch. Their bytes are gone once `scrub` has run: deleted cells are
overwritten, the file is written anew without them, and the write-ahead log is emptied.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing

from surefoot.core.errors import StoreUnavailable
from surefoot.core.events import EventRedacted, RunPruned
from surefoot.core.rows import Erasure
from surefoot.core.state import ENDED
from surefoot.journal import chain, database, rules, transfer
from surefoot.journal.ledger import Batch, encode

__all__ = ["backup", "erase", "prune", "redact", "scrub", "strike"]


def redact(batch: Batch, run: str, seq: int, by: str, reason: str) -> None:
    """Plan what `Upkeep.redact` promises; what is redacted already is only scrubbed again."""
    ledger, sql = batch.ledger, batch.ledger.sql
    entry = ledger.entry(run)
    tag, salt, text = ledger.connection.execute(sql["body"], (entry.key, seq)).fetchone() or ("", b"", "")
    rules.redactable(run, entry.status, entry.head, seq, tag)
    if not salt:
        return
    body = text.encode()
    named = chain.digests(body)
    digest = chain.digest_of(body)
    if digest is not None:
        body = ledger.connection.execute(sql["blob"], (digest, digest + "g")).fetchone()[0]
        named |= chain.digests(body)
    batch.write(entry, [encode(EventRedacted(seq, reason, by))], 0)
    batch.also("redact", chain.redacted(salt, body).decode(), entry.key, seq)
    if tag == "run.started":
        batch.also("redact_start", entry.key)
    batch.then(lambda connection: _forget(connection, sql, named))
    batch.removes = True


def strike(batch: Batch, what: Erasure, by: str, reason: str) -> None:
    """Plan what `Erasures.strike` promises."""
    ledger, sql = batch.ledger, batch.ledger.sql
    events = list(what.events)
    for stream, text in what.texts:
        wanted = {"text": rules.escaped(text), "stream": stream}
        events += ledger.connection.execute(sql["holding"], wanted).fetchall()
    if what.told:
        batch.write(ledger.entry(rules.APP), [encode(event) for event in what.told], 0)
    for stream, seq in dict.fromkeys(events):
        redact(batch, stream, seq, by, reason)


def prune(batch: Batch, before: int, status: Sequence[str]) -> list[str]:
    """Plan what `Upkeep.prune` promises; the ids of the runs that go."""
    ledger, sql = batch.ledger, batch.ledger.sql
    wanted = {"status": json.dumps([name for name in status if name in ENDED]), "before": before}
    found = [run for _, run in ledger.connection.execute(sql["prunable"], wanted).fetchall()]
    _remove(batch, found, "")
    return found


def erase(batch: Batch, runs: Sequence[str], reason: str) -> None:
    """Plan what `Upkeep.erase` promises."""
    for entry in batch.ledger.some(runs):
        rules.erasable(entry.id, entry.status)
    _remove(batch, runs, reason)


def _remove(batch: Batch, names: Sequence[str], reason: str) -> None:
    """Plan to delete whole runs."""
    ledger, sql = batch.ledger, batch.ledger.sql
    runs = ledger.some(names)
    if not runs:
        return
    keys = json.dumps([run.key for run in runs])
    named: set[str] = set()
    for (text,) in ledger.connection.execute(sql["bodies_of"], (keys,)).fetchall():
        named |= chain.digests(text.encode())
    named |= _named_by(ledger.connection, sql, named)
    marks = [encode(RunPruned(run.id, run.head, run.hash.hex(), reason)) for run in runs]
    batch.write(ledger.entry(rules.APP), marks, 0)
    for statement in ("prune_mark", "prune_events", "prune_runs"):
        batch.also(statement, keys)
    batch.then(lambda connection: _forget(connection, sql, named))
    batch.removes = True
    for run in runs:
        ledger.drop(run.id)


def scrub(connection: sqlite3.Connection, busy: float) -> None:
    """Leave no trace of what was deleted in the file or its log. Raises StoreUnavailable when readers keep the log."""
    connection.execute("VACUUM")
    deadline = time.monotonic() + busy
    while connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
        if time.monotonic() > deadline:
            raise StoreUnavailable(
                "it is removed, but another process still reads an old state of the file, so bytes may remain in its "
                "log; do the same again later"
            )


def backup(path: str, copy: str) -> None:
    """Write a consistent copy of a journal to a new file. Raises StoreUnavailable when it exists or cannot be made."""
    transfer.fresh(copy)
    with database.translated(copy), closing(database.connect(path)) as connection:
        connection.execute("VACUUM INTO ?", (copy,))


def _named_by(connection: sqlite3.Connection, sql: database.Statements, digests: set[str]) -> set[str]:
    """The digests that those of these blobs name which are long bodies."""
    found: set[str] = set()
    for digest in digests:
        row = connection.execute(sql["blob"], (digest, digest + "g")).fetchone()
        if row is not None and row[0][:1] == b"{":
            found |= chain.digests(row[0])
    return found


def _forget(connection: sqlite3.Connection, sql: database.Statements, named: set[str]) -> None:
    """Delete those of these blobs that no event names any more."""
    if named:
        for (text,) in connection.execute(sql["bodies"]):
            used = chain.digests(text.encode())
            named -= used
            if chain.digest_of(text.encode()) is not None:
                named -= _named_by(connection, sql, used)
            if not named:
                return
    for digest in named:
        connection.execute(sql["delete_blob"], (digest,))
