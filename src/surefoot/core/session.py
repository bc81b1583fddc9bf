"""Fold earlier runs of a session into the conversation a new run goes on from."""

from __future__ import annotations

from collections.abc import Iterable

from surefoot.core.messages import Message, ToolCall, ToolResult
from surefoot.core.state import ENDED, State

__all__ = ["conversation", "whole"]


def conversation(runs: Iterable[State]) -> list[Message]:
    """The messages of earlier runs, oldest run first, every tool call with a result.

    Each state holds a run up to the session's head only, so that the same head always gives the same conversation. What
    a run took over from elsewhere (its ``history``) is part of its messages; a call that had no result says so.
    """
    messages: list[Message] = []
    for state in runs:
        messages.extend(state.messages)
        if state.calls:
            waiting = "not run: the run ended first" if state.status in ENDED else "no result yet: the run waits"
            messages.append(
                Message(
                    "tool",
                    tuple(
                        call.result or ToolResult(call.id, call.name, f"[{waiting}]", True, (), call.provider_id)
                        for call in state.calls.values()
                    ),
                )
            )
        messages.extend(state.incoming)
    return messages


def whole(messages: Iterable[Message]) -> list[Message]:
    """The messages with a result for every call, as providers want it: one that is missing says so.

    Raises ValueError for a result of a call that the message before does not make.
    """
    found: list[Message] = []
    due: dict[str, ToolCall] = {}
    for message in messages:
        results = [part for part in message.parts if isinstance(part, ToolResult)]
        for result in results:
            if due.pop(result.call, None) is None:
                raise ValueError(f"there is a result of call {result.call!r}, which the message before it does not make")
        if not results:
            _complete(found, due)
        found.append(message)
        if message.role == "assistant":
            due = {part.id: part for part in message.parts if isinstance(part, ToolCall)}
    _complete(found, due)
    return found


def _complete(messages: list[Message], due: dict[str, ToolCall]) -> None:
    """Add results for the calls of the last turn that have none."""
    if due:
        told = messages.pop().parts if messages[-1].role == "tool" else ()
        missing = [ToolResult(call.id, call.name, "[no result]", True, (), call.provider_id) for call in due.values()]
        messages.append(Message("tool", (*told, *missing)))
        due.clear()
