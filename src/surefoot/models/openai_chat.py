"""OpenAI's Chat Completions protocol, which most other servers speak too: what to send, and what comes back.

`body` writes a request; `Answer` reads a whole answer or the chunks of a stream. Source: the vendor's API reference for
``POST /chat/completions``; ``reasoning_content`` and ``reasoning`` are additions of other servers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from surefoot.core.messages import File, Image, Part, Reasoning, Text, text_of
from surefoot.core.model import ModelReply, ModelRequest
from surefoot.core.naming import WireNames
from surefoot.models import openai_errors as errors
from surefoot.models.openai_reply import finish_of, usage_of
from surefoot.models.reading import Deltas, arguments_text, image_at, item, proposed, rows, sound, word
from surefoot.models.turns import ANY_ID, Turn, content_of, sent_arguments, turns

__all__ = ["PATH", "PROVIDER", "Answer", "body", "function"]

PATH = "/chat/completions"
#: Marks thoughts that came over this protocol.
PROVIDER = "openai-chat"

#: The only ids that Mistral's own server takes.
_NINE = re.compile(r"[A-Za-z0-9]{9}")
_THOUGHTS = ("reasoning_content", "reasoning")
_AUDIO = {"audio/wav": "wav", "audio/x-wav": "wav", "audio/mpeg": "mp3", "audio/mp3": "mp3"}


async def body(model: str, request: ModelRequest, names: WireNames, *, base_url: str) -> dict[str, Any]:
    """The JSON body of a request, without its output form; without a base URL for OpenAI itself."""
    messages: list[dict[str, Any]] = []
    if request.instructions:
        messages.append({"role": "system", "content": request.instructions})
    for turn in turns(request.messages, _NINE if "mistral" in base_url else ANY_ID):
        messages += await _written(turn, request, names)
    sent: dict[str, Any] = {"model": model, "messages": messages}
    if request.tools:
        sent["tools"] = [function(names.to_wire(tool.name), tool.description, tool.input_schema) for tool in request.tools]
    settings = request.settings
    if settings.temperature is not None:
        sent["temperature"] = settings.temperature
    if settings.max_tokens is not None:
        sent["max_tokens" if base_url else "max_completion_tokens"] = settings.max_tokens
    if settings.reasoning is not None:
        sent["reasoning_effort"] = settings.reasoning
    return sent


def function(name: str, description: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    """A tool in this protocol's form."""
    parameters = schema or {"type": "object", "properties": {}}
    return {"type": "function", "function": {"name": name, "description": description, "parameters": parameters}}


async def _written(turn: Turn, request: ModelRequest, names: WireNames) -> list[dict[str, Any]]:
    if turn.role == "user":
        return [{"role": "user", "content": await _content(turn.parts, request)}]
    if turn.role == "assistant":
        return [_said(turn, names)]
    said: list[dict[str, Any]] = []
    extra: list[dict[str, Any]] = []
    for wire, result in turn.results:
        said.append({"role": "tool", "tool_call_id": wire, "content": result.text})
        if result.parts:  # a tool message holds text only
            extra.append({"type": "text", "text": f"[what {names.to_wire(result.name)} returned besides its text]"})
            extra += await _blocks(result.parts, request)
    return [*said, {"role": "user", "content": extra}] if extra else said


def _said(turn: Turn, names: WireNames) -> dict[str, Any]:
    text = text_of(turn.parts)
    message: dict[str, Any] = {"role": "assistant", "content": text or ("" if not turn.calls else None)}
    if not turn.calls:
        return message
    message["tool_calls"] = [
        {
            "id": wire,
            "type": "function",
            "function": {"name": names.to_wire(call.name), "arguments": sent_arguments(call)},
        }
        for wire, call in turn.calls
    ]
    # Servers whose models think between calls want the thoughts back until the user speaks again, and not later.
    for part in turn.parts if turn.current else ():
        if type(part) is Reasoning and part.provider == PROVIDER and part.opaque in _THOUGHTS:
            message[part.opaque] = part.text
    return message


async def _content(parts: tuple[Part, ...], request: ModelRequest) -> str | list[dict[str, Any]]:
    if all(type(part) is Text for part in parts):
        return text_of(parts)
    return await _blocks(parts, request)


async def _blocks(parts: tuple[Part, ...], request: ModelRequest) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    for part in parts:
        if type(part) is Text:
            blocks.append({"type": "text", "text": part.text})
        elif type(part) is Image:
            blocks.append({"type": "image_url", "image_url": {"url": (await content_of(part, request)).url}})
        elif type(part) is File:
            blocks.append(await _file(part, request))
    return blocks


async def _file(part: File, request: ModelRequest) -> dict[str, Any]:
    content = await content_of(part, request)
    name = part.name or "file"
    if content.data is None:  # this protocol takes no address of a file
        return {"type": "text", "text": f"[file {name}: {content.url}]"}
    if part.media_type.startswith("text/"):
        return {"type": "text", "text": f"[file {name}]\n{content.data.decode(errors='replace')}"}
    if part.media_type in _AUDIO:
        return {"type": "input_audio", "input_audio": {"data": content.base64, "format": _AUDIO[part.media_type]}}
    return {"type": "file", "file": {"filename": name, "file_data": content.url}}


class _Call:
    """One call as its pieces arrive."""

    def __init__(self) -> None:
        self.id = ""
        self.name = ""
        self.pieces: list[str] = []


