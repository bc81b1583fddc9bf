"""What every `Model` must do, as tests: inherit, and give a fixture named ``model``.

::

    class TestMine(Contract):
        @pytest.fixture
        def model(self) -> Model:
            return Mine("http://127.0.0.1:8000")

What a model answers depends on who is behind it, so the one given must have been arranged to answer, to a last user
message that contains:

==============  ======================================================================================================
``SAY``         the text `SAID`
``CALL``        two calls in one reply, the first tool with `FIRST`, then with `SECOND`; and, once both results are
                there, the text `DONE`
``SHAPE``       the JSON object `SHAPED`
``REFUSE``      a refusal because of too many requests, to be tried again after a second
``WAIT``        nothing for at least five seconds
==============  ======================================================================================================
"""

from __future__ import annotations

import asyncio
import copy
import json
import time
from collections.abc import Mapping
from typing import Any

import pytest

from surefoot.core.errors import ModelError
from surefoot.core.messages import Image, Message, Reasoning, Text, ToolCall, ToolResult, text_of
from surefoot.core.model import Delta, ModelReply, ModelRequest, ModelSettings, OutputSchema
from surefoot.core.ports import Model
from surefoot.core.tool import ToolSpec

__all__ = ["Contract"]

SAY = "Say it."
CALL = "Add them both."
SHAPE = "Answer in shape."
REFUSE = "Come back later."
WAIT = "Take your time."
SAID = "Seventeen and twenty-five are 42, déjà vu 🛶."
FIRST: Mapping[str, Any] = {"a": 1, "b": 2}
SECOND: Mapping[str, Any] = {"a": 3, "b": 4}
DONE = "They are 3 and 7."
SHAPED: Mapping[str, Any] = {"city": "Bern", "people": 146_000}

_NUMBER = {"type": "number"}
_ADD = {"type": "object", "properties": {"a": _NUMBER, "b": _NUMBER}, "required": ["a", "b"]}
_PLACE = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "people": {"type": "integer"}},
    "required": ["city", "people"],
    "additionalProperties": False,
}
#: One pixel, PNG.
_PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489"
    "0000000d49444154789c63f8cfc0f01f0005000201e221bc330000000049454e44ae426082"
)


class Contract:
    """The behaviour of the port. Every test is bounded by a few seconds."""

    async def test_says_what_it_is(self, model: Model) -> None:
        """A name of two parts, and how much it takes."""
        provider, _, name = model.name.partition(":")
        assert provider
        assert name
        assert model.context_window > 0

    async def test_answers_with_text(self, model: Model) -> None:
        """The whole text is returned, and the same text was emitted."""
        reply, deltas = await ask(model, SAY)
        assert text_of(reply.parts) == SAID
        assert "".join([delta.text for delta in deltas if delta.kind == "text"]) == SAID
        assert reply.calls == ()
        assert reply.finish == "stop"
        assert reply.usage.cached <= reply.usage.input
        assert reply.usage.reasoning <= reply.usage.output

    async def test_calls_tools_together(self, model: Model) -> None:
        """Calls come in order, with arguments as text, under the tools' own names."""
        reply, _ = await ask(model, CALL, tools=[_tool("add")])
        assert [call.name for call in reply.calls] == ["add", "add"]
        assert [json.loads(call.arguments) for call in reply.calls] == [FIRST, SECOND]
        assert reply.finish == "tool_calls"

    async def test_reads_results(self, model: Model) -> None:
        """Results of both calls lead to an answer."""
        tools = [_tool("add")]
        reply, _ = await ask(model, CALL, tools=tools)
        history = [_user(CALL), *_called(reply)]
        reply = await model.request(ModelRequest(history, tools=tools), _nobody)
        assert text_of(reply.parts) == DONE
        assert reply.calls == ()

    async def test_answers_in_shape(self, model: Model) -> None:
        """With an output schema the text is the JSON it asks for."""
        reply, _ = await ask(model, SHAPE, output=OutputSchema("place", _PLACE, "A city."))
        assert json.loads(text_of(reply.parts)) == SHAPED
        assert reply.calls == ()
        assert reply.finish == "stop"

    async def test_says_why_it_failed(self, model: Model) -> None:
        """A refusal is a ModelError with its kind, and whether to try again."""
        with pytest.raises(ModelError) as caught:
            await ask(model, REFUSE)
        assert caught.value.kind == "rate_limited"
        assert caught.value.retryable
        assert caught.value.retry_after == 1

    async def test_stops_when_it_is_cancelled(self, model: Model) -> None:
        """Cancellation does not wait for the answer, and the model can be asked again."""
        began = time.monotonic()
        task = asyncio.ensure_future(ask(model, WAIT))
        await asyncio.wait([task], timeout=0.3)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert time.monotonic() - began < 3
        reply, _ = await ask(model, SAY)
        assert text_of(reply.parts) == SAID

    async def test_gives_up_in_time(self, model: Model) -> None:
        """``timeout`` is in seconds, and bounds the whole request."""
        with pytest.raises(ModelError) as caught:
            await asyncio.wait_for(ask(model, WAIT, settings=ModelSettings(timeout=0.3)), 4)
        assert caught.value.kind == "timeout"

    async def test_requests_do_not_mix(self, model: Model) -> None:
        """Several requests at once, each with its own answer."""
        asked = [ask(model, SAY), ask(model, CALL, tools=[_tool("add")])] * 4
        replies = [reply for reply, _ in await asyncio.gather(*asked)]
        assert [text_of(reply.parts) for reply in replies[::2]] == [SAID] * 4
        assert [len(reply.calls) for reply in replies[1::2]] == [2] * 4

    async def test_takes_any_history(self, model: Model) -> None:
        """Conversations of other models, broken calls and lost results do not keep it from answering."""
        history = _history()
        before = copy.deepcopy(history)
        reply = await model.request(
            ModelRequest([*history, _user(SAY)], instructions="Be brief.", tools=[_tool("add")], load=_load), _nobody
        )
        assert text_of(reply.parts) == SAID
        assert history == before


