"""What an agent's tools are, without running it: its own, those of its toolsets, and those of its memory."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

from surefoot.clock import SystemClock
from surefoot.core.agent import Agent
from surefoot.core.memory import Memory as Settings
from surefoot.core.memory import Scope
from surefoot.core.ports import Clock, Memory, Tool, Toolset
from surefoot.core.tool import ToolContext, ToolSpec
from surefoot.memory.tools import offers
from surefoot.tools.function import FunctionTool, as_tool

__all__ = ["memory_tools", "specs"]


async def specs(agent: Agent[Any, Any]) -> list[ToolSpec]:
    """The tools of an agent; toolsets are opened, since some know their tools only then."""
    found: list[ToolSpec] = []
    for choice in agent.tools:
        if isinstance(choice, Toolset):
            await choice.open()
            try:
                found += _of(choice.tools())
            finally:
                await choice.close()
        else:
            found += _of([choice if isinstance(choice, Tool) else as_tool(choice)])
    if agent.memory is not None:
        found += _of(memory_tools(agent.memory, cast("Memory", None), SystemClock()))  # they are shown, and never called
    return found


def memory_tools(settings: Settings, memory: Memory, clock: Clock) -> list[Tool]:
    """The tools that an agent has of its memory, over the scope of whichever run calls them."""

    def whose(ctx: ToolContext[Any]) -> Scope:
        return settings.scope(tenant=ctx.tenant, user=ctx.user, agent=ctx.agent, session=ctx.session or ctx.run_id)

    made = offers(memory, whose, clock)
    chosen = [made[name] for name in settings.tools]
    return [FunctionTool(offer.function, effect=offer.effect, examples=offer.examples) for offer in chosen]


def _of(tools: Iterable[Tool]) -> list[ToolSpec]:
    return [tool.spec for tool in tools]
