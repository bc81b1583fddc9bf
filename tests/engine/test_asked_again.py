"""A yes is for one call of one definition of a tool, given by somebody who could know what became of its twins."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from surefoot.core import events as ev
from surefoot.core.agent import Agent
from surefoot.core.errors import Retry
from surefoot.core.tool import NotDone
from surefoot.testing.models import ScriptedModel
from surefoot.tools.function import tool
from tests.flows.kit import QUICK, of_kind, opened


@pytest.mark.parametrize(("before", "word"), [("unsafe", "definition changed"), ("read", "no longer is")])
async def test_a_call_tried_again_under_another_definition_is_asked_about(store: str, before: Any, word: str) -> None:
    ran: list[str] = []

    @tool(name="refund", effect=before)
    def old(order: str) -> str:
        ran.append("old")
        raise Retry("the bank is closed", after=0.05)

    @tool(name="refund")
    def new(order: str, currency: str = "EUR") -> str:
        ran.append("new")
        return "refunded"

    @tool(name="refund")
    def same(order: str) -> str:
        ran.append("new")
        return "refunded"

    model = ScriptedModel(("refund", {"order": "81"}), "done")
    quick = replace(QUICK, adopt=False)
    async with opened(store, approve=(lambda request: True), settings=quick) as app:
        kept = app.store
        started = await app.start(Agent("a", model=model, tools=[old]), "go")
        async for record in app.follow(started, until="end"):
            if isinstance(record.event, ev.ToolFailed):
                break
    async with opened(kept, Agent("a", model=model, tools=[new if before == "unsafe" else same])) as app:
        run = await app.wait(started)
        assert (run.status, ran) == ("waiting", ["old"])
        assert word in run.waiting[0].reason
        await app.decide(run.waiting[0], approve=True)
        assert (await app.wait(run)).output == "done"
    assert ran == ["old", "new"]


@pytest.mark.parametrize("effect", ["unsafe", "reconcilable"])
async def test_a_call_whose_twin_became_unknown_after_it_was_allowed_is_asked_about(store: str, effect: Any) -> None:
    ran: list[int] = []

    async def probe(key: str) -> NotDone:
        raise ConnectionError("the books are closed")

    @tool(effect=effect, probe=probe if effect == "reconcilable" else None)
    def pay(order: str) -> str:
        ran.append(1)
        if len(ran) == 1:
            raise ConnectionError("the line is dead")
        if len(ran) == 2:
            raise Retry("not yet", after=0.0)
        return "paid"

    model = ScriptedModel([("pay", {"order": "81"}), ("pay", {"order": "81"})], "done")
    async with opened(store) as app:
        run = await app.run(Agent("a", model=model, tools=[pay]), "go")
        if effect == "unsafe":
            for request in run.waiting:
                await app.decide(request, approve=True)
            run = await app.wait(run)
        assert len(ran) == 1
        assert sorted(request.kind for request in run.waiting) == ["call", "outcome"]
        again = next(request for request in run.waiting if request.kind == "call")
        assert "nobody has said yet" in again.reason
        await app.decide(again, approve=True)
        run = await app.wait(run)
        assert [request.kind for request in run.waiting] == ["outcome"], "a yes that knew of the twin is asked for once"
        await app.settle(run.waiting[0], "retry")
        assert (await app.wait(run)).output == "done"
        assert len(await of_kind(app, run, ev.ToolReturned)) == 2
    assert len(ran) == 4
