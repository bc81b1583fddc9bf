"""Fit a prompt to its budget: a pure view of the session's and the run's messages.

Tokens are estimated at `CHARS_PER_TOKEN` characters each plus a little for every part, which is on the safe side for
English and code. When the estimate passes the budget, older tool results are cut to their heads first, and then the
oldest turns are left out, and the oldest steps of the last turn, always whole, so that no call is parted from its result.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from surefoot.core import events as ev
from surefoot.core.messages import Message, Reasoning, Text, ToolCall, ToolResult
from surefoot.core.state import State

__all__ = ["CHARS_PER_TOKEN", "HEAD", "Meter", "estimate", "fit", "view"]

CHARS_PER_TOKEN = 3.5
#: Characters that stay of a tool result that was cut.
HEAD = 400
#: The newest messages, which are never cut.
KEEP = 4
_PART = 6
_IMAGE = 1_000


def estimate(message: Message) -> int:
    """Tokens of a message, roughly and rather too many than too few."""
    chars, tokens = 0, 0
    for part in message.parts:
        tokens += _PART
        if isinstance(part, ToolResult):
            chars += len(part.text)
            tokens += _IMAGE * len(part.parts)
        elif isinstance(part, ToolCall):
            chars += len(part.name) + len(part.arguments)
        elif isinstance(part, (Text, Reasoning)):
            chars += len(part.text)
        else:
            tokens += _IMAGE
    return tokens + int(chars / CHARS_PER_TOKEN)


class Meter:
    """Estimates a growing list of messages, counting each only once."""

    def __init__(self) -> None:
        self._count = 0
        self._tokens = 0
        self._of: list[Message] | None = None

    def tokens(self, messages: list[Message]) -> int:
        """Estimated tokens of all of them."""
        if messages is not self._of or len(messages) < self._count:
            self._of, self._count, self._tokens = messages, 0, 0
        for message in messages[self._count :]:
            self._tokens += estimate(message)
        self._count = len(messages)
        return self._tokens


def view(history: list[Message], state: State) -> list[Message]:
    """The messages a model is given."""
    messages = history + state.messages if history else state.messages
    done = state.compacted
    if done is None:
        return messages
    kept = [_cut(message) for message in messages[done.dropped : done.shortened]]
    kept += messages[max(done.dropped, done.shortened) :]
    if done.summary:
        kept.insert(0, _said(done.summary))
    return kept


def fit(history: list[Message], state: State, budget: int) -> ev.ContextCompacted | None:
    """What to leave out so that the prompt takes at most ``budget`` estimated tokens; None when it does, or nothing helps."""
    messages = history + state.messages
    before = sum(map(estimate, view(history, state)))
    if before <= budget:
        return None
    shortened = max(0, len(messages) - KEEP)
    sizes = [estimate(_cut(message)) for message in messages[:shortened]] + [estimate(m) for m in messages[shortened:]]
    if sum(sizes) > budget:
        shortened = len(messages)
        sizes = [estimate(_cut(message)) for message in messages]
    total, dropped, summary = sum(sizes), 0, ""
    if total > budget:
        for at, summary in _boundaries(messages, budget):
            dropped, total = at, sum(sizes[at:]) + (estimate(_said(summary)) if summary else 0)
            if total <= budget * 3 // 4:  # with room for some steps, so that the prompt's beginning stays as it is
                break
    if total >= before:
        return None
    return ev.ContextCompacted("dropped" if dropped else "shortened", before, total, shortened, dropped, summary)


def _boundaries(messages: list[Message], budget: int) -> Iterator[tuple[int, str]]:
    """Where a prompt may begin, earliest first, and what must stand before that: the task, once its message is gone."""
    users = [at for at, message in enumerate(messages) if message.role == "user"]
    for at in users:
        if at > 0:
            yield at, ""
    last = users[-1] if users else 0
    room = int(budget * CHARS_PER_TOKEN / 4)
    for at in range(last + 2, len(messages)):
        if messages[at].role == "assistant":
            yield at, f"{messages[last].text[:room]}\n[earlier steps were left out]"


def _said(text: str) -> Message:
    return Message("user", (Text(text),))


def _cut(message: Message) -> Message:
    if message.role != "tool" or all(len(part.text) <= HEAD for part in message.parts if type(part) is ToolResult):
        return message
    parts = tuple(
        msgspec.structs.replace(part, text=f"{part.text[:HEAD]}\n[cut: {len(part.text)} characters]", parts=())
        if type(part) is ToolResult and len(part.text) > HEAD
        else part
        for part in message.parts
    )
    return Message(message.role, parts)
