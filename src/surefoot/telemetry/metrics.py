"""Figures of runs for monitoring: what is measured of a span that ended, and a sink that adds it up as Prometheus' text.

`measured` is the one list of measurements; OpenTelemetry's exporter and `Metrics` both use it. Names follow the conventions
for generative AI (`telemetry.names`), others begin with ``surefoot.``. In Prometheus' text dots become underscores, and
units and ``_total`` are appended, as its naming rules have it (text format 0.0.4).
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from surefoot.core.events import BreakerChanged, Record
from surefoot.telemetry.names import DEFAULT, VERSIONS, Names, model_of
from surefoot.telemetry.privacy import Redact, mask
from surefoot.telemetry.span import Change, Span
from surefoot.telemetry.spans import Trace

__all__ = ["Breakers", "Measure", "Metrics", "Point", "measured"]

#: Upper bounds of the conventions: of seconds, of tokens, and of things counted in a run.
_SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
_TOKENS = (1, 4, 16, 64, 256, 1_024, 4_096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304, 16_777_216, 67_108_864)
_COUNTS = (1, 2, 4, 8, 16, 32, 64, 128)
_BOUNDS: Mapping[str, tuple[float, ...]] = {"s": _SECONDS, "{token}": _TOKENS}


@dataclass(frozen=True, slots=True)
class Measure:
    """What is measured. ``kind`` is counter, gauge or histogram; ``unit`` as UCUM has it."""

    name: str
    kind: str
    unit: str
    help: str

    @property
    def bounds(self) -> tuple[float, ...]:
        """Upper bounds of a histogram's buckets."""
        return _BOUNDS.get(self.unit, _COUNTS)


@dataclass(frozen=True, slots=True)
class Point:
    """One measurement."""

    measure: Measure
    value: float
    labels: tuple[tuple[str, str], ...] = ()


RUNS = Measure("surefoot.runs", "counter", "{run}", "Runs that ended, by agent and status.")
OPEN = Measure("surefoot.runs.open", "gauge", "{run}", "Runs that have not ended.")
TIME = Measure("surefoot.run.time", "counter", "s", "Where the time of ended runs went: queued, worked, human, waited, lost.")
RETRIES = Measure("surefoot.retries", "counter", "{retry}", "Failures after which another try was made, by kind and error.")
CALLS = Measure("surefoot.tool.calls", "counter", "{call}", "Tries of tool calls, by tool.")
ERRORS = Measure("surefoot.tool.errors", "counter", "{error}", "Tries of tool calls that failed, by tool and error.")
PENDING = Measure("surefoot.approvals.pending", "gauge", "{request}", "Questions to humans that are open.")
DECIDED = Measure("surefoot.approval.duration", "histogram", "s", "Time from a question to its decision, by tool and decision.")
RECALLS = Measure("surefoot.memory.recalls", "counter", "{recall}", "Recalls from memory, by whether anything was found.")
RECALLED = Measure("surefoot.memory.entries", "counter", "{entry}", "Entries of memory that were put into prompts.")
COST = Measure("surefoot.cost", "counter", "USD", "Cost of requests whose price is known, by agent and model.")
BREAKER = Measure(
    "surefoot.breaker", "gauge", "{state}", "State of a model's or a tool's breaker: 0 closed, 1 half open, 2 open."
)
UNPRICED = Measure("surefoot.cost.unknown", "counter", "{request}", "Requests whose price is unknown, by agent and model.")


def measured(change: Change, agent: str, names: Names = VERSIONS[DEFAULT]) -> list[Point]:
    """What one record's change to a run of ``agent`` measures."""
    points = [Point(OPEN if span.kind == "run" else PENDING, 1) for span in change.opened if span.kind in ("run", "approval")]
    for span in change.closed:
        points += _MEASURE.get(span.kind, _nothing)(span, agent, names)
    return points


def _nothing(span: Span, agent: str, names: Names) -> Iterator[Point]:
    yield from ()


