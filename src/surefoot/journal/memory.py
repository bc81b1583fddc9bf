"""`MemoryStore`: a journal that keeps records as they are, and nothing when its process ends.

For tests, scripts and whoever measures the loop alone. It holds to the same contract as the stores on disk; its chain
is computed when somebody asks for it, from where it stopped the last time.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from operator import attrgetter
from typing import cast

from surefoot.core import canonical
from surefoot.core import events as ev
from surefoot.core.errors import Fenced, HeadMoved, JournalError
from surefoot.core.events import AppEvent, Event, Record, RunStarted
from surefoot.core.ports import Clock, Projection
from surefoot.core.rows import Claim, Erasure, Problem, Query, RunRow, SessionRow
from surefoot.core.state import ENDED
from surefoot.journal import rules, shelf, transfer
from surefoot.journal.follow import Hub, Listener

__all__ = ["MemoryStore"]

_Place = tuple[str, str, str]
_position = attrgetter("position")
_session = attrgetter("tenant", "user", "session")


@dataclass(slots=True)
class _Stream:
    """One stream; ``order`` is the order of creation, ``claimed`` and ``ended`` are positions."""

    row: RunRow
    order: int = 0
    records: list[Record] = field(default_factory=list)
    chain: list[shelf.Link] = field(default_factory=list)
    claimed: int = 0
    ended: int = 0
    ended_at: int = 0

    def listed(self) -> RunRow:
        """The row with its head, which is not moved at every append."""
        return replace(self.row, head=len(self.records), created_at=self.records[0].time)


class MemoryStore:
    """A `Store` in memory. ``clock`` stamps events and times leases; ``projections``, each with a connection of its own,
    are kept in step, and heed event.redacted themselves.
    """

    def __init__(self, clock: Clock, projections: Sequence[Projection] = ()) -> None:
        self._clock = clock
        self._tables = projections
        self._told = frozenset(
            kind for kind in (*ev.RUN_EVENTS, *ev.APP_EVENTS) for one in projections if ev.tag_of(kind) in one.tags
        )
        self._streams: dict[str, _Stream] = {rules.APP: _Stream(RunRow(rules.APP, "", ""))}
        self._runs: dict[str, _Stream] = {}
        self._open: dict[str, _Stream] = {}
        self._sessions: dict[tuple[str, str, str], list[_Stream]] = {}
        self._unknown: dict[str, _Stream] = {}
        self._keys: dict[tuple[str, str, str], str] = {}
        self._all: list[Record] = []
        self._blobs: dict[str, bytes] = {}
        self._position = 0
        self._created = 0
        self._hub: Hub | None = None

    async def open(self) -> None:
        """See `Store.open`."""
        if self._hub is None:
            self._hub = Hub(self.read, asyncio.get_running_loop())

    async def close(self) -> None:
        """See `Store.close`; what was kept is still there when it is opened again."""
        if self._hub is not None:
            self._hub.close()
            self._hub = None

    # ------------------------------------------------------------------------------------------------- journal

    async def append(
        self,
        stream: str,
        events: Sequence[Event | AppEvent],
        *,
        head: int | None,
        epoch: int | None = None,
        barrier: bool = False,
        blobs: Sequence[bytes] = (),
    ) -> list[Record]:
        """See `Journal.append`. There is no disk, so a barrier is no different."""
        rules.admit(stream, events, epoch)
        kept = self._stream(stream)
        if epoch is not None and epoch != kept.row.epoch:
            raise Fenced(stream, epoch, kept.row.epoch)
        if head is not None and head != len(kept.records):
            raise HeadMoved(stream, head, len(kept.records))
        if blobs:
            self._blobs |= {canonical.blob_id(data): data for data in blobs}
        return self._write(kept, events, epoch or 0)

    async def read(self, stream: str | None, after: int = 0, limit: int | None = None) -> list[Record]:
        """See `Journal.read`."""
        records = self._all if stream is None else self._stream(stream).records
        start = bisect_right(records, after, key=_position) if stream is None else after
        return records[start : None if limit is None else start + limit]

    def follow(self, stream: str | None = None, after: int = 0) -> AsyncGenerator[Record, None]:
        """See `Journal.follow`."""
        return self._listeners.follow(stream, after)

    def on_commit(self, callback: Listener) -> Callable[[], None]:
        """See `Journal.on_commit`."""
        return self._listeners.on_commit(callback)

    # ---------------------------------------------------------------------------------------------------- runs

    async def add(self, run: str, started: RunStarted) -> tuple[RunRow, bool]:
        """See `Runs.add`."""
        owner = (started.tenant, started.user, started.key)
        if started.key and owner in self._keys:
            return self._runs[self._keys[owner]].listed(), False
        rules.name(run, taken=run in self._streams)
        self._created += 1
        kept = _Stream(rules.first_row(run, started), self._created)
        self._streams[run] = self._runs[run] = self._open[run] = kept
        self._sessions.setdefault(_session(kept.row), []).append(kept)
        if started.key:
            self._keys[owner] = run
        self._write(kept, [started], 0)
        return kept.listed(), True

    async def get(self, run: str) -> RunRow:
        """See `Runs.get`."""
        return self._run(run).listed()

    async def find(self, query: Query) -> list[RunRow]:
        """See `Runs.find`."""
        order = attrgetter("order" if query.ahead_of else "row.id")
        return [kept.listed() for kept in sorted(self._matching(query), key=order, reverse=True)[: query.limit]]

    async def sessions(self, query: Query) -> list[SessionRow]:
        """See `Runs.sessions`."""
        found: dict[_Place, list[_Stream]] = {}
        for kept in self._matching(query):
            if kept.row.session and not kept.row.parent:
                found.setdefault(_session(kept.row), []).append(kept)
        runs = [sorted(streams, key=attrgetter("order")) for streams in found.values()]
        runs.sort(key=lambda streams: streams[-1].order, reverse=True)
        return [self._session_row(streams) for streams in runs[: query.limit]]

    def _session_row(self, streams: Sequence[_Stream]) -> SessionRow:
        first, last = streams[0].listed(), streams[-1].listed()
        title = shelf.title(record for kept in self._sessions[_session(last)] for record in kept.records)
        return SessionRow(
            last.session, last.user, last.tenant, title, len(streams),
            sum(kept.row.status not in ENDED for kept in streams), first.id, last.id, first.created_at, last.created_at,
        )  # fmt: skip

    def _matching(self, query: Query) -> list[_Stream]:
        """The runs that match, however many."""
        text = query.text.casefold()
        place = query.tenant, query.user, query.session
        among: Iterable[_Stream] = self._unknown.values()
        if not query.unknown:
            among = self._runs.values() if None in place else self._sessions.get(cast("_Place", place), [])
        bound = self._runs.get(query.ahead_of)
        return [
            kept
            for kept in among
            if rules.matches(query, kept.row)
            and (not query.ahead_of or (bound is not None and kept.order < bound.order))
            and (not text or any(text in rules.said(record.event).casefold() for record in kept.records))
        ]

    # -------------------------------------------------------------------------------------------------- leases

    async def claim(self, run: str, worker: str, seconds: float, agent_digest: str = "") -> Claim | None:
        """See `Leases.claim`."""
        now = self._clock.now()
        kept = self._runs.get(run)
        if kept is None or not rules.claimable(kept.row, now) or self._held(kept):
            return None
        epoch = kept.row.epoch + 1
        kept.row = replace(kept.row, epoch=epoch, owner=worker, lease_until=now + int(seconds * 1_000_000))
        self._write(kept, [ev.RunClaimed(worker, agent_digest, self._position if epoch == 1 else 0)], epoch)
        kept.claimed = self._position
        return Claim(run, epoch, list(kept.records))

    async def renew(self, worker: str, seconds: float) -> None:
        """See `Leases.renew`."""
        until = self._clock.now() + int(seconds * 1_000_000)
        for kept in self._open.values():
            if kept.row.owner == worker and worker:
                kept.row = replace(kept.row, lease_until=until)

    async def release(self, run: str, epoch: int) -> None:
        """See `Leases.release`."""
        kept = self._runs.get(run)
        if kept is not None and kept.row.epoch == epoch:
            kept.row = replace(kept.row, owner="", lease_until=0)

    async def due(self, agents: Sequence[str], limit: int = 100) -> tuple[list[str], int]:
        """See `Leases.due`."""
        now = self._clock.now()
        ours = [kept for kept in self._open.values() if kept.row.agent in agents]
        ready = [kept for kept in ours if rules.claimable(kept.row, now) and not self._held(kept)]
        later = [time for kept in ours if (time := rules.due_at(kept.row)) > now]
        return [kept.row.id for kept in ready[:limit]], min(later, default=0)

    # --------------------------------------------------------------------------------------------------- blobs

    async def save(self, data: bytes) -> str:
        """See `Blobs.save`."""
        digest = canonical.blob_id(data)
        self._blobs[digest] = data
        return digest

    async def load(self, digest: str) -> bytes:
        """See `Blobs.load`."""
        found = [key for key in self._blobs if key.startswith(digest)] if len(digest) >= rules.DIGEST_DIGITS else []
        if len(found) != 1:
            raise KeyError(digest)
        return self._blobs[found[0]]

    # -------------------------------------------------------------------------------------------------- upkeep

    async def check(self) -> list[Problem]:
        """See `Upkeep.check`."""
        problems = []
        for name, kept in self._streams.items():
            problems += shelf.check(name, kept.records, kept.chain)
        for kept in self._runs.values():
            problems += rules.compare(kept.listed(), kept.records)
        return problems

    async def redact(self, run: str, seq: int, *, by: str = "", reason: str = "") -> None:
        """See `Upkeep.redact`."""
        kept = self._stream(run)
        tag = rules.tag_of(kept.records[seq - 1].event) if 0 < seq <= len(kept.records) else ""
        rules.redactable(run, kept.row.status, len(kept.records), seq, tag)
        record = kept.records[seq - 1]
        if type(record.event) is ev.Unknown:
            return
        gone = shelf.redact(record, kept.records, kept.chain)
        kept.records[seq - 1] = gone
        self._all[bisect_right(self._all, record.position, key=_position) - 1] = gone
        if type(record.event) is RunStarted:
            self._keys.pop((record.event.tenant, record.event.user, record.event.key), None)
            self._sessions[_session(kept.row)].remove(kept)
            kept.row = replace(kept.row, key="", session="", tags=())
            self._sessions.setdefault(_session(kept.row), []).append(kept)
        self._write(kept, [ev.EventRedacted(seq, reason, by)], 0)
        self._forget(record)

    async def strike(self, what: Erasure, *, by: str = "", reason: str = "") -> None:
        """See `Erasures.strike`."""
        ended = {name for name, kept in self._runs.items() if kept.row.status in ENDED}
        found = [*what.events, *shelf.holding(self._all, what.texts, ended)]
        if what.told:
            self._write(self._streams[rules.APP], what.told, 0)
        for stream, seq in dict.fromkeys(found):
            await self.redact(stream, seq, by=by, reason=reason)

    async def prune(self, *, before: int, status: Sequence[str] = ("done", "failed", "cancelled")) -> list[str]:
        """See `Upkeep.prune`."""
        runs = [kept for kept in self._runs.values() if kept.row.status in status and self._prunable(kept, before)]
        self._remove(runs, "")
        return [kept.row.id for kept in runs]

    async def erase(self, runs: Sequence[str], *, reason: str = "") -> None:
        """See `Upkeep.erase`."""
        found = [self._runs[run] for run in runs if run in self._runs]
        for kept in found:
            rules.erasable(kept.row.id, kept.row.status)
        self._remove(found, reason)

    def _remove(self, runs: Sequence[_Stream], reason: str) -> None:
        """Delete whole runs, and the blobs that only they named."""
        for kept in runs:
            row = kept.row
            shelf.extend(row.id, kept.records, kept.chain)
            last = kept.chain[-1].hash.hex()
            del self._streams[row.id], self._runs[row.id]
            self._unknown.pop(row.id, None)
            self._sessions[_session(row)].remove(kept)
            self._keys.pop((row.tenant, row.user, row.key), None)
            self._write(self._streams[rules.APP], [ev.RunPruned(row.id, len(kept.records), last, reason)], 0)
        gone = {kept.row.id for kept in runs}
        self._all = [record for record in self._all if record.stream not in gone]
        for kept in runs:
            for record in kept.records:
                self._forget(record)

    async def backup(self, path: str) -> None:
        """Write everything to a new SQLite file, which `sqlite:` opens. Raises StoreUnavailable when it exists."""
        content = transfer.Content(blobs=list(self._blobs.items()))
        for name, kept in self._streams.items():
            shelf.extend(name, kept.records, kept.chain)
            content.events += shelf.rows(kept.order, kept.records, kept.chain, content.blobs)
        for kept in self._runs.values():
            content.runs.append(transfer.StoredRun(kept.order, kept.listed(), kept.claimed, kept.ended, kept.ended_at))
        await asyncio.to_thread(transfer.write, path, content)

    # ------------------------------------------------------------------------------------------------- private

    @property
    def _listeners(self) -> Hub:
        if self._hub is None:
            raise JournalError("the store is not open; await store.open() first")
        return self._hub

    def _stream(self, name: str) -> _Stream:
        return shelf.known(self._streams, name)

    def _run(self, name: str) -> _Stream:
        return shelf.known(self._runs, name)

    def _write(self, kept: _Stream, events: Sequence[Event | AppEvent], epoch: int) -> list[Record]:
        listeners = self._listeners
        stream, seq = kept.row.id, len(kept.records)
        time = max(self._clock.now(), kept.records[-1].time if seq else 0)
        records = []
        for event in events:
            seq += 1
            self._position += 1
            records.append(Record(self._position, stream, seq, epoch, time, event))
            if type(event) is ev.ToolIndeterminate:
                self._unknown[stream] = kept
        kept.records += records
        self._all += records
        if not self._told.isdisjoint(map(type, events)):
            rules.project(self._tables, records)
        woken = self._move(kept, events, time) if stream != rules.APP else None
        if listeners.active and records:
            changed = {stream: not epoch}
            if woken:
                changed[woken] = True
            listeners.call(changed)
            listeners.feed(records)
        return records

    def _move(self, kept: _Stream, events: Sequence[Event | AppEvent], time: int) -> str | None:
        """Move a run's row, and wake the parent of a run that ended; the parent's name."""
        row = kept.row
        if not rules.moves(row.status, events):
            return None
        status, wake_at = rules.moved(row.status, row.wake_at, events)
        if status == "waiting" and self._missed(kept, events):
            status, wake_at = "ready", 0
        kept.row = replace(row, status=status, wake_at=wake_at)
        if status != "running":
            kept.row = replace(kept.row, owner="", lease_until=0)
        if row.status in ENDED:
            self._open[row.id] = kept
        if status not in ENDED:
            return None
        self._open.pop(row.id)
        kept.ended, kept.ended_at = self._position, time
        parent = self._runs.get(row.parent)
        if parent is None or parent.row.status != "waiting":
            return None
        parent.row = replace(parent.row, status="ready", wake_at=0)
        return parent.row.id

    def _missed(self, kept: _Stream, events: Sequence[Event | AppEvent]) -> bool:
        """Whether a run that this one is about to wait for ended since this one was claimed, and so woke nobody."""
        last = events[-1] if events else None
        waits = last.waiting_for if type(last) is ev.RunSuspended else ()
        return any(self._runs[name].ended > kept.claimed for name in waits if name in self._runs)

    def _held(self, kept: _Stream) -> bool:
        """Whether an earlier run of the session holds this one, which is not to be cancelled."""
        return (
            bool(kept.row.session)
            and not kept.row.parent
            and any(
                other.order < kept.order and other.row.status in ("ready", "running") and not other.row.parent
                for other in self._sessions[_session(kept.row)]
            )
            and not rules.cancels(kept.records)
        )

    def _prunable(self, kept: _Stream, before: int) -> bool:
        row, parent = kept.row, self._runs.get(kept.row.parent)
        others = [other.row for other in self._sessions[_session(row)]] if row.session else []
        return kept.ended_at < before and rules.prunable(row, parent.row if parent else None, others)

    def _forget(self, record: Record) -> None:
        """Delete the blobs that only this record named."""
        named = shelf.digests(record.event) & self._blobs.keys()
        if named:
            for other in self._all:
                named -= shelf.digests(other.event)
            self._blobs = {digest: data for digest, data in self._blobs.items() if digest not in named}
