"""A tool that starts a run: one trace, one budget, cancelled together, asked for at the root, no worker held meanwhile."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from surefoot.core import events as ev
from surefoot.core.agent import Agent
from surefoot.core.messages import Text, Usage
from surefoot.core.model import ModelReply, ProposedCall
from surefoot.core.ports import Store
from surefoot.core.run import Run
from surefoot.core.tool import ToolContext
from surefoot.testing.faults import Faults, FaultyStore
from surefoot.testing.models import FunctionModel, ScriptedModel
from surefoot.tools.function import tool
from tests.engine.house import REFUND, USAGE, House, children
from tests.flows.kit import QUICK, of_kind, opened, results


async def test_a_tool_can_run_another_agent(store: str) -> None:
    house = House()
    async with opened(store) as app:
        run = await app.run(house.parent, "go", user="dana", tenant="t", traceparent=f"00-{'a' * 32}-{'b' * 16}-01")
        child = (await children(app, run))[0]
        started = (await of_kind(app, child, ev.RunStarted))[0]
    assert (run.output, house.told) == ("parent's answer", "child's answer")
    assert (child.parent, child.agent, child.status, child.output) == (run.id, "child", "done", "child's answer")
    assert (child.user, child.tenant, child.trace_id) == ("dana", "t", "a" * 32)
    assert started.parent_call == "0.0"


async def test_what_a_child_spends_is_its_parents(store: str) -> None:
    house = House(prompts=("one",))
    async with opened(store) as app:
        run = await app.run(house.parent, "go")
    assert run.steps == 3
    assert run.usage == Usage(input=30, output=6)
    assert run.tool_calls == 1


async def test_several_children_each_run_once(store: str) -> None:
    house = House("first", "second", prompts=("one", "two"))
    async with opened(store) as app:
        run = await app.run(house.parent, "go")
        assert [child.output for child in await children(app, run)] == ["first", "second"]
    assert house.told == "first and second"
    assert run.steps == 4


async def test_a_childs_question_is_asked_at_the_root(store: str) -> None:
    house = House(*REFUND)
    async with opened(store) as app:
        run = await app.run(house.parent, "go")
        child = (await children(app, run))[0]
        assert (run.status, child.status) == ("waiting", "waiting")
        assert [(r.tool, r.run, r.path) for r in run.waiting] == [("refund", child.id, (run.id, child.id))]
        await app.decide(run.waiting[0], approve=True, by="dana")
        run = await app.wait(run)
    assert (run.output, house.told, house.refunded) == ("parent's answer", "refunded it", ["81"])
    assert house.bodies == [1, 1], "a body that waited goes on with its attempt"
    assert (run.tool_calls, run.steps) == (2, 4)


async def test_a_parent_holds_no_worker_while_its_child_waits(store: str) -> None:
    house = House(*REFUND)
    async with opened(store, settings=replace(QUICK, concurrency=1)) as app:
        run = await app.run(house.parent, "go")
        assert (await app.run(Agent("other", model=ScriptedModel("hello")), "hi")).output == "hello"
        await app.decide(run.waiting[0], approve=True)
        assert (await app.wait(run)).output == "parent's answer"


async def test_a_child_that_waits_survives_a_restart(store: str) -> None:
    house = House(*REFUND)
    async with opened(store) as app:
        run = await app.run(house.parent, "go")
        kept = app.store
    async with opened(kept) as app:
        await app.decide(run.waiting[0], approve=True)
    async with opened(kept, house.parent, house.child) as app:
        assert (await app.wait(run)).output == "parent's answer"
    assert house.refunded == ["81"]


async def test_a_callback_answers_for_children_too(store: str) -> None:
    house = House(*REFUND)
    async with opened(store, approve=lambda request: True) as app:
        run = await app.run(house.parent, "go")
    assert (run.output, house.refunded, house.bodies) == ("parent's answer", ["81"], [1])


async def test_a_callback_that_breaks_over_a_child_is_no_failure_of_the_tool(store: str) -> None:
    def approve(request: Any) -> bool:
        raise ZeroDivisionError("the callback broke")

    house = House(*REFUND)
    async with opened(store, approve=approve) as app:
        started = await app.start(house.parent, "go")
        async for _ in app.follow(started):
            pass
        run = await app.get(started)
        assert (run.status, [request.tool for request in run.waiting]) == ("waiting", ["refund"])


@pytest.mark.parametrize("how", ["gather", "group"])
async def test_children_that_run_together_may_all_wait(store: str, how: str) -> None:
    refunded: list[str] = []

    @tool
    def refund(order: str) -> str:
        refunded.append(order)
        return "refunded"

    def reply(request: Any) -> Any:
        order = request.messages[0].text
        return f"done {order}" if len(request.messages) > 1 else ("refund", {"order": order})

    child = Agent("child", model=FunctionModel(reply), tools=[refund])

    @tool(effect="idempotent")
    async def ask(context: ToolContext[Any]) -> str:
        if how == "gather":
            runs: list[Run[Any]] = list(await asyncio.gather(context.run(child, "a"), context.run(child, "b")))
        else:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(context.run(child, order)) for order in "ab"]
            runs = [task.result() for task in tasks]
        return ", ".join(run.output for run in runs)

    model = ScriptedModel(("ask", {}), "parent's answer")
    async with opened(store) as app:
        run = await app.run(Agent("parent", model=model, tools=[ask]), "go")
        while run.waiting:
            for request in run.waiting:
                await app.decide(request, approve=True)
            run = await app.wait(run)
    assert (run.output, sorted(refunded)) == ("parent's answer", ["a", "b"])
    assert results(model.requests[1])[0].text == "done a, done b"


async def test_a_child_that_ends_just_before_its_parent_waits_is_not_waited_for(store: str) -> None:
    house = House(*REFUND)

    async def before(inside: Store, stream: str, events: Any) -> None:
        for event in events:
            if isinstance(event, ev.RunSuspended) and ":" not in event.waiting_for[0]:
                child = event.waiting_for[0]
                await inside.append(child, [ev.RunCancelRequested()], head=None)
                claim = await inside.claim(child, "another", 30.0)
                assert claim is not None
                await inside.append(child, [ev.RunCancelled()], head=None, epoch=claim.epoch)

    async with opened(store) as app:
        kept = app.store
    async with opened(FaultyStore(kept, Faults(before=before)), settings=replace(QUICK, adopt=False)) as app:
        run = await app.run(house.parent, "go")
    assert (run.output, house.told) == ("parent's answer", "cancelled")


async def test_a_child_that_fails_is_for_the_tool_to_judge(store: str) -> None:
    house = House(ModelReply((Text(""),)), "", "")
    async with opened(store) as app:
        run = await app.run(house.parent, "go")
        child = (await children(app, run))[0]
    assert (run.output, child.status, house.told) == ("parent's answer", "failed", "malformed_output")


async def test_a_body_that_is_tried_again_finds_its_child_again(store: str) -> None:
    tries: list[int] = []
    child = Agent("child", model=ScriptedModel("answer", usage=USAGE))

    @tool(effect="read")
    async def ask(context: ToolContext[Any]) -> str:
        run: Run[Any] = await context.run(child, "go")
        tries.append(1)
        if len(tries) < 3:
            raise ConnectionError("no")
        return str(run.output)

    model = ScriptedModel(("ask", {}), "done", usage=USAGE)
    async with opened(store) as app:
        run = await app.run(Agent("parent", model=model, tools=[ask]), "go")
        assert len(await children(app, run)) == 1
    assert (run.output, run.steps) == ("done", 3), "what the child spent counts once"


async def test_what_a_child_spent_counts_though_its_tool_failed(store: str) -> None:
    child = Agent("child", model=ScriptedModel("answer", usage=USAGE))

    @tool(effect="read")
    async def ask(context: ToolContext[Any]) -> str:
        await context.run(child, "go")
        raise ValueError("not what I wanted")

    model = ScriptedModel(("ask", {}), "done", usage=USAGE)
    async with opened(store) as app:
        run = await app.run(Agent("parent", model=model, tools=[ask]), "go")
    assert (run.output, run.steps) == ("done", 3)


async def test_a_child_that_another_process_works_on_is_waited_for(store: str) -> None:
    child = Agent("child", model=ScriptedModel())

    async def finish(run: str, epoch: int) -> None:
        await asyncio.sleep(0.02)  # wait: the parent must look at least once while the child runs elsewhere
        await app.store.append(run, [ev.ModelRequested(0, "m")], head=None, epoch=epoch)
        await app.store.append(run, [ev.RunFinished("from elsewhere")], head=None, epoch=epoch)

    @tool(effect="read")
    async def ask(context: ToolContext[Any]) -> str:
        key = f"{context.idempotency_key}/0"
        await app.store.add("0" * 32, ev.RunStarted("child", (Text("go"),), key=key, parent=context.run_id))
        claim = await app.store.claim("0" * 32, "another", 30.0)
        assert claim is not None
        finishing = asyncio.create_task(finish(claim.run, claim.epoch))
        run: Run[Any] = await context.run(child, "go")
        await finishing
        return str(run.output)

    model = ScriptedModel(("ask", {}), "done")
    async with opened(store) as app:
        run = await app.run(Agent("parent", model=model, tools=[ask]), "go")
    assert run.output == "done"
    assert results(model.requests[1])[0].text == "from elsewhere"


async def test_an_agent_may_run_itself_within_one_place(store: str) -> None:
    def reply(request: Any) -> Any:
        depth = int(request.messages[0].text)
        if depth == 0 or len(request.messages) > 1:
            return f"depth {depth}"
        return ModelReply(calls=(ProposedCall("deeper", f'{{"depth":{depth - 1}}}'),))

    @tool(effect="read")
    async def deeper(context: ToolContext[Any], depth: int) -> str:
        return str((await context.run("a", str(depth))).output)

    agent = Agent("a", model=FunctionModel(reply), tools=[deeper])
    async with opened(store, settings=replace(QUICK, concurrency=1, agent_concurrency=1)) as app:
        run = await app.run(agent, "3")
        assert run.output == "depth 3"
        assert len(await app.list()) == 4


async def test_a_queued_child_does_not_wait_for_the_place_its_parent_holds(store: str) -> None:
    house, busy = House(*REFUND), asyncio.Event()

    @tool(effect="read")
    async def work() -> str:
        await busy.wait()
        return "worked"

    other = Agent("other", model=ScriptedModel(("work", {}), "done"), tools=[work])
    async with opened(store, settings=replace(QUICK, concurrency=1)) as app:
        run = await app.run(house.parent, "go")
        running = await app.start(other, "go")
        async for record in app.follow(running):
            if isinstance(record.event, ev.ToolStarted):
                break
        await app.send(run, "hurry up")  # the parent queues first, and will look for its child again
        await app.decide(run.waiting[0], approve=True)
        busy.set()
        assert (await app.wait(run)).output == "parent's answer"


async def test_children_that_a_stranger_starts_are_refused() -> None:
    context: ToolContext[None] = ToolContext(
        run_id="r", call_id="0.0", agent="a", idempotency_key="r:0.0", fencing_token=1, deps=None
    )
    with pytest.raises(RuntimeError, match="belongs to no application"):
        await context.run("a", "go")


@pytest.mark.parametrize("fails", [True, False])
async def test_a_run_that_a_body_left_behind_ends_with_the_call_and_is_counted(store: str, fails: bool) -> None:
    inside, stopped = asyncio.Event(), asyncio.Event()

    async def slow(request: Any) -> str:
        inside.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()
        return "never"

    def twice(request: Any) -> Any:
        asked = len(request.messages)
        return ModelReply.call(ProposedCall("step", "{}"), usage=USAGE) if asked == 1 else slow(request)

    @tool(effect="read")
    def step() -> str:
        return "one"

    child = Agent("child", model=FunctionModel(twice), tools=[step])

    @tool(effect="idempotent", retries=0)
    async def ask(context: ToolContext[Any]) -> str:
        left.append(asyncio.create_task(context.run(child, "go")))
        await inside.wait()
        if fails:
            raise ValueError("the body gave up")
        return "without it"

    left: list[asyncio.Task[Any]] = []
    agent = Agent("parent", model=ScriptedModel(("ask", {}), "done", usage=USAGE), tools=[ask])
    async with opened(store) as app:
        run = await app.run(agent, "go")
        below = (await children(app, run))[0]
        await asyncio.gather(*left, return_exceptions=True)
    assert (run.output, below.status, stopped.is_set()) == ("done", "cancelled", True)
    assert below.error is not None
    assert "ended without it" in below.error.message
    assert (run.steps, run.tool_calls) == (3, 2), "the child's step and call are its parent's"
