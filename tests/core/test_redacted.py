"""A redacted event folds: what followed from it stays, what it said is gone."""

from __future__ import annotations

from surefoot import Agent, App, tool
from surefoot.core.events import ModelReplied
from surefoot.core.state import fold
from surefoot.testing import ScriptedModel


async def test_a_run_whose_reply_was_redacted_can_still_be_shown() -> None:
    @tool(effect="read")
    def look() -> str:
        """Look."""
        return "seen"

    agent = Agent("a", model=ScriptedModel([("look", {})], "done", "again"), tools=[look])
    async with App("memory:", agents=[agent]) as app:
        run = await app.run(agent, "go", session="s")
        replies = [record.seq for record in await app.events(run) if isinstance(record.event, ModelReplied)]
        await app.store.redact(run.id, replies[0])
        assert fold(await app.events(run)).status == "done"
        assert (await app.get(run)).output == "done"
        assert (await app.run(agent, "and now?", session="s")).output == "again"