class Answer:
    """Reads an answer: `whole` from one body, or `add` for each chunk of a stream and then `finished`."""

    def __init__(self, deltas: Deltas, names: WireNames) -> None:
        self._deltas = deltas
        self._names = names
        self._text: list[str] = []
        self._refusal: list[str] = []
        self._thoughts: dict[str, list[str]] = {}
        self._images: list[Image] = []
        self._calls: dict[Any, _Call] = {}
        self._reason: Any = None
        self._usage: Any = None
        self._model = ""
        self._id = ""

    def whole(self, data: Any, headers: Mapping[str, str]) -> ModelReply:
        """The reply of an answer that came in one piece. Raises ModelError."""
        answer = item(data)
        choices = rows(answer.get("choices"))
        if not choices:
            if answer.get("error"):
                raise errors.refused(_status(answer["error"]), answer, headers)
            raise errors.malformed(f"it holds no choices: {str(data)[:200]}", headers)
        message = item(choices[0].get("message"))
        self._meta(answer)
        self._take(message)
        legacy = item(message.get("function_call"))
        for index, call in enumerate([*rows(message.get("tool_calls")), *([{"function": legacy}] if legacy else [])]):
            self._piece({"index": ("whole", index), **{key: call[key] for key in ("id", "function") if key in call}})
        self._reason = choices[0].get("finish_reason")
        return self._reply(headers)

    def add(self, data: Any) -> None:
        """One chunk of a stream. Raises ModelError for one that reports an error."""
        chunk = item(data)
        if chunk.get("error"):
            raise errors.refused(_status(chunk["error"]), chunk, {})
        self._meta(chunk)
        for choice in rows(chunk.get("choices"))[:1]:
            delta = item(choice.get("delta") or choice.get("message"))
            self._take(delta)
            for call in rows(delta.get("tool_calls")):
                self._piece(call)
            legacy = item(delta.get("function_call"))
            if legacy:
                self._piece({"index": "legacy", "function": legacy})
            self._reason = choice.get("finish_reason") or self._reason

    def finished(self, headers: Mapping[str, str]) -> ModelReply:
        """The reply, once the stream has ended. Raises ModelError when it ended too early."""
        if self._reason is None:
            raise errors.cut(headers)
        return self._reply(headers)

    def _meta(self, data: Mapping[str, Any]) -> None:
        self._usage = data.get("usage") or item(data.get("x_groq")).get("usage") or self._usage
        self._model = str(data.get("model") or self._model)
        self._id = str(data.get("id") or self._id)

    def _take(self, message: Mapping[str, Any]) -> None:
        for key in _THOUGHTS:
            thought = message.get(key)
            if isinstance(thought, str) and thought:
                self._thoughts.setdefault(key, []).append(thought)
                self._deltas.send("reasoning", thought)
                break  # some servers send both, with the same text
        content = message.get("content")
        pictures = rows(message.get("images"))  # routers to models that make images
        if isinstance(content, list):  # some answer in blocks, as requests are written
            pictures += rows(content)
            content = "".join([str(block.get("text") or "") for block in rows(content)])
        made = [image_at(item(block.get("image_url")).get("url")) for block in pictures]
        self._images += [one for one in made if one]
        if isinstance(content, str) and content:
            self._text.append(content)
            self._deltas.send("text", content)
        refusal = message.get("refusal")
        if isinstance(refusal, str) and refusal:
            self._refusal.append(refusal)
            self._deltas.send("text", refusal)

    def _piece(self, piece: Mapping[str, Any]) -> None:
        function = item(piece.get("function"))
        name, given = function.get("name"), word(piece.get("id"))
        key = piece.get("index")
        if not isinstance(key, int | str | tuple):  # without a number, whatever has a name or a new id begins a call
            key = next(reversed(self._calls), 0)
            key = len(self._calls) if name and key in self._calls else key
        call = self._calls.get(key)
        if call is not None and name and given and call.id and given != call.id:
            # Several calls under one number: they differ by id.
            key = (key, given)
            call = self._calls.get(key)
        if call is None:
            call = self._calls[key] = _Call()
        call.id = call.id or given
        if name and not call.name:
            call.name = str(name)
            self._deltas.send("call", self._names.from_wire(call.name))
        arguments = function.get("arguments")
        if arguments:
            call.pieces.append(arguments if isinstance(arguments, str) else arguments_text(arguments))

    def _reply(self, headers: Mapping[str, str]) -> ModelReply:
        calls = tuple(
            [proposed(self._names.from_wire(call.name), "".join(call.pieces), call.id) for call in self._calls.values()]
        )
        parts: list[Part] = [
            Reasoning(sound("".join(pieces)), opaque=key, provider=PROVIDER) for key, pieces in self._thoughts.items()
        ]
        text = sound("".join(self._text) or "".join(self._refusal))
        if text:
            parts.append(Text(text))
        parts += self._images
        finish = "content_filter" if self._refusal and not calls else finish_of(self._reason, calls)
        if finish == "content_filter" and not text and not calls:
            raise errors.refused(0, {"code": "content_filter", "message": "the answer was filtered"}, headers)
        return ModelReply(
            tuple(parts),
            calls,
            usage_of(self._usage),
            finish,
            sound(self._model),
            sound(headers.get("x-request-id", "") or self._id),
            self._deltas.first,
        )


def _status(error: Any) -> int:
    """The HTTP status that some gateways put into an error's code while they answer 200."""
    code = item(error).get("code")
    return code if isinstance(code, int) and 400 <= code < 600 else 0
