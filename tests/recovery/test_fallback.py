"""Chains of models: who is asked next, by the kind of failure, and what the journal says of it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from surefoot.core import events as ev
from surefoot.core.agent import Agent
from surefoot.core.errors import ConfigurationError, ModelError, UnknownPrice
from surefoot.core.messages import Text
from surefoot.core.model import Delta, Emit, ModelReply, ModelRequest, ModelSettings
from surefoot.core.values import Limits
from surefoot.recovery.classify import Taxonomy
from surefoot.recovery.fallback import Chain
from surefoot.settings import Settings
from surefoot.testing.clock import ManualClock
from surefoot.testing.models import FunctionModel, ScriptedModel
from surefoot.tools.function import tool
from tests.flows.kit import of_kind, opened, tags
from tests.recovery.kit import asked, ignore


def scripted(name: str, *replies: Any, window: int = 128_000) -> ScriptedModel:
    return ScriptedModel(*replies, name=name, context_window=window)


def chain(*models: Any) -> Chain:
    return Chain(models, Taxonomy(), ManualClock())


AT_ONCE = ["rate_limited", "overloaded", "timeout", "quota_exhausted", "auth", "permission", "not_found", "content_filtered"]
AFTER_RETRY = ["connection", "server", "malformed_output"]


@pytest.mark.parametrize("kind", AT_ONCE)
async def test_another_model_is_asked_at_once(store: str, kind: str) -> None:
    first, second = scripted("a:one", ModelError(kind, "no")), scripted("b:two", "done")
    async with opened(store) as app:
        run = await app.run(Agent("a", model=[first, second]), "go")
        [replied] = await of_kind(app, run, ev.ModelReplied)
        [warned] = await of_kind(app, run, ev.RunWarned)
        assert await tags(app, run) == ["run.started", "model.requested", "run.warned", "model.replied", "run.finished"]
    assert (run.output, replied.model, warned.kind) == ("done", "b:two", "fell_back")
    [tried] = warned.data["tried"]
    assert (tried["model"], tried["kind"], tried["message"], tried["duration"] > 0) == ("a:one", kind, "no", True)
    assert "b:two answered in place of a:one" in warned.message


@pytest.mark.parametrize("kind", AFTER_RETRY)
async def test_another_model_is_asked_after_a_retry(store: str, kind: str) -> None:
    first, second = scripted("a:one", ModelError(kind, "no"), ModelError(kind, "no")), scripted("b:two", "done")
    async with opened(store) as app:
        run = await app.run(Agent("a", model=[first, second]), "go")
        [failed] = await of_kind(app, run, ev.ModelFailed)
    assert (run.output, failed.error.kind, len(first.requests)) == ("done", kind, 2)


async def test_a_retry_that_helps_needs_nobody_else(store: str) -> None:
    first, second = scripted("a:one", ModelError("server", "no"), "done"), scripted("b:two")
    async with opened(store) as app:
        run = await app.run(Agent("a", model=[first, second]), "go")
    assert (run.output, second.requests) == ("done", [])


async def test_a_bad_request_is_bad_everywhere(store: str) -> None:
    first, second = scripted("a:one", ModelError("invalid_request", "no")), scripted("b:two")
    async with opened(store) as app:
        run = await app.run(Agent("a", model=[first, second]), "go")
    assert run.error is not None
    assert (run.status, run.error.kind, second.requests) == ("failed", "invalid_request", [])


class Midway:
    """A model that stops once it has begun to speak."""

    name, context_window = "a:midway", 1_000

    def __init__(self) -> None:
        self.tries = 0

    async def request(self, request: ModelRequest, emit: Emit) -> ModelReply:
        self.tries += 1
        emit(Delta("text", "Hel"))
        raise ModelError("overloaded", "it stopped")


async def test_once_a_model_has_begun_no_other_is_asked_in_its_place() -> None:
    first, second, heard = Midway(), scripted("b:two", "Hello"), list[Delta]()
    with pytest.raises(ModelError, match="it stopped"):
        await chain(first, second).request(asked(), heard.append)
    assert ([delta.text for delta in heard], second.requests) == (["Hel"], [])


async def test_a_model_that_hangs_leaves_time_for_the_next(store: str) -> None:
    async def hang(request: ModelRequest) -> str:
        await asyncio.Event().wait()
        return "never"

    first, second = FunctionModel(hang, name="a:one"), scripted("b:two", "done")
    async with opened(store) as app:
        run = await app.run(Agent("a", model=[first, second], settings=ModelSettings(timeout=0.05)), "go")
        [warned] = await of_kind(app, run, ev.RunWarned)
    assert (run.output, warned.data["tried"][0]["kind"]) == ("done", "timeout")
    assert warned.data["tried"][0]["duration"] >= 50_000


async def test_a_model_that_breaks_is_a_failing_server() -> None:
    first, second = scripted("a:one", ZeroDivisionError("x")), scripted("b:two", "done")
    assert (await chain(first, second).request(asked(2), ignore)).by == "b:two"


async def test_when_all_fail_the_failure_that_waiting_helps_is_the_run_s(store: str) -> None:
    first = scripted("a:one", *[ModelError("auth", "no")] * 2)
    second = scripted("b:two", ModelError("overloaded", "busy"), "done")
    async with opened(store) as app:
        run = await app.run(Agent("a", model=[first, second]), "go")
        [failed] = await of_kind(app, run, ev.ModelFailed)
    assert (run.output, failed.error.kind) == ("done", "overloaded")
    assert [one["kind"] for one in failed.error.data["tried"]] == ["auth", "overloaded"]


async def test_when_nothing_helps_the_first_failure_is_the_run_s(store: str) -> None:
    models = [scripted("a:one", ModelError("auth", "no key")), scripted("b:two", ModelError("not_found", "no model"))]
    async with opened(store) as app:
        run = await app.run(Agent("a", model=models), "go")
    assert run.error is not None
    assert (run.error.kind, len(run.error.data["tried"])) == ("auth", 2)


async def test_the_shortest_wait_is_waited_for() -> None:
    models = [
        scripted("a:one", ModelError("quota_exhausted", "x", retry_after=9_000)),
        scripted("b:two", ModelError("rate_limited", "x", retry_after=3)),
    ]
    with pytest.raises(ModelError) as caught:
        await chain(*models).request(asked(), ignore)
    assert (caught.value.kind, caught.value.retry_after) == ("rate_limited", 3)


async def test_a_model_behind_an_open_breaker_costs_no_time(store: str) -> None:
    first = scripted("a:one", ModelError("overloaded", "no", retry_after=60))
    second = scripted("b:two", "one", "two")
    async with opened(store, clock=ManualClock()) as app:
        agent = Agent("a", model=[first, second])
        assert [(await app.run(agent, "go")).output for _ in range(2)] == ["one", "two"]
        warned = (await of_kind(app, (await app.list())[0], ev.RunWarned))[0]
    assert len(first.requests) == 1
    assert "duration" not in warned.data["tried"][0], "nobody was asked"


# ── too long a prompt ───────────────────────────────────────────────────────────────────────────────────────────────


LONG = "many words " * 400


def overflowing(name: str, most: int, window: int) -> FunctionModel:
    """Make a model that looks twice, and whose prompts may have so many characters."""

    def reply(request: ModelRequest) -> Any:
        size = sum(len(str(part)) for message in request.messages for part in message.parts)
        if size > most:
            return ModelError("context_overflow", "too long")
        looked = sum(message.role == "assistant" for message in request.messages)
        return "done" if looked >= 4 else ("look", {"n": looked})

    return FunctionModel(reply, name=name, context_window=window)


@tool(effect="read")
def look(n: int) -> str:
    """Look."""
    return f"{n} {LONG}"


async def test_a_prompt_that_is_too_long_is_made_shorter_before_anything_else(store: str) -> None:
    first, second = overflowing("a:one", 12_000, 100_000), scripted("b:two", window=1_000_000)
    async with opened(store) as app:
        run = await app.run(Agent("a", model=[first, second], tools=[look]), "go")
        [compacted] = await of_kind(app, run, ev.ContextCompacted)
        [failed] = await of_kind(app, run, ev.ModelFailed)
    assert (run.output, failed.error.kind, failed.error.hint, second.requests) == ("done", "context_overflow", "", [])
    assert compacted.after <= 0.6 * compacted.before


async def test_then_a_model_with_a_larger_window_is_asked_and_no_other(store: str) -> None:
    first, small, large = (
        overflowing("a:one", 10, 4_000),
        scripted("b:two", window=4_000),
        scripted("c:three", "done", window=8_000),
    )
    async with opened(store) as app:
        run = await app.run(Agent("a", model=[first, small, large]), [Text("a message that is long")])
        [warned] = await of_kind(app, run, ev.RunWarned)
    assert (run.output, small.requests, warned.data["answered"]) == ("done", [], "c:three")


async def test_where_nothing_helps_the_run_fails_and_says_so(store: str) -> None:
    chains: list[list[Any]] = [
        [overflowing("a:one", 10, 4_000)],
        [overflowing("a:one", 10, 4_000), scripted("b:two", window=4_000)],
    ]
    for models in chains:
        async with opened(store) as app:
            run = await app.run(Agent("a", model=models), [Text("a message that is long")])
            assert len(await of_kind(app, run, ev.ModelFailed)) == 1
        assert run.error is not None
        assert (run.status, run.error.kind) == ("failed", "context_overflow")
        assert "resume" in run.error.hint


# ── how chains are made ─────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_cost_limit_needs_the_price_of_every_model() -> None:
    agent = Agent("a", model=[scripted("local:x"), scripted("b:two")], limits=Limits(cost=1))
    with pytest.raises(UnknownPrice, match="b:two"):
        async with opened("memory:", agent):
            pass


async def test_models_of_a_chain_are_named_or_given(store: str) -> None:
    with pytest.raises(ConfigurationError, match="no provider 'nobody'"):
        async with opened(store, Agent("a", model=["nobody:x", scripted("b:two")])):
            pass
    async with opened(store, settings=Settings(model_tries=1, grace=0)) as app:
        run = await app.run(Agent("a", model=[scripted("b:two", "done")]), "go")
    assert run.output == "done"
