"""Questions to a human: what asks, how they are answered, and what an answer is worth."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from surefoot.core import events as ev
from surefoot.core.agent import Agent
from surefoot.core.errors import AlreadyDecided, RequestNotFound, RunError
from surefoot.core.judging import Judged
from surefoot.core.request import Request
from surefoot.core.tool import ToolSpec
from surefoot.core.values import Verdict
from surefoot.testing.clock import ManualClock
from surefoot.testing.models import ScriptedModel
from surefoot.tools.function import tool
from tests.flows.kit import of_kind, opened, results, tags


class Shop:
    """An agent with one unsafe tool, and what the tool did."""

    def __init__(self, *replies: Any) -> None:
        self.done: list[str] = []

        @tool
        def refund(order: str, cents: int) -> str:
            """Refund an order."""
            self.done.append(order)
            return f"refunded {cents} cents on order {order}"

        self.tool = refund
        self.model = ScriptedModel(*(replies or (("refund", {"order": "81", "cents": 6200}), "It is done.")))
        self.agent = Agent("clerk", model=self.model, tools=[refund])


async def test_an_unsafe_call_waits_until_it_is_approved(store: str) -> None:
    shop = Shop()
    async with opened(store) as app:
        run = await app.run(shop.agent, "Order 81 arrived broken.")
        assert (run.status, shop.done) == ("waiting", [])
        request = run.waiting[0]
        assert (request.kind, request.tool, request.effect, request.run) == ("call", "refund", "unsafe", run.id)
        assert request.args == {"order": "81", "cents": 6200}
        assert str(request).startswith('Run refund({"cents":6200,"order":"81"})?')
        assert request.path == (run.id,)
        assert (await app.get(run)).waiting == run.waiting
        decided = await app.decide(request, approve=True, by="dana", reason="fair")
        assert decided.waiting == ()
        run = await app.wait(run)
        assert (run.status, run.output, shop.done) == ("done", "It is done.", ["81"])
        decision = (await of_kind(app, run, ev.ApprovalDecided))[0]
        assert (decision.decision, decision.by, decision.how, decision.reason) == ("approve", "dana", "asserted", "fair")
        assert await tags(app, run) == [
            "run.started",
            "model.requested",
            "model.replied",
            "approval.requested",
            "run.suspended",
            "approval.decided",
            "approval.consumed",
            "tool.started",
            "tool.returned",
            "model.requested",
            "model.replied",
            "run.finished",
        ]


async def test_a_denied_call_does_not_run_and_the_model_reads_why(store: str) -> None:
    shop = Shop()
    async with opened(store) as app:
        run = await app.run(shop.agent, "Refund it.")
        await app.decide(run.waiting[0].id, approve=False, by="dana", reason="no receipt")
        run = await app.wait(run)
    assert (run.output, shop.done) == ("It is done.", [])
    result = results(shop.model.requests[1])[0]
    assert result.error
    assert "Denied by dana: no receipt" in result.text


async def test_a_question_is_settled_once(store: str) -> None:
    shop = Shop()
    async with opened(store) as app:
        run = await app.run(shop.agent, "Refund it.")
        request = run.waiting[0]
        answers = [app.decide(request, approve=True, by="a"), app.decide(request, approve=False, by="b")]
        outcomes = await asyncio.gather(*answers, return_exceptions=True)
        late = [outcome for outcome in outcomes if isinstance(outcome, AlreadyDecided)]
        assert len(late) == 1
        assert late[0].request == request.id
        assert late[0].by in str(late[0])
        await app.wait(run)
        with pytest.raises(AlreadyDecided):
            await app.decide(request, approve=True)
        assert len(await of_kind(app, run, ev.ApprovalDecided)) == 1


@pytest.mark.parametrize("name", ["", "nothing", "nothing:0.0", "{run}", "{run}:0.1", "{run}:0.0~2"])
async def test_a_question_that_there_is_not(store: str, name: str) -> None:
    shop = Shop()
    async with opened(store) as app:
        run = await app.run(shop.agent, "Refund it.")
        with pytest.raises(RequestNotFound, match="no open question"):
            await app.decide(name.format(run=run.id), approve=True)
        with pytest.raises(RequestNotFound):
            await app.settle(name.format(run=run.id), "done")


async def test_an_approval_is_not_settled_as_an_outcome(store: str) -> None:
    shop = Shop()
    async with opened(store) as app:
        run = await app.run(shop.agent, "Refund it.")
        with pytest.raises(RunError, match="approve or deny"):
            await app.settle(run.waiting[0], "done", result="x")
        assert (await app.get(run)).waiting == run.waiting


async def test_questions_of_a_run_that_ended_cannot_be_answered(store: str) -> None:
    shop = Shop()
    async with opened(store) as app:
        run = await app.run(shop.agent, "Refund it.")
        await app.cancel(run)
        with pytest.raises(AlreadyDecided, match="cancelled"):
            await app.decide(run.waiting[0], approve=True)
    assert shop.done == []


@pytest.mark.parametrize("answer", [True, False])
@pytest.mark.parametrize("later", [False, True])
async def test_a_callback_answers_in_place_of_a_human(store: str, answer: bool, later: bool) -> None:
    asked: list[str] = []

    def approve(request: Request) -> Any:
        asked.append(request.tool)

        async def soon() -> bool:
            await asyncio.sleep(0)
            return answer

        return soon() if later else answer

    shop = Shop()
    async with opened(store, approve=approve) as app:
        run = await app.run(shop.agent, "Refund it.")
        decision = (await of_kind(app, run, ev.ApprovalDecided))[0]
    assert (run.output, asked) == ("It is done.", ["refund"])
    assert shop.done == (["81"] if answer else [])
    assert decision.by == "approve callback"


async def test_a_callback_may_leave_a_question_open(store: str) -> None:
    shop = Shop()
    async with opened(store, approve=lambda request: None) as app:
        run = await app.run(shop.agent, "Refund it.")
        assert [request.tool for request in run.waiting] == ["refund"]
        await app.decide(run.waiting[0], approve=True)
        assert (await app.wait(run)).output == "It is done."


@pytest.mark.parametrize("answer", ["n", "y", 1, 0, object()])
async def test_a_callback_that_answers_neither_yes_nor_no_approves_nothing(store: str, answer: Any) -> None:
    shop = Shop()
    async with opened(store, approve=lambda request: answer) as app:
        with pytest.raises(TypeError, match="True, False or None"):
            await app.run(shop.agent, "Refund it.", id="r")
        assert (await app.get("r")).status == "waiting"
    assert shop.done == []


async def test_a_callback_that_raises_leaves_the_question_open(store: str) -> None:
    def approve(request: Request) -> bool:
        raise ZeroDivisionError("the callback broke")

    shop = Shop()
    async with opened(store, approve=approve) as app:
        with pytest.raises(ZeroDivisionError):
            await app.run(shop.agent, "Refund it.", id="r")
        run = await app.get("r")
        assert (run.status, shop.done) == ("waiting", [])
        await app.decide(run.waiting[0], approve=True)
        assert (await app.wait(run)).output == "It is done."


async def test_a_callback_is_asked_about_runs_that_waited_before_it_was_there(store: str) -> None:
    shop = Shop()
    async with opened(store) as app:
        run = await app.run(shop.agent, "Refund it.", id="r")
        assert run.waiting
        kept = app.store
    async with opened(kept, approve=lambda request: True) as app:
        run = await app.run(shop.agent, "Refund it.", id="r")
    assert (run.output, shop.done) == ("It is done.", ["81"])


async def test_an_approval_does_not_outlive_a_change_of_the_tool(store: str) -> None:
    shop = Shop()
    async with opened(store) as app:
        run = await app.run(shop.agent, "Refund it.")
        kept = app.store
    done: list[str] = []

    @tool
    def refund(order: str, cents: int, twice: bool = False) -> str:
        """Refund an order, perhaps twice."""
        done.append(order)
        return "refunded"

    changed = Agent("clerk", model=ScriptedModel("It is done."), tools=[refund])
    async with opened(kept, changed) as app:
        await app.decide(run.waiting[0], approve=True, by="dana")
        run = await app.wait(run)
        assert (run.status, done) == ("waiting", [])
        again = run.waiting[0]
        assert "definition changed" in again.reason
        assert again.digest != (await of_kind(app, run, ev.ApprovalRequested))[0].digest
        await app.decide(again, approve=True, by="dana")
        run = await app.wait(run)
    assert (run.output, done) == ("It is done.", ["81"])


async def test_an_approval_outlives_a_restart(store: str) -> None:
    shop = Shop()
    async with opened(store) as app:
        run = await app.run(shop.agent, "Refund it.")
        kept = app.store
    async with opened(kept) as app:
        await app.decide(run.waiting[0], approve=True)
    async with opened(kept, shop.agent) as app:
        assert (await app.wait(run)).output == "It is done."
    assert shop.done == ["81"]


async def test_every_unsafe_call_of_a_step_asks_and_each_answer_is_its_own(store: str) -> None:
    calls = [("refund", {"order": order, "cents": 1}) for order in "abc"]
    shop = Shop(calls, "done")
    async with opened(store) as app:
        run = await app.run(shop.agent, "Refund them.")
        first, second, third = run.waiting
        await app.decide(second, approve=True)
        run = await app.wait(run)
        assert (shop.done, run.waiting) == (["b"], (first, third))
        await app.decide(first, approve=False)
        await app.decide(third, approve=True)
        run = await app.wait(run)
    assert (run.output, shop.done) == ("done", ["b", "c"])
    assert [result.error for result in results(shop.model.requests[1])] == [True, False, False]


async def test_a_waiting_run_holds_no_place(store: str) -> None:
    from dataclasses import replace

    from tests.flows.kit import QUICK

    shop = Shop()
    async with opened(store, settings=replace(QUICK, concurrency=1)) as app:
        waiting = await app.run(shop.agent, "Refund it.")
        assert (await app.run(Agent("b", model=ScriptedModel("hello")), "hi")).output == "hello"
        assert (await app.get(waiting)).status == "waiting"


class Rule:
    """A policy made from a function."""

    digest = "rule-1"

    def __init__(self, judge: Callable[[Judged], Verdict]) -> None:
        self.judge = judge

    def settled(self, tool: ToolSpec) -> str:
        return ""


async def test_a_policy_can_deny_and_the_model_reads_why(store: str) -> None:
    shop = Shop()
    policy = Rule(lambda call: Verdict(call.call, "deny", ("no-refunds",), "no refunds on Sundays", facts=True))
    async with opened(store, policy=policy) as app:
        run = await app.run(shop.agent, "Refund it.")
        judged = (await of_kind(app, run, ev.CallsJudged))[0]
    assert (run.output, shop.done) == ("It is done.", [])
    assert "no refunds on Sundays" in results(shop.model.requests[1])[0].text
    assert (judged.policy, judged.verdicts[0].rules) == ("rule-1", ("no-refunds",))


async def test_a_policy_can_allow_by_facts_and_is_asked_once(store: str) -> None:
    asked: list[Judged] = []

    def judge(call: Judged) -> Verdict:
        asked.append(call)
        return Verdict(call.call, "allow", ("small",), facts=True)

    shop = Shop()
    async with opened(store, policy=Rule(judge)) as app:
        run = await app.run(shop.agent, "Refund it.", user="dana", session="s", context={"shop": 1})
        assert len(await of_kind(app, run, ev.CallsJudged)) == 1
    assert (run.output, shop.done, len(asked)) == ("It is done.", ["81"], 1)
    call = asked[0]
    assert (call.agent, call.user, call.session, call.context) == ("clerk", "dana", "s", {"shop": 1})
    assert (call.tool.name, call.arguments) == ("refund", '{"cents":6200,"order":"81"}')


async def test_a_policy_that_breaks_asks(store: str) -> None:
    def judge(call: Judged) -> Verdict:
        raise ZeroDivisionError("oops")

    shop = Shop()
    async with opened(store, policy=Rule(judge)) as app:
        run = await app.run(shop.agent, "Refund it.")
    assert shop.done == []
    assert "the policy failed: ZeroDivisionError" in run.waiting[0].reason


async def test_a_question_that_expires_is_no_approval(store: str) -> None:
    clock = ManualClock()
    shop = Shop()
    policy = Rule(lambda call: Verdict(call.call, "ask", expires=3_600_000_000))
    async with opened(store, policy=policy, clock=clock) as app:
        run = await app.run(shop.agent, "Refund it.")
        assert run.waiting[0].expires_at == clock.now() + 3_600_000_000
        clock.advance(3601)
        async for _ in app.follow(run, until="end"):
            pass
        run = await app.wait(run)
        assert (run.output, shop.done) == ("It is done.", [])
        with pytest.raises(AlreadyDecided, match="expired"):
            await app.decide(f"{run.id}:0.0", approve=True)
    assert "Nobody approved" in results(shop.model.requests[1])[0].text


async def test_a_question_is_safe_to_print(store: str) -> None:
    shop = Shop(("refund", {"order": "81\u202e\x1b[2J", "cents": 1}), "done")
    async with opened(store) as app:
        run = await app.run(shop.agent, "Refund it.")
    line = str(run.waiting[0])
    assert "\x1b" not in line
    assert "\u202e" not in line
    assert "\\u202e" in line


@pytest.mark.parametrize("effect", ["read", "idempotent", "unsafe"])
async def test_a_question_names_the_tools_effect_whoever_reads_it(store: str, effect: Any) -> None:
    model = ScriptedModel(("touch", {}), "done")

    @tool(effect=effect)
    def touch() -> str:
        return "touched"

    async with opened(store, policy=Rule(lambda call: Verdict(call.call, "ask"))) as app:
        run = await app.run(Agent("a", model=model, tools=[touch]), "go")
        assert [request.effect for request in run.waiting] == [effect]
        assert [request.effect for request in (await app.get(run)).waiting] == [effect]
        assert (await app.decide(run.waiting[0], approve=True)).waiting == ()
        assert (await app.wait(run)).output == "done"
