"""Runs through the standard logging: every id on every record, as JSON or for people, and silence by default."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from surefoot.core.agent import Agent
from surefoot.core.errors import ConfigurationError
from surefoot.core.ports import Sink
from surefoot.core.tool import ToolContext
from surefoot.telemetry.logs import Json, Logs, Pretty, show
from surefoot.telemetry.spans import spans_of
from surefoot.testing.contracts.sink import SinkContract
from surefoot.testing.models import ScriptedModel
from surefoot.tools.function import tool
from tests.cli.terminal import PATIENCE, environment
from tests.flows.kit import opened
from tests.telemetry.streams import life


class TestLogs(SinkContract):
    @pytest.fixture
    def sink(self, caplog: pytest.LogCaptureFixture) -> Sink:
        caplog.set_level(logging.DEBUG, "surefoot")
        self.caplog = caplog
        return Logs(since=0)

    def told(self, sink: Sink) -> object:
        return [record.getMessage() for record in self.caplog.records if record.name == "surefoot.run"]


def logged(caplog: pytest.LogCaptureFixture, **options: Any) -> list[logging.LogRecord]:
    caplog.set_level(logging.INFO, "surefoot")
    sink = Logs(since=0, **options)
    take = sink.begin()
    sink.write((), [line for record in life() for line in take(record)])
    return caplog.records


def test_a_life_in_log_records(caplog: pytest.LogCaptureFixture) -> None:
    records = logged(caplog)
    assert [(record.levelname, record.getMessage()) for record in records] == [
        ("INFO", "run.started"), ("WARNING", "model.failed overloaded"), ("INFO", "model.replied"),
        ("INFO", "approval.requested pay call"), ("WARNING", "tool.failed look timeout"), ("INFO", "tool.returned look"),
        ("INFO", "run.suspended"), ("INFO", "approval.decided approve"), ("INFO", "tool.returned pay"), ("INFO", "model.replied"),
        ("INFO", "run.finished"),
    ]  # fmt: skip
    spans = {span.id: span for span in spans_of(life())}
    for record in records:
        told: Any = record
        assert (told.run, told.session, told.trace_id, told.agent) == ("r" * 32, "s1", "ab" * 16, "clerk")
        assert told.span_id in spans
    failed: Any = records[4]
    assert (failed.call, spans[failed.span_id].kind) == ("0.0", "tool")
    caplog.clear()
    late = Logs()
    take = late.begin()
    late.write((), [line for record in life() for line in take(record)])
    assert not caplog.records, "what happened long ago is not logged"
    assert "model.failed overloaded busy" in [record.getMessage() for record in logged(caplog, content=True)]


async def test_what_a_tool_logs_has_the_ids_of_its_call(caplog: pytest.LogCaptureFixture) -> None:
    @tool(effect="read")
    def look(context: ToolContext[Any]) -> str:
        context.log.warning("the light is dim")
        return "nothing"

    agent = Agent("clerk", model=ScriptedModel(("look", {}), "done"), tools=[look])
    async with opened("memory:", agent) as app:
        run = await app.run(agent, "go", session="s1")
        span = next(span for span in spans_of(await app.events(run)) if span.kind == "tool")
    told: Any = next(record for record in caplog.records if record.name == "surefoot.tool")
    assert (told.run, told.session, told.trace_id, told.span_id, told.call) == (run.id, "s1", run.trace_id, span.id, "0.0")


def record(message: str, **extra: Any) -> logging.LogRecord:
    return logging.makeLogRecord({"name": "surefoot.run", "levelname": "INFO", "msg": message, **extra})


def test_records_are_written_as_json_or_for_people() -> None:
    value = json.loads(Json().format(record("tool.failed\n\x1b[2J", run="r" * 32, session="s1")))
    assert (value["message"], value["run"], value["session"]) == ("tool.failed\n\x1b[2J", "r" * 32, "s1")
    assert "\x1b" not in Json().format(record("\x1b\u202e"))
    said = Pretty().format(record("tool.failed\n\x1b[2J", run="abcdefgh12345678", agent="clerk"))
    assert said.endswith(r" INFO    12345678 clerk: tool.failed\n\x1b[2J")
    try:
        raise ValueError("no")
    except ValueError:
        broken = record("it broke", exc_info=sys.exc_info())
    assert "ValueError: no" in json.loads(Json().format(broken))["exception"]
    assert "ValueError: no" in Pretty().format(broken)


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    found = logging.getLogger("surefoot")
    kept, level, propagate = list(found.handlers), found.level, found.propagate
    yield found
    found.handlers[:] = kept
    found.setLevel(level)
    found.propagate = propagate


def test_showing_twice_is_showing_once(logger: logging.Logger) -> None:
    show("json")
    show("pretty")
    assert sum(isinstance(handler.formatter, Json) for handler in logger.handlers) == 1
    with pytest.raises(ConfigurationError, match="json or pretty"):
        show("xml")


SCRIPT = """
import asyncio, logging
from surefoot import Agent, App
from surefoot.testing import ScriptedModel

async def main():
    async with App("memory:") as app:
        await app.run(Agent("clerk", model=ScriptedModel("hello")), "hi")
        logging.getLogger("surefoot.worker").warning("something is odd")

asyncio.run(main())
"""


@pytest.mark.parametrize(("form", "lines"), [("", 0), ("json", 4), ("pretty", 4)])
def test_a_library_is_silent_until_it_is_asked(tmp_path: Path, form: str, lines: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=tmp_path, env=environment({"SUREFOOT_LOG": form} if form else {}),
        capture_output=True, text=True, check=True, timeout=PATIENCE,
    )  # fmt: skip
    assert len(done.stderr.splitlines()) == lines
    if form == "json":
        told = [json.loads(line) for line in done.stderr.splitlines()]
        assert sorted(one["message"] for one in told) == ["model.replied", "run.finished", "run.started", "something is odd"]


def test_without_the_extra_there_is_an_install_line(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['opentelemetry'] = None; from surefoot import App, Settings; "
        "App('memory:', settings=Settings(otel=True))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert "Install it: pip install 'surefoot[otel]'" in done.stderr.splitlines()[-1]
