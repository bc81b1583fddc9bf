"""The one place that knows the `openai` package: connections, requests and streams, and what can go wrong with them.

`Clients` keeps one client, and so one pool of connections, for each event loop, with the package's aiohttp transport
and its retries switched off. Bodies and answers are plain JSON values: servers that only resemble the original leave
out or add fields, and nothing here depends on the package's own models of them.

Importing this file imports `openai` and `aiohttp`, which takes most of a second; `models.openai` does it in a thread.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any

import aiohttp
import httpx2
import openai

from surefoot.core.errors import ModelError
from surefoot.models import openai_errors as errors

__all__ = ["Clients"]

_CONNECT = 10.0


class Clients:
    """Clients of one server with one key, one for each event loop that asks.

    A client is closed by `aclose`, or else when its loop shuts down (`asyncio.run` closes asynchronous generators, and
    each client lives in one), so that no script ends with a warning about an open connection.
    """

    def __init__(self, key: str, base_url: str | None) -> None:
        self._key = key
        self._base_url = base_url
        self._open: dict[asyncio.AbstractEventLoop, tuple[openai.AsyncOpenAI, AsyncGenerator[None]]] = {}

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
            _, keeper = self._open.pop(loop)
            if loop is here:
                await keeper.aclose()
            elif loop.is_running():
                asyncio.run_coroutine_threadsafe(_finish(keeper), loop)

    async def _client(self) -> openai.AsyncOpenAI:
        loop = asyncio.get_running_loop()
        entry = self._open.get(loop)
        if entry is not None:
            return entry[0]
        # Reading the system's certificates takes tens of milliseconds, which no loop should wait for.
        client = await asyncio.to_thread(self._made)
        entry = self._open.get(loop)
        if entry is not None:  # another request was faster, and this client has no connection yet
            return entry[0]
        for gone in [known for known in self._open if known.is_closed()]:
            del self._open[gone]
        keeper = _kept(client)
        self._open[loop] = (client, keeper)
        await anext(keeper)
        return client

    def _made(self) -> openai.AsyncOpenAI:
        transport = openai.DefaultAioHttpClient()
        return openai.AsyncOpenAI(api_key=self._key, base_url=self._base_url, max_retries=0, http_client=transport)


async def _kept(client: openai.AsyncOpenAI) -> AsyncGenerator[None]:
    try:
        yield
    finally:
        await client.close()


async def _finish(keeper: AsyncGenerator[None]) -> None:
    await keeper.aclose()


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
