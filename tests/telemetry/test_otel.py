"""Telemetry to a collector: the standard variables hold, nothing is lost, nothing is said that was not asked for."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from surefoot.core import events as ev
from surefoot.core.errors import ConfigurationError
from surefoot.core.messages import Image, Message, Text
from surefoot.core.ports import Sink
from surefoot.settings import Settings
from surefoot.telemetry.cursor import Cursor
from surefoot.telemetry.follower import Follower
from surefoot.telemetry.prompts import Prompts
from surefoot.telemetry.spans import spans_of
from surefoot.testing.contracts.sink import SinkContract
from tests.components import require
from tests.flows.kit import QUICK, opened
from tests.telemetry.streams import life
from tests.telemetry.test_follower import clerk, until

require("otel")

from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter  # noqa: E402  an extra
from opentelemetry.sdk.trace.export import SpanExportResult  # noqa: E402
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter  # noqa: E402

from surefoot.telemetry.otel import CAPTURE, Exporters, Otel  # noqa: E402
from tests.telemetry.collector import Collector, collecting  # noqa: E402


def kept_logs() -> InMemoryLogRecordExporter:
    return InMemoryLogRecordExporter()  # type: ignore[no-untyped-call]


class TestOtel(SinkContract):
    @pytest.fixture
    def sink(self) -> Sink:
        self.spans, self.logs = InMemorySpanExporter(), kept_logs()
        return Otel(exporters=Exporters(self.spans, None, self.logs))

    def told(self, sink: Sink) -> object:
        spans = [(span.name, span.context.span_id) for span in self.spans.get_finished_spans()]
        return spans, [log.log_record.event_name for log in self.logs.get_finished_logs()]


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    for name in ("OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES", CAPTURE):
        monkeypatch.delenv(name, raising=False)
    with collecting() as found:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", found.url)
        yield found


def attributes(span: Any) -> dict[str, Any]:
    return {item.key: getattr(item.value, item.value.WhichOneof("value")) for item in span.attributes}


SENDING = replace(QUICK, otel=True)


async def test_a_run_arrives_as_traces_metrics_and_logs(
    store: str, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Basic abc")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "service.name=shop,team=blue")
    async with opened(store, clerk, settings=SENDING) as app:
        run = await app.run(clerk, "add my secret", session="s1", traceparent=f"00-{'ab' * 16}-{'cd' * 8}-01")
        spans = spans_of(await app.events(run))
    sent = {span.span_id.hex(): span for span in collector.spans}
    assert sent.keys() == {span.id for span in spans}
    assert {span.trace_id.hex() for span in collector.spans} == {"ab" * 16}
    assert sent[spans[0].id].parent_span_id.hex() == "cd" * 8
    for span in spans[1:]:
        assert sent[span.id].parent_span_id.hex() == span.parent
        assert (sent[span.id].start_time_unix_nano, sent[span.id].end_time_unix_nano) == (span.start * 1000, span.end * 1000)
    root = attributes(sent[spans[0].id])
    assert (root["gen_ai.operation.name"], root["gen_ai.conversation.id"]) == ("invoke_agent", "s1")
    names = {metric.name for metric in collector.metrics}
    assert {"gen_ai.client.token.usage", "gen_ai.client.operation.duration", "gen_ai.invoke_agent.duration",
            "gen_ai.execute_tool.duration", "gen_ai.invoke_agent.inference_calls", "surefoot.runs"} <= names  # fmt: skip
    assert [log.event_name for log in collector.logs] == ["surefoot.run.started", "surefoot.run.finished"]
    assert {log.trace_id.hex() for log in collector.logs} == {"ab" * 16}
    assert all(resource["team"] == "blue" and resource["service.name"] == "shop" for resource in collector.resources)
    assert all(headers["authorization"] == "Basic abc" for headers in collector.headers)
    assert "secret" not in repr([collector.spans, collector.logs, collector.metrics])


@pytest.mark.parametrize(("variable", "told"), [("true", True), ("span_only", True), ("false", False), ("NO_CONTENT", False)])
async def test_content_is_sent_when_it_is_asked_for(
    collector: Collector, monkeypatch: pytest.MonkeyPatch, variable: str, told: bool
) -> None:
    monkeypatch.setenv(CAPTURE, variable)
    monkeypatch.setenv("SHOP_API_KEY", "open sesame now")
    async with opened("memory:", clerk, settings=SENDING) as app:
        await app.run(clerk, "add my words, open sesame now")
    assert ("my words" in repr(collector.spans)) == told
    assert "open sesame" not in repr(collector.spans)


async def test_a_collector_that_is_down_misses_nothing(
    tmp_path: Path, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:{tmp_path / 'a.db'}"
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    async with opened(url, clerk) as app:
        down = Follower(app.store, Otel(), Cursor(tmp_path / "c"), patience=0.1)
        down.begin()
        missed = await app.run(clerk, "add")
        assert missed.output == "42"
        await down.close()
    await until(lambda: not any(thread.name == "surefoot OpenTelemetry" for thread in threading.enumerate()))
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    async with opened(url, clerk) as app:
        back = Follower(app.store, Otel(), Cursor(tmp_path / "c"))
        back.begin()
        run = await app.run(clerk, "add")
        spans = [span for one in (missed, run) for span in spans_of(await app.events(one))]
        await until(lambda: len(collector.spans) == len(spans))
        await back.close()
    assert sorted(span.span_id.hex() for span in collector.spans) == sorted(span.id for span in spans)


async def test_what_a_collector_refuses_does_not_stand_in_the_way(collector: Collector) -> None:
    collector.refuse = {"execute_tool add"}
    async with opened("memory:", clerk, settings=SENDING) as app:
        await app.run(clerk, "add")
    assert sorted({span.name for span in collector.spans}) == ["chat function", "invoke_agent clerk", "step 0", "step 1"]


async def test_a_trace_is_sampled_whole_or_not_at_all(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0.5")
    traces = [f"00-{'ab' * 8}{n:016x}-{'cd' * 8}-01" for n in (1, 2**64 - 1)]
    async with opened("memory:", clerk, settings=SENDING) as app:
        for trace in traces:
            await app.run(clerk, "add", traceparent=trace)
    counts = [sum(1 for span in collector.spans if span.trace_id.hex() in trace) for trace in traces]
    assert counts == [6, 0]
    runs = next(metric for metric in collector.metrics if metric.name == "surefoot.runs")
    assert sum(int(point.as_double or point.as_int) for point in runs.sum.data_points) == 2, "figures are of all runs"


async def test_a_trace_is_sent_as_whoever_handed_it_in_decided(collector: Collector) -> None:
    kept, dropped = f"00-{'ab' * 16}-{'cd' * 8}-01", f"00-{'ef' * 16}-{'cd' * 8}-00"
    async with opened("memory:", clerk, settings=SENDING) as app:
        for trace in (kept, dropped):
            await app.run(clerk, "add", traceparent=trace, tracestate="shop=1")
    assert {span.trace_id.hex() for span in collector.spans} == {"ab" * 16}
    assert {span.trace_state for span in collector.spans} == {"shop=1"}
    assert {log.trace_id.hex() for log in collector.logs} == {"ab" * 16}


async def test_a_request_carries_what_the_model_was_asked(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CAPTURE, "true")
    async with opened("memory:", clerk, settings=SENDING) as app:
        await app.run(clerk, "add my words", history=[Message("user", (Text("before"), Image(url="http://127.0.0.1/a.png")))])
    first, second = [
        json.loads(attributes(span)["gen_ai.input.messages"]) for span in collector.spans if span.name.startswith("chat")
    ]
    assert first == [
        {"role": "user", "parts": [{"type": "text", "content": "before"}, {"type": "image", "media_type": "image/png"}]},
        {"role": "user", "parts": [{"type": "text", "content": "add my words"}]},
    ]
    assert second[:2] == first
    assert [part["type"] for message in second[2:] for part in message["parts"]] == ["tool_call", "tool_call_response"]


def test_of_a_long_prompt_the_newest_messages_are_told() -> None:
    prompts = Prompts()
    history = [Message("user", (Text(f"{n} " + "x" * 30_000),)) for n in range(4)]
    begun = ev.RunStarted("clerk", (Text("now"),), history=tuple(history))
    asked = ev.ModelRequested(step=0, attempt=1, model="m")
    assert prompts.take(ev.Record(1, "r", 1, 0, 1, begun)) is None
    told = prompts.take(ev.Record(2, "r", 2, 1, 2, asked))
    assert told is not None
    assert [one["parts"][0]["content"].split()[0] for one in told] == ["2", "3", "now"]


async def test_signals_can_be_switched_off(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_METRICS_EXPORTER", "none")
    monkeypatch.setenv("OTEL_LOGS_EXPORTER", "none")
    async with opened("memory:", clerk, settings=replace(SENDING, semconv="1.36.0")) as app:
        await app.run(clerk, "add")
    assert (collector.logs, collector.metrics) == ([], [])
    assert any("gen_ai.system" in attributes(span) for span in collector.spans)
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    sink = Otel()
    take = sink.begin()
    sink.write((), [told for record in life() for told in take(record)])
    sink.close()
    with pytest.raises(ConfigurationError, match=r"there is 1\.41\.1, 1\.36\.0"):
        Otel(version="0.1")
    assert Settings.from_env({"SUREFOOT_OTEL": "1"}).otel


def test_what_a_life_says_in_logs_and_links() -> None:
    spans, logs = InMemorySpanExporter(), kept_logs()
    sink = Otel(exporters=Exporters(spans, None, logs), content=True)
    take = sink.begin()
    sink.write((), [told for record in life() for told in take(record)])
    found = [(log.log_record.severity_text, log.log_record.body) for log in logs.get_finished_logs()]
    assert found == [
        ("INFO", "run.started"), ("WARN", "model.failed overloaded: busy"), ("INFO", "approval.requested: it is a lot of money"),
        ("WARN", "tool.failed timeout: too slow"), ("INFO", "approval.decided: fine"), ("INFO", "run.finished"),
    ]  # fmt: skip
    asked = next(span for span in spans.get_finished_spans() if span.name == "approval pay")
    assert [event.name for event in asked.events] == ["approval.requested", "approval.voted", "approval.decided"]
    assert asked.status.status_code.name == "UNSET"
    assert f"{asked.links[0].context.span_id:016x}" == next(
        span.id for span in spans_of(life()) if span.name == "pay" and span.kind == "tool"
    )


def test_an_exporter_that_fails_is_an_unreachable_collector() -> None:
    class Down(InMemorySpanExporter):
        def export(self, spans: Any) -> SpanExportResult:
            return SpanExportResult.FAILURE

    sink = Otel(exporters=Exporters(Down(), None, None))
    take = sink.begin()
    with pytest.raises(ConnectionError):
        sink.write((), [told for record in life() for told in take(record)])
