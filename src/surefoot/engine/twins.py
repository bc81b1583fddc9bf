"""Which calls nobody knows the outcome of, in a run and in all that belongs to its session: the same call is not started
again before somebody says what became of it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

from surefoot.core.errors import RunNotFound
from surefoot.core.ports import Query, RunRow, Runs, Store
from surefoot.core.state import State, fold

__all__ = ["unsettled"]

_PAGE = 100


async def unsettled(store: Store, state: State) -> set[str]:
    """Digests of calls of unknown outcome in a run, in the runs of its session, and in the children of any of these.

    Only runs that ever had such a call are read, however many a session has.
    """
    digests = set(state.unsettled)
    root = await _root(store, await store.get(state.id))
    async for row in _doubtful(store, root):
        if row.id != state.id:
            digests |= fold(await store.read(row.id)).unsettled
    return digests


async def _doubtful(store: Store, root: RunRow) -> AsyncIterator[RunRow]:
    """The runs with a call of unknown outcome that belong together with a run that has no parent."""
    query = Query(user=root.user, tenant=root.tenant, unknown=True, limit=_PAGE)
    while rows := await store.find(query):
        for row in rows:
            other = await _root(store, row)
            if other.id == root.id or (root.session and other.session == root.session):
                yield row
        query = replace(query, before=rows[-1].id)


async def _root(runs: Runs, row: RunRow) -> RunRow:
    """The run at the top of a tree; the topmost that is still there, when some were deleted."""
    while row.parent:
        try:
            row = await runs.get(row.parent)
        except RunNotFound:
            return row
    return row
