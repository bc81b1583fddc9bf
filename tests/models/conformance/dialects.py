"""How each vendor writes what the suite describes: one answer, whole or streamed, and its errors.

A `Said` describes an answer without a vendor in it. A `Dialect` writes it as its vendor documents it, makes the adapter
under test, and names the vendor's words for an end and for a failure.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest

from surefoot.core.errors import ModelError
from surefoot.core.model import Delta, ModelReply
from surefoot.core.ports import Model
from surefoot.testing.contracts.model import ask
from tests.models.conformance import refusals
from tests.models.wire import Answer, Wire

MODEL = "some-model-1"
#: Gets the reply to an answer, and what streamed of it.
Get = Callable[..., Awaitable[tuple[ModelReply, list[Delta]]]]


@dataclass(frozen=True)
class Called:
    """A call; ``arguments`` is JSON text, which a vendor that sends objects parses, or whatever an odd server sends."""

    name: str = "add"
    arguments: Any = '{"a":1}'
    id: str | None = "c1"


@dataclass(frozen=True)
class Said:
    """An answer. ``end`` is why it ended, by surefoot's word or by one that nobody knows; ``usage`` is tokens in, out, cached
    and for thinking.
    """

    text: tuple[str, ...] = ()
    thoughts: tuple[str, ...] = ()
    calls: tuple[Called, ...] = ()
    images: tuple[bytes, ...] = ()
    end: str = "stop"
    usage: tuple[int, int, int, int] | None = (9, 5, 4, 2)


@dataclass(frozen=True)
class Dialect:
    """A vendor's protocol. ``failures`` are statuses and bodies by the kind that they are of."""

    name: ClassVar[str]
    extra: ClassVar[str]
    ends: ClassVar[Mapping[str, str]]
    request_id: ClassVar[str] = "x-request-id"
    done: ClassVar[str] = ""
    failures: Mapping[str, tuple[int, Any]] = field(default_factory=dict)

    def model(self, url: str, *, stream: bool, **given: Any) -> Model:
        raise NotImplementedError

    def whole(self, said: Said) -> Any:
        raise NotImplementedError

    def events(self, said: Said) -> list[str]:
        raise NotImplementedError

    def broken(self) -> str:
        """An event that tells of an overload in mid-stream."""
        raise NotImplementedError

    def end(self, said: Said) -> str:
        """The vendor's word for an end."""
        return self.ends.get("tool_calls" if said.calls and said.end == "stop" else said.end, said.end)


def data(item: Any) -> str:
    """An event without a name."""
    return f"data: {json.dumps(item, ensure_ascii=False)}\n\n"


