"""The adapter against a server that was not written here: llama.cpp's own, with the demo model, on loopback with a key."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Literal

import pytest
from pydantic import BaseModel

from surefoot.app import App
from surefoot.core import events as ev
from surefoot.core.agent import Agent
from surefoot.core.errors import ModelError
from surefoot.core.messages import Message, Text, text_of
from surefoot.core.model import Delta, ModelReply, ModelRequest, ModelSettings, OutputSchema
from surefoot.core.tool import ToolSpec
from surefoot.models.local_weights import installed
from surefoot.models.openai import OpenAI
from tests.flows.kit import QUICK, of_kind

pytestmark = [pytest.mark.needs("openai", "xllamacpp", "weights"), pytest.mark.xdist_group("llama")]

KEY = "a-key-of-this-test"
#: Seconds for the weights to load on a busy machine, and for an answer of some tokens.
PATIENCE = 60


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Start the server, and give its address at once: it is still loading."""
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    import xllamacpp

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    params = xllamacpp.CommonParams()
    params.model.path = str(installed())
    params.verbosity, params.n_ctx, params.n_parallel, params.n_gpu_layers = -1, 1024, 1, 0
    params.warmup = params.ui = params.endpoint_slots = False
    params.cors_origins = ""
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.api_keys, params.hostnames, params.port = [KEY], ["127.0.0.1"], port
    kept: list[Any] = []
    loading = threading.Thread(target=lambda: kept.append(xllamacpp.Server(params)), daemon=True)
    loading.start()
    yield f"http://127.0.0.1:{port}/v1"
    loading.join(PATIENCE)
    kept.clear()


def model(address: str, **given: Any) -> OpenAI:
    return OpenAI("demo", base_url=address, api_key=KEY, context_window=1024, **given)


async def ask(asked: OpenAI, text: str, emit: Any = lambda delta: None, **given: Any) -> ModelReply:
    settings = ModelSettings(temperature=0, max_tokens=given.pop("max_tokens", 8))
    async with asyncio.timeout(PATIENCE):
        return await asked.request(ModelRequest([Message("user", (Text(text),))], settings=settings, **given), emit)


async def test_a_run_waits_for_a_server_that_is_still_loading(address: str) -> None:
    agent = Agent("a", model=model(address), settings=ModelSettings(max_tokens=8))
    patient = replace(QUICK, model_tries=1_000, backoff=0.05, backoff_cap=0.2)
    async with asyncio.timeout(PATIENCE), App("memory:", agents=[agent], settings=patient) as app:
        run = await app.run(agent, "Say hello.")
        failed = await of_kind(app, run, ev.ModelFailed)
    assert run.status == "done"
    assert run.usage.input > 0
    # Until it listens nobody is there, and until it has loaded it answers 503.
    assert {event.error.kind for event in failed} <= {"connection", "overloaded"}


@pytest.mark.parametrize("stream", [True, False])
async def test_it_says_what_it_said_and_used(address: str, stream: bool) -> None:
    deltas: list[Delta] = []
    asked = model(address, stream=stream)
    reply = await ask(asked, "Count to ten.", deltas.append)
    await asked.aclose()
    assert text_of(reply.parts)
    assert reply.finish == "length"
    assert reply.usage.output == 8
    assert reply.usage.input > 0
    assert "".join(delta.text for delta in deltas if delta.kind == "text") == text_of(reply.parts)


async def test_an_answer_meets_its_schema(address: str) -> None:
    class Colour(BaseModel):
        name: Literal["red", "blue"]
        warm: bool

    asked = model(address)
    reply = await ask(asked, "Red, as JSON.", output=OutputSchema("colour", Colour.model_json_schema()), max_tokens=100)
    await asked.aclose()
    assert Colour.model_validate_json(text_of(reply.parts)).name in ("red", "blue")


async def test_a_call_that_is_required_may_still_not_come(address: str) -> None:
    """The server ignores that a call is required: what comes is text, or a call, but never an error."""
    asked = model(address)
    tool = ToolSpec("add", "Add.", {"type": "object", "properties": {"a": {"type": "integer"}}})
    settings = ModelSettings(max_tokens=8, extra={"tool_choice": "required"})
    async with asyncio.timeout(PATIENCE):
        request = ModelRequest([Message("user", (Text("Hello."),))], tools=[tool], settings=settings)
        reply = await asked.request(request, lambda delta: None)
    await asked.aclose()
    assert text_of(reply.parts) or reply.calls


@pytest.mark.parametrize(("key", "text", "kind"), [("wrong", "hi", "auth"), (KEY, "word " * 3_000, "context_overflow")])
async def test_a_refusal_has_its_kind(address: str, key: str, text: str, kind: str) -> None:
    asked = OpenAI("demo", base_url=address, api_key=key)
    with pytest.raises(ModelError) as failed:
        await ask(asked, text)
    await asked.aclose()
    assert failed.value.kind == kind
