"""Who may decide: roles, several who must agree, the run's own user, rules about deciders."""

from __future__ import annotations

import pytest

from surefoot import App
from surefoot.approvals import ask
from surefoot.approvals.queue import Actor, Answer, missing, roles_of, settled
from surefoot.core import events as ev
from surefoot.core.errors import (
    ConfigurationError,
    MayNotDecide,
)
from surefoot.core.request import Request
from surefoot.core.values import Verdict
from tests.approvals.shop import ROLES, Shop
from tests.flows.kit import of_kind, opened


async def test_several_must_agree_to_the_very_same_call() -> None:
    shop = Shop(rules=[ask("approver", quorum=2)])
    async with opened("memory:", roles=ROLES) as app:
        run = await app.run(shop.agent, "go", user="sam")
        request = run.waiting[0]
        with pytest.raises(MayNotDecide, match="joe may not decide it; it takes approver"):
            await app.decide(request, approve=True, by="joe")
        with pytest.raises(MayNotDecide, match="sam started the run"):
            await app.decide(request, approve=True, by="sam")
        run = await app.decide(request, approve=True, by="dana")
        assert missing(run.waiting[0]) == "1 of approver"
        assert [(vote.by, vote.roles) for vote in run.waiting[0].votes] == [("dana", ("approver",))]
        with pytest.raises(MayNotDecide, match="agreed already"):
            await app.decide(request, approve=True, by="dana")
        assert shop.done == []
    more = {**ROLES, "kim": ("approver",), "pat": ("approver",)}
    async with opened(app.store, shop.agent, roles=lambda name: more.get(name, ())) as app:
        run = await app.decide(request, approve=True, edit={"cents": 1}, by="kim")
        assert run.waiting  # another call than dana's
        await app.decide(request, approve=True, edit={"cents": 1}, by="pat")
        run = await app.wait(run)
        assert (run.output, shop.done) == ("It is done.", [("81", 1)])
        assert len(await of_kind(app, run, ev.ApprovalVoted)) == 3


async def test_any_of_several_can_refuse() -> None:
    shop = Shop(rules=[ask("approver", quorum=2)])
    async with opened("memory:", roles={**ROLES, "kim": ["approver"]}) as app:
        run = await app.run(shop.agent, "go")
        await app.decide(run.waiting[0], approve=True, by="dana")
        await app.decide(run.waiting[0], approve=False, by="kim", reason="no")
        assert (await app.wait(run)).output == "It is done."
    assert shop.done == []


async def test_each_rules_demand_is_to_be_met() -> None:
    shop = Shop(rules=[ask("approver"), ask("legal"), ask("legal", distinct=True)])
    async with opened("memory:", roles=ROLES) as app:
        run = await app.run(shop.agent, "go", user="lea")
        with pytest.raises(MayNotDecide, match="lea started the run"):
            await app.decide(run.waiting[0], approve=True, by="lea")
        run = await app.decide(run.waiting[0], approve=True, by="dana")
        assert missing(run.waiting[0]) == "legal"
    async with opened(app.store, shop.agent, roles={"zoe": ("legal",)}) as app:
        await app.decide(run.waiting[0], approve=True, by="zoe")
        assert (await app.wait(run)).output == "It is done."


async def test_several_must_say_who_they_are() -> None:
    shop = Shop(rules=[ask(quorum=2)])
    async with opened("memory:") as app:
        run = await app.run(shop.agent, "go", user="sam")
        with pytest.raises(MayNotDecide, match="gives no name"):
            await app.decide(run.waiting[0], approve=True)
        assert missing(run.waiting[0]) == "2 of anyone"
        await app.decide(run.waiting[0], approve=True, by="a")
        run = await app.decide(run.waiting[0], approve=True, by="b")
        assert (await app.wait(run)).output == "It is done."


async def test_two_rules_that_anyone_may_meet_still_want_a_name() -> None:
    request = Request(
        "r:0.0", "r", "0.0", "call", "t", "{}", "d", verdict=Verdict("0.0", "ask", roles=((), ("a",)), quorums=(1, 1))
    )
    with pytest.raises(MayNotDecide, match="each must say who"):
        settled(request, Answer("approve"), Actor(), 0)
    assert missing(request) == "a"


