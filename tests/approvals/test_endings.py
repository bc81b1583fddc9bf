"""How questions end by themselves, and answers that are asked about before they are given."""

from __future__ import annotations

from typing import Any

import pytest

from surefoot import Agent, App, Run
from surefoot.approvals import ask
from surefoot.core import events as ev
from surefoot.core.errors import (
    AlreadyDecided,
    MayNotDecide,
)
from surefoot.core.values import Verdict
from surefoot.testing.clock import ManualClock
from surefoot.testing.models import ScriptedModel
from tests.approvals.shop import CALL, ROLES, Shop
from tests.flows.kit import of_kind, opened, tags


@pytest.mark.parametrize("then", ["", "deny"])
async def test_a_question_that_nobody_answers_is_a_no(then: str) -> None:
    clock, shop = ManualClock(), Shop(rules=[ask(expires="1h", on_expiry=then)])
    async with opened("memory:", clock=clock) as app:
        run = await app.run(shop.agent, "go")
        # The clock jumps far over the end, and somebody is late before anybody has swept.
        clock.advance(86_400)
        with pytest.raises(AlreadyDecided, match="expired"):
            await app.decide(run.waiting[0], approve=True)
        run = await ended(app, run)
    assert (run.output, shop.done) == ("It is done.", [])
    assert "Nobody approved this call in time" in shop.told()


async def test_a_question_that_nobody_answers_can_end_the_run() -> None:
    clock = ManualClock()
    shop = Shop([CALL, ("refund", {"order": "1", "cents": 1})], rules=[ask(expires="1h", on_expiry="fail")])
    async with opened("memory:", clock=clock) as app:
        run = await app.run(shop.agent, "go")
        clock.advance(3_601)
        run = await ended(app, run)
        assert run.error is not None
        assert (run.status, run.error.kind, shop.done) == ("failed", "approval_expired", [])


async def test_a_question_that_nobody_answers_can_be_put_to_somebody_else() -> None:
    clock, shop = ManualClock(), Shop(rules=[ask("approver", quorum=2, expires="1h", on_expiry="escalate:admin")])
    async with opened("memory:", clock=clock, roles=ROLES) as app:
        run = await app.run(shop.agent, "go")
        first = run.waiting[0]
        clock.advance(3_601)
        async for record in app.follow(run, until="end"):
            if isinstance(record.event, ev.RunSuspended):
                run = await app.get(run)
                if run.waiting and run.waiting[0].id != first.id:
                    break
        again = run.waiting[0]
        assert (again.verdict or Verdict("", "")).roles == (("admin",),)
        assert again.expires_at == first.expires_at + 3_600_000_000
        with pytest.raises(MayNotDecide):
            await app.decide(again, approve=True, by="dana")
        await app.decide(again, approve=True, by="lea")
        assert (await app.wait(run)).output == "It is done."


async def ended(app: App, run: Run[Any]) -> Run[Any]:
    async for _ in app.follow(run, until="end"):
        pass
    return await app.wait(run)


GATE = '@ask @id("seen") forbid(principal, action == Action::"answer", resource) when { context.args.text like "*refund*" };'


async def test_an_answer_can_be_asked_about_before_it_is_given() -> None:
    async with opened("memory:", policy=GATE) as app:
        clerk = Agent("clerk", model=ScriptedModel("Your refund is on its way."))
        run = await app.run(clerk, "go")
        request = run.waiting[0]
        assert (request.kind, request.tool, request.args) == ("answer", "answer", {"text": "Your refund is on its way."})
        assert str(request).startswith("Answer Your refund is on its way.?")
        await app.decide(request, approve=True, by="dana")
        run = await app.wait(run)
        assert run.output == "Your refund is on its way."
        consumed = (await of_kind(app, run, ev.ApprovalConsumed))[0]
        assert (consumed.request, consumed.digest) == (request.id, request.digest)
        assert (await tags(app, run))[-2:] == ["approval.consumed", "run.finished"]
    async with opened("memory:", policy=GATE) as app:
        run = await app.run(Agent("clerk", model=ScriptedModel("Hello.")), "go")
        assert run.output == "Hello."


async def test_an_answer_can_be_edited_and_refused() -> None:
    async with opened("memory:", policy=GATE) as app:
        model = ScriptedModel("A refund of 5.", "Another refund.", "Sorry.")
        clerk = Agent("clerk", model=model)
        run = await app.run(clerk, "go")
        await app.decide(run.waiting[0], approve=False, by="dana", reason="too vague")
        run = await app.wait(run)
        assert "dana did not let this answer out: too vague" in model.requests[1].messages[-1].text
        await app.decide(run.waiting[0], ask="Which one?", by="dana")
        run = await app.wait(run)
        assert "dana asks: Which one?" in model.requests[2].messages[-1].text
        assert run.output == "Sorry."
    async with opened("memory:", policy=GATE) as app:
        run = await app.run(Agent("clerk", model=ScriptedModel("A refund of 5.")), "go")
        with pytest.raises(MayNotDecide, match="does not answer it"):
            await app.decide(run.waiting[0], answer="x")
        await app.decide(run.waiting[0], approve=True, edit={"text": "A refund of 6."}, by="dana")
        run = await app.wait(run)
        assert run.output == "A refund of 6."


async def test_a_rule_can_deny_an_answer_and_a_message_withdraws_one() -> None:
    deny = 'forbid(principal, action == Action::"answer", resource) when { context.args.text like "*refund*" };'
    async with opened("memory:", policy=deny) as app:
        model = ScriptedModel("A refund.", "Hello.")
        assert (await app.run(Agent("clerk", model=model), "go")).output == "Hello."
        assert "may not be given" in model.requests[1].messages[-1].text
    async with opened("memory:", policy=GATE) as app:
        run = await app.run(Agent("clerk", model=ScriptedModel("A refund.", "Hello.")), "go")
        await app.send(run, "Stop talking of refunds.")
        run = await app.wait(run)
        assert run.output == "Hello."


async def test_an_answer_that_nobody_lets_out_in_time_ends_the_run() -> None:
    clock = ManualClock()
    gate = GATE.replace("@ask", '@ask @expires("1h")')
    async with opened("memory:", policy=gate, clock=clock) as app:
        run = await app.run(Agent("clerk", model=ScriptedModel("A refund.")), "go", deadline=86_400)
        clock.advance(3_601)
        run = await ended(app, run)
        assert run.error is not None
        assert run.error.kind == "approval_expired"
