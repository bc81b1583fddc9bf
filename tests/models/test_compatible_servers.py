"""Servers that resemble OpenAI's: what each one's documentation says that it sends, and what it must be sent."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from surefoot.core.errors import ModelError
from surefoot.core.messages import Message, Reasoning, Text, ToolCall, ToolResult, Usage, text_of
from surefoot.core.model import ModelRequest, ModelSettings, OutputSchema, ProposedCall
from surefoot.core.tool import ToolSpec
from surefoot.models.forms import ANSWER
from surefoot.models.openai import Connection, OpenAI
from tests.models.wire import Answer, Wire, events, whole
from tests.package.source import ROOT

pytestmark = pytest.mark.needs("openai")

ADD = ToolSpec("add", "Add.", {"type": "object", "properties": {"a": {"type": "integer"}}})
PAGE = (ROOT / "docs" / "howto" / "compatible-servers.md").read_text(encoding="utf-8")


def chunk(finish: str | None = None, usage: Any = None, **delta: Any) -> dict[str, Any]:
    more = {} if usage is None else {"usage": usage}
    return {"id": "c", "model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **more}


def call(identity: str, arguments: Any, **more: Any) -> dict[str, Any]:
    return {"tool_calls": [{"id": identity, "type": "function", "function": {"name": "add", "arguments": arguments}, **more}]}


def last(**usage: Any) -> dict[str, Any]:
    return {"id": "c", "choices": [], "usage": usage}


THOUGHT = {"cost": 0.0001, "completion_tokens_details": {"reasoning_tokens": 2}}
USED = {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14}
FILTERS = {"content_filter_results": {"hate": {"filtered": False, "severity": "safe"}}}

#: By server: what it streams, and the text, thoughts, calls, finish and usage that this means.
STREAMS: dict[str, tuple[Answer, str, str, list[ProposedCall], str, Usage]] = {
    "Ollama": (
        events(
            chunk(role="assistant", content="", reasoning="Let me"),
            chunk(role="assistant", content="", reasoning=" see."),
            chunk(role="assistant", content="", **call("call_x1", '{"a":1}', index=0)),
            chunk("tool_calls", role="assistant", content=""),
            last(**USED),
        ),
        "", "Let me see.", [ProposedCall("add", '{"a":1}', "call_x1")], "tool_calls", Usage(9, 5),
    ),
    "vLLM": (
        events(
            chunk(role="assistant", content=""),
            chunk(reasoning_content="Hm."),
            chunk(**call("chatcmpl-tool-1", "", index=0)),
            chunk(tool_calls=[{"index": 0, "function": {"arguments": '{"a"'}}]),
            chunk(tool_calls=[{"index": 0, "function": {"arguments": ": 1}"}}]),
            chunk("tool_calls", content=""),
            last(**USED, prompt_tokens_details={"cached_tokens": 4}),
        ),
        "", "Hm.", [ProposedCall("add", '{"a": 1}', "chatcmpl-tool-1")], "tool_calls", Usage(9, 5, cached=4),
    ),
    "llama.cpp": (
        events(
            chunk(role="assistant", content=None),
            chunk(content="One"),
            chunk(content=" two"),
            {**chunk("length"), "timings": {"cache_n": 1, "prompt_n": 8}},
            {**last(**USED), "timings": {"cache_n": 1, "prompt_n": 8}},
        ),
        "One two", "", [], "length", Usage(9, 5),
    ),
    "LM Studio": (
        events(
            chunk(role="assistant", **call("365174485", "", index=0)),
            chunk(tool_calls=[{"index": 0, "function": {"name": None, "arguments": '{"a":1}'}}]),
            {**chunk("tool_calls"), "stats": {}},
        ),
        "", "", [ProposedCall("add", '{"a":1}', "365174485")], "tool_calls", Usage(),
    ),
    "Groq": (
        events(
            {**chunk(role="assistant", content="", reasoning="Quick."), "x_groq": {"id": "req_1"}},
            chunk(content="Hi"),
            {**chunk("stop"), "x_groq": {"id": "req_1", "usage": {**USED, "queue_time": 0.01}}},
        ),
        "Hi", "Quick.", [], "stop", Usage(9, 5),
    ),
    "OpenRouter": (
        events(
            ": OPENROUTER PROCESSING\n\n",
            ": OPENROUTER PROCESSING\n\n",
            chunk(role="assistant", content="", reasoning="So.", reasoning_details=[{"type": "reasoning.text", "text": "So."}]),
            chunk(role="assistant", content="Hi"),
            {**chunk("stop", content=""), "native_finish_reason": "STOP"},
            {**chunk(role="assistant", content=""), "usage": {**USED, **THOUGHT}},
        ),
        "Hi", "So.", [], "stop", Usage(9, 5, reasoning=2),
    ),
    "DeepSeek": (
        events(
            ": keep-alive\n\n",
            chunk(role="assistant", content=None, reasoning_content="Think."),
            ": keep-alive\n\n",
            chunk(content="Hi", reasoning_content=None),
            chunk("stop", usage={**USED, "prompt_cache_hit_tokens": 6, "prompt_cache_miss_tokens": 3}, content=""),
        ),
        "Hi", "Think.", [], "stop", Usage(9, 5, cached=6),
    ),
    "Mistral": (
        events(
            chunk(role="assistant", content=""),
            chunk(content=[{"type": "text", "text": "I add."}]),
            chunk("tool_calls", usage=USED, content="", **call("D681PevKs", '{"a": 1}', index=0)),
        ),
        "I add.", "", [ProposedCall("add", '{"a": 1}', "D681PevKs")], "tool_calls", Usage(9, 5),
    ),
    "Azure OpenAI": (
        events(
            {"id": "", "model": "", "choices": [], "prompt_filter_results": [{"prompt_index": 0, **FILTERS}]},
            {"id": "c", "choices": [{"index": 0, "delta": {"role": "assistant", "content": "Hi"}, **FILTERS}]},
            chunk("stop"),
            last(**USED),
        ),
        "Hi", "", [], "stop", Usage(9, 5),
    ),
}  # fmt: skip


def server(wire: Wire, name: str = "m", host: str = "", **given: Any) -> OpenAI:
    """A model of a server at ``host``; the requests go to the wire, which only the adapter's own rules can tell."""
    connection = Connection("k", wire.url.replace("/v1", f"/{host}/v1") if host else wire.url)
    return OpenAI(name, connection=connection, **given)