def halves(text: Any) -> list[Any]:
    """Text in two pieces, or what is no text as it is."""
    return [text[: len(text) // 2], text[len(text) // 2 :]] if isinstance(text, str) and text else [text]


def base64_of(data: bytes) -> str:
    """Bytes as every vendor sends them."""
    return base64.b64encode(data).decode()


def parsed(arguments: Any) -> Any:
    """Arguments where a vendor sends objects; text that is no JSON stays text."""
    try:
        return json.loads(arguments) if isinstance(arguments, str) else arguments
    except ValueError:
        return arguments


class _OpenAI(Dialect):
    extra = "openai"
    api: ClassVar[str]

    def model(self, url: str, *, stream: bool, **given: Any) -> Model:
        from surefoot.models.openai import OpenAI

        return OpenAI("gpt-6-sol", api_key="sk-not-a-key", base_url=url, api=self.api, stream=stream, **given)  # type: ignore[arg-type]


class Chat(_OpenAI):
    """OpenAI's chat completions, which every compatible server speaks."""

    name, api = "openai-chat", "chat"
    ends: ClassVar = {"tool_calls": "tool_calls", "content_filter": "content_filter"}
    done = "data: [DONE]\n\n"

    def whole(self, said: Said) -> Any:
        message: dict[str, Any] = {"role": "assistant", "content": "".join(said.text) or None}
        if said.thoughts:
            message["reasoning_content"] = "".join(said.thoughts)
        if said.calls:
            message["tool_calls"] = [self._call(call) for call in said.calls]
        if said.images:
            message["images"] = [self._image(data) for data in said.images]
        body = {"id": "r1", "model": MODEL, "choices": [{"index": 0, "message": message, "finish_reason": self.end(said)}]}
        return body if said.usage is None else {**body, "usage": self._usage(said.usage)}

    def events(self, said: Said) -> list[str]:
        deltas: list[dict[str, Any]] = [{"role": "assistant", "content": None}]
        deltas += [{"reasoning_content": piece} for piece in said.thoughts]
        deltas += [{"content": piece} for piece in said.text]
        deltas += [{"images": [self._image(data)]} for data in said.images]
        for at, call in enumerate(said.calls):
            first, *rest = halves(call.arguments)
            deltas.append({"tool_calls": [{"index": at, **self._call(Called(call.name, first, call.id))}]})
            deltas += [{"tool_calls": [{"index": at, "function": {"arguments": piece}}]} for piece in rest]
        made = [data({"id": "r1", "model": MODEL, "choices": [{"index": 0, "delta": delta}]}) for delta in deltas]
        made.append(data({"id": "r1", "choices": [{"index": 0, "delta": {}, "finish_reason": self.end(said)}]}))
        if said.usage is not None:
            made.append(data({"id": "r1", "choices": [], "usage": self._usage(said.usage)}))
        return [*made, self.done]

    def broken(self) -> str:
        return data({"error": {"message": "The engine is overloaded", "code": "slow_down"}})

    @staticmethod
    def _image(data: bytes) -> dict[str, Any]:
        return {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{base64_of(data)}"}}

    @staticmethod
    def _call(call: Called) -> dict[str, Any]:
        return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}

    @staticmethod
    def _usage(usage: tuple[int, int, int, int]) -> dict[str, Any]:
        given, out, cached, thought = usage
        details = {"prompt_tokens_details": {"cached_tokens": cached}, "completion_tokens_details": {"reasoning_tokens": thought}}
        return {"prompt_tokens": given, "completion_tokens": out, **details}


class Responses(_OpenAI):
    """OpenAI's Responses."""

    name, api = "openai-responses", "responses"
    ends: ClassVar = {"length": "max_output_tokens", "content_filter": "content_filter"}

    def whole(self, said: Said) -> Any:
        body: dict[str, Any] = {"id": "r1", "status": "completed", "model": MODEL, "output": self._items(said)}
        if said.end != "stop":
            body |= {"status": "incomplete", "incomplete_details": {"reason": self.end(said)}}
        return body if said.usage is None else {**body, "usage": self._usage(said.usage)}

    def events(self, said: Said) -> list[str]:
        made: list[dict[str, Any]] = [{"type": "response.created", "response": {"id": "r1", "status": "in_progress"}}]
        made += [{"type": "response.reasoning_summary_text.delta", "delta": piece} for piece in said.thoughts]
        made += [{"type": "response.output_text.delta", "delta": piece} for piece in said.text]
        for at, item in enumerate(self._items(said)):
            if item["type"] == "function_call":
                made.append({"type": "response.output_item.added", "output_index": at, "item": {**item, "arguments": ""}})
                pieces = [piece for piece in halves(item["arguments"]) if isinstance(piece, str)]
                made += [
                    {"type": "response.function_call_arguments.delta", "output_index": at, "delta": piece} for piece in pieces
                ]
            made.append({"type": "response.output_item.done", "output_index": at, "item": item})
        last = self.whole(said)
        made.append({"type": f"response.{last['status']}", "response": last})
        return [f"event: {item['type']}\n{data(item)}" for item in made]

    def broken(self) -> str:
        return data({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}})

    @staticmethod
    def _items(said: Said) -> list[dict[str, Any]]:
        made: list[dict[str, Any]] = []
        if said.thoughts:
            summary = [{"type": "summary_text", "text": "".join(said.thoughts)}]
            made.append({"type": "reasoning", "id": "rs1", "summary": summary, "encrypted_content": "sealed"})
        if said.text:
            content = [{"type": "output_text", "text": "".join(said.text)}]
            made.append({"type": "message", "id": "m1", "role": "assistant", "content": content})
        images = [{"status": "completed", "result": base64_of(image), "output_format": "png"} for image in said.images]
        made += [{"type": "image_generation_call", **image} for image in images]
        calls = [{"name": call.name, "call_id": call.id, "arguments": call.arguments} for call in said.calls]
        return [*made, *[{"type": "function_call", **call} for call in calls]]

    @staticmethod
    def _usage(usage: tuple[int, int, int, int]) -> dict[str, Any]:
        given, out, cached, thought = usage
        details = {"input_tokens_details": {"cached_tokens": cached}, "output_tokens_details": {"reasoning_tokens": thought}}
        return {"input_tokens": given, "output_tokens": out, **details}


class Messages(Dialect):
    """Anthropic's Messages."""

    name, extra, request_id = "anthropic", "anthropic", "request-id"
    ends: ClassVar = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "content_filter": "refusal"}

    def model(self, url: str, *, stream: bool, **given: Any) -> Model:
        from surefoot.models.anthropic import Anthropic

        return Anthropic("claude-opus-5", api_key="sk-ant-not-a-key", base_url=url.removesuffix("/v1"), stream=stream, **given)

    def whole(self, said: Said) -> Any:
        body = {
            "id": "r1",
            "type": "message",
            "role": "assistant",
            "model": MODEL,
            "content": self._blocks(said),
            "stop_reason": self.end(said),
        }
        return body if said.usage is None else {**body, "usage": self._usage(said.usage)}

    def events(self, said: Said) -> list[str]:
        begun = {"id": "r1", "type": "message", "role": "assistant", "model": MODEL, "content": []}
        made: list[dict[str, Any]] = [{"type": "message_start", "message": begun}, {"type": "ping"}]
        for at, block in enumerate(self._blocks(said)):
            made += self._block(at, block, said)
        last: dict[str, Any] = {"type": "message_delta", "delta": {"stop_reason": self.end(said)}}
        made.append(last if said.usage is None else {**last, "usage": self._usage(said.usage)})
        made.append({"type": "message_stop"})
        return [f"event: {item['type']}\n{data(item)}" for item in made]

    def broken(self) -> str:
        return "event: error\n" + data({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}})

    @staticmethod
    def _blocks(said: Said) -> list[dict[str, Any]]:
        made: list[dict[str, Any]] = []
        if said.thoughts:
            made.append({"type": "thinking", "thinking": "".join(said.thoughts), "signature": "sealed"})
        if said.text:
            made.append({"type": "text", "text": "".join(said.text)})
        calls = [{"id": call.id, "name": call.name, "input": parsed(call.arguments)} for call in said.calls]
        return [*made, *[{"type": "tool_use", **call} for call in calls]]

    @staticmethod
    def _block(at: int, block: dict[str, Any], said: Said) -> list[dict[str, Any]]:
        """A block as it streams: its beginning without what is in it, then the pieces."""
        hollows: dict[str, dict[str, Any]] = {"thinking": {"thinking": "", "signature": ""}, "text": {"text": ""}}
        hollow = hollows.get(block["type"], {"input": {}})
        deltas: list[dict[str, Any]]
        if block["type"] == "thinking":
            deltas = [{"type": "thinking_delta", "thinking": piece} for piece in said.thoughts]
            deltas.append({"type": "signature_delta", "signature": "sealed"})
        elif block["type"] == "text":
            deltas = [{"type": "text_delta", "text": piece} for piece in said.text]
        else:
            given = block["input"]
            pieces = halves(given if isinstance(given, str) else json.dumps(given, separators=(",", ":")))
            deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]
        return [
            {"type": "content_block_start", "index": at, "content_block": {**block, **hollow}},
            *[{"type": "content_block_delta", "index": at, "delta": delta} for delta in deltas],
            {"type": "content_block_stop", "index": at},
        ]

    @staticmethod
    def _usage(usage: tuple[int, int, int, int]) -> dict[str, Any]:
        given, out, cached, thought = usage
        details = {"output_tokens_details": {"thinking_tokens": thought}}
        return {"input_tokens": given - cached, "cache_read_input_tokens": cached, "output_tokens": out, **details}


