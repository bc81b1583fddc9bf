"""Spans as a Chrome trace (the Trace Event Format's complete events), which Perfetto and chrome://tracing open."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from surefoot.telemetry.names import DEFAULT, VERSIONS, described
from surefoot.telemetry.privacy import Redact
from surefoot.telemetry.span import Span

__all__ = ["chrome_document"]


def chrome_document(spans: Iterable[Span], *, content: bool = False, redact: Redact | None = None) -> dict[str, Any]:
    """The trace as one JSON object. A process is a run; spans that overlap without one holding the other have tracks of
    their own, since a track's events must nest. A span that is still open ends where the last of them ends.
    """
    spans = sorted(spans, key=lambda span: (span.start, span.seq))
    last = max([max(span.start, span.end) for span in spans], default=0)
    events: list[dict[str, Any]] = []
    runs: dict[str, int] = {}
    tracks: dict[str, list[list[int]]] = {}
    for span in spans:
        if span.run not in runs:
            runs[span.run] = len(runs) + 1
            events.append(_named("process_name", runs[span.run], 0, f"run {span.run}"))
        track = _track(tracks.setdefault(span.run, []), span.start, span.end or last)
        told = described(span, VERSIONS[DEFAULT], content=content, redact=redact)
        events.append(
            {
                "name": told.name, "cat": span.kind, "ph": "X", "ts": span.start, "dur": (span.end or last) - span.start,
                "pid": runs[span.run], "tid": track, "args": {**told.attributes, "span_id": span.id, "parent": span.parent},
            }
        )  # fmt: skip
        for time, name, fields in told.events:
            events.append({"name": name, "ph": "i", "s": "t", "ts": time, "pid": runs[span.run], "tid": track, "args": fields})
    return {"traceEvents": events, "displayTimeUnit": "ms"}


def _named(kind: str, process: int, track: int, name: str) -> dict[str, Any]:
    return {"name": kind, "ph": "M", "pid": process, "tid": track, "args": {"name": name}}


def _track(tracks: list[list[int]], start: int, end: int) -> int:
    """The first track on which a span nests in what is open there; ``tracks`` holds the ends of what is open on each."""
    for number, ends in enumerate(tracks, 1):
        while ends and ends[-1] <= start:
            ends.pop()
        if not ends or end <= ends[-1]:
            ends.append(end)
            return number
    tracks.append([end])
    return len(tracks)
