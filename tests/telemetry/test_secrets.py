"""A secret of a tool's dependencies, said everywhere a tool can say anything, is in no trace, file, log or figure."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from surefoot.core.agent import Agent
from surefoot.core.messages import Usage
from surefoot.core.model import ModelReply, ProposedCall
from surefoot.core.tool import ToolContext
from surefoot.telemetry.files import TraceFiles
from surefoot.telemetry.logs import Json, Logs
from surefoot.telemetry.metrics import Metrics
from surefoot.telemetry.privacy import MASKED, mask
from surefoot.testing.models import ScriptedModel
from surefoot.tools.function import tool
from tests.components import absence
from tests.flows.kit import opened

SECRET = "hunter2-hunter2"


@tool(effect="read", retries=1)
def leak(context: ToolContext[str], what: str) -> str:
    context.progress(f"with {context.deps}", key=context.deps)
    with context.span("call", key=context.deps):
        if context.attempt == 1:
            raise ConnectionError(f"cannot log in with {context.deps}")
    return f"logged in with {context.deps} and {what}"


@tool
def lose(context: ToolContext[str], what: str) -> str:
    raise RuntimeError(f"lost {context.deps}")


def careless() -> Agent[Any, Any]:
    call = f'{{"what":"{SECRET}"}}'
    model = ScriptedModel(
        ModelReply.call(ProposedCall("leak", call), reasoning=f"it is {SECRET}", usage=Usage(1, 1)),
        ModelReply.call(ProposedCall("lose", call)),
        ModelReply.call(ProposedCall(SECRET, call)),
        f"I used {SECRET}",
    )
    return Agent("careless", model=model, tools=[leak, lose], deps=lambda: SECRET, instructions=f"Use {SECRET}.")


async def lived(sinks: list[Any], settled: str) -> None:
    agent = careless()
    async with opened("memory:", agent, telemetry=sinks, approve=lambda request: True) as app:
        run = await app.run(agent, f"log in with {SECRET}")
        await app.settle(run.waiting[0], "done", result=f"found {settled}", by="dana", reason=f"I saw {settled}")
        assert (await app.wait(run)).output == f"I used {SECRET}"


@pytest.mark.parametrize("content", [True, False])
async def test_no_sink_tells_a_secret(tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bool) -> None:
    caplog.set_level(logging.DEBUG, "surefoot.run")
    redact, metrics = mask([SECRET]), Metrics(redact=mask([SECRET]))
    sinks: list[Any] = [TraceFiles(tmp_path, content=content, redact=redact), metrics, Logs(content=content, redact=redact)]
    kept: list[Any] = []
    if absence("otel") is None:
        sinks.append(collected(kept, content=content, redact=redact))
    await lived(sinks, SECRET)
    told = [
        written(tmp_path),
        metrics.text(),
        *[Json().format(record) for record in caplog.records if record.name == "surefoot.run"],
    ]
    told += [repr(kept_one()) for kept_one in kept]
    assert len(told) > 10
    assert not [text for text in told if SECRET in text]
    assert (MASKED in told[0]) or not content


def written(folder: Path) -> str:
    (path,) = folder.iterdir()
    return path.read_text()


def collected(kept: list[Any], **options: Any) -> Any:
    """Give a sink of OpenTelemetry that keeps what would be sent, and how to see it."""
    from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    from surefoot.telemetry.otel import Exporters, Otel

    spans, logs = InMemorySpanExporter(), InMemoryLogRecordExporter()  # type: ignore[no-untyped-call]
    kept.append(lambda: [span.to_json() for span in spans.get_finished_spans()])
    kept.append(lambda: [log.to_json() for log in logs.get_finished_logs()])
    return Otel(exporters=Exporters(spans, None, logs), **options)
