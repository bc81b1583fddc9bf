"""Long-term memory as values: whose it is, an entry, what is asked of it, what it gives, and its events.

An entry is an **episode** (what a user said, or what a successful run answered), a **fact** (subject, predicate, object,
with the time for which it holds) or a **core** block (small, always shown). Where an entry came from stays with it: the
run, the call, and whether anything untrusted had a part in it. Times are Unix microseconds, 0 is none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from surefoot.core.errors import ConfigurationError

__all__ = [
    "DELETE_ALL",
    "READS",
    "KINDS",
    "TOOLS",
    "Entry",
    "Hit",
    "Judgement",
    "Memory",
    "MemoryForgotten",
    "MemoryKept",
    "MemoryRecalled",
    "MemoryRefused",
    "Question",
    "Scope",
    "Selection",
]

KINDS = ("episode", "fact", "core")
#: The tools a model may be given, and the one after which a run leaves nothing.
TOOLS = ("remember", "recall", "revise", "forget", "list_memories", "delete_all_memory")
DELETE_ALL = "delete_all_memory"
#: The tools that tell what memory holds.
READS = ("recall", "list_memories")
#: The parts of a run's owner that may bound a memory.
_BOUNDS = ("tenant", "user", "agent", "session")


class Scope(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """Whose memory it is; set by code, never by a model. With a ``session`` it is that of one conversation alone."""

    tenant: str = ""
    user: str = ""
    agent: str = ""
    session: str = ""


class Entry(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """One thing remembered. ``session`` is the thread it was said in, ``replaces`` an entry that holds no longer; ``uses`` is
    how often it was recalled into a run.
    """

    id: str
    text: str
    scope: Scope = Scope()
    kind: str = "episode"
    author: str = "user"
    session: str = ""
    time: int = 0
    subject: str = ""
    predicate: str = ""
    object: str = ""
    valid_from: int = 0
    valid_to: int = 0
    expires_at: int = 0
    importance: float = 0.0
    untrusted: bool = False
    run: str = ""
    call: str = ""
    replaces: str = ""
    uses: int = 0


class MemoryRecalled(msgspec.Struct, frozen=True, gc=False, tag_field="type", tag="memory.recalled", omit_defaults=True):
    """What long-term memory gave the run: the entries, those of them that stem from untrusted sources, and the text."""

    entries: tuple[str, ...]
    text: str
    tokens: int = 0
    scores: tuple[float, ...] = ()
    untrusted: tuple[str, ...] = ()


class MemoryKept(msgspec.Struct, frozen=True, gc=False, tag_field="type", tag="memory.kept", omit_defaults=True):
    """Memory took something in; ``reason`` says what the gate did to it, ``closes`` names facts that it ends."""

    entry: Entry
    reason: str = ""
    closes: tuple[str, ...] = ()


class MemoryRefused(msgspec.Struct, frozen=True, gc=False, tag_field="type", tag="memory.refused", omit_defaults=True):
    """Memory did not take something in, and why; ``like`` names the entry that it repeats. The text is not kept."""

    what: str
    reason: str
    like: str = ""


class MemoryForgotten(msgspec.Struct, frozen=True, gc=False, tag_field="type", tag="memory.forgotten", omit_defaults=True):
    """Entries are gone; these are their names, and nothing of what they said."""

    entries: tuple[str, ...]
    reason: str = ""
    by: str = ""


#: What the gate makes of an entry, and what has to go for it.
Judgement = MemoryKept | MemoryRefused | MemoryForgotten


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of a memory.

    Args:
        text: the question, in words; its time expressions count from ``now``.
        scope: whose memory.
        limit: entries at most. tokens: estimated tokens at most, 0 for no bound.
        kinds: which kinds. session: only this thread, or, in ``without``, not that one.
        since, until: the times between which an entry must have come; ``until`` is exclusive, 0 leaves a side open.
        as_of: facts that held then; now when 0.
        neighbours: how many turns before and after a hit come with it.
        explain: whether each hit's ``parts`` are given.
        now: the present.
    """

    text: str
    scope: Scope = Scope()
    limit: int = 10
    tokens: int = 0
    kinds: tuple[str, ...] = KINDS
    session: str | None = None
    without: str | None = None
    since: int = 0
    until: int = 0
    as_of: int = 0
    neighbours: int = 0
    explain: bool = False
    now: int = 0


