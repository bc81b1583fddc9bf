"""How a store lists runs: the row of one, what to look for, what a claim gives, what a check finds."""

from __future__ import annotations

from dataclasses import dataclass

from surefoot.core.events import AppEvent, Record

__all__ = ["Claim", "Erasure", "Problem", "Query", "RunRow", "SessionRow"]


@dataclass(frozen=True, slots=True)
class RunRow:
    """A run as the store lists it. Times are Unix microseconds; ``status`` follows `core.state.status_after`."""

    id: str
    agent: str
    status: str
    key: str = ""
    session: str = ""
    user: str = ""
    tenant: str = ""
    parent: str = ""
    tags: tuple[str, ...] = ()
    epoch: int = 0
    head: int = 0
    owner: str = ""
    lease_until: int = 0
    wake_at: int = 0
    created_at: int = 0


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A conversation as the store lists it: runs of one session, user and tenant, those of tools left out.

    ``runs`` and ``open`` count those that were asked for, and those of them that have not ended. ``first`` and ``last`` are
    run ids, ``created_at`` and ``last_at`` when these two were asked for (Unix microseconds).
    """

    id: str
    user: str = ""
    tenant: str = ""
    title: str = ""
    runs: int = 0
    open: int = 0
    first: str = ""
    last: str = ""
    created_at: int = 0
    last_at: int = 0


@dataclass(frozen=True, slots=True)
class Query:
    """Which runs to list: every field that is set must match. Newest first.

    ``text`` is searched, without regard to case, in what users said and what runs answered. ``before`` and ``after`` are
    run ids (time-ordered) that bound the list, exclusive. ``ahead_of`` is a run before which all of the list were created, as
    the store saw it, which then also orders the list: clocks of several processes may order ids otherwise. ``unknown`` leaves
    only runs in which the outcome of a call was, or is, unknown.
    """

    agent: str = ""
    session: str | None = None
    user: str | None = None
    tenant: str | None = None
    parent: str | None = None
    key: str | None = None
    status: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    text: str = ""
    unknown: bool = False
    before: str = ""
    after: str = ""
    ahead_of: str = ""
    limit: int = 100


@dataclass(frozen=True, slots=True)
class Claim:
    """A run is this worker's, until the lease ends: its epoch and all its records, the claim's own included."""

    run: str
    epoch: int
    records: list[Record]


@dataclass(frozen=True, slots=True)
class Problem:
    """Something `Upkeep.check` found: where, and what."""

    stream: str
    seq: int
    what: str


@dataclass(frozen=True, slots=True)
class Erasure:
    """What `Erasures.strike` is to remove: events (stream, seq), of the ``app`` stream memory.kept only; and every event that
    holds a text (stream, or empty for all; text), in runs that have ended. ``told`` is appended to the ``app`` stream.
    """

    events: tuple[tuple[str, int], ...] = ()
    texts: tuple[tuple[str, str], ...] = ()
    told: tuple[AppEvent, ...] = ()
