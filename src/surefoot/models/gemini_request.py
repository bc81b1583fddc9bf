"""A request in Gemini's protocol: the conversation, the tools, thinking, and signatures that go back where they came from.

`body` writes it. Source: the vendor's API reference for ``models.generateContent`` and its guides to function calling,
thinking, thought signatures and structured output.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from surefoot.core.messages import File, Image, Part, Reasoning, Text, ToolResult
from surefoot.core.model import ModelRequest
from surefoot.core.naming import WireNames
from surefoot.core.tool import ToolSpec
from surefoot.models.forms import Beyond
from surefoot.models.reading import item
from surefoot.models.shapes import Dialect, Narrow
from surefoot.models.turns import Turn, content_of, readable, sent_object, turns
from surefoot.models.uploads import Inline, blocks, replaced
from surefoot.models.windows import version

__all__ = ["DIALECT", "PROVIDER", "Declarations", "body", "function", "instruct"]

#: Marks thoughts and signatures that only this provider can read back.
PROVIDER = "gemini"

#: The vendor's reference of ``responseJsonSchema``.
DIALECT = Dialect(
    kept=frozenset({"minItems", "maxItems", "minimum", "maximum"}),
    formats=frozenset({"date-time", "date", "time"}),
    open=True,
    const=False,
)
#: From this version on, thinking has levels, calls of the current turn must be signed, and results may hold images.
_SIGNED = (3, 0)
#: The vendor's word for calls that another model made: they have no signature, and are taken without.
_UNSIGNED = "skip_thought_signature_validator"
_LEVELS = {"none": "MINIMAL", "off": "MINIMAL", "disabled": "MINIMAL", "max": "HIGH"}
_BUDGETS = {"none": 0, "off": 0, "disabled": 0, "minimal": 512, "low": 1_024, "medium": 8_192}
_BUDGET = 24_576
#: What a result may hold besides its text.
_IN_RESULTS = ("image/png", "image/jpeg", "image/webp", "application/pdf")

_Piece = dict[str, Any]


class Declarations:
    """Tools in this protocol's form; rewriting a schema takes longer than asking, so it is done once for each tool."""

    def __init__(self) -> None:
        self._made: dict[int, tuple[ToolSpec, dict[str, Any]]] = {}

    def of(self, tools: Sequence[ToolSpec], names: WireNames) -> list[_Piece]:
        """The declarations of a request's tools."""
        if len(self._made) > 1_000:  # tools that are made anew for each run
            self._made.clear()
        return [function(names.to_wire(tool.name), tool.description, self._schema(tool)) for tool in tools]

    def _schema(self, tool: ToolSpec) -> dict[str, Any]:
        made = self._made.get(id(tool))
        if made is None or made[0] is not tool:
            made = self._made[id(tool)] = (tool, _narrowed(tool.input_schema))
        return made[1]


def _narrowed(schema: dict[str, Any]) -> dict[str, Any]:
    """The parameters of a tool within the dialect; what is beyond it is sent as it is, for the vendor to judge."""
    try:
        narrow = Narrow(schema, DIALECT)
    except Beyond:
        return schema
    return schema if narrow.wrapped else narrow.schema


def function(name: str, description: str, schema: Mapping[str, Any]) -> _Piece:
    """A tool in this protocol's form; one without parameters has no schema."""
    empty = schema.get("type") == "object" and not schema.get("properties")
    parameters = {} if empty or not schema else {"parametersJsonSchema": schema}
    return {"name": name, "description": description or name, **parameters}


async def body(model: str, request: ModelRequest, names: WireNames, declarations: Declarations) -> dict[str, Any]:
    """The JSON body of a request, without its output form."""
    sent: dict[str, Any] = {"contents": await _contents(model, request, names)}
    if request.instructions.strip():
        sent["systemInstruction"] = {"parts": [{"text": request.instructions}]}
    if request.tools:
        sent["tools"] = [{"functionDeclarations": declarations.of(request.tools, names)}]
    settings = request.settings
    config: dict[str, Any] = {}
    if settings.temperature is not None:
        config["temperature"] = settings.temperature
    if settings.max_tokens is not None:
        config["maxOutputTokens"] = settings.max_tokens
    if settings.reasoning is not None:
        config["thinkingConfig"] = _thinking(model, settings.reasoning)
    if config:
        sent["generationConfig"] = config
    return sent


def instruct(sent: dict[str, Any], text: str) -> None:
    """Add to the instructions."""
    sent.setdefault("systemInstruction", {"parts": []})["parts"].append({"text": text})


def _signed(model: str) -> bool:
    return "gemini" in model and version(model, "gemini") >= _SIGNED  # not Gemma, nor what others publish on Vertex AI


def _thinking(model: str, effort: str) -> dict[str, Any]:
    shown = effort not in ("none", "off", "disabled")
    if _signed(model):
        amount: dict[str, Any] = {"thinkingLevel": _LEVELS.get(effort, effort.upper())}
    else:
        least = 128 if "pro" in model else 0  # which cannot be kept from thinking
        amount = {"thinkingBudget": max(_BUDGETS.get(effort, _BUDGET), least)}
    return {**amount, "includeThoughts": shown}