def _run(span: Span, agent: str, names: Names) -> Iterator[Point]:
    labels = {names.operation: "invoke_agent", names.agent_name: agent}
    told = span.attributes
    yield Point(OPEN, -1)
    yield Point(RUNS, 1, _labels({names.agent_name: agent, "status": span.outcome}))
    yield _histogram(names.agent_duration, "s", "Time from a run's start to its end.", span, labels, names)
    yield Point(_count(names.inference_calls, "Requests to models in a run."), told["steps"], _labels(labels))
    yield Point(_count(names.tool_calls, "Calls of tools in a run."), told["tool_calls"], _labels(labels))
    for part in ("queued", "worked", "human", "waited", "lost"):
        if part in told:
            yield Point(TIME, told[part] / 1e6, _labels({names.agent_name: agent, "part": part}))


def _model(span: Span, agent: str, names: Names) -> Iterator[Point]:
    provider, model = model_of(span.name)
    told = span.attributes
    labels = {names.operation: "chat", names.provider: provider, names.request_model: model}
    yield _histogram(names.operation_duration, "s", "Time a request to a model took.", span, labels, names)
    if "first_token" in told:
        first = Measure(names.first_chunk, "histogram", "s", "Time to the first piece of an answer.")
        yield Point(first, told["first_token"] / 1e6, _labels(labels))
    if "finish" in told:
        usage = Measure(names.token_usage, "histogram", "{token}", "Tokens of a request, by type.")
        for kind in ("input", "output"):
            yield Point(usage, told[f"{kind}_tokens"], _labels({**labels, names.token_type: kind}))
        priced = _labels({names.agent_name: agent, names.request_model: model})
        yield Point(UNPRICED, 1, priced) if told["cost"] is None else Point(COST, told["cost"] / 1e6, priced)
    if "retry_at" in told:
        yield Point(RETRIES, 1, _labels({"kind": "model", names.error: span.error}))


def _tool(span: Span, agent: str, names: Names) -> Iterator[Point]:
    labels = {names.operation: "execute_tool", names.tool_name: span.name}
    if span.attributes["attempt"]:
        yield Point(CALLS, 1, _labels({names.tool_name: span.name}))
        yield _histogram(names.tool_duration, "s", "Time a try of a tool call took.", span, labels, names)
    if span.error:
        called = span.name if span.error != "not_found" else "unknown"  # a model may make up any number of names
        yield Point(ERRORS, 1, _labels({names.tool_name: called, names.error: span.error}))
    if "retry_at" in span.attributes:
        yield Point(RETRIES, 1, _labels({"kind": "tool", names.error: span.error}))


def _approval(span: Span, agent: str, names: Names) -> Iterator[Point]:
    yield Point(PENDING, -1)
    yield Point(DECIDED, span.duration / 1e6, _labels({names.tool_name: span.name, "decision": span.outcome}))


def _memory(span: Span, agent: str, names: Names) -> Iterator[Point]:
    found = len(span.attributes["entries"])
    yield Point(RECALLS, 1, _labels({"found": "yes" if found else "no"}))
    yield Point(RECALLED, found)


_MEASURE: Mapping[str, Callable[[Span, str, Names], Iterator[Point]]] = {
    "run": _run, "model": _model, "tool": _tool, "approval": _approval, "memory": _memory,
}  # fmt: skip


def _histogram(name: str, unit: str, about: str, span: Span, labels: dict[str, str], names: Names) -> Point:
    failed = {names.error: span.error} if span.error else {}
    return Point(Measure(name, "histogram", unit, about), span.duration / 1e6, _labels({**labels, **failed}))


def _count(name: str, about: str) -> Measure:
    return Measure(name, "histogram", "{call}", about)


