"""Requests through a vendor's package of the kind that `openai` and `anthropic` are: JSON posted, JSON or events back.

Both packages are generated from one mould, so what posts through one posts through the other. Bodies and answers are
plain JSON values: servers that only resemble the original leave out or add fields, and nothing here depends on a
package's own models of them. Importing this file imports `aiohttp` and `httpx2`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import aiohttp
import httpx2

from surefoot.core.errors import ModelError
from surefoot.models.failures import Failing
from surefoot.models.pools import Pool

__all__ = ["Posting"]

_CONNECT = 10.0

#: What the libraries under the packages raise. A JSONDecodeError comes from an event that is not JSON.
_FAULTS: tuple[type[Exception], ...] = (
    httpx2.HTTPError,
    httpx2.StreamError,
    httpx2.InvalidURL,
    aiohttp.ClientError,
    json.JSONDecodeError,
    UnicodeDecodeError,
    OSError,
)

_Refused = Callable[[int, Any, Mapping[str, str]], ModelError]


class Posting:
    """Posts to one server with one key, through a package given as ``sdk``.

    Args:
        sdk: the package's module.
        make: makes one of its asynchronous clients; called in a thread, once for each event loop.
        failing: makes the provider's errors; ``refused`` reads those that the server sends.
    """

    def __init__(self, sdk: Any, make: Callable[[], Any], failing: Failing, refused: _Refused) -> None:
        self._sdk = sdk
        self._faults = (*_FAULTS, *[getattr(sdk, name) for name in ("OpenAIError", "AnthropicError") if hasattr(sdk, name)])
        self._failing = failing
        self._refused = refused
        self._pool: Pool[Any] = Pool(lambda: asyncio.to_thread(make), lambda client: client.close())

    async def fetch(
        self, path: str, body: Mapping[str, Any], patience: float, sent: Mapping[str, str]
    ) -> tuple[Any, Mapping[str, str]]:
        """Post a JSON body with the headers ``sent``; the JSON answer, and the response's headers. Raises ModelError."""
        try:
            client = await self._pool.client()
            options: Any = {"timeout": self._timeout(patience), "headers": sent}
            response = await client.post(path, cast_to=httpx2.Response, body=body, options=options)
            return self._decoded(response), response.headers
        except self._faults as fault:
            raise self._translated(fault) from fault

    async def stream(
        self, path: str, body: Mapping[str, Any], patience: float, sent: Mapping[str, str], feed: Callable[[Any], None]
    ) -> tuple[Any, Mapping[str, str]]:
        """Post a JSON body and hand each server-sent event's JSON to ``feed``; None, and the response's headers.

        A server that answers with plain JSON instead of a stream has it returned in place of None. Leaving early, by
        cancellation or by an exception of ``feed``, closes the connection at once. Raises ModelError.
        """
        try:
            client = await self._pool.client()
            options: Any = {"timeout": self._timeout(patience), "headers": sent}
            response = await client.post(path, cast_to=httpx2.Response, body=body, options=options, stream=True)
            try:
                if response.headers.get("content-type", "").startswith(("application/json", "text/html")):
                    await response.aread()
                    return self._decoded(response), response.headers
                events = self._sdk.AsyncStream(cast_to=object, response=response, client=client)
                async for event in events:
                    feed(event)
                return None, response.headers
            except ModelError as error:
                raise self._failing.named(error, response.headers) from error.__cause__
            finally:
                await response.aclose()
        except self._faults as fault:
            raise self._translated(fault) from fault

    async def give(self, send: Callable[[Any], Awaitable[str]]) -> str:
        """Give the server a file, through a method of the package; the file's id. Raises ModelError."""
        try:
            return await send(await self._pool.client())
        except self._faults as fault:
            raise self._translated(fault) from fault

    async def aclose(self) -> None:
        """Close every client. The next request opens a new one."""
        await self._pool.aclose()

    def _timeout(self, seconds: float) -> Any:
        return self._sdk.Timeout(seconds, connect=min(seconds, _CONNECT))

    def _decoded(self, response: Any) -> Any:
        try:
            return json.loads(response.content)
        except (ValueError, RecursionError) as error:
            raise self._failing.malformed(response.text, response.headers) from error

    def _translated(self, fault: Exception) -> ModelError:
        sdk = self._sdk
        if isinstance(fault, sdk.APIStatusError):
            # One of the packages reports an error inside a stream by the status the stream began with.
            status = fault.status_code if fault.status_code >= 400 else 0
            return self._refused(status, fault.body, fault.response.headers)
        if isinstance(fault, json.JSONDecodeError | UnicodeDecodeError):
            return self._failing.malformed(str(fault), {})
        if isinstance(fault, sdk.APIConnectionError | httpx2.HTTPError | aiohttp.ClientError | OSError):
            return self._failing.unreachable(_root(fault), timed_out=self._timed_out(fault))
        if isinstance(fault, sdk.APIError):  # an error inside a stream
            return self._refused(0, fault.body, {})
        return ModelError("invalid_request", f"the request could not be made: {fault}")

    def _timed_out(self, fault: BaseException) -> bool:
        """Whether time ran out. The transport reports a lost connection as a timeout too, so its own cause decides."""
        root = _chain(fault)[-1]
        if isinstance(root, aiohttp.ClientError | OSError):
            return isinstance(root, TimeoutError)
        return isinstance(fault, self._sdk.APITimeoutError | httpx2.TimeoutException)


def _root(fault: BaseException) -> str:
    chain = _chain(fault)
    return next((str(error) for error in reversed(chain) if str(error)), type(chain[-1]).__name__)


def _chain(fault: BaseException) -> list[BaseException]:
    chain = [fault]
    while chain[-1].__cause__ is not None:
        chain.append(chain[-1].__cause__)
    return chain
