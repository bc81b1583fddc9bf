"""Anthropic's Messages protocol: what comes back, in forms that no mock gives, and what goes wrong."""

from __future__ import annotations

import asyncio
import gc
import json
from typing import Any

import pytest

from surefoot.core.errors import MissingKey, ModelError
from surefoot.core.messages import Message, Reasoning, Text, ToolCall, ToolResult, Usage, text_of
from surefoot.core.model import Delta, ModelReply, ModelRequest, OutputSchema, ProposedCall
from surefoot.core.tool import ToolSpec
from surefoot.models import price
from surefoot.models.anthropic import Anthropic
from surefoot.testing.contracts.model import ask
from tests.models.wire import Answer, Wire, events, whole

pytestmark = pytest.mark.needs("anthropic")

ADD = ToolSpec("add", "Add.", {"type": "object", "properties": {"a": {"type": "integer"}}})


def claude(wire: Wire, *, stream: bool = False, **given: Any) -> Anthropic:
    return Anthropic("claude-opus-5", api_key="k", base_url=wire.url.removesuffix("/v1"), stream=stream, **given)


def message(*content: dict[str, Any], **fields: Any) -> dict[str, Any]:
    answer = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-opus-5-1", "stop_reason": "end_turn"}
    return {**answer, "content": list(content), **fields}


def text(said: str) -> dict[str, Any]:
    return {"type": "text", "text": said}


def call(number: int, arguments: Any = None) -> dict[str, Any]:
    return {"type": "tool_use", "id": f"toolu_{number}", "name": "add", "input": {} if arguments is None else arguments}


def lines(*items: dict[str, Any], end: bool = True) -> list[str]:
    """Events as the vendor sends them, named and with a ping among them."""
    begun: dict[str, Any] = {
        "type": "message_start",
        "message": message(stop_reason=None, usage={"input_tokens": 3, "output_tokens": 1}),
    }
    stop = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 9}}
    last: list[dict[str, Any]] = [stop, {"type": "message_stop"}]
    sent: list[dict[str, Any]] = [begun, {"type": "ping"}, *items, *(last if end else [])]
    return [f"event: {item['type']}\ndata: {json.dumps(item)}\n\n" for item in sent]


def begin(index: int, block: dict[str, Any]) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": block}


