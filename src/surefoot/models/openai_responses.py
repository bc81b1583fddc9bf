"""OpenAI's Responses protocol: what to send, and what comes back.

Requests are stateless: nothing is stored at the provider, the whole conversation is sent each time, and encrypted
thoughts go back in front of the calls they led to. Source: the vendor's API reference for ``POST /responses``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from surefoot.core.messages import File, Image, Part, Reasoning, Text, text_of
from surefoot.core.model import ModelReply, ModelRequest, ProposedCall
from surefoot.core.naming import WireNames
from surefoot.models import openai_errors as errors
from surefoot.models.openai_reply import finish_of, usage_of
from surefoot.models.reading import Deltas, image, item, proposed, rows, sound, word
from surefoot.models.turns import Turn, content_of, sent_arguments, turns
from surefoot.models.windows import reasons

__all__ = ["PATH", "PROVIDER", "Answer", "body", "function"]

PATH = "/responses"
#: Marks thoughts that only this protocol can read back.
PROVIDER = "openai"

_LONGEST_KEY = 64


async def body(model: str, request: ModelRequest, names: WireNames, *, base_url: str) -> dict[str, Any]:
    """The JSON body of a request, without its output form; without a base URL for OpenAI itself."""
    items: list[dict[str, Any]] = []
    for turn in turns(request.messages):
        items += await _written(turn, request, names)
    sent: dict[str, Any] = {"model": model, "input": items, "store": False}
    if request.instructions:
        sent["instructions"] = request.instructions
    if request.tools:
        sent["tools"] = [function(names.to_wire(tool.name), tool.description, tool.input_schema) for tool in request.tools]
    if reasons(model):
        sent["include"] = ["reasoning.encrypted_content"]
    if not base_url and request.conversation:
        sent["prompt_cache_key"] = _short(request.conversation)
    settings = request.settings
    if settings.temperature is not None:
        sent["temperature"] = settings.temperature
    if settings.max_tokens is not None:
        sent["max_output_tokens"] = settings.max_tokens
    if settings.reasoning is not None:
        sent["reasoning"] = {"effort": settings.reasoning}
    return sent


def function(name: str, description: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    """A tool in this protocol's form; arguments are validated by us, so the provider's strict mode is off."""
    parameters = schema or {"type": "object", "properties": {}}
    return {"type": "function", "name": name, "description": description, "parameters": parameters, "strict": False}


def _short(key: str) -> str:
    return key if len(key) <= _LONGEST_KEY else hashlib.sha256(key.encode()).hexdigest()


async def _written(turn: Turn, request: ModelRequest, names: WireNames) -> list[dict[str, Any]]:
    if turn.role == "user":
        return [{"role": "user", "content": await _content(turn.parts, request)}]
    if turn.role == "assistant":
        return _said(turn, names)
    outputs: list[dict[str, Any]] = []
    for wire, result in turn.results:
        output: str | list[dict[str, Any]] = result.text
        if result.parts:
            output = [{"type": "input_text", "text": result.text}, *await _blocks(result.parts, request)]
        outputs.append({"type": "function_call_output", "call_id": wire, "output": output})
    return outputs


def _said(turn: Turn, names: WireNames) -> list[dict[str, Any]]:
    """What the model said, its thoughts in front of the call or the text they stood in front of."""
    items: list[dict[str, Any]] = []
    thoughts: dict[int, list[dict[str, Any]]] = {}
    phase = ""
    for part in turn.parts:
        if type(part) is Text:
            said = {"role": "assistant", "content": part.text}
            items.append({**said, "phase": phase} if phase else said)
            phase = ""
        elif type(part) is Reasoning and part.provider == PROVIDER and part.opaque:
            kept = item(_loads(part.opaque))
            phase = str(kept.get("phase", ""))
            if kept.get("encrypted_content"):
                where = kept.get("before", 0)
                thought = _thought(kept, part.text)
                # Thoughts before any call keep their place among the texts.
                (thoughts.setdefault(where, []) if where else items).append(thought)
    for index, (wire, call) in enumerate(turn.calls):
        items += thoughts.pop(index, [])
        items.append(
            {
                "type": "function_call",
                "call_id": wire,
                "name": names.to_wire(call.name),
                "arguments": sent_arguments(call),
            }
        )
    return items


def _thought(kept: Mapping[str, Any], text: str) -> dict[str, Any]:
    summary = kept.get("summary")
    if summary is None:
        summary = [text] if text else []
    return {
        "type": "reasoning",
        "id": kept.get("id", ""),
        "summary": [{"type": "summary_text", "text": piece} for piece in summary],
        "encrypted_content": kept["encrypted_content"],
    }


def _loads(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


async def _content(parts: tuple[Part, ...], request: ModelRequest) -> str | list[dict[str, Any]]:
    if all(type(part) is Text for part in parts):
        return text_of(parts)
    return await _blocks(parts, request)


async def _blocks(parts: tuple[Part, ...], request: ModelRequest) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    for part in parts:
        if type(part) is Text:
            blocks.append({"type": "input_text", "text": part.text})
        elif type(part) is Image:
            url = (await content_of(part, request)).url
            blocks.append({"type": "input_image", "detail": "auto", "image_url": url})
        elif type(part) is File:
            blocks.append(await _file(part, request))
    return blocks


async def _file(part: File, request: ModelRequest) -> dict[str, Any]:
    content = await content_of(part, request)
    if content.data is None:
        return {"type": "input_file", "file_url": content.url}
    name = part.name or "file"
    if part.media_type.startswith("text/"):
        return {"type": "input_text", "text": f"[file {name}]\n{content.data.decode(errors='replace')}"}
    return {"type": "input_file", "filename": name, "file_data": content.url}


class Answer:
    """Reads an answer: `whole` from one body, or `add` for each event of a stream and then `finished`."""

    def __init__(self, deltas: Deltas, names: WireNames) -> None:
        self._deltas = deltas
        self._names = names
        self._items: dict[int, Mapping[str, Any]] = {}
        self._text: list[str] = []
        self._final: Mapping[str, Any] | None = None

    def whole(self, data: Any, headers: Mapping[str, str]) -> ModelReply:
        """The reply of an answer that came in one piece. Raises ModelError."""
        answer = item(data)
        if not isinstance(answer.get("output"), list) and not answer.get("error"):
            raise errors.malformed(f"it holds no output: {str(data)[:200]}", headers)
        self._final = answer
        for entry in rows(answer.get("output")):
            self._announce(entry)
        return self._reply(headers)

    def add(self, data: Any) -> None:
        """One event of a stream. Raises ModelError for one that reports an error."""
        event = item(data)
        kind = event.get("type")
        if kind in ("response.output_text.delta", "response.refusal.delta"):
            self._text.append(str(event.get("delta") or ""))
            self._deltas.send("text", str(event.get("delta") or ""))
        elif kind in ("response.reasoning_summary_text.delta", "response.reasoning_text.delta"):
            self._deltas.send("reasoning", str(event.get("delta") or ""))
        elif kind == "response.output_item.added":
            begun = item(event.get("item"))
            if begun.get("type") == "function_call":
                self._announce(begun)
        elif kind == "response.output_item.done":
            index = event.get("output_index")
            self._items[index if isinstance(index, int) else len(self._items)] = item(event.get("item"))
        elif kind in ("response.completed", "response.incomplete", "response.failed", "response.cancelled"):
            self._final = item(event.get("response"))
        elif kind == "error" or event.get("error"):
            raise errors.refused(0, event, {})

    def finished(self, headers: Mapping[str, str]) -> ModelReply:
        """The reply, once the stream has ended. Raises ModelError when it ended too early."""
        if self._final is None:
            raise errors.cut(headers)
        return self._reply(headers)

    def _announce(self, entry: Mapping[str, Any]) -> None:
        """Hand on what an output item says."""
        reading = _Reading(self._names)
        reading.take(entry)
        for part in reading.parts:
            if type(part) is Text:
                self._deltas.send("text", part.text)
            elif type(part) is Reasoning:
                self._deltas.send("reasoning", part.text)
        for call in reading.calls:
            self._deltas.send("call", call.name)

    def _reply(self, headers: Mapping[str, str]) -> ModelReply:
        final = self._final or {}
        status = final.get("status")
        if status in ("failed", "cancelled") or final.get("error"):
            reason = final.get("error") or {"message": f"the response was {status}"}
            raise errors.refused(0, {"error": reason}, headers)
        # The finished items of the stream are complete where the last event's copy may not be.
        output = [self._items[index] for index in sorted(self._items)] or rows(final.get("output"))
        reading = _Reading(self._names)
        for entry in output:
            reading.take(entry)
        text = sound("".join(self._text))
        if text and not any(type(part) is Text for part in reading.parts):
            reading.parts.append(Text(text))
        calls = tuple(reading.calls)
        cause = (item(final.get("incomplete_details")).get("reason") or "length") if status == "incomplete" else ""
        finish = "content_filter" if reading.refused and not calls else finish_of(cause, calls)
        if finish == "content_filter" and not text_of(tuple(reading.parts)) and not calls:
            raise errors.refused(0, {"code": "content_filter", "message": "the answer was filtered"}, headers)
        return ModelReply(
            tuple(reading.parts),
            calls,
            usage_of(final.get("usage")),
            finish,
            sound(str(final.get("model") or "")),
            sound(headers.get("x-request-id", "") or str(final.get("id") or "")),
            self._deltas.first,
        )


class _Reading:
    """Turns output items into parts and calls."""

    def __init__(self, names: WireNames) -> None:
        self.names = names
        self.parts: list[Part] = []
        self.calls: list[ProposedCall] = []
        self.refused = False

    def take(self, entry: Mapping[str, Any]) -> None:
        match entry.get("type"):
            case "message":
                self.message(entry)
            case "reasoning":
                self.thought(entry)
            case "function_call":
                name = self.names.from_wire(str(entry.get("name") or ""))
                self.calls.append(proposed(name, entry.get("arguments"), entry.get("call_id") or entry.get("id")))
            case "image_generation_call":
                made = image(entry.get("result"), entry.get("output_format"))
                self.parts += [made] if made else []
            case _:
                pass  # what else the provider's own tools did is the provider's affair

    def message(self, entry: Mapping[str, Any]) -> None:
        text = ""
        for block in rows(entry.get("content")):
            self.refused = self.refused or block.get("type") == "refusal"
            text += str(block.get("text") or block.get("refusal") or "")
        if not text:
            return
        phase = sound(word(entry.get("phase")))
        if phase:  # newer models want it back with the text
            self.parts.append(Reasoning(opaque=_kept({"phase": phase}), provider=PROVIDER))
        self.parts.append(Text(sound(text)))

    def thought(self, entry: Mapping[str, Any]) -> None:
        summary = [str(piece.get("text") or "") for piece in rows(entry.get("summary"))]
        content = [str(piece.get("text") or "") for piece in rows(entry.get("content"))]
        opaque = ""
        secret = sound(word(entry.get("encrypted_content")))
        if secret:
            kept: dict[str, Any] = {"id": sound(word(entry.get("id"))), "encrypted_content": secret}
            if self.calls:
                kept["before"] = len(self.calls)
            if len(summary) > 1 or content:
                kept["summary"] = [sound(piece) for piece in summary]
            opaque = _kept(kept)
        text = sound("\n\n".join(summary or content))
        if text or opaque:
            self.parts.append(Reasoning(text, opaque, PROVIDER if opaque else ""))


def _kept(value: Mapping[str, Any]) -> str:
    return json.dumps(value, separators=(",", ":"))
