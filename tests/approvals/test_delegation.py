"""Whoever may decide a question may let another decide it for them: one voice, by their roles, and no further."""

from __future__ import annotations

import pytest

from surefoot.approvals import ask
from surefoot.approvals.queue import Actor, Answer, settled
from surefoot.core import events as ev
from surefoot.core.errors import AlreadyDecided, MayNotDecide, RequestNotFound
from surefoot.core.request import Request
from surefoot.core.state import State, fold
from surefoot.core.values import Verdict
from surefoot.testing.clock import ManualClock
from tests.approvals.shop import ROLES, Shop
from tests.flows.kit import of_kind, opened


async def test_a_delegate_decides_by_the_roles_of_whoever_left_it_to_them(store: str) -> None:
    shop = Shop(rules=[ask("approver")])
    async with opened(store, roles=ROLES) as app:
        run = await app.run(shop.agent, "go", user="ann")
        question = run.waiting[0]
        with pytest.raises(MayNotDecide, match="joe may not decide"):
            await app.decide(question, approve=True, by="joe")
        waiting = await app.decide(question, delegate="joe", by="dana", reason="I am away")
        assert waiting.status == "waiting"
        [given] = waiting.waiting[0].delegates
        assert (given.to, given.by, given.roles, given.reason) == ("joe", "dana", ("approver",), "I am away")
        await app.decide(question, approve=True, by="joe")
        assert (await app.wait(run)).output == "It is done."
        [decided] = await of_kind(app, run, ev.ApprovalDecided)
        assert (decided.by, decided.roles) == ("joe", ("viewer",))
        with pytest.raises(AlreadyDecided):
            await app.decide(question, delegate="max", by="dana")


async def test_a_delegate_and_whoever_they_decide_for_are_one_voice(store: str) -> None:
    shop = Shop(rules=[ask("approver", quorum=2)])
    async with opened(store, roles=ROLES) as app:
        run = await app.run(shop.agent, "go", user="ann")
        question = run.waiting[0]
        await app.decide(question, delegate="joe", by="dana")
        await app.decide(question, approve=True, by="dana")
        assert (await app.decide(question, approve=True, by="joe")).status == "waiting"
        await app.decide(question, approve=True, by="sam")
        assert (await app.wait(run)).output == "It is done."


async def test_only_who_may_decide_leaves_it_to_others_and_what_was_left_goes_no_further(store: str) -> None:
    shop = Shop(rules=[ask("approver", distinct=True)])
    async with opened(store, roles=ROLES) as app:
        run = await app.run(shop.agent, "go", user="sam")
        question = run.waiting[0]
        for by, to, told in (
            ("joe", "max", "joe may not decide"),
            ("sam", "joe", "needs somebody else"),
            ("dana", "dana", "somebody else"),
            ("", "joe", "say who decides for whom"),
        ):
            with pytest.raises(MayNotDecide, match=told):
                await app.decide(question, delegate=to, by=by)
        await app.decide(question, delegate="joe", by="dana")
        with pytest.raises(MayNotDecide, match="joe may not decide"):
            await app.decide(question, delegate="max", by="joe")
        # The run's own user decides nothing that must be somebody else's, whoever leaves it to them.
        await app.decide(question, delegate="sam", by="dana")
        with pytest.raises(MayNotDecide, match="needs somebody else"):
            await app.decide(question, approve=True, by="sam")
        with pytest.raises(RequestNotFound):
            await app.decide("nothing:0.0", delegate="joe", by="dana")
        with pytest.raises(TypeError, match="say one of"):
            await app.decide(question, delegate="joe", approve=True)
        assert shop.done == []


async def test_a_question_whose_time_is_over_is_left_to_nobody(store: str) -> None:
    clock = ManualClock()
    shop = Shop(rules=[ask("approver", expires="1h")])
    async with opened(store, roles=ROLES, clock=clock) as app:
        run = await app.run(shop.agent, "go", user="ann")
        clock.advance(3_601)
        with pytest.raises(AlreadyDecided):
            await app.decide(run.waiting[0], delegate="joe", by="dana")


def test_a_delegate_counts_only_where_whoever_left_it_to_them_does() -> None:
    verdict = Verdict("0.0", "ask", roles=(("legal",), ("approver",)), quorums=(1, 1))
    given = (
        ev.ApprovalDelegated("r:0.0", "max", "dana", roles=("approver",)),
        ev.ApprovalDelegated("r:0.0", "joe", "sam", roles=("viewer",)),
    )
    request = Request("r:0.0", "r", "0.0", "call", "refund", "{}", "d", verdict=verdict, delegates=given)
    [vote] = settled(request, Answer("approve"), Actor("max", roles=("operator",)), 0)
    assert isinstance(vote, ev.ApprovalVoted)
    with pytest.raises(MayNotDecide):
        settled(request, Answer("approve"), Actor("joe", roles=("viewer",)), 0)


def test_what_is_left_of_a_question_that_is_gone_changes_nothing() -> None:
    state = State()
    before = fold([])
    state.apply(ev.Record(1, "r", 1, 0, 0, ev.ApprovalDelegated("gone:0.0", "joe", "dana")))
    assert state.requests == before.requests == {}
