"""What of a run is open while its records are folded to spans, and how a span is opened, noted on and closed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec

from surefoot.core import events as ev
from surefoot.core.messages import text_of
from surefoot.core.tracing import span_id
from surefoot.core.values import Failure
from surefoot.telemetry.span import KINDS, Note, Span
from surefoot.telemetry.times import Stopwatch, Times

__all__ = ["LOST", "TOTALS", "Asked", "Standing", "add_note", "end_of", "failed", "note", "words"]

#: How a call ends that was in work when its worker died.
LOST = "worker_lost"


#: What a run's span counts.
TOTALS = ("steps", "tool_calls", "retries", "approvals")
#: What events say in words, and not in figures or names.
_SAID = frozenset({"message", "reason", "note", "data", "summary", "error", "parts", "body", "tell", "title", "what", "text"})


class Asked:
    """What the fold keeps of one call of the current step."""

    __slots__ = ("approval", "arguments", "attempts", "name")

    def __init__(self, name: str, arguments: str = "{}") -> None:
        self.name, self.arguments = name, arguments
        self.attempts = 0
        self.approval = ""


class Standing:
    """A run as far as its spans are told. It keeps what is open, and the last step's calls; nothing that has ended.

    Attributes:
        run, trace, agent, parent: the run's id, its trace's, who began it, and the span above it.
        state, dropped: the ``tracestate`` of whoever asked for the run, and whether they keep no spans of the trace.
        status: as `core.status` has it.
        calls: the calls of the current step.
        root, step, model: the open span of the run, of its step, of a request; None where there is none.
        tools: the open span of each call in work. own: users' open spans, of each call the innermost last.
        questions: the open span of each question.
    """

    def __init__(self) -> None:
        self.run = self.trace = self.agent = self.parent = self.state = ""
        self.dropped = False
        self.status = "new"
        self.seq = 0
        self.calls: dict[str, Asked] = {}
        self.root: Span | None = None
        self.step: Span | None = None
        self.model: Span | None = None
        self.tools: dict[str, Span] = {}
        self.own: dict[str, list[Span]] = {}
        self.questions: dict[str, Span] = {}
        self.watch = Stopwatch(0)
        self.totals = dict.fromkeys(TOTALS, 0)
        self.cost: int | None = 0
        self.touched = 0  # when something last happened in the step
        self._before_step = Times()
        self._opened: list[Span] = []
        self._closed: list[Span] = []

    @property
    def times(self) -> Times:
        """Where the run's time went, up to its last record."""
        return self.watch.times

    @property
    def standing(self) -> list[Span]:
        """Every open span, in the order in which they began."""
        spans = [self.root, self.step, self.model, *self.tools.values(), *self.questions.values()]
        spans += [span for stack in self.own.values() for span in stack]
        return sorted([span for span in spans if span], key=lambda span: (span.seq, KINDS.index(span.kind)))

    def open(self, kind: str, name: str, record: ev.Record, *what: object, parent: str | None = None) -> Span:
        """Open a span, under the step unless ``parent`` says otherwise; ``what`` makes its id."""
        above = self.step or self.root
        parent = (above.id if above else "") if parent is None else parent
        span = Span(span_id(self.run, *what), self.trace, parent, self.run, kind, name, record.time, record.seq)
        self._opened.append(span)
        return span

    def close(self, span: Span, time: int, outcome: str = "ok", error: str = "") -> None:
        """Close a span; its end is never before its start."""
        span.end, span.outcome, span.error = max(time, span.start), outcome, error
        self._closed.append(span)

    def begin_step(self, number: int, record: ev.Record) -> None:
        """The step of that number begins, if it has not yet."""
        if self.step is not None and self.step.attributes["step"] == number:
            return
        self.end_work(record.time, LOST)
        self.end_step()
        # A run that goes on after its end may ask its last step again: the number alone is not its own.
        self.step = self.open("step", f"step {number}", record, "step", record.seq)
        self.step.attributes["step"] = number
        self._before_step = replace(self.times)

    def end_step(self) -> None:
        """The step ends when something last happened in it."""
        if self.step is not None:
            self.step.attributes.update(self.times.since(self._before_step))
            self.close(self.step, self.touched)
            self.step = None

    def end_work(self, time: int, error: str) -> None:
        """Nothing of what is in work comes to an end any more."""
        if self.model is not None:
            self.close(self.model, time, "error", error)
            self.model = None
        for call in {**self.tools, **self.own}:
            self.end_tool(call, time, "error", error)

    def end_tool(self, call: str, time: int, outcome: str = "ok", error: str = "") -> Span | None:
        """A try of a call ends, and with it what it had open; None where none had begun."""
        for span in reversed(self.own.pop(call, [])):
            self.close(span, time, outcome, error)
        tool = self.tools.pop(call, None)
        if tool is not None:
            self.close(tool, time, outcome, error)
        return tool


def note(trace: Standing, event: Any, record: ev.Record) -> None:  # noqa: ANN401  any event
    """Any other event is a note where it belongs: at its call, or at the run. What is no figure, name or list of names was
    said.
    """
    span = trace.tools.get(getattr(event, "call", ""), trace.root)
    attributes: dict[str, Any] = {}
    content: dict[str, Any] = {}
    for name, value in msgspec.structs.asdict(event).items():
        if not value and value is not False:
            continue
        if name not in _SAID and _is_name(value):
            attributes[name] = list(value) if isinstance(value, tuple) else value
        else:
            content[name] = text_of(value) if name == "parts" else msgspec.to_builtins(value)
    add_note(span, record, attributes, content)


def _is_name(value: object) -> bool:
    if isinstance(value, tuple):
        return all(isinstance(one, str) for one in value)
    return isinstance(value, str | int | float)


def add_note(span: Span | None, record: ev.Record, attributes: dict[str, Any], content: dict[str, Any]) -> None:
    """Note what a record says on a span, if there is one; of what was said, what is not empty."""
    if span is not None:
        said = {name: value for name, value in content.items() if value}
        span.notes.append(Note(record.time, ev.tag_of(record.event), attributes, said))


def failed(trace: Standing, span: Span, error: Failure, retry_at: int) -> None:
    """Say on a span that it failed, and whether another try follows."""
    span.content["error"] = words(error)
    if error.status:
        span.attributes["status"] = error.status
    if retry_at:
        span.attributes["retry_at"] = retry_at
        trace.totals["retries"] += 1


def words(error: Failure) -> str:
    """A failure as its reader is told."""
    return f"{error.message} {error.hint}".strip()


def end_of(span: Span, duration: int, record: ev.Record) -> int:
    """When it ended: as long after its start as it took, since its record may have been held back for a while."""
    return min(record.time, span.start + duration) if duration else record.time
