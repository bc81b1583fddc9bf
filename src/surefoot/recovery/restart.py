"""A toolset whose server died is closed and opened again before one of its tools is called next.

A connection that breaks (`ConnectionError`, `EOFError`) says that it did. What becomes of the call that met it follows from its
effect, as ever; the next one, a retry or another, restarts the toolset first. Many calls at once restart it once.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from surefoot.core.errors import ToolFailed
from surefoot.core.ports import Tool, Toolset
from surefoot.core.tool import Done, NotDone, ToolContext, ToolOutput, ToolSpec

__all__ = ["RevivedTool", "Server"]

_DEATHS = (ConnectionError, EOFError)


class Server:
    """What is behind a toolset, and whether it lives."""

    def __init__(self, toolset: Toolset) -> None:
        self._toolset = toolset
        self._lock = asyncio.Lock()
        self.starts = 0
        self._dead = -1

    def died(self, start: int) -> None:
        """A call that began after so many starts met a broken connection."""
        self._dead = max(self._dead, start)

    async def revive(self) -> bool:
        """Restart it if it is dead, and say whether it was. Raises what opening raises."""
        if self._dead < self.starts:
            return False
        async with self._lock:
            if self._dead < self.starts:
                return False
            restart = getattr(self._toolset, "restart", None)
            if restart is not None:
                await restart()
            else:
                with contextlib.suppress(Exception):  # it is gone already
                    await self._toolset.close()
                await self._toolset.open()
            self.starts += 1
        return True

    def tool(self, name: str) -> Tool | None:
        """The tool of a name as the toolset has it now."""
        return next((tool for tool in self._toolset.tools() if tool.name == name), None)


class RevivedTool:
    """A tool of a toolset that is restarted when its server died."""

    def __init__(self, inner: Tool, server: Server) -> None:
        self.inner = inner
        self.name = inner.name
        self._server, self._start = server, server.starts

    @property
    def spec(self) -> ToolSpec:
        """The tool's own."""
        return self.inner.spec

    def validate(self, arguments: str) -> str:
        """As the tool does."""
        return self.inner.validate(arguments)

    async def call(self, arguments: str, context: ToolContext[Any]) -> ToolOutput:
        """Run it, after a restart where its server is dead. Raises ToolFailed where it is not among the tools any more."""
        server = self._server
        if await server.revive():
            context.progress("its toolset was restarted")
        start = server.starts
        try:
            return await self._now().call(arguments, context)
        except _DEATHS:
            server.died(start)
            raise

    async def probe(self, key: str) -> Done | NotDone:
        """As the tool does, after a restart where its server is dead."""
        await self._server.revive()
        return await self._now().probe(key)

    def _now(self) -> Tool:
        """The tool as it is since the last start."""
        server = self._server
        if self._start != server.starts:
            found = server.tool(self.name)
            if found is None:
                raise ToolFailed(f"{self.name} is not among its toolset's tools since that was restarted")
            self.inner, self._start = found, server.starts
        return self.inner
