"""How calls, questions about them and users' own stretches of work become spans."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from surefoot.core import events as ev
from surefoot.core.tracing import span_id
from surefoot.telemetry.span import Note, Span
from surefoot.telemetry.standing import LOST, Asked, Standing, add_note, end_of, failed, note

__all__ = ["CALLS"]

_Outcome = ev.ToolReturned | ev.ToolFailed | ev.ToolIndeterminate


def _judged(trace: Standing, event: ev.CallsJudged, record: ev.Record) -> None:
    above = trace.step or trace.root
    for verdict in event.verdicts if above else ():
        attributes = {"call": verdict.call, "verdict": verdict.verdict, "rules": list(verdict.rules), "policy": event.policy}
        add_note(above, record, attributes, {"reason": verdict.reason})


def _tool_started(trace: Standing, event: ev.ToolStarted, record: ev.Record) -> None:
    trace.end_tool(event.call, record.time, "error", LOST)
    asked = trace.calls.setdefault(event.call, Asked(event.name))
    span = _tool(trace, event.call, event.name, record, event.attempt)
    span.attributes["effect"] = event.effect
    span.content["arguments"] = event.arguments
    trace.totals["tool_calls"] += asked.attempts == 0
    asked.attempts = event.attempt
    trace.tools[event.call] = span


def _tool(trace: Standing, call: str, name: str, record: ev.Record, attempt: int) -> Span:
    """One try of a call; ``attempt`` 0 for one that was never started."""
    span = trace.open("tool", name, record, "call", call, attempt or f"at {record.seq}")
    span.attributes |= {"call": call, "attempt": attempt}
    asked = trace.calls.get(call)
    if asked is not None and asked.approval:
        span.links.append(asked.approval)
    trace.touched = record.time
    return span


def _tool_ended(trace: Standing, event: _Outcome, record: ev.Record) -> None:
    asked = trace.calls.get(event.call) or Asked("")
    span = trace.tools.get(event.call) or _tool(trace, event.call, asked.name, record, 0)
    trace.tools[event.call] = span
    end = end_of(span, event.duration, record)
    trace.touched = record.time
    if isinstance(event, ev.ToolReturned):
        span.attributes["size"] = event.size or len(event.result)
        span.content["result"] = event.result
        trace.end_tool(event.call, end)
    elif isinstance(event, ev.ToolFailed):
        failed(trace, span, event.error, event.retry_at)
        trace.end_tool(event.call, end, "error", event.error.kind)
    else:
        span.content["error"] = event.reason
        trace.end_tool(event.call, end, "error", "unknown_outcome")
        _ask(trace, event.request, event.call, asked.name, record).attributes["kind"] = "outcome"


def _tool_denied(trace: Standing, event: ev.ToolDenied, record: ev.Record) -> None:
    asked = trace.calls.get(event.call) or Asked("")
    span = _tool(trace, event.call, asked.name, record, 0)
    span.attributes["by"] = event.by
    span.content["error"] = event.reason
    trace.close(span, record.time, "error", "denied")


def _progressed(trace: Standing, event: ev.ToolProgressed, record: ev.Record) -> None:
    note(trace, event, record)
    trace.touched = record.time
    if event.waiting:
        trace.end_tool(event.call, record.time, "waiting")


def _asked(trace: Standing, event: ev.ApprovalRequested, record: ev.Record) -> None:
    span = _ask(trace, event.request, event.call, event.tool, record)
    span.attributes["kind"] = event.kind
    if event.verdict is not None:
        span.attributes["rules"] = list(event.verdict.rules)
    span.content["reason"] = event.reason


def _ask(trace: Standing, request: str, call: str, tool: str, record: ev.Record) -> Span:
    if (before := trace.questions.pop(request, None)) is not None:
        trace.close(before, record.time, "open")
    above = trace.root.id if trace.root else ""
    span = trace.open("approval", tool, record, "approval", request, parent=above)
    span.attributes |= {"request": request, "call": call}
    if (asked := trace.calls.get(call)) is not None:
        span.content["arguments"] = asked.arguments
    span.notes.append(Note(record.time, ev.tag_of(record.event)))
    trace.questions[request] = span
    trace.totals["approvals"] += 1
    return span


def _voted(trace: Standing, event: ev.ApprovalVoted, record: ev.Record) -> None:
    attributes = {"approve": event.approve, "by": event.by, "how": event.how}
    add_note(trace.questions.get(event.request), record, attributes, {"reason": event.reason})


def _delegated(trace: Standing, event: ev.ApprovalDelegated, record: ev.Record) -> None:
    attributes = {"to": event.to, "by": event.by, "how": event.how}
    add_note(trace.questions.get(event.request), record, attributes, {"reason": event.reason})


def _decided(trace: Standing, event: ev.ApprovalDecided, record: ev.Record) -> None:
    span = trace.questions.pop(event.request, None)
    if span is None:
        return
    attributes = {"decision": event.decision, "by": event.by, "how": event.how}
    span.attributes |= attributes
    add_note(span, record, attributes, {"reason": event.reason, "arguments": event.arguments, "result": event.result or ""})
    call = span.attributes["call"]
    asked = trace.calls.get(call)
    if asked is not None and event.decision in ("approve", "retry"):
        asked.approval, asked.arguments = span.id, event.arguments or asked.arguments
        span.links.append(span_id(trace.run, "call", call, asked.attempts + 1))
    trace.close(span, record.time, event.decision)


def _expired(trace: Standing, event: ev.ApprovalExpired, record: ev.Record) -> None:
    if (span := trace.questions.pop(event.request, None)) is not None:
        add_note(span, record, {}, {})
        trace.close(span, record.time, "expired")


def _span_started(trace: Standing, event: ev.SpanStarted, record: ev.Record) -> None:
    stack = trace.own.setdefault(event.call, [])
    above = stack[-1] if stack else trace.tools.get(event.call) or trace.step or trace.root
    span = trace.open("user", event.name, record, "user", record.seq, parent=above.id if above else "")
    span.attributes["call"] = event.call
    span.content |= event.attributes
    stack.append(span)


def _span_ended(trace: Standing, event: ev.SpanEnded, record: ev.Record) -> None:
    stack = trace.own.get(event.call, [])
    for span in reversed(stack):
        if span.name == event.name:
            stack.remove(span)
            trace.close(span, record.time, "error" if event.error else "ok", event.error)
            return


#: What each of these events does; handlers take what is open, the event and the record around it.
CALLS: Mapping[type, Callable[[Standing, Any, ev.Record], None]] = {
    ev.CallsJudged: _judged,
    ev.ToolDenied: _tool_denied,
    ev.ApprovalRequested: _asked,
    ev.ApprovalVoted: _voted,
    ev.ApprovalDelegated: _delegated,
    ev.ApprovalDecided: _decided,
    ev.ApprovalExpired: _expired,
    ev.ToolStarted: _tool_started,
    ev.ToolProgressed: _progressed,
    ev.ToolReturned: _tool_ended,
    ev.ToolFailed: _tool_ended,
    ev.ToolIndeterminate: _tool_ended,
    ev.SpanStarted: _span_started,
    ev.SpanEnded: _span_ended,
}
