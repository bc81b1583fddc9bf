"""Models that fail, stop midway, hang or return garbage: tried again where that may help, and never at the run's cost."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from surefoot.core import events as ev
from surefoot.core.agent import Agent
from surefoot.core.errors import PERMANENT_KINDS, ModelError
from surefoot.core.messages import Image, Text
from surefoot.core.model import Delta, Emit, ModelReply, ModelRequest, ModelSettings, ProposedCall
from surefoot.settings import Settings
from surefoot.testing.clock import ManualClock
from surefoot.testing.models import FunctionModel, ScriptedModel
from tests.flows.kit import QUICK, of_kind, opened, tags


class Wild:
    """A model made from an async function of (request, emit), which may do anything."""

    name, context_window = "wild:model", 100_000

    def __init__(self, request: Any) -> None:
        self.request = request


@pytest.mark.parametrize("kind", ["rate_limited", "overloaded", "timeout", "connection", "server", "malformed_output"])
async def test_a_failure_that_may_pass_is_tried_again(store: str, kind: str) -> None:
    model = ScriptedModel(ModelError(kind, "no", status=503, request_id="r1"), "done")
    async with opened(store) as app:
        run = await app.run(Agent("a", model=model), "go")
        failed = (await of_kind(app, run, ev.ModelFailed))[0]
    assert (run.output, run.steps) == ("done", 1)
    assert (failed.error.kind, failed.error.status, failed.error.request_id) == (kind, 503, "r1")
    assert failed.retry_at > 0


async def test_a_run_waits_as_long_as_its_model_asks_for(store: str) -> None:
    model = ScriptedModel(ModelError("rate_limited", "no", retry_after=10), "done")
    async with opened(store, clock=ManualClock(skip=True), settings=Settings(adopt=False, grace=0)) as app:
        run = await app.run(Agent("a", model=model), "go")
        records = await app.events(run)
    failed, asked = (
        next(r for r in reversed(records) if isinstance(r.event, kind)) for kind in (ev.ModelFailed, ev.ModelRequested)
    )
    assert run.output == "done"
    assert asked.time - failed.time >= 10_000_000


@pytest.mark.parametrize("kind", sorted(PERMANENT_KINDS & {"auth", "permission", "not_found", "quota_exhausted"}))
async def test_a_failure_that_does_not_pass_ends_the_run_which_can_be_resumed(store: str, kind: str) -> None:
    model = ScriptedModel(ModelError(kind, "no"), "done")
    async with opened(store) as app:
        run = await app.run(Agent("a", model=model), "go")
        assert run.error is not None
        assert (run.status, run.error.kind, run.error.message) == ("failed", kind, "no")
        assert "resume" in run.error.hint
        assert (await app.resume(run)).output == "done"


async def test_a_model_is_asked_as_often_as_the_settings_say(store: str) -> None:
    model = FunctionModel(lambda request: ModelError("server", "no"))
    async with opened(store, settings=Settings(model_tries=3, backoff=0, grace=0)) as app:
        run = await app.run(Agent("a", model=model), "go")
        asked = await of_kind(app, run, ev.ModelRequested)
        assert run.error is not None
        assert (run.status, run.error.kind, run.error.data) == ("failed", "server", {"tries": 3})
        assert [event.attempt for event in asked] == [1, 2, 3]
        await app.resume(run)
        assert len(model.requests) == 6, "a resumed run has all its tries again"


async def test_a_message_is_one_more_reason_to_ask(store: str) -> None:
    model = ScriptedModel(ModelError("overloaded", "no", retry_after=3600), "done")
    clock = ManualClock()
    async with opened(store, clock=clock) as app:
        run = await app.start(Agent("a", model=model), "go")
        async for record in app.follow(run, until="end"):
            if isinstance(record.event, ev.RunSuspended):
                assert record.event.wake_at >= clock.now() + 3_600_000_000
                clock.advance(3601)
        assert (await app.get(run)).output == "done"


async def test_a_model_that_stops_in_mid_stream_is_asked_again(store: str) -> None:
    tries: list[int] = []

    async def request(request: ModelRequest, emit: Emit) -> ModelReply:
        tries.append(1)
        emit(Delta("text", "Hel"))
        if len(tries) == 1:
            raise ModelError("connection", "the stream ended early")
        emit(Delta("text", "lo"))
        return ModelReply.say("Hello")

    async with opened(store) as app:
        run = await app.run(Agent("a", model=Wild(request)), "go")
        assert (run.output, run.text) == ("Hello", "Hello"), "half an answer is never taken for one"
        assert await tags(app, run) == [
            "run.started",
            "model.requested",
            "model.failed",
            "model.requested",
            "model.replied",
            "run.finished",
        ]


GARBAGE: list[Any] = [None, "text", 7, object(), ModelReply(calls=cast("Any", ("what",)))]


@pytest.mark.parametrize("garbage", GARBAGE)
async def test_garbage_is_a_failure_of_the_model(store: str, garbage: Any) -> None:
    async def request(request: ModelRequest, emit: Emit) -> Any:
        return garbage

    async with opened(store, settings=Settings(model_tries=2, backoff=0, grace=0)) as app:
        run = await app.run(Agent("a", model=Wild(request)), "go")
        assert run.error is not None
        assert (run.status, run.error.kind) == ("failed", "server")
        assert "the model raised" in run.error.message


@pytest.mark.parametrize("error", [ZeroDivisionError("x"), TimeoutError("x"), asyncio.CancelledError("x")], ids=repr)
async def test_a_model_that_raises_what_it_should_not_is_asked_again(store: str, error: BaseException) -> None:
    tries: list[int] = []

    async def request(request: ModelRequest, emit: Emit) -> ModelReply:
        tries.append(1)
        if len(tries) == 1:
            raise error
        return ModelReply.say("fine")

    async with opened(store) as app:
        run = await app.run(Agent("a", model=Wild(request)), "go")
        failed = (await of_kind(app, run, ev.ModelFailed))[0]
    assert run.output == "fine"
    assert type(error).__name__ in failed.error.message


async def test_a_model_that_hangs_is_cut_short_and_asked_again(store: str) -> None:
    tries: list[int] = []

    async def request(request: ModelRequest, emit: Emit) -> ModelReply:
        tries.append(1)
        if len(tries) == 1:
            await asyncio.Event().wait()
        return ModelReply.say("fine")

    async with opened(store) as app:
        run = await app.run(Agent("a", model=Wild(request), settings=ModelSettings(timeout=0.05)), "go")
        failed = (await of_kind(app, run, ev.ModelFailed))[0]
    assert run.output == "fine"
    assert (failed.error.kind, failed.error.message) == ("timeout", "no answer within 0.05 s")


async def test_two_hundred_unknown_calls_are_two_hundred_observations(store: str) -> None:
    calls = tuple(ProposedCall(f"tool{n}", "{}", f"id{n}") for n in range(200))
    model = ScriptedModel(ModelReply(calls=calls), "done")
    async with opened(store) as app:
        run = await app.run(Agent("a", model=model), "go")
    assert run.output == "done"
    assert len(model.requests[1].messages[-1].parts) == 200


async def test_an_image_in_an_answer_goes_to_the_blobs(store: str) -> None:
    model = ScriptedModel(ModelReply((Text("Here it is."), Image(data=b"\x89PNG"))))
    async with opened(store) as app:
        run = await app.run(Agent("a", model=model), "draw")
        image = (await of_kind(app, run, ev.ModelReplied))[0].parts[1]
        assert image.data == b""
        assert await app.store.load(image.blob) == b"\x89PNG"
        assert run.output == "Here it is."


async def test_the_model_that_answered_is_named_when_it_is_another(store: str) -> None:
    replies = [ModelReply((Text("a"),), model="model"), ModelReply((Text("b"),), model="model-2025", request_id="r9")]
    for reply, name in zip(replies, ["", "model-2025"], strict=True):
        async with opened(store) as app:
            run = await app.run(Agent("a", model=ScriptedModel(reply)), "go")
            assert (await of_kind(app, run, ev.ModelReplied))[0].model == name


async def test_a_request_that_a_crash_cut_off_is_made_again(store: str) -> None:
    model = ScriptedModel("never", "done", delay=0)
    first = Agent("a", model=ScriptedModel("never", delay=60))
    async with opened(store) as app:
        run = await app.start(first, "go")
        async for record in app.follow(run):
            if isinstance(record.event, ev.ModelRequested):
                break
        kept = app.store
    async with opened(kept, Agent("a", model=model), settings=QUICK) as app:
        run = await app.wait(run)
        asked = await of_kind(app, run, ev.ModelRequested)
    assert (run.output, [event.attempt for event in asked]) == ("never", [1, 2])
