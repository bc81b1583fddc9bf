"""Workers as forks of a process that has imported everything and has no threads, so that each is there in no time."""

from __future__ import annotations

import asyncio
import os
import threading
import traceback
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from surefoot.app import App
from surefoot.core.agent import Agent
from surefoot.core.ports import Tool
from surefoot.settings import Settings
from tests.crash.shop import Ledger, clerk

__all__ = ["fork", "ready", "rehearse"]


async def rehearse(folder: Path) -> None:
    """Do everything once, in memory, so that whatever is imported on first need is there before the first fork."""
    settings = Settings(model="scripted:none", grace=0.0)
    agent = clerk(Ledger(folder / "rehearsal"))
    async with App("memory:", agents=[agent], settings=settings, approve=lambda request: True) as app:
        assert (await app.run(agent, "work")).status == "done"


def ready(agents: list[Agent[Any, str]]) -> list[Agent[Any, str]]:
    """The agents, with the schemas of their tools made."""
    for agent in agents:
        for one in agent.tools:
            assert not isinstance(one, Tool) or one.spec.name
    return agents


def fork(work: Callable[[], Coroutine[Any, Any, None]]) -> int:
    """A new worker; its process id. It exits with 0 when its work comes to an end, else it says why and exits with 1."""
    assert threading.active_count() == 1
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            asyncio.run(work())
            code = 0
        except BaseException:  # noqa: BLE001  shown, and told to the parent
            traceback.print_exc()
        finally:
            os._exit(code)
    return pid
