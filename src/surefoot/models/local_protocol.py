"""The action protocol, for models that know no tool calls, and the prompts of the packaged model.

An action is one JSON object, of one of three forms::

    {"action": "tool", "tool_name": "add", "args": {"a": 5, "b": 3}}
    {"action": "human", "reason": "…"}
    {"action": "final", "answer": "…"}

`action_schema` is the JSON Schema a runtime constrains a model's output to; every string in it is bounded, since a small
model that begins to repeat itself does not stop. `read_turn` reads from a conversation what is asked and what was done
about it so far. Prompts are in the ChatML format the packaged model was trained on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from surefoot.core import canonical
from surefoot.core.messages import Message, Text, ToolCall, ToolResult
from surefoot.core.tool import ToolSpec
from surefoot.models.local_fill import Called
from surefoot.models.local_schema import Parameter

__all__ = [
    "Turn",
    "action_schema",
    "argument_prefix",
    "argument_prompt",
    "bounded",
    "chat_prompt",
    "final_answer",
    "plain",
    "read_turn",
    "shortened",
]

_MARKS = re.compile(r"<\|[^|<>]{0,40}\|>")
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_STRING = 400
_ITEMS = 20

_SHOTS = (
    (
        "open_door(door): Open a door of the building. door: which door",
        "could you open the garage door for me",
        {"door": "garage"},
    ),
    ("deposit(account, cents): Put money into an account.", "Put 40 cents into account 1234", {"account": 1234, "cents": 40}),
    (
        "ferry(origin, destination): Find a ferry between two harbours.",
        "which ferries to Dover are there from Calais",
        {"origin": "Calais", "destination": "Dover"},
    ),
    (
        "post_letter(receiver, body): Post a letter.",
        'post a letter saying "see you soon" to Aunt Polly',
        {"receiver": "Aunt Polly", "body": "see you soon"},
    ),
)


@dataclass(frozen=True, slots=True)
class Turn:
    """What is asked now: the user's last message, the calls made since, and the conversation before."""

    ask: str
    done: tuple[Called, ...]
    before: tuple[Message, ...]


def read_turn(messages: Sequence[Message]) -> Turn:
    """Read a conversation's last turn."""
    at = max((index for index, message in enumerate(messages) if message.role == "user"), default=-1)
    calls: dict[str, ToolCall] = {}
    done: list[Called] = []
    for message in messages[at + 1 :]:
        for part in message.parts:
            if isinstance(part, ToolCall):
                calls[part.id] = part
            elif isinstance(part, ToolResult):
                call = calls.get(part.call)
                done.append(Called(part.name, _arguments(call), part.text, part.error))
    ask = plain(messages[at].text) if at >= 0 else ""
    return Turn(ask, tuple(done), tuple(messages[: max(at, 0)]))


def final_answer(done: Sequence[Called]) -> str:
    """The results as they are, one a line; what a later call went on from is left out."""
    shown: list[str] = []
    for index, call in enumerate(done):
        later = [value for other in done[index + 1 :] for value in other.arguments.values()]
        used = call.number is not None and call.number in [value for value in later if isinstance(value, int | float)]
        if call.error or not (used or call.text in later):
            shown.append(call.text)
    return "\n".join(shown)


def plain(text: str) -> str:
    """Text without the marks that divide a prompt, and without control characters."""
    return _MARKS.sub("", _UNPRINTABLE.sub("", text.encode("utf-8", "replace").decode("utf-8")))


def shortened(text: str, longest: int) -> str:
    """A text's head and tail, where the whole is too long."""
    if len(text) <= longest:
        return text
    return f"{text[: longest * 2 // 3]} … {text[-longest // 3 :]}"


