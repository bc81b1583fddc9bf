"""Two processes on one session: its runs go one after another, and each has the whole conversation before it."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from surefoot.app import App
from surefoot.core.agent import Agent
from surefoot.core.ports import Query
from surefoot.testing.models import FunctionModel
from tests.flows.kit import QUICK, opened

RUNS = 5
#: Seconds until both have talked, an interpreter's start on a busy machine included.
PATIENCE = 20


async def talk(url: str, name: str) -> None:
    """Go on with the session several times; the model says how many messages it was given."""
    agent = Agent("a", model=FunctionModel(lambda request: f"{len(request.messages)}"))
    async with asyncio.timeout(PATIENCE), App(url, agents=[agent], settings=QUICK) as app:
        started = [await app.start(agent, f"{name} {number}", session="s") for number in range(RUNS)]
        for run in started:
            await app.wait(run)


async def test_two_processes_share_a_session(tmp_path: Path) -> None:
    url = f"sqlite:{tmp_path / 'agent.db'}"
    program = f"import asyncio; from tests.flows.test_session_processes import talk; asyncio.run(talk({url!r}, 'there'))"
    other = await asyncio.create_subprocess_exec(sys.executable, "-c", program)
    try:
        await talk(url, "here")
        async with asyncio.timeout(PATIENCE):
            assert await other.wait() == 0
    finally:
        if other.returncode is None:
            other.kill()
            await other.wait()
    async with opened(url) as app:
        (session,) = await app.sessions.list()
        rows = sorted(await app.store.find(Query(session="s")), key=lambda row: row.created_at)
        assert session.runs == len(rows) == 2 * RUNS
        positions = {row.id: (await app.events(row.id))[0].position for row in rows}
        in_order = sorted(positions, key=positions.__getitem__)
        assert [(await app.get(run)).output for run in in_order] == [f"{2 * number + 1}" for number in range(2 * RUNS)]
        assert len(await app.sessions.show("s")) == 4 * RUNS
