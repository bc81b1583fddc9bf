"""Chat completions: what is sent, byte by byte, and what servers answer that no mock would."""

from __future__ import annotations

import asyncio
import base64
import gc
import json
from typing import Any

import pytest

from surefoot.core.errors import ModelError
from surefoot.core.messages import File, Image, Message, Reasoning, Text, ToolCall, ToolResult, Usage, text_of
from surefoot.core.model import Delta, ModelRequest, ModelSettings, ProposedCall
from surefoot.core.tool import ToolSpec
from surefoot.models.openai import OpenAI
from surefoot.testing.contracts.model import ask
from tests.models.wire import Wire, events, whole

pytestmark = pytest.mark.needs("openai")

ADD = ToolSpec("add", "Add.", {"type": "object", "properties": {"a": {"type": "integer"}}})


def chat(wire: Wire, *, stream: bool = False, **given: Any) -> OpenAI:
    return OpenAI("some-model", api_key="k", base_url=wire.url, stream=stream, **given)


def message(**fields: Any) -> dict[str, Any]:
    finish = fields.pop("finish", "stop")
    answer = {"message": {"role": "assistant", **fields}, "finish_reason": finish, "index": 0}
    return {"id": "c1", "model": "some-model-2", "choices": [answer]}


def chunk(finish: str | None = None, **delta: Any) -> dict[str, Any]:
    return {"id": "c1", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


async def sent(wire: Wire, request: ModelRequest, **given: Any) -> dict[str, Any]:
    wire.answers.append(whole(message(content="ok")))
    await chat(wire, **given).request(request, lambda delta: None)
    assert wire.asked[-1].path == "/v1/chat/completions"
    body: dict[str, Any] = wire.asked[-1].body
    return body


def user(*parts: Any) -> Message:
    return Message("user", tuple(Text(part) if isinstance(part, str) else part for part in parts))


async def test_a_request_holds_what_was_asked_for(wire: Wire) -> None:
    settings = ModelSettings(temperature=0.5, max_tokens=9, reasoning="low", extra={"top_k": 3, "reasoning_effort": None})
    body = await sent(wire, ModelRequest([user("hi")], "Be kind.", [ADD], settings=settings, conversation="s1"))
    assert body == {
        "model": "some-model",
        "messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "hi"}],
        "tools": [{"type": "function", "function": {"name": "add", "description": "Add.", "parameters": ADD.input_schema}}],
        "temperature": 0.5,
        "max_tokens": 9,
        "top_k": 3,
    }
    assert wire.asked[-1].headers["authorization"] == "Bearer k"


async def test_calls_and_results_are_paired_by_unique_ids(wire: Wire) -> None:
    odd = "crm/get user"
    history = [
        user("go"),
        Message("assistant", (ToolCall("0.0", odd, '{"a":1}', "same"), ToolCall("0.1", odd, "{bad", "same", "not JSON"))),
        Message("tool", (ToolResult("0.0", odd, "one"), ToolResult("0.1", odd, "two"))),
        user("once more"),
        Message("assistant", (Text("Gladly."), ToolCall("0.0", odd, "{}", "", ""))),
        user("never mind"),
    ]
    messages = (await sent(wire, ModelRequest(history, tools=[ToolSpec(odd)])))["messages"]
    name = messages[1]["tool_calls"][0]["function"]["name"]
    assert name.replace("_", "").isalnum()
    first, second = [call["id"] for call in messages[1]["tool_calls"]]
    assert first == "same"
    assert second != first
    assert messages[1]["tool_calls"][1]["function"]["arguments"] == '{"invalid_json": "{bad"}'
    assert [(m["tool_call_id"], m["content"]) for m in messages[2:4]] == [(first, "one"), (second, "two")]
    third = messages[5]["tool_calls"][0]["id"]
    assert third not in (first, second)
    assert messages[5]["content"] == "Gladly."
    # A call nobody answered is answered all the same: servers refuse a conversation without.
    assert messages[6] == {"role": "tool", "tool_call_id": third, "content": "[no result]"}
    assert messages[7]["content"] == "never mind"


async def test_ids_that_look_like_ours_are_not_used_twice(wire: Wire) -> None:
    calls = (ToolCall("0.0", "add", '{"a":1}', "call_2", "too small"), ToolCall("0.1", "add", "{}", ""))
    history = [user("go"), Message("assistant", calls), Message("tool", (Text("stray"),))]
    messages = (await sent(wire, ModelRequest(history)))["messages"]
    assert [call["id"] for call in messages[1]["tool_calls"]] == ["call_2", "call_2_"]
    assert messages[1]["tool_calls"][0]["function"]["arguments"] == '{"a":1}'
    assert {message["content"] for message in messages[2:]} == {"stray", "[no result]"}


async def test_images_and_files_go_along(wire: Wire) -> None:
    async def load(digest: str) -> bytes:
        return digest.encode()

    parts = (
        "see",
        Image(url="http://example.com/a.png"),
        Image(b"\x01"),
        Image(blob="abc", media_type="image/jpeg"),
        File(b"%PDF", "application/pdf", "a.pdf"),
        File("naïve".encode(), "text/plain", "a.txt"),
        File(b"RIFF", "audio/wav"),
        File(url="http://example.com/b.pdf", name="b.pdf"),
    )
    content = (await sent(wire, ModelRequest([user(*parts)], load=load)))["messages"][0]["content"]
    assert content == [
        {"type": "text", "text": "see"},
        {"type": "image_url", "image_url": {"url": "http://example.com/a.png"}},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AQ=="}},
        {"type": "image_url", "image_url": {"url": "data:image/jpeg;base64," + base64.b64encode(b"abc").decode()}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERg=="}},
        {"type": "text", "text": "[file a.txt]\nnaïve"},
        {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
        {"type": "text", "text": "[file b.pdf: http://example.com/b.pdf]"},
    ]


async def test_a_blob_that_is_gone_is_said_to_be_gone(wire: Wire) -> None:
    async def load(digest: str) -> bytes:
        raise KeyError(digest)

    for given in (load, None):
        with pytest.raises(ModelError, match="blob abc") as caught:
            await chat(wire).request(ModelRequest([user(Image(blob="abc"))], load=given), lambda delta: None)
        assert caught.value.kind == "invalid_request"


async def test_a_result_with_an_image_is_followed_by_it(wire: Wire) -> None:
    history = [
        user("look"),
        Message("assistant", (ToolCall("0.0", "see", "{}", "c1"),)),
        Message("tool", (ToolResult("0.0", "see", "a cat", parts=(Image(b"\x01"),)),)),
    ]
    messages = (await sent(wire, ModelRequest(history)))["messages"]
    assert messages[2] == {"role": "tool", "tool_call_id": "c1", "content": "a cat"}
    assert messages[3]["role"] == "user"
    assert messages[3]["content"][1]["image_url"]["url"].endswith("AQ==")


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
@pytest.mark.parametrize("stream", [True, False])
async def test_thoughts_go_back_within_the_turn_and_not_later(wire: Wire, field: str, stream: bool) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": "{}"}}
    if stream:
        thinking = [
            chunk(**{field: "I "}),
            chunk(**{field: "see"}),
            chunk("tool_calls", tool_calls=[{**call, "index": 0}]),
        ]
        wire.answers.append(events(*thinking))
    else:
        wire.answers.append(whole(message(**{field: "I see"}, content=None, tool_calls=[call], finish="tool_calls")))
    reply, deltas = await ask(chat(wire, stream=stream), "think", tools=[ADD])
    assert [part.text for part in reply.parts if type(part) is Reasoning] == ["I see"]
    assert "".join(delta.text for delta in deltas if delta.kind == "reasoning") == "I see"
    turn = [user("think"), Message("assistant", (*reply.parts, ToolCall("0.0", "add", "{}", "c1")))]
    turn.append(Message("tool", (ToolResult("0.0", "add", "1"),)))
    assert (await sent(wire, ModelRequest(turn)))["messages"][1][field] == "I see"
    assert field not in (await sent(wire, ModelRequest([*turn, user("next")])))["messages"][1]


# What comes back


async def test_a_stream_in_pieces_is_put_together(wire: Wire) -> None:
    text = "Déjà vu 🛶"
    counts = {
        "prompt_tokens": 7,
        "completion_tokens": 3,
        "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 2},
        "completion_tokens_details": {"reasoning_tokens": 1},
    }
    body = "".join(
        [
            ": keep-alive\n\n",
            'data: {"choices":[]}\n\n',
            'event: chunk\r\ndata: {"choices":[{"delta":{"role":"assistant","content":null}}]}\r\n\r\n',
            f'data: {{"choices":[{{"delta":{{"content":"{text}"}}}}]}}\n\n',
            ": still here\n\n",
            'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\n',
            f'data: {{"choices":[],"usage":{json.dumps(counts)}}}\n\n',
            "data: [DONE]\n\n",
        ]
    ).encode()
    split = events()
    # One byte at a time: characters and lines are cut everywhere.
    wire.answers.append(type(split)(tuple(bytes([byte]) for byte in body), kind="text/event-stream"))
    deltas: list[Delta] = []
    reply = await chat(wire, stream=True).request(ModelRequest([user("hi")]), deltas.append)
    assert text_of(reply.parts) == text == "".join(delta.text for delta in deltas)
    assert reply.usage == Usage(7, 3, 4, 2, 1)
    assert (reply.finish, reply.calls) == ("stop", ())
    assert wire.asked[-1].body["stream_options"] == {"include_usage": True}


@pytest.mark.parametrize(("pieces", "text"), [(["a\ud83d", "\udef6b"], "a🛶b"), (["a\ud83d", "b"], "a\ufffdb")])
async def test_half_characters_are_joined_or_replaced(wire: Wire, pieces: list[str], text: str) -> None:
    wire.answers.append(events(*[chunk(content=piece) for piece in pieces], chunk("stop")))
    reply, deltas = await ask(chat(wire, stream=True), "hi")
    assert text_of(reply.parts) == "".join(delta.text for delta in deltas) == text


CALLED = ProposedCall("add", '{"a":1}', "c1")
PIECES: dict[str, list[dict[str, Any]]] = {
    "in pieces": [
        {"index": 0, "id": "c1", "function": {"name": "add", "arguments": ""}},
        {"index": 0, "function": {"arguments": '{"a"'}},
        {"index": 0, "id": None, "function": {"name": None, "arguments": ":1}"}},
    ],
    "without a number": [
        {"id": "c1", "function": {"name": "add", "arguments": '{"a":'}},
        {"function": {"arguments": "1}"}},
    ],
    "as an object": [{"index": 0, "id": "c1", "function": {"name": "add", "arguments": {"a": 1}}}],
    "with the name and id repeated": [
        {"index": 0, "id": "c1", "function": {"name": "add", "arguments": '{"a"'}},
        {"index": 0, "id": "c1", "function": {"name": "add", "arguments": ":1}"}},
    ],
}


@pytest.mark.parametrize("pieces", PIECES.values(), ids=PIECES)
async def test_a_streamed_call_is_put_together(wire: Wire, pieces: list[dict[str, Any]]) -> None:
    wire.answers.append(events(*[chunk(tool_calls=[piece]) for piece in pieces], chunk("stop")))
    reply, deltas = await ask(chat(wire, stream=True), "hi", tools=[ADD])
    assert reply.calls == (CALLED,)
    assert reply.finish == "tool_calls"
    assert deltas == [Delta("call", "add")]


@pytest.mark.parametrize("index", [0, None])
async def test_calls_under_one_number_are_told_apart_by_id(wire: Wire, index: int | None) -> None:
    numbered = {} if index is None else {"index": index}
    calls = [{**numbered, "id": f"c{n}", "function": {"name": "add", "arguments": f'{{"a":{n}}}'}} for n in range(3)]
    wire.answers.append(events(*[chunk(tool_calls=[call]) for call in calls], chunk("tool_calls")))
    reply, _ = await ask(chat(wire, stream=True), "hi", tools=[ADD])
    assert reply.calls == tuple(ProposedCall("add", f'{{"a":{n}}}', f"c{n}") for n in range(3))


@pytest.mark.parametrize("arguments", ["", None, {}, "{}"])
@pytest.mark.parametrize("ids", [("x", "x"), (None, None)])
async def test_a_whole_answer_may_be_odd(wire: Wire, arguments: Any, ids: tuple[str | None, ...]) -> None:
    calls = [{"id": given, "type": "function", "function": {"name": "add", "arguments": arguments}} for given in ids]
    wire.answers.append(whole(message(content=None, tool_calls=calls, finish="weird")))
    reply, _ = await ask(chat(wire), "hi", tools=[ADD])
    assert reply.calls == tuple(ProposedCall("add", "{}", given or "") for given in ids)
    assert reply.finish == "weird"
    assert reply.usage == Usage()
    assert reply.model == "some-model-2"


async def test_the_old_form_of_a_call_is_understood(wire: Wire) -> None:
    old = {"name": "add", "arguments": '{"a":1}'}
    wire.answers.append(whole(message(content=None, function_call=old, finish="function_call")))
    wire.answers.append(events(chunk(function_call=old), chunk("function_call")))
    for stream in (False, True):
        reply, _ = await ask(chat(wire, stream=stream), "hi", tools=[ADD])
        assert reply.calls == (ProposedCall("add", '{"a":1}'),)
        assert reply.finish == "tool_calls"


async def test_text_may_come_in_blocks(wire: Wire) -> None:
    wire.answers.append(whole(message(content=[{"type": "text", "text": "a"}, {"type": "text", "text": "b"}])))
    reply, _ = await ask(chat(wire), "hi")
    assert text_of(reply.parts) == "ab"


async def test_a_refusal_is_text_that_was_filtered(wire: Wire) -> None:
    wire.answers += [whole(message(content=None, refusal="I won't.")), events(chunk(refusal="I won't."), chunk("stop"))]
    for stream in (False, True):
        reply, _ = await ask(chat(wire, stream=stream), "hi")
        assert text_of(reply.parts) == "I won't."
        assert reply.finish == "content_filter"


# What goes wrong

BROKEN: dict[str, tuple[Any, str]] = {
    "no choices": (whole({"id": "x", "choices": []}), "malformed_output"),
    "null choices": (whole({"choices": None}), "malformed_output"),
    "a list": (whole([1, 2]), "malformed_output"),
    "an error with status 200": (whole({"error": {"message": "Provider returned error", "code": 502}}), "server"),
    "filtered to nothing": (whole(message(content=None, finish="content_filter")), "content_filtered"),
}


@pytest.mark.parametrize("name", BROKEN)
async def test_a_broken_answer_has_its_kind(wire: Wire, name: str) -> None:
    answer, kind = BROKEN[name]
    wire.answers.append(answer)
    with pytest.raises(ModelError) as caught:
        await ask(chat(wire), "hi")
    assert caught.value.kind == kind


STREAMS: dict[str, tuple[Any, str]] = {
    "cut": (events(chunk(content="a"), cut=True), "connection"),
    "ended early": (events(chunk(content="a"), done=False), "connection"),
    "an error inside": (
        events(chunk(content="a"), {"error": {"message": "slow down", "code": "slow_down"}}),
        "overloaded",
    ),
    "no JSON": (events(chunk(content="a"), "data: {oops\n\n"), "malformed_output"),
    "nothing at all": (events(done=False), "connection"),
    "filtered to nothing": (events(chunk("content_filter")), "content_filtered"),
}


@pytest.mark.parametrize("name", STREAMS)
async def test_a_broken_stream_has_its_kind(wire: Wire, name: str) -> None:
    answer, kind = STREAMS[name]
    wire.answers.append(answer)
    with pytest.raises(ModelError) as caught:
        await ask(chat(wire, stream=True), "hi")
    assert caught.value.kind == kind


async def test_a_model_that_nobody_holds_closes_its_connection(wire: Wire) -> None:
    model = chat(wire)
    cycle: list[Any] = [model]
    cycle.append(cycle)
    wire.answers.append(whole(message(content="a")))
    await ask(model, "hi")
    assert not wire.gone.is_set()
    del model, cycle
    gc.collect()
    await asyncio.wait_for(wire.gone.wait(), 2)


async def test_one_connection_serves_many_requests(wire: Wire) -> None:
    model = chat(wire, stream=True)
    wire.answers += [events(chunk(content="a"), chunk("stop"))] * 3
    for _ in range(3):
        await ask(model, "hi")
    assert not wire.gone.is_set()  # the server saw no connection end
    await model.aclose()
    await asyncio.wait_for(wire.gone.wait(), 2)
    wire.answers.append(events(chunk(content="b"), chunk("stop")))
    reply, _ = await ask(model, "hi")
    assert text_of(reply.parts) == "b"