def _labels(labels: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple([(name, value) for name, value in labels.items() if value])


class Breakers:
    """The states of breakers, as the journal's ``app`` stream tells of them; a change is measured as the step it is."""

    def __init__(self) -> None:
        self._states: dict[str, int] = {}

    def __call__(self, record: Record) -> tuple[Point, ...]:
        """What a record of the ``app`` stream measures."""
        event = record.event
        if not isinstance(event, BreakerChanged):
            return ()
        state = ("closed", "half_open", "open").index(event.state) if event.state in ("half_open", "open") else 0
        step = state - self._states.get(event.subject, 0)
        self._states[event.subject] = state
        return (Point(BREAKER, step, _labels({"subject": event.subject})),)


# ── adding up ───────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(slots=True)
class _Sum:
    """What came together under one set of labels."""

    total: float = 0.0
    count: int = 0
    buckets: list[int] = field(default_factory=list)


class Metrics:
    """A sink that adds up all runs of a journal, from its beginning; `text` gives the sums to Prometheus.

    It holds one sum for each set of labels, and nothing of the runs themselves. Labels, which are names, pass ``redact`` like all
    that leaves.
    """

    def __init__(self, *, redact: Redact | None = None) -> None:
        self._redact = redact or mask()
        self._sums: dict[Measure, dict[tuple[tuple[str, str], ...], _Sum]] = {}
        self._lock = threading.Lock()
        self._breakers = Breakers()

    @property
    def name(self) -> str:
        """See `Sink.name`."""
        return "metrics"

    def begin(self) -> Callable[[Record], Sequence[Point]]:
        """See `Sink.begin`."""
        trace = Trace()

        def take(record: Record) -> Sequence[Point]:
            if record.stream == "app":
                return self._breakers(record)
            change = trace.apply(record)  # first: it says whose run it is
            return measured(change, trace.agent)

        return take

    def write(self, before: Sequence[Point], fresh: Sequence[Point]) -> None:
        """See `Sink.write`."""
        with self._lock:
            for point in fresh:
                self._add(point)

    def pruned(self, run: str) -> None:
        """See `Sink.pruned`: what was counted stays counted."""

    def close(self) -> None:
        """See `Sink.close`."""

    def observe(self, points: Sequence[Point]) -> None:
        """Take what the journal does not hold."""
        self.write((), points)

    def _add(self, point: Point) -> None:
        measure = point.measure
        found = self._sums.setdefault(measure, {})
        labels = tuple([(name, self._redact(value)) for name, value in point.labels])
        added = found.get(labels)
        if added is None:
            added = found[labels] = _Sum(buckets=[0] * (len(measure.bounds) + 1))
        added.total += point.value
        added.count += 1
        added.buckets[bisect_left(measure.bounds, point.value)] += 1

    def text(self) -> str:
        """All of it, as an endpoint ``/metrics`` answers: ``text/plain; version=0.0.4``."""
        with self._lock:
            return "".join([line for measure in sorted(self._sums, key=lambda one: one.name) for line in self._lines(measure)])

    def _lines(self, measure: Measure) -> Iterator[str]:
        name = _prometheus(measure)
        yield f"# HELP {name} {measure.help}\n# TYPE {name} {measure.kind}\n"
        for labels, added in sorted(self._sums[measure].items()):
            if measure.kind != "histogram":
                yield f"{name}{_braces(labels)} {added.total:.15g}\n"
                continue
            below = 0
            for bound, count in zip((*measure.bounds, "+Inf"), added.buckets, strict=True):
                below += count
                yield f"{name}_bucket{_braces((*labels, ('le', str(bound))))} {below}\n"
            yield f"{name}_sum{_braces(labels)} {added.total:.15g}\n{name}_count{_braces(labels)} {added.count}\n"


def _prometheus(measure: Measure) -> str:
    unit = {"s": "_seconds", "USD": "_usd"}.get(measure.unit, "")
    total = "_total" if measure.kind == "counter" else ""
    return measure.name.replace(".", "_") + unit + total


def _braces(labels: Sequence[tuple[str, str]]) -> str:
    if not labels:
        return ""
    told = [f'{name.replace(".", "_")}="{_escaped(value)}"' for name, value in labels]
    return "{" + ",".join(told) + "}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
