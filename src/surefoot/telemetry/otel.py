"""Send runs to an OpenTelemetry collector: traces, metrics and logs over OTLP; the only file that imports OpenTelemetry.

Spans are made from the journal with ids of their own, so the SDK's tracer has no part in it: finished spans go to the SDK's
exporter in batches, and a batch that could not be sent comes again. Where the collector is, which headers and certificates
it wants, how the service is called and what is sampled say the standard variables, ``OTEL_EXPORTER_OTLP_ENDPOINT``,
``OTEL_EXPORTER_OTLP_HEADERS``, ``OTEL_RESOURCE_ATTRIBUTES``, ``OTEL_SERVICE_NAME``, ``OTEL_TRACES_SAMPLER`` and so on. What was
said is sent only where ``OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT`` or the argument says so.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from surefoot.core import events as ev
from surefoot.core.errors import ConfigurationError, MissingExtra
from surefoot.telemetry.metrics import Breakers, Measure, Point, measured
from surefoot.telemetry.names import DEFAULT, SCOPE, VERSIONS, described
from surefoot.telemetry.privacy import Redact, applied, mask
from surefoot.telemetry.prompts import Prompts
from surefoot.telemetry.span import Span
from surefoot.telemetry.spans import Trace

try:
    from opentelemetry import trace as api
    from opentelemetry._logs import LogRecord, SeverityNumber
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk._logs import ReadableLogRecord
    from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import MetricExporter, PeriodicExportingMetricReader
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import Event, ReadableSpan, TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
    from opentelemetry.sdk.trace.sampling import Decision
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope
except ImportError:
    raise MissingExtra("telemetry to an OpenTelemetry collector", "otel") from None

__all__ = ["CAPTURE", "Exporters", "Otel"]

#: The variable that says whether what was said is sent.
CAPTURE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
_NO = frozenset({"", "0", "false", "no", "no_content"})
#: Spans, or records of logs, in one request.
_BATCH = 512
#: Seconds between two sendings of metrics.
_METRICS = 10.0

_log = logging.getLogger("surefoot.telemetry")
_ERROR, _WARN, _INFO = SeverityNumber.ERROR, SeverityNumber.WARN, SeverityNumber.INFO
#: Events that are logs as well, and how bad they are.
_LOGGED = {
    ev.RunStarted: _INFO, ev.RunFinished: _INFO, ev.RunCancelled: _INFO, ev.RunResumed: _INFO, ev.ApprovalRequested: _INFO,
    ev.ApprovalDecided: _INFO, ev.RunWarned: _WARN, ev.ModelFailed: _WARN, ev.ToolFailed: _WARN, ev.ToolDenied: _WARN,
    ev.ApprovalExpired: _WARN, ev.OutputRejected: _WARN, ev.RunFailed: _ERROR, ev.ToolIndeterminate: _ERROR,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Exporters:
    """Where spans, metrics and logs go; by default OTLP over HTTP, each where the standard variables say. None sends none."""

    spans: SpanExporter | None
    metrics: MetricExporter | None
    logs: LogRecordExporter | None

    @classmethod
    def standard(cls) -> Exporters:
        """OTLP, but for what ``OTEL_TRACES_EXPORTER``, ``OTEL_METRICS_EXPORTER`` or ``OTEL_LOGS_EXPORTER`` calls ``none``."""
        wanted = {name for name in ("TRACES", "METRICS", "LOGS") if os.environ.get(f"OTEL_{name}_EXPORTER") != "none"}
        if os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
            wanted = set()
        return cls(
            OTLPSpanExporter() if "TRACES" in wanted else None,
            OTLPMetricExporter() if "METRICS" in wanted else None,
            OTLPLogExporter() if "LOGS" in wanted else None,
        )


@dataclass(frozen=True, slots=True)
class _Told:
    """What one record gives: spans that ended, measurements, and a log's severity and span."""

    record: ev.Record
    trace: api.SpanContext | None
    spans: tuple[Span, ...]
    points: tuple[Point, ...]
    severity: SeverityNumber | None
    span: str


