"""The loop as a user sees it: model, tools, model, until there is an answer; and what is kept on the way."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from surefoot.core import events as ev
from surefoot.core.agent import Agent
from surefoot.core.messages import Reasoning, Text, Usage
from surefoot.core.model import ModelReply, ModelSettings, ProposedCall
from surefoot.core.run import Run
from surefoot.core.tool import ToolContext
from surefoot.testing.models import CallEveryTool, ScriptedModel
from surefoot.tools.function import tool
from tests.flows.kit import of_kind, opened, results, said, tags


@tool(effect="read")
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@tool(effect="idempotent")
async def save(text: str) -> str:
    """Save a text."""
    return f"saved {text}"


class City(BaseModel):
    name: str
    people: int


async def test_a_model_that_answers_ends_the_run(store: str) -> None:
    model = ScriptedModel("hello")
    async with opened(store) as app:
        run = await app.run(Agent("a", model=model, instructions="Be kind."), "hi")
        assert (run.status, run.output, run.steps, run.error) == ("done", "hello", 1, None)
        assert run.ended
        assert await tags(app, run) == ["run.started", "model.requested", "model.replied", "run.finished"]
    assert model.requests[0].instructions == "Be kind."
    assert said(model.requests[0]) == [("user", "hi")]


async def test_tools_run_and_the_model_reads_their_results(store: str) -> None:
    model = ScriptedModel(("add", {"a": 17, "b": 25}), ("save", {"text": "42"}), "It is 42.")
    async with opened(store) as app:
        run = await app.run(Agent("a", model=model, tools=[add, save]), "17 and 25?")
        assert (run.output, run.steps, run.tool_calls) == ("It is 42.", 3, 2)
    assert [result.text for result in results(model.requests[2])] == ["42", "saved 42"]
    assert [(r.call, r.name, r.error) for r in results(model.requests[1])] == [("0.0", "add", False)]
    assert [spec.name for spec in model.requests[0].tools] == ["add", "save"]
    model.assert_used_up()


async def test_a_call_is_on_record_before_it_runs_and_its_result_after(store: str) -> None:
    seen: list[list[str]] = []

    @tool(effect="read")
    async def look() -> str:
        seen.append(await tags(app, "r"))
        return "looked"

    async with opened(store) as app:
        run = await app.run(Agent("a", model=ScriptedModel(("look", {}), "done"), tools=[look]), "go", id="r")
        started, returned = await of_kind(app, run, ev.ToolStarted), await of_kind(app, run, ev.ToolReturned)
    assert seen == [["run.started", "model.requested", "model.replied", "tool.started"]]
    assert started == [ev.ToolStarted("0.0", "look", "{}", "read")]
    assert (returned[0].call, returned[0].result) == ("0.0", "looked")


async def test_reasoning_is_kept_and_shown_to_the_model_again(store: str) -> None:
    thought = Reasoning("first add", opaque="x9", provider="scripted")
    model = ScriptedModel(
        ModelReply(parts=(thought, Text("Let me see.")), calls=(ProposedCall("add", '{"a":1,"b":2}', "p1"),)), "3"
    )
    async with opened(store) as app:
        run = await app.run(Agent("a", model=model, tools=[add]), "1 and 2?")
        replied = await of_kind(app, run, ev.ModelReplied)
    assert replied[0].parts[:2] == (thought, Text("Let me see."))
    turn = model.requests[1].messages[1]
    assert turn.role == "assistant"
    assert turn.parts[:2] == (thought, Text("Let me see."))
    assert results(model.requests[1])[0].provider_id == "p1"


async def test_tokens_of_every_step_are_added_up(store: str) -> None:
    usage = Usage(input=10, output=5, cached=4, reasoning=2)
    model = ScriptedModel(ModelReply(calls=(ProposedCall("add", '{"a":1,"b":2}'),), usage=usage), "3", usage=usage)
    async with opened(store) as app:
        run = await app.run(Agent("a", model=model, tools=[add]), "1 and 2?")
    assert run.usage == Usage(input=20, output=10, cached=8, reasoning=4)
    assert run.usage.total == 30
    assert run.cost is None, "the price of a scripted model is unknown, and said to be"


async def test_an_agents_settings_reach_the_model(store: str) -> None:
    model = ScriptedModel("ok")
    settings = ModelSettings(temperature=0.5, extra={"seed": 1})
    async with opened(store) as app:
        await app.run(Agent("a", model=model, settings=settings), "hi")
    assert model.requests[0].settings == settings


async def test_instructions_may_be_a_function_of_the_context(store: str) -> None:
    def instructions(context: ToolContext[Any]) -> str:
        return f"You serve {context.user} in {context.context['city']}."

    model = ScriptedModel("ok")
    async with opened(store) as app:
        run = await app.run(Agent("a", model=model, instructions=instructions), "hi", user="dana", context={"city": "Bonn"})
        asked = await of_kind(app, run, ev.ModelRequested)
        stored = await app.store.load(asked[0].instructions)
    assert model.requests[0].instructions == "You serve dana in Bonn."
    assert stored == b"You serve dana in Bonn."


async def test_instructions_and_tools_are_recorded_once(store: str) -> None:
    model = ScriptedModel(("add", {"a": 1, "b": 2}), ("add", {"a": 3, "b": 4}), "done")
    async with opened(store) as app:
        run = await app.run(Agent("a", model=model, tools=[add], instructions="Add."), "go")
        asked = await of_kind(app, run, ev.ModelRequested)
        told = await app.store.load(asked[0].tools)
    assert [bool(event.tools) for event in asked] == [True, False, False]
    assert b'"name":"add"' in told


async def test_a_structured_answer_is_a_value_of_its_type(store: str) -> None:
    model = ScriptedModel('{"name": "Bonn", "people": 330000}')
    async with opened(store) as app:
        run = await app.run(Agent("a", model=model, output=City), "Which city?")
        again: Run[Any] = await app.get(run.id)
    assert run.output == again.output == City(name="Bonn", people=330000)
    schema = model.requests[0].output
    assert schema is not None
    assert set(schema.schema["properties"]) == {"name", "people"}


async def test_an_answer_that_does_not_fit_its_type_is_given_again(store: str) -> None:
    model = ScriptedModel('{"name": "Bonn"}', '{"name": "Bonn", "people": "many"}', '{"name":"Bonn","people":3}')
    async with opened(store) as app:
        run = await app.run(Agent("a", model=model, output=City), "Which city?")
        assert await tags(app, run) == [
            "run.started",
            *["model.requested", "model.replied", "output.rejected"] * 2,
            "model.requested",
            "model.replied",
            "run.finished",
        ]
    assert run.output == City(name="Bonn", people=3)
    assert "people" in said(model.requests[1])[-1][1]


async def test_an_answer_that_never_fits_ends_the_run_and_can_be_resumed(store: str) -> None:
    model = ScriptedModel("no", "still no", "never", '{"name":"Bonn","people":3}')
    agent = Agent("a", model=model, output=City)
    async with opened(store) as app:
        run = await app.run(agent, "Which city?")
        assert run.status == "failed"
        assert run.error is not None
        assert (run.error.kind, run.text) == ("malformed_output", "never")
        assert "resume" in run.error.hint
        resumed = await app.resume(run)
    assert (resumed.status, resumed.output) == ("done", City(name="Bonn", people=3))


async def test_an_empty_answer_is_asked_for_again(store: str) -> None:
    model = ScriptedModel("", "   ", "here it is")
    async with opened(store) as app:
        run = await app.run(Agent("a", model=model), "hi")
    assert run.output == "here it is"
    assert "without an answer" in said(model.requests[1])[-1][1]


async def test_a_validator_that_breaks_is_shown_to_the_model(store: str) -> None:
    class Odd(BaseModel):
        n: int

        def model_post_init(self, context: Any) -> None:
            if self.n < 0:
                raise KeyError("negative")

    model = ScriptedModel('{"n": -1}', '{"n": 1}')
    async with opened(store) as app:
        run = await app.run(Agent("a", model=model, output=Odd), "hi")
    assert run.output == Odd(n=1)


async def test_every_tool_can_be_called_by_the_model_that_calls_every_tool(store: str) -> None:
    async with opened(store) as app:
        run = await app.run(Agent("a", model=CallEveryTool(), tools=[add, save]), "go")
    assert (run.status, run.tool_calls) == ("done", 2)
    assert '"add":' in run.output