def piece(index: int, kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": {"type": f"{kind}_delta", **fields}}


def streamed(*items: dict[str, Any], end: bool = True, **given: Any) -> Answer:
    return events(*lines(*items, end=end), done=False, **given)


def kept(reply: ModelReply) -> Message:
    """A reply as a run stores it: parts, then calls."""
    calls = [ToolCall(f"0.{index}", each.name, each.arguments, each.provider_id) for index, each in enumerate(reply.calls)]
    return Message("assistant", (*reply.parts, *calls))


THOUGHTS: list[dict[str, Any]] = [
    {"type": "thinking", "thinking": "First.", "signature": "s1"},
    {"type": "redacted_thinking", "data": "hidden"},
    text("Looking."),
    call(1),
    {"type": "thinking", "thinking": "", "signature": "s2"},
    call(2),
]
IN_PIECES = [
    begin(0, {"type": "thinking", "thinking": "", "signature": ""}),
    piece(0, "thinking", thinking="Fir"),
    piece(0, "thinking", thinking="st."),
    piece(0, "signature", signature="s1"),
    begin(1, THOUGHTS[1]),
    begin(2, text("")),
    piece(2, "text", text="Looking."),
    begin(3, call(1)),
    begin(4, {"type": "thinking", "thinking": ""}),
    piece(4, "signature", signature="s2"),
    begin(5, call(2)),
    piece(5, "input_json", partial_json=""),
]


@pytest.mark.parametrize("stream", [True, False])
async def test_thoughts_go_back_as_and_where_they_came(wire: Wire, stream: bool) -> None:
    wire.answers.append(streamed(*IN_PIECES) if stream else whole(message(*THOUGHTS)))
    reply, deltas = await ask(claude(wire, stream=stream), "think", tools=[ADD])
    assert [part.text for part in reply.parts if type(part) is Reasoning] == ["First.", "", ""]
    assert "".join(delta.text for delta in deltas if delta.kind == "reasoning") == "First."
    assert reply.calls == (ProposedCall("add", "{}", "toolu_1"), ProposedCall("add", "{}", "toolu_2"))
    assert reply.finish == "tool_calls"
    results = Message("tool", (ToolResult("0.0", "add", "1"), ToolResult("0.1", "add", "2")))
    wire.answers.append(whole(message(text("ok"))))
    await claude(wire, cache=None).request(ModelRequest([Message("user", (Text("go"),)), kept(reply), results]), lambda _: None)
    assert wire.asked[-1].body["messages"][1]["content"] == THOUGHTS


async def test_a_stream_in_pieces_is_put_together(wire: Wire) -> None:
    said = "Déjà vu 🛶"
    body = ": keep-alive\n\n" + "".join(
        lines(
            begin(0, text("")),
            *[piece(0, "text", text=each) for each in said],
            begin(1, {"type": "tool_use", "id": "toolu_1", "name": "add", "input": {}}),
            piece(1, "input_json", partial_json='{"a"'),
            piece(1, "input_json", partial_json=":1}"),
            {"type": "content_block_stop", "index": 1},
        )
    ).replace("\n\n", "\r\n\r\n: still here\r\n\r\n")
    # One byte at a time: characters and lines are cut everywhere.
    wire.answers.append(Answer(tuple(bytes([byte]) for byte in body.encode()), kind="text/event-stream"))
    reply, deltas = await ask(claude(wire, stream=True), "hi", tools=[ADD])
    assert text_of(reply.parts) == said == "".join(delta.text for delta in deltas if delta.kind == "text")
    assert deltas[-1] == Delta("call", "add")
    assert reply.calls == (ProposedCall("add", '{"a":1}', "toolu_1"),)
    assert (reply.model, reply.request_id, reply.usage) == ("claude-opus-5-1", "msg_1", Usage(3, 9))


async def test_everything_that_is_charged_is_counted(wire: Wire) -> None:
    usage = {
        "input_tokens": 10,
        "cache_read_input_tokens": 1_000,
        "cache_creation_input_tokens": 100,
        "output_tokens": 50,
        "output_tokens_details": {"thinking_tokens": 30},
    }
    wire.answers.append(whole(message(text("ok"), usage=usage), request_id="req_9"))
    reply, _ = await ask(claude(wire), "hi")
    assert reply.usage == Usage(1_110, 50, 1_000, 100, 30)
    assert reply.request_id == "req_9"
    # claude-opus-4-5: 5 dollars a million tokens in, a tenth when read from the cache, 1.25 times when written, 25 out.
    assert price("anthropic:claude-opus-4-5", reply.usage) == 10 * 5 + 1_000 // 2 + 100 * 5 * 5 // 4 + 50 * 25


async def test_later_counts_replace_earlier_ones(wire: Wire) -> None:
    stop = {
        "type": "message_delta",
        "delta": {"stop_reason": "max_tokens"},
        "usage": {"input_tokens": None, "output_tokens": 7, "cache_read_input_tokens": 2},
    }
    wire.answers.append(streamed(begin(0, text("a")), stop, end=False))
    reply, _ = await ask(claude(wire, stream=True), "hi")
    assert (reply.usage, reply.finish) == (Usage(5, 7, 2), "length")


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("stop_sequence", "stop"),
        ("model_context_window_exceeded", "length"),
        ("pause_turn", "pause_turn"),
        ("strange", "strange"),
        (None, "stop"),
        ("refusal", "content_filter"),
    ],
)
async def test_why_it_ended(wire: Wire, reason: str | None, finish: str) -> None:
    wire.answers.append(whole(message(text("a"), stop_reason=reason)))
    reply, _ = await ask(claude(wire), "hi")
    assert (reply.finish, text_of(reply.parts)) == (finish, "a")


