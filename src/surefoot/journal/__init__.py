"""The journal: where a run's events are kept, in memory or in one SQLite file.

`open_store("sqlite:agent.db", clock)` and `open_store("memory:", clock)` choose; both pass one contract suite.
`live_of` gives what carries deltas beside a store. `check` and `salvage` look after a file that may not open any more.
"""

from __future__ import annotations

from collections.abc import Sequence

from surefoot.core.errors import ConfigurationError
from surefoot.core.ports import Clock, Projection, Store
from surefoot.journal.live import MemoryLive, SqliteLive
from surefoot.journal.memory import MemoryStore
from surefoot.journal.salvage import Report, salvage
from surefoot.journal.sqlite import Settings, SqliteStore
from surefoot.journal.verify import check

__all__ = ["MemoryLive", "MemoryStore", "SqliteLive", "SqliteStore", "live_of", "open_store", "Report", "check", "salvage"]


def open_store(url: str, clock: Clock, projections: Sequence[Projection] = (), settings: Settings = Settings()) -> Store:  # noqa: B008
    """The store that ``url`` names, not yet opened, with tables to be kept in step; ``settings`` are a file's.

    Raises ConfigurationError for anything else.
    """
    kind, colon, path = url.partition(":")
    if kind == "memory" and colon and not path:
        return MemoryStore(clock, projections)
    if kind == "sqlite" and path:
        return SqliteStore(path, clock, settings, projections)
    raise ConfigurationError(f"no store is named {url!r}; use 'sqlite:agent.db' (a file) or 'memory:' (nothing is kept)")


def live_of(store: Store, clock: Clock) -> MemoryLive | SqliteLive:
    """What carries deltas between those who share ``store``, to be closed like it."""
    return SqliteLive(store.path, clock) if isinstance(store, SqliteStore) else MemoryLive()
