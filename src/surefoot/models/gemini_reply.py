"""An answer in Gemini's protocol: read whole, or put together from a stream's chunks, which have the same form.

Source: the vendor's API reference for ``models.generateContent`` and its guide to thought signatures.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any

from surefoot.core.errors import ModelError
from surefoot.core.messages import File, Image, Part, Reasoning, Text, Usage
from surefoot.core.model import ModelReply, ProposedCall
from surefoot.core.naming import WireNames
from surefoot.models import gemini_errors as errors
from surefoot.models.gemini_request import PROVIDER
from surefoot.models.reading import Deltas, count, item, proposed, rows, sound, word

__all__ = ["Answer"]

_FINISH = {
    "STOP": "stop",
    "FINISH_REASON_UNSPECIFIED": "stop",
    "FUNCTION_CALL": "tool_calls",
    "MAX_TOKENS": "length",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "ESCALATION": "content_filter",
    "MODEL_ARMOR": "content_filter",
    "IMAGE_SAFETY": "content_filter",
    "IMAGE_PROHIBITED_CONTENT": "content_filter",
    "IMAGE_RECITATION": "content_filter",
}
#: Answers the vendor itself could not read: there is nothing in them, and another try may do better.
_BROKEN = frozenset({"MALFORMED_FUNCTION_CALL", "MALFORMED_RESPONSE", "UNEXPECTED_TOOL_CALL"})


class Answer:
    """Reads an answer: `whole` from one body, or `add` for each chunk of a stream and then `finished`."""

    def __init__(self, deltas: Deltas, names: WireNames) -> None:
        self._deltas = deltas
        self._names = names
        self._parts: list[Part] = []
        self._calls: list[ProposedCall] = []
        self._open: tuple[str, list[str]] = ("", [])
        self._candidate: Mapping[str, Any] = {}
        self._reason = ""
        self._blocked: Mapping[str, Any] = {}
        self._usage: dict[str, Any] = {}
        self._model = ""
        self._id = ""

    def whole(self, data: Any, headers: Mapping[str, str]) -> ModelReply:
        """The reply of an answer that came in one piece. Raises ModelError."""
        chunks = data if isinstance(data, list) else [data]  # a stream without events is an array
        for chunk in chunks:
            self.add(chunk)
        if not self._candidate and not self._blocked:
            raise errors.malformed(f"it holds no candidates: {str(data)[:200]}", headers)
        return self._reply(headers)

    def add(self, data: Any) -> None:
        """One chunk of a stream. Raises ModelError for one that reports an error."""
        chunk = item(data)
        if chunk.get("error"):
            raise errors.refused(0, chunk, {})
        self._usage |= {key: value for key, value in item(chunk.get("usageMetadata")).items() if value is not None}
        self._model = word(chunk.get("modelVersion")) or self._model
        self._id = word(chunk.get("responseId")) or self._id
        feedback = item(chunk.get("promptFeedback"))
        self._blocked = feedback if feedback.get("blockReason") else self._blocked
        for candidate in rows(chunk.get("candidates"))[:1]:
            self._candidate = candidate
            for part in rows(item(candidate.get("content")).get("parts")):
                self._take(part)
            self._reason = word(candidate.get("finishReason")) or self._reason

    def finished(self, headers: Mapping[str, str]) -> ModelReply:
        """The reply, once the stream has ended. Raises ModelError when it ended too early."""
        if not self._reason and not self._blocked:
            raise errors.cut(headers)
        return self._reply(headers)

    def _take(self, part: Mapping[str, Any]) -> None:
        signature = sound(word(part.get("thoughtSignature")))
        call = item(part.get("functionCall"))
        data = part.get("inlineData") or part.get("fileData")
        if call:
            self._close()
            self._call(call, signature)
        elif data:
            self._close()
            self._show(item(data), signature)
        elif isinstance(part.get("text"), str):
            self._say(part["text"], signature, thought=part.get("thought") is True)
        # What the provider's own tools did is the provider's affair.

    def _call(self, call: Mapping[str, Any], signature: str) -> None:
        name = self._names.from_wire(word(call.get("name")))
        if signature:
            self._parts.append(_marked({"call": len(self._calls), "signature": signature}))
        self._calls.append(proposed(name, call.get("args"), call.get("id")))
        self._deltas.send("call", name)

    def _show(self, data: Mapping[str, Any], signature: str) -> None:
        kind = sound(word(data.get("mimeType"))) or "application/octet-stream"
        url = sound(word(data.get("fileUri")))
        try:
            content = base64.b64decode(word(data.get("data")))
        except (binascii.Error, ValueError):
            content = b""
        if not url and not content:
            return
        if signature:
            self._parts.append(_marked({"signature": signature}))
        if kind.startswith("image/"):
            self._parts.append(Image(content, kind, url))
        else:
            self._parts.append(File(content, kind, sound(word(data.get("displayName"))), url))

    def _say(self, text: str, signature: str, *, thought: bool) -> None:
        kind = "reasoning" if thought else "text"
        self._deltas.send(kind, text)
        if signature:  # what is signed stays apart from what is not
            self._close()
            self._sign(text, signature, kind)
            return
        if self._open[0] != kind:
            self._close()
            self._open = (kind, [])
        self._open[1].append(text)

    def _sign(self, text: str, signature: str, kind: str) -> None:
        if kind == "reasoning":
            self._parts.append(_marked({"on": "thought", "signature": signature}, text))
        elif text:
            self._parts += [_marked({"signature": signature}), Text(sound(text))]
        else:
            self._parts.append(_marked({"on": "nothing", "signature": signature}))

    def _close(self) -> None:
        kind, pieces = self._open
        text = sound("".join(pieces))
        if text:
            self._parts.append(Text(text) if kind == "text" else Reasoning(text))
        self._open = ("", [])

    def _reply(self, headers: Mapping[str, str]) -> ModelReply:
        self._close()
        reason = sound(self._reason)
        finish = _FINISH.get(reason, reason.lower()) or "stop"
        finish = "tool_calls" if self._calls and finish == "stop" else finish
        said = any(type(part) is not Reasoning for part in self._parts)
        if not self._calls and not said:
            failure = self._failure(finish, reason, headers)
            if failure is not None:
                raise failure
        return ModelReply(
            tuple(self._parts),
            tuple(self._calls),
            _usage_of(self._usage),
            "content_filter" if self._blocked and not self._calls else finish,
            sound(self._model),
            errors.FAILING.request_id(headers) or sound(self._id),
            self._deltas.first,
        )

    def _failure(self, finish: str, reason: str, headers: Mapping[str, str]) -> ModelError | None:
        """The error that an answer of nothing stands for, if it does."""
        about = sound(word(self._candidate.get("finishMessage")))
        if self._blocked:
            why = sound(word(self._blocked.get("blockReasonMessage")) or word(self._blocked.get("blockReason")))
            return errors.FAILING.refusal("content_filtered", f"the prompt was blocked: {why}", 0, headers)
        if finish == "content_filter":
            text = f"the answer was filtered: {about or reason}"
            return errors.FAILING.refusal("content_filtered", text, 0, headers)
        if reason in _BROKEN:
            return errors.malformed(f"{reason}: {about}" if about else reason, headers)
        if reason == "MISSING_THOUGHT_SIGNATURE":
            return errors.FAILING.refusal("invalid_request", about or reason, 0, headers)
        return None


def _marked(kept: Mapping[str, Any], text: str = "") -> Reasoning:
    return Reasoning(sound(text), json.dumps(kept, separators=(",", ":")), PROVIDER)


def _usage_of(usage: Mapping[str, Any]) -> Usage:
    """Token counts; the vendor counts thoughts apart from the answer, and cached tokens within the prompt."""
    prompt = count(usage.get("promptTokenCount")) + count(usage.get("toolUsePromptTokenCount"))
    thought = count(usage.get("thoughtsTokenCount"))
    cached = min(count(usage.get("cachedContentTokenCount")), prompt)
    return Usage(prompt, count(usage.get("candidatesTokenCount")) + thought, cached, 0, thought)