def test_every_server_on_the_page_is_tested_and_no_other() -> None:
    assert set(re.findall(r"^\| ([A-Z]?[\w. ]+?) \| `http", PAGE, re.MULTILINE)) == set(STREAMS)


@pytest.mark.parametrize("name", STREAMS)
async def test_what_it_streams_is_understood(wire: Wire, name: str) -> None:
    answer, text, thoughts, calls, finish, usage = STREAMS[name]
    wire.answers.append(answer)
    said: list[str] = []
    request = ModelRequest([Message("user", (Text("go"),))], tools=[ADD])
    reply = await server(wire).request(request, lambda delta: said.append(delta.text) if delta.kind == "text" else None)
    assert text_of(reply.parts) == "".join(said) == text
    assert "".join(part.text for part in reply.parts if isinstance(part, Reasoning)) == thoughts
    assert list(reply.calls) == calls
    assert (reply.finish, reply.usage) == (finish, usage)


def refused(status: int, message: str, **more: Any) -> Answer:
    return whole({"error": {"message": message, **more}}, status)


REFUSALS: list[tuple[Answer, str]] = [
    (refused(503, "Loading model", code=503, type="unavailable_error"), "overloaded"),
    (whole({"error": "model 'x' not found, try pulling it first"}, 404), "not_found"),
    (whole({"object": "error", "message": "This model's maximum context length is 10 tokens"}, 400), "context_overflow"),
    (whole({"error": {"message": "Rate limit", "code": "rate_limit_exceeded"}}, 429, retry_after="2"), "rate_limited"),
    (refused(402, "Insufficient Balance", type="unknown_error"), "quota_exhausted"),
    (refused(402, "Insufficient credits", code=402), "quota_exhausted"),
    (whole({"message": "Unauthorized", "request_id": "r"}, 401), "auth"),
    (refused(400, "filtered", code="content_filter", innererror={"code": "ResponsibleAI"}), "content_filtered"),
    (events(chunk(content="Hi"), {**chunk("error"), "error": {"code": 502, "message": "Provider disconnected"}}), "server"),
]


