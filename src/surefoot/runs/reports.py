"""Figures over the runs of a time, for whoever shows them: their spans, how models and tools are doing, what is remembered."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress

from surefoot.core import events as ev
from surefoot.core.errors import RunNotFound
from surefoot.core.memory import KINDS, Entry, Hit, Question, Selection
from surefoot.core.ports import Memory, Query, Store
from surefoot.recovery.health import Health
from surefoot.runs.ages import first_id
from surefoot.telemetry.span import Span
from surefoot.telemetry.spans import spans_of

__all__ = ["entries", "found", "health_since", "records_below", "spans_since"]

_PAGE = 500


async def spans_since(store: Store, age: str, *, tenant: str | None = None) -> list[Span]:
    """The spans of all runs that began within an age, of one tenant or of all."""
    return [span async for records in _since(store, age, tenant) for span in spans_of(records)]


async def records_below(store: Store, run: str, limit: int) -> dict[str, list[ev.Record]]:
    """The events of the runs that a run started, and of those that they started, so many runs at most, by run."""
    found: dict[str, list[ev.Record]] = {}
    waiting = [run]
    while waiting and len(found) < limit:
        rows = await store.find(Query(parent=waiting.pop(0), limit=limit - len(found)))
        for row in reversed(rows):
            found[row.id] = await store.read(row.id)
            waiting.append(row.id)
    return found


async def health_since(store: Store, age: str) -> Health:
    """How models and tools did in the runs that began within an age, and how their breakers stand."""
    health = Health()
    with suppress(RunNotFound):  # nothing ever happened outside runs
        health.app(await store.read("app"))
    async for records in _since(store, age, None):
        health.run(records)
    return health


async def entries(
    memory: Memory, wanted: Mapping[str, str | None], *, kinds: Sequence[str] = KINDS, closed: bool = False
) -> list[Entry]:
    """What is remembered, newest first, of the scopes that have these values of user, agent and tenant; None is any."""
    given = {name: value for name, value in wanted.items() if value is not None}
    listed = await memory.find(Selection(kinds=tuple(kinds), closed=closed, limit=0))
    return [entry for entry in listed if all(getattr(entry.scope, name) == value for name, value in given.items())]


async def found(
    memory: Memory, text: str, wanted: Mapping[str, str | None], *, kinds: Sequence[str] = KINDS, limit: int = 10,
    explain: bool = False,
) -> list[Hit]:  # fmt: skip
    """What an agent's recall would find in these scopes, best first."""
    hits: list[Hit] = []
    for scope in {entry.scope for entry in await entries(memory, wanted, kinds=kinds)}:
        hits += await memory.recall(Question(text, scope, limit, kinds=tuple(kinds), explain=explain))
    return sorted(hits, key=lambda hit: -hit.score)[:limit]


async def _since(store: Store, age: str, tenant: str | None) -> AsyncIterator[list[ev.Record]]:
    query = Query(after=first_id(age), limit=_PAGE, tenant=tenant)
    while rows := await store.find(query):
        for row in rows:
            yield await store.read(row.id)
        query = Query(after=query.after, before=rows[-1].id, limit=_PAGE, tenant=tenant)
