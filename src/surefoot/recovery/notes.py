"""Writes what happens outside runs into the journal's ``app`` stream, without making whoever says it wait."""

from __future__ import annotations

import asyncio
import logging

from surefoot.core.errors import JournalError
from surefoot.core.events import BreakerChanged
from surefoot.core.ports import Journal

__all__ = ["Notes"]

_log = logging.getLogger("surefoot.recovery")


class Notes:
    """What is to be written, in order; what cannot be written is logged, and nobody is the worse for it."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._waiting: list[BreakerChanged] = []
        self._task: asyncio.Task[None] | None = None

    def __call__(self, event: BreakerChanged) -> None:
        """Have an event written."""
        self._waiting.append(event)
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._write())

    async def told(self) -> None:
        """Wait until all of it is written."""
        if self._task is not None:
            await self._task
            self._task = None

    async def _write(self) -> None:
        while self._waiting:
            events, self._waiting = self._waiting, []
            try:
                await self._journal.append("app", events, head=None)
            except JournalError as error:
                _log.warning("%d changes of breakers could not be written down: %s", len(events), error)
