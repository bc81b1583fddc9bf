"""Policies in an application: where rules come from, what they stop, and what the model is shown."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from surefoot import Agent, App, Run, tool
from surefoot.approvals import Lists
from surefoot.approvals.policy import EffectPolicy
from surefoot.core import events as ev
from surefoot.core.errors import ConfigurationError
from surefoot.testing.models import ScriptedModel
from tests.flows.kit import QUICK, of_kind, opened, results

CALL = ("refund", {"order": "81", "cents": 6200})
BIG = """@id("big") @ask("approver") @reason("over 50 euros")
forbid(principal, action == Action::"refund", resource) when { context.args.cents > 5000 };"""
SMALL = 'permit(principal, action == Action::"refund", resource) when { context.args.cents <= 5000 };'


def rules_of(run: Run[Any]) -> tuple[str, ...]:
    verdict = run.waiting[0].verdict
    assert verdict is not None
    return verdict.rules


class Shop:
    """An agent with a refund and a search, and what was refunded."""

    def __init__(self, *replies: Any, **options: Any) -> None:
        self.done: list[int] = []

        @tool
        def refund(order: str, cents: int) -> str:
            self.done.append(cents)
            return "refunded"

        @tool(effect="read")
        def search(text: str) -> str:
            return "found"

        self.model = ScriptedModel(*(replies or (CALL, "done")))
        self.agent = Agent("clerk", model=self.model, tools=[refund, search], **options)


async def test_rules_decide_by_arguments_once_and_are_recorded() -> None:
    shop = Shop(("refund", {"order": "81", "cents": 5000}), CALL, "done")
    async with opened("memory:", policy=BIG + SMALL) as app:
        run = await app.run(shop.agent, "go")
        judged = await of_kind(app, run, ev.CallsJudged)
        assert [item.verdicts[0].verdict for item in judged] == ["allow", "ask"]
        assert judged[0].policy
        assert (run.waiting[0].reason, rules_of(run)) == ("over 50 euros", ("big",))
        assert shop.done == [5000]


async def test_what_reads_is_neither_judged_nor_recorded_where_no_rule_looks_at_it() -> None:
    shop = Shop(("search", {"text": "x"}), "done")
    async with opened("memory:", policy=BIG) as app:
        run = await app.run(shop.agent, "go")
        assert await of_kind(app, run, ev.CallsJudged) == []
        assert run.output == "done"


async def test_layers_only_tighten(tmp_path: Path) -> None:
    (tmp_path / "house.cedar").write_text(
        '@ask forbid(principal, action in Action::"effect:unsafe", resource);', encoding="utf-8"
    )
    shop = Shop(policy="permit(principal, action, resource);")
    async with opened("memory:", policy=Lists(allow=("refund",)), settings=replace(QUICK, policy=str(tmp_path))) as app:
        run = await app.run(shop.agent, "go")
        assert (run.status, rules_of(run)) == ("waiting", (f"{tmp_path / 'house.cedar'}:1",))


async def test_an_agents_own_rules_hold_for_it_alone() -> None:
    strict, free = Shop(policy=Lists(deny=("refund",))), Shop()
    free.agent.name = "free"
    async with opened("memory:", policy=Lists(allow=("refund",))) as app:
        assert (await app.run(strict.agent, "go")).output == "done"
        assert (await app.run(free.agent, "go")).output == "done"
    assert (strict.done, free.done) == ([], [6200])
    assert "Denied by policy" in results(strict.model.requests[1])[0].text


@pytest.mark.parametrize("hide", [True, False])
async def test_a_denied_tool_can_be_hidden_from_the_model(hide: bool) -> None:
    shop = Shop()
    async with opened("memory:", policy=Lists(deny=("refund",)), settings=replace(QUICK, hide_denied=hide)) as app:
        await app.run(shop.agent, "go")
    assert [spec.name for spec in shop.model.requests[0].tools] == (["search"] if hide else ["refund", "search"])
    assert shop.done == []


async def test_rules_that_cannot_hold_stop_the_start() -> None:
    shop = Shop()
    with pytest.raises(ConfigurationError, match=r"policy:1: there is no tool 'refnud'"):
        async with opened("memory:", shop.agent, policy=BIG.replace('"refund"', '"refnud"')):
            pass
    async with opened("memory:", policy=BIG.replace("cents", "centz")) as app:
        with pytest.raises(ConfigurationError, match="centz"):
            await app.run(shop.agent, "go")
        assert app.agents == {}
    with pytest.raises(ConfigurationError, match="unexpected"):
        App("memory:", policy="permit(")


async def test_rules_of_several_agents_are_checked_together() -> None:
    shop = Shop()

    @tool
    def ship(order: str) -> str:
        return "shipped"

    both = BIG + '@ask forbid(principal, action == Action::"ship", resource) when { context.args.order == "1" };'
    async with opened("memory:", shop.agent, Agent("sender", model=ScriptedModel("x"), tools=[ship]), policy=both) as app:
        assert (await app.run("clerk", "go")).status == "waiting"


async def test_a_policy_object_judges_alone() -> None:
    shop = Shop()
    async with opened("memory:", policy=EffectPolicy()) as app:
        assert rules_of(await app.run(shop.agent, "go")) == ("effect:unsafe",)
        ruled = Shop(policy=Lists(allow=("refund",)))
        ruled.agent.name = "ruled"
        with pytest.raises(ConfigurationError, match="cannot be joined"):
            await app.run(ruled.agent, "go")
    with pytest.raises(ConfigurationError, match="cannot be joined"):
        App("memory:", policy=EffectPolicy(), settings=replace(QUICK, policy=str(Path(__file__).parent / "rules.cedar")))
    broken = Shop(policy=5)
    with pytest.raises(ConfigurationError, match="is no policy"):
        async with opened("memory:", broken.agent):
            pass
