"""Decisions: what may be said to a question, who may say it, and what each answer makes of the call."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from surefoot.approvals import ask
from surefoot.approvals.queue import Actor, Answer, settled
from surefoot.core import events as ev
from surefoot.core.errors import (
    AlreadyDecided,
    InvalidArguments,
    MayNotDecide,
    RequestNotFound,
    RunError,
)
from surefoot.core.request import Request
from surefoot.core.values import Verdict
from tests.approvals.shop import CALL, Shop
from tests.flows.kit import of_kind, opened, tags


async def test_an_edit_runs_with_other_arguments_and_the_model_is_told() -> None:
    shop = Shop(rules=[ask(may_edit=["cents"])])
    async with opened("memory:") as app:
        run = await app.run(shop.agent, "go")
        with pytest.raises(MayNotDecide, match="order may not be changed; only cents may be"):
            await app.decide(run.waiting[0], approve=True, edit={"order": "82"})
        with pytest.raises(InvalidArguments, match="cents"):
            await app.decide(run.waiting[0], approve=True, edit={"cents": "many"})
        with pytest.raises(TypeError, match="JSON"):
            await app.decide(run.waiting[0], approve=True, edit={"cents": object()})
        with pytest.raises(MayNotDecide, match="only an approval can change"):
            await app.decide(run.waiting[0], approve=False, edit={"cents": 1})
        await app.decide(run.waiting[0], approve=True, edit={"cents": 5000}, by="dana")
        run = await app.wait(run)
        decided = (await of_kind(app, run, ev.ApprovalDecided))[0]
        consumed = (await of_kind(app, run, ev.ApprovalConsumed))[0]
        assert decided.arguments == '{"cents":5000,"order":"81"}'
        assert consumed.digest == decided.digest != (await of_kind(app, run, ev.ApprovalRequested))[0].digest
    assert (run.output, shop.done) == ("It is done.", [("81", 5000)])
    assert shop.told() == '[A human changed the arguments before this call ran: {"cents":5000,"order":"81"}]\nrefunded 5000'


async def test_an_edit_that_changes_nothing_is_an_approval() -> None:
    shop = Shop()
    async with opened("memory:") as app:
        run = await app.run(shop.agent, "go")
        await app.decide(run.waiting[0], approve=True, edit={"cents": 6200})
        await app.wait(run)
    assert shop.told() == "refunded 6200"


async def test_an_edit_may_not_be_what_a_rule_denies() -> None:
    rules = """@ask @may_edit("") forbid(principal, action == Action::"refund", resource) when { context.args.order == "0" };
    @reason("too much") forbid(principal, action == Action::"refund", resource) when { context.args.cents > 9000 };"""
    shop = Shop()
    async with opened("memory:", policy=rules) as app:
        run = await app.run(shop.agent, "go")
        with pytest.raises(MayNotDecide, match="the edited call is denied: too much"):
            await app.decide(run.waiting[0], approve=True, edit={"cents": 9001})
    shop = Shop(("refund", {"order": "0", "cents": 1}))
    async with opened("memory:", policy=rules) as app:
        run = await app.run(shop.agent, "go")
        with pytest.raises(MayNotDecide, match="nothing may be"):
            await app.decide(run.waiting[0], approve=True, edit={"cents": 2})


async def test_an_edit_needs_the_tool(store: str) -> None:
    shop = Shop()
    async with opened(store) as app:
        run = await app.run(shop.agent, "go")
        kept = app.store
    async with opened(kept) as app:
        with pytest.raises(MayNotDecide, match="where the agent 'clerk' is known"):
            await app.decide(run.waiting[0], approve=True, edit={"cents": 1})


async def test_an_answer_stands_in_the_tools_place() -> None:
    shop = Shop()
    async with opened("memory:") as app:
        run = await app.run(shop.agent, "go")
        await app.decide(run.waiting[0], answer="refunded by hand", by="dana")
        run = await app.wait(run)
        assert "tool.started" not in await tags(app, run)
    assert (run.output, shop.done, shop.told()) == ("It is done.", [], "refunded by hand")


async def test_asking_back_is_an_observation_and_the_model_may_call_again() -> None:
    shop = Shop(CALL, CALL, "It is done.")
    async with opened("memory:") as app:
        run = await app.run(shop.agent, "go")
        await app.decide(run.waiting[0], ask="Which parcel was it?", by="dana")
        run = await app.wait(run)
        assert "dana asks before deciding: Which parcel was it?" in shop.told()
        assert run.waiting[0].id != f"{run.id}:0.0"
        await app.decide(run.waiting[0], approve=True)
        assert (await app.wait(run)).output == "It is done."
    assert len(shop.done) == 1


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({}, "one of"),
        ({"approve": True, "answer": "x"}, "one of"),
        ({"approve": "y"}, "True or False"),
        ({"approve": 1}, "True or False"),
        ({"approve": None}, "True or False"),
        ({"aprove": True}, "has no 'aprove'"),
    ],
)
async def test_what_is_no_decision(said: Any, message: str) -> None:
    shop = Shop()
    async with opened("memory:") as app:
        run = await app.run(shop.agent, "go")
        with pytest.raises(TypeError, match=message):
            await app.decide(run.waiting[0], **said)
        assert (await app.get(run)).waiting == run.waiting


async def test_the_same_call_is_not_asked_about_twice_after_a_no() -> None:
    shop = Shop(CALL, CALL, "I could not.")
    async with opened("memory:") as app:
        run = await app.run(shop.agent, "go")
        await app.decide(run.waiting[0], approve=False, by="dana", reason="no receipt")
        run = await app.wait(run)
        assert (run.output, shop.done) == ("I could not.", [])
        assert (await of_kind(app, run, ev.ToolDenied))[0].by == "dana"
    assert "exactly this call was denied before by dana" in shop.told(2)


async def test_after_a_message_a_denied_call_may_be_asked_about_again() -> None:
    shop = Shop(CALL, CALL, "It is done.")
    async with opened("memory:") as app:
        run = await app.run(shop.agent, "go")
        await app.send(run, "Here is the receipt.")
        await app.decide(run.waiting[0], approve=False)
        await app.send(run, "Here it is again.")
        run = await app.wait(run)
        assert run.status in ("waiting", "done")


async def test_a_sticky_approval_holds_for_the_same_call_until_it_is_revoked() -> None:
    other = ("refund", {"order": "82", "cents": 1})
    shop = Shop(CALL, CALL, other, CALL, "done")
    async with opened("memory:") as app:
        run = await app.run(shop.agent, "go")
        first = run.waiting[0]
        await app.decide(first, approve=True, by="dana", sticky="call")
        run = await app.wait(run)
        assert shop.done == [("81", 6200)] * 2
        decided = await of_kind(app, run, ev.ApprovalDecided)
        assert [(event.by, event.how) for event in decided] == [("dana", "asserted"), ("sticky", "sticky")]
        assert decided[1].digest == first.digest
        assert run.waiting[0].args["order"] == "82"
        assert [(one.request, one.tool, one.by) for one in run.standing] == [(first.id, "refund", "dana")]
        revoked = await app.revoke(first, by="dana", reason="enough")
        assert revoked.standing == ()
        with pytest.raises(RequestNotFound):
            await app.revoke(first)
        await app.decide(run.waiting[0], approve=False)
        run = await app.wait(run)
        assert run.waiting[0].args["order"] == "81"


async def test_a_sticky_approval_of_a_rule_holds_for_the_tool() -> None:
    calls = [("refund", {"order": order, "cents": 1}) for order in "abc"]
    shop = Shop(*calls, ("refund", {"order": "d", "cents": 2**70}), "done")
    rule = '@id("r") @ask forbid(principal, action == Action::"refund", resource) when { context.args.cents > 0 };'
    async with opened("memory:", policy=rule) as app:
        run = await app.run(shop.agent, "go")
        await app.decide(run.waiting[0], approve=True, sticky="rule")
        run = await app.wait(run)
        assert [order for order, _ in shop.done] == ["a", "b", "c"]
        # What cannot be judged is asked about, whatever was approved before.
        assert "unmapped" in (run.waiting[0].verdict or Verdict("", "")).rules


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"approve": False, "sticky": "call"}, "can hold for more"),
        ({"approve": True, "sticky": "ever"}, "can hold for more"),
        ({"approve": True, "sticky": "rule", "by": "dana"}, "several must agree"),
    ],
)
async def test_what_cannot_be_sticky(said: Any, message: str) -> None:
    shop = Shop(rules=[ask(quorum=2)])
    async with opened("memory:") as app:
        run = await app.run(shop.agent, "go")
        with pytest.raises(MayNotDecide, match=message):
            await app.decide(run.waiting[0], **said)


async def test_an_unused_approval_can_be_revoked_and_is_asked_anew(store: str) -> None:
    shop = Shop()
    async with opened(store) as app:
        run = await app.run(shop.agent, "go")
        kept = app.store
    async with opened(kept) as app:
        await app.decide(run.waiting[0], approve=True)
        await app.revoke(run.waiting[0], by="dana")
        with pytest.raises(AlreadyDecided, match="revoked"):
            await app.decide(run.waiting[0], approve=True)
    async with opened(kept, shop.agent) as app:
        run = await app.wait(run)
        assert (run.status, shop.done) == ("waiting", [])
        await app.decide(run.waiting[0], approve=True)
        assert (await app.wait(run)).output == "It is done."


async def test_a_callback_leaves_open_what_takes_somebody_else() -> None:
    shop = Shop(rules=[ask("approver")])
    async with opened("memory:", approve=lambda request: True) as app:
        run = await app.run(shop.agent, "go")
        assert (run.status, shop.done) == ("waiting", [])


async def test_a_thousand_deciders_and_one_wins() -> None:
    shop = Shop()
    async with opened("memory:") as app:
        run = await app.run(shop.agent, "go")
        answers = [app.decide(run.waiting[0], approve=number % 2 == 0, by=str(number)) for number in range(1_000)]
        outcomes = await asyncio.gather(*answers, return_exceptions=True)
        assert sum(isinstance(outcome, AlreadyDecided) for outcome in outcomes) == 999
        run = await app.wait(run)
        decided = await of_kind(app, run, ev.ApprovalDecided)
    assert len(decided) == 1
    assert len(shop.done) == (decided[0].decision == "approve")


async def test_an_outcome_takes_only_what_settles_it() -> None:
    request = Request("r:0.0", "r", "0.0", "outcome", "t", "{}", "d")
    for word in ("approve", "answer", "ask"):
        with pytest.raises(RunError, match="settle it"):
            settled(request, Answer(word), Actor(), 0)
    with pytest.raises(MayNotDecide):
        settled(request, Answer("done"), Actor("joe", roles=("viewer",)), 0)
    assert len(settled(request, Answer("done"), Actor("max", roles=("operator",)), 0)) == 1
