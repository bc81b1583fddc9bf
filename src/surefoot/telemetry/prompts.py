"""What a model was asked, for exporters that send content: the run's own conversation up to each request."""

from __future__ import annotations

from typing import Any

import msgspec

from surefoot.core import events as ev
from surefoot.core.messages import Message, Part, Reasoning, Text, ToolCall, ToolResult
from surefoot.core.state import State

__all__ = ["Prompts"]

#: Characters of a prompt that are sent; a collector refuses a span that is too large.
_LIMIT = 65_536


class Prompts:
    """The messages before each request of one run, as OpenTelemetry's conventions write messages.

    They are the run's own, memory included; what its session had said before is in the traces of the runs that said it.
    Of a prompt that is very long the newest messages are given, whole.
    """

    def __init__(self) -> None:
        self._state = State()

    def take(self, record: ev.Record) -> list[dict[str, Any]] | None:
        """Add a record; the messages, where it asks a model for the run's next step."""
        self._state.apply(record)
        event = record.event
        if not isinstance(event, ev.ModelRequested) or event.purpose:
            return None
        told: list[dict[str, Any]] = []
        room = _LIMIT
        for message in reversed(self._state.messages):
            one = _told(message)
            room -= len(msgspec.json.encode(one))
            if told and room < 0:
                break
            told.append(one)
        return told[::-1]


def _told(message: Message) -> dict[str, Any]:
    return {"role": message.role, "parts": [_part(part) for part in message.parts]}


def _part(part: Part) -> dict[str, Any]:
    match part:
        case Text():
            return {"type": "text", "content": part.text}
        case Reasoning():
            return {"type": "reasoning", "content": part.text}
        case ToolCall():
            return {"type": "tool_call", "id": part.id, "name": part.name, "arguments": part.arguments}
        case ToolResult():
            return {"type": "tool_call_response", "id": part.call, "response": part.text}
        case _:
            return {"type": type(part).__name__.lower(), "media_type": part.media_type}
