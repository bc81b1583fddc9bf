"""What does not fit is refused where it comes in, in words that say what to give; nothing of it is stored."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from surefoot.app import App
from surefoot.core.agent import Agent
from surefoot.core.errors import ConfigurationError
from surefoot.core.events import ToolReturned
from surefoot.core.messages import LARGEST, File, Message
from surefoot.core.tool import ToolContext
from surefoot.core.values import Limits
from surefoot.testing.models import FunctionModel, ScriptedModel
from surefoot.tools.function import tool
from tests.flows.kit import of_kind, opened, results

ECHO = Agent("echo", model=FunctionModel(lambda request: request.messages[-1].text))


@tool
def refund() -> str:
    return "refunded"


@pytest.mark.parametrize("age", [30, 0.5, None, "30d", timedelta(seconds=-1)], ids=repr)
async def test_runs_are_pruned_by_an_age_or_a_time_only(store: str, age: Any) -> None:
    async with opened(store) as app:
        run = await app.run(ECHO, "keep me")
        with pytest.raises(TypeError, match=r"is no age: give timedelta\(days=30\)"):
            await app.prune(age)
        assert list(await app.prune(timedelta(days=1))) == []
        assert list(await app.prune(timedelta.max)) == []
        assert list(await app.prune(datetime(2020, 1, 1, tzinfo=UTC))) == []
        assert list(await app.prune(timedelta(0))) == [run.id]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"session": 5}, "a run's session must be text, not 5"),
        ({"id": 81}, "a run's id must be text, not 81"),
        ({"user": None}, "a run's user must be text, not None; leave it out"),
        ({"tags": [2026]}, "a tag must be text, not 2026"),
        ({"session": "\ud800"}, "lone surrogate"),
        ({"limits": Limits(steps="3")}, r"Limits\(steps='3'\) is no limit"),  # type: ignore[arg-type]
        ({"history": [Message("user", ("hi",))]}, "cannot be stored"),  # type: ignore[arg-type]
    ],
    ids=str,
)
async def test_a_run_that_could_not_be_read_again_is_not_started(store: str, options: dict[str, Any], words: str) -> None:
    async with opened(store) as app:
        with pytest.raises((TypeError, ConfigurationError), match=words):
            await app.run(ECHO, "go", **options)
        assert await app.list() == []
        assert (await app.run(ECHO, "go")).output == "go"


async def test_what_is_said_to_a_run_can_be_read_again(store: str) -> None:
    agent = Agent("clerk", model=FunctionModel(lambda r: ("refund", {}) if len(r.messages) == 1 else "refunded"), tools=[refund])
    wrong: Any = None
    async with opened(store) as app:
        run = await app.run(agent, "go")
        for attempt in (
            app.decide(run.waiting[0], approve=True, by=wrong),
            app.decide(run.waiting[0], approve=False, reason=wrong),
            app.send(run, "more", by=wrong),
            app.cancel(run, by="dana", reason="\ud800"),
        ):
            with pytest.raises(ConfigurationError, match="cannot be stored"):
                await attempt
        assert (await app.get(run)).waiting == run.waiting
        await app.decide(run.waiting[0], approve=True, by="dana")
        assert (await app.wait(run)).output == "refunded"


@pytest.mark.parametrize("prompt", [None, b"x", {"a": 1}, 5], ids=repr)
async def test_what_is_no_input_is_refused(prompt: Any) -> None:
    async with opened("memory:") as app:
        with pytest.raises(ConfigurationError, match="is not an input: give text"):
            await app.run(ECHO, prompt)
        assert await app.list() == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"context": [1]}, "context must be a dict"),
        ({"history": ["hi"]}, "history must be a list of Message"),
        ({"history": "hi"}, "history must be a list of Message"),
        ({"deadline": float("inf")}, "inf is out of reach"),
        ({"deadline": float("nan")}, "nan is out of reach"),
        ({"deadline": timedelta.max}, "is out of reach"),
        ({"deadline": "soon"}, "is no deadline: give a time with its zone"),
        ({"deadline": True}, "is no deadline"),
        ({"dead": 1}, "a run has no option 'dead'"),
    ],
    ids=str,
)
async def test_an_option_that_says_nothing_is_refused(options: dict[str, Any], words: str) -> None:
    async with opened("memory:") as app:
        with pytest.raises((TypeError, ConfigurationError), match=words):
            await app.run(ECHO, "go", **options)
        assert await app.list() == []


async def test_a_tool_hears_of_limits_that_are_none() -> None:
    wrong: Any = {"steps": 3}

    @tool(effect="idempotent")
    async def ask(ctx: ToolContext[None]) -> str:
        with pytest.raises(TypeError, match=r"limits must be Limits\(…\)"):
            await ctx.run(ECHO, "go", limits=wrong)
        return "refused"

    agent = Agent("p", model=FunctionModel(lambda r: ("ask", {}) if len(r.messages) == 1 else "end"), tools=[ask])
    async with opened("memory:") as app:
        run = await app.run(agent, "go")
        assert [one.result for one in await of_kind(app, run, ToolReturned)] == ["refused"]


async def test_a_list_by_what_no_run_has_is_refused() -> None:
    wrong: Any = {"stat": "done"}
    async with opened("memory:") as app:
        with pytest.raises(TypeError, match="not listed by 'stat'; there is after, agent"):
            await app.list(**wrong)
        with pytest.raises(ConfigurationError, match="no run has the status 'runing'; there is cancelled, done"):
            await app.list(status="runing")
        assert await app.list(status=("ready", "running", "waiting", "done", "failed", "cancelled")) == []


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"name": None}, "needs a name"),
        ({"name": " "}, "needs a name"),
        ({"tools": "add"}, r"tools must be a list, not 'add': tools=\[add\]"),
        ({"tools": print}, "tools must be a list"),
        ({"limits": 5}, r"limits must be Limits\(…\), not 5"),
        ({"limits": {"steps": 3}}, "limits must be"),
    ],
    ids=str,
)
def test_an_agent_is_checked_where_it_is_made(values: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        Agent(**{"name": "clerk", **values})


@pytest.mark.parametrize("store", [None, 5, object()])
async def test_what_is_no_store_is_refused(store: Any) -> None:
    with pytest.raises(ConfigurationError, match="is no store; use 'sqlite:"):
        App(store)


@pytest.mark.parametrize("field", ["steps", "tool_calls", "tokens", "cost", "seconds"])
@pytest.mark.parametrize("value", [-1, float("nan"), "3", True])
async def test_a_limit_that_is_none_is_refused(field: str, value: Any) -> None:
    wrong: Any = Limits(**{field: value})
    words = rf"Limits\({field}={value!r}\) is no limit"
    with pytest.raises(ConfigurationError, match=f"agent 'a': {words}"):
        Agent("a", limits=wrong)
    priced = Agent("priced", model=ScriptedModel("done", name="openai:gpt-4o-mini"))
    async with opened("memory:") as app:
        with pytest.raises(ConfigurationError, match=words):
            await app.run(priced, "go", limits=wrong)
        assert await app.list() == []
        run = await app.run(priced, "go", limits=Limits(steps=0))
        with pytest.raises(ConfigurationError, match=words):
            await app.resume(run, limits=wrong)
        assert (await app.resume(run, limits=Limits(steps=1, cost=None, seconds=float("inf")))).status == "done"


@pytest.mark.parametrize("query", [{"text": 5}, {"limit": 0}, {"limit": -1}, {"limit": True}, {"limit": "3"}, {"session": None}])
async def test_a_list_by_what_is_no_value_is_refused(query: Any) -> None:
    async with opened("memory:") as app:
        with pytest.raises(TypeError, match=r"as text, not by|a whole number from 1"):
            await app.list(**query)


async def test_a_model_that_is_none_is_refused() -> None:
    wrong: Any = 5
    with pytest.raises(ConfigurationError, match="5 is no model: give a Model"):
        async with opened("memory:", Agent("a", model=wrong)):
            pass


async def test_a_part_beyond_what_is_kept_is_refused_before_it_is_stored(store: str) -> None:
    huge = File(b"\xff" * (LARGEST + 1), name="film.mp4")

    @tool(effect="read")
    def film() -> File:
        return huge

    model = ScriptedModel(("film", {}), "done")
    async with opened(store) as app:
        with pytest.raises(ConfigurationError, match=r"film.mp4 of 268,435,457 bytes is more than .* give it by url"):
            await app.run(ECHO, huge)
        run = await app.run(Agent("a", model=model, tools=[film]), "go")
        assert run.output == "done"
    assert "film.mp4 of 268,435,457 bytes is more than the 268,435,456" in results(model.requests[1])[0].text
