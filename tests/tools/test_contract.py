"""Every kind of tool meets the contract of the port."""

from __future__ import annotations

from typing import Any

import pytest

from surefoot.core.ports import Tool
from surefoot.core.tool import Done, NotDone, ToolContext, ToolOutput
from surefoot.testing.contracts.tool import Contract
from surefoot.tools.function import tool
from surefoot.tools.toolset import Tools


@tool(effect="read")
def sync(a: float, b: float = 2.0) -> float:
    """Add in a thread."""
    return a + b


@tool
async def run(ctx: ToolContext[dict[str, int]], a: float, tags: set[str] | None = None) -> dict[str, float]:
    """Multiply by what the context holds."""
    return {"a": a * ctx.deps["factor"]}


@tool(effect="reconcilable", probe=lambda key: NotDone() if "never" in key else Done(key))
async def pay(a: int, **more: int) -> None:
    """Pay."""


async def around(made: Tool, arguments: str, context: ToolContext[Any]) -> ToolOutput:
    return await made.call(arguments, context)


COMPOSED = Tools([sync, run, pay]).wrapped(around).prefixed("shop_").renamed({"shop_pay": "pay now"})
ALL: list[Tool] = [sync, run, pay, *COMPOSED.tools()]


class TestEvery(Contract):
    @pytest.fixture(params=ALL, ids=lambda made: made.name)
    def tool(self, request: pytest.FixtureRequest) -> Tool:
        made: Tool = request.param
        return made

    @pytest.fixture
    def arguments(self) -> str:
        return '{"a": 1}'

    @pytest.fixture
    def deps(self) -> Any:
        return {"factor": 3}
