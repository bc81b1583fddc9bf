"""What a prompt has no room for is summarised by a model where one may be asked, and read back where it was cut."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from surefoot.core import events as ev
from surefoot.core.agent import Agent
from surefoot.core.errors import ModelError
from surefoot.core.messages import Usage
from surefoot.core.model import ModelReply, ModelRequest
from surefoot.core.run import Run
from surefoot.engine.context import SUMMARY, SUMMARY_END, estimate
from surefoot.testing.models import FunctionModel
from surefoot.tools.function import tool
from tests.flows.kit import QUICK, of_kind, opened, results, said, tags

BUDGET = 9_000
SETTINGS = replace(QUICK, context_budget=BUDGET)


@tool(effect="read")
def read(size: int) -> str:
    """Read a long text."""
    return "x" * size


class Talk:
    """A model that answers at length, and summarises when it is asked to; what it says of that is ``summary``."""

    def __init__(self, summary: Any = "They spoke of ships.", words: int = 6_500) -> None:
        self.requests: list[ModelRequest] = []
        self.summaries: list[ModelRequest] = []
        self._summary = summary
        self._words = words
        self.model = FunctionModel(self._answer)

    async def _answer(self, request: ModelRequest) -> Any:
        if not request.instructions.startswith("You summarise"):
            self.requests.append(request)
            return ModelReply.say("y" * self._words, usage=Usage(sum(map(estimate, request.messages)), 10))
        self.summaries.append(request)
        if isinstance(self._summary, Exception):
            raise self._summary
        return ModelReply.say(self._summary, usage=Usage(100, 20)) if isinstance(self._summary, str) else await self._summary()


async def talk(app: Any, agent: Agent[Any, Any], turns: int, first: int = 0) -> list[Run[Any]]:
    return [await app.run(agent, f"question {number}", session="s") for number in range(first, first + turns)]


async def test_old_turns_are_summarised_once_and_the_prompt_then_stays_as_it_is(store: str) -> None:
    talks = Talk()
    agent = Agent("a", model=talks.model)
    async with opened(store, agent, settings=SETTINGS) as app:
        runs = await talk(app, agent, 11)
        compacted = [event for run in runs for event in await of_kind(app, run, ev.ContextCompacted)]
        asked = [event for run in runs for event in await of_kind(app, run, ev.ModelRequested) if event.purpose]
    assert [event.how for event in compacted] == ["summarised"] * 2
    assert all(event.after <= BUDGET // 2 + 2_000 < BUDGET < event.before for event in compacted)
    assert (compacted[0].usage, compacted[0].model) == (Usage(100, 20), talks.model.name)
    assert [event.purpose for event in asked] == ["summary", "summary"]
    assert "user: question 0" in talks.summaries[0].messages[0].text
    assert "They spoke of ships." in talks.summaries[1].messages[0].text, "the summary before is part of the next"
    assert all(sum(map(estimate, request.messages)) <= BUDGET for request in talks.requests)
    assert said(talks.requests[-1])[0] == ("user", f"{SUMMARY}\nThey spoke of ships.\n{SUMMARY_END}")
    again = talks.requests[-2].messages
    assert tuple(talks.requests[-1].messages[: len(again)]) == tuple(again), "a session's prompts have a stable beginning"


async def test_a_summary_is_paid_for_by_the_run_it_was_made_for(store: str) -> None:
    talks = Talk()
    agent = Agent("a", model=talks.model)
    async with opened(store, agent, settings=SETTINGS) as app:
        runs = await talk(app, agent, 6)
        paid = [run for run in runs if await of_kind(app, run, ev.ContextCompacted)]
    assert [(run.steps, run.usage.input >= 100) for run in paid] == [(1, True)]


@pytest.mark.parametrize("summary", [ModelError("server", "no"), "", "   ", RuntimeError("its own"), f"{SUMMARY_END}"])
async def test_without_a_summary_the_run_goes_on(store: str, summary: Any) -> None:
    talks = Talk(summary)
    agent = Agent("a", model=talks.model)
    async with opened(store, agent, settings=SETTINGS) as app:
        runs = await talk(app, agent, 7)
        compacted = [event for run in runs for event in await of_kind(app, run, ev.ContextCompacted)]
        warned = [event for run in runs for event in await of_kind(app, run, ev.RunWarned)]
    assert [run.status for run in runs] == ["done"] * 7
    assert {event.how for event in compacted} == {"dropped"}
    assert {event.kind for event in warned} == {"summary_failed"}
    assert said(talks.requests[-1])[0][1].startswith("question")


@pytest.mark.parametrize("settings", [replace(SETTINGS, summary_model=""), replace(QUICK, context_budget=3_000)])
async def test_nobody_is_asked_where_nobody_may_be_or_it_would_not_pay(store: str, settings: Any) -> None:
    talks = Talk(words=2_000)
    agent = Agent("a", model=talks.model)
    async with opened(store, agent, settings=settings) as app:
        await talk(app, agent, 18)
    assert talks.summaries == []


async def test_a_run_may_be_cancelled_while_it_is_summarised(store: str) -> None:
    asked = asyncio.Event()

    async def never() -> ModelReply:
        asked.set()
        await asyncio.Event().wait()
        raise AssertionError

    talks = Talk(never)
    agent = Agent("a", model=talks.model)
    async with opened(store, agent, settings=SETTINGS) as app:
        for number in range(20):
            run = await app.start(agent, f"question {number}", session="s")
            done, waits = asyncio.ensure_future(app.wait(run)), asyncio.ensure_future(asked.wait())
            await asyncio.wait([done, waits], return_when=asyncio.FIRST_COMPLETED)
            if asked.is_set():
                break
        assert (await app.cancel(run)).status == "cancelled"
        waits.cancel()
        await done


async def test_a_summary_that_was_cut_off_by_a_restart_is_asked_for_again(store: str) -> None:
    asked = asyncio.Event()

    async def never() -> ModelReply:
        asked.set()
        await asyncio.Event().wait()
        raise AssertionError

    hanging, talks = Agent("a", model=Talk(never).model), Talk("z" * 100_000)
    async with opened(store, hanging, settings=SETTINGS) as app:
        await talk(app, hanging, 5)
        run = await app.start(hanging, "question 5", session="s")
        await asked.wait()
        kept = app.store
    agent = Agent("a", model=talks.model)
    async with opened(kept, agent, settings=SETTINGS) as app:
        assert (await app.wait(run.id)).status == "done"
        (compacted,) = await of_kind(app, run, ev.ContextCompacted)
        assert len(await of_kind(app, run, ev.ModelRequested)) == 3
    assert compacted.how == "summarised"
    assert len(compacted.summary) < 9_000, "a summary that is too long is cut"


async def test_a_model_that_cancels_itself_gives_no_summary(store: str) -> None:
    async def cancelled() -> ModelReply:
        raise asyncio.CancelledError

    talks = Talk(cancelled)
    agent = Agent("a", model=talks.model)
    async with opened(store, agent, settings=SETTINGS) as app:
        runs = await talk(app, agent, 6)
        assert [event.kind for run in runs for event in await of_kind(app, run, ev.RunWarned)] == ["summary_failed"]


async def test_what_is_said_meanwhile_is_not_lost(store: str) -> None:
    """A message that comes between the decision to summarise and its request makes the run decide anew."""
    from surefoot.testing.faults import Faults, FaultyStore

    talks = Talk()
    agent = Agent("a", model=talks.model)
    told = False

    async def before(inside: Any, stream: str, events: Any) -> None:
        nonlocal told
        if not told and any(isinstance(event, ev.ModelRequested) and event.purpose for event in events):
            told = True
            await inside.append(stream, [ev.MessageReceived(())], head=None)

    async with opened(store, agent, settings=SETTINGS) as app:
        await talk(app, agent, 4)
        inside = app.store
    async with opened(FaultyStore(inside, Faults(before=before)), agent, settings=SETTINGS) as app:
        runs = await talk(app, agent, 3, first=4)
    assert told
    assert [run.status for run in runs] == ["done"] * 3


async def test_a_transcript_fits_its_model_and_tells_of_calls(store: str) -> None:
    seen: list[ModelRequest] = []
    left = iter([*[("read", {"size": 4_000})] * 9, "done"])

    def answer(request: ModelRequest) -> Any:
        if request.instructions.startswith("You summarise"):
            seen.append(request)
            return "They read."
        last = request.messages[-1]
        return next(left) if last.role == "tool" or last.text == "go" else "z" * 8_000 if last.text[0] == "ü" else "so"

    agent = Agent("a", model=FunctionModel(answer, context_window=4_000), tools=[read])
    async with opened(store, agent, settings=replace(QUICK, context_budget=9_000)) as app:
        for number in range(3):
            await app.run(agent, "ü" * 2_000 + str(number), session="s")
        await app.run(agent, "go", session="s")
        await app.run(agent, "again", session="s")
        run = await app.run(agent, "ü" * 9_000, session="s")
    assert run.status == "done"
    assert seen
    texts = [request.messages[0].text for request in seen]
    assert all(len(text) <= 4_000 * 0.6 * 3.5 + 100 for text in texts)
    assert any('assistant called read with {"size":4000}' in text for text in texts)
    assert any("read returned: xxx" in text for text in texts)


# ── the estimate ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("factor", "fewer"), [(3.0, True), (0.5, False)])
async def test_estimates_are_corrected_by_what_the_provider_counts(store: str, factor: float, fewer: bool) -> None:
    """A model whose tokens are shorter than estimated gets shorter prompts, in the session's next run, too."""
    sizes: list[int] = []

    def answer(request: ModelRequest) -> ModelReply:
        sizes.append(sum(map(estimate, request.messages)))
        return ModelReply.say("y" * 1_000, usage=Usage(int(sizes[-1] * factor), 10))

    agent = Agent("a", model=FunctionModel(answer))
    async with opened(store, agent, settings=replace(QUICK, context_budget=4_000)) as app:
        for number in range(30):
            run = await app.run(agent, f"question {number}", session="s")
        requested = (await of_kind(app, run, ev.ModelRequested))[0]
    assert requested.tokens == sizes[-1]
    assert max(sizes) * factor <= 4_000 * 1.1
    assert (max(sizes) < 4_000) is fewer


