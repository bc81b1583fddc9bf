"""What a run in the foreground needs from other runs that a dead process may have left."""

from __future__ import annotations

import asyncio
from typing import Any

from surefoot.app import App
from surefoot.cli.screen import Screen
from surefoot.cli.writing import line
from surefoot.core.ports import Query, RunRow
from surefoot.core.run import Run
from surefoot.core.state import ENDED

__all__ = ["work_on_needs"]


async def work_on_needs(app: App, screen: Screen, name: str) -> None:
    """Work on the runs that this one waits for, until they have ended or wait.

    Those are the ones before it in its session, whose runs start in order, and its children. This process takes up no
    other run.
    """
    run: Run[Any] = await app.get(name)
    needed = await _children(app, run.id)
    if run.session:
        query = Query(session=run.session, user=run.user, tenant=run.tenant, before=run.id, status=("ready", "running"))
        for row in await app.store.find(query):
            here = "" if row.agent in app.agents else f", and its agent {line(row.agent)} is not here"
            screen.note(f"run {row.id} of the same session comes first{here}", "yellow")
            needed.append(row)
    await asyncio.gather(*[app.wait(row.id) for row in needed if row.agent in app.agents])


async def _children(app: App, run: str) -> list[RunRow]:
    """The descendants of a run that have not ended."""
    rows = [row for row in await app.store.find(Query(parent=run, limit=1_000)) if row.status not in ENDED]
    return rows + [below for row in rows for below in await _children(app, row.id)]
