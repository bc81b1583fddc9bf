"""Fit a prompt to its budget: a pure view of the session's and the run's messages.

Tokens are counted by the model's own vocabulary where that can be had (`Plan.count`), else by bytes (`core.tokens`); a
little is added for every part, and `core.gauge` corrects the sum by what the provider counted. When a prompt passes its
budget, older tool results are cut to their heads first, and then the oldest turns are left out, and the oldest steps of
the last turn, always whole, so that no call is parted from its result. So much is left out at once that the prompt's
beginning then stays as it is for a good while, which a provider's cache rewards. `engine.summary` may put a summary in
the place of what is left out.

What was left out of one run stays out of the session's next: `Past` begins where the last prompt began.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec

from surefoot.core import events as ev
from surefoot.core.messages import Message, Reasoning, Text, ToolCall, ToolResult
from surefoot.core.state import State
from surefoot.core.tokens import BYTES_PER_TOKEN, Count, rough

__all__ = ["HEAD", "SUMMARY", "SUMMARY_END", "Meter", "Past", "carried", "cut", "estimate", "fit", "view"]

#: Characters that stay of a tool result that was cut.
HEAD = 400
#: The newest messages, which are never cut.
KEEP = 4
#: What stands around a summary that a model wrote.
SUMMARY = "[A summary of the conversation so far, written by a model:]"
SUMMARY_END = "[The summary ends.]"
_PART = 6
_IMAGE = 1_000
#: Characters of the note on what was cut, at most.
_NOTE = 150


@dataclass(slots=True)
class Past:
    """The session before a run: its messages, and where each stands, ``run:index``; ``""`` for a summary, which comes first.

    ``scale`` corrects estimates until the run's own replies do; ``cut`` says that results in it are cut.
    """

    messages: list[Message] = field(default_factory=list)
    places: list[str] = field(default_factory=list)
    scale: float = 0.0
    cut: bool = False

    @property
    def summary(self) -> str:
        """What stands in the place of what was left out before."""
        return self.messages[0].text if self.places and not self.places[0] else ""


def estimate(message: Message, count: Count = rough) -> int:
    """Tokens of a message, rather too many than too few."""
    texts, tokens = [], 0
    for part in message.parts:
        tokens += _PART
        if isinstance(part, ToolResult):
            texts.append(part.text)
            tokens += _IMAGE * len(part.parts)
        elif isinstance(part, ToolCall):
            texts += (part.name, part.arguments)
        elif isinstance(part, (Text, Reasoning)):
            texts.append(part.text)
        else:
            tokens += _IMAGE
    return tokens + count(texts)


class Meter:
    """Estimates a prompt that grows, counting each message only once."""

    def __init__(self, count: Count = rough) -> None:
        self._by = count
        self._count = 0
        self._tokens = 0
        self._done: ev.ContextCompacted | None = None
        self._of: list[Message] | None = None

    def tokens(self, past: Past, state: State) -> int:
        """Estimated tokens of what `view` gives."""
        messages = state.messages
        if messages is not self._of or state.compacted is not self._done or len(messages) < self._count:
            self._of, self._done = messages, state.compacted
            self._tokens = sum(estimate(message, self._by) for message in view(past, state))
        else:
            for message in messages[self._count :]:
                self._tokens += estimate(message, self._by)
        self._count = len(messages)
        return self._tokens


def view(past: Past, state: State) -> list[Message]:
    """The messages a model is given."""
    messages = past.messages + state.messages if past.messages else state.messages
    done = state.compacted
    if done is None:
        return messages
    kept = [cut(messages[at], _run(past, state, at)) for at in range(done.dropped, min(done.shortened, len(messages)))]
    kept += messages[max(done.dropped, done.shortened) :]
    if done.summary:
        kept.insert(0, said(done.summary))
    return kept


def fit(past: Past, state: State, budget: int, count: Count = rough) -> ev.ContextCompacted | None:
    """What to leave out so that the prompt takes at most ``budget`` estimated tokens; None when it does, or nothing helps."""
    messages = past.messages + state.messages
    before = sum(estimate(message, count) for message in view(past, state))
    if before <= budget:
        return None
    done = state.compacted
    base, old = (done.dropped, done.summary) if done else (1 if past.summary else 0, past.summary)
    heads = [estimate(cut(message, _run(past, state, at)), count) for at, message in enumerate(messages)]
    shortened = max(0, len(messages) - KEEP)
    sizes = heads[:shortened] + [estimate(message, count) for message in messages[shortened:]]
    if sum(sizes[base:]) + _size(old, count) > budget:
        shortened, sizes = len(messages), heads
    dropped, summary = base, old
    total = sum(sizes[base:]) + _size(old, count)
    if total > budget:
        for at, task in _boundaries(messages, base, budget):
            made = carried(old) if _size(carried(old), count) <= budget // 4 else ""
            dropped, summary = at, "\n".join(filter(None, (made, task)))
            total = sum(sizes[at:]) + _size(summary, count)
            if total <= budget // 2:
                break
    if total >= before:
        return None
    how = "dropped" if dropped > base else "shortened"
    places = (_place(past, state, dropped), _place(past, state, shortened))
    return ev.ContextCompacted(how, before, total, shortened, dropped, summary, *places)


def _boundaries(messages: list[Message], base: int, budget: int) -> Iterator[tuple[int, str]]:
    """Where a prompt may begin, earliest first, and what must stand before that: the task, once its message is gone."""
    users = [at for at, message in enumerate(messages) if message.role == "user"]
    for at in users:
        if at > base:
            yield at, ""
    last = users[-1] if users else 0
    room = int(budget * BYTES_PER_TOKEN / 4)
    for at in range(max(last + 2, base + 1), len(messages)):
        if messages[at].role == "assistant":
            yield at, f"{messages[last].text[:room]}\n[earlier steps were left out]"


def carried(summary: str) -> str:
    """What a model wrote of a summary that was put together."""
    return summary[: summary.find(SUMMARY_END) + len(SUMMARY_END)] if summary.startswith(SUMMARY) else ""


def said(text: str) -> Message:
    """A summary as a message."""
    return Message("user", (Text(text),))


def _size(summary: str, count: Count) -> int:
    return estimate(said(summary), count) if summary else 0


def _run(past: Past, state: State, at: int) -> str:
    """The run in which a message stands."""
    return past.places[at].rpartition(":")[0] if at < len(past.places) else state.id


def _place(past: Past, state: State, at: int) -> str:
    return past.places[at] if at < len(past.places) else f"{state.id}:{at - len(past.places)}"


def cut(message: Message, run: str) -> Message:
    """A message with its tool results cut to their heads; each says how the rest is read."""
    if message.role != "tool" or all(len(part.text) <= HEAD + _NOTE for part in message.parts if type(part) is ToolResult):
        return message
    parts = tuple(
        msgspec.structs.replace(part, text=f"{part.text[:HEAD]}\n{_note(part, run)}", parts=())
        if type(part) is ToolResult and len(part.text) > HEAD + _NOTE
        else part
        for part in message.parts
    )
    return Message(message.role, parts)


def _note(part: ToolResult, run: str) -> str:
    return f"[cut: {len(part.text)} characters; the whole result has the handle {run}:{part.call}]"
