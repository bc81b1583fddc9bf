"""A collector that takes OTLP over HTTP and keeps it, or answers as a test says, on loopback."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

__all__ = ["Collector", "collecting"]

_KINDS: dict[str, Any] = {
    "/v1/traces": ExportTraceServiceRequest, "/v1/logs": ExportLogsServiceRequest, "/v1/metrics": ExportMetricsServiceRequest,
}  # fmt: skip


class Collector:
    """What was sent.

    Attributes:
        spans, logs, metrics: as protobuf messages. resources: the attributes of every resource that sent.
        headers: those of every request. refuse: names of spans; a request that holds one is answered 400.
    """

    def __init__(self) -> None:
        self.spans: list[Any] = []
        self.logs: list[Any] = []
        self.metrics: list[Any] = []
        self.resources: list[dict[str, str]] = []
        self.headers: list[dict[str, str]] = []
        self.refuse: set[str] = set()
        self.url = ""

    def take(self, path: str, body: bytes, headers: dict[str, str]) -> int:
        """Keep a request; the status to answer."""
        self.headers.append(headers)
        request = _KINDS[path]()
        request.ParseFromString(gzip.decompress(body) if headers.get("Content-Encoding") == "gzip" else body)
        found: list[Any] = []
        outer = {"/v1/traces": "resource_spans", "/v1/logs": "resource_logs", "/v1/metrics": "resource_metrics"}[path]
        for resource in getattr(request, outer):
            self.resources.append({item.key: item.value.string_value for item in resource.resource.attributes})
            for scope in getattr(resource, outer.replace("resource", "scope")):
                found += getattr(scope, {"/v1/traces": "spans", "/v1/logs": "log_records", "/v1/metrics": "metrics"}[path])
        if any(item.name in self.refuse for item in found if path == "/v1/traces"):
            return 400
        {"/v1/traces": self.spans, "/v1/logs": self.logs, "/v1/metrics": self.metrics}[path].extend(found)
        return 200


@contextmanager
def collecting() -> Iterator[Collector]:
    """Run a collector on a free port."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(collector.take(self.path, body, dict(self.headers.items())))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    collector.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield collector
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
