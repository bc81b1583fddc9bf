"""The one place that knows the `google-genai` package: its clients, its transport, and what can go wrong with them.

The package gives addresses, credentials and connections, over aiohttp and with its retries switched off. Bodies and
answers are plain JSON values, and streams are read here: the package's own reader fails on the comments that proxies
send to keep a connection alive.

Importing this file imports `google.genai` and what comes with it, which takes seconds; `models.gemini` does it in a
thread.
"""

from __future__ import annotations

import asyncio
import io
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
from google import genai
from google.auth import exceptions as auth
from google.genai import errors as sdk_errors
from google.genai import types

from surefoot.core.errors import ModelError
from surefoot.models import gemini_errors as errors
from surefoot.models.pools import Pool
from surefoot.models.uploads import Given, Uploads

__all__ = ["Clients", "Target"]

#: What the package and the libraries under it raise. A ValueError is a client that cannot be made as it is asked for.
_FAULTS = (
    sdk_errors.APIError,
    auth.GoogleAuthError,
    aiohttp.ClientError,
    json.JSONDecodeError,
    UnicodeDecodeError,
    ValueError,
    RuntimeError,
    OSError,
)


#: Bytes of the largest file that the vendor takes, seconds for which it keeps one, and seconds between looks at one.
_MOST, _KEPT, _LOOK = 2_000_000_000, 48 * 3_600, 0.5


@dataclass(frozen=True, slots=True)
class Target:
    """Whom to ask: AI Studio with a key, or Vertex AI in a project and a location; ``base_url`` in place of either."""

    key: str = ""
    vertex: bool = False
    project: str = ""
    location: str = ""
    base_url: str = ""


class Clients:
    """Clients of one target, one for each event loop that asks."""

    def __init__(self, target: Target) -> None:
        self._pool = Pool(lambda: _Client.opened(target), lambda client: client.aclose())
        self.uploads = Uploads(self._put, _MOST)

    async def fetch(self, path: str, body: dict[str, object], sent: Mapping[str, str]) -> tuple[Any, Mapping[str, str]]:
        """Post a JSON body with the headers ``sent``; the JSON answer, and the response's headers. Raises ModelError."""
        response = await self._opened(path, body, sent)
        try:
            return _decoded(await _read(response), response.headers), response.headers
        finally:
            response.close()

    async def stream(
        self, path: str, body: dict[str, object], sent: Mapping[str, str], feed: Callable[[Any], None]
    ) -> tuple[Any, Mapping[str, str]]:
        """Post a JSON body and hand each server-sent event's JSON to ``feed``; None, and the response's headers.

        A server that answers with plain JSON instead of a stream has it returned in place of None. Leaving early, by
        cancellation or by an exception of ``feed``, closes the connection at once. Raises ModelError.
        """
        response = await self._opened(f"{path}?alt=sse", body, sent)
        try:
            if response.content_type in ("application/json", "text/html"):
                return _decoded(await _read(response), response.headers), response.headers
            lines = _Lines()
            while not lines.ended:
                for event in lines.events(await _piece(response)):
                    feed(_decoded(event, response.headers))
            return None, response.headers
        except ModelError as error:
            raise errors.FAILING.named(error, response.headers) from error.__cause__
        finally:
            response.close()

    async def _put(self, data: bytes, kind: str, name: str) -> Given:
        try:
            files = (await self._pool.client()).sdk.aio.files
            kept = await files.upload(file=io.BytesIO(data), config=types.UploadFileConfig(mime_type=kind, display_name=name))
            while kept.state is types.FileState.PROCESSING:  # a film is looked at first
                await asyncio.sleep(_LOOK)
                kept = await files.get(name=kept.name or "")
        except (*_FAULTS, KeyError) as fault:
            raise _translated(fault) from fault
        if kept.state is types.FileState.FAILED or not kept.uri:
            raise ModelError("invalid_request", f"the provider could not read {name} ({kind})")
        return Given(kept.uri, kept.expiration_time.timestamp() if kept.expiration_time else time.time() + _KEPT)

    async def aclose(self) -> None:
        """Close every client. The next request opens a new one."""
        await self._pool.aclose()

    async def _opened(self, path: str, body: dict[str, object], sent: Mapping[str, str]) -> aiohttp.ClientResponse:
        try:
            client = await self._pool.client()
            # What all of the package's own methods are made of, without their models of requests and answers.
            api = client.sdk._api_client  # noqa: SLF001  see above
            request = api._build_request("post", path, body)  # noqa: SLF001  see above
            request.headers.update(sent)
            answer = await api._async_request(request, stream=True)  # noqa: SLF001  see above
        except _FAULTS as fault:
            raise _translated(fault) from fault
        response: Any = answer.response_stream
        opened: aiohttp.ClientResponse = response
        return opened


