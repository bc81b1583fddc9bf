"""Gemini's protocol: what comes back, in forms that no mock gives, and structured output."""

from __future__ import annotations

import asyncio
import base64
import gc
import json
from typing import Any

import pytest

from surefoot.core.errors import ModelError
from surefoot.core.messages import File, Image, Message, Reasoning, Text, ToolCall, ToolResult, Usage, text_of
from surefoot.core.model import Delta, ModelReply, ModelRequest, OutputSchema, ProposedCall
from surefoot.core.tool import ToolSpec
from surefoot.models import price
from surefoot.models.gemini import Gemini
from surefoot.testing.contracts.model import ask
from tests.models.wire import Answer, Wire, events, whole

pytestmark = pytest.mark.needs("gemini")

ADD = ToolSpec("add", "Add.", {"type": "object", "properties": {"a": {"type": "integer"}}})


def gemini(wire: Wire, *, stream: bool = False, **given: Any) -> Gemini:
    return Gemini("gemini-3.8-flash", api_key="k", base_url=wire.url.removesuffix("/v1"), stream=stream, **given)


def chunk(*parts: dict[str, Any], finish: str | None = None, **fields: Any) -> dict[str, Any]:
    candidate: dict[str, Any] = {"index": 0}
    if parts:
        candidate["content"] = {"role": "model", "parts": list(parts)}
    if finish is not None:
        candidate["finishReason"] = finish
    return {"candidates": [candidate], **fields}


def text(said: str, **fields: Any) -> dict[str, Any]:
    return {"text": said, **fields}


def call(number: int, **fields: Any) -> dict[str, Any]:
    return {"functionCall": {"id": f"c{number}", "name": "add", "args": {"a": number}}, **fields}


def streamed(*chunks: dict[str, Any], **given: Any) -> Answer:
    return events(*chunks, done=False, **given)


def kept(reply: ModelReply) -> Message:
    """A reply as a run stores it: parts, then calls."""
    calls = [ToolCall(f"0.{index}", each.name, each.arguments, each.provider_id) for index, each in enumerate(reply.calls)]
    return Message("assistant", (*reply.parts, *calls))


async def sent_back(wire: Wire, reply: ModelReply) -> list[dict[str, Any]]:
    """The parts of a reply as they are sent with the next request."""
    results = [ToolResult(f"0.{index}", each.name, "1") for index, each in enumerate(reply.calls)]
    history = [Message("user", (Text("go"),)), kept(reply), Message("tool", tuple(results)), Message("user", (Text("on"),))]
    wire.answers.append(whole(chunk(text("ok"), finish="STOP")))
    await gemini(wire).request(ModelRequest(history), lambda delta: None)
    parts: list[dict[str, Any]] = wire.asked[-1].body["contents"][1]["parts"]
    return parts


PIXEL = base64.b64encode(b"\x01").decode()
SIGNED: dict[str, list[dict[str, Any]]] = {
    "calls": [text("Hm.", thought=True, thoughtSignature="s0"), call(1, thoughtSignature="s1"), call(2)],
    "every call": [call(1, thoughtSignature="s1"), call(2, thoughtSignature="s2")],
    "text": [text("plain "), text("signed", thoughtSignature="s1")],
    "the end": [text("plain"), text("", thoughtSignature="s1")],
    "an image": [text("Look:"), {"inlineData": {"mimeType": "image/png", "data": PIXEL}, "thoughtSignature": "s1"}],
}


@pytest.mark.parametrize("name", SIGNED)
@pytest.mark.parametrize("stream", [True, False])
async def test_signatures_go_back_as_and_where_they_came(wire: Wire, name: str, stream: bool) -> None:
    parts = SIGNED[name]
    chunks = [*[chunk(part) for part in parts], chunk(finish="STOP")]
    wire.answers.append(streamed(*chunks) if stream else whole(chunk(*parts, finish="STOP")))
    reply, _ = await ask(gemini(wire, stream=stream), "go", tools=[ADD])
    back = await sent_back(wire, reply)
    assert back == parts


async def test_thoughts_are_kept_and_only_signed_ones_go_back(wire: Wire) -> None:
    thoughts = [chunk(text("Let ", thought=True)), chunk(text("me see.", thought=True)), chunk(text("Yes"), finish="STOP")]
    wire.answers.append(streamed(*thoughts))
    reply, deltas = await ask(gemini(wire, stream=True), "go")
    assert reply.parts == (Reasoning("Let me see."), Text("Yes"))
    assert [(delta.kind, delta.text) for delta in deltas] == [("reasoning", "Let "), ("reasoning", "me see."), ("text", "Yes")]
    assert await sent_back(wire, reply) == [text("Yes")]