def chat_prompt(instructions: str, turn: Turn, room: int) -> str:
    """The prompt for an answer in prose; ``room`` is how many characters it may take."""
    system = f"{shortened(plain(instructions), room // 4)}\nAnswer in one or two short sentences.".strip()
    lines: list[str] = []
    left = room // 4
    for message in reversed(turn.before):
        said = "\n".join(_said(part) for part in message.parts if isinstance(part, Text | ToolResult)).strip()
        if not said:
            continue
        said = shortened(plain(said), 400)
        left -= len(said)
        if left < 0:
            break
        lines.append(_chatml("user" if message.role == "user" else "assistant", said))
    ask = shortened(turn.ask, room // 5)
    results = "".join(f"\n{call.name}: {shortened(plain(call.text), 400)}" for call in turn.done[-4:])
    return "".join([_chatml("system", system), *reversed(lines), _chatml("user", ask + results), "<|im_start|>assistant\n"])


def argument_prefix() -> str:
    """The part of `argument_prompt` that is always the same."""
    system = "You read a request and write the arguments of the function as JSON, copying values from the request."
    shots = [
        _chatml("user", f"Function: {function}\nRequest: {request}") + _chatml("assistant", _json(arguments))
        for function, request, arguments in _SHOTS
    ]
    return "".join([_chatml("system", system), *shots])


def argument_prompt(text: str, spec: ToolSpec, filled: Mapping[str, Any], parameter: Parameter) -> str:
    """The prompt whose continuation is the value of one parameter, after the values filled already."""
    properties: Mapping[str, Any] = spec.input_schema.get("properties", {})
    said = [f"{name}: {inner['description']}." for name, inner in properties.items() if inner.get("description")]
    about = shortened(plain(" ".join([spec.description, *said])), 600)
    asked = f"Function: {spec.name}({', '.join(properties)}): {about}\nRequest: {shortened(plain(text), 1200)}"
    head = f"{_json(filled)[:-1]}, " if filled else "{"
    return f'{argument_prefix()}{_chatml("user", asked)}<|im_start|>assistant\n{head}"{parameter.name}": '


def action_schema(specs: Sequence[ToolSpec], answer: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The JSON Schema of an action with these tools; ``answer`` is the schema of a final answer, text when not given."""
    forms = [
        _object({"action": {"const": "tool"}, "tool_name": {"const": spec.name}, "args": bounded(spec.input_schema)})
        for spec in specs
    ]
    forms.append(_object({"action": {"const": "human"}, "reason": {"type": "string", "maxLength": _STRING}}))
    final = bounded(answer) if answer is not None else {"type": "string", "maxLength": 2000}
    forms.append(_object({"action": {"const": "final"}, "answer": final}))
    definitions = {key: value for spec in specs for key, value in _definitions(spec.input_schema).items()}
    definitions.update(_definitions(answer or {}))
    return {"anyOf": forms, **({"$defs": definitions} if definitions else {})}


def bounded(schema: Any) -> Any:
    """A schema whose values end: ``maxLength``, ``maxItems`` and no further properties, where it says nothing of them."""
    if isinstance(schema, list):
        return [bounded(item) for item in schema]
    if not isinstance(schema, Mapping):
        return schema
    inner = {key: bounded(value) for key, value in schema.items() if key != "$defs"}
    if schema.get("type") == "string" and "enum" not in schema:
        inner.setdefault("maxLength", _STRING)
    if schema.get("type") == "array":
        inner.setdefault("maxItems", _ITEMS)
    if isinstance(schema.get("properties"), Mapping):
        inner.setdefault("additionalProperties", False)
    return inner


def _definitions(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {key: bounded(value) for key, value in schema.get("$defs", {}).items()}


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def _said(part: Text | ToolResult) -> str:
    return part.text


def _json(arguments: Mapping[str, Any]) -> str:
    """JSON with the spaces that models write."""
    inner = [f"{canonical.dumps(name)}: {canonical.dumps(value)}" for name, value in arguments.items()]
    return f"{{{', '.join(inner)}}}"


def _chatml(role: str, text: str) -> str:
    return f"<|im_start|>{role}\n{text}<|im_end|>\n"


def _arguments(call: ToolCall | None) -> dict[str, Any]:
    if call is None:
        return {}
    try:
        value = canonical.loads(call.arguments)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