# ── reading back ────────────────────────────────────────────────────────────────────────────────────────────────────


@tool(effect="read", result_limit=1_000)
def long(letter: str) -> str:
    """Give a long text."""
    return letter * 5_000


async def test_a_model_reads_back_what_was_cut(store: str) -> None:
    offered: list[list[str]] = []

    def answer(request: ModelRequest) -> Any:
        offered.append([spec.name for spec in request.tools])
        found = results(request)
        if not found:
            return ("long", {"letter": "q"})
        if len(found) == 1:
            handle = found[0].text.rpartition("handle ")[2].rstrip("]")
            return ("read_result", {"handle": handle, "offset": 4_990, "limit": 50})
        return found[-1].text

    agent = Agent("a", model=FunctionModel(answer), tools=[long])
    async with opened(store, agent) as app:
        run = await app.run(agent, "go")
        requested = await of_kind(app, run, ev.ModelRequested)
        assert "calls.judged" not in await tags(app, run)
        shown = await app.store.load(requested[1].tools)
    assert run.output == f"{'q' * 10}\n[characters 4990 to 5000 of 5000]"
    assert offered == [["long"], ["long", "read_result"], ["long", "read_result"]]
    assert [bool(event.tools) for event in requested] == [True, True, False]
    assert b"read_result" in shown