class Gemini(Dialect):
    """Gemini's generateContent."""

    name, extra = "gemini", "gemini"
    ends: ClassVar = {"stop": "STOP", "length": "MAX_TOKENS", "tool_calls": "STOP", "content_filter": "SAFETY"}

    def model(self, url: str, *, stream: bool, **given: Any) -> Model:
        from surefoot.models.gemini import Gemini

        return Gemini("gemini-3.8-flash", api_key="AIzaNotAKey", base_url=url.removesuffix("/v1"), stream=stream, **given)

    def whole(self, said: Said) -> Any:
        parts = self._parts(said, ("".join(said.thoughts),), ("".join(said.text),))
        return self._chunk(parts, self.end(said), said.usage)

    def events(self, said: Said) -> list[str]:
        made = [self._chunk([part]) for part in self._parts(said, said.thoughts, said.text)]
        return [data(item) for item in [*made, self._chunk([], self.end(said), said.usage)]]

    def broken(self) -> str:
        return data({"error": {"code": 503, "status": "UNAVAILABLE", "message": "The model is overloaded."}})

    @staticmethod
    def _parts(said: Said, thoughts: tuple[str, ...], text: tuple[str, ...]) -> list[dict[str, Any]]:
        made: list[dict[str, Any]] = [{"text": piece, "thought": True} for piece in thoughts if piece]
        made += [{"text": piece} for piece in text if piece]
        made += [{"inlineData": {"mimeType": "image/png", "data": base64_of(image)}} for image in said.images]
        for call in said.calls:
            named = {} if call.id is None else {"id": call.id}
            made.append({"functionCall": {**named, "name": call.name, "args": parsed(call.arguments)}, "thoughtSignature": "s1"})
        return made

    @staticmethod
    def _chunk(parts: list[Any], end: str = "", usage: tuple[int, int, int, int] | None = None) -> dict[str, Any]:
        candidate: dict[str, Any] = {"index": 0, **({"content": {"role": "model", "parts": parts}} if parts else {})}
        made: dict[str, Any] = {"candidates": [{**candidate, **({"finishReason": end} if end else {})}]}
        made |= {"modelVersion": MODEL, "responseId": "r1"}
        if usage is not None:
            given, out, cached, thought = usage
            counts = {"promptTokenCount": given, "candidatesTokenCount": out - thought, "thoughtsTokenCount": thought}
            made["usageMetadata"] = {**counts, "cachedContentTokenCount": cached}
        return made


