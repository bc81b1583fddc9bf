"""One trace through a whole family of runs, and through what their tools ask of others."""

from __future__ import annotations

from typing import Any

from surefoot.core.agent import Agent
from surefoot.core.tool import ToolContext
from surefoot.telemetry.spans import spans_of
from surefoot.testing.models import ScriptedModel
from surefoot.tools.function import tool
from tests.flows.kit import opened

TRACE, OUTER = "ab" * 16, "cd" * 8


async def test_a_childs_trace_hangs_on_the_try_of_the_call_that_started_it() -> None:
    headers: list[str] = []
    child = Agent("child", model=ScriptedModel("child's answer"))

    @tool(effect="idempotent")
    async def ask(context: ToolContext[Any]) -> str:
        headers.append(context.traceparent)
        if context.attempt == 1:
            raise ConnectionError("once more")
        return str((await context.run(child, "go")).output)

    parent = Agent("parent", model=ScriptedModel(("ask", {}), "parent's answer"), tools=[ask])
    async with opened("memory:", parent, child) as app:
        run = await app.run(parent, "go", traceparent=f"00-{TRACE}-{OUTER}-01")
        (below,) = await app.list(parent=run.id)
        above, inner = spans_of(await app.events(run)), spans_of(await app.events(below))
    tries = [span for span in above if span.kind == "tool"]
    assert [span.error for span in tries] == ["connection", ""]
    assert (above[0].parent, inner[0].parent) == (OUTER, tries[1].id)
    assert {span.trace for span in (*above, *inner)} == {TRACE}
    assert headers == [f"00-{TRACE}-{span.id}-01" for span in tries]
