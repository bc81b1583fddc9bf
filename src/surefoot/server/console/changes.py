"""Tell a page that something it shows has changed; what, it fetches itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Collection
from contextlib import aclosing, suppress
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.sse import EventSourceResponse, ServerSentEvent

from surefoot.app import App
from surefoot.core.errors import RunNotFound
from surefoot.server.access import Reader, visible_to
from surefoot.server.streams import until
from surefoot.server.tokens import Caller

__all__ = ["router"]

router = APIRouter(include_in_schema=False)


@router.get("/console/changes", response_class=EventSourceResponse)
async def changes(
    request: Request,
    caller: Reader,
    run: Annotated[list[str], Query(max_length=100)] = [],  # noqa: B006  FastAPI copies it
) -> AsyncIterator[ServerSentEvent]:
    """An event ``change`` whenever a run was written to, or one of these; many at once are told as one."""
    application: App = request.app.state.application
    yield ServerSentEvent(comment="listening")
    async with aclosing(until(request.app.state.stop, _written(application, frozenset(run)))) as written:
        async for streams in written:
            for stream in streams:
                if await _visible(application, caller, stream):
                    yield ServerSentEvent(event="change", data={"run": stream})
                    break


async def _written(application: App, runs: Collection[str]) -> AsyncGenerator[list[str]]:
    """The streams that were written to, as often as some were."""
    changed: set[str] = set()
    stirred = asyncio.Event()

    def committed(stream: str, outside: bool) -> None:
        if not runs or stream in runs:
            changed.add(stream)
            stirred.set()

    stop = application.store.on_commit(committed)
    try:
        while True:
            await stirred.wait()
            stirred.clear()
            streams = sorted(changed)
            changed.clear()
            yield streams
    finally:
        stop()


async def _visible(application: App, caller: Caller, run: str) -> bool:
    if not caller.tenant:
        return True
    with suppress(RunNotFound):
        return visible_to(caller, (await application.store.get(run)).tenant)
    return False
