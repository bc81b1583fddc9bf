"""Where a stream ends: not at a question that is answered at once, and with the error when its run was let go."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from surefoot.core import events as ev
from surefoot.core.agent import Agent
from surefoot.core.errors import RunError
from surefoot.core.request import Request
from surefoot.testing.models import FunctionModel, ScriptedModel
from surefoot.tools.function import tool
from tests.flows.kit import QUICK, opened


@tool
def refund() -> str:
    return "refunded"


async def test_a_stream_goes_on_past_questions_the_callback_answers(store: str) -> None:
    asked: list[str] = []

    async def approve(request: Request) -> bool | None:
        await asyncio.sleep(0)
        asked.append(request.id)
        return None if len(asked) == 3 else True

    agent = Agent("a", model=ScriptedModel(*[("refund", {})] * 3, "done"), tools=[refund])
    async with opened(store, approve=approve) as app:
        items: list[Any] = [item async for item in app.stream(agent, "go", id="r")]
        assert isinstance(items[-1].event, ev.RunSuspended), "the third question was left open"
        assert sum(isinstance(getattr(item, "event", None), ev.ToolReturned) for item in items) == 2
        items = [item async for item in app.stream(agent, "go", id="r")]
        assert isinstance(items[-1].event, ev.RunFinished)


async def test_a_stream_raises_why_its_run_was_let_go(store: str) -> None:
    def approve(request: Request) -> bool:
        raise LookupError("nobody is there")

    agent = Agent("a", model=ScriptedModel(("refund", {}), "done"), tools=[refund])
    async with opened(store, approve=approve, settings=replace(QUICK, adopt=False)) as app:
        with pytest.raises(LookupError, match="nobody is there"):
            [item async for item in app.stream(agent, "go")]


async def test_a_stream_ends_when_its_application_is_closed(store: str) -> None:
    began = asyncio.Event()

    async def answer(request: object) -> str:
        began.set()
        await asyncio.Event().wait()
        return "never"

    async with opened(store) as app:

        async def read() -> None:
            async for _ in app.stream(Agent("a", model=FunctionModel(answer)), "go"):
                pass

        reading = asyncio.create_task(read())
        await began.wait()
        await app.close()
        with pytest.raises(RunError, match="closed"):
            await reading