@dataclass(frozen=True, slots=True)
class Selection:
    """Which entries to list, newest first: every field that is set must match. ``scope`` None is every scope; ``closed``
    lists facts that no longer hold as well; ``limit`` 0 is no bound.
    """

    scope: Scope | None = None
    ids: tuple[str, ...] = ()
    kinds: tuple[str, ...] = KINDS
    session: str | None = None
    subject: str = ""
    predicate: str = ""
    without: str | None = None
    closed: bool = False
    limit: int = 100
    now: int = 0


@dataclass(frozen=True, slots=True)
class Hit:
    """An entry that was found, and how well it fits; 0 or less is hardly at all. ``parts`` adds up to the score."""

    entry: Entry
    score: float
    parts: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Memory:
    """Long-term memory of an agent: ``Agent(…, memory=Memory())``.

    Args:
        max_entries: episodes kept of one scope; the oldest go first. None is no bound.
        inject_entries: entries that the first message of a session is given, at most.
        inject_tokens: estimated tokens they may take.
        inject_later: whether later messages of a session are given entries, too.
        share: what bounds a memory: any of tenant, user, agent and session. ``("tenant", "user")`` is one memory of all agents;
            with session, each conversation has its own, to look up what its context no longer holds.
        keep_failed: whether failed and cancelled runs leave what was asked.
        episode_days, fact_days: after how many days an entry expires; None is never.
        embedder: ``"auto"`` for the packaged one where it is installed, ``"none"`` for words alone, or a vendor's by name:
            ``"openai:text-embedding-3-small"``, ``"gemini:gemini-embedding-001"``, perhaps with ``@256`` for so many numbers.
        tools: which tools the model is given, of `TOOLS`; the two that delete ask first.
        rerank: a function that may reorder the best 50 hits of a search.
        weights: how much a term of the search counts, where not as usual; ``{"recency": 0.3}`` has newer entries come first among
            those that fit alike. `surefoot.memory.Weights` lists the terms; 0 switches one off.

    Raises ConfigurationError for what cannot work.
    """

    max_entries: int | None = None
    inject_entries: int = 8
    inject_tokens: int = 1_000
    inject_later: bool = False
    share: tuple[str, ...] = _BOUNDS[:3]
    keep_failed: bool = False
    episode_days: float | None = None
    fact_days: float | None = None
    embedder: str = "auto"
    tools: tuple[str, ...] = TOOLS
    rerank: Callable[[str, Sequence[Hit]], Sequence[Hit]] | None = None
    weights: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.max_entries is not None and self.max_entries < 1:
            raise ConfigurationError(f"Memory(max_entries={self.max_entries}) keeps nothing; leave memory= out for that")
        if self.inject_entries < 0 or self.inject_tokens < 0:
            raise ConfigurationError("Memory(inject_entries=, inject_tokens=) must not be negative; 0 gives a run nothing")
        if set(self.share) - set(_BOUNDS):
            raise ConfigurationError(f"Memory(share={self.share!r}) may name {', '.join(_BOUNDS)}")
        if self.embedder not in ("auto", "none") and ":" not in self.embedder:
            raise ConfigurationError(f"Memory(embedder={self.embedder!r}) must be 'auto', 'none', or 'provider:name'")

        if set(self.tools) - set(TOOLS):
            raise ConfigurationError(f"Memory(tools={self.tools!r}) may name {', '.join(TOOLS)}")

    def scope(self, *, tenant: str, user: str, agent: str, session: str = "") -> Scope:
        """The scope of a run that is this tenant's, user's and agent's, in this session."""
        owner = {"tenant": tenant, "user": user, "agent": agent, "session": session}
        return Scope(**{name: value for name, value in owner.items() if name in self.share})
