"""The Responses protocol: what is sent, and what comes back in forms that no mock gives."""

from __future__ import annotations

from typing import Any

import pytest

from surefoot.core.errors import ModelError
from surefoot.core.messages import File, Image, Message, Part, Reasoning, Text, ToolCall, ToolResult, Usage, text_of
from surefoot.core.model import Delta, ModelReply, ModelRequest, ModelSettings, ProposedCall
from surefoot.core.naming import wire_names
from surefoot.core.tool import ToolSpec
from surefoot.models import openai_responses
from surefoot.models.openai import OpenAI
from surefoot.testing.contracts.model import ask
from tests.models.wire import Wire, events, whole

pytestmark = pytest.mark.needs("openai")

ADD = ToolSpec("add", "Add.", {"type": "object", "properties": {"a": {"type": "integer"}}})


def model(wire: Wire, name: str = "gpt-6-sol", *, stream: bool = False) -> OpenAI:
    return OpenAI(name, api_key="k", base_url=wire.url, api="responses", stream=stream)


def said(text: str, **fields: Any) -> dict[str, Any]:
    return {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}], **fields}


def call(number: int, arguments: Any = "{}", **fields: Any) -> dict[str, Any]:
    return {"type": "function_call", "name": "add", "call_id": f"c{number}", "arguments": arguments, **fields}


def thought(number: int, *summary: str) -> dict[str, Any]:
    pieces = [{"type": "summary_text", "text": text} for text in summary]
    return {"type": "reasoning", "id": f"r{number}", "summary": pieces, "encrypted_content": f"secret{number}"}


def response(*output: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"id": "resp1", "status": "completed", "model": "gpt-6-sol-1", "output": list(output), **fields}


def user(*parts: Any) -> Message:
    return Message("user", tuple(Text(part) if isinstance(part, str) else part for part in parts))


def kept(reply: ModelReply, step: int = 0) -> Message:
    """A reply as a run stores it: parts, then calls."""
    calls = [ToolCall(f"{step}.{index}", call.name, call.arguments, call.provider_id) for index, call in enumerate(reply.calls)]
    return Message("assistant", (*reply.parts, *calls))


async def sent(wire: Wire, request: ModelRequest, name: str = "gpt-6-sol") -> dict[str, Any]:
    wire.answers.append(whole(response(said("ok"))))
    await model(wire, name).request(request, lambda delta: None)
    assert wire.asked[-1].path == "/v1/responses"
    body: dict[str, Any] = wire.asked[-1].body
    return body


async def test_a_request_holds_what_was_asked_for(wire: Wire) -> None:
    extra = {"reasoning": {"summary": "auto"}, "store": True}
    settings = ModelSettings(temperature=0.5, max_tokens=9, reasoning="low", extra=extra)
    body = await sent(wire, ModelRequest([user("hi")], "Be kind.", [ADD], settings=settings))
    assert body == {
        "model": "gpt-6-sol",
        "input": [{"role": "user", "content": "hi"}],
        "instructions": "Be kind.",
        "tools": [{"type": "function", "name": "add", "description": "Add.", "parameters": ADD.input_schema, "strict": False}],
        "include": ["reasoning.encrypted_content"],
        "store": True,
        "temperature": 0.5,
        "max_output_tokens": 9,
        "reasoning": {"effort": "low", "summary": "auto"},
    }


async def test_the_vendors_own_tools_come_beside_the_agents(wire: Wire) -> None:
    settings = ModelSettings(extra={"tools": [{"type": "image_generation"}]})
    for given, kinds in (([ADD], ["function", "image_generation"]), ([], ["image_generation"])):
        body = await sent(wire, ModelRequest([user("draw")], tools=given, settings=settings))
        assert [tool["type"] for tool in body["tools"]] == kinds


async def test_a_conversation_keeps_its_prompt_cache() -> None:
    # Only OpenAI itself is told, so there is no server to ask here.
    keys: list[Any] = []
    for conversation in ("s1", "s" * 100, ""):
        request = ModelRequest([user("hi")], conversation=conversation)
        body = await openai_responses.body("gpt-4.1", request, wire_names(()), base_url="")
        keys.append(body.get("prompt_cache_key"))
    assert keys[0] == "s1"
    assert len(keys[1]) == 64
    assert keys[2] is None


@pytest.mark.parametrize("name", ["gpt-4.1", "gpt-5-chat-latest", "llama-3"])
async def test_thoughts_are_asked_of_models_that_think(wire: Wire, name: str) -> None:
    body = await sent(wire, ModelRequest([user("hi")]), name)
    assert "include" not in body
    assert body["store"] is False


