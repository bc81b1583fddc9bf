"""Saving what is readable of a damaged journal into a new file.

Rows are read page by page (`pages`), and every one is proved by its stream's chain, so nothing damaged gets into the new
file. A run is kept up to its first event that is lost. One that is cut short and had not ended is ended there, as
failed: what it did after the cut is unknown, and going on might do it twice; `run.resumed` is a human's decision.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

from surefoot.core import codec
from surefoot.core.errors import JournalCorrupt, StoreUnavailable
from surefoot.core.events import AppEvent, Event, Record, RunFailed, RunStarted
from surefoot.core.rows import RunRow
from surefoot.core.state import ENDED
from surefoot.core.values import Failure
from surefoot.journal import chain, database, rules, transfer
from surefoot.journal.pages import Row, rows

__all__ = ["Report", "salvage"]


_FAILED = RunFailed(
    Failure(
        "corrupt",
        "the journal was damaged, and what this run did after this point is lost",
        "see what it did, and resume it only if nothing is done twice by that",
    )
)


@dataclass(slots=True)
class Report:
    """What was saved. ``cut`` maps a run to the number of events kept of it; ``nameless`` counts events of runs whose
    names are lost, and which are therefore lost too; ``lost`` counts events that are known to have been there."""

    whole: list[str] = field(default_factory=list)
    cut: dict[str, int] = field(default_factory=dict)
    events: int = 0
    lost: int = 0
    nameless: int = 0
    blobs: int = 0


def salvage(path: str, copy: str) -> Report:
    """Write what is readable of the journal ``path`` into the new file ``copy``; ``path`` is only read.

    Raises StoreUnavailable when ``path`` cannot be read or ``copy`` exists, DiskFull.
    """
    transfer.fresh(copy)
    try:
        found = _Found(rows(path))
    except OSError as error:
        raise StoreUnavailable(f"{path} cannot be read: {error.strerror}") from None
    saved = _Saved(found)
    saved.stream(0, rules.APP)
    for key in sorted(found.events.keys() | found.seqs.keys() | found.rows.keys()):
        if key:
            saved.run(key)
    saved.fail_the_cut()
    with database.translated(copy):
        transfer.write(copy, saved.content)
    return saved.report


class _Found:
    """The rows that may be rows of a journal, by what they say of themselves."""

    def __init__(self, source: Iterable[Row]) -> None:
        #: run → seq → candidates; a redacted one comes first, so that what was removed does not come back.
        self.events: dict[int, dict[int, list[transfer.StoredEvent]]] = defaultdict(lambda: defaultdict(list))
        #: run → seqs that an index knows.
        self.seqs: dict[int, set[int]] = defaultdict(set)
        #: run → names it may have; and its rows, the newest last.
        self.names: dict[int, dict[str, None]] = defaultdict(dict)
        self.rows: dict[int, RunRow] = {}
        self.blobs: dict[str, bytes] = {}
        for row in source:
            self._sort(row)

    def _sort(self, row: Row) -> None:
        match row.rowid, row.values:
            case int(position), (None, int(run), int(seq), int(), int(), str(), int(), bytes(salt), str(), bytes()):
                event = cast(transfer.StoredEvent, (position, *row.values[1:]))
                candidates = self.events[run][seq]
                if event not in candidates:
                    candidates.insert(0 if not salt else len(candidates), event)
            case int(key), (None, str(name), *_) if len(row.values) == 18:
                self.names[key][name] = None
                self.rows[key] = _listed(row.values) or self.rows.get(key, RunRow(name, "", ""))
            case int(), (str(digest), bytes(data)) if hashlib.sha256(data).hexdigest() == digest:
                self.blobs[digest] = data
            case None, (str(name), int(key)):
                self.names[key][name] = None
            case None, (int(run), int(seq), int()):
                self.seqs[run].add(seq)
            case _:
                pass


class _Saved:
    """What goes into the new file."""

    def __init__(self, found: _Found) -> None:
        self._found = found
        self._unended: list[tuple[int, Record, bytes]] = []
        self.content = transfer.Content(blobs=list(found.blobs.items()))
        self.report = Report(blobs=len(found.blobs))

    def stream(self, key: int, name: str) -> list[Record]:
        """Keep the events of a stream up to the first that is lost."""
        records: list[Record] = []
        previous = b""
        while (fit := self._next(key, name, len(records) + 1, previous)) is not None:
            row, event = fit
            records.append(Record(row[0], name, row[2], row[3], row[4], event))
            self.content.events.append(row)
            previous = row[9]
        self.report.events += len(records)
        self.report.lost += len({seq for seq in self._known(key) if seq > len(records)})
        return records

    def run(self, key: int) -> None:
        """Keep a run, or what can be had of it."""
        known = self._known(key)
        name = next((name for name in self._found.names[key] if self._next(key, name, 1, b"")), None)
        row = self._found.rows.get(key)
        if name is None:
            if row is None:
                self.report.nameless += len(known)
            else:
                self.report.cut[row.id] = 0
                self.report.lost += len(known)
            return
        records = self.stream(key, name)
        saved = _row(key, name, records, row)
        self.content.runs.append(saved)
        ended_once = row is not None and row.id == name and row.status in ENDED
        if len(records) == max(known) and (saved.row.status in ENDED or not ended_once):
            self.report.whole.append(name)
            return
        self.report.cut[name] = len(records)
        if saved.row.status not in ENDED:
            self._unended.append((len(self.content.runs) - 1, records[-1], self.content.events[-1][9]))

    def fail_the_cut(self) -> None:
        """End the runs that are cut short."""
        position = max([event[0] for event in self.content.events], default=0)
        for index, last, previous in self._unended:
            position += 1
            run = self.content.runs[index]
            tag, body = codec.encode(_FAILED)
            salt = os.urandom(chain.SALT_BYTES)
            sealed = chain.Sealed(last.seq + 1, 0, last.time, tag, codec.VERSION, salt, body)
            digest = chain.seal(previous, last.stream, sealed)
            self.content.events.append((position, run.key, *sealed[:5], salt, body.decode(), digest))
            row = replace(run.row, status="failed", wake_at=0)
            self.content.runs[index] = replace(run, row=row, ended=position, ended_at=last.time)

    def _known(self, key: int) -> set[int]:
        return self._found.events[key].keys() | self._found.seqs[key]

    def _next(self, key: int, name: str, seq: int, previous: bytes) -> tuple[transfer.StoredEvent, Event | AppEvent] | None:
        """The candidate that goes on from the hash before it."""
        for row in self._found.events[key].get(seq, ()):
            tag, version, salt, body = row[5], row[6], row[7], row[8].encode()
            try:
                digest = chain.digest_of(body)
                body = body if digest is None else self._found.blobs[digest]
                if chain.seal(previous, name, chain.Sealed(seq, row[3], row[4], tag, version, salt, body)) == row[9]:
                    return row, codec.decode(tag, body, version)
            except (JournalCorrupt, ValueError, KeyError):
                continue
        return None


def _listed(values: tuple[Any, ...]) -> RunRow | None:
    """A row of the table ``run``, if it makes sense."""
    _, name, agent, status, key, session, user, tenant, parent, tags = values[:10]
    try:
        row = RunRow(name, agent, status, key, session, user, tenant, parent, tuple(json.loads(tags)))
    except (ValueError, TypeError):
        return None
    texts = (*values[1:10], *row.tags)
    return row if all(isinstance(text, str) for text in texts) else None


def _row(key: int, name: str, records: Sequence[Record], listed: RunRow | None) -> transfer.StoredRun:
    """A run's row as its events make it. Where they no longer say how it was started, the damaged file's row does."""
    first = records[0].event
    row = rules.first_row(name, first) if type(first) is RunStarted else listed or RunRow(name, "", "")
    status, wake_at = rules.moved("new", 0, [record.event for record in records])
    if status == "waiting" and (listed is None or listed.status != "waiting"):
        # Perhaps a child woke it. To look once too often does no harm.
        status, wake_at = "ready", 0
    marks = [record for record in records if rules.ends(record.event)]
    return transfer.StoredRun(
        key,
        replace(
            row,
            id=name,
            status=status,
            wake_at=wake_at,
            epoch=max(record.epoch for record in records),
            created_at=records[0].time,
        ),
        claimed=max((record.position for record in records if rules.tag_of(record.event) == "run.claimed"), default=0),
        ended=marks[-1].position if marks else 0,
        ended_at=marks[-1].time if marks else 0,
    )
