"""How models and tools are doing, as a fold of the journal: their breakers, retries against the budget, what failed lately.

`Health.run` takes a run's records, `Health.app` those of the ``app`` stream; both may be of any time, and what they add up
to is of that time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from surefoot.core import events as ev
from surefoot.core.values import Failure

__all__ = ["Health", "Subject"]


@dataclass(slots=True)
class Subject:
    """One model or tool. Times are Unix microseconds; ``breaker`` is closed, open or half_open, ``until`` when it is tried.

    ``retries`` are those of ``asked`` that were not the first; ``stood_in`` counts answers in another model's place.
    """

    name: str
    kind: str
    asked: int = 0
    retries: int = 0
    stood_in: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    last: str = ""
    last_at: int = 0
    breaker: str = "closed"
    reason: str = ""
    until: int = 0

    def fails(self, kind: str, message: str, time: int) -> None:
        """Count a failure."""
        self.failed[kind] += 1
        if time >= self.last_at:
            self.last, self.last_at = message, time


class Health:
    """What was seen of models and tools. ``warnings`` counts what runs were warned of, ``resumed`` how often one was."""

    def __init__(self) -> None:
        self._subjects: dict[tuple[str, str], Subject] = {}
        self.warnings: Counter[str] = Counter()
        self.resumed = 0

    @property
    def subjects(self) -> list[Subject]:
        """Models, then tools, each by name."""
        return [self._subjects[key] for key in sorted(self._subjects)]

    def app(self, records: Iterable[ev.Record]) -> None:
        """Take in what breakers did."""
        for record in records:
            event = record.event
            if isinstance(event, ev.BreakerChanged):
                kind, _, name = event.subject.partition(":")
                subject = self._of(kind, name) if kind in ("tool", "toolset") else self._of("model", event.subject)
                subject.breaker, subject.reason, subject.until = event.state, event.reason, event.until

    def run(self, records: Iterable[ev.Record]) -> None:
        """Take in a run."""
        model, tools = "", dict[str, str]()
        for record in records:
            match record.event:
                case ev.ModelRequested() as event:
                    model = event.model
                    self._asked("model", model, event.attempt)
                case ev.ModelFailed() as event:
                    self._failed("model", model, event.error, record.time)
                case ev.RunWarned() as event:
                    self.warnings[event.kind] += 1
                    if event.kind == "fell_back":
                        self._tried(event.data, record.time)
                        self._of("model", str(event.data.get("answered", ""))).stood_in += 1
                case ev.RunResumed():
                    self.resumed += 1
                case ev.ToolStarted() as event:
                    tools[event.call] = event.name
                    self._asked("tool", event.name, event.attempt)
                case ev.ToolFailed() as event if event.call in tools:
                    self._failed("tool", tools[event.call], event.error, record.time)
                case ev.ToolIndeterminate() as event if event.call in tools:
                    self._of("tool", tools[event.call]).fails("unknown_outcome", event.reason, record.time)
                case _:
                    pass

    def _of(self, kind: str, name: str) -> Subject:
        return self._subjects.setdefault((kind, name), Subject(name, kind))

    def _asked(self, kind: str, name: str, attempt: int) -> None:
        subject = self._of(kind, name)
        subject.asked += 1
        subject.retries += attempt > 1

    def _failed(self, kind: str, name: str, error: Failure, time: int) -> None:
        if not self._tried(error.data, time):
            self._of(kind, name).fails(error.kind, error.message, time)

    def _tried(self, data: dict[str, Any], time: int) -> bool:
        """Count what became of each model of a chain; False when there was none."""
        tried = data.get("tried")
        if not isinstance(tried, list):
            return False
        for one in tried:
            self._of("model", str(one.get("model", ""))).fails(str(one.get("kind", "")), str(one.get("message", "")), time)
        return bool(tried)