DIALECTS: tuple[Dialect, ...] = (
    Chat(refusals.OPENAI),
    Responses(refusals.OPENAI),
    Messages(refusals.ANTHROPIC),
    Gemini(refusals.GEMINI),
)

#: Every kind of failure.
KINDS = sorted({kind for dialect in DIALECTS for kind in dialect.failures})
#: What a protocol cannot say, and why.
CANNOT: dict[tuple[str, str], str] = {
    ("test_an_answer_without_choices_is_malformed", "openai-responses"): "has one list of output, which may be empty",
    ("test_an_answer_without_choices_is_malformed", "anthropic"): "has one list of content, which may be empty",
    ("test_text_that_is_null_beside_calls_is_no_text", "openai-responses"): "a text is an item of its own, or absent",
    ("test_text_that_is_null_beside_calls_is_no_text", "anthropic"): "a text is a block of its own, or absent",
    ("test_an_image_that_a_model_made_is_a_part_and_is_shown_again", "anthropic"): "its models make no images",
    ("test_uploads", "openai-chat"): "servers of chat completions have no common way to take a file",
    ("content_filtered", "gemini"): "answers with an end or a block reason, not with an error",
}


async def fails(model: Model, wire: Wire, answer: Answer, **given: Any) -> ModelError:
    """The error that an answer is."""
    wire.answers.append(answer)
    with pytest.raises(ModelError) as caught:
        await ask(model, "hi", **given)
    return caught.value
