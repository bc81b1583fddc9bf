"""What every `Toolset` must do, as tests: inherit, and give a fixture named ``toolset``; its tools, by `contracts.tool`."""

from __future__ import annotations

import asyncio

from surefoot.core.ports import Tool, Toolset

__all__ = ["Contract"]

_SECONDS = 30


class Contract:
    """The behaviour of the port."""

    async def test_tools_are_listed_at_any_time(self, toolset: Toolset) -> None:
        """Before it is open perhaps none; open, all; closed, without an error."""
        assert all(isinstance(tool, Tool) for tool in toolset.tools())
        async with asyncio.timeout(_SECONDS):
            await toolset.open()
            tools = list(toolset.tools())
            await toolset.close()
        assert tools
        assert all(isinstance(tool, Tool) for tool in tools)
        assert all(isinstance(tool, Tool) for tool in toolset.tools())

    async def test_every_tool_has_a_name_of_its_own(self, toolset: Toolset) -> None:
        """By which a model can call it."""
        async with asyncio.timeout(_SECONDS):
            await toolset.open()
            names = [tool.name for tool in toolset.tools()]
            await toolset.close()
        assert all(names)
        assert len(set(names)) == len(names)

    async def test_it_is_opened_at_each_claim(self, toolset: Toolset) -> None:
        """Again and again, also while it is open; what it offers stays the same while nobody changes it."""
        offered = []
        async with asyncio.timeout(_SECONDS):
            for _ in range(2):
                await toolset.open()
                await toolset.open()
                offered.append([tool.spec for tool in toolset.tools()])
                await toolset.close()
        assert offered[0] == offered[1]

    async def test_closing_twice_is_no_error(self, toolset: Toolset) -> None:
        """Nor is closing what was never open."""
        async with asyncio.timeout(_SECONDS):
            await toolset.close()
            await toolset.open()
            await toolset.close()
            await toolset.close()
