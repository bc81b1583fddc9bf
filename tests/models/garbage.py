"""Answers with random parts broken, and what every reply must be all the same."""

from __future__ import annotations

import copy
import random
from typing import Any

import msgspec

from surefoot.core.messages import Message, Text, ToolCall, ToolResult, Usage
from surefoot.core.model import ModelReply

JUNK: list[Any] = [
    None,
    "",
    "x",
    0,
    -1,
    1e308,
    True,
    [],
    {},
    [None],
    {"a": None},
    [[]],
    "🛶",
    "\ud83d",
    10**400,
    float("inf"),
    [{}],
    {"type": "message"},
]


def broken(value: Any, chance: random.Random) -> Any:
    """Replace or remove a few random parts."""
    value = copy.deepcopy(value)
    for _ in range(chance.choice((1, 1, 2, 3))):
        node = value
        while True:
            key = chance.choice(list(node) if isinstance(node, dict) else range(len(node)))
            if isinstance(node[key], dict | list) and node[key] and chance.random() < 0.8:
                node = node[key]
                continue
            if isinstance(node, dict) and chance.random() < 0.3:
                del node[key]
            else:
                node[key] = copy.deepcopy(chance.choice(JUNK))
            break
        if not value:
            break
    return value


def assert_sound(reply: ModelReply) -> None:
    msgspec.json.encode([reply.parts, reply.calls, reply.usage, reply.finish, reply.model, reply.request_id])
    assert all(type(text) is str for call in reply.calls for text in (call.name, call.arguments, call.provider_id))
    assert all(part.text for part in reply.parts if type(part) is Text)
    assert min(getattr(reply.usage, name) for name in Usage.__struct_fields__) >= 0
    assert type(reply.finish) is type(reply.model) is type(reply.request_id) is str


def going_on(reply: ModelReply) -> list[Message]:
    """The conversation that a reply leads to, as a run stores it."""
    calls = [ToolCall(f"0.{index}", call.name, call.arguments, call.provider_id) for index, call in enumerate(reply.calls)]
    results = [ToolResult(call.id, call.name, "1", provider_id=call.provider_id) for call in calls]
    said = [Message("assistant", (*reply.parts, *calls)), *([Message("tool", tuple(results))] if results else [])]
    return [Message("user", (Text("hi"),)), *said, Message("user", (Text("go on"),))]
