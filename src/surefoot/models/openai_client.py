"""The one place that knows the `openai` package: connections, requests and streams, and what can go wrong with them.

`Clients` keeps one client, and so one pool of connections, for each event loop, with the package's aiohttp transport
and its retries switched off. Bodies and answers are plain JSON values: servers that only resemble the original leave
out or add fields, and nothing here depends on the package's own models of them.

Importing this file imports `openai` and what comes with it (`aiohttp`, `httpx2`), which takes most of a second;
`models.openai` does it in a thread.
"""

from __future__ import annotations

import asyncio
import json
import weakref
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import suppress
from typing import Any

import aiohttp
import httpx2
import openai

from surefoot.core.errors import ModelError
from surefoot.models import openai_errors as errors

__all__ = ["Clients"]

_CONNECT = 10.0
#: Ten years, in seconds.
_NEVER = 3.2e8


class Clients:
    """Clients of one server with one key, one for each event loop that asks.

    A client is closed by `aclose`, or else when nobody holds the models that use it, or when its loop shuts down, so
    that no script ends with a warning about an open connection.
    """

    def __init__(self, key: str, base_url: str | None) -> None:
        self._key = key
        self._base_url = base_url
        self._open: dict[asyncio.AbstractEventLoop, _Open] = {}

    async def fetch(self, path: str, body: Mapping[str, Any], patience: float) -> tuple[Any, Mapping[str, str]]:
        """Post a JSON body; the JSON answer, and the response's headers. Raises ModelError."""
        try:
            client = await self._client()
            options: Any = {"timeout": _timeout(patience)}
            response = await client.post(path, cast_to=httpx2.Response, body=body, options=options)
            return _decoded(response), response.headers
        except _FAULTS as fault:
            raise _translated(fault) from fault

    async def stream(
        self, path: str, body: Mapping[str, Any], patience: float, feed: Callable[[Any], None]
    ) -> tuple[Any, Mapping[str, str]]:
        """Post a JSON body and hand each server-sent event's JSON to ``feed``; None, and the response's headers.

        A server that answers with plain JSON instead of a stream has it returned in place of None. Leaving early, by
        cancellation or by an exception of ``feed``, closes the connection at once. Raises ModelError.
        """
        try:
            client = await self._client()
            options: Any = {"timeout": _timeout(patience)}
            response = await client.post(path, cast_to=httpx2.Response, body=body, options=options, stream=True)
            try:
                if response.headers.get("content-type", "").startswith(("application/json", "text/html")):
                    await response.aread()
                    return _decoded(response), response.headers
                events = openai.AsyncStream(cast_to=object, response=response, client=client)
                async for event in events:
                    feed(event)
                return None, response.headers
            finally:
                await response.aclose()
        except _FAULTS as fault:
            raise _translated(fault) from fault

    async def aclose(self) -> None:
        """Close every client. The next request opens a new one."""
        here = asyncio.get_running_loop()
        for loop in list(self._open):
            opened = self._open.pop(loop)
            if loop is here:
                await opened.close()
            else:
                opened.abandon()

    async def _client(self) -> openai.AsyncOpenAI:
        loop = asyncio.get_running_loop()
        opened = self._open.get(loop)
        if opened is not None:
            return opened.client
        # Reading the system's certificates takes tens of milliseconds, which no loop should wait for.
        client = await asyncio.to_thread(self._made)
        opened = self._open.get(loop)
        if opened is not None:  # another request was faster, and this client has no connection yet
            return opened.client
        for gone in [known for known in self._open if known.is_closed()]:
            del self._open[gone]
        opened = self._open[loop] = _Open(client, loop)
        weakref.finalize(self, opened.abandon).atexit = False
        await opened.keep()
        return client

    def _made(self) -> openai.AsyncOpenAI:
        transport = openai.DefaultAioHttpClient()
        return openai.AsyncOpenAI(api_key=self._key, base_url=self._base_url, max_retries=0, http_client=transport)


class _Open:
    """One loop's client, and what closes it in time.

    The client lives in an asynchronous generator: a loop that shuts down in order closes those. A timer that never rings
    has the loop hold the generator, since the garbage collector may take an open session before it takes what closes it.
    """

    def __init__(self, client: openai.AsyncOpenAI, loop: asyncio.AbstractEventLoop) -> None:
        self.client = client
        self._loop = loop
        self._keeper = _kept(client)
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


async def _kept(client: openai.AsyncOpenAI) -> AsyncGenerator[None]:
    try:
        yield
    finally:
        await client.close()


def _timeout(seconds: float) -> openai.Timeout:
    return openai.Timeout(seconds, connect=min(seconds, _CONNECT))


def _decoded(response: httpx2.Response) -> Any:
    try:
        return json.loads(response.content)
    except (ValueError, RecursionError) as error:
        raise errors.malformed(response.text, response.headers) from error


#: What the package and the libraries under it raise. A JSONDecodeError comes from an event that is not JSON.
_FAULTS = (
    openai.OpenAIError,
    httpx2.HTTPError,
    httpx2.StreamError,
    httpx2.InvalidURL,
    aiohttp.ClientError,
    json.JSONDecodeError,
    UnicodeDecodeError,
    OSError,
)


def _translated(fault: Exception) -> ModelError:
    if isinstance(fault, openai.APIStatusError):
        return errors.refused(fault.status_code, fault.body, fault.response.headers)
    if isinstance(fault, json.JSONDecodeError | UnicodeDecodeError):
        return errors.malformed(str(fault), {})
    if isinstance(fault, openai.APIConnectionError | httpx2.HTTPError | aiohttp.ClientError | OSError):
        return errors.unreachable(_root(fault), timed_out=_timed_out(fault))
    if isinstance(fault, openai.APIError):  # an error inside a stream
        return errors.refused(0, fault.body, {})
    return ModelError("invalid_request", f"the request could not be made: {fault}")


def _root(fault: BaseException) -> str:
    chain = _chain(fault)
    return next((str(error) for error in reversed(chain) if str(error)), type(chain[-1]).__name__)


def _chain(fault: BaseException) -> list[BaseException]:
    chain = [fault]
    while chain[-1].__cause__ is not None:
        chain.append(chain[-1].__cause__)
    return chain


def _timed_out(fault: BaseException) -> bool:
    """Whether time ran out. The transport reports a lost connection as a timeout too, so its own cause decides."""
    root = _chain(fault)[-1]
    if isinstance(root, aiohttp.ClientError | OSError):
        return isinstance(root, TimeoutError)
    return isinstance(fault, openai.APITimeoutError | httpx2.TimeoutException)
