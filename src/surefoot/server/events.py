"""Events over HTTP: as JSON, and as they happen as server-sent events, which go on where a client left off."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, suppress
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import StreamingResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent

from surefoot.app import App
from surefoot.core.errors import RunNotFound
from surefoot.core.events import Record, tag_of
from surefoot.core.model import Delta
from surefoot.server.access import Reader, own, visible_to
from surefoot.server.streams import batched, until
from surefoot.server.tokens import Caller

__all__ = ["event_schemas", "router"]

router = APIRouter(prefix="/api", tags=["events"])

LastEventId = Annotated[str, Header(max_length=30)]
_REF = "#/components/schemas/{name}"
_LIST: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/json": {"schema": {"type": "array", "items": {"$ref": _REF.format(name="Record")}}}}}
}


@router.get("/runs/{run}/events", responses=_LIST)
async def run_events(
    request: Request, caller: Reader, run: str, after: Annotated[int, Query(ge=0)] = 0, limit: Annotated[int, Query(ge=1)] = 1_000
) -> Response:
    """A run's events with a sequence number above ``after``."""
    found = await own(request, caller, run)
    application: App = request.app.state.application
    records = await application.store.read(found.id, after, min(limit, 10_000))
    return Response(msgspec.json.encode(records), media_type="application/json")


@router.get("/runs/{run}/stream", response_class=EventSourceResponse)
async def run_stream(
    request: Request,
    caller: Reader,
    run: str,
    after: Annotated[int, Query(ge=0)] = 0,
    rest: Annotated[Literal["wait", "end"], Query(alias="until")] = "end",
    last_event_id: LastEventId = "",
) -> AsyncIterator[ServerSentEvent]:
    """A run's events and the pieces of its text as they come, until it ends. An event's id is its sequence number."""
    application: App = request.app.state.application
    found = await own(request, caller, run)
    seen = int(last_event_id) if last_event_id.isdigit() else after
    async with aclosing(until(request.app.state.stop, application.watch(found, after=seen, until=rest))) as items:
        async for item in items:
            if isinstance(item, Delta):
                yield ServerSentEvent(event="delta", data={"kind": item.kind, "text": item.text, "after": item.after})
            else:
                yield _sent(item, item.seq)
    yield ServerSentEvent(event="end", data={})


@router.get("/events", response_class=StreamingResponse, responses={200: {"content": {"text/event-stream": {}}}})
async def all_events(
    request: Request, caller: Reader, after: Annotated[int, Query(ge=0)] = 0, last_event_id: LastEventId = ""
) -> Response:
    """The events of all runs as they come. An event's id is its position, which orders all streams."""
    application: App = request.app.state.application
    seen = int(last_event_id) if last_event_id.isdigit() else after
    records = _of(application, caller, application.store.follow(None, seen))
    chunks = batched(request.app.state.stop, records, _lines)
    return StreamingResponse(chunks, media_type="text/event-stream", headers={"Cache-Control": "no-cache"})


async def _of(application: App, caller: Caller, records: AsyncGenerator[Record]) -> AsyncGenerator[Record]:
    """Those of runs that the caller may know of."""
    tenants: dict[str, bool] = {}
    async with aclosing(records):
        async for record in records:
            if record.stream != "app" and await _visible(application, caller, record.stream, tenants):
                yield record


def _lines(record: Record) -> bytes:
    """A record as an event of a stream; JSON has no line break of its own."""
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (record.position, tag_of(record.event).encode(), msgspec.json.encode(record))


def event_schemas() -> dict[str, Any]:
    """The JSON Schemas of `Record` and of every event, made from the one union that is stored."""
    _, components = msgspec.json.schema_components([Record], ref_template=_REF)
    return components


def _sent(record: Record, number: int) -> ServerSentEvent:
    return ServerSentEvent(event=tag_of(record.event), id=str(number), raw_data=msgspec.json.encode(record).decode())


async def _visible(application: App, caller: Caller, run: str, known: dict[str, bool]) -> bool:
    if not caller.tenant:
        return True
    if run not in known:
        known[run] = False
        with suppress(RunNotFound):
            known[run] = visible_to(caller, (await application.store.get(run)).tenant)
    return known[run]