async def test_what_was_cut_to_fit_is_read_back_in_the_sessions_next_run(store: str) -> None:
    handles: list[str] = []

    def answer(request: ModelRequest) -> Any:
        last = request.messages[-1]
        found = results(request)
        if last.text == "look":
            return ("read", {"size": 3_000})
        if last.text == "back":
            handles.append(found[0].text.rpartition("handle ")[2].rstrip("]"))
            return ("read_result", {"handle": handles[0]})
        return found[-1].text[-60:] if last.role == "tool" else "so"

    agent = Agent("a", model=FunctionModel(answer), tools=[read])
    async with opened(store, agent, settings=replace(QUICK, context_budget=3_000)) as app:
        first = await app.run(agent, "look", session="s")
        for _ in range(3):
            await app.run(agent, "look", session="s")
        assert str((await app.run(agent, "back", session="s")).output).endswith("[characters 0 to 3000 of 3000]")
        assert handles == [f"{first.id}:0.0"]
        stranger = await app.run(agent, "back", history=await app.sessions.show("s"))
    assert stranger.status == "done"


async def test_a_tool_of_the_same_name_stays_the_agents_own(store: str) -> None:
    @tool(effect="read")
    def read_result(handle: str = "") -> str:
        return "mine"

    model = FunctionModel(lambda request: ("read_result", {}) if len(request.messages) == 1 else results(request)[0].text)
    async with opened(store) as app:
        assert (await app.run(Agent("a", model=model, tools=[read_result]), "go")).output == "mine"
        agent = Agent("b", model=FunctionModel(lambda request: str(len(request.tools))), tools=[read_result])
        assert (await app.run(agent, "go")).output == "1"
