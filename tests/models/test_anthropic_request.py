"""Anthropic's Messages protocol: what is sent, byte by byte."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from surefoot.core.errors import ModelError
from surefoot.core.messages import File, Image, Message, Reasoning, Text, ToolCall, ToolResult
from surefoot.core.model import ModelRequest, ModelSettings
from surefoot.core.tool import ToolSpec
from surefoot.models.anthropic import Anthropic
from tests.models.wire import Wire, whole

pytestmark = pytest.mark.needs("anthropic")

ADD = ToolSpec("add", "Add.", {"type": "object", "properties": {"a": {"type": "integer"}}})
MARK = {"cache_control": {"type": "ephemeral"}}


def text(said: str, **more: Any) -> dict[str, Any]:
    return {"type": "text", "text": said, **more}


def user(*parts: Any) -> Message:
    return Message("user", tuple(Text(part) if isinstance(part, str) else part for part in parts))


async def sent(wire: Wire, request: ModelRequest, model: str = "claude-opus-5", **given: Any) -> dict[str, Any]:
    wire.answers.append(whole({"content": [{"type": "text", "text": "ok"}], "stop_reason": "end_turn"}))
    given = {"stream": False, "cache": None, **given}
    await Anthropic(model, api_key="k", base_url=wire.url.removesuffix("/v1"), **given).request(request, lambda delta: None)
    assert wire.asked[-1].path == "/v1/messages"
    body: dict[str, Any] = wire.asked[-1].body
    return body


async def test_a_request_holds_what_was_asked_for(wire: Wire) -> None:
    settings = ModelSettings(temperature=0.5, max_tokens=9, extra={"top_k": 3, "metadata": {"user_id": "u"}})
    body = await sent(wire, ModelRequest([user("hi")], "Be kind.", [ADD], settings=settings))
    assert body == {
        "model": "claude-opus-5",
        "max_tokens": 9,
        "system": [text("Be kind.")],
        "messages": [{"role": "user", "content": [text("hi")]}],
        "tools": [{"name": "add", "description": "Add.", "input_schema": ADD.input_schema}],
        "temperature": 0.5,
        "top_k": 3,
        "metadata": {"user_id": "u"},
    }
    headers = wire.asked[-1].headers
    assert "k" in (headers.get("authorization", "").removeprefix("Bearer "), headers.get("x-api-key"))
    assert headers["anthropic-version"]


@pytest.mark.parametrize(
    ("model", "most"),
    [("claude-opus-5", 32_000), ("claude-3-haiku-20240307", 4_096), ("claude-3-5-sonnet", 8_192), ("other", 32_000)],
)
async def test_a_model_may_say_as_much_as_it_can(wire: Wire, model: str, most: int) -> None:
    assert (await sent(wire, ModelRequest([user("hi")]), model))["max_tokens"] == most


THINKING: list[tuple[str, str, int | None, dict[str, Any]]] = [
    ("claude-opus-5", "high", None, {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}}),
    ("claude-sonnet-4-6", "minimal", None, {"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}}),
    ("claude-mythos-preview", "max", None, {"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}}),
    ("claude-haiku-4-5-20251001", "low", None, {"thinking": {"type": "enabled", "budget_tokens": 4_096}}),
    ("claude-opus-4-20250514", "strange", None, {"thinking": {"type": "enabled", "budget_tokens": 10_000}}),
    ("claude-haiku-4-5", "high", 2_000, {"thinking": {"type": "enabled", "budget_tokens": 1_999}}),
    ("claude-haiku-4-5", "high", 1_000, {}),
    ("claude-opus-5", "none", None, {"thinking": {"type": "disabled"}}),
]


@pytest.mark.parametrize(("model", "effort", "most", "wanted"), THINKING)
async def test_how_much_to_think_is_said_as_the_model_takes_it(
    wire: Wire, model: str, effort: str, most: int | None, wanted: dict[str, Any]
) -> None:
    settings = ModelSettings(reasoning=effort, max_tokens=most)
    body = await sent(wire, ModelRequest([user("hi")], settings=settings), model)
    assert {key: body[key] for key in ("thinking", "output_config") if key in body} == wanted


async def test_a_turn_that_began_without_thoughts_goes_on_without(wire: Wire) -> None:
    # Models with a budget refuse calls that no thought led to, as another provider's are.
    began = [
        user("go"),
        Message("assistant", (Reasoning("hm", "x", "openai"), ToolCall("0.0", "add", "{}", "c1"))),
        Message("tool", (ToolResult("0.0", "add", "3"),)),
    ]
    settings = ModelSettings(reasoning="high")
    assert "thinking" not in await sent(wire, ModelRequest(began, settings=settings), "claude-haiku-4-5")
    over = [*began, Message("assistant", (Text("Three."),)), user("on")]
    assert "thinking" in await sent(wire, ModelRequest(over, settings=settings), "claude-haiku-4-5")
    assert "thinking" in await sent(wire, ModelRequest(began, settings=settings))


async def test_calls_and_results_are_paired_by_unique_ids(wire: Wire) -> None:
    odd = "crm/get user"
    history = [
        user("go"),
        Message(
            "assistant",
            (
                ToolCall("0.0", odd, '{"a":1}', "same"),
                ToolCall("0.1", odd, "{bad", "same", "not JSON"),
                ToolCall("0.2", odd, "{}", "functions.x:0"),
            ),
        ),
        Message("tool", (ToolResult("0.0", odd, "one"), ToolResult("0.1", odd, "two", error=True), ToolResult("0.2", odd, ""))),
        user("once more"),
        Message("assistant", (Text("Gladly."), ToolCall("0.0", odd, "{}", ""))),
        user("never mind"),
    ]
    messages = (await sent(wire, ModelRequest(history, tools=[ToolSpec(odd)])))["messages"]
    assert [message["role"] for message in messages] == ["user", "assistant"] * 2 + ["user"]
    calls = messages[1]["content"]
    assert len({call["id"] for call in calls} | {messages[3]["content"][1]["id"]}) == 4
    assert all(call["name"].replace("_", "").isalnum() for call in calls)
    assert [call["input"] for call in calls] == [{"a": 1}, {"invalid_json": "{bad"}, {}]
    one, two, three, again = messages[2]["content"]
    assert one == {"type": "tool_result", "tool_use_id": calls[0]["id"], "content": [text("one")]}
    assert two == {"type": "tool_result", "tool_use_id": calls[1]["id"], "content": [text("two")], "is_error": True}
    assert three == {"type": "tool_result", "tool_use_id": calls[2]["id"]}
    assert again == text("once more")
    # A call nobody answered is answered all the same, in front of what the user says next.
    assert messages[4]["content"] == [
        {
            "type": "tool_result",
            "tool_use_id": messages[3]["content"][1]["id"],
            "content": [text("[no result]")],
            "is_error": True,
        },
        text("never mind"),
    ]


async def test_a_conversation_begins_with_the_user_and_holds_no_empty_text(wire: Wire) -> None:
    history = [Message("assistant", (Text("Yes?"),)), user(" \n"), user("hi"), Message("assistant", (Text(""),)), user("ho")]
    messages = (await sent(wire, ModelRequest(history, " ")))["messages"]
    assert messages == [
        {"role": "user", "content": [text("[earlier messages were left out]")]},
        {"role": "assistant", "content": [text("Yes?")]},
        {"role": "user", "content": [text("hi"), text("ho")]},
    ]
    assert "system" not in wire.asked[-1].body


async def test_images_and_files_go_along(wire: Wire) -> None:
    async def load(digest: str) -> bytes:
        return digest.encode()

    def base(kind: str, data: bytes) -> dict[str, str]:
        return {"type": "base64", "media_type": kind, "data": base64.b64encode(data).decode()}

    parts = (
        "see",
        Image(url="http://example.com/a.png"),
        Image(b"\x01"),
        Image(blob="abc", media_type="image/jpeg"),
        File(b"\x02", "image/webp"),
        File(b"%PDF", "application/pdf", "a.pdf"),
        File(url="http://example.com/b.pdf", name="b.pdf"),
        File("naïve".encode(), "text/plain", "a.txt"),
        File(b'{"a":1}', "application/json"),
        File(b"RIFF", "audio/wav", "a.wav"),
    )
    content = (await sent(wire, ModelRequest([user(*parts)], load=load)))["messages"][0]["content"]
    assert content == [
        text("see"),
        {"type": "image", "source": {"type": "url", "url": "http://example.com/a.png"}},
        {"type": "image", "source": base("image/png", b"\x01")},
        {"type": "image", "source": base("image/jpeg", b"abc")},
        {"type": "image", "source": base("image/webp", b"\x02")},
        {"type": "document", "source": base("application/pdf", b"%PDF"), "title": "a.pdf"},
        {"type": "document", "source": {"type": "url", "url": "http://example.com/b.pdf"}, "title": "b.pdf"},
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "naïve"}, "title": "a.txt"},
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": '{"a":1}'}},
        text("[a.wav: audio/wav, 4 bytes; this model cannot read it]"),
    ]


async def test_a_blob_that_is_gone_is_said_to_be_gone(wire: Wire) -> None:
    with pytest.raises(ModelError, match="blob abc") as caught:
        await sent(wire, ModelRequest([user(Image(blob="abc"))]))
    assert caught.value.kind == "invalid_request"


async def test_results_hold_images(wire: Wire) -> None:
    history = [
        user("look"),
        Message("assistant", (ToolCall("0.0", "see", "{}", "c1"),)),
        Message("tool", (ToolResult("0.0", "see", "a cat", parts=(Image(b"\x01"),)),)),
    ]
    result = (await sent(wire, ModelRequest(history)))["messages"][2]["content"][0]
    assert [block["type"] for block in result["content"]] == ["text", "image"]


async def test_what_a_model_of_another_provider_made_is_named(wire: Wire) -> None:
    said = Message("assistant", (Reasoning("hm", "secret", "openai"), Reasoning("aha"), Image(b"\x01"), File(b"x")))
    messages = (await sent(wire, ModelRequest([user("draw"), said, user("more")])))["messages"]
    assert messages[1]["content"] == [text("[an image]"), text("[a file]")]


async def test_thoughts_that_cannot_be_read_are_left_out(wire: Wire) -> None:
    odd = [Reasoning("hm", opaque, "anthropic") for opaque in ("{", "[]", "{}", '{"signature":""}')]
    messages = (await sent(wire, ModelRequest([user("go"), Message("assistant", (*odd, Text("on"))), user("more")])))["messages"]
    assert messages[1]["content"] == [text("on")]


# The prompt cache


async def test_the_stable_prefix_and_the_two_last_prompts_are_marked(wire: Wire) -> None:
    history = [
        user("go"),
        Message("assistant", (ToolCall("0.0", "add", "{}", "c1"),)),
        Message("tool", (ToolResult("0.0", "add", "3"),)),
        Message("assistant", (ToolCall("1.0", "add", "{}", "c2"),)),
        Message("tool", (ToolResult("1.0", "add", "4"),)),
    ]
    body = await sent(wire, ModelRequest(history, "Be kind.", [ADD]), cache="5m")
    assert body["system"] == [text("Be kind.", **MARK)]
    assert "cache_control" not in body["tools"][0]
    marked = [block for message in body["messages"] for block in message["content"] if "cache_control" in block]
    assert [block["tool_use_id"] for block in marked] == ["c1", "c2"]
    # The same blocks without their marks begin the next prompt: what is cached now is found then.
    shorter = await sent(wire, ModelRequest(history[:3], "Be kind.", [ADD]), cache="5m")
    assert shorter["messages"][-1]["content"][-1] == marked[0]


async def test_tools_are_marked_where_there_are_no_instructions(wire: Wire) -> None:
    body = await sent(wire, ModelRequest([user("go")], tools=[ADD]), cache="1h")
    assert body["tools"][-1]["cache_control"] == {"type": "ephemeral", "ttl": "1h"}
    assert body["messages"][0]["content"][-1]["cache_control"] == {"type": "ephemeral", "ttl": "1h"}


async def test_a_single_question_is_not_written_to_the_cache(wire: Wire) -> None:
    body = await sent(wire, ModelRequest([user("go")], "Be kind."), cache="5m")
    assert body["messages"][0]["content"] == [text("go")]
    assert body["system"] == [text("Be kind.", **MARK)]
    assert "cache_control" not in str(await sent(wire, ModelRequest([user("go")], "Be kind.", [ADD])))
