"""What a span is: a stretch of a run with a name, figures, what was said in it, and how it ended."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

__all__ = ["KINDS", "Change", "Note", "Span"]

#: What a span can be; ``user`` is one of a tool's own.
KINDS = ("run", "step", "model", "tool", "approval", "memory", "user")


@dataclass(frozen=True, slots=True)
class Note:
    """Something that happened inside a span: its time (Unix microseconds), the event's tag, and what there is to it."""

    time: int
    name: str
    attributes: dict[str, Any] = field(default_factory=dict)
    content: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Span:
    """A stretch of a run. Times are Unix microseconds, durations microseconds; ``end`` is 0 while it is open.

    Attributes:
        id, trace, parent: hex, as W3C Trace Context has them; ``parent`` is empty for the root.
        run: the run it belongs to.
        kind: one of `KINDS`.
        name: of the agent, the model, the tool or the user's span.
        seq: the sequence number of the event that opened it.
        outcome: how it ended: ok, error, waiting, or a word of its kind (done, failed, cancelled; approve, deny, …).
        error: the kind of failure, where it failed.
        attributes: figures and names.
        content: what was said: text, reasoning, arguments, results, messages of errors.
        links: ids of spans that belong to it elsewhere in the trace.
    """

    id: str
    trace: str
    parent: str
    run: str
    kind: str
    name: str
    start: int
    seq: int
    end: int = 0
    outcome: str = ""
    error: str = ""
    attributes: dict[str, Any] = field(default_factory=dict)
    content: dict[str, Any] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)
    links: list[str] = field(default_factory=list)

    @property
    def duration(self) -> int:
        """Microseconds from start to end; 0 while it is open."""
        return max(0, self.end - self.start) if self.end else 0


@dataclass(frozen=True, slots=True)
class Change:
    """What one record did: the spans it opened and those it closed, in order; one may be in both."""

    opened: tuple[Span, ...] = ()
    closed: tuple[Span, ...] = ()
