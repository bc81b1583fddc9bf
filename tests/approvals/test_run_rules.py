"""A run's own rules: they tighten what holds for its agent, for the runs it starts as well, and loosen nothing."""

from __future__ import annotations

from typing import Any

import pytest

from surefoot import Agent, tool
from surefoot.core import events as ev
from surefoot.core.errors import ConfigurationError, MayNotDecide
from surefoot.core.tool import ToolContext
from surefoot.testing.models import ScriptedModel
from tests.approvals.test_application import SMALL, Shop, rules_of
from tests.flows.kit import of_kind, opened

NO_REFUNDS = '@reason("not today") forbid(principal, action == Action::"refund", resource);'
NO_BIG = NO_REFUNDS.replace(");", ") when { context.args.cents > 99 };")
ASK_SMALL = '@id("small") @ask forbid(principal, action == Action::"refund", resource) when { context.args.cents < 9 };'
CALL = ("refund", {"order": "81", "cents": 5})


async def test_a_run_is_stricter_than_its_agent_and_no_other_run_is(store: str) -> None:
    shop = Shop(CALL, "done", CALL, "done", policy=SMALL)
    async with opened(store) as app:
        run = await app.run(shop.agent, "go", policy=NO_REFUNDS)
        [denied] = await of_kind(app, run, ev.ToolDenied)
        assert denied.reason == "not today"
        assert (run.output, shop.done) == ("done", [])
        assert (await app.run(shop.agent, "go")).output == "done"
        assert shop.done == [5]


async def test_a_run_loosens_nothing(store: str) -> None:
    shop = Shop(CALL, "done", policy=NO_REFUNDS)
    async with opened(store) as app:
        run = await app.run(shop.agent, "go", policy=SMALL)
        assert (run.output, shop.done) == ("done", [])


async def test_a_run_asks_and_an_edit_meets_its_rules(store: str) -> None:
    shop = Shop(CALL, "done", policy='permit(principal, action == Action::"refund", resource);')
    async with opened(store) as app:
        run = await app.run(shop.agent, "go", policy=f"{ASK_SMALL} {NO_BIG}")
        assert rules_of(run) == ("small",)
        with pytest.raises(MayNotDecide, match="not today"):
            await app.decide(run.waiting[0], approve=True, edit={"cents": 100})
        await app.decide(run.waiting[0], approve=True, edit={"cents": 50})
        assert (await app.wait(run)).output == "done"
        assert shop.done == [50]


async def test_a_run_that_another_started_has_its_rules(store: str) -> None:
    shop = Shop(CALL, "done", policy=SMALL)

    @tool(effect="read")
    async def delegate(context: ToolContext[Any]) -> str:
        return str((await context.run("clerk", "go")).output)

    boss = Agent("boss", model=ScriptedModel(("delegate", {}), "all done"), tools=[delegate])
    async with opened(store, shop.agent) as app:
        run = await app.run(boss, "go", policy=NO_REFUNDS)
        assert (run.output, shop.done) == ("all done", [])


@pytest.mark.parametrize(
    ("policy", "told"),
    [
        ("forbid(principal, action", "run:1"),
        ('forbid(principal, action == Action::"refnd", resource);', "no tool 'refnd'"),
        ('forbid(principal, action == Action::"refund", resource) when { context.args.cents > "a" };', "run:1"),
        (7, "must be text"),
    ],
)
async def test_rules_that_cannot_hold_start_no_run(store: str, policy: Any, told: str) -> None:
    async with opened(store) as app:
        with pytest.raises((ConfigurationError, TypeError), match=told):
            await app.run(Shop().agent, "go", policy=policy)
        assert await app.list() == []


async def test_rules_of_a_run_cannot_be_joined_with_a_policy_object() -> None:
    from surefoot.approvals.policy import EffectPolicy

    async with opened("memory:", policy=EffectPolicy()) as app:
        with pytest.raises(ConfigurationError, match="Policy object"):
            await app.run(Shop().agent, "go", policy=NO_REFUNDS)
