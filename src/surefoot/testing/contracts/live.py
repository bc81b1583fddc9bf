"""What every `Live` must do, as tests: inherit, and give a fixture named ``live``.

::

    class TestMine(Contract):
        @pytest.fixture
        def live(self) -> Live:
            return Mine()
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

from surefoot.core.model import Delta
from surefoot.core.ports import Live
from surefoot.testing.contracts.scenes import SECONDS, take

__all__ = ["Contract"]


class Contract:
    """The behaviour of the port."""

    async def test_what_is_published_is_heard(self, live: Live) -> None:
        """In order, by everyone who watches that run, and by nobody else."""
        sent = [Delta("text", "a"), Delta("reasoning", ""), Delta("call", '{"ü"')]
        async with (
            aclosing(live.subscribe("r")) as one,
            aclosing(live.subscribe("r")) as two,
            aclosing(live.subscribe("other")) as other,
        ):
            first, second, third = _ask(one), _ask(two), _ask(other)
            await asyncio.sleep(0)
            for delta in sent:
                live.publish("r", delta)
            assert [await first, *await take(one, 2)] == sent
            assert [await second, *await take(two, 2)] == sent
            live.publish("other", sent[0])
            assert await third == sent[0]

    async def test_nobody_need_listen(self, live: Live) -> None:
        """What nobody watches is dropped; who comes later hears what comes later."""
        live.publish("r", Delta("text", "early"))
        async with aclosing(live.subscribe("r")) as deltas:
            first = _ask(deltas)
            await asyncio.sleep(0)
            live.publish("r", Delta("text", "late"))
            assert await first == Delta("text", "late")
        live.publish("r", Delta("text", "nobody is left"))

    async def test_a_watcher_that_does_not_fetch_harms_nobody(self, live: Live) -> None:
        """Publishing goes on, memory is bounded, and the newest are kept."""
        async with aclosing(live.subscribe("r")) as deltas:
            first = _ask(deltas)
            await asyncio.sleep(0)
            for number in range(25_000):
                live.publish("r", Delta("text", str(number)))
            await first
            live.publish("r", Delta("text", "last"))
            heard = 0
            async with asyncio.timeout(SECONDS):
                while (await anext(deltas)).text != "last":
                    heard += 1
            assert heard < 25_000

    async def test_a_closed_subscription_ends(self, live: Live) -> None:
        """Also when it was never begun."""
        deltas = live.subscribe("r")
        await deltas.aclose()
        with pytest.raises(StopAsyncIteration):
            await anext(deltas)


def _ask(deltas: AsyncGenerator[Delta]) -> asyncio.Task[Delta]:
    """Begin to watch."""

    async def ask() -> Delta:
        async with asyncio.timeout(SECONDS):
            return await anext(deltas)

    return asyncio.create_task(ask())
