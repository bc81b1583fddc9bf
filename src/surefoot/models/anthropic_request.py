"""A request in Anthropic's Messages protocol: the conversation, the tools, thinking, and marks for the prompt cache.

`body` writes it. Source: the vendor's API reference for ``POST /v1/messages`` and its guides to thinking, tool use,
vision, PDF support and prompt caching.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from surefoot.core.messages import File, Image, Part, Reasoning, Text, ToolResult
from surefoot.core.model import ModelRequest
from surefoot.core.naming import WireNames
from surefoot.models.reading import item
from surefoot.models.turns import Turn, content_of, readable, sent_object, turns
from surefoot.models.uploads import Inline, blocks
from surefoot.models.windows import most_output, version

__all__ = ["PROVIDER", "body", "function", "instruct"]

#: Marks thoughts that only this provider can read back.
PROVIDER = "anthropic"

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
#: Models from this version on decide themselves how much to think; older ones are given a number of tokens.
_ADAPTIVE = (4, 6)
_BUDGETS = {"minimal": 1_024, "low": 4_096, "medium": 10_000, "high": 20_000, "xhigh": 28_000, "max": 31_000}
_LEAST_BUDGET = 1_024
_NO_THOUGHTS = ("none", "off", "disabled")
_THOUGHTS = ("thinking", "redacted_thinking")

_Block = dict[str, Any]


async def body(model: str, request: ModelRequest, names: WireNames, cache: str | None) -> dict[str, Any]:
    """The JSON body of a request, without its output form. ``cache`` is how long a prompt is kept, None for not at all."""
    messages = await _messages(request, names)
    settings = request.settings
    most = settings.max_tokens or most_output(model)
    sent: dict[str, Any] = {"model": model, "max_tokens": most, "messages": messages}
    if request.instructions.strip():
        sent["system"] = [{"type": "text", "text": request.instructions}]
    if request.tools:
        sent["tools"] = [function(names.to_wire(tool.name), tool.description, tool.input_schema) for tool in request.tools]
    if settings.temperature is not None:
        sent["temperature"] = settings.temperature
    if settings.reasoning is not None:
        sent |= _thinking(model, settings.reasoning, most, messages)
    if cache is not None:
        _mark(sent, {"type": "ephemeral"} if cache == "5m" else {"type": "ephemeral", "ttl": cache}, request)
    return sent


def function(name: str, description: str, schema: Mapping[str, Any]) -> _Block:
    """A tool in this protocol's form."""
    return {"name": name, "description": description, "input_schema": {"type": "object", **schema}}


def instruct(sent: dict[str, Any], text: str) -> None:
    """Add to the instructions, in front of the mark of the cache."""
    system = sent.setdefault("system", [])
    marks = [block.pop("cache_control") for block in system if "cache_control" in block]
    system.append({"type": "text", "text": text, **({"cache_control": marks[-1]} if marks else {})})


def _thinking(model: str, effort: str, most: int, messages: Sequence[_Block]) -> dict[str, Any]:
    if effort in _NO_THOUGHTS:
        return {"thinking": {"type": "disabled"}}
    if version(model, "claude") >= _ADAPTIVE:
        words = "low" if effort == "minimal" else effort
        return {"thinking": {"type": "adaptive"}, "output_config": {"effort": words}}
    budget = min(_BUDGETS.get(effort, _BUDGETS["medium"]), most - 1)
    if budget < _LEAST_BUDGET or _thoughtless(messages):
        return {}
    return {"thinking": {"type": "enabled", "budget_tokens": budget}}


def _thoughtless(messages: Sequence[_Block]) -> bool:
    """Whether calls since the user last spoke came without thoughts: such a turn is refused where thinking has a budget.

    So it is when another provider made them, or when thinking was switched on between.
    """
    for message in reversed(messages):
        kinds = [block["type"] for block in message["content"]]
        if message["role"] == "user" and "tool_result" not in kinds:
            return False
        if "tool_use" in kinds and kinds[0] not in _THOUGHTS:
            return True
    return False


def _mark(sent: dict[str, Any], mark: _Block, request: ModelRequest) -> None:
    """Mark where the provider's cache may end: after tools and instructions, after the prompt before, after this one.

    A cache is written at each mark and found again at the next request's marks, or up to 20 blocks in front of one; the
    mark after the previous prompt finds it however much a turn added. A single question is not worth writing.
    """
    stable = sent.get("system") or sent.get("tools")
    if stable:
        stable[-1]["cache_control"] = mark
    if not (request.tools or len(sent["messages"]) > 1):
        return
    asked = [message["content"] for message in sent["messages"] if message["role"] == "user"]
    for content in asked[-2:]:
        content[-1]["cache_control"] = mark


