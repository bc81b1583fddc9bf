"""Whoever may decide a question may let another decide it for them: one voice, by their roles, and no further."""

from __future__ import annotations

import pytest

from surefoot.approvals import ask
from surefoot.core import events as ev
from surefoot.core.errors import AlreadyDecided, MayNotDecide, RequestNotFound
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
