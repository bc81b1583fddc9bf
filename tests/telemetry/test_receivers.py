"""End to end against receivers that nobody here wrote: Arize Phoenix takes the traces, Prometheus scrapes the metrics."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from surefoot.core.agent import Agent
from surefoot.telemetry.metrics import Metrics
from surefoot.telemetry.spans import spans_of
from surefoot.testing.models import FunctionModel, ScriptedModel
from tests.components import phoenix, program
from tests.flows.kit import QUICK, opened
from tests.telemetry.test_follower import add, clerk, until

#: Seconds until a program that nobody here wrote has started, on a busy machine.
START = 50.0


def get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=2) as answer:
        return json.loads(answer.read())


def answering(url: str, process: subprocess.Popen[bytes]) -> None:
    """Wait until a program answers."""
    end = time.monotonic() + START
    while time.monotonic() < end:
        assert process.poll() is None, "it ended"
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except OSError:
            time.sleep(0.2)  # wait: another program's start
    raise AssertionError(f"nothing answered at {url}")


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


@contextmanager
def running(command: list[str], folder: Path, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=folder, env={**os.environ, **environment}, stdout=log, stderr=log, start_new_session=True
        )
        try:
            yield process
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.mark.timeout(120)
@pytest.mark.needs("otel", "phoenix")
async def test_phoenix_takes_a_trace_and_knows_what_each_span_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    port, found = free_port(), phoenix()
    assert found
    environment = {
        "PHOENIX_WORKING_DIR": str(tmp_path), "PHOENIX_HOST": "127.0.0.1", "PHOENIX_PORT": str(port),
        "PHOENIX_GRPC_PORT": str(free_port()), "PHOENIX_TELEMETRY_ENABLED": "false",
    }  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    with running([str(found), "serve"], tmp_path, **environment) as process:
        answering(f"{url}/healthz", process)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
        monkeypatch.setenv("OTEL_METRICS_EXPORTER", "none")
        monkeypatch.setenv("OTEL_LOGS_EXPORTER", "none")
        async with opened("memory:", clerk, settings=replace(QUICK, otel=True)) as app:
            run = await app.run(clerk, "add")
            spans = {span.id: span for span in spans_of(await app.events(run))}
        read: dict[str, Any] = {}

        def arrived() -> bool:
            read.update({one["context"]["span_id"]: one for one in get(f"{url}/v1/projects/default/spans?limit=100")["data"]})
            return read.keys() >= spans.keys()

        await until(arrived, START)
    assert {one["context"]["trace_id"] for one in read.values()} == {run.trace_id}
    assert {name: one["parent_id"] or "" for name, one in read.items()} == {span.id: span.parent for span in spans.values()}
    kinds = {"run": "AGENT", "model": "LLM", "tool": "TOOL", "step": "UNKNOWN"}
    assert {name: one["span_kind"] for name, one in read.items()} == {span.id: kinds[span.kind] for span in spans.values()}


@contextmanager
def serving(metrics: Metrics) -> Iterator[int]:
    """Answer with the metrics, as any server's endpoint would."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = metrics.text().encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


CONFIG = """
global: {{scrape_interval: 200ms, scrape_timeout: 200ms}}
scrape_configs: [{{job_name: surefoot, static_configs: [{{targets: ["127.0.0.1:{port}"]}}]}}]
"""


@pytest.mark.timeout(120)
@pytest.mark.needs("prometheus")
async def test_prometheus_scrapes_the_metrics(tmp_path: Path) -> None:
    metrics, port = Metrics(), free_port()
    angry = Agent('ang"ry\\one', model=ScriptedModel(ValueError("no")), tools=[add])
    waiting = Agent("waiting", model=FunctionModel(lambda request: ("ask", {})), tools=[ask])
    async with opened("memory:", clerk, angry, waiting, telemetry=[metrics]) as app:
        await app.run(clerk, "add")
        await app.run(angry, "add")
        await app.run(waiting, "add")
    with serving(metrics) as target:
        (tmp_path / "prometheus.yml").write_text(CONFIG.format(port=target))
        command = [
            str(program("prometheus")), "--config.file=prometheus.yml", f"--storage.tsdb.path={tmp_path / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ]  # fmt: skip
        with running(command, tmp_path) as process:
            url = f"http://127.0.0.1:{port}"
            answering(f"{url}/-/ready", process)

            def asked(query: str) -> dict[str, float]:
                found = get(f"{url}/api/v1/query?query={query}")["data"]["result"]
                return {one["metric"].get("gen_ai_agent_name", ""): float(one["value"][1]) for one in found}

            await until(lambda: bool(asked("surefoot_runs_total")), START)  # it looks for targets every 5 s
            assert asked("surefoot_runs_total") == {"clerk": 1, 'ang"ry\\one': 1}
            assert asked("surefoot_runs_open") == {"": 1}
            assert asked("surefoot_approvals_pending") == {"": 1}
            assert asked("gen_ai_execute_tool_duration_seconds_count") == {"": 1}
            assert asked("sum(gen_ai_client_operation_duration_seconds_bucket)")[""] > 0


def ask() -> str:
    """Ask first."""
    return "asked"
