"""Go back in a run: what the model saw at an event, and a new run that goes on from there in another way."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from surefoot.core import events as ev
from surefoot.core.errors import RunError
from surefoot.core.messages import Message, Part, Text, ToolResult
from surefoot.core.ports import Clock, RunRow, Store
from surefoot.core.state import State, fold
from surefoot.engine.context import Past, view
from surefoot.engine.past import past
from surefoot.models.tokens import counter
from surefoot.runs.intake import readable

__all__ = ["Seen", "edited", "fork", "seen"]

_EDITABLE = (ev.RunStarted, ev.MessageReceived, ev.ToolReturned)


@dataclass(frozen=True, slots=True)
class Seen:
    """What a model was asked, and what it answered.

    Attributes:
        seq: the event of the request; ``time`` is when it left, Unix microseconds.
        instructions: as rendered for this run.
        messages: the conversation, fitted to its budget.
        tools: what it was told of each tool, as JSON values.
        reply: its answer, where one came; ``failure`` where none did.
    """

    run: str
    seq: int
    time: int
    request: ev.ModelRequested
    instructions: str
    messages: Sequence[Message]
    tools: Sequence[Any]
    reply: ev.ModelReplied | None = None
    failure: ev.ModelFailed | None = None


async def seen(store: Store, run: str, at: int = 0, *, step: int | None = None, budget: float = math.inf) -> Seen:
    """What the model saw at event ``at``: the request that it is, or the last one before it; 0 for the run's last one, or, with
    ``step``, that step's.

    ``budget`` is the agent's window, in tokens, where it is known: of a session that is longer, only the end was read.
    Raises RunError where the model had not been asked yet.
    """
    records = await store.read(run)
    asked = [
        record
        for record in records
        if isinstance(record.event, ev.ModelRequested)
        and not record.event.purpose  # a summary is no step
        and record.seq <= (at or math.inf)
        and step in (None, record.event.step)
    ]
    if not asked:
        where = f"step {step}" if step is not None else f"event {at}" if at else "its end"
        raise RunError(f"run {run} had not asked a model by {where}; `surefoot show` lists its steps")
    last = asked[-1]
    assert isinstance(last.event, ev.ModelRequested)  # it was chosen as one
    state = fold(records[: last.seq])
    reply, failure = _answer(records[last.seq :])
    return Seen(
        run,
        last.seq,
        last.time,
        last.event,
        await _text(store, state.instructions),
        view(await _past(store, state, budget), state),
        msgspec.json.decode(await _text(store, state.tools) or "[]"),
        reply,
        failure,
    )


def _answer(records: Sequence[ev.Record]) -> tuple[ev.ModelReplied | None, ev.ModelFailed | None]:
    """What came of the request before these records."""
    for record in records:
        match record.event:
            case ev.ModelReplied() as reply:
                return reply, None
            case ev.ModelFailed() as failure:
                return None, failure
            case ev.ModelRequested():
                return None, None
            case _:
                pass
    return None, None


async def _past(store: Store, state: State, budget: float) -> Past:
    started = state.started
    if started is None or not started.session:
        return Past()
    return await past(store, state, budget, state.model, counter(state.model))


async def _text(store: Store, digest: str) -> str:
    if not digest:
        return ""
    try:
        return (await store.load(digest)).decode()
    except KeyError:
        raise RunError(f"the blob {digest[:16]} that this run names is gone; `surefoot doctor` says more") from None


async def fork(store: Store, clock: Clock, run: str, at: int = 0, *, agent: str = "", edit: str | None = None) -> RunRow:
    """A new run that goes on from event ``at`` of another (0: its last), with the conversation so far as its history.

    Calls that had a result by then have it there, and are not run again; of those that had none the model is told so.
    ``edit`` takes the place of what event ``at`` said: the input, a message, or a tool's result. The new run belongs to no
    session; ``run.started.forked_from`` is ``run:at``. Raises RunError where there is nothing to go on from.
    """
    records = await store.read(run)
    at = at or records[-1].seq
    if not 1 <= at <= len(records):
        raise RunError(f"run {run} has events 1 to {len(records)}, and no {at}")
    state = fold(edited(records[:at], edit))
    started = state.started
    if started is None:
        raise RunError(f"the first event of run {run} was removed for good: there is nothing to go on from")
    before = await _past(store, state, math.inf)
    messages = [*before.messages, *state.messages, *_open(state), *state.incoming]
    while messages and messages[-1].role == "assistant":
        messages.pop()  # it is asked again
    if not messages:
        raise RunError(f"nothing had been said by event {at} of run {run}: there is nothing to go on from")
    copy = ev.RunStarted(
        agent or state.agent, user=started.user, tenant=started.tenant, context=started.context, policy=started.policy,
        forked_from=f"{run}:{at}",
        tags=started.tags, trace_id=clock.new_id(), limits=started.limits, history=tuple(messages),
    )  # fmt: skip
    row, _ = await store.add(clock.new_id(), readable(copy))
    return row


def edited(records: Sequence[ev.Record], text: str | None) -> list[ev.Record]:
    """The records with other words in the last of them. Raises RunError where it said nothing that can be changed."""
    if text is None:
        return list(records)
    *before, last = records
    match last.event:
        case ev.RunStarted() as event:
            new: ev.Event = msgspec.structs.replace(event, input=(Text(text),))
        case ev.MessageReceived() as event:
            new = msgspec.structs.replace(event, parts=(Text(text),))
        case ev.ToolReturned() as event:
            new = msgspec.structs.replace(event, result=text, parts=(), blob="", size=0)
        case _:
            places = [str(record.seq) for record in records if isinstance(record.event, _EDITABLE)]
            raise RunError(
                f"event {last.seq} is {ev.tag_of(last.event)}, which says nothing to edit; there are {', '.join(places)}"
            )
    return [*before, msgspec.structs.replace(last, event=new)]


def _open(state: State) -> list[Message]:
    """The results of the calls of a step that is not done, those that have none with a word about it."""
    if not state.calls:
        return []
    none = "This call was not run: the conversation goes on from before it."
    parts: list[Part] = [
        call.result or ToolResult(call.id, call.name, none, True, (), call.provider_id) for call in state.calls.values()
    ]
    return [Message("tool", tuple(parts))]
