"""Only a tool that may be repeated can start runs: its body is run again once a child that waited has ended."""

from __future__ import annotations

from typing import Any

import pytest

from surefoot.core.agent import Agent
from surefoot.core.tool import Done, ToolContext
from surefoot.testing.models import ScriptedModel
from surefoot.tools.function import tool
from tests.engine.house import REFUND, House, children
from tests.flows.kit import opened


@pytest.mark.parametrize("effect", ["unsafe", "reconcilable"])
async def test_a_tool_that_must_not_be_repeated_starts_no_run(store: str, effect: Any) -> None:
    house, charged = House(*REFUND), [0]

    async def probe(key: str) -> Done:
        return Done("charged")

    @tool(effect=effect, probe=probe if effect == "reconcilable" else None)
    async def charge(context: ToolContext[Any]) -> str:
        charged[0] += 1
        await context.run(house.child, "tell the customer")
        return "never"

    agent = Agent("a", model=ScriptedModel(("charge", {}), "done"), tools=[charge])
    async with opened(store, approve=lambda request: True) as app:
        run = await app.run(agent, "go")
        assert await children(app, run) == []
    assert charged == [1]
    if effect == "unsafe":
        assert [request.kind for request in run.waiting] == ["outcome"]
        assert 'declare effect="idempotent" (or "read") for \'charge\'' in run.waiting[0].reason
    else:
        assert run.output == "done"
