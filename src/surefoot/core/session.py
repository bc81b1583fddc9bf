"""Fold earlier runs of a session into the conversation a new run goes on from."""

from __future__ import annotations

from collections.abc import Iterable

from surefoot.core.messages import Message, ToolResult
from surefoot.core.state import ENDED, State

__all__ = ["conversation"]


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
