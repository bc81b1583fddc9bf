"""What models and tools return with wrong types is a failure of theirs: never written, and never a dead worker."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from surefoot.app import App
from surefoot.core import events as ev
from surefoot.core.agent import Agent
from surefoot.core.errors import InvalidArguments, ModelError, Retry
from surefoot.core.messages import Text, Usage
from surefoot.core.model import ModelReply, ModelRequest
from surefoot.core.tool import Done, ToolContext, ToolOutput
from surefoot.testing.models import ScriptedModel
from surefoot.tools.function import tool
from tests.flows.kit import opened, results

ODD: Any = 123
NOTHING: Any = None


class Leave(BaseException):
    """A library's own way out."""


class Unreadable(Exception):
    """An error whose status cannot be read."""

    @property
    def status(self) -> int:
        raise RuntimeError("no status yet")


class Replying:
    """A model that gives one odd reply, and sound ones from then on."""

    name, context_window = "my:model", 8000

    def __init__(self, first: ModelReply) -> None:
        self._first: ModelReply | None = first

    async def request(self, request: ModelRequest, emit: Any) -> ModelReply:
        reply, self._first = self._first, None
        return reply or ModelReply((Text("hello"),))


@pytest.mark.parametrize(
    "reply",
    [
        ModelReply((Text("hi"),), finish=NOTHING),
        ModelReply((Text("hi"),), request_id=NOTHING),
        ModelReply((Text("hi"),), usage=Usage(input=NOTHING)),
        ModelReply((Text("hi"),), usage=Usage(input=1.5)),  # type: ignore[arg-type]
        ModelReply((Text("hi"),), first_token="soon"),  # type: ignore[arg-type]
        ModelReply((ODD,)),
    ],
)
async def test_a_reply_with_wrong_types_is_a_malformed_one_and_asked_for_again(store: str, reply: ModelReply) -> None:
    async with opened(store) as app:
        run = await app.run(Agent("a", model=Replying(reply)), "hi")
        assert run.output == "hello"
        failed = [record.event for record in await app.events(run) if type(record.event).__name__ == "ModelFailed"]
        assert [event.error.kind for event in failed] == ["malformed_output"]  # type: ignore[union-attr]


@pytest.mark.parametrize("effect", ["read", "unsafe"])
@pytest.mark.parametrize(
    ("value", "word"),
    [
        (ToolOutput(ODD), "not a str"),
        (ToolOutput("ok", (Text("\ud800"),)), "cannot be stored"),
        (ToolOutput("ok", ("x",)), "wrong type"),  # type: ignore[arg-type]
        (Leave("out of here"), "Leave: out of here"),
        (Unreadable("busy"), "Unreadable, of which no more can be read"),
    ],
)
async def test_a_result_that_cannot_be_kept_is_the_tools_failure(store: str, effect: Any, value: Any, word: str) -> None:
    bodies = 0

    @tool(effect=effect, retries=0)
    async def odd() -> ToolOutput:
        nonlocal bodies
        bodies += 1
        if isinstance(value, BaseException):
            raise value
        return value  # type: ignore[no-any-return]

    model = ScriptedModel(("odd", {}), "done")
    async with opened(store, approve=lambda request: True) as app:
        run = await app.run(Agent("a", model=model, tools=[odd]), "go")
        assert (await app.get(run)).status == run.status
    assert bodies == 1
    if effect == "read" or (isinstance(value, Unreadable) and effect == "read"):
        assert word in results(model.requests[1])[0].text
    else:
        assert [request.kind for request in run.waiting] == ["outcome"]
        assert word.split(",", maxsplit=1)[0] in run.waiting[0].reason


@pytest.mark.parametrize("after", ["5", float("nan"), -1.0])
async def test_a_delay_that_is_none_is_no_delay(store: str, after: Any) -> None:
    tries = 0

    @tool(effect="unsafe")
    async def odd() -> str:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise Retry("not yet", after=after)
        return "did it"

    async with opened(store, approve=lambda request: True) as app:
        run = await app.run(Agent("a", model=ScriptedModel(("odd", {}), "done"), tools=[odd]), "go")
        assert (run.status, tries) == ("done", 2)
        assert (await app.get(run)).status == run.status


async def until_it_waits(app: App, agent: Agent[Any, Any]) -> ev.RunSuspended:
    """Start a run; what it waits for."""
    run = await app.start(agent, "go")
    async with asyncio.timeout(5):
        async for record in app.follow(run, until="end"):
            if isinstance(record.event, ev.RunSuspended):
                return record.event
    raise AssertionError("it ended instead")


@pytest.mark.parametrize("after", [float("inf"), 1e300])
async def test_a_delay_beyond_reason_is_a_year(store: str, after: float) -> None:
    @tool(effect="read")
    async def odd() -> str:
        raise Retry("not yet", after=after)

    model = ScriptedModel(("odd", {}), "done")
    async with opened(store) as app:
        waits = await until_it_waits(app, Agent("a", model=model, tools=[odd]))
        assert waits.waiting_for == ("timer",)
        assert 364 < (waits.wake_at / 1e6 - time.time()) / 86_400 <= 365


async def test_a_models_delay_beyond_reason_is_a_year_too(store: str) -> None:
    model = ScriptedModel(ModelError("overloaded", "later", retry_after=float("inf")), "done")
    async with opened(store) as app:
        waits = await until_it_waits(app, Agent("a", model=model))
        assert 364 < (waits.wake_at / 1e6 - time.time()) / 86_400 <= 365


async def test_a_probes_result_that_cannot_be_kept_leaves_the_outcome_unknown(store: str) -> None:
    probes = 0

    async def probe(key: str) -> Done:
        nonlocal probes
        probes += 1
        return Done(ToolOutput("half \ud83d"))

    @tool(effect="reconcilable", probe=probe)
    async def pay() -> str:
        raise ConnectionError("the line is dead")

    async with opened(store) as app:
        run = await app.run(Agent("a", model=ScriptedModel(("pay", {}), "done"), tools=[pay]), "go")
    assert ([request.kind for request in run.waiting], probes) == (["outcome"], 1)
    assert "the probe's result cannot be kept" in run.waiting[0].reason


async def test_what_a_tool_says_with_wrong_types_fails_in_the_tool(store: str) -> None:
    @tool(effect="read")
    async def work(context: ToolContext[Any], text: str) -> str:
        if text == "raise":
            raise InvalidArguments("half \ud83d")
        context.progress(ODD)
        return "never"

    model = ScriptedModel([("work", {"text": "say"}), ("work", {"text": "raise"})], "done")
    async with opened(store) as app:
        assert (await app.run(Agent("a", model=model, tools=[work]), "go")).output == "done"
    said, raised = results(model.requests[1])
    assert "a value has the wrong type" in said.text
    assert "half ?" in raised.text