async def test_the_runs_own_user_may_approve_unless_a_rule_says_otherwise() -> None:
    for rules, works in (((), True), ([ask(distinct=True)], False)):
        shop = Shop(rules=rules)
        async with opened("memory:", roles=ROLES) as app:
            run = await app.run(shop.agent, "go", user="joe")
            if not works:
                with pytest.raises(MayNotDecide, match="needs somebody else"):
                    await app.decide(run.waiting[0], approve=True, by="joe")
                with pytest.raises(MayNotDecide, match="needs somebody else"):
                    await app.decide(run.waiting[0], approve=True)
            await app.decide(run.waiting[0], approve=True, by="joe" if works else "dana")
            assert (await app.wait(run)).output == "It is done."


async def test_where_roles_are_known_not_everybody_decides() -> None:
    shop = Shop()
    async with opened("memory:", roles=ROLES) as app:
        run = await app.run(shop.agent, "go", user="u")
        for name in ("joe", "max", "", "nobody"):
            with pytest.raises(MayNotDecide, match="takes approver or admin"):
                await app.decide(run.waiting[0], approve=True, by=name)
        await app.decide(run.waiting[0], approve=True, by="lea")
        decided = (await of_kind(app, await app.wait(run), ev.ApprovalDecided))[0]
        assert decided.roles == ("legal", "admin")


async def test_a_role_that_nobody_can_have_is_said_so() -> None:
    shop = Shop(rules=[ask("approver")])
    async with opened("memory:") as app:
        run = await app.run(shop.agent, "go")
        with pytest.raises(MayNotDecide, match="no roles are known here"):
            await app.decide(run.waiting[0], approve=True, by="dana")


async def test_roles_come_from_the_settings() -> None:
    from dataclasses import replace

    from tests.flows.kit import QUICK

    shop = Shop(rules=[ask("approver")])
    async with opened("memory:", settings=replace(QUICK, roles="dana = approver, admin; joe=;")) as app:
        run = await app.run(shop.agent, "go")
        await app.decide(run.waiting[0], approve=True, by="dana")
        assert (await app.wait(run)).output == "It is done."
    assert roles_of("") is None
    for wrong in ("dana", "=approver"):
        with pytest.raises(ConfigurationError, match="which roles"):
            App("memory:", settings=replace(QUICK, roles=wrong))


DECIDERS = {
    'forbid(principal in Role::"viewer", action == Action::"decide", resource == Tool::"refund");': ("joe", "dana"),
    """permit(principal in Role::"legal", action == Action::"decide", resource)
    when { context.decision == "approve" };""": ("dana", "lea"),
    """@reason("not so") forbid(principal == User::"dana", action == Action::"decide", resource)
    when { context.effect == "unsafe" };""": ("dana", "joe"),
    """forbid(principal, action == Action::"decide", resource)
    when { 9223372036854775807 + context.rules.contains("x") > 1 };""": (),
}  # fmt: skip


@pytest.mark.parametrize("rules", DECIDERS)
async def test_who_may_decide_what_is_cedar_too(rules: str) -> None:
    shop = Shop()
    pair = DECIDERS[rules]
    if not pair:
        with pytest.raises(ConfigurationError, match="expected Long"):
            await _with(rules, shop)
        return
    async with opened("memory:", policy=rules, roles={**ROLES, "joe": ("viewer", "approver")}) as app:
        run = await app.run(shop.agent, "go")
        with pytest.raises(MayNotDecide, match=r"kept from it|no rule lets"):
            await app.decide(run.waiting[0], approve=True, by=pair[0])
        await app.decide(run.waiting[0], approve=True, by=pair[1])
        assert (await app.wait(run)).output == "It is done."


async def _with(rules: str, shop: Shop) -> None:
    async with opened("memory:", shop.agent, policy=rules):
        pass


async def test_a_rule_about_deciders_that_cannot_be_evaluated_lets_nobody_decide() -> None:
    rules = (
        'permit(principal, action == Action::"decide", resource) when { context.owner like "a*" || 1 + 9223372036854775807 > 0 };'
    )
    shop = Shop()
    async with opened("memory:", policy=rules) as app:
        run = await app.run(shop.agent, "go")
        with pytest.raises(MayNotDecide, match="could not be evaluated"):
            await app.decide(run.waiting[0], approve=True, by="dana")
