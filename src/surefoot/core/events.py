"""The closed vocabulary: everything that can happen in a run, as frozen, tagged structs.

A run is a list of these. The journal stamps each with its stream, sequence number, epoch and time and gives it back as a
`Record`. Stored forms are forever: a tag or a field changes only by adding, or by an upcaster in `core.codec`. Times are whole
microseconds since the Unix epoch, money is in millionths of a US dollar, durations are in microseconds. `Event` is the union of
what a run's stream holds, `AppEvent` of what the one stream named ``app`` holds.
"""

from __future__ import annotations

from typing import Any

import msgspec

from surefoot.core.app_events import BreakerChanged, PolicyChanged, RunPruned, TokenCreated, TokenRevoked
from surefoot.core.approval_events import (
    ApprovalConsumed,
    ApprovalDecided,
    ApprovalDelegated,
    ApprovalExpired,
    ApprovalRequested,
    ApprovalRevoked,
    ApprovalVoted,
    CallsJudged,
    ToolDenied,
)
from surefoot.core.memory import MemoryForgotten, MemoryKept, MemoryRecalled, MemoryRefused
from surefoot.core.messages import File, Image, Message, Part, Text, Usage
from surefoot.core.values import Failure, Limits, Spent

__all__ = [
    "APP_EVENTS", "RUN_EVENTS", "AppEvent", "ApprovalConsumed", "ApprovalDecided", "ApprovalExpired", "ApprovalRequested",
    "ApprovalRevoked", "ApprovalVoted", "ApprovalDelegated", "BreakerChanged", "CallsJudged", "Event", "MemoryForgotten",
    "MemoryKept", "MemoryRecalled", "MemoryRefused", "PolicyChanged", "Record", "RunPruned", "TokenCreated", "TokenRevoked",
    "ToolDenied", "tag_of",
]  # fmt: skip


class _Event(msgspec.Struct, frozen=True, gc=False, tag_field="type", omit_defaults=True):
    pass


class RunStarted(_Event, frozen=True, gc=False, tag="run.started"):
    """Somebody asked for a run. ``key`` is the caller's id, ``history`` an existing conversation to go on from.

    ``trace_state`` came with the trace of whoever asked (W3C ``tracestate``); with ``trace_dropped`` they keep no spans of it.
    ``policy`` is Cedar rules of the run's own, which tighten those of its agent.
    """

    agent: str
    input: tuple[Text | Image | File, ...] = ()
    session: str = ""
    user: str = ""
    tenant: str = ""
    key: str = ""
    context: dict[str, Any] = {}
    parent: str = ""
    parent_call: str = ""
    forked_from: str = ""
    tags: tuple[str, ...] = ()
    trace_id: str = ""
    parent_span: str = ""
    limits: Limits | None = None
    deadline: int = 0
    history: tuple[Message, ...] = ()
    trace_state: str = ""
    trace_dropped: bool = False
    policy: str = ""


class RunClaimed(_Event, frozen=True, gc=False, tag="run.claimed"):
    """A worker took the run. ``session_head``, set by the first claim, is the journal position up to which the
    session's earlier runs belong to this run's prompt."""

    worker: str
    agent_digest: str = ""
    session_head: int = 0


class RunSuspended(_Event, frozen=True, gc=False, tag="run.suspended"):
    """The run waits and holds nothing: for the named requests, runs or ``timer``, or until ``wake_at``."""

    waiting_for: tuple[str, ...] = ()
    wake_at: int = 0


class RunWarned(_Event, frozen=True, gc=False, tag="run.warned"):
    """Something a human may want to know, with figures; the run goes on. The model reads ``tell`` before its next step."""

    kind: str
    message: str
    data: dict[str, Any] = {}
    tell: str = ""


class RunCancelRequested(_Event, frozen=True, gc=False, tag="run.cancel_requested"):
    """Somebody wants the run to stop."""

    by: str = ""
    reason: str = ""


class RunFinished(_Event, frozen=True, gc=False, tag="run.finished"):
    """The run ended with an answer: text, or canonical JSON when ``structured``."""

    output: str
    structured: bool = False
    spent: Spent = Spent()


class RunFailed(_Event, frozen=True, gc=False, tag="run.failed"):
    """The run ended without an answer; ``text`` is what the model had said so far."""

    error: Failure
    text: str = ""
    spent: Spent = Spent()


class RunCancelled(_Event, frozen=True, gc=False, tag="run.cancelled"):
    """The run ended because somebody wanted it to."""

    by: str = ""
    reason: str = ""
    spent: Spent = Spent()


class RunResumed(_Event, frozen=True, gc=False, tag="run.resumed"):
    """Somebody wants a failed run to go on from where it stood, perhaps with other limits or a later deadline."""

    by: str = ""
    limits: Limits | None = None
    deadline: int = 0


class SessionRenamed(_Event, frozen=True, gc=False, tag="session.renamed"):
    """Somebody gave the run's session a title; the last one counts, and ``""`` takes it away."""

    title: str
    by: str = ""


class MessageReceived(_Event, frozen=True, gc=False, tag="message.received"):
    """Somebody said something to a run that had started."""

    parts: tuple[Text | Image | File, ...]
    by: str = ""


class ContextCompacted(_Event, frozen=True, gc=False, tag="context.compacted"):
    """The prompt was made to fit: ``how`` is shortened, dropped or summarised (by ``model``); originals stay. The session's and
    the run's first ``dropped`` messages are left out, with ``summary`` in their place, results in the first ``shortened`` cut.
    ``start`` and ``cut`` are these places as ``run:index``; ``before`` and ``after`` are estimated tokens.
    """

    how: str
    before: int = 0
    after: int = 0
    shortened: int = 0
    dropped: int = 0
    summary: str = ""
    start: str = ""
    cut: str = ""
    model: str = ""
    usage: Usage = Usage()
    cost: int | None = 0


