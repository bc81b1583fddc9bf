"""Long-term memory: search with explained scores, list, look at one entry and where it came from, forget."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from surefoot.app import App
from surefoot.core.memory import KINDS, Entry, Hit, Selection
from surefoot.runs.reports import entries, found
from surefoot.server.access import Reader, Runner, visible_to
from surefoot.server.problems import Problem
from surefoot.server.tokens import Caller

__all__ = ["MemoryFilter", "forgotten", "listed", "router", "sought"]

router = APIRouter(prefix="/api", tags=["memory"])


class MemoryFilter(BaseModel):
    """Whose memory, and what of it. ``query`` searches as an agent's recall does; without it the newest are listed."""

    model_config = ConfigDict(extra="forbid")

    query: str = Field("", max_length=2_000)
    user: str | None = Field(None, max_length=200)
    agent: str | None = Field(None, max_length=200)
    kind: Literal["", "episode", "fact", "core"] = ""
    closed: bool = Field(False, description="facts that no longer hold as well")
    limit: int = Field(50, ge=1, le=500)


@router.get("/memory")
async def list_memory(request: Request, caller: Reader, wanted: Annotated[MemoryFilter, Query()]) -> dict[str, Any]:
    """What is remembered: the best first with their scores and what these are made of, or, without a query, the newest first."""
    application: App = request.app.state.application
    if wanted.query.strip():
        hits = await sought(application, caller, wanted)
        return {"hits": [{"score": hit.score, "parts": dict(hit.parts), "entry": msgspec.to_builtins(hit.entry)} for hit in hits]}
    return {"entries": [msgspec.to_builtins(entry) for entry in await listed(application, caller, wanted)]}


@router.get("/memory/{entry}")
async def get_memory(request: Request, caller: Reader, entry: str) -> dict[str, Any]:
    """One entry, with the run and call that it stems from."""
    document: dict[str, Any] = msgspec.to_builtins(await _own(request.app.state.application, caller, entry))
    return document


@router.delete("/memory/{entry}")
async def forget_memory(request: Request, caller: Runner, entry: str, *, erase: bool = False) -> dict[str, Any]:
    """Forget an entry for good; with ``erase``, also in the runs that it stems from. Other people's take the role admin."""
    return {"forgotten": await forgotten(request.app.state.application, caller, entry, erase=erase)}


async def listed(application: App, caller: Caller, wanted: MemoryFilter) -> list[Entry]:
    """The newest entries that the caller may know of."""
    kinds = (wanted.kind,) if wanted.kind else KINDS
    return (await entries(application.memory(), _scope(caller, wanted), kinds=kinds, closed=wanted.closed))[: wanted.limit]


async def sought(application: App, caller: Caller, wanted: MemoryFilter) -> list[Hit]:
    """What fits a query best, of what the caller may know of."""
    kinds = (wanted.kind,) if wanted.kind else KINDS
    scope = _scope(caller, wanted)
    return await found(application.memory(), wanted.query, scope, kinds=kinds, limit=wanted.limit, explain=True)


async def forgotten(application: App, caller: Caller, entry: str, *, erase: bool = False) -> int:
    """Forget one entry. Raises Problem 404 for one that is not there, 403 for another's."""
    one = await _own(application, caller, entry)
    if one.scope.user != caller.user and not caller.may("manage"):
        raise Problem(403, f"this is what {one.scope.user or 'nobody in particular'} said; an admin can have it forgotten")
    return await application.memory().forget([one.id], by=caller.user, reason="over HTTP", erase=erase)


async def _own(application: App, caller: Caller, entry: str) -> Entry:
    found = await application.memory().find(Selection(ids=(entry,), closed=True))
    if not found or not visible_to(caller, found[0].scope.tenant):
        raise Problem(404, f"there is no entry {entry!r}; GET /api/memory lists them")
    return found[0]


def _scope(caller: Caller, wanted: MemoryFilter) -> dict[str, str | None]:
    return {"user": wanted.user, "agent": wanted.agent, "tenant": caller.tenant or None}
