"""Names and answers that could be taken for others: empty ids, words for yes, an agent mended under its name."""

from __future__ import annotations

from typing import Any

import pytest

from surefoot.core.agent import Agent
from surefoot.core.errors import ConfigurationError, RunNotFound, UnknownProvider
from surefoot.testing.models import ScriptedModel
from surefoot.tools.function import tool
from tests.flows.kit import opened


@tool
def refund() -> str:
    return "refunded"


async def test_only_true_and_false_answer_a_question(store: str) -> None:
    agent = Agent("a", model=ScriptedModel(("refund", {}), "done"), tools=[refund])
    async with opened(store) as app:
        run = await app.run(agent, "go")
        for word in ("n", "", 0, None):
            answer: Any = word
            with pytest.raises(TypeError, match="True or False"):
                await app.decide(run.waiting[0], approve=answer)
        assert len((await app.get(run)).waiting) == 1
        await app.decide(run.waiting[0], approve=True)
        assert (await app.wait(run)).output == "done"


async def test_an_empty_id_names_no_run(store: str) -> None:
    agent = Agent("a", model=ScriptedModel(("refund", {}), "done"), tools=[refund])
    async with opened(store) as app:
        run = await app.run(agent, "go")
        for call in (app.get(""), app.cancel(""), app.send("", "hello"), app.wait("")):
            with pytest.raises(RunNotFound):
                await call
        assert (await app.get(run)).status == "waiting"


async def test_an_agent_that_could_not_work_may_be_mended_under_its_name(store: str) -> None:
    async with opened(store) as app:
        with pytest.raises(UnknownProvider):
            await app.run(Agent("a", model="opnai:x"), "go")
        assert "a" not in app.agents
        mended = Agent("a", model=ScriptedModel("hi", "again"))
        assert (await app.run(mended, "go")).output == "hi"
        with pytest.raises(ConfigurationError, match="notebook"):
            await app.run(Agent("a", model=ScriptedModel("other")), "go")
        assert (await app.run(mended, "go")).output == "again"
