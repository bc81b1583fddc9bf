"""Tables derived from events: kept in the transaction that appends them, caught up when others wrote without them.

A projection's row in the table ``projection`` says up to which position it holds the events. One that is new, or that a
process without it left behind, is brought up to date before it is used.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from surefoot.core.events import APP_EVENTS, RUN_EVENTS, Record, tag_of
from surefoot.core.ports import Projection
from surefoot.journal.database import Statements
from surefoot.journal.ledger import Batch
from surefoot.journal.reader import records_after

__all__ = ["keep", "prepare", "rebuild", "wanted"]

_CHUNK = 1000


def prepare(connection: sqlite3.Connection, sql: Statements, tables: Sequence[Projection]) -> None:
    """Make the tables hold every event, in one transaction each."""
    for table in tables:
        connection.execute("BEGIN IMMEDIATE")
        try:
            known = connection.execute(sql["projected"], (table.name,)).fetchone()
            if known is None:
                rebuild(connection, sql, table)
            else:
                _catch_up(connection, sql, table, known[0])
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise


def wanted(tables: Sequence[Projection]) -> frozenset[type]:
    """The kinds of events that any of the tables is about."""
    kinds = {*RUN_EVENTS, *APP_EVENTS}
    return frozenset(kind for table in tables for kind in kinds if not table.tags or tag_of(kind) in table.tags)


def keep(connection: sqlite3.Connection, tables: Sequence[Projection], batch: Batch) -> None:
    """Add what a batch just wrote, or, when it removed something, derive everything anew."""
    sql = batch.ledger.sql
    for table in tables:
        if table.tags:
            if any(tag_of(record.event) in table.tags for record in batch.records):
                _catch_up_some(connection, sql, table)
        elif batch.removes:
            rebuild(connection, sql, table)
        elif batch.records:
            (position,) = connection.execute(sql["projected"], (table.name,)).fetchone()
            if position == batch.records[0].position - 1:
                _apply(connection, sql, table, batch.records)
            else:
                _catch_up(connection, sql, table, position)


def rebuild(connection: sqlite3.Connection, sql: Statements, table: Projection) -> None:
    """Empty a table, and apply every event."""
    table.rebuild(connection)
    connection.execute(sql["project"], (table.name, 0))
    _catch_up(connection, sql, table, 0)


def _catch_up(connection: sqlite3.Connection, sql: Statements, table: Projection, position: int) -> None:
    if table.tags:
        _catch_up_some(connection, sql, table)
        return
    records = records_after(connection, sql, position, _CHUNK)
    while records:
        _apply(connection, sql, table, records)
        records = records_after(connection, sql, records[-1].position, _CHUNK)


def _catch_up_some(connection: sqlite3.Connection, sql: Statements, table: Projection) -> None:
    """Apply the events that a table is about, and note that it has seen all there are."""
    (position,) = connection.execute(sql["projected"], (table.name,)).fetchone()
    (last, _) = connection.execute(sql["last"]).fetchone()
    records = records_after(connection, sql, position, _CHUNK, table.tags)
    while records:
        _apply(connection, sql, table, records)
        records = records_after(connection, sql, records[-1].position, _CHUNK, table.tags)
    connection.execute(sql["project"], (table.name, last))


def _apply(connection: sqlite3.Connection, sql: Statements, table: Projection, records: Sequence[Record]) -> None:
    for record in records:
        table.apply(connection, record)
    connection.execute(sql["project"], (table.name, records[-1].position))
