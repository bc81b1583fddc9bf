"""An answer in Anthropic's Messages protocol: read whole, or put together from a stream's events.

Source: the vendor's API reference for ``POST /v1/messages`` and its guide to streaming.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from surefoot.core.messages import Part, Reasoning, Text, Usage, text_of
from surefoot.core.model import ModelReply, ProposedCall
from surefoot.core.naming import WireNames
from surefoot.models import anthropic_errors as errors
from surefoot.models.anthropic_request import PROVIDER
from surefoot.models.reading import Deltas, arguments_text, count, item, proposed, rows, sound, word

__all__ = ["Answer"]

_FINISH = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "content_filter",
}
_DELTAS = {"text_delta": "text", "thinking_delta": "thinking", "signature_delta": "signature", "input_json_delta": "partial_json"}


class _Block:
    """One block of content as its pieces arrive."""

    def __init__(self, begun: Mapping[str, Any]) -> None:
        self.begun = begun
        self.pieces: dict[str, list[str]] = {}

    def whole(self, key: str) -> str:
        """A field, from what the block began with and its pieces."""
        return word(self.begun.get(key)) + "".join(self.pieces.get(key, ()))

    @property
    def arguments(self) -> str:
        """A call's arguments as text."""
        return "".join(self.pieces.get("partial_json", ())) or arguments_text(self.begun.get("input"))


class Answer:
    """Reads an answer: `whole` from one body, or `add` for each event of a stream and then `finished`."""

    def __init__(self, deltas: Deltas, names: WireNames) -> None:
        self._deltas = deltas
        self._names = names
        self._blocks: dict[Any, _Block] = {}
        self._message: Mapping[str, Any] = {}
        self._stop: Mapping[str, Any] = {}
        self._usage: dict[str, Any] = {}

    def whole(self, data: Any, headers: Mapping[str, str]) -> ModelReply:
        """The reply of an answer that came in one piece. Raises ModelError."""
        answer = item(data)
        if answer.get("error"):
            raise errors.refused(0, answer, headers)
        if not isinstance(answer.get("content"), list):
            raise errors.malformed(f"it holds no content: {str(data)[:200]}", headers)
        self._message = self._stop = answer
        self._count(answer)
        for index, block in enumerate(rows(answer["content"])):
            self._begin(index, block)
        return self._reply(headers)

    def add(self, data: Any) -> None:
        """One event of a stream. Raises ModelError for one that reports an error."""
        event = item(data)
        match event.get("type"):
            case "message_start":
                self._message = item(event.get("message"))
                self._count(self._message)
            case "content_block_start":
                self._begin(_number(event, len(self._blocks)), item(event.get("content_block")))
            case "content_block_delta":
                self._piece(_number(event, len(self._blocks) - 1), item(event.get("delta")))
            case "message_delta":
                self._stop = item(event.get("delta"))
                self._count(event)
            case "error":
                raise errors.refused(0, event, {})
            case _:
                pass  # pings, ends of blocks, and whatever comes to be added

    def finished(self, headers: Mapping[str, str]) -> ModelReply:
        """The reply, once the stream has ended. Raises ModelError when it ended too early."""
        if not self._stop.get("stop_reason"):
            raise errors.cut(headers)
        return self._reply(headers)

    def _count(self, event: Mapping[str, Any]) -> None:
        # Later counts are totals, not additions; those that a later event leaves out still hold.
        self._usage |= {key: value for key, value in item(event.get("usage")).items() if value is not None}

    def _begin(self, index: int, begun: Mapping[str, Any]) -> None:
        block = self._blocks[index] = _Block(begun)
        match begun.get("type"):
            case "text":
                self._deltas.send("text", block.whole("text"))
            case "thinking":
                self._deltas.send("reasoning", block.whole("thinking"))
            case "tool_use":
                self._deltas.send("call", self._names.from_wire(word(begun.get("name"))))
            case _:
                pass

    def _piece(self, index: int, delta: Mapping[str, Any]) -> None:
        kind = word(delta.get("type"))
        key = _DELTAS.get(kind)
        if key is None:
            return
        if index not in self._blocks:  # its beginning was lost; the piece says what it is
            self._begin(index, {"type": "thinking" if key in ("thinking", "signature") else "text"})
        text = word(delta.get("partial_json" if key == "partial_json" else key))
        self._blocks[index].pieces.setdefault(key, []).append(text)
        if key in ("text", "thinking"):
            self._deltas.send("text" if key == "text" else "reasoning", text)

    def _reply(self, headers: Mapping[str, str]) -> ModelReply:
        parts: list[Part] = []
        calls: list[ProposedCall] = []
        for index in sorted(self._blocks):
            block = self._blocks[index]
            match block.begun.get("type"):
                case "text":
                    text = sound(block.whole("text"))
                    parts += [Text(text)] if text else []
                case "thinking" | "redacted_thinking":
                    parts += _thought(block, len(calls))
                case "tool_use":
                    name = self._names.from_wire(word(block.begun.get("name")))
                    calls.append(proposed(name, block.arguments, block.begun.get("id")))
                case _:
                    pass  # what the provider's own tools did is the provider's affair
        reason = sound(word(self._stop.get("stop_reason")))
        finish = _FINISH.get(reason, reason) or "stop"
        finish = "tool_calls" if calls and finish == "stop" else finish
        if finish == "content_filter" and not calls and not text_of(tuple(parts)):
            raise self._filtered(headers)
        return ModelReply(
            tuple(parts),
            tuple(calls),
            _usage_of(self._usage),
            finish,
            sound(word(self._message.get("model"))),
            errors.FAILING.request_id(headers) or sound(word(self._message.get("id"))),
            self._deltas.first,
        )

    def _filtered(self, headers: Mapping[str, str]) -> Exception:
        details = item(self._stop.get("stop_details"))
        said = word(details.get("explanation")) or "the model's answer was filtered"
        category = word(details.get("category"))
        return errors.FAILING.refusal("content_filtered", sound(f"{said} ({category})" if category else said), 0, headers)


def _number(event: Mapping[str, Any], other: int) -> int:
    index = event.get("index")
    return index if isinstance(index, int) else other


def _thought(block: _Block, calls: int) -> list[Part]:
    text = sound(block.whole("thinking"))
    kept: dict[str, Any] = {}
    for key in ("signature", "data"):
        value = sound(block.whole(key))
        if value:
            kept[key] = value
    if kept and calls:
        kept["before"] = calls
    opaque = json.dumps(kept, separators=(",", ":")) if kept else ""
    return [Reasoning(text, opaque, PROVIDER if opaque else "")] if text or opaque else []


def _usage_of(usage: Mapping[str, Any]) -> Usage:
    """Token counts; the vendor counts what its cache read and wrote apart from the rest of the input."""
    cached, written = count(usage.get("cache_read_input_tokens")), count(usage.get("cache_creation_input_tokens"))
    output = count(usage.get("output_tokens"))
    thought = count(item(usage.get("output_tokens_details")).get("thinking_tokens"))
    return Usage(count(usage.get("input_tokens")) + cached + written, output, cached, written, min(thought, output))