async def test_a_stream_in_pieces_is_put_together(wire: Wire) -> None:
    said = "Déjà vu 🛶"
    usage = {"promptTokenCount": 7, "candidatesTokenCount": 3}
    body = ": keep-alive\r\n\r\n" + "".join(
        f"data: {json.dumps(each, ensure_ascii=False)}\r\n\r\n: still here\r\nevent: x\r\n\r\n"
        for each in [
            *[chunk(text(char)) for char in said],
            chunk(call(1), finish="STOP", usageMetadata=usage, modelVersion="gemini-3.8-flash-001", responseId="r1"),
        ]
    )
    # One byte at a time: characters and lines are cut everywhere.
    wire.answers.append(Answer(tuple(bytes([byte]) for byte in body.encode()), kind="text/event-stream"))
    reply, deltas = await ask(gemini(wire, stream=True), "hi", tools=[ADD])
    assert text_of(reply.parts) == said == "".join(delta.text for delta in deltas if delta.kind == "text")
    assert deltas[-1] == Delta("call", "add")
    assert reply.calls == (ProposedCall("add", '{"a":1}', "c1"),)
    assert (reply.model, reply.request_id, reply.usage) == ("gemini-3.8-flash-001", "r1", Usage(7, 3))
    assert reply.finish == "tool_calls"
    assert wire.asked[0].path.endswith(":streamGenerateContent?alt=sse")


async def test_an_event_may_have_several_lines_and_no_end(wire: Wire) -> None:
    lines = "\n".join(f"data:{line}" for line in json.dumps(chunk(text("a"), finish="STOP"), indent=1).splitlines())
    wire.answers.append(events(f"{lines}\n", done=False))
    reply, _ = await ask(gemini(wire, stream=True), "hi")
    assert text_of(reply.parts) == "a"


async def test_everything_that_is_charged_is_counted(wire: Wire) -> None:
    usage = {
        "promptTokenCount": 1_100,
        "cachedContentTokenCount": 1_000,
        "toolUsePromptTokenCount": 10,
        "candidatesTokenCount": 20,
        "thoughtsTokenCount": 30,
        "totalTokenCount": 1_160,
    }
    wire.answers.append(
        streamed(chunk(text("a"), usageMetadata={"promptTokenCount": 1}), chunk(finish="STOP", usageMetadata=usage))
    )
    reply, _ = await ask(gemini(wire, stream=True), "hi")
    assert reply.usage == Usage(1_110, 50, 1_000, 0, 30)
    # gemini-2.5-flash: 0.3 dollars a million tokens in, 0.03 when cached, 2.5 out.
    assert price("gemini:gemini-2.5-flash", reply.usage) == round(110 * 0.3 + 1_000 * 0.03 + 50 * 2.5)


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("STOP", "stop"),
        ("MAX_TOKENS", "length"),
        ("SAFETY", "content_filter"),
        ("RECITATION", "content_filter"),
        ("LANGUAGE", "language"),
        ("STRANGE", "strange"),
        ("FINISH_REASON_UNSPECIFIED", "stop"),
    ],
)
async def test_why_it_ended(wire: Wire, reason: str, finish: str) -> None:
    wire.answers.append(whole(chunk(text("a"), finish=reason)))
    reply, _ = await ask(gemini(wire), "hi")
    assert (reply.finish, text_of(reply.parts)) == (finish, "a")


async def test_an_answer_may_hold_nothing(wire: Wire) -> None:
    for reason in ("STOP", "MAX_TOKENS"):
        wire.answers.append(whole({"candidates": [{"content": {"role": "model"}, "finishReason": reason}]}))
        reply, _ = await ask(gemini(wire), "hi")
        assert (reply.parts, reply.calls) == ((), ())


ODD: dict[str, tuple[dict[str, Any], tuple[Any, ...], tuple[ProposedCall, ...]]] = {
    "no arguments, no id": (chunk({"functionCall": {"name": "add"}}), (), (ProposedCall("add", "{}"),)),
    "arguments as text": (chunk({"functionCall": {"name": "add", "args": '{"a":1}'}}), (), (ProposedCall("add", '{"a":1}'),)),
    "parts of tomorrow": (chunk({"hologram": 1}, text("a")), (Text("a"),), ()),
    "the vendor's own tools": (chunk({"executableCode": {"code": "1"}}, {"codeExecutionResult": {}}), (), ()),
    "a sound": (chunk({"inlineData": {"mimeType": "audio/wav", "data": PIXEL}}), (File(b"\x01", "audio/wav"),), ()),
    "a file elsewhere": (
        chunk({"fileData": {"mimeType": "image/png", "fileUri": "gs://b/a"}}),
        (Image(b"", "image/png", "gs://b/a"),),
        (),
    ),
    "an image that is none": (chunk({"inlineData": {"mimeType": "image/png", "data": "?"}}), (), ()),
}


@pytest.mark.parametrize("name", ODD)
async def test_odd_answers_are_read_all_the_same(wire: Wire, name: str) -> None:
    body, parts, calls = ODD[name]
    wire.answers.append(whole(body))
    reply, _ = await ask(gemini(wire), "hi", tools=[ADD])
    assert (reply.parts, reply.calls, reply.usage) == (parts, calls, Usage())


async def test_a_server_that_cannot_stream_is_read_all_the_same(wire: Wire) -> None:
    wire.answers += [whole(chunk(text("plain"), finish="STOP")), whole([chunk(text("pl")), chunk(text("ain"), finish="STOP")])]
    for _ in range(2):
        reply, deltas = await ask(gemini(wire, stream=True), "hi")
        assert text_of(reply.parts) == "plain" == "".join(delta.text for delta in deltas)


