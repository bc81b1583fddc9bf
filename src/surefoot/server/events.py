"""Events over HTTP: as JSON, and as they happen as server-sent events, which go on where a client left off."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import StreamingResponse

from surefoot.app import App
from surefoot.core.errors import RunNotFound
from surefoot.core.events import Record, tag_of
from surefoot.core.model import Delta
from surefoot.core.run import Run
from surefoot.server.access import Reader, own, visible_to
from surefoot.server.streams import batched
from surefoot.server.tokens import Caller

__all__ = ["event_schemas", "router"]

router = APIRouter(prefix="/api", tags=["events"])

LastEventId = Annotated[str, Header(max_length=30)]
_REF = "#/components/schemas/{name}"
_LIST: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/json": {"schema": {"type": "array", "items": {"$ref": _REF.format(name="Record")}}}}}
}
_EITHER: dict[int | str, dict[str, Any]] = {200: {"content": {**_LIST[200]["content"], "text/event-stream": {}}}}
_STREAM: dict[int | str, dict[str, Any]] = {200: {"content": {"text/event-stream": {}}}}


@router.get("/runs/{run}/events", responses=_LIST)
async def run_events(
    request: Request, caller: Reader, run: str, after: Annotated[int, Query(ge=0)] = 0, limit: Annotated[int, Query(ge=1)] = 1_000
) -> Response:
    """A run's events with a sequence number above ``after``."""
    found = await own(request, caller, run)
    application: App = request.app.state.application
    records = await application.store.read(found.id, after, min(limit, 10_000))
    return Response(msgspec.json.encode(records), media_type="application/json")


@router.get("/runs/{run}/stream", response_class=StreamingResponse, responses=_STREAM)
async def run_stream(
    request: Request,
    caller: Reader,
    run: str,
    after: Annotated[int, Query(ge=0)] = 0,
    rest: Annotated[Literal["wait", "end"], Query(alias="until")] = "end",
    last_event_id: LastEventId = "",
) -> Response:
    """A run's events and the pieces of its text as they come, until it ends. An event's id is its sequence number.

    The last event is ``end``; a stream without it was cut off, and goes on with the next request.
    """
    application: App = request.app.state.application
    found = await own(request, caller, run)
    return _stream(request, _told(application, found, int(last_event_id) if last_event_id.isdigit() else after, rest))


@router.get("/events", response_class=StreamingResponse, responses=_EITHER)
async def all_events(
    request: Request,
    caller: Reader,
    after: Annotated[int, Query(ge=0)] = 0,
    limit: Annotated[int, Query(ge=1)] = 1_000,
    accept: Annotated[str, Header(max_length=1_000)] = "",
    last_event_id: LastEventId = "",
) -> Response:
    """The events of all runs with a position above ``after``, which orders all streams.

    As they come, with the position as id; or, where JSON is what is accepted, those that there are, ``limit`` at most.
    """
    application: App = request.app.state.application
    if accept.startswith("application/json"):
        ours = await _page(application, caller, after, min(limit, 10_000))
        return Response(msgspec.json.encode(ours), media_type="application/json")
    seen = int(last_event_id) if last_event_id.isdigit() else after
    return _stream(request, _all(application, caller, application.store.follow(None, seen)))


def _stream(request: Request, events: AsyncGenerator[bytes]) -> Response:
    chunks = batched(request.app.state.stop, events)
    return StreamingResponse(chunks, media_type="text/event-stream", headers={"Cache-Control": "no-cache"})


async def _told(application: App, run: Run[object], seen: int, rest: Literal["wait", "end"]) -> AsyncGenerator[bytes]:
    """One run's events and the pieces of its text, to its end."""
    async with aclosing(application.watch(run, after=seen, until=rest)) as items:
        async for item in items:
            if isinstance(item, Delta):
                yield _lines("delta", {"kind": item.kind, "text": item.text, "after": item.after})
            else:
                yield _lines(tag_of(item.event), item, item.seq)
    yield _lines("end", {})


async def _all(application: App, caller: Caller, records: AsyncGenerator[Record]) -> AsyncGenerator[bytes]:
    """The events of those runs that the caller may know of."""
    tenants: dict[str, bool] = {}
    async with aclosing(records):
        async for record in records:
            if await _is_ours(application, caller, record, tenants):
                yield _lines(tag_of(record.event), record, record.position)


def _lines(name: str, data: object, number: int | None = None) -> bytes:
    """An event of a stream; JSON has no line break of its own."""
    head = b"" if number is None else b"id: %d\n" % number
    return b"%sevent: %s\ndata: %s\n\n" % (head, name.encode(), msgspec.json.encode(data))


def event_schemas() -> dict[str, Any]:
    """The JSON Schemas of `Record` and of every event, made from the one union that is stored."""
    _, components = msgspec.json.schema_components([Record], ref_template=_REF)
    return components


async def _page(application: App, caller: Caller, after: int, limit: int) -> list[Record]:
    """The next so many events of runs that the caller may know of."""
    tenants: dict[str, bool] = {}
    ours: list[Record] = []
    while len(ours) < limit and (found := await application.store.read(None, after, limit)):
        after = found[-1].position
        ours += [record for record in found if await _is_ours(application, caller, record, tenants)]
    return ours[:limit]


async def _is_ours(application: App, caller: Caller, record: Record, known: dict[str, bool]) -> bool:
    run = record.stream
    if run == "app" or not caller.tenant:
        return run != "app"
    if run not in known:
        known[run] = False
        with suppress(RunNotFound):
            known[run] = visible_to(caller, (await application.store.get(run)).tenant)
    return known[run]