class HandedOff(_Event, frozen=True, gc=False, tag="handed.off"):
    """Another agent speaks from here on."""

    agent: str
    reason: str = ""


class ModelRequested(_Event, frozen=True, gc=False, tag="model.requested"):
    """A request leaves. ``instructions`` and ``tools`` are digests of blobs; left out when as in the request before.
    ``tokens`` estimates the prompt. One with the ``purpose`` summary is no step; `ContextCompacted` follows it.
    """

    step: int
    model: str
    attempt: int = 1
    instructions: str = ""
    tools: str = ""
    settings: dict[str, Any] = {}
    tokens: int = 0
    purpose: str = ""


class ModelReplied(_Event, frozen=True, gc=False, tag="model.replied"):
    """An answer came, whole. ``model`` is set when it is not the one that was asked."""

    step: int
    parts: tuple[Part, ...] = ()
    usage: Usage = Usage()
    cost: int | None = None
    finish: str = "stop"
    model: str = ""
    request_id: str = ""
    duration: int = 0
    first_token: int = 0


class ModelFailed(_Event, frozen=True, gc=False, tag="model.failed"):
    """A request failed; another follows at ``retry_at``, or none when it is 0."""

    step: int
    error: Failure
    attempt: int = 1
    retry_at: int = 0
    duration: int = 0


class OutputRejected(_Event, frozen=True, gc=False, tag="output.rejected"):
    """A final answer does not meet its schema, or is empty; the model reads why."""

    error: str


class ToolStarted(_Event, frozen=True, gc=False, tag="tool.started"):
    """A call is about to run. The idempotency key of every attempt is ``{run}:{call}``."""

    call: str
    name: str
    arguments: str
    effect: str
    attempt: int = 1


class ToolProgressed(_Event, frozen=True, gc=False, tag="tool.progressed"):
    """A tool says how far it is; with ``waiting``, its body stopped until those runs end. ``spent``: what all its runs used."""

    call: str
    note: str = ""
    data: dict[str, Any] = {}
    waiting: tuple[str, ...] = ()
    spent: Spent | None = None


class ToolReturned(_Event, frozen=True, gc=False, tag="tool.returned"):
    """A call's result as the model reads it; with ``blob``, ``result`` is the head of one of ``size`` characters."""

    call: str
    result: str
    parts: tuple[Text | Image | File, ...] = ()
    blob: str = ""
    size: int = 0
    attempt: int = 1
    duration: int = 0
    spent: Spent | None = None


class ToolFailed(_Event, frozen=True, gc=False, tag="tool.failed"):
    """A call failed, and it is known that nothing happened; another try follows at ``retry_at``, or none when it is 0."""

    call: str
    error: Failure
    attempt: int = 1
    retry_at: int = 0
    duration: int = 0
    spent: Spent | None = None


class ToolIndeterminate(_Event, frozen=True, gc=False, tag="tool.indeterminate"):
    """A call may or may not have happened; a human is asked under ``request``."""

    call: str
    request: str
    reason: str
    attempt: int = 1
    digest: str = ""
    duration: int = 0


class SpanStarted(_Event, frozen=True, gc=False, tag="span.started"):
    """A user's own stretch of work began inside a call."""

    call: str
    name: str
    attributes: dict[str, Any] = {}


class SpanEnded(_Event, frozen=True, gc=False, tag="span.ended"):
    """A user's own stretch of work ended."""

    call: str
    name: str
    error: str = ""


class EventRedacted(_Event, frozen=True, gc=False, tag="event.redacted"):
    """The body of event ``seq`` of this stream was removed for good."""

    seq: int
    reason: str = ""
    by: str = ""


class Unknown(_Event, frozen=True, gc=False, tag="unknown"):
    """An event of a newer surefoot, or one whose body was redacted, kept for viewers."""

    tag: str
    body: str = ""


# fmt: off
Event = (
    RunStarted | RunClaimed | RunSuspended | RunWarned | RunCancelRequested | RunFinished | RunFailed
    | RunCancelled | RunResumed | SessionRenamed | MessageReceived | MemoryRecalled | MemoryKept | MemoryRefused
    | MemoryForgotten | ContextCompacted | HandedOff
    | ModelRequested | ModelReplied | ModelFailed | OutputRejected | CallsJudged | ToolDenied
    | ApprovalRequested | ApprovalVoted | ApprovalDelegated | ApprovalDecided | ApprovalExpired | ApprovalConsumed
    | ApprovalRevoked | ToolStarted | ToolProgressed | ToolReturned | ToolFailed | ToolIndeterminate
    | SpanStarted | SpanEnded | EventRedacted | Unknown
)
# fmt: on
# fmt: off
AppEvent = (
    BreakerChanged | PolicyChanged | RunPruned | EventRedacted | Unknown | TokenCreated | TokenRevoked
    | MemoryKept | MemoryRefused | MemoryForgotten
)
# fmt: on

RUN_EVENTS: tuple[type[Event], ...] = Event.__args__
APP_EVENTS: tuple[type[AppEvent], ...] = AppEvent.__args__


class Record(msgspec.Struct, frozen=True, gc=False):
    """An event as the journal keeps it. ``position`` orders all streams, ``seq`` (from 1) orders one."""

    position: int
    stream: str
    seq: int
    epoch: int
    time: int
    event: Event | AppEvent


def tag_of(event: Event | AppEvent | type[Event | AppEvent]) -> str:
    """The stored tag: ``tool.started``."""
    return _TAGS[event if isinstance(event, type) else type(event)]


_TAGS = {kind: str(kind.__struct_config__.tag) for kind in (*RUN_EVENTS, *APP_EVENTS)}
