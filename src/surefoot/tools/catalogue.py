"""What an agent's tools are, without running it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from surefoot.core.agent import Agent
from surefoot.core.ports import Tool, Toolset
from surefoot.core.tool import ToolSpec
from surefoot.tools.function import as_tool

__all__ = ["specs"]


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
    return found


def _of(tools: Iterable[Tool]) -> list[ToolSpec]:
    return [tool.spec for tool in tools]