async def ask(model: Model, text: str, **given: Any) -> tuple[ModelReply, list[Delta]]:  # noqa: ANN401  a request's fields
    """Ask with one user message; the reply, and what was emitted."""
    deltas: list[Delta] = []
    reply = await model.request(ModelRequest([_user(text)], **given), deltas.append)
    return reply, deltas


def _user(text: str) -> Message:
    return Message("user", (Text(text),))


def _tool(name: str) -> ToolSpec:
    return ToolSpec(name, "Add two numbers.", _ADD, effect="read")


def _called(reply: ModelReply) -> list[Message]:
    """A reply and its results as a run keeps them."""
    calls = [ToolCall(f"0.{index}", call.name, call.arguments, call.provider_id) for index, call in enumerate(reply.calls)]
    results = [
        ToolResult(call.id, call.name, str(sum(json.loads(call.arguments).values())), provider_id=call.provider_id)
        for call in calls
    ]
    return [Message("assistant", (*reply.parts, *calls)), Message("tool", tuple(results))]


def _history() -> list[Message]:
    """What a long-lived session may hold: other providers' thoughts, ids used twice, text that is no JSON, an image."""
    return [
        Message("user", (Text("Look."), Image(_PIXEL), Image(blob="b" * 64, media_type="image/png"))),
        Message("assistant", (Reasoning("hm", "not yours", "elsewhere"), Text("I see a pixel."))),
        _user("Add."),
        Message(
            "assistant",
            (
                ToolCall("0.0", "add", '{"a":1,"b":2}', "same"),
                ToolCall("0.1", "add", "{a: 1", "same", invalid="not JSON"),
                ToolCall("0.2", "gone tool!", "{}", ""),
            ),
        ),
        Message("tool", (ToolResult("0.0", "add", "3"), ToolResult("0.1", "add", "not JSON", error=True))),
        _user("And again, in another run."),
        Message("assistant", (ToolCall("0.0", "add", '{"a":3,"b":4}', "x" * 100),)),
        Message("tool", (ToolResult("0.0", "add", "7", parts=(Image(_PIXEL),)),)),
        Message("tool", (ToolResult("9.9", "add", "its call was left out"),)),
        Message("assistant", ()),
    ]


async def _load(digest: str) -> bytes:
    return _PIXEL


def _nobody(delta: Delta) -> None:
    """Emit to nobody."""
