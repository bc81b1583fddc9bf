"""Fold a run's records into the story of its steps, as `surefoot show` tells it: tree, text and JSON print the same story.

A story is a list of steps and of notes between them, in order. A step is one question to the model with everything that
came of it: retries, reasoning, text, and each call with its question to a human, its tries and its result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from surefoot.cli.words import parts_text, sentence
from surefoot.core import events as ev
from surefoot.core.messages import Reasoning, Text, ToolCall, Usage
from surefoot.core.state import State, fold
from surefoot.telemetry.span import Span
from surefoot.telemetry.spans import Trace
from surefoot.telemetry.times import Times

__all__ = ["CallStory", "Note", "StepStory", "Story", "tell"]


@dataclass(frozen=True, slots=True)
class Note:
    """Something that happened, in one line; ``kind`` is the event's tag, ``time`` is Unix microseconds."""

    time: int
    kind: str
    text: str


@dataclass(slots=True)
class CallStory:
    """One tool call. ``status`` is closed, or how far it is; ``duration`` (microseconds) is that of its last try."""

    id: str
    name: str
    arguments: str
    invalid: str = ""
    effect: str = ""
    status: str = "closed"
    attempts: int = 0
    duration: int = 0
    result: str | None = None
    error: bool = False
    notes: list[Note] = field(default_factory=list)


@dataclass(slots=True)
class StepStory:
    """One question to the model and what came of it. Durations are in microseconds, ``cost`` in millionths of a dollar."""

    step: int
    model: str = ""
    time: int = 0
    attempts: int = 0
    finish: str = ""
    reasoning: str = ""
    text: str = ""
    duration: int = 0
    first_token: int = 0
    usage: Usage = Usage()
    cost: int | None = 0
    calls: list[CallStory] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)


@dataclass(slots=True)
class Story:
    """A whole run: its state at the end, its input, its steps, the notes between them, its spans and where its time went."""

    state: State
    input: str = ""
    items: list[StepStory | Note] = field(default_factory=list)
    calls: dict[str, CallStory] = field(default_factory=dict)
    requests: dict[str, str] = field(default_factory=dict)
    spans: list[Span] = field(default_factory=list)
    times: Times = field(default_factory=Times)

    @property
    def steps(self) -> list[StepStory]:
        """The steps alone."""
        return [item for item in self.items if isinstance(item, StepStory)]

    @property
    def tools(self) -> dict[str, str]:
        """The tool of each call."""
        return {call.id: call.name for call in self.calls.values()}


def tell(records: Iterable[ev.Record]) -> Story:
    """The story of a run's records."""
    records = list(records)
    story, trace = Story(fold(records)), Trace()
    for record in records:
        story.spans += trace.apply(record).opened
        handler = _TELL.get(type(record.event), _note)
        handler(story, record.event, record)
    for call in story.state.calls.values():
        if call.id in story.calls and call.result is None:
            story.calls[call.id].status = call.status
    story.times = trace.times
    return story


def _note(story: Story, event: Any, record: ev.Record) -> None:  # noqa: ANN401  any event
    """A note where it belongs: at its call, or between the steps."""
    note = Note(record.time, ev.tag_of(event) if not isinstance(event, ev.Unknown) else event.tag, sentence(event, story.tools))
    call_id = getattr(event, "call", "") or story.requests.get(getattr(event, "request", ""), "")
    call = story.calls.get(call_id)
    (story.items if call is None else call.notes).append(note)


def _step(story: Story, number: int, time: int) -> StepStory:
    """The step of that number; it begins with its first event."""
    last = story.items[-1] if story.items else None
    if isinstance(last, StepStory) and last.step == number:
        return last
    for item in reversed(story.items):
        if isinstance(item, StepStory):
            if item.step == number:
                return item
            break
    step = StepStory(number, time=time)
    story.items.append(step)
    return step


def _started(story: Story, event: ev.RunStarted, record: ev.Record) -> None:
    story.input = parts_text(event.input)


def _suspended(story: Story, event: ev.RunSuspended, record: ev.Record) -> None:
    """Waiting for answers alone is told by the questions."""
    if event.wake_at or not set(event.waiting_for) <= story.requests.keys():
        _note(story, event, record)


def _requested(story: Story, event: ev.ModelRequested, record: ev.Record) -> None:
    if event.purpose:
        _note(story, event, record)
        return
    step = _step(story, event.step, record.time)
    step.model, step.attempts = event.model, event.attempt


def _replied(story: Story, event: ev.ModelReplied, record: ev.Record) -> None:
    step = _step(story, event.step, record.time)
    step.model, step.finish = event.model or step.model, event.finish
    step.reasoning = "".join([part.text for part in event.parts if isinstance(part, Reasoning)])
    step.text = "".join([part.text for part in event.parts if isinstance(part, Text)])
    step.duration, step.first_token = event.duration, event.first_token
    step.usage, step.cost = event.usage, event.cost
    for part in event.parts:
        if isinstance(part, ToolCall):
            call = CallStory(part.id, part.name, part.arguments, part.invalid)
            step.calls.append(call)
            story.calls[call.id] = call


def _model_failed(story: Story, event: ev.ModelFailed, record: ev.Record) -> None:
    step = _step(story, event.step, record.time)
    step.notes.append(Note(record.time, ev.tag_of(event), sentence(event, story.tools)))


def _judged(story: Story, event: ev.CallsJudged, record: ev.Record) -> None:
    for verdict in event.verdicts:
        call = story.calls.get(verdict.call)
        if call is not None:
            rules = f" ({', '.join(verdict.rules)})" if verdict.rules else ""
            reason = f": {verdict.reason}" if verdict.reason else ""
            call.notes.append(Note(record.time, ev.tag_of(event), f"policy says {verdict.verdict}{rules}{reason}"))


def _asked(story: Story, event: ev.ApprovalRequested | ev.ToolIndeterminate, record: ev.Record) -> None:
    story.requests[event.request] = event.call
    _note(story, event, record)


def _tool_started(story: Story, event: ev.ToolStarted, record: ev.Record) -> None:
    call = story.calls.get(event.call)
    if call is None:
        return
    call.effect, call.attempts, call.arguments = event.effect, event.attempt, event.arguments
    if event.attempt > 1:
        _note(story, event, record)


def _tool_returned(story: Story, event: ev.ToolReturned, record: ev.Record) -> None:
    call = story.calls.get(event.call)
    if call is not None:
        size = f"\n[{len(event.result):,} of {event.size:,} characters; the rest is blob {event.blob[:16]}]" if event.blob else ""
        call.result, call.duration = event.result + size, event.duration


def _tool_failed(story: Story, event: ev.ToolFailed, record: ev.Record) -> None:
    call = story.calls.get(event.call)
    if call is not None:
        call.error, call.duration = not event.retry_at, event.duration
    _note(story, event, record)


def _denied(story: Story, event: ev.ToolDenied, record: ev.Record) -> None:
    call = story.calls.get(event.call)
    if call is not None:
        call.error = True
    _note(story, event, record)


def _decided(story: Story, event: ev.ApprovalDecided, record: ev.Record) -> None:
    call = story.calls.get(story.requests.get(event.request, ""))
    if call is not None:
        call.error = event.decision in ("deny", "give_up")
        call.result = event.result if event.result is not None else call.result
    _note(story, event, record)


def _quiet(story: Story, event: ev.Event, record: ev.Record) -> None:
    """Told by the story's head, or by the events around it."""


_TELL: dict[type, Callable[[Story, Any, ev.Record], None]] = {
    ev.RunStarted: _started,
    ev.RunSuspended: _suspended,
    ev.RunFinished: _quiet,
    ev.ModelRequested: _requested,
    ev.ModelReplied: _replied,
    ev.ModelFailed: _model_failed,
    ev.CallsJudged: _judged,
    ev.ApprovalRequested: _asked,
    ev.ApprovalConsumed: _quiet,
    ev.ApprovalDecided: _decided,
    ev.ToolDenied: _denied,
    ev.ToolStarted: _tool_started,
    ev.ToolReturned: _tool_returned,
    ev.ToolFailed: _tool_failed,
    ev.ToolIndeterminate: _asked,
}
