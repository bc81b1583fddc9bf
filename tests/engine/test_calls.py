"""Tool calls: together where their effects allow, one at a time where not, and whatever a model may make of them."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from surefoot.core import events as ev
from surefoot.core.agent import Agent
from surefoot.core.messages import ToolCall
from surefoot.core.model import ModelReply, ProposedCall
from surefoot.core.tool import NotDone
from surefoot.settings import Settings
from surefoot.testing.models import ScriptedModel
from surefoot.tools.function import tool
from tests.flows.kit import of_kind, opened, results


class Meeting:
    """Tools meet here: each waits until so many are inside at once."""

    def __init__(self, size: int) -> None:
        self.size, self.inside, self.most = size, 0, 0
        self.full = asyncio.Event()

    async def join(self) -> None:
        self.inside += 1
        self.most = max(self.most, self.inside)
        if self.inside >= self.size:
            self.full.set()
        await self.full.wait()
        self.inside -= 1


@pytest.mark.parametrize("effect", ["read", "idempotent"])
async def test_calls_that_can_be_repeated_run_at_the_same_time(store: str, effect: Any) -> None:
    meeting = Meeting(3)

    @tool(effect=effect)
    async def meet(n: int) -> int:
        await meeting.join()
        return n

    model = ScriptedModel([("meet", {"n": n}) for n in range(3)], "done")
    async with opened(store) as app:
        run = await app.run(Agent("a", model=model, tools=[meet]), "go")
    assert (run.output, meeting.most) == ("done", 3)
    assert [result.text for result in results(model.requests[1])] == ["0", "1", "2"]


async def test_sync_tools_run_at_the_same_time_in_threads(store: str) -> None:
    barrier = threading.Barrier(4, timeout=5)

    @tool(effect="read")
    def meet(n: int) -> int:
        return barrier.wait() * 0 + n

    model = ScriptedModel([("meet", {"n": n}) for n in range(4)], "done")
    async with opened(store) as app:
        run = await app.run(Agent("a", model=model, tools=[meet]), "go")
    assert run.output == "done"


@pytest.mark.parametrize("effect", ["unsafe", "reconcilable"])
async def test_calls_that_cannot_be_repeated_run_alone_after_the_others_in_order(store: str, effect: Any) -> None:
    inside, order = [0], []

    async def visit(name: str) -> str:
        inside[0] += 1
        assert inside[0] == 1, "somebody else runs"
        order.append(name)
        await asyncio.sleep(0)
        inside[0] -= 1
        return name

    options: Any = {"probe": lambda key: NotDone()} if effect == "reconcilable" else {}
    change = tool(effect=effect, name="change", **options)(visit)

    @tool(effect="read")
    async def look() -> str:
        return await visit("look")

    model = ScriptedModel([("change", {"name": "one"}), ("look", {}), ("change", {"name": "two"})], "done")
    async with opened(store, approve=lambda request: True) as app:
        run = await app.run(Agent("a", model=model, tools=[look, change]), "go")
    assert (run.output, order) == ("done", ["look", "one", "two"])
    assert [result.text for result in results(model.requests[1])] == ["one", "look", "two"], "as they were asked for"


async def test_one_call_waits_for_a_human_while_the_others_run(store: str) -> None:
    @tool
    def refund(order: str) -> str:
        return f"refunded {order}"

    @tool(effect="read")
    def look(n: int) -> int:
        return n

    model = ScriptedModel([("look", {"n": 1}), ("refund", {"order": "81"}), ("look", {"n": 2})], "done")
    async with opened(store) as app:
        run = await app.run(Agent("a", model=model, tools=[refund, look]), "go")
        assert [request.tool for request in run.waiting] == ["refund"]
        returned = await of_kind(app, run, ev.ToolReturned)
        assert sorted(event.result for event in returned) == ["1", "2"]
        await app.decide(run.waiting[0], approve=True)
        run = await app.wait(run)
    assert run.output == "done"
    assert [result.text for result in results(model.requests[1])] == ["1", "refunded 81", "2"]


async def test_two_hundred_calls_at_once_all_run_a_bounded_number_at_a_time(store: str) -> None:
    inside, most = [0], [0]

    @tool(effect="read")
    async def look(n: int) -> int:
        inside[0] += 1
        most[0] = max(most[0], inside[0])
        await asyncio.sleep(0)
        inside[0] -= 1
        return n

    model = ScriptedModel([("look", {"n": n}) for n in range(200)], "done")
    async with opened(store, settings=Settings(parallel=7, grace=0)) as app:
        run = await app.run(Agent("a", model=model, tools=[look]), "go")
    assert (run.output, run.tool_calls, most[0]) == ("done", 200, 7)
    assert [result.text for result in results(model.requests[1])] == [str(n) for n in range(200)]


async def test_a_tool_is_not_called_more_often_at_once_than_it_allows(store: str) -> None:
    inside, most = [0], [0]

    @tool(effect="read", concurrency=2)
    async def look(n: int) -> int:
        inside[0] += 1
        most[0] = max(most[0], inside[0])
        await asyncio.sleep(0)
        inside[0] -= 1
        return n

    model = ScriptedModel([("look", {"n": n}) for n in range(9)], "done", [("look", {"n": n}) for n in range(9)], "done")
    async with opened(store) as app:
        agent = Agent("a", model=model, tools=[look])
        one, two = await asyncio.gather(app.run(agent, "go"), app.run(agent, "go"))
    assert (one.output, two.output) == ("done", "done")
    assert most[0] == 2


async def test_an_unknown_tool_is_answered_with_the_nearest_name(store: str) -> None:
    @tool(effect="read")
    def look_up() -> str:
        return "x"

    model = ScriptedModel(("lookup", {}), ("zzz", {}), ("look_up", {}), "done")
    async with opened(store) as app:
        run = await app.run(Agent("a", model=model, tools=[look_up]), "go")
    assert run.output == "done"
    last = results(model.requests[3])
    assert [result.error for result in last] == [True, True, False]
    assert "Did you mean 'look_up'?" in last[0].text
    assert "The tools are: look_up" in last[1].text


async def test_an_agent_without_tools_is_told_so(store: str) -> None:
    model = ScriptedModel(("lookup", {}), "done")
    async with opened(store) as app:
        run = await app.run(Agent("a", model=model), "go")
    assert run.output == "done"
    assert "answer in text" in results(model.requests[1])[0].text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ('{"n": "many"}', "n"),
        ("{}", "n"),
        ('{"n": 1, "m": 2}', "m"),
        ("[1]", "object"),
        ("not json at all {", ""),
        ('{"n": 1e999}', ""),
        ('{"n": "\ud800"}', "n"),
        ("[" * 5000, ""),
    ],
)
async def test_wrong_arguments_are_shown_back_and_can_be_corrected(store: str, arguments: str, words: str) -> None:
    ran: list[int] = []

    @tool(effect="read")
    def look(n: int) -> int:
        ran.append(n)
        return n

    model = ScriptedModel(("look", arguments), ("look", {"n": 3}), "done")
    async with opened(store) as app:
        run = await app.run(Agent("a", model=model, tools=[look]), "go")
        assert await app.store.check() == []
    first = results(model.requests[1])[0]
    assert (run.output, ran, first.error) == ("done", [3], True)
    assert "Correct the arguments" in first.text
    assert words in first.text


@pytest.mark.parametrize("ids", [("same", "same"), ("", ""), ("a", "")])
async def test_provider_ids_may_be_missing_or_used_twice(store: str, ids: tuple[str, str]) -> None:
    @tool(effect="read")
    def look(n: int) -> int:
        return n

    calls = [ProposedCall("look", f'{{"n":{n}}}', provider_id) for n, provider_id in enumerate(ids)]
    model = ScriptedModel(calls, "done")
    async with opened(store) as app:
        run = await app.run(Agent("a", model=model, tools=[look]), "go")
    assert run.output == "done"
    assert [(r.call, r.text, r.provider_id) for r in results(model.requests[1])] == [
        ("0.0", "0", ids[0]),
        ("0.1", "1", ids[1]),
    ]


@pytest.mark.parametrize("name", ["", "\ud800", "x" * 10_000, "a b/c\n"])
async def test_a_tool_name_that_makes_no_sense_is_an_observation(store: str, name: str) -> None:
    reply = ModelReply(calls=(ProposedCall(name, "{}", "\udfff"),))
    model = ScriptedModel(reply, "done")
    async with opened(store) as app:
        run = await app.run(Agent("a", model=model), "go")
        assert (await app.get(run.id)).output == "done"
    call = next(part for part in model.requests[1].messages[1].parts if isinstance(part, ToolCall))
    call.name.encode()
    assert "There is no tool" in results(model.requests[1])[0].text


async def test_text_that_no_file_can_hold_is_mended(store: str) -> None:
    model = ScriptedModel("half \ud83d, whole \ud83d\ude00")
    async with opened(store) as app:
        run = await app.run(Agent("a", model=model), "half \ud83d")
        assert (await app.get(run.id)).output == "half �, whole 😀"
    assert model.requests[0].messages[0].text == "half �"


async def test_a_tool_may_refuse_arguments_that_its_schema_allows(store: str) -> None:
    from surefoot.core.errors import InvalidArguments

    @tool(effect="read")
    def look(n: int) -> int:
        if n > 5:
            raise InvalidArguments("n must be at most 5")
        return n

    model = ScriptedModel(("look", {"n": 7}), ("look", {"n": 5}), "done")
    async with opened(store) as app:
        run = await app.run(Agent("a", model=model, tools=[look]), "go")
    assert run.output == "done"
    assert [r.text for r in results(model.requests[2])] == [
        "Error (invalid_arguments): n must be at most 5 Correct the arguments and call again.",
        "5",
    ]