class Otel:
    """A sink that sends to a collector.

    Args:
        content: whether what was said is sent; by default as ``CAPTURE`` says, and no.
        redact: what every text passes before it leaves; by default what looks like a secret is masked.
        version: of the semantic conventions, one of `names.VERSIONS`.
        exporters: where to; by default OTLP.

    Raises MissingExtra without the extra ``otel``, ConfigurationError for a version that there is not.
    """

    def __init__(
        self,
        *,
        content: bool | None = None,
        redact: Redact | None = None,
        version: str = DEFAULT,
        exporters: Exporters | None = None,
    ) -> None:
        if version not in VERSIONS:
            raise ConfigurationError(f"there are no names of version {version!r:.50}; there is {', '.join(VERSIONS)}")
        self._names = VERSIONS[version]
        captured = os.environ.get(CAPTURE, "").strip().lower() not in _NO
        self._content = captured if content is None else content
        self._redact = redact or mask()
        self._exporters = exporters or Exporters.standard()
        named = "service.name" in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "") or "OTEL_SERVICE_NAME" in os.environ
        self._resource = Resource.create({} if named else {"service.name": SCOPE})
        self._scope = InstrumentationScope(SCOPE)
        self._sampler = TracerProvider(resource=self._resource, shutdown_on_exit=False).sampler
        self._breakers = Breakers()
        self._figures = _Figures(self._exporters.metrics, self._resource)

    @property
    def name(self) -> str:
        """See `Sink.name`."""
        return "OpenTelemetry"

    def begin(self) -> Callable[[ev.Record], Sequence[_Told]]:
        """See `Sink.begin`."""
        trace = Trace()
        prompts = Prompts() if self._content else None

        def take(record: ev.Record) -> Sequence[_Told]:
            if record.stream == "app":
                points = self._breakers(record)
                return [_Told(record, None, (), points, None, "")] if points else ()
            if record.seq <= trace.seq:
                return ()
            root = trace.root
            change = trace.apply(record)
            asked = prompts.take(record) if prompts is not None else None
            if asked is not None and trace.model is not None:
                trace.model.content["prompt"] = asked
            severity = _LOGGED.get(type(record.event))
            above = change.closed[0] if change.closed else root or trace.root
            points = tuple(measured(change, trace.agent, self._names))
            if not (change.closed or points or severity):
                return ()
            return [_Told(record, _context_of(trace), change.closed, points, severity, above.id if above else "")]

        return take

    def write(self, before: Sequence[_Told], fresh: Sequence[_Told]) -> None:
        """Send spans, logs and measurements. Raises ConnectionError when the collector cannot be reached."""
        sampled = [(told, told.trace) for told in fresh if told.trace is not None and self._is_sampled(told.trace)]
        spans = [self._span(span, trace.trace_state) for told, trace in sampled for span in told.spans]
        self._send(self._exporters.spans, spans)
        self._send(self._exporters.logs, [self._logged(told, trace) for told, trace in sampled if told.severity is not None])
        self._figures.add([(point, applied(self._redact, dict(point.labels))) for told in fresh for point in told.points])

    def observe(self, points: Sequence[Point]) -> None:
        """Take what the journal does not hold."""
        self._figures.note([(point, dict(point.labels)) for point in points])

    def pruned(self, run: str) -> None:
        """See `Sink.pruned`: what was sent is not ours any more."""

    def close(self) -> None:
        """See `Sink.close`: the last metrics are sent."""
        self._figures.send()

    def _is_sampled(self, trace: api.SpanContext) -> bool:
        """Whether a trace is sent: the sampler is asked by what is the same for all of a trace, so that it is sent whole or not
        at all: its id, and what whoever handed it in decided.
        """
        above = api.set_span_in_context(api.NonRecordingSpan(trace)) if trace.is_remote else None
        return self._sampler.should_sample(above, trace.trace_id, SCOPE).decision is Decision.RECORD_AND_SAMPLE

    def _send(self, exporter: Any, items: Sequence[Any]) -> None:  # noqa: ANN401  exporters share no type
        if exporter is None:
            return
        for at in range(0, len(items), _BATCH):
            batch = items[at : at + _BATCH]
            if _sent(exporter, batch):
                continue
            if not _sent(exporter, []):
                raise ConnectionError("the collector cannot be reached")
            # It is there and will not have the batch: what it refuses by itself would stand in the way for ever.
            refused = sum(1 for item in batch if not _sent(exporter, [item]))
            _log.error("the collector refused %d of %d items of telemetry; they are left out", refused, len(batch))

    def _span(self, span: Span, state: api.TraceState) -> ReadableSpan:
        told = described(span, self._names, content=self._content, redact=self._redact)
        status = api.Status(api.StatusCode.ERROR, span.error) if told.failed else api.Status(api.StatusCode.UNSET)
        return ReadableSpan(
            name=told.name,
            context=_context(span.trace, span.id, state),
            parent=_context(span.trace, span.parent, state) if span.parent else None,
            resource=self._resource,
            attributes=told.attributes,
            events=[Event(name, fields, time * 1000) for time, name, fields in told.events],
            links=[api.Link(_context(span.trace, link)) for link in span.links],
            kind=api.SpanKind.CLIENT if told.client else api.SpanKind.INTERNAL,
            status=status,
            start_time=span.start * 1000,
            end_time=span.end * 1000,
            instrumentation_scope=self._scope,
        )

    def _logged(self, told: _Told, trace: api.SpanContext) -> ReadableLogRecord:
        assert told.severity is not None  # only such are logs
        event = told.record.event
        attributes: dict[str, Any] = {"surefoot.run.id": told.record.stream, "surefoot.seq": told.record.seq}
        for name in ("call", "request", "attempt", "kind", "decision", "by"):
            if value := getattr(event, name, ""):
                attributes[f"surefoot.{name}"] = value
        error = getattr(event, "error", None)
        kind = getattr(error, "kind", "")
        if kind:
            attributes[self._names.error] = kind
        body = f"{ev.tag_of(event)} {kind}".strip()
        if self._content and (
            said := getattr(error, "message", "") or getattr(event, "message", "") or getattr(event, "reason", "")
        ):
            body = f"{body}: {said}"
        span = api.NonRecordingSpan(_context(api.format_trace_id(trace.trace_id), told.span or "0" * 15 + "1"))
        record = LogRecord(
            timestamp=told.record.time * 1000,
            observed_timestamp=told.record.time * 1000,
            context=api.set_span_in_context(span),
            severity_number=told.severity,
            severity_text=told.severity.name,
            body=self._redact(body),
            attributes=applied(self._redact, attributes),
            event_name=f"surefoot.{ev.tag_of(event)}",
        )
        return ReadableLogRecord(record, self._resource, self._scope)