@pytest.mark.parametrize("stream", [True, False])
async def test_a_refusal_without_a_word_is_an_error_that_says_why(wire: Wire, stream: bool) -> None:
    details = {"type": "refusal", "category": "cyber", "explanation": "It could do harm."}
    stop = {"type": "message_delta", "delta": {"stop_reason": "refusal", "stop_details": details}}
    refused = message(stop_reason="refusal", stop_details=details)
    wire.answers.append(streamed(stop, end=False) if stream else whole(refused, request_id="req_9"))
    with pytest.raises(ModelError, match=r"could do harm.*cyber") as caught:
        await ask(claude(wire, stream=stream), "hi")
    assert caught.value.kind == "content_filtered"
    assert not caught.value.retryable


ODD: dict[str, tuple[dict[str, Any], ModelReply]] = {
    "arguments as text": (message(call(1, '{"a":1}')), ModelReply(calls=(ProposedCall("add", '{"a":1}', "toolu_1"),))),
    "arguments as an object": (message(call(1, {"a": 1})), ModelReply(calls=(ProposedCall("add", '{"a":1}', "toolu_1"),))),
    "no arguments, no id": (message({"type": "tool_use", "name": "add"}), ModelReply(calls=(ProposedCall("add", "{}"),))),
    "nothing at all": (message(), ModelReply()),
    "blocks of tomorrow": (message({"type": "hologram"}, text("a")), ModelReply((Text("a"),))),
    "a tool of the vendor": (message({"type": "server_tool_use", "name": "web_search"}), ModelReply()),
}


@pytest.mark.parametrize("name", ODD)
async def test_odd_answers_are_read_all_the_same(wire: Wire, name: str) -> None:
    body, wanted = ODD[name]
    wire.answers.append(whole(body))
    reply, _ = await ask(claude(wire), "hi", tools=[ADD])
    assert (reply.parts, reply.calls, reply.usage) == (wanted.parts, wanted.calls, Usage())


async def test_pieces_whose_beginning_was_lost_are_kept(wire: Wire) -> None:
    lost = [piece(0, "thinking", thinking="hm"), piece(1, "text", text="a"), piece(1, "citations", citation={})]
    wire.answers.append(streamed(*lost))
    reply, _ = await ask(claude(wire, stream=True), "hi")
    assert reply.parts == (Reasoning("hm"), Text("a"))


# What goes wrong

BROKEN: dict[str, tuple[Any, str]] = {
    "no content": (whole({"id": "x"}), "malformed_output"),
    "a list": (whole([1]), "malformed_output"),
    "an error with status 200": (whole({"type": "error", "error": {"type": "overloaded_error", "message": "x"}}), "overloaded"),
}
STREAMS: dict[str, tuple[Any, str]] = {
    "cut": (streamed(begin(0, text("a")), end=False, cut=True), "connection"),
    "ended early": (streamed(begin(0, text("a")), end=False), "connection"),
    "nothing": (events(done=False), "connection"),
    "no JSON": (events(*lines(begin(0, text("a")), end=False), "event: ping2\ndata: {oops\n\n", done=False), "malformed_output"),
    "overloaded inside": (
        streamed(
            begin(0, text("a")),
            {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}},
            end=False,
        ),
        "overloaded",
    ),
    "unnamed error inside": (
        events(
            'event: other\ndata: {"type":"error","error":{"type":"api_error","message":"Internal server error"}}\n\n',
            done=False,
        ),
        "server",
    ),
}


