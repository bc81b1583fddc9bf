"""Figures over many runs: how often, how long, how much, and what went wrong; by agent, run, session, user, tool or model."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from surefoot.telemetry.span import Span

__all__ = ["BY", "Row", "quantile", "table"]

#: What can be counted by, and the kind of span that is counted.
BY = {"agent": "run", "run": "run", "session": "run", "user": "run", "tool": "tool", "model": "model"}


@dataclass(slots=True)
class Row:
    """One agent, tool, model and so on. Durations are microseconds, ``cost`` millionths of a dollar where the price is known.

    Attributes:
        count: runs, tries of calls, or requests that ended. open: those that have not.
        errors: how many failed, by kind. unpriced: requests whose price is unknown.
    """

    name: str
    count: int = 0
    open: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    durations: list[int] = field(default_factory=list)
    input_tokens: int = 0
    output_tokens: int = 0
    cost: int = 0
    unpriced: int = 0

    @property
    def failed(self) -> int:
        """How many failed."""
        return sum(self.errors.values())


def table(spans: Iterable[Span], by: str) -> list[Row]:
    """The rows, the one that took the most time first. Tokens and cost of a run are those of its own requests."""
    rows: dict[str, Row] = {}
    whose: dict[str, str] = {}
    for span in spans:
        if span.kind == "run":
            whose[span.run] = _whose(span, by)
        if span.kind == BY[by]:
            name = whose[span.run] if span.kind == "run" else span.name
            _count(rows.setdefault(name, Row(name)), span)
        if span.kind == "model" and by != "tool" and "cost" in span.attributes:
            name = span.name if by == "model" else whose.get(span.run, "")
            _spend(rows.setdefault(name, Row(name)), span)
    return sorted(rows.values(), key=lambda row: -sum(row.durations))


def _whose(run: Span, by: str) -> str:
    return run.run if by == "run" else str(run.attributes.get(by, "")) if by in ("session", "user") else run.name


def _count(row: Row, span: Span) -> None:
    if not span.end:
        row.open += 1
        return
    row.count += 1
    row.durations.append(span.duration)
    if span.error or span.outcome == "cancelled":
        row.errors[span.error or "cancelled"] += 1


def _spend(row: Row, span: Span) -> None:
    row.input_tokens += span.attributes["input_tokens"]
    row.output_tokens += span.attributes["output_tokens"]
    cost = span.attributes["cost"]
    row.unpriced += cost is None
    row.cost += cost or 0


def quantile(values: Sequence[int], share: float) -> int:
    """The smallest value that at least ``share`` of the values do not pass (nearest rank); 0 of none."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else 0
