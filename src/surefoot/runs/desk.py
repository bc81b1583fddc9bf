"""Where the outside speaks to a run: messages, cancellations, decisions. Holds no epoch; reads, decides, appends, repeats."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import replace

from surefoot.core import events as ev
from surefoot.core.errors import AlreadyDecided, HeadMoved, RequestNotFound, RunError, RunNotFound
from surefoot.core.messages import File, Image, Text
from surefoot.core.ports import Query, Store
from surefoot.core.request import Request
from surefoot.core.state import ENDED, State, fold
from surefoot.runs.intake import readable

#: Races lost in a row before an outside writer appends wherever the run stands.
_TRIES = 4

#: Says yes, no, or nothing (None: leave the question open) to a request.
Approve = Callable[[Request], bool | Awaitable[bool | None] | None]

__all__ = ["Approve", "cancel", "outside", "put_to", "questions", "resumed", "say", "settle"]


async def outside(store: Store, run: str, make: Callable[[State], ev.Event | None]) -> State:
    """Append what ``make`` makes of the run as it stands, or nothing for None; the state after it, committed.

    Raises what ``make`` raises, and ConfigurationError for an event with a value that could not be read again.
    """
    state = fold(await store.read(run))
    tries = 0
    while True:
        event = make(state)
        if event is None:
            return state
        event = readable(event)
        tries += 1
        if tries > _TRIES and not isinstance(event, ev.RunResumed):
            return await _anywhere(store, run, state, event, make)
        try:
            records = await store.append(run, [event], head=state.seq, barrier=True)
        except HeadMoved:
            for record in await store.read(run, state.seq):
                state.apply(record)
        else:
            state.apply(records[0])
            return state


async def _anywhere(store: Store, run: str, state: State, event: ev.Event, make: Callable[[State], ev.Event | None]) -> State:
    """Append wherever the run stands, for its worker writes faster than one can read; see then whether it still held.

    Where it did not, folds make nothing of the event.
    """
    records = await store.append(run, [event], head=None, barrier=True)
    for record in await store.read(run, state.seq):
        if record.seq == records[0].seq:
            make(state)
        state.apply(record)
    return state


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


async def settle(store: Store, request: str, decision: str, by: str, reason: str, result: str | None = None) -> State:
    """Decide a question: approve or deny; of an unknown outcome also done, retry, give_up.

    Raises RequestNotFound; AlreadyDecided when someone was faster or the run has ended; RunError when the decision does
    not answer the question.
    """

    def decided(state: State) -> ev.Event:
        asked = state.requests.get(request)
        if asked is None or (state.status in ENDED and asked.kind != "outcome"):
            raise _no_question(state, request)
        word = _word(asked, decision)
        if word == "retry" and state.status in ("cancelled", "done"):
            raise RunError(f"run {state.id} has ended, so nothing runs again; settle {request} as done or give_up")
        return ev.ApprovalDecided(
            request, word, by, reason=reason, result=result if word == "done" else None, digest=asked.digest
        )

    try:
        return await outside(store, request.partition(":")[0], decided)
    except RunNotFound:
        raise RequestNotFound(request) from None


async def put_to(store: Store, requests: Iterable[Request], approve: Approve) -> bool:
    """Put questions to a callback; whether it settled any.

    Unknown outcomes are not put to it, for a machine must not repeat such a call. What the callback raises is raised;
    anything but True, False and None raises TypeError, so that nobody's "n" is taken for a yes.
    """
    settled = False
    for request in requests:
        if request.kind != "call":
            continue
        said = approve(request)
        if inspect.isawaitable(said):
            said = await said
        if said is None:
            continue
        if not isinstance(said, bool):
            raise TypeError(f"approve must return True, False or None, not {said!r:.100}")
        with suppress(AlreadyDecided):  # somebody else was faster
            await settle(store, request.id, "approve" if said else "deny", "approve callback", "")
        settled = True
    return settled


async def questions(store: Store, state: State, path: tuple[str, ...] = ()) -> tuple[Request, ...]:
    """The open questions of a run and of the children it waits for, each with the path of runs that leads to it."""
    path = (*path, state.id)
    open_kinds = ("outcome",) if state.status in ENDED else ("call", "outcome")
    own = [replace(request, path=path) for request in state.requests.values() if request.kind in open_kinds]
    if any(call.waits_on for call in state.calls.values()):
        # A body may have started several at once, and stopped at the first that waits.
        for child in reversed(await store.find(Query(parent=state.id, status=("waiting",), limit=1_000))):
            own += await questions(store, fold(await store.read(child.id)), path)
    return tuple(own)


def _word(asked: Request, decision: str) -> str:
    """The decision in the words of the question."""
    if asked.kind == "outcome":
        return {"approve": "retry", "deny": "give_up"}.get(decision, decision)
    if decision in ("approve", "deny"):
        return decision
    raise RunError(f"question {asked.id} asks whether a call may run: approve or deny it; {decision!r} settles unknown outcomes")


def _no_question(state: State, request: str) -> RunError:
    settled = state.settled.get(request)
    if isinstance(settled, ev.ApprovalDecided):
        return AlreadyDecided(request, settled.decision, settled.by)
    if settled is not None:
        return AlreadyDecided(request, "expired" if isinstance(settled, ev.ApprovalExpired) else "revoked", "")
    if request in state.requests:
        return AlreadyDecided(request, f"the run is {state.status}", "")
    return RequestNotFound(request)
