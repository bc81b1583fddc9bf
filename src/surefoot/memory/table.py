"""The table of entries, kept in step with the journal's events in its own transactions, with the index over their words.

`Table` is a `Projection`. An entry's key is the position of its event. A turn's row in the index holds its own words and
those of the turns around it, so a new turn also changes the rows of the two before it. What goes wrong here is never the
journal's trouble: the table is marked as unusable, and made anew when the store is opened the next time.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from surefoot.core.events import EventRedacted, MemoryRecalled, Record, RunPruned
from surefoot.core.memory import Entry, MemoryForgotten, MemoryKept, MemoryRefused, Scope
from surefoot.memory.statements import mark, place, statements
from surefoot.memory.words import fingerprint

__all__ = ["Table"]

_log = logging.getLogger("surefoot.memory")

#: Entries of one row of the index over threads.
STRETCH = 64
_FAR = 2
_END = 2**62


@dataclass(frozen=True, slots=True)
class _Row:
    """An entry as the index needs it."""

    key: int
    text: str
    session: str
    scope: Scope
    kind: str

    @property
    def place(self) -> tuple[str, str, str, str]:
        """Its scope, as the statements bind it."""
        return place(self.scope)

    @property
    def threaded(self) -> bool:
        """Whether it is a turn of a thread."""
        return self.kind == "episode" and bool(self.session)


class Table:
    """The projection. ``own`` is a connection to use in place of the store's, for a store that has none."""

    name = "memory"
    tags = frozenset({"memory.kept", "memory.refused", "memory.forgotten", "memory.recalled", "event.redacted", "run.pruned"})

    def __init__(self, own: Callable[[], sqlite3.Connection] | None = None) -> None:
        self._own = own
        self._sql = statements()

    def apply(self, connection: Any, record: Record) -> None:  # noqa: ANN401  the store's own connection
        """Add what one event says."""
        used = self._own() if self._own is not None else connection
        used.execute("SAVEPOINT memory")
        try:
            self._apply(used, record)
        except sqlite3.DatabaseError as error:
            used.execute("ROLLBACK TO memory")
            _log.error("memory could not take in event %d of %s: %s", record.seq, record.stream, error)
        finally:
            used.execute("RELEASE memory")

    def rebuild(self, connection: Any) -> None:  # noqa: ANN401  the store's own connection
        """Empty the table of what events can tell again; what pruned runs left stays."""
        used = self._own() if self._own is not None else connection
        survivors = used.execute(self._sql["survivors"]).fetchall()
        for name in ("empty_words", "empty_threads", "empty_stretches", "empty_gone", "empty"):
            used.execute(self._sql[name])
        for values in survivors:
            self._insert(used, values)

    # ------------------------------------------------------------------------------------------------- private

    def _apply(self, connection: sqlite3.Connection, record: Record) -> None:
        run = connection.execute
        match record.event:
            case MemoryKept(entry=entry, closes=closes):
                self._add(connection, record, entry)
                for id_ in closes:
                    run(self._sql["close"], (entry.valid_from or entry.time, id_))
            case MemoryRefused(like=like):
                run(self._sql["again"], (like,))
            case MemoryRecalled(entries=entries):
                for id_ in entries:
                    run(self._sql["used"], (id_,))
            case MemoryForgotten(entries=entries, reason=reason, by=by):
                for id_ in entries:
                    run(self._sql["gone"], (id_, record.time, reason, by))
                self._remove(connection, entries)
            case EventRedacted(seq=seq):
                self._remove(connection, [id_ for (id_,) in run(self._sql["of_event"], (record.stream, seq)).fetchall()])
            case RunPruned(run=name, reason=reason) if reason:
                # What was deleted because somebody wanted it gone; what was only old leaves its memories.
                self._remove(connection, [id_ for (id_,) in run(self._sql["of_run"], (name,)).fetchall()])
            case _:
                pass

    def _add(self, connection: sqlite3.Connection, record: Record, entry: Entry) -> None:
        if connection.execute(self._sql["is_gone"], (entry.id,)).fetchone():
            return
        self._insert(connection, (
            record.position, entry.id, record.stream, record.seq, *place(entry.scope), entry.kind, entry.author, entry.session,
            entry.time, entry.text, fingerprint(entry.text), entry.subject, entry.predicate, entry.object,
            entry.valid_from, entry.valid_to, entry.expires_at, entry.importance, entry.untrusted, entry.run, entry.call,
        ))  # fmt: skip

    def _insert(self, connection: sqlite3.Connection, values: tuple[Any, ...]) -> None:
        key, id_, _, _, tenant, user, agent, bound, kind, _, session, _, text, *_ = values
        if connection.execute(self._sql["known"], (id_,)).fetchone():
            return
        row = _Row(key, text, session, Scope(tenant, user, agent, bound), kind)
        with self._changing(connection, row, 1):
            connection.execute(self._sql["add"], values)
        self._put(connection, row.key, self._columns(connection, row, key, text))

    def _remove(self, connection: sqlite3.Connection, entries: Sequence[str]) -> None:
        removed = 0
        for id_ in entries:
            found = connection.execute(self._sql["whole"], (id_,)).fetchone()
            if found is not None:
                key, text, session, tenant, user, agent, bound, kind = found
                row = _Row(key, text, session, Scope(tenant, user, agent, bound), kind)
                self._take(connection, key, self._columns(connection, row, key, text))
                with self._changing(connection, row, -1):
                    connection.execute(self._sql["drop"], (key,))
                connection.execute(self._sql["drop_vector"], (key,))
                removed += 1
        # A posting that was deleted stays in the index, marked, until its segments are merged.
        if removed:
            connection.execute(self._sql["merge_words"])
            connection.execute(self._sql["merge_threads"])

    # ── the index ───────────────────────────────────────────────────────────────────────────────────────────────────

    @contextmanager
    def _changing(self, connection: sqlite3.Connection, row: _Row, change: int) -> Iterator[None]:
        """Bring the index up to date with an entry that comes or goes inside: the turns around it, and its thread."""
        if not row.threaded:
            yield
            return
        around = [one for one in self._around(connection, row, row.key, "") if one[0] != row.key]
        old = [self._columns(connection, row, key, text) for key, text in around]
        stretch = self._stretch(connection, row)
        before = self._said(connection, row, stretch)
        yield
        for (key, text), columns in zip(around, old, strict=True):
            new = self._columns(connection, row, key, text)
            self._take(connection, key, columns)
            self._put(connection, key, new)
        after, scope = self._said(connection, row, stretch), mark(row.scope)
        if before:
            connection.execute(self._sql["unindex_thread"], (stretch, before, scope))
        if after:
            connection.execute(self._sql["index_thread"], (stretch, after, scope))
            connection.execute(self._sql["even_thread"], (stretch,))
        connection.execute(self._sql["count_stretch"], (change, stretch))

    def _around(self, connection: sqlite3.Connection, row: _Row, key: int, text: str) -> list[tuple[int, str]]:
        """A turn of an entry's thread, with the turns up to two before and two after it, in order."""
        if not row.threaded:
            return [(key, text)]
        place = (row.session, key, *row.place, _FAR)
        before = connection.execute(self._sql["before"], place).fetchall()
        return [*reversed(before), (key, text), *connection.execute(self._sql["after"], place).fetchall()]

    def _columns(self, connection: sqlite3.Connection, row: _Row, key: int, text: str) -> tuple[str, str, str, str]:
        """Own, near and far words of a turn of an entry's thread, and the scope."""
        around = self._around(connection, row, key, text)
        own = next(index for index, (one, _) in enumerate(around) if one == key)
        near = [around[at][1] for at in (own - 1, own + 1) if 0 <= at < len(around)]
        far = [around[at][1] for at in (own - 2, own + 2) if 0 <= at < len(around)]
        return text, "\n".join(near), "\n".join(far), mark(row.scope)

    def _put(self, connection: sqlite3.Connection, key: int, columns: tuple[str, str, str, str]) -> None:
        connection.execute(self._sql["index"], (key, *columns))
        connection.execute(self._sql["even"], (key,))

    def _take(self, connection: sqlite3.Connection, key: int, columns: tuple[str, str, str, str]) -> None:
        connection.execute(self._sql["unindex"], (key, *columns))

    def _stretch(self, connection: sqlite3.Connection, row: _Row) -> int:
        """The key of the stretch of its thread that an entry belongs to; a full one at the end is followed by another."""
        scope = mark(row.scope)
        found = connection.execute(self._sql["stretch"], (row.session, scope, row.key)).fetchone()
        last = not connection.execute(self._sql["after"], (row.session, row.key - 1, *row.place, 1)).fetchone()
        if found is not None and not (last and found[1] >= STRETCH):
            return int(found[0])
        connection.execute(self._sql["begin_stretch"], (row.key, row.session, scope))
        return row.key

    def _said(self, connection: sqlite3.Connection, row: _Row, stretch: int) -> str:
        """What the turns of a stretch say."""
        after = connection.execute(self._sql["next_stretch"], (row.session, mark(row.scope), stretch)).fetchone()
        place = (row.session, *row.place, stretch, after[0] if after else _END)
        (text,) = connection.execute(self._sql["stretch_text"], place).fetchone()
        return str(text)