async def _messages(request: ModelRequest, names: WireNames) -> list[_Block]:
    messages: list[_Block] = []
    for turn in turns(request.messages, _ID):
        role = "assistant" if turn.role == "assistant" else "user"
        content = await _content(turn, request, names)
        if not content:
            continue
        if messages and messages[-1]["role"] == role:
            messages[-1]["content"] += content
        else:
            messages.append({"role": role, "content": content})
    if messages and messages[0]["role"] == "assistant":  # a shortened conversation; the protocol begins with the user
        messages.insert(0, {"role": "user", "content": [{"type": "text", "text": "[earlier messages were left out]"}]})
    return messages


async def _content(turn: Turn, request: ModelRequest, names: WireNames) -> list[_Block]:
    if turn.role == "user":
        return await _blocks(turn.parts, request)
    if turn.role == "assistant":
        return _said(turn, names)
    return [await _result(wire, result, request) for wire, result in turn.results]


async def _result(wire: str, result: ToolResult, request: ModelRequest) -> _Block:
    block: _Block = {"type": "tool_result", "tool_use_id": wire}
    content = await _blocks((Text(result.text), *result.parts), request)
    if content:
        block["content"] = content
    if result.error:
        block["is_error"] = True
    return block


def _said(turn: Turn, names: WireNames) -> list[_Block]:
    """What the model said, its thoughts in front of the call or the text they stood in front of."""
    blocks: list[_Block] = []
    thoughts: dict[int, list[_Block]] = {}
    for part in turn.parts:
        if type(part) is Text:
            blocks += _text(part.text)
        elif type(part) is Reasoning:
            kept = _kept(part)
            if kept is not None:
                where = kept.pop("before", 0)
                (thoughts.setdefault(where, []) if where else blocks).append(kept)
        elif type(part) is File:  # this provider's models make none, and take none back as theirs
            blocks.append({"type": "text", "text": "[a file]"})
    for index, (wire, call) in enumerate(turn.calls):
        blocks += thoughts.pop(index, [])
        arguments = sent_object(call)
        blocks.append({"type": "tool_use", "id": wire, "name": names.to_wire(call.name), "input": arguments})
    return blocks


def _kept(part: Reasoning) -> _Block | None:
    """A thought as it came; other providers' and those without a signature are left out."""
    if part.provider != PROVIDER or not part.opaque:
        return None
    try:
        kept = item(json.loads(part.opaque))
    except ValueError:
        return None
    before = {"before": kept["before"]} if "before" in kept else {}
    if kept.get("data"):
        return {"type": "redacted_thinking", "data": kept["data"], **before}
    if kept.get("signature"):
        return {"type": "thinking", "thinking": part.text, "signature": kept["signature"], **before}
    return None


async def _blocks(parts: tuple[Part, ...], request: ModelRequest) -> list[_Block]:
    blocks: list[_Block] = []
    for part in parts:
        if type(part) is Text:
            blocks += _text(part.text)
        elif type(part) is Image:
            blocks.append(await _image(part, request))
        elif type(part) is File:
            blocks.append(await _file(part, request))
    return blocks


def _text(text: str) -> list[_Block]:
    # The protocol refuses blocks of nothing but space.
    return [{"type": "text", "text": text}] if text.strip() else []


def inlines(body: Mapping[str, Any]) -> Iterator[Inline]:
    """The bytes in a body."""
    for block in blocks(body["messages"]):
        source = block.get("source")
        if isinstance(source, dict) and source.get("type") == "base64":

            def name_by(reference: str, block: dict[str, Any] = block) -> None:
                block["source"] = {"type": "file", "file_id": reference}

            yield Inline(source["data"], source["media_type"], str(block.get("title") or ""), name_by)


async def _image(part: Image | File, request: ModelRequest) -> _Block:
    content = await content_of(part, request)
    if content.data is None:
        return {"type": "image", "source": {"type": "url", "url": content.url}}
    return {"type": "image", "source": {"type": "base64", "media_type": part.media_type, "data": content.base64}}


async def _file(part: File, request: ModelRequest) -> _Block:
    if part.media_type.startswith("image/"):
        return await _image(part, request)
    content = await content_of(part, request)
    title = {"title": part.name} if part.name else {}
    if content.data is None:
        return {"type": "document", "source": {"type": "url", "url": content.url}, **title}
    if part.media_type == "application/pdf":
        source = {"type": "base64", "media_type": part.media_type, "data": content.base64}
        return {"type": "document", "source": source, **title}
    text = content.data.decode(errors="replace")
    if readable(part) and text.strip():
        return {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": text}, **title}
    about = f"{part.name or 'file'}: {part.media_type}, {len(content.data)} bytes"
    return {"type": "text", "text": f"[{about}; this model cannot read it]"}
