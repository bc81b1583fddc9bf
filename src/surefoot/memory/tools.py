# The model is not shown the context, so its tools do not explain it.
# ruff: noqa: D417
"""Tools with which a model uses its memory: remember, recall, revise, forget, list_memories, delete_all_memory.

`offers` makes them over one memory; whose memory it is comes from the run, by code, never from the model. They are plain
functions with what there is to declare about them; the composition root makes tools of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from surefoot.core.errors import ToolFailed
from surefoot.core.memory import DELETE_ALL, KINDS, Entry, Hit, MemoryKept, MemoryRefused, Question, Scope, Selection
from surefoot.core.ports import Clock, Memory
from surefoot.core.recalled import line
from surefoot.core.tool import Effect, ToolContext
from surefoot.memory.words import telling

__all__ = ["Offer", "offers"]

#: Entries that `recall` gives, and how well one must fit to be taken for what is meant.
_SOME = 6
_FITS = 0.35
_FLOOR = 0.2

Whose = Callable[[ToolContext[Any]], Scope]


@dataclass(frozen=True, slots=True)
class Offer:
    """A function that could be a tool: its effect, and requests that mean it."""

    function: Callable[..., Awaitable[str]]
    effect: Effect
    examples: tuple[str, ...]


def offers(memory: Memory, whose: Whose, clock: Clock) -> dict[str, Offer]:
    """The tools by name."""
    made = [
        _remember(memory, whose, clock),
        _recall(memory, whose, clock),
        _revise(memory, whose, clock),
        _forget(memory, whose, clock),
        _list(memory, whose),
        _delete_all(memory, whose),
    ]
    return {offer.function.__name__: offer for offer in made}


def _remember(memory: Memory, whose: Whose, clock: Clock) -> Offer:
    async def remember(
        ctx: ToolContext[Any], text: str, subject: str = "", predicate: str = "", value: str = "", block: str = ""
    ) -> str:
        """Keep something in long-term memory.

        Args:
            text: What to remember, as one sentence.
            subject: Whom or what it is about, for a fact whose newer value is to replace the older one.
            predicate: What is said of the subject, such as "lives in".
            value: What the subject's value is.
            block: The name of a pinned block that this text becomes, instead of a fact.
        """
        now = clock.now()
        entry = Entry(
            _name(ctx), text, whose(ctx), "core" if block else "fact", "assistant", "", now, block or subject, predicate, value,
            valid_from=0 if block else now, run=ctx.run_id, call=ctx.call_id,
        )  # fmt: skip
        return _said(await memory.keep([entry]))

    return Offer(remember, "idempotent", ("remember that the spare key hangs in the shed", "keep in mind that Otto eats no nuts"))


def _recall(memory: Memory, whose: Whose, clock: Clock) -> Offer:
    async def recall(ctx: ToolContext[Any], query: str) -> str:
        """Look something up in the memory of earlier conversations.

        Args:
            query: What to look for, in words; it may name a time, such as last week.
        """
        scope = whose(ctx)
        here = None if scope.session else ctx.session or None  # what is in the conversation need not be told, unless it is all
        question = Question(query, scope, _SOME, without=here, neighbours=1, now=clock.now(), explain=True)
        hits = [hit for hit in await memory.recall(question) if hit.score >= _floor(hit)]
        if hits:
            return _told(sorted([hit.entry for hit in hits], key=lambda entry: entry.time))
        if telling(query):
            return "Nothing is remembered about that."
        recent = await memory.find(Selection(scope, without=here, limit=_SOME))
        if recent or here is None:
            return _told(recent[::-1]) or "Memory is empty."
        said = _told((await memory.find(Selection(scope, limit=_SOME)))[::-1])
        return f"Nothing is remembered from before this conversation. In it:\n{said}" if said else "Memory is empty."

    return Offer(recall, "read", ("look up in your memory where the boat lies", "search earlier conversations for the recipe"))


def _revise(memory: Memory, whose: Whose, clock: Clock) -> Offer:
    async def revise(ctx: ToolContext[Any], what: str, text: str) -> str:
        """Correct something in long-term memory; the old version stays in the history.

        Args:
            what: What is remembered wrongly, in words.
            text: What is right, as one sentence.
        """
        old, now = (await _meant(memory, whose(ctx), what, clock)).entry, clock.now()
        entry = Entry(
            _name(ctx), text, whose(ctx), old.kind if old.kind == "core" else "fact", "assistant", "", now, old.subject,
            old.predicate, "", now, run=ctx.run_id, call=ctx.call_id, replaces=old.id,
        )  # fmt: skip
        return _said(await memory.keep([entry]))

    return Offer(revise, "idempotent", ("correct your memory: the meeting room is upstairs",))


def _forget(memory: Memory, whose: Whose, clock: Clock) -> Offer:
    async def forget(ctx: ToolContext[Any], what: str) -> str:
        """Remove one thing from long-term memory, for good.

        Args:
            what: The one thing to remove, in words.
        """
        entry = (await _meant(memory, whose(ctx), what, clock)).entry
        await memory.forget([entry.id], by=ctx.agent, reason="the user asked for it")
        return f"Removed from memory: {line(entry)[2:]}"

    return Offer(forget, "unsafe", ("remove my old address from your memory", "stop knowing about the broken lamp"))


def _list(memory: Memory, whose: Whose) -> Offer:
    async def list_memories(ctx: ToolContext[Any], limit: int = 20) -> str:
        """List what long-term memory holds, the newest first.

        Args:
            limit: How many entries at most.
        """
        entries = await memory.find(Selection(whose(ctx), limit=max(1, min(limit, 100))))
        return _told(entries) or "Memory is empty."

    return Offer(list_memories, "read", ("show what is in your memory", "which memories have you got"))


def _delete_all(memory: Memory, whose: Whose) -> Offer:
    async def delete_all_memory(ctx: ToolContext[Any], confirm: Literal["true"]) -> str:
        """Delete, erase or clear all memory and the whole history of all conversations, with every fact.

        Args:
            confirm: Must be "true".
        """
        entries = await memory.find(Selection(whose(ctx), closed=True, limit=0))
        count = await memory.forget([entry.id for entry in entries], by=ctx.agent, reason="the user asked for it", erase=False)
        return f"Memory is empty: {count} {'entry was' if count == 1 else 'entries were'} deleted."

    examples = ("wipe out all that you know about me", "empty your memory completely", "drop every past chat of ours")
    assert delete_all_memory.__name__ == DELETE_ALL
    return Offer(delete_all_memory, "unsafe", examples)


async def _meant(memory: Memory, scope: Scope, what: str, clock: Clock) -> Hit:
    """The one entry that words mean, rather a fact than what was said. Raises ToolFailed when there is none."""
    for kinds in (("fact", "core"), KINDS):
        hits = await memory.recall(Question(what, scope, 1, kinds=kinds, now=clock.now()))
        if hits and hits[0].score >= _FITS:
            return hits[0]
    raise ToolFailed("nothing in memory fits that; list_memories shows what there is")


def _name(ctx: ToolContext[Any]) -> str:
    """The name of what a call keeps: the same however often the call is tried."""
    return hashlib.blake2b(ctx.idempotency_key.encode(), digest_size=16).hexdigest()


def _floor(hit: Hit) -> float:
    """The score from which on a hit is told; a neighbour, which has half of its hit's, comes with it."""
    return _FLOOR / 2 if "neighbour" in hit.parts else _FLOOR


def _told(entries: Sequence[Entry]) -> str:
    return "\n".join(map(line, entries))


def _said(judged: Sequence[object]) -> str:
    for one in judged:
        if isinstance(one, MemoryKept):
            return f"Remembered: {one.entry.text}"
        if isinstance(one, MemoryRefused):
            return f"Not remembered: {one.reason}."
    return "Not remembered."