async def test_connections_are_kept_and_closed(wire: Wire) -> None:
    model = gemini(wire, stream=True)
    wire.answers += [streamed(chunk(text("a"), finish="STOP"))] * 6
    await asyncio.gather(*[ask(model, "hi") for _ in range(3)])  # of several first requests, one opens the connections
    await ask(model, "hi")
    assert not wire.gone.is_set()  # the server saw no connection end
    await model.aclose()
    await asyncio.wait_for(wire.gone.wait(), 2)
    wire.gone.clear()
    await ask(model, "hi")
    del model
    gc.collect()
    await asyncio.wait_for(wire.gone.wait(), 2)


async def test_a_model_that_takes_no_schema_with_tools_is_asked_by_a_tool_and_remembered(wire: Wire) -> None:
    message = "Function calling with a response mime type: 'application/json' is unsupported"
    answer = {"functionCall": {"name": "final_answer", "args": {"value": 7}}}
    wire.answers += [
        whole({"error": {"code": 400, "message": message, "status": "INVALID_ARGUMENT"}}, 400),
        whole(chunk(answer, finish="STOP")),
        whole(chunk(answer, finish="STOP")),
        whole(chunk(text('{"value": 8}'), finish="STOP")),
    ]
    model = gemini(wire)
    number = OutputSchema("number", {"type": "integer", "multipleOf": 2}, "Which.")
    for wanted, tools in (("7", [ADD]), ("7", [ADD]), ("8", [])):
        reply, _ = await ask(model, "hi", output=number, tools=tools)
        assert (text_of(reply.parts), reply.calls, reply.finish) == (wanted, (), "stop")
    schema, tool, again, alone = [asked.body for asked in wire.asked]
    assert schema["generationConfig"]["responseMimeType"] == "application/json"
    assert tool["toolConfig"] == again["toolConfig"] == {"functionCallingConfig": {"mode": "ANY"}}
    assert [each["name"] for each in tool["tools"][0]["functionDeclarations"]] == ["add", "final_answer"]
    wanted_schema = alone["generationConfig"]["responseJsonSchema"]
    assert wanted_schema["properties"] == {"value": {"type": "integer", "description": "(multipleOf: 2)"}}


async def test_the_prompt_says_the_shape_where_nothing_else_may(wire: Wire) -> None:
    wire.answers.append(whole(chunk(text('{"value": 8}'), finish="STOP")))
    reply, _ = await ask(gemini(wire, output="prompt"), "hi", output=OutputSchema("number", {"type": "integer"}))
    assert text_of(reply.parts) == "8"
    assert "JSON Schema" in wire.asked[0].body["systemInstruction"]["parts"][0]["text"]


# What goes wrong

BLOCKED = {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": {"promptTokenCount": 9}}
BROKEN: dict[str, tuple[Any, str]] = {
    "no candidates": (whole({"candidates": []}), "malformed_output"),
    "nothing": (whole({}), "malformed_output"),
    "a number": (whole(1), "malformed_output"),
    "a blocked prompt": (whole(BLOCKED), "content_filtered"),
    "a filtered answer": (whole(chunk(finish="SAFETY")), "content_filtered"),
    "a call the vendor cannot read": (whole(chunk(finish="MALFORMED_FUNCTION_CALL")), "malformed_output"),
    "a missing signature": (whole(chunk(finish="MISSING_THOUGHT_SIGNATURE")), "invalid_request"),
    "an error with status 200": (whole({"error": {"code": 503, "status": "UNAVAILABLE", "message": "x"}}), "overloaded"),
}
STREAMS: dict[str, tuple[Any, str]] = {
    "a blocked prompt, streamed": (streamed(BLOCKED), "content_filtered"),
    "cut": (streamed(chunk(text("a")), cut=True), "connection"),
    "ended early": (streamed(chunk(text("a"))), "connection"),
    "nothing, streamed": (streamed(), "connection"),
    "no JSON": (streamed(chunk(text("a")), *["data: {oops\n\n"]), "malformed_output"),  # type: ignore[arg-type]
    "an error inside": (
        streamed(chunk(text("a")), {"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "slow"}}),
        "rate_limited",
    ),
    "an error of text": (streamed({"error": "oops"}), "server"),
}


async def test_an_error_inside_a_stream_names_its_request(wire: Wire) -> None:
    wire.answers.append(streamed({"error": {"code": 500, "message": "x"}}, headers={"x-request-id": "r9"}))
    with pytest.raises(ModelError) as caught:
        await ask(gemini(wire, stream=True), "hi")
    assert (caught.value.status, caught.value.request_id) == (500, "r9")


@pytest.mark.parametrize("name", [*BROKEN, *STREAMS])
async def test_a_broken_answer_has_its_kind(wire: Wire, name: str) -> None:
    answer, kind = (BROKEN | STREAMS)[name]
    wire.answers.append(answer)
    with pytest.raises(ModelError) as caught:
        await ask(gemini(wire, stream=name in STREAMS), "hi")
    assert caught.value.kind == kind