async def test_thoughts_go_back_in_front_of_what_they_led_to(wire: Wire) -> None:
    items = [thought(1, "one", "two"), call(1), thought(2, "three"), call(2)]
    wire.answers.append(whole(response(*items)))
    reply, _ = await ask(model(wire), "hi", tools=[ADD])
    assert [part.text for part in reply.parts if type(part) is Reasoning] == ["one\n\ntwo", "three"]
    results = Message("tool", (ToolResult("0.0", "add", "1"), ToolResult("0.1", "add", "2")))
    body = await sent(wire, ModelRequest([user("hi"), kept(reply), results]))
    first, second = items[0], items[2]
    assert body["input"][1:] == [
        first,
        items[1],
        second,
        items[3],
        {"type": "function_call_output", "call_id": "c1", "output": "1"},
        {"type": "function_call_output", "call_id": "c2", "output": "2"},
    ]


async def test_the_phase_of_a_text_goes_back_with_it(wire: Wire) -> None:
    wire.answers.append(whole(response(said("Looking.", phase="commentary"), call(1))))
    reply, deltas = await ask(model(wire), "hi", tools=[ADD])
    assert text_of(reply.parts) == "Looking."
    assert [delta.kind for delta in deltas] == ["text", "call"]
    body = await sent(wire, ModelRequest([user("hi"), kept(reply)]))
    assert body["input"][1] == {"role": "assistant", "content": "Looking.", "phase": "commentary"}


async def test_other_providers_thoughts_stay_at_home(wire: Wire) -> None:
    parts: tuple[Part, ...] = (Reasoning("hm", "x", "elsewhere"), Reasoning("hm", "", ""), Reasoning("", "{", "openai"))
    body = await sent(wire, ModelRequest([user("a"), Message("assistant", (*parts, Text("b"))), user("c")]))
    assert [entry.get("content") for entry in body["input"]] == ["a", "b", "c"]


async def test_images_and_files_go_along(wire: Wire) -> None:
    parts = (
        "see",
        Image(b"\x01"),
        File(b"%PDF", "application/pdf", "a.pdf"),
        File(b"text", "text/plain", "a.txt"),
        File(url="http://example.com/b.pdf"),
    )
    body = await sent(wire, ModelRequest([user(*parts)]))
    assert body["input"][0]["content"] == [
        {"type": "input_text", "text": "see"},
        {"type": "input_image", "detail": "auto", "image_url": "data:image/png;base64,AQ=="},
        {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERg=="},
        {"type": "input_text", "text": "[file a.txt]\ntext"},
        {"type": "input_file", "file_url": "http://example.com/b.pdf"},
    ]


async def test_a_result_holds_its_image(wire: Wire) -> None:
    asked = Message("assistant", (ToolCall("0.0", "see", "{}", "c1"),))
    result = Message("tool", (ToolResult("0.0", "see", "a cat", parts=(Image(b"\x01"),)),))
    output = (await sent(wire, ModelRequest([user("look"), asked, result])))["input"][2]["output"]
    assert [block["type"] for block in output] == ["input_text", "input_image"]


# What comes back


async def test_a_stream_is_read_from_its_finished_items(wire: Wire) -> None:
    usage = {
        "input_tokens": 9,
        "output_tokens": 5,
        "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 1},
        "output_tokens_details": {"reasoning_tokens": 3},
    }
    wire.answers.append(
        events(
            {"type": "response.created", "response": response(status="in_progress")},
            {
                "type": "response.output_item.added",
                "output_index": 0,
                "item": {**thought(1), "encrypted_content": "half"},
            },
            {"type": "response.reasoning_summary_text.delta", "delta": "Hm."},
            {"type": "response.output_item.done", "output_index": 0, "item": thought(1, "Hm.")},
            {"type": "response.something.new", "delta": "?"},
            {"type": "response.output_text.delta", "delta": "An"},
            {"type": "response.output_text.delta", "delta": "swer"},
            {"type": "response.output_item.done", "output_index": 1, "item": said("Answer")},
            {"type": "response.output_item.added", "output_index": 2, "item": call(1, "")},
            {"type": "response.output_item.done", "output_index": 2, "item": call(1, '{"a":1}')},
            {"type": "response.completed", "response": response(usage=usage)},
            done=False,
        )
    )
    reply, deltas = await ask(model(wire, stream=True), "hi", tools=[ADD])
    assert deltas == [Delta("reasoning", "Hm."), Delta("text", "An"), Delta("text", "swer"), Delta("call", "add")]
    assert text_of(reply.parts) == "Answer"
    assert reply.calls == (ProposedCall("add", '{"a":1}', "c1"),)
    assert (reply.finish, reply.model, reply.request_id) == ("tool_calls", "gpt-6-sol-1", "resp1")
    assert reply.usage == Usage(9, 5, 4, 1, 3)
    assert "secret1" in next(part.opaque for part in reply.parts if type(part) is Reasoning)


async def test_text_that_only_streamed_is_kept(wire: Wire) -> None:
    wire.answers.append(
        events(
            {"type": "response.output_text.delta", "delta": "Answer"},
            {"type": "response.completed", "response": {"status": "completed"}},
        )
    )
    reply, _ = await ask(model(wire, stream=True), "hi")
    assert text_of(reply.parts) == "Answer"
    assert reply.usage == Usage()


ODD: dict[str, tuple[dict[str, Any], ModelReply]] = {
    "arguments are an object": (call(1, {"a": 1}), ModelReply((), (ProposedCall("add", '{"a":1}', "c1"),))),
    "arguments are empty": (call(1, ""), ModelReply((), (ProposedCall("add", "{}", "c1"),))),
    "no call id": (call(1, call_id=None), ModelReply((), (ProposedCall("add", "{}", ""),))),
    "an item nobody knows": ({"type": "web_search_call", "id": "w"}, ModelReply()),
    "no content": ({"type": "message", "content": None}, ModelReply()),
    "thoughts in the clear": (
        {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]},
        ModelReply((Reasoning("hm"),)),
    ),
}


