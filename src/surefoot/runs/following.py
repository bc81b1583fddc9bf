"""Watch a run: its events and the pieces of its text, in one stream."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, suppress
from typing import Any, Literal

from surefoot.core import events as ev
from surefoot.core.errors import RunError
from surefoot.core.model import Delta
from surefoot.core.ports import Query, RunRow, Store
from surefoot.core.state import ENDED, State, fold, status_after
from surefoot.core.values import Spent
from surefoot.engine.bodies import is_cancelled
from surefoot.engine.work import Suspended
from surefoot.engine.worker import Worker
from surefoot.runs.desk import cancel, questions

__all__ = ["below", "child", "driven", "follow", "merged", "soon", "stopped"]

#: Seconds that a run which is stopped has to end.
_LAST = 5.0


async def follow(store: Store, run: str, after: int = 0, until: Literal["wait", "end"] = "wait") -> AsyncGenerator[ev.Record]:
    """A run's records with a sequence number above ``after`` as they come, until it ends, or waits for a human."""
    status = "new"
    records = store.follow(run)
    try:
        async for record in records:
            status = status_after(status, record.event)
            if record.seq > after:
                yield record
            rests = status in ENDED or (until == "wait" and status == "waiting")
            if rests and await _stands_at(store, run, record.seq):
                return
    finally:
        await records.aclose()


async def below(store: Store, run: str) -> list[RunRow]:
    """The runs below a run, at any depth, that somebody might work on now: ready ones, and those that wait for a time."""
    rows: list[RunRow] = []
    for child in await store.find(Query(parent=run, status=("ready", "running", "waiting"), limit=1_000)):
        if child.status != "waiting" or child.wake_at:
            rows.append(child)
        if child.status == "waiting":
            rows += await below(store, child.id)
    return rows


async def _stands_at(store: Store, run: str, seq: int) -> bool:
    """Whether a run stands at this event, ended or waiting for a human; it may long have gone on."""
    state = fold(await store.read(run))
    return state.seq == seq and (state.status in ENDED or bool(await questions(store, state)))


async def driven(task: asyncio.Task[State | None], run: str) -> State | None:
    """What a worker's task came to; leaving off waiting for it does not stop it. Raises RunError when it was let go."""
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        if task.cancelled() and not is_cancelled():
            raise RunError(f"this App was closed while run {run} was in work; whoever opens it next goes on") from None
        raise


async def child(store: Store, worker: Worker, row: RunRow, parent: str, spend: Callable[[str, Spent], None]) -> State:
    """A child's state once it has ended, for the tool that started it. Raises Suspended when it waits; either way ``spend``
    is told what it used.
    """
    cancelled = fold(await store.read(parent)).cancel
    if cancelled is not None:  # before the child was there to be found
        await cancel(store, row.id, cancelled.by, "its parent was cancelled")
    while True:
        state = await driven(worker.kick(row.id, row.agent, queue=False), row.id) or fold(await store.read(row.id))
        if state.status in (*ENDED, "waiting"):
            spend(row.id, state.spent)
            if state.status == "waiting":
                raise Suspended(row.id)
            return state
        await asyncio.sleep(0.05)


async def stopped(store: Store, take: Callable[[State], Awaitable[None]], run: str, call: str) -> None:
    """Stop the runs that a call started and ended without, and wait until they have ended, but not for ever."""
    for row in await store.find(Query(parent=run, status=("ready", "running", "waiting"), limit=1_000)):
        first = (await store.read(row.id, 0, 1))[0].event
        if not isinstance(first, ev.RunStarted) or first.parent_call != call:
            continue
        for state in await cancel(store, row.id, "", "the call that started it ended without it"):
            await take(state)
        with suppress(TimeoutError):
            async with asyncio.timeout(_LAST), aclosing(follow(store, row.id, until="end")) as records:
                async for _ in records:
                    pass


async def merged(
    deltas: AsyncGenerator[Delta], records: AsyncGenerator[ev.Record], rest: Callable[[], Awaitable[int]]
) -> AsyncGenerator[ev.Record | Delta]:
    """Both as they come, each delta right behind the record that asked for it, until the records end or the run rests.

    ``rest`` is called once both listen, and gives the sequence number at which the run rests; what it raises is raised.
    """
    early: list[Delta] = []
    seq = 0
    async with aclosing(_arrivals(deltas, records, rest)) as arrivals:
        async for item in arrivals:
            if isinstance(item, Delta) and item.after > seq:
                early.append(item)  # pieces come straight from the worker, records by way of the store
                continue
            yield item
            if isinstance(item, ev.Record):
                seq = item.seq
                while early and early[0].after <= seq:
                    yield early.pop(0)


async def _arrivals(
    deltas: AsyncGenerator[Delta], records: AsyncGenerator[ev.Record], rest: Callable[[], Awaitable[int]]
) -> AsyncGenerator[ev.Record | Delta]:
    """Both as they come, until the records end, or the one has come at which the run rests."""
    queue: asyncio.Queue[Any] = asyncio.Queue()
    end = object()

    async def pump(source: AsyncGenerator[Any]) -> None:
        async for item in source:
            queue.put_nowait(item)

    async def pump_records() -> object:
        await pump(records)
        return end

    tasks = [asyncio.create_task(pump(deltas)), asyncio.create_task(_last(pump_records(), queue))]
    await asyncio.sleep(0)
    tasks.append(asyncio.create_task(_last(rest(), queue)))
    seq, rests = 0, sys.maxsize
    try:
        while seq < rests and (item := await queue.get()) is not end:
            if isinstance(item, BaseException):
                raise item
            if isinstance(item, int):
                rests = item
                continue
            yield item
            seq = item.seq if isinstance(item, ev.Record) else seq
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await deltas.aclose()
        await records.aclose()


async def _last(ending: Awaitable[Any], queue: asyncio.Queue[Any]) -> None:
    """Put what ``ending`` gives, or raises, into the queue."""
    try:
        queue.put_nowait(await ending)
    except asyncio.CancelledError:
        raise
    except BaseException as error:  # noqa: BLE001  raised again for whoever reads
        queue.put_nowait(error)


async def soon(event: asyncio.Event, seconds: float) -> None:
    """Wait for an event, but not for ever: another process may act without a word."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass
