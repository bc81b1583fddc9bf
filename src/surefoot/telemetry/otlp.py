"""Spans as OTLP's JSON (OpenTelemetry protocol 1.x, JSON Protobuf Encoding), made without OpenTelemetry's libraries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from surefoot.telemetry.names import DEFAULT, SCOPE, VERSIONS, Described, described
from surefoot.telemetry.privacy import Redact
from surefoot.telemetry.span import Span

__all__ = ["otlp_document"]

_INTERNAL, _CLIENT = 1, 3
_ERROR = 2


def otlp_document(
    spans: Iterable[Span], *, version: str = DEFAULT, content: bool = False, redact: Redact | None = None
) -> dict[str, Any]:
    """An ``ExportTraceServiceRequest`` as JSON; a span that is still open ends where the last of them ends."""
    names = VERSIONS[version]
    spans = list(spans)
    last = max([max(span.start, span.end) for span in spans], default=0)
    told = [_span(span, described(span, names, content=content, redact=redact), span.end or last) for span in spans]
    resource = {"attributes": _attributes({"service.name": SCOPE})}
    return {"resourceSpans": [{"resource": resource, "scopeSpans": [{"scope": {"name": SCOPE}, "spans": told}]}]}


def _span(span: Span, told: Described, end: int) -> dict[str, Any]:
    value: dict[str, Any] = {
        "traceId": span.trace,
        "spanId": span.id,
        "name": told.name,
        "kind": _CLIENT if told.client else _INTERNAL,
        "startTimeUnixNano": str(span.start * 1000),
        "endTimeUnixNano": str(end * 1000),
        "attributes": _attributes(told.attributes),
        "events": [
            {"timeUnixNano": str(time * 1000), "name": name, "attributes": _attributes(fields)}
            for time, name, fields in told.events
        ],
        "links": [{"traceId": span.trace, "spanId": link} for link in span.links],
        "status": {"code": _ERROR, "message": span.error} if told.failed else {},
    }
    return {**value, "parentSpanId": span.parent} if span.parent else value


def _attributes(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": _value(value)} for key, value in values.items()]


def _value(value: Any) -> dict[str, Any]:  # noqa: ANN401  any attribute
    match value:
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": str(value)}
        case float():
            return {"doubleValue": value}
        case list():
            return {"arrayValue": {"values": [_value(item) for item in value]}}
        case _:
            return {"stringValue": str(value)}
