"""The API does what its description says: calls made from it, fitting and not, break nothing."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from tests.components import require

require("server", "schemathesis")

import schemathesis  # noqa: E402
from fastapi.testclient import TestClient  # noqa: E402
from schemathesis.checks import not_a_server_error  # noqa: E402
from schemathesis.core.result import Ok  # noqa: E402
from schemathesis.generation import GenerationMode  # noqa: E402
from schemathesis.specs.openapi.checks import (  # noqa: E402
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from surefoot.app import App  # noqa: E402
from surefoot.server.app import create  # noqa: E402
from tests.server.service import KEEPING, Service, serving  # noqa: E402

#: These end when the run does, or never.
_STREAMS = ("/api/events", "/api/runs/{run}/stream")


class Background:
    """A server in a thread, for clients that block."""

    def __init__(self) -> None:
        self.service: Service
        self._loop = asyncio.new_event_loop()
        self._ready, self._stop = threading.Event(), asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),))

    def __enter__(self) -> Service:
        self._thread.start()
        assert self._ready.wait(20)
        return self.service

    def __exit__(self, *error: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(20)
        self._loop.close()

    async def _serve(self) -> None:
        async with serving(agents=KEEPING, rate=100_000.0, seconds=55) as service:
            self.service = service
            await service.app.run("clerk", "hello", session="s", user="dana")
            await service.app.run("clerk", "refund it")
            self._ready.set()
            await self._stop.wait()


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with Background() as made:
        yield made


def operations() -> list[Any]:
    described = TestClient(create(App("memory:", agents=KEEPING)).asgi).get("/api/openapi.json").json()
    schema = schemathesis.openapi.from_dict(described).exclude(path=list(_STREAMS))
    return [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]


@pytest.mark.parametrize("operation", operations(), ids=lambda one: one.label)
def test_calls_made_from_the_description_break_nothing(operation: Any, service: Service) -> None:
    @given(
        case=operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
        | operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)
    )
    @settings(max_examples=20, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    def answers_as_described(case: Any) -> None:
        answer = case.call(base_url=service.url, timeout=10)
        checks = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
        case.validate_response(answer, checks=checks)

    answers_as_described()
