"""The one fold of a run's records to spans, which every view and every exporter prints.

`Trace.apply` takes one record and says which spans it opened and which it closed; `spans_of` folds a whole run. A span's id
is made of the run and of what the span is (`core.tracing`), so that the same records give the same spans, whoever folds
them, and however often. Nothing here reads a clock; an open span has no end.

A run's span holds one span a step; a step holds one for each time the model was asked and one for each time a tool was
started, so that a retry is a span of its own and nothing is counted twice. A question to a human hangs on the run, since it
may outlive its step, and is linked to the call it let run. What was said is in `Span.content`, apart from everything else,
so that it can be left out whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from surefoot.core import events as ev
from surefoot.core.messages import Reasoning, ToolCall, text_of
from surefoot.core.status import ENDED, status_after
from surefoot.core.tracing import span_id, trace_id
from surefoot.telemetry.calls import CALLS
from surefoot.telemetry.span import Change, Span
from surefoot.telemetry.standing import LOST, TOTALS, Asked, Standing, end_of, failed, note, words
from surefoot.telemetry.times import Stopwatch, Times

__all__ = ["Trace", "spans_of"]


class Trace(Standing):
    """One run's spans as its records come: what `Standing` says is open, and no more."""

    def apply(self, record: ev.Record) -> Change:
        """Add one record. One that was added before changes nothing."""
        if record.seq <= self.seq or record.stream == "app":
            return Change()
        after = status_after(self.status, record.event)
        if not self.run:
            self.run, self.trace = record.stream, trace_id("", record.stream)
        if self.root is None and after not in ENDED and type(record.event) is not ev.RunStarted:
            _begin(self, record)  # it goes on after it had ended, or its first event was redacted
        self.watch.pass_to(record, self.status, asked=bool(self.questions))
        _APPLY.get(type(record.event), note)(self, record.event, record)
        if after in ENDED and self.root is not None:  # the event that says so was redacted
            _close_run(self, self.root, record, after)
        self.seq, self.status = record.seq, after
        change = Change(tuple(self._opened), tuple(self._closed))
        self._opened, self._closed = [], []
        return change


def spans_of(records: Iterable[ev.Record]) -> list[Span]:
    """Every span of a run, open ones included, in the order in which they began."""
    trace = Trace()
    return [span for record in records for span in trace.apply(record).opened]


# Handlers take the trace, the event and the record around it.


def _begin(trace: Standing, record: ev.Record) -> Span:
    """The run's span, and once it goes on after its end, another one in the same trace."""
    trace.root = trace.open("run", trace.agent, record, *(["resumed", record.seq] if trace.seq else []), parent=trace.parent)
    if trace.seq:
        trace.root.links.append(span_id(trace.run))
    trace.watch, trace.totals, trace.cost = Stopwatch(record.time), dict.fromkeys(TOTALS, 0), 0
    trace.touched = record.time
    return trace.root


def _started(trace: Standing, event: ev.RunStarted, record: ev.Record) -> None:
    trace.trace = trace_id(event.trace_id, record.stream)
    trace.state, trace.dropped = event.trace_state, event.trace_dropped
    trace.agent = event.agent
    trace.parent = event.parent_span or (span_id(event.parent, "call", event.parent_call, 1) if event.parent else "")
    root = _begin(trace, record)
    for name in ("session", "user", "tenant", "key", "parent", "parent_call", "forked_from"):
        if value := getattr(event, name):
            root.attributes[name] = value
    if event.tags:
        root.attributes["tags"] = list(event.tags)
    root.content["input"] = text_of(event.input)


def _claimed(trace: Standing, event: ev.RunClaimed, record: ev.Record) -> None:
    trace.end_work(record.time, LOST)
    note(trace, event, record)


def _ended(trace: Standing, event: ev.RunFinished | ev.RunFailed | ev.RunCancelled, record: ev.Record) -> None:
    root = trace.root
    if root is None:
        return
    match event:
        case ev.RunFinished():
            root.content["output"] = event.output
            _close_run(trace, root, record, "done")
        case ev.RunFailed():
            root.content["error"] = words(event.error)
            _close_run(trace, root, record, "failed", event.error.kind)
        case _:
            root.content["reason"] = event.reason
            root.attributes["by"] = event.by
            _close_run(trace, root, record, "cancelled")


def _close_run(trace: Standing, root: Span, record: ev.Record, outcome: str, error: str = "") -> None:
    trace.end_work(record.time, "cancelled" if outcome == "cancelled" else LOST)
    trace.touched = record.time
    trace.end_step()
    for span in trace.questions.values():
        trace.close(span, record.time, "open")
    trace.questions.clear()
    root.attributes |= {**trace.totals, "cost": trace.cost, **trace.times.since(Times())}
    trace.close(root, record.time, outcome, error)
    trace.root = None


