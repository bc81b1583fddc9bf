"""With hardly any disk left no tool is started: what it did could not be written down."""

from __future__ import annotations

from pathlib import Path

from surefoot import Agent, App, tool
from surefoot.clock import SystemClock
from surefoot.core.events import RunSuspended, RunWarned
from surefoot.journal.sqlite import Settings, SqliteStore
from surefoot.testing import ScriptedModel


async def test_a_run_waits_for_room_before_it_starts_a_tool(tmp_path: Path) -> None:
    ran: list[str] = []

    @tool(effect="read")
    def look() -> str:
        """Look."""
        ran.append("look")
        return "seen"

    store = SqliteStore(str(tmp_path / "full.db"), SystemClock(), Settings(min_free=10**18))
    agent = Agent("a", model=ScriptedModel([("look", {})], "done"), tools=[look])
    async with App(store, agents=[agent]) as app:
        run = await app.start(agent, "go")
        events = []
        async for record in app.follow(run, until="end"):
            events.append(record.event)
            if isinstance(record.event, RunSuspended):
                break
        warned, suspended = events[-2:]
        assert isinstance(warned, RunWarned)
        assert "MB are free" in warned.message
        assert isinstance(suspended, RunSuspended)
        assert suspended.wake_at > 0
        assert (await app.get(run)).status == "waiting"
    assert ran == []