def _sent(exporter: Any, items: Sequence[Any]) -> bool:  # noqa: ANN401  exporters share no type
    return exporter.export(items) in (SpanExportResult.SUCCESS, LogRecordExportResult.SUCCESS)


def _context(trace: str, span: str, state: api.TraceState | None = None) -> api.SpanContext:
    sampled = api.TraceFlags(api.TraceFlags.SAMPLED)
    return api.SpanContext(int(trace, 16), int(span, 16), is_remote=False, trace_flags=sampled, trace_state=state)


def _context_of(trace: Trace) -> api.SpanContext:
    """The trace as whoever asked for the run handed it in; one that began here is not remote."""
    flags = api.TraceFlags(api.TraceFlags.DEFAULT if trace.dropped else api.TraceFlags.SAMPLED)
    state = api.TraceState.from_header([trace.state])
    return api.SpanContext(int(trace.trace, 16), int(trace.parent or "1", 16), bool(trace.parent), flags, state)


class _Figures:
    """Measurements as the SDK's instruments; sent now and then, and once more at the end. What cannot be sent is sent later:
    sums are since this process began.
    """

    def __init__(self, exporter: MetricExporter | None, resource: Resource) -> None:
        self._instruments: dict[Measure, Callable[..., None]] = {}
        self._sent_at = time.monotonic()
        self._provider: MeterProvider | None = None
        if exporter is not None:
            reader = PeriodicExportingMetricReader(exporter, export_interval_millis=float("inf"))
            self._provider = MeterProvider([reader], resource, shutdown_on_exit=False)

    def note(self, points: Sequence[tuple[Point, dict[str, str]]]) -> None:
        if self._provider is not None:
            for point, labels in points:
                self._record(point.measure)(point.value, labels)

    def add(self, points: Sequence[tuple[Point, dict[str, str]]]) -> None:
        self.note(points)
        if points and time.monotonic() - self._sent_at > _METRICS:
            self.send()

    def send(self) -> None:
        self._sent_at = time.monotonic()
        if self._provider is not None:
            self._provider.force_flush()

    def _record(self, measure: Measure) -> Callable[..., None]:
        """How a measurement is recorded."""
        found = self._instruments.get(measure)
        if found is None:
            assert self._provider is not None  # else nothing is recorded
            meter = self._provider.get_meter(SCOPE)
            match measure.kind:
                case "histogram":
                    bounds = list(measure.bounds)
                    found = meter.create_histogram(
                        measure.name, measure.unit, measure.help, explicit_bucket_boundaries_advisory=bounds
                    ).record
                case "gauge":
                    found = meter.create_up_down_counter(measure.name, measure.unit, measure.help).add
                case _:
                    found = meter.create_counter(measure.name, measure.unit, measure.help).add
            self._instruments[measure] = found
        return found