def _requested(trace: Standing, event: ev.ModelRequested, record: ev.Record) -> None:
    if trace.model is not None:  # somebody spoke, and it is asked anew
        trace.close(trace.model, record.time, "error", "interrupted")
        trace.model = None
    trace.begin_step(event.step, record)
    trace.model = trace.open("model", event.model, record, "model", record.seq)
    trace.model.attributes |= {"step": event.step, "attempt": event.attempt}
    if event.purpose:
        trace.model.attributes["purpose"] = event.purpose
    trace.touched = record.time


def _replied(trace: Standing, event: ev.ModelReplied, record: ev.Record) -> None:
    trace.begin_step(event.step, record)
    span = trace.model or trace.open("model", event.model, record, "model", record.seq)
    trace.model = None
    calls = [part for part in event.parts if type(part) is ToolCall]
    span.attributes |= {"finish": event.finish, "calls": [call.name for call in calls]}
    _spent(trace, span, event)
    for name in ("model", "request_id", "first_token"):
        if value := getattr(event, name):
            span.attributes["response_model" if name == "model" else name] = value
    span.content["text"] = text_of(event.parts)
    span.content["reasoning"] = "".join([part.text for part in event.parts if type(part) is Reasoning])
    span.content["calls"] = [{"id": call.id, "name": call.name, "arguments": call.arguments} for call in calls]
    trace.calls = {call.id: Asked(call.name, call.arguments) for call in calls}
    trace.totals["steps"] += 1
    trace.close(span, end_of(span, event.duration, record))
    trace.touched = record.time


def _spent(trace: Standing, span: Span, event: ev.ModelReplied | ev.ContextCompacted) -> None:
    """What a request used."""
    span.attributes["cost"] = event.cost
    span.attributes |= {f"{name}_tokens": getattr(event.usage, name) for name in event.usage.__struct_fields__}
    trace.cost = None if trace.cost is None or event.cost is None else trace.cost + event.cost


def _compacted(trace: Standing, event: ev.ContextCompacted, record: ev.Record) -> None:
    """The prompt was made to fit, perhaps by a summary that a model was asked for."""
    span = trace.model
    if span is not None and "purpose" in span.attributes:
        trace.model = None
        if event.model:
            span.attributes["finish"] = "stop"
            span.content |= {"text": event.summary, "reasoning": "", "calls": []}
            _spent(trace, span, event)
            trace.close(span, record.time)
        else:
            trace.close(span, record.time, "error", "summary_failed")
        trace.touched = record.time
    note(trace, event, record)


def _warned(trace: Standing, event: ev.RunWarned, record: ev.Record) -> None:
    """Where another model answered, each that was asked before it has a span of its own."""
    note(trace, event, record)
    main, tried = trace.model, event.data.get("tried")
    if event.kind != "fell_back" or main is None or not isinstance(tried, list):
        return
    for number, one in enumerate(tried):
        span = trace.open("model", str(one.get("model", "")), record, "model", main.seq, number)
        span.start, span.parent = main.start, main.parent
        span.attributes |= {**main.attributes, "asked": str(event.data.get("asked", ""))}
        span.content["error"] = str(one.get("message", ""))
        main.start = min(record.time, span.start + int(one.get("duration", 0)))
        trace.close(span, main.start, "error", str(one.get("kind", "")))
    main.name, main.attributes["asked"] = str(event.data.get("answered", "")), main.name


def _model_failed(trace: Standing, event: ev.ModelFailed, record: ev.Record) -> None:
    trace.begin_step(event.step, record)
    span = trace.model or trace.open("model", "", record, "model", record.seq)
    trace.model = None
    failed(trace, span, event.error, event.retry_at)
    trace.close(span, end_of(span, event.duration, record), "error", event.error.kind)
    trace.touched = record.time


def _recalled(trace: Standing, event: ev.MemoryRecalled, record: ev.Record) -> None:
    span = trace.open("memory", "recall", record, "memory", record.seq)
    span.attributes |= {"entries": list(event.entries), "tokens": event.tokens, "scores": list(event.scores)}
    span.content["text"] = event.text
    trace.close(span, record.time)


def _quiet(trace: Standing, event: ev.Event, record: ev.Record) -> None:
    """Told by the spans around it."""


_APPLY: dict[type, Callable[[Standing, Any, ev.Record], None]] = {
    **CALLS,
    ev.RunStarted: _started,
    ev.RunClaimed: _claimed,
    ev.RunFinished: _ended,
    ev.RunFailed: _ended,
    ev.RunCancelled: _ended,
    ev.MemoryRecalled: _recalled,
    ev.ContextCompacted: _compacted,
    ev.ModelRequested: _requested,
    ev.ModelReplied: _replied,
    ev.ModelFailed: _model_failed,
    ev.ApprovalConsumed: _quiet,
    ev.RunWarned: _warned,
}