@pytest.mark.parametrize("name", ODD)
async def test_an_answer_may_be_odd(wire: Wire, name: str) -> None:
    item, expected = ODD[name]
    wire.answers.append(whole(response(item)))
    reply, _ = await ask(model(wire), "hi", tools=[ADD])
    assert (reply.parts, reply.calls) == (expected.parts, expected.calls)


FINISHES: dict[str, tuple[dict[str, Any], str]] = {
    "length": (response(said("a"), status="incomplete", incomplete_details={"reason": "max_output_tokens"}), "length"),
    "no reason": (response(said("a"), status="incomplete", incomplete_details=None), "length"),
    "filter": (
        response(said("a"), status="incomplete", incomplete_details={"reason": "content_filter"}),
        "content_filter",
    ),
    "new reason": (response(said("a"), status="incomplete", incomplete_details={"reason": "steered"}), "steered"),
    "refusal": (response({"type": "message", "content": [{"type": "refusal", "refusal": "No."}]}), "content_filter"),
}


@pytest.mark.parametrize("name", FINISHES)
async def test_how_an_answer_ended(wire: Wire, name: str) -> None:
    body, finish = FINISHES[name]
    wire.answers.append(whole(body))
    reply, _ = await ask(model(wire), "hi")
    assert reply.finish == finish
    assert text_of(reply.parts)


def failed(code: str) -> dict[str, Any]:
    return response(status="failed", error={"code": code, "message": "It broke."})


BROKEN: dict[str, tuple[Any, str]] = {
    "failed": (whole(failed("server_error")), "server"),
    "rate limited": (whole(failed("rate_limit_exceeded")), "rate_limited"),
    "flagged": (whole(failed("invalid_prompt")), "content_filtered"),
    "cancelled": (whole(response(status="cancelled")), "server"),
    "filtered to nothing": (
        whole(response(status="incomplete", incomplete_details={"reason": "content_filter"})),
        "content_filtered",
    ),
    "no output": (whole({"id": "x"}), "malformed_output"),
    "text": (whole("hello"), "malformed_output"),
}
STREAMS: dict[str, tuple[Any, str]] = {
    "failed": (events({"type": "response.failed", "response": failed("server_error")}), "server"),
    "error": (events({"type": "error", "code": "rate_limit_exceeded", "message": "Slow."}), "rate_limited"),
    "nested error": (events({"type": "error", "error": {"type": "overloaded_error", "message": "!"}}), "overloaded"),
    "ended early": (events({"type": "response.output_text.delta", "delta": "a"}, done=False), "connection"),
    "cut": (events({"type": "response.output_text.delta", "delta": "a"}, cut=True), "connection"),
}


@pytest.mark.parametrize("name", [*BROKEN, *(f"streamed {name}" for name in STREAMS)])
async def test_a_broken_answer_has_its_kind(wire: Wire, name: str) -> None:
    streamed = name.startswith("streamed ")
    answer, kind = STREAMS[name.removeprefix("streamed ")] if streamed else BROKEN[name]
    wire.answers.append(answer)
    with pytest.raises(ModelError) as caught:
        await ask(model(wire, stream=streamed), "hi")
    assert caught.value.kind == kind
