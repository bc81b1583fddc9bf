"""What a run needs before it begins: dependencies of every kind, toolsets, instructions; and what breaks in them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from surefoot.approvals import Lists
from surefoot.core import events as ev
from surefoot.core.agent import Agent
from surefoot.core.errors import ConfigurationError, DuplicateTool, MissingKey, UnknownAgent, UnknownProvider
from surefoot.core.ports import Tool
from surefoot.core.tool import ToolContext
from surefoot.testing.models import ScriptedModel
from surefoot.tools.function import tool
from surefoot.tools.toolset import Tools
from tests.flows.kit import QUICK, of_kind, opened, results

LOG: list[str] = []


@tool(effect="read")
def look(context: ToolContext[str]) -> str:
    """Look at the dependencies."""
    return context.deps


def value() -> Any:
    return "value"


async def awaited() -> Any:
    return "awaited"


@contextmanager
def entered() -> Iterator[str]:
    LOG.append("in")
    yield "entered"
    LOG.append("out")


@asynccontextmanager
async def entered_later() -> AsyncIterator[str]:
    LOG.append("in")
    yield "entered later"
    LOG.append("out")


async def awaited_manager() -> Any:
    return entered_later()


@pytest.mark.parametrize(
    ("deps", "told"),
    [
        (value, "value"),
        (awaited, "awaited"),
        (entered, "entered"),
        (entered_later, "entered later"),
        (awaited_manager, "entered later"),
    ],
)
async def test_tools_get_what_their_agents_factory_makes(store: str, deps: Any, told: str) -> None:
    LOG.clear()
    model = ScriptedModel(("look", {}), "done")
    async with opened(store) as app:
        run = await app.run(Agent("a", model=model, tools=[look], deps=deps), "go")
    assert run.output == "done"
    assert results(model.requests[1])[0].text == told
    assert (["in", "out"] if "entered" in told else []) == LOG


async def test_dependencies_are_made_anew_at_each_claim(store: str) -> None:
    made: list[int] = []

    def deps() -> str:
        made.append(1)
        return f"number {len(made)}"

    @tool
    def refund(context: ToolContext[str]) -> str:
        return context.deps

    model = ScriptedModel(("refund", {}), "done")
    async with opened(store) as app:
        run = await app.run(Agent("a", model=model, tools=[refund], deps=deps), "go")
        await app.decide(run.waiting[0], approve=True)
        await app.wait(run)
    assert results(model.requests[1])[0].text == "number 2"


def broken() -> str:
    raise ZeroDivisionError("no database")


class BrokenEntry(AbstractContextManager[str]):
    def __enter__(self) -> str:
        raise SystemExit(1)

    def __exit__(self, *error: object) -> None: ...


@pytest.mark.parametrize("deps", [broken, BrokenEntry])
async def test_a_factory_that_breaks_ends_the_run_which_can_be_resumed(store: str, deps: Any) -> None:
    model = ScriptedModel("done")
    async with opened(store) as app:
        run = await app.run(Agent("a", model=model, deps=deps), "go")
        kept = app.store
        assert run.error is not None
        assert (run.status, run.error.kind) == ("failed", "setup_failed")
        assert "mend" in run.error.hint
        assert model.requests == []
    async with opened(kept, Agent("a", model=model)) as app:
        assert (await app.resume(run)).output == "done"


async def test_a_manager_that_breaks_on_the_way_out_takes_no_answer_back(store: str, caplog: pytest.LogCaptureFixture) -> None:
    @contextmanager
    def deps() -> Iterator[str]:
        yield "x"
        raise ZeroDivisionError("cannot close")

    async with opened(store) as app:
        run = await app.run(Agent("a", model=ScriptedModel("done"), deps=deps), "go")
    assert run.output == "done"
    assert "could not be closed" in caplog.text


async def test_instructions_may_be_any_callable(store: str) -> None:
    model = ScriptedModel("done")
    instructions = partial(lambda word, context: f"{word} {context.agent}", "hello")
    async with opened(store) as app:
        await app.run(Agent("a", model=model, instructions=instructions), "go")
    assert model.requests[0].instructions == "hello a"


def wrong(context: ToolContext[Any]) -> Any:
    return 7


async def wrong_too(context: ToolContext[Any]) -> str:
    return "x"


def raising(context: ToolContext[Any]) -> str:
    raise KeyError("no such thing")


@pytest.mark.parametrize("instructions", [wrong, wrong_too, raising])
async def test_instructions_that_break_end_the_run(store: str, instructions: Any) -> None:
    async with opened(store) as app:
        run = await app.run(Agent("a", model=ScriptedModel("done"), instructions=instructions), "go")
        assert run.error is not None
        assert (run.status, run.error.kind) == ("failed", "setup_failed")


async def test_instructions_that_no_file_can_hold_are_mended(store: str) -> None:
    model = ScriptedModel("done")
    async with opened(store) as app:
        assert (await app.run(Agent("a", model=model, instructions="be \ud83d kind"), "go")).output == "done"
    assert model.requests[0].instructions == "be � kind"


class Box:
    """A toolset that is opened and closed."""

    def __init__(self, *tools: Tool, error: Exception | None = None) -> None:
        self.log: list[str] = []
        self._tools, self._error = tools, error

    def tools(self) -> Sequence[Tool]:
        return self._tools

    async def open(self) -> None:
        self.log.append("open")
        if self._error:
            raise self._error

    async def close(self) -> None:
        self.log.append("close")


async def test_a_toolset_is_open_while_its_tools_run(store: str) -> None:
    @tool(effect="read")
    def peek() -> str:
        return " ".join(box.log)

    box = Box(peek)
    model = ScriptedModel(("peek", {}), "done")
    async with opened(store) as app:
        await app.run(Agent("a", model=model, tools=[box]), "go")
    assert results(model.requests[1])[0].text == "open"
    assert box.log == ["open", "close"]


class Connection(Box):
    """A toolset that knows its tools only once it is open."""

    def tools(self) -> Sequence[Tool]:
        return super().tools() if self.log[-1:] == ["open"] else ()


async def test_tools_that_are_known_once_a_toolset_is_open_can_be_called(store: str) -> None:
    model = ScriptedModel(("crm_see", {}), "done", "done again")
    agent = Agent("a", model=model, tools=[Tools([Connection(look)]).renamed({"look": "see"}).prefixed("crm_")], deps=value)
    async with opened(store) as app:
        run = await app.run(agent, "go")
        assert run.output == "done"
        assert [spec.name for spec in model.requests[0].tools] == ["crm_see"]
        assert results(model.requests[1])[0].text == "value"
        asked = (await of_kind(app, run, ev.ModelRequested))[0]
        assert b"crm_see" in await app.store.load(asked.tools)
        again = await app.run(agent, "go once more")
        claims = [(await of_kind(app, one, ev.RunClaimed))[0].agent_digest for one in (run, again)]
        assert claims[0] != claims[1], "what is known of the tools is part of the digest"


@pytest.mark.parametrize(("denied", "kind"), [("look", ""), ("lok", "setup_failed")])
async def test_rules_about_tools_of_a_toolset_are_looked_at_once_it_is_open(store: str, denied: str, kind: str) -> None:
    model = ScriptedModel(("look", {}), "done")
    agent = Agent("a", model=model, tools=[Connection(look)], deps=value)
    async with opened(store, agent, policy=Lists(deny=(denied,))) as app:
        run = await app.run(agent, "go")
    assert (run.error.kind if run.error else "") == kind
    if not kind:
        assert "Denied by policy" in results(model.requests[1])[0].text


async def test_a_toolset_that_brings_a_name_twice_ends_the_run(store: str) -> None:
    agent = Agent("a", model=ScriptedModel("never"), tools=[look, Connection(look)], deps=value)
    async with opened(store) as app:
        run = await app.run(agent, "go")
    assert run.error is not None
    assert (run.status, run.error.kind) == ("failed", "setup_failed")
    assert "two tools named 'look'" in run.error.message


async def test_a_toolset_that_cannot_be_opened_ends_the_run(store: str) -> None:
    async with opened(store) as app:
        agent = Agent("a", model=ScriptedModel("done"), tools=[Box(error=OSError("no server"))])
        run = await app.run(agent, "go")
        assert run.error is not None
        assert (run.error.kind, run.error.message) == ("setup_failed", "OSError: no server")


async def test_a_setup_that_hangs_is_cut_short_by_a_cancellation(store: str) -> None:
    inside = asyncio.Event()

    async def deps() -> Any:
        inside.set()
        await asyncio.Event().wait()

    async with opened(store) as app:
        run = await app.start(Agent("a", model=ScriptedModel(), deps=deps), "go")
        await inside.wait()
        assert (await app.cancel(run)).status == "cancelled"


async def test_a_run_that_is_cancelled_needs_no_setup(store: str) -> None:
    @tool
    def refund() -> str:
        return "refunded"

    agent = Agent("a", model=ScriptedModel(("refund", {})), tools=[refund])
    async with opened(store, agent) as app:
        run = await app.run(agent, "go")
        kept = app.store
    async with opened(kept, Agent("a", model=ScriptedModel("x"), tools=[refund], deps=broken)) as app:
        assert (await app.cancel(run)).status == "cancelled"


def nameless(name: str) -> None:
    Agent(name)


@pytest.mark.parametrize("name", ["", "  "])
def test_an_agent_needs_a_name(name: str) -> None:
    with pytest.raises(ConfigurationError, match="needs a name"):
        nameless(name)


async def test_agents_that_cannot_work_are_refused_when_the_application_opens(
    store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    model = ScriptedModel("x")
    wrong: list[tuple[Agent[Any, Any], type[Exception], str]] = [
        (Agent("a", model=model, tools=[look, look]), DuplicateTool, "two tools named 'look'"),
        (Agent("a", model="nobody:model"), UnknownProvider, "nobody"),
        (Agent("a", model="openai:gpt-4o"), MissingKey, "OPENAI_API_KEY"),
        (Agent("a", model=model, tools=["look"]), ConfigurationError, "is not a tool"),  # type: ignore[list-item]
    ]
    with pytest.raises(ConfigurationError, match=r"memory=Memory\(\)"):
        Agent("a", model=model, memory=object())  # type: ignore[call-overload]
    for agent, error, words in wrong:
        with pytest.raises(error, match=words):
            async with opened(store, agent):
                pass
        async with opened(store) as app:
            with pytest.raises(error, match=words):
                await app.run(agent, "go")
            assert await app.list() == [], "nothing is begun that cannot work"


async def test_a_plain_function_is_an_unsafe_tool(store: str) -> None:
    def refund() -> str:
        """Refund something."""
        return "refunded"

    async with opened(store) as app:
        run = await app.run(Agent("a", model=ScriptedModel(("refund", {})), tools=[refund]), "go")
    assert [(request.tool, request.effect) for request in run.waiting] == [("refund", "unsafe")]


async def test_an_agent_without_a_model_takes_the_settings(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "SUREFOOT_MODEL"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(UnknownProvider, match="nobody"):
        async with opened(store, Agent("a"), settings=replace(QUICK, model="nobody:model")):
            pass


async def test_every_commit_may_be_flushed(tmp_path: Path) -> None:
    async with opened(f"sqlite:{tmp_path / 'a.db'}", settings=replace(QUICK, durable=True)) as app:
        assert (await app.run(Agent("a", model=ScriptedModel("hello")), "hi")).output == "hello"


async def test_a_single_model_may_stand_in_a_list(store: str) -> None:
    async with opened(store) as app:
        assert (await app.run(Agent("a", model=[ScriptedModel("hello")]), "hi")).output == "hello"


async def test_two_agents_of_one_name_are_refused(store: str) -> None:
    one, other = Agent("a", model=ScriptedModel("one")), Agent("a", model=ScriptedModel("other"))
    with pytest.raises(ConfigurationError, match="two different agents"):
        async with opened(store, one, other):
            pass
    async with opened(store, one) as app:
        with pytest.raises(ConfigurationError, match="two different agents"):
            await app.run(other, "go")


async def test_an_agent_that_is_not_here_is_named_with_those_that_are(store: str) -> None:
    async with opened(store, Agent("clerk", model=ScriptedModel("x"))) as app:
        with pytest.raises(UnknownAgent, match=r"no agent 'klerk'.*clerk"):
            await app.run("klerk", "go")
        run = await app.run("clerk", "go")
        assert run.output == "x"


async def test_a_claim_records_which_definition_works(store: str) -> None:
    async with opened(store) as app:
        runs = [
            await app.run(Agent("a", model=ScriptedModel("x")), "go"),
            await app.run(Agent("b", model=ScriptedModel("x"), version="2"), "go"),
            await app.run(Agent("c", model=ScriptedModel("x"), instructions=raising), "go"),
        ]
        claims = [(await of_kind(app, run, ev.RunClaimed))[0] for run in runs]
    assert len({claim.agent_digest for claim in claims}) == 3
