"""What every store holds to, whatever it keeps its rows in: who may write what, and how a run's row follows its events.

`admit` refuses what a writer may not append, `moved` moves a row's status, `said` is what `Query.text` searches.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from surefoot.core import events as ev
from surefoot.core.errors import JournalError, RunError, RunNotFound
from surefoot.core.messages import text_of
from surefoot.core.ports import Projection
from surefoot.core.rows import Problem, Query, RunRow
from surefoot.core.state import ENDED
from surefoot.core.status import MOVES, status_after
from surefoot.journal.owner import is_gone

__all__ = [
    "APP",
    "APP_REDACTABLE",
    "DIGEST_DIGITS",
    "OPEN",
    "admit",
    "cancels",
    "claimable",
    "compare",
    "due_at",
    "ends",
    "erasable",
    "escaped",
    "first_row",
    "matches",
    "moved",
    "moves",
    "name",
    "project",
    "prunable",
    "redactable",
    "said",
    "tag_of",
]

#: The stream of what happens outside runs.
APP = "app"

#: Those of its events that hold what somebody said, and so can be redacted.
APP_REDACTABLE = frozenset({"memory.kept"})

#: The shortest prefix of a digest by which a blob may be named.
DIGEST_DIGITS = 16

#: The statuses of runs that have not ended.
OPEN = frozenset({"ready", "running", "waiting"})

_OUTSIDE = frozenset(
    {
        ev.MessageReceived,
        ev.ApprovalVoted,
        ev.ApprovalDelegated,
        ev.ApprovalDecided,
        ev.ApprovalExpired,
        ev.ApprovalRevoked,
        ev.RunCancelRequested,
        ev.RunResumed,
        ev.SessionRenamed,
    }
)
# What a store writes itself: an unknown event cannot be told again, the rest belongs to `add`, `claim` and `redact`.
_OWN = frozenset({ev.RunStarted, ev.RunClaimed, ev.EventRedacted, ev.RunPruned, ev.Unknown})
_WORKER = frozenset(ev.RUN_EVENTS) - _OWN
_APP = frozenset(ev.APP_EVENTS) - {ev.Unknown}
_ENDS = frozenset({ev.RunFinished, ev.RunFailed, ev.RunCancelled})
_END_TAGS = frozenset({"run.finished", "run.failed", "run.cancelled"})


def admit(stream: str, events: Sequence[ev.Event | ev.AppEvent], epoch: int | None) -> None:
    """Raise JournalError when a writer with this epoch (None: from outside) may not append one of these events."""
    allowed = _APP if stream == APP else _OUTSIDE if epoch is None else _WORKER
    if not allowed.issuperset(map(type, events)):
        raise JournalError(_refusal(stream, next(e for e in events if type(e) not in allowed), epoch))


def _refusal(stream: str, event: ev.Event | ev.AppEvent, epoch: int | None) -> str:
    tag = ev.tag_of(event)
    if stream == APP:
        return f"{tag} does not belong in the stream {APP!r}; append it to its run"
    if epoch is None and type(event) in _WORKER:
        return f"{tag} may be appended only by the worker that claimed run {stream}: claim it, and give the epoch"
    return f"{tag} is written by the store itself; it cannot be appended to run {stream}"


def moves(status: str, events: Sequence[ev.Event | ev.AppEvent]) -> bool:
    """Whether ``events`` may change the row of a run in this status."""
    return bool(events) and (status == "waiting" or not MOVES.isdisjoint(map(type, events)))


def moved(status: str, wake_at: int, events: Sequence[ev.Event | ev.AppEvent]) -> tuple[str, int]:
    """The status and wake-up time of a row once ``events`` are appended."""
    for event in events:
        if status == "waiting" or type(event) in MOVES:
            status = status_after(status, event)
            if type(event) is ev.RunSuspended:
                wake_at = event.wake_at
            elif status != "waiting":
                wake_at = 0
    return status, wake_at


def said(event: ev.Event | ev.AppEvent) -> str:
    """What a user said or a run answered in this event, else nothing."""
    match event:
        case ev.RunStarted(input=parts) | ev.MessageReceived(parts=parts):
            return text_of(parts)
        case ev.RunFinished(output=output):
            return output
        case _:
            return ""


def name(run: str, *, taken: bool) -> None:
    """Raise JournalError when a run may not be called this."""
    if taken or not run or run == APP:
        raise JournalError(f"a new run cannot be called {run!r}: {'it exists already' if taken else 'use a fresh id'}")


def first_row(run: str, started: ev.RunStarted, now: int = 0) -> RunRow:
    """The row of a run that is about to start; its status is that before its first event."""
    return RunRow(
        id=run,
        agent=started.agent,
        status="new",
        key=started.key,
        session=started.session,
        user=started.user,
        tenant=started.tenant,
        parent=started.parent,
        tags=started.tags,
        created_at=now,
    )


class _Lease(Protocol):
    @property
    def status(self) -> str: ...
    @property
    def wake_at(self) -> int: ...
    @property
    def lease_until(self) -> int: ...
    @property
    def owner(self) -> str: ...


def claimable(row: _Lease, now: int) -> bool:
    """Whether a worker may take a run, as far as its own row says; an earlier run of its session may still hold it."""
    match row.status:
        case "ready":
            return True
        case "waiting":
            return 0 < row.wake_at <= now
        case "running":
            return row.lease_until <= now or is_gone(row.owner)
        case _:
            return False


def cancels(records: Sequence[ev.Record]) -> bool:
    """Whether somebody wants a run to stop, and nobody since to go on; it ends out of its turn."""
    for record in reversed(records):
        if type(record.event) in (ev.RunCancelRequested, ev.RunResumed):
            return type(record.event) is ev.RunCancelRequested
    return False


def due_at(row: RunRow) -> int:
    """When a run becomes claimable by the passing of time alone; 0 for never, or already."""
    return {"waiting": row.wake_at, "running": row.lease_until}.get(row.status, 0)


def prunable(row: RunRow, parent: RunRow | None, session: Sequence[RunRow]) -> bool:
    """Whether a run has ended and no run that goes on needs it: its parent, or another of its session."""
    return row.status in ENDED and (parent is None or parent.status in ENDED) and all(o.status in ENDED for o in session)


def matches(query: Query, row: RunRow) -> bool:
    """Whether a row is what a query wants, its text aside."""
    wanted = (
        (query.agent or None, row.agent),
        (query.session, row.session),
        (query.user, row.user),
        (query.tenant, row.tenant),
        (query.parent, row.parent),
        (query.key, row.key),
    )
    return (
        all(want is None or want == have for want, have in wanted)
        and (not query.status or row.status in query.status)
        and set(query.tags) <= set(row.tags)
        and (not query.before or row.id < query.before)
        and (not query.after or row.id > query.after)
    )


def tag_of(event: ev.Event | ev.AppEvent) -> str:
    """The tag under which an event is stored, also when all that is left of it is `Unknown`."""
    return event.tag if type(event) is ev.Unknown else ev.tag_of(event)


def escaped(text: str) -> str:
    """A text as it stands inside a stored body."""
    return msgspec.json.encode(text)[1:-1].decode()


def ends(event: ev.Event | ev.AppEvent) -> bool:
    """Whether an event ends its run, be it redacted."""
    return tag_of(event) in _END_TAGS


def project(tables: Sequence[Projection], records: Sequence[ev.Record]) -> None:
    """Give records to tables that name their tags and have a connection of their own."""
    for record in records:
        tag = tag_of(record.event)
        for table in tables:
            if tag in table.tags:
                table.apply(None, record)


def erasable(run: str, status: str) -> None:
    """Raise RunError when a run may not be erased."""
    if status not in ENDED:
        raise RunError(f"run {run} is {status}; only runs that have ended can be erased: wait for it, or cancel it first")


def redactable(run: str, status: str, head: int, seq: int, tag: str) -> None:
    """Raise RunError when event ``seq`` of a run, with this tag, may not be redacted, RunNotFound for what is no run's."""
    if run == APP:
        if tag not in APP_REDACTABLE:
            raise RunNotFound(run)
        return
    if status not in ENDED:
        raise RunError(f"run {run} is {status}; only events of runs that have ended can be redacted")
    if not 0 < seq <= head:
        raise RunError(f"run {run} has no event {seq}; its events are 1 to {head}")


def compare(row: RunRow, records: Sequence[ev.Record]) -> list[Problem]:
    """Say where a run's row is not what its events, of which there is at least one, make of it."""
    first = records[0].event
    status, wake_at = moved("new", 0, [record.event for record in records])
    expected: dict[str, object] = {
        "status": status,
        "wake_at": wake_at,
        "head": records[-1].seq,
        "epoch": max(record.epoch for record in records),
        "created_at": records[0].time,
    }
    if type(first) is ev.RunStarted:
        start = first_row(row.id, first)
        expected |= {name: getattr(start, name) for name in _FROM_START}
    if status == "waiting" and row.status == "ready":
        # A child that ended woke it; that is written in the child's stream.
        del expected["status"], expected["wake_at"]
    return [
        Problem(row.id, 0, f"the row says {name} {getattr(row, name)!r}, its events say {value!r}")
        for name, value in expected.items()
        if getattr(row, name) != value
    ]


_FROM_START = ("agent", "key", "session", "user", "tenant", "parent", "tags")
