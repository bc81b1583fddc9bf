"""What a provider is asked is part of the run's trace: the headers of W3C Trace Context go with each request."""

from __future__ import annotations

from typing import Any

import pytest

from surefoot import Agent, App
from surefoot.models.anthropic import Anthropic
from surefoot.models.gemini import Gemini
from surefoot.models.openai import OpenAI
from surefoot.telemetry.spans import spans_of
from tests.models.wire import Answer, Wire, events, whole

pytestmark = pytest.mark.needs("openai", "anthropic", "gemini")

TRACE = "ab" * 16


def anthropic(url: str, *, stream: bool) -> Anthropic:
    return Anthropic("claude-opus-4-5", api_key="k", base_url=url, stream=stream)


def gemini(url: str, *, stream: bool) -> Gemini:
    return Gemini("gemini-2.5-flash", api_key="k", base_url=url, stream=stream)


def openai(url: str, *, stream: bool) -> OpenAI:
    return OpenAI("gpt-6-sol", api_key="k", base_url=f"{url}/v1", api="chat", stream=stream)


_SAID: dict[Any, dict[str, Any]] = {
    anthropic: {"type": "message", "role": "assistant", "content": [{"type": "text", "text": "hi"}], "stop_reason": "end_turn"},
    gemini: {"candidates": [{"content": {"parts": [{"text": "hi"}]}, "finishReason": "STOP"}]},
    openai: {"choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}]},
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("made", _SAID)
async def test_a_request_carries_the_trace_and_its_own_span(wire: Wire, made: Any, stream: bool) -> None:
    wire.answers.append(_answer(made, stream=stream))
    model = made(wire.url.removesuffix("/v1"), stream=stream)
    async with App("memory:", agents=[clerk := Agent("clerk", model=model)]) as app:
        run = await app.run(clerk, "hi", traceparent=f"00-{TRACE}-{'cd' * 8}-00", tracestate="shop=1,other=2")
        assert run.output == "hi"
        [asked] = [span for span in spans_of(await app.events(run)) if span.kind == "model"]
    headers = wire.asked[0].headers
    assert headers["traceparent"] == f"00-{TRACE}-{asked.id}-00"
    assert headers["tracestate"] == "shop=1,other=2"
    await model.aclose()


async def test_a_state_that_is_too_long_or_no_header_is_left_out(wire: Wire) -> None:
    model = openai(wire.url.removesuffix("/v1"), stream=False)
    async with App("memory:", agents=[clerk := Agent("clerk", model=model)]) as app:
        for state in ("a=1\r\nx: y", "a=" + "b" * 5_000):
            wire.answers.append(_answer(openai, stream=False))
            run = await app.run(clerk, "hi", traceparent=f"00-{TRACE}-{'cd' * 8}-01", tracestate=state)
            assert run.output == "hi"
    assert all("tracestate" not in asked.headers and "x" not in asked.headers for asked in wire.asked)
    await model.aclose()


def _answer(made: Any, *, stream: bool) -> Answer:
    # A server that cannot stream answers whole, and is read all the same; events are told by the stream's own tests.
    return events(_SAID[made], done=False) if stream and made is gemini else whole(_SAID[made])