@pytest.mark.parametrize("event", ["error", "other"])
async def test_an_error_inside_a_stream_names_its_request(wire: Wire, event: str) -> None:
    inside = f'event: {event}\ndata: {{"type":"error","error":{{"type":"api_error","message":"x"}}}}\n\n'
    wire.answers.append(events(inside, done=False, headers={"request-id": "req_9"}))
    with pytest.raises(ModelError) as caught:
        await ask(claude(wire, stream=True), "hi")
    assert (caught.value.kind, caught.value.request_id) == ("server", "req_9")


@pytest.mark.parametrize("name", [*BROKEN, *STREAMS])
async def test_a_broken_answer_has_its_kind(wire: Wire, name: str) -> None:
    answer, kind = (BROKEN | STREAMS)[name]
    wire.answers.append(answer)
    with pytest.raises(ModelError) as caught:
        await ask(claude(wire, stream=name in STREAMS), "hi")
    assert caught.value.kind == kind
    assert caught.value.retryable


async def ask_for(model: Anthropic, begun: asyncio.Event) -> ModelReply:
    return await model.request(ModelRequest([Message("user", (Text("hi"),))]), lambda delta: begun.set())


async def test_connections_are_kept_and_closed(wire: Wire) -> None:
    model = claude(wire, stream=True)
    wire.answers += [streamed(begin(0, text("a")))] * 3
    for _ in range(2):
        await ask(model, "hi")
    assert not wire.gone.is_set()  # the server saw no connection end
    await model.aclose()
    await asyncio.wait_for(wire.gone.wait(), 2)
    wire.gone.clear()
    await ask(model, "hi")
    del model
    gc.collect()
    await asyncio.wait_for(wire.gone.wait(), 2)


def test_no_key_is_said_when_the_model_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    monkeypatch.delenv("ANTHROPIC_BASE_URL", raising=False)
    with pytest.raises(MissingKey, match="ANTHROPIC_API_KEY"):
        Anthropic()
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://127.0.0.1:1")
    assert repr(Anthropic()).startswith("Anthropic('claude-")


async def test_a_server_that_takes_no_schema_is_asked_by_a_tool_and_remembered(wire: Wire) -> None:
    def no(why: str) -> Any:
        return whole({"type": "error", "error": {"type": "invalid_request_error", "message": why}}, 400)

    wire.answers += [
        no("output_config.format: this model does not support structured outputs"),
        whole(message({**call(1, {"value": 7}), "name": "final_answer"}, stop_reason="tool_use")),
        no("tool_choice forces tool use is not supported with thinking"),
        whole(message(text('{"value": 8}'))),
    ]
    model = claude(wire)
    number = OutputSchema("number", {"type": "integer", "minimum": 1}, "Which.")
    for wanted in ("7", "8"):
        reply, _ = await ask(model, "hi", output=number)
        assert (text_of(reply.parts), reply.calls, reply.finish) == (wanted, (), "stop")
    schema, tool, again, prompt = [asked.body for asked in wire.asked]
    assert schema["output_config"]["format"]["schema"]["properties"]["value"] == {
        "type": "integer",
        "description": "(minimum: 1)",
    }
    assert tool["tool_choice"] == again["tool_choice"] == {"type": "any"}
    assert [each["name"] for each in tool["tools"]] == ["final_answer"]
    assert "JSON Schema" in prompt["system"][-1]["text"]
    assert "tools" not in prompt


async def test_an_answer_that_the_schemas_cannot_say_is_asked_for_by_a_tool(wire: Wire) -> None:
    counts = OutputSchema("counts", {"type": "object", "additionalProperties": {"type": "integer"}})
    wire.answers += [
        whole(message({**call(1, {"a": 1}), "name": "final_answer"})),
        whole(message(text('{"value": 8}'))),
    ]
    model = claude(wire)
    reply, _ = await ask(model, "hi", output=counts)
    assert text_of(reply.parts) == '{"a":1}'
    reply, _ = await ask(model, "hi", output=OutputSchema("number", {"type": "integer"}))
    assert text_of(reply.parts) == "8"
    assert "output_config" in wire.asked[1].body  # it was this schema that could not be said, not the form