@pytest.mark.parametrize(("answer", "kind"), REFUSALS)
async def test_what_goes_wrong_has_its_kind(wire: Wire, answer: Answer, kind: str) -> None:
    wire.answers.append(answer)
    with pytest.raises(ModelError) as failed:
        await server(wire).request(ModelRequest([Message("user", (Text("go"),))]), lambda delta: None)
    assert failed.value.kind == kind
    assert failed.value.retry_after == (2.0 if kind == "rate_limited" else None)


async def test_ids_of_calls_are_such_as_the_server_takes(wire: Wire) -> None:
    """Those of another provider, in the middle of a conversation."""
    calls = [("D681PevKs", "D681PevKs"), ("call_abc", ""), ("D681PevKs", ""), ("", ""), ("call00002", "call00002")]
    messages = [Message("user", (Text("go"),))]
    for number, (identity, _) in enumerate(calls):
        messages.append(Message("assistant", (ToolCall(f"{number}.0", "add", "{}", identity),)))
        messages.append(Message("tool", (ToolResult(f"{number}.0", "add", "1", provider_id=identity),)))
    wire.answers.append(whole({"choices": [{"message": {"content": "ok"}, "finish_reason": "stop"}]}))
    await server(wire, host="api.mistral.ai", stream=False).request(ModelRequest(messages, tools=[ADD]), lambda delta: None)
    sent = wire.asked[0].body["messages"]
    given = [message["tool_calls"][0]["id"] for message in sent if message["role"] == "assistant"]
    assert [message["tool_call_id"] for message in sent if message["role"] == "tool"] == given
    assert all(re.fullmatch("[A-Za-z0-9]{9}", identity) for identity in given)
    assert len(set(given)) == len(given)
    assert given[0] == "D681PevKs"


async def test_fields_that_a_server_refuses_can_be_left_out(wire: Wire) -> None:
    wire.answers.append(events(chunk("stop", content="Hi")))
    settings = ModelSettings(max_tokens=5, extra={"stream_options": None, "safe_prompt": True})
    await server(wire).request(ModelRequest([Message("user", (Text("go"),))], settings=settings), lambda delta: None)
    body = wire.asked[0].body
    assert "stream_options" not in body
    assert (body["max_tokens"], body["safe_prompt"], "max_completion_tokens" in body) == (5, True, False)


async def test_a_server_without_json_schema_is_asked_by_a_tool(wire: Wire) -> None:
    refusal = whole({"error": {"message": "This response_format type is unavailable now", "type": "invalid_request_error"}}, 400)
    answered = {"tool_calls": [{"index": 0, "id": "1", "function": {"name": ANSWER, "arguments": '{"n": 3}'}}]}
    wire.answers += [refusal, refusal, events(chunk("tool_calls", **answered))]
    output = OutputSchema("n", {"type": "object", "properties": {"n": {"type": "integer"}}})
    reply = await server(wire).request(ModelRequest([Message("user", (Text("go"),))], output=output), lambda delta: None)
    assert [tool["function"]["name"] for tool in wire.asked[-1].body["tools"]] == [ANSWER]
    assert json.loads(text_of(reply.parts)) == {"n": 3}