class _Response(aiohttp.ClientResponse):
    """A response whose error is read even where it says that it is JSON, and is not: its status would be lost."""

    async def json(self, **options: Any) -> Any:
        """The body, parsed; what cannot be parsed is an error's message."""
        try:
            return await super().json(**options)
        except (ValueError, RecursionError):
            return {"message": await self.text(errors="replace")}


class _Client:
    """The package's client, and the connections it uses."""

    def __init__(self, sdk: genai.Client, session: aiohttp.ClientSession) -> None:
        self.sdk = sdk
        self._session = session

    @classmethod
    async def opened(cls, target: Target) -> _Client:
        """Make one. The connections are ours: those that the package makes for itself warn, and are not closed in time."""
        pool = aiohttp.TCPConnector(limit=0)
        session = aiohttp.ClientSession(connector=pool, trust_env=True, response_class=_Response)
        try:
            return cls(await asyncio.to_thread(_made, target, session), session)
        except BaseException:
            await session.close()
            raise

    async def aclose(self) -> None:
        """Close the connections."""
        await self.sdk.aio.aclose()
        await self._session.close()


def _made(target: Target, session: aiohttp.ClientSession) -> genai.Client:
    return genai.Client(
        vertexai=target.vertex,
        api_key=target.key or None,
        project=target.project or None,
        location=target.location or None,
        http_options=types.HttpOptions(
            base_url=target.base_url or None,
            aiohttp_client=session,
            # One attempt, said aloud: without it the package tries lost connections again, after a pause.
            retry_options=types.HttpRetryOptions(attempts=1),
        ),
    )


class _Lines:
    """Cuts an event stream into events, as its bytes arrive. Source: the HTML standard, "Server-sent events"."""

    def __init__(self) -> None:
        self.ended = False
        self._rest = b""
        self._data: list[bytes] = []

    def events(self, piece: bytes) -> Iterator[bytes]:
        """The data of the events that a piece completes; a piece of nothing is the stream's end."""
        *lines, self._rest = (self._rest + piece).split(b"\n") if piece else (self._rest, b"", b"")
        self.ended = not piece
        for line in lines:
            name, _, value = line.rstrip(b"\r").partition(b":")
            if name == b"data":
                self._data.append(value.removeprefix(b" "))
            elif not name and not value and self._data:
                data = b"\n".join(self._data)
                self._data.clear()
                if data.strip() not in (b"", b"[DONE]"):
                    yield data


async def _read(response: aiohttp.ClientResponse) -> bytes:
    try:
        return await response.read()
    except _FAULTS as fault:
        raise _translated(fault) from fault


async def _piece(response: aiohttp.ClientResponse) -> bytes:
    try:
        return await response.content.readany()
    except _FAULTS as fault:
        raise _translated(fault) from fault


def _decoded(text: bytes, headers: Mapping[str, str]) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise errors.malformed(text.decode(errors="replace"), headers) from error


def _translated(fault: Exception) -> ModelError:
    if isinstance(fault, sdk_errors.APIError):
        headers = getattr(fault.response, "headers", None) or {}
        return errors.refused(fault.code or 0, fault.details, headers)
    if isinstance(fault, auth.TransportError):
        return errors.FAILING.unreachable(str(fault), timed_out=False)
    if isinstance(fault, auth.GoogleAuthError):
        retryable = bool(getattr(fault, "retryable", False))
        kind = "server" if retryable else "auth"
        return ModelError(kind, f"no credentials for Vertex AI: {fault}; see `gcloud auth application-default login`")
    if isinstance(fault, aiohttp.InvalidURL):
        return ModelError("invalid_request", f"the request could not be made: {fault} is no address")
    if isinstance(fault, aiohttp.ClientError | OSError):
        reason = str(fault) or type(fault).__name__
        return errors.FAILING.unreachable(reason, timed_out=isinstance(fault, TimeoutError))
    if isinstance(fault, json.JSONDecodeError | UnicodeDecodeError):
        return errors.malformed(str(fault), {})
    return ModelError("invalid_request", f"the request could not be made: {fault}")
