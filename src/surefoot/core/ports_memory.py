"""The seams of long-term memory: `Memory` itself, and what it needs of a store beyond the journal. Part of `core.ports`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from surefoot.core.memory import Entry, Hit, Judgement, Question, Selection
from surefoot.core.rows import Erasure

__all__ = ["Erasures", "Memory"]


class Erasures(Protocol):
    """Removal of what was said, wherever it stands."""

    async def strike(self, what: Erasure, *, by: str = "", reason: str = "") -> None:
        """Do as `redact` does to all that is to go, and append what is told of it, first, in one transaction."""
        ...


class Memory(Protocol):
    """What stays from one conversation to the next. Nothing is read before the first of these is called."""

    async def recall(self, question: Question) -> list[Hit]:
        """What fits a question, best first, within its limits. No word in common and no embedder: nothing."""
        ...

    async def find(self, selection: Selection) -> list[Entry]:
        """The entries that match, newest first."""
        ...

    async def judge(self, entries: Sequence[Entry], *, most: int | None = None, recalled: str = "") -> list[Judgement]:
        """What the gate makes of entries, as events for whoever appends them to a run: kept (masked where that is due), or
        refused with the reason, and, where a scope would then hold more than ``most`` episodes, the oldest forgotten.
        ``recalled`` is what memory had given the run, which is not taken in again.
        """
        ...

    async def keep(self, entries: Sequence[Entry]) -> list[Judgement]:
        """Judge entries, and write what comes of it outside any run."""
        ...

    async def forget(self, ids: Sequence[str], *, by: str = "", reason: str = "", erase: bool = False) -> int:
        """Remove entries for good, with index and vectors; how many there were. With ``erase``, also every event, of any run
        that has ended, that holds their text. Raises RunError, and forgets nothing, when a run that an entry to be erased
        stems from has not ended.
        """
        ...