async def _contents(model: str, request: ModelRequest, names: WireNames) -> list[_Piece]:
    contents: list[_Piece] = []
    signed = _signed(model)
    for turn in turns(request.messages, show=False):  # it takes them back as its own
        if turn.role == "tool":
            written = await _results(turn, request, names, within=signed)
        elif turn.role == "user":
            written = [{"role": "user", "parts": await _pieces(turn.parts, request)}]
        else:
            written = [{"role": "model", "parts": await _said(turn, request, names, signed=signed)}]
        for content in written:
            _add(contents, content)
    if contents and contents[0]["role"] == "model":  # a shortened conversation; the protocol begins with the user
        contents.insert(0, {"role": "user", "parts": [{"text": "[earlier messages were left out]"}]})
    return contents


def _add(contents: list[_Piece], content: _Piece) -> None:
    """Add a turn; the results of one step stay together, and so does what a model said in one."""
    if not content["parts"]:
        return
    last = contents[-1] if contents else None
    if last is not None and last["role"] == content["role"] and _kind(last) == _kind(content):
        last["parts"] += content["parts"]
    else:
        contents.append(content)


def _kind(content: _Piece) -> bool:
    return "functionResponse" in content["parts"][0]


async def _results(turn: Turn, request: ModelRequest, names: WireNames, *, within: bool) -> list[_Piece]:
    answers: list[_Piece] = []
    beside: list[_Piece] = []
    for wire, result in turn.results:
        inside = [part for part in result.parts if within and isinstance(part, Image | File) and part.media_type in _IN_RESULTS]
        outside = [part for part in result.parts if part not in inside]
        answers.append(_result(wire, result, names, await _pieces(tuple(inside), request)))
        if outside:
            beside.append({"text": f"[what {names.to_wire(result.name)} returned besides its text]"})
            beside += await _pieces(tuple(outside), request)
    return [{"role": "user", "parts": answers}, {"role": "user", "parts": beside}]


def _result(wire: str, result: ToolResult, names: WireNames, pieces: list[_Piece]) -> _Piece:
    answer: _Piece = {"name": names.to_wire(result.name), "response": {"error" if result.error else "output": result.text}}
    if result.provider_id and wire == result.provider_id:
        answer["id"] = wire
    if pieces:
        answer["parts"] = pieces
    return {"functionResponse": answer}


async def _said(turn: Turn, request: ModelRequest, names: WireNames, *, signed: bool) -> list[_Piece]:
    """What the model said, each signature with the part it came with."""
    pieces: list[_Piece] = []
    calls: dict[int, str] = {}
    pending = ""
    for part in turn.parts:
        if type(part) is Reasoning:
            kept = _kept(part)
            signature = str(kept.get("signature", ""))
            if "call" in kept:
                calls[kept["call"]] = signature
            elif kept.get("on") == "thought":
                pieces.append({"text": part.text, "thought": True, "thoughtSignature": signature})
            elif kept.get("on") == "nothing":
                pieces.append({"text": "", "thoughtSignature": signature})
            else:
                pending = signature
            continue
        for piece in await _pieces((part,), request):
            pieces.append({**piece, "thoughtSignature": pending} if pending else piece)
            pending = ""
    for index, (wire, call) in enumerate(turn.calls):
        made: _Piece = {"name": names.to_wire(call.name), "args": sent_object(call)}
        if call.provider_id and wire == call.provider_id:
            made["id"] = wire
        signature = calls.get(index) or (_UNSIGNED if signed and index == 0 else "")
        pieces.append({"functionCall": made, **({"thoughtSignature": signature} if signature else {})})
    return pieces


def _kept(part: Reasoning) -> Mapping[str, Any]:
    if part.provider != PROVIDER or not part.opaque:
        return {}
    try:
        return item(json.loads(part.opaque))
    except ValueError:
        return {}


async def _pieces(parts: tuple[Part, ...], request: ModelRequest) -> list[_Piece]:
    pieces: list[_Piece] = []
    for part in parts:
        if type(part) is Text:
            pieces += [{"text": part.text}] if part.text else []
        elif type(part) is Image or type(part) is File:
            pieces.append(await _data(part, request))
    return pieces


def inlines(body: Mapping[str, Any]) -> Iterator[Inline]:
    """The bytes in a body, but for what the model itself made and signed."""
    for block in blocks([content for content in body["contents"] if content["role"] == "user"]):
        data = block.get("inlineData")
        if data:

            def name_by(uri: str, block: dict[str, Any] = block, kind: str = data["mimeType"]) -> None:
                replaced(block, ["inlineData"], {"fileData": {"fileUri": uri, "mimeType": kind}})

            yield Inline(data["data"], data["mimeType"], "", name_by)


async def _data(part: Image | File, request: ModelRequest) -> _Piece:
    content = await content_of(part, request)
    if content.data is None:
        return {"fileData": {"fileUri": content.url, "mimeType": part.media_type}}
    if type(part) is File and readable(part):
        return {"text": f"[file {part.name or 'file'}]\n{content.data.decode(errors='replace')}"}
    return {"inlineData": {"mimeType": part.media_type, "data": content.base64}}
