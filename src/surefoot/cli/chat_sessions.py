"""A person's conversations with an agent: which there are, and which one a chat that starts goes on with.

A conversation is a session of the journal whose runs carry the tag ``chat``. One that a live chat has open is not taken
by another: it holds a lock on a file of the session's name, which a process that dies lets go of.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from surefoot.app import App
from surefoot.cli.words import parts_text
from surefoot.core import events as ev
from surefoot.core.ports import Query, RunRow
from surefoot.journal.lock import FileLock

__all__ = ["TAG", "Hold", "Session", "latest", "opening", "sessions"]

#: Marks the runs of a chat.
TAG = "chat"
#: Runs that are looked through for conversations.
_RUNS = 1_000


@dataclass(frozen=True, slots=True)
class Session:
    """One conversation: its id, its runs (newest first), and when it last went on (Unix microseconds)."""

    id: str
    runs: Sequence[RunRow]

    @property
    def last(self) -> int:
        """When its last run was asked for."""
        return self.runs[0].created_at


async def sessions(app: App, agent: str, user: str) -> list[Session]:
    """Conversations of a user with an agent, the one that went on last first."""
    found: dict[str, list[RunRow]] = {}
    for row in await app.store.find(Query(agent=agent, user=user, tags=(TAG,), limit=_RUNS)):
        if row.session:
            found.setdefault(row.session, []).append(row)
    return [Session(name, rows) for name, rows in found.items()]


async def opening(app: App, session: Session) -> str:
    """What was said first in a conversation."""
    first = (await app.events(session.runs[-1].id))[0].event
    return parts_text(first.input) if isinstance(first, ev.RunStarted) else ""


async def latest(app: App, agent: str, user: str, hold: Hold) -> str:
    """The conversation that went on last and that no live chat has open, now held; empty when there is none."""
    for session in await sessions(app, agent, user):
        if hold.take(session.id):
            return session.id
    return ""


class Hold:
    """The one conversation that this process has open, by a lock in ``folder``; without one nothing is held."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._lock: FileLock | None = None
        self._path: Path | None = None

    def take(self, session: str) -> bool:
        """Let go of what is held, and take this conversation; False when another process has it."""
        self.close()
        if self._folder is None:
            return True
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self._folder / f"{hashlib.blake2b(session.encode(), digest_size=12).hexdigest()}.lock"
        lock = FileLock(str(path), 0)
        if not lock.take():
            lock.close()
            return False
        self._lock, self._path = lock, path
        return True

    def close(self) -> None:
        """Let go."""
        if self._lock is not None and self._path is not None:
            # Deleted while it is held: whoever has opened it already holds a file that is no more, which harms nobody.
            self._path.unlink(missing_ok=True)
            self._lock.close()
            self._lock = self._path = None
