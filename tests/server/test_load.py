"""Many clients at once, and one that does not read: everybody gets every event, in order."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from tests.components import require

require("server")

from tests.server.service import Service, serving  # noqa: E402

CLIENTS = 500


@pytest.fixture
def descriptors() -> Iterator[None]:
    """Room for both ends of every connection."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4 * CLIENTS)), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@asynccontextmanager
async def listening(service: Service, after: int) -> AsyncIterator[asyncio.StreamReader]:
    """Follow all events over a connection of its own, past the headers."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(service.url.rpartition(":")[2]), limit=2**16)
    try:
        writer.write(f"GET /api/events?after={after} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        assert b"200 OK" in await reader.readuntil(b"\r\n\r\n")
        yield reader
    finally:
        writer.close()


async def heard(reader: asyncio.StreamReader, last: int) -> list[int]:
    """The ids of events up to a position."""
    found: list[int] = []
    while not found or found[-1] < last:
        line = await reader.readline()
        if line.startswith(b"id: "):
            found.append(int(line[4:]))
    return found


async def test_five_hundred_clients_hear_everything(descriptors: None) -> None:
    async with serving() as service, AsyncExitStack() as stack:
        before = (await service.app.events(await service.app.run("clerk", "hello")))[-1].position
        readers = [await stack.enter_async_context(listening(service, before)) for _ in range(CLIENTS)]
        positions = [record.position for record in await service.app.events(await service.app.run("clerk", "hello again"))]
        assert all(ids == positions for ids in await asyncio.gather(*[heard(reader, positions[-1]) for reader in readers]))


async def test_a_client_that_does_not_read_keeps_nobody_waiting_and_misses_nothing() -> None:
    async with serving() as service, listening(service, 0) as slow:
        runs = [await service.app.run("clerk", f"{number} " + "x" * 50_000) for number in range(60)]
        positions = sorted([record.position for run in runs for record in await service.app.events(run)])
        async with listening(service, positions[-2]) as quick:
            assert await heard(quick, positions[-1]) == positions[-1:]
        assert (await service.client().get("/health/ready")).status_code == 200
        assert await heard(slow, positions[-1]) == positions
