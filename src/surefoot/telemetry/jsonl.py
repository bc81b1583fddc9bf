"""A run as lines of JSON in the plain vocabulary of agent traces, one object a line.

A line is ``{"trace_id", "timestamp", "event", "data"}``; the time is Unix seconds. `Lines` makes the lines of one run, record
by record, from the same fold that every view prints. The lines of a run's beginning are the beginning of the run's lines, so
that a file can always be completed. Steps and users' own spans have no word in this vocabulary.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from surefoot.core import events as ev
from surefoot.core.messages import Reasoning, ToolCall, text_of
from surefoot.telemetry.privacy import Redact, applied
from surefoot.telemetry.span import Span
from surefoot.telemetry.spans import Trace
from surefoot.telemetry.standing import words

__all__ = ["ASK_HUMAN", "Lines"]

#: The tool by which a model asks for a human of its own accord.
ASK_HUMAN = "ask_human"

_Told = tuple[str, dict[str, Any]]
_encode = msgspec.json.Encoder().encode


class Lines:
    """The lines of one run, as its records come. Without ``content`` they say what happened, and leave out what was said.

    Attributes:
        count: how many lines there have been.
    """

    def __init__(self, *, content: bool = True, redact: Redact | None = None) -> None:
        self._trace = Trace()
        self.content, self._redact = content, redact
        self._rounds = 0
        self.count = 0

    def take(self, record: ev.Record) -> list[bytes]:
        """The lines that a record adds, each with its line break; none for one that was added before."""
        if record.seq <= self._trace.seq:
            return []
        tools = {name: call.name for name, call in self._trace.calls.items()}
        asked = {name: span.name for name, span in self._trace.questions.items()}
        change = self._trace.apply(record)
        new = [span for span in change.opened if _name(span)]
        over = [span for span in change.closed if _name(span)]
        before = [span for span in over if new and span not in new]  # what gives way to something new ends first
        told = [_end(span) for span in before] + [("span_start", {"name": _name(span)}) for span in new]
        told += self._said(record.event, {**tools, **asked})
        told += [_end(span) for span in over if span not in before]
        self.count += len(told)
        return [self._line(record, event, data) for event, data in told]

    def _line(self, record: ev.Record, event: str, data: dict[str, Any]) -> bytes:
        value = {"trace_id": self._trace.trace, "timestamp": record.time / 1e6, "event": event, "data": data}
        return _encode(applied(self._redact, value)) + b"\n"

    def _said(self, event: ev.Event | ev.AppEvent, tools: Mapping[str, str]) -> list[_Told]:
        if isinstance(event, ev.ModelReplied):
            return self._replied(event)
        if isinstance(event, ev.RunFinished | ev.RunFailed | ev.RunCancelled):
            answer = [("final_answer", {"text": self.text(event.output)})] if isinstance(event, ev.RunFinished) else []
            return [*answer, ("run_complete", {"steps_used": self._rounds})]
        say = _SAY.get(type(event))
        return say(self, event, tools) if say else []

    def _replied(self, event: ev.ModelReplied) -> list[_Told]:
        calls = [part for part in event.parts if type(part) is ToolCall]
        self._rounds += bool(calls)
        action = "human" if any(call.name == ASK_HUMAN for call in calls) else "tool" if calls else "final"
        reasoning = "".join([part.text for part in event.parts if type(part) is Reasoning])
        why = self.text(reasoning or (text_of(event.parts) if calls else ""))
        told: list[_Told] = [("llm_decision", {"step": event.step, "action": action, "reasoning": why})]
        return told + [("tool_call_requested", {"tool_name": call.name, "args": self._args(call)}) for call in calls]

    def _args(self, call: ToolCall) -> Any:  # noqa: ANN401  any JSON value
        if not self.content:
            return {}
        try:
            return json.loads(call.arguments)
        except ValueError:
            return call.arguments

    def text(self, text: str) -> str:
        """What was said, where it may be told."""
        return text if self.content else ""


def _name(span: Span) -> str:
    """What a span is called here; nothing for one that is not told."""
    return {"model": "llm_call", "tool": f"tool:{span.name}", "memory": "memory", "approval": "approval"}.get(span.kind, "")


def _end(span: Span) -> _Told:
    return "span_end", {"name": _name(span), "duration_sec": span.duration / 1e6}


def _started(lines: Lines, event: ev.RunStarted, tools: Mapping[str, str]) -> list[_Told]:
    return [("run_start", {"session_id": event.session}), ("user_message", {"text": lines.text(text_of(event.input))})]


def _message(lines: Lines, event: ev.MessageReceived, tools: Mapping[str, str]) -> list[_Told]:
    return [("user_message", {"text": lines.text(text_of(event.parts))})]


def _recalled(lines: Lines, event: ev.MemoryRecalled, tools: Mapping[str, str]) -> list[_Told]:
    return [("memory_injected", {})]


def _returned(lines: Lines, event: ev.ToolReturned, tools: Mapping[str, str]) -> list[_Told]:
    return [("tool_call_result", {"tool_name": tools.get(event.call, ""), "success": True, "attempt": event.attempt})]


def _failed(lines: Lines, event: ev.ToolFailed, tools: Mapping[str, str]) -> list[_Told]:
    tool = tools.get(event.call, "")
    error = f"{event.error.kind}: {words(event.error)}" if lines.content else event.error.kind
    told: list[_Told] = [("tool_call_error", {"tool_name": tool, "attempt": event.attempt, "error": error})]
    return told if event.retry_at else [*told, ("tool_call_failed", {"tool_name": tool})]


def _unknown(lines: Lines, event: ev.ToolIndeterminate, tools: Mapping[str, str]) -> list[_Told]:
    error = f"unknown_outcome: {event.reason}" if lines.content else "unknown_outcome"
    return [
        ("tool_call_error", {"tool_name": tools.get(event.call, ""), "attempt": event.attempt, "error": error}),
        ("human_approval_requested", {"reason": lines.text(event.reason)}),
    ]


def _denied(lines: Lines, event: ev.ToolDenied, tools: Mapping[str, str]) -> list[_Told]:
    return [("tool_call_failed", {"tool_name": tools.get(event.call, "")})]


def _asked(lines: Lines, event: ev.ApprovalRequested, tools: Mapping[str, str]) -> list[_Told]:
    return [("human_approval_requested", {"reason": lines.text(event.reason)})]


def _decided(lines: Lines, event: ev.ApprovalDecided, tools: Mapping[str, str]) -> list[_Told]:
    """Of an answer in the tool's place, and of an outcome that somebody knew, the call has come to an end as well."""
    told: list[_Told] = [("human_approval_result", {"approved": event.decision in ("approve", "answer", "done", "retry")})]
    tool = tools.get(event.request, "")
    if event.decision in ("answer", "done"):
        told.append(("tool_call_result", {"tool_name": tool, "success": True, "attempt": 0}))
    elif event.decision in ("deny", "give_up", "ask"):  # a question back comes in the place of a result
        told.append(("tool_call_failed", {"tool_name": tool}))
    return told


def _expired(lines: Lines, event: ev.ApprovalExpired, tools: Mapping[str, str]) -> list[_Told]:
    told: list[_Told] = [("human_approval_result", {"approved": False})]
    # Somebody else may be asked instead.
    return told if event.then == "escalate" else [*told, ("tool_call_failed", {"tool_name": tools.get(event.request, "")})]


_SAY: dict[type, Callable[[Lines, Any, Mapping[str, str]], list[_Told]]] = {
    ev.RunStarted: _started,
    ev.MessageReceived: _message,
    ev.MemoryRecalled: _recalled,
    ev.ToolReturned: _returned,
    ev.ToolFailed: _failed,
    ev.ToolIndeterminate: _unknown,
    ev.ToolDenied: _denied,
    ev.ApprovalRequested: _asked,
    ev.ApprovalDecided: _decided,
    ev.ApprovalExpired: _expired,
}
