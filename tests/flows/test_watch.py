"""Following a run with the pieces of its text, from any process that has its store."""

from __future__ import annotations

import asyncio

from surefoot.core import events as ev
from surefoot.core.agent import Agent
from surefoot.core.model import Delta
from surefoot.testing.models import ScriptedModel
from tests.flows.kit import opened


async def test_watching_gives_events_and_the_pieces_between_them(store: str) -> None:
    agent = Agent("a", model=ScriptedModel("one two three"))
    async with opened(store, agent) as app:
        run = await app.start(agent, "go", id="watched")
        seen = [item async for item in app.watch(run, until="end")]
        records = [item for item in seen if isinstance(item, ev.Record)]
        assert records == await app.events(run)
        text = "".join(item.text for item in seen if isinstance(item, Delta))
        assert text in ("", "one two three")  # whoever comes late sees whole events


async def test_watching_ends_where_following_does(store: str) -> None:
    agent = Agent("a", model=ScriptedModel("done"))
    async with opened(store, agent) as app:
        run = await app.run(agent, "go")
        async with asyncio.timeout(2):
            tags = [ev.tag_of(item.event) async for item in app.watch(run) if isinstance(item, ev.Record)]
        assert tags[-1] == "run.finished"
        assert [item async for item in app.watch(run, after=len(tags)) if isinstance(item, ev.Record)] == []
