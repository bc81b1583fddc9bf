"""Where the outside speaks to a run: messages, cancellations, decisions. Holds no epoch; reads, decides, appends, repeats."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

from surefoot.core import events as ev
from surefoot.core.errors import HeadMoved, RunError, RunNotFound
from surefoot.core.messages import File, Image, Text
from surefoot.core.ports import Query, Store
from surefoot.core.request import Request
from surefoot.core.state import ENDED, State, fold
from surefoot.runs.intake import readable

#: Races lost in a row before an outside writer appends wherever the run stands.
_TRIES = 4

#: Says yes, no, or nothing (None: leave the question open) to a request.
Approve = Callable[[Request], bool | Awaitable[bool | None] | None]

__all__ = ["Approve", "cancel", "listed", "named", "outside", "questions", "resumed", "say"]


async def outside(store: Store, run: str, make: Callable[[State], ev.Event | tuple[ev.Event, ...] | None]) -> State:
    """Append what ``make`` makes of the run as it stands, together, or nothing for None; the state after it, committed.

    Raises what ``make`` raises, and ConfigurationError for an event with a value that could not be read again.
    """
    state = fold(await store.read(run))
    tries = 0
    while True:
        made = make(state)
        if made is None:
            return state
        events = [readable(event) for event in (made if isinstance(made, tuple) else (made,))]
        tries += 1
        # Of a voice among several, it matters which came before it.
        if tries > _TRIES and not isinstance(events[0], ev.RunResumed | ev.ApprovalVoted):
            return await _anywhere(store, run, state, events[0], make)
        try:
            records = await store.append(run, events, head=state.seq, barrier=True)
        except HeadMoved:
            for record in await store.read(run, state.seq):
                state.apply(record)
        else:
            for record in records:
                state.apply(record)
            return state


async def _anywhere(
    store: Store, run: str, state: State, event: ev.Event, make: Callable[[State], ev.Event | tuple[ev.Event, ...] | None]
) -> State:
    """Append wherever the run stands, for its worker writes faster than one can read; see then whether it still held.

    Where it did not, folds make nothing of the event.
    """
    records = await store.append(run, [event], head=None, barrier=True)
    for record in await store.read(run, state.seq):
        if record.seq == records[0].seq:
            make(state)
        state.apply(record)
    return state


async def named(store: Store, run: str) -> str:
    """The id of a run, by that id or by the one its caller gave it. Raises RunNotFound."""
    if not run:  # every run without a caller's id would match
        raise RunNotFound(run)
    try:
        return (await store.get(run)).id
    except RunNotFound:
        rows = await store.find(Query(key=run, limit=2))
        if len(rows) != 1:
            raise
        return rows[0].id


async def listed(store: Store, query: Query) -> list[State]:
    """The runs that match, as they stand."""
    rows = await store.find(query)
    return [fold(records) for records in await asyncio.gather(*[store.read(row.id) for row in rows])]


async def say(store: Store, run: str, parts: tuple[Text | Image | File, ...], by: str) -> State:
    """Add a message to a run that has not ended."""

    def received(state: State) -> ev.Event:
        if state.status in ENDED:
            raise RunError(f"run {run} has ended ({state.status}); start a new run in its session instead")
        return ev.MessageReceived(parts, by)

    return await outside(store, run, received)


async def cancel(store: Store, run: str, by: str, reason: str) -> list[State]:
    """Ask a run and all its descendants to stop; their states."""

    def requested(state: State) -> ev.Event | None:
        return None if state.status in ENDED or state.cancel else ev.RunCancelRequested(by, reason)

    states = [await outside(store, run, requested)]
    for child in await store.find(Query(parent=run, status=("ready", "running", "waiting"), limit=1_000)):
        states += await cancel(store, child.id, by, reason or "its parent was cancelled")
    return states


async def resumed(store: Store, run: str, again: ev.RunResumed) -> State:
    """Make a failed run ready again."""

    def resume(state: State) -> ev.Event | None:
        if state.status == "cancelled":
            raise RunError(f"run {run} was cancelled; start a new run in its session instead")
        return again if state.status == "failed" else None

    return await outside(store, run, resume)


async def questions(store: Store, state: State, path: tuple[str, ...] = ()) -> tuple[Request, ...]:
    """The open questions of a run and of the children it waits for, each with the path of runs that leads to it."""
    path = (*path, state.id)
    ended = state.status in ENDED
    own = [replace(request, path=path) for request in state.requests.values() if not ended or request.kind == "outcome"]
    if any(call.waits_on for call in state.calls.values()):
        # A body may have started several at once, and stopped at the first that waits.
        for child in reversed(await store.find(Query(parent=state.id, status=("waiting",), limit=1_000))):
            own += await questions(store, fold(await store.read(child.id)), path)
    return tuple(own)
