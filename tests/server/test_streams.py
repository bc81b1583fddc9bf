"""Chunks of an event stream: what has come goes together, silence is told, and a stop ends it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from tests.components import require

require("server")

from surefoot.server.streams import batched  # noqa: E402


async def test_what_has_come_goes_together_and_silence_is_told() -> None:
    stop, more = asyncio.Event(), asyncio.Event()

    async def items() -> AsyncGenerator[bytes]:
        for number in range(3):
            yield b"%d;" % number
        await more.wait()
        yield b"3;"
        await asyncio.Event().wait()

    async with aclosing(batched(stop, items(), silence=0.05)) as chunks:
        async with asyncio.timeout(5):
            said = b""
            while b": still here" not in said:
                said += await anext(chunks)
            assert said.startswith(b"0;1;2;")
            more.set()
            while b"3;" not in said:
                said += await anext(chunks)
            stop.set()
            assert [chunk async for chunk in chunks if not chunk.startswith(b":")] == []


async def test_a_stream_that_ends_is_over() -> None:
    async def items() -> AsyncGenerator[bytes]:
        yield b"1;"

    assert b"".join([chunk async for chunk in batched(asyncio.Event(), items())]) == b"1;"
