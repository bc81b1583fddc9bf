"""One client, and so one pool of connections, for each event loop that asks; closed in time, whoever forgets to.

`Lazy` imports a vendor's package when it is first needed; `Pool` keeps its clients. A client is closed by `Pool.aclose`,
or else when nobody holds the pool, or when its loop shuts down, so that no script ends with a warning about an open
connection.
"""

from __future__ import annotations

import asyncio
import importlib.util
import weakref
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress
from typing import Generic, Protocol, TypeVar

from surefoot.models.pricing import load_prices

__all__ = ["Lazy", "Pool", "present"]

Client = TypeVar("Client")

#: Ten years, in seconds.
_NEVER = 3.2e8


def present(*packages: str) -> bool:
    """Whether packages are installed, without importing them."""
    try:
        return all(importlib.util.find_spec(package) is not None for package in packages)
    except ImportError:
        return False


class Pool(Generic[Client]):
    """Clients of one server, one for each event loop.

    Args:
        make: makes a client; what takes its time, such as reading the system's certificates, is done in a thread there.
        close: closes one, on its own loop.
    """

    def __init__(self, make: Callable[[], Awaitable[Client]], close: Callable[[Client], Awaitable[object]]) -> None:
        self._make = make
        self._close = close
        self._open: dict[asyncio.AbstractEventLoop, _Open[Client]] = {}

    async def client(self) -> Client:
        """The running loop's client; made on first use."""
        loop = asyncio.get_running_loop()
        opened = self._open.get(loop)
        if opened is not None:
            return opened.client
        client = await self._make()
        opened = self._open.get(loop)
        if opened is not None:  # another request was faster
            await self._close(client)
            return opened.client
        for gone in [known for known in self._open if known.is_closed()]:
            del self._open[gone]
        opened = self._open[loop] = _Open(client, self._close, loop)
        weakref.finalize(self, opened.abandon).atexit = False
        await opened.keep()
        return client

    async def aclose(self) -> None:
        """Close every client. The next request opens a new one."""
        here = asyncio.get_running_loop()
        for loop in list(self._open):
            opened = self._open.pop(loop)
            if loop is here:
                await opened.close()
            else:
                opened.abandon()


class _Open(Generic[Client]):
    """One loop's client, and what closes it in time.

    The client lives in an asynchronous generator: a loop that shuts down in order closes those. A timer that never rings
    has the loop hold the generator, since the garbage collector may take an open session before it takes what closes it.
    """

    def __init__(self, client: Client, close: Callable[[Client], Awaitable[object]], loop: asyncio.AbstractEventLoop) -> None:
        self.client = client
        self._loop = loop
        self._keeper = _kept(client, close)
        self._held = loop.call_later(_NEVER, id, self._keeper)

    async def keep(self) -> None:
        """Begin to watch over the client."""
        await anext(self._keeper)

    async def close(self) -> None:
        """Close the client, on its own loop."""
        self._held.cancel()
        await self._keeper.aclose()

    def abandon(self) -> None:
        """Have its own loop close the client; from anywhere, also while nothing may be awaited."""
        with suppress(RuntimeError):  # the loop is closed, and the client with it
            self._loop.call_soon_threadsafe(self._closing)

    def _closing(self) -> None:
        # The task's own callback holds it until it is done.
        task = self._loop.create_task(self.close())
        task.add_done_callback(lambda done: done.cancelled() or done.exception())


async def _kept(client: Client, close: Callable[[Client], Awaitable[object]]) -> AsyncGenerator[None]:
    try:
        yield
    finally:
        await close(client)


class _Closable(Protocol):
    async def aclose(self) -> None: ...


Clients = TypeVar("Clients", bound=_Closable)


class Lazy(Generic[Clients]):
    """What asks one server with one key, made on first use; several models may share one.

    Args:
        make: imports the vendor's package and makes the clients; called in a thread, since that takes most of a second.
    """

    def __init__(self, make: Callable[[], Clients]) -> None:
        self._make = make
        self._clients: Clients | None = None

    async def clients(self) -> Clients:
        """The clients."""
        if self._clients is None:
            made = await asyncio.to_thread(self._made)
            return self._kept(made)
        return self._clients

    async def aclose(self) -> None:
        """Close all connections; the next request opens new ones."""
        if self._clients is not None:
            await self._clients.aclose()

    def _kept(self, made: Clients) -> Clients:
        if self._clients is None:  # of two first requests at once, the slower finds what the faster made
            self._clients = made
        return self._clients

    def _made(self) -> Clients:
        clients = self._make()
        load_prices()  # the reply's price is asked for next, and this is a thread that may wait
        return clients
