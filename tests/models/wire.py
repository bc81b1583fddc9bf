"""A server on loopback that answers with the very bytes a test gives it, for what vendors send and no mock says.

`Wire` answers one `Answer` for each request, in order, and keeps what was asked. Answers are written from the vendors'
documentation.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Answer:
    """Status, headers and pieces of a body; ``cut`` closes without the end, ``hold`` never sends it."""

    pieces: tuple[bytes, ...] = ()
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    kind: str = "application/json"
    cut: bool = False
    hold: bool = False


@dataclass(frozen=True)
class Asked:
    """A request as it came."""

    path: str
    headers: Mapping[str, str]
    body: Any


def whole(body: Any, status: int = 200, **headers: str) -> Answer:
    """One JSON body."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer((json.dumps(body).encode(),), status, named)


def events(*items: Any, done: bool = True, **given: Any) -> Answer:
    """Server-sent events, one piece each; text items are sent as they are."""
    lines = [item if isinstance(item, str) else f"data: {json.dumps(item)}\n\n" for item in items]
    if done and not given.get("hold"):
        lines.append("data: [DONE]\n\n")
    return Answer(tuple(line.encode() for line in lines), kind="text/event-stream", **given)


def sse(events: Iterable[str], **given: Any) -> Answer:
    """A stream of events as they are written, one piece each."""
    return Answer(tuple(event.encode() for event in events), kind="text/event-stream", **given)


class Wire:
    """The server; use it as a context."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.asked: list[Asked] = []
        self.gone = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Wire:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1"

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            while await self._serve(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self.gone.set()
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        self.asked.append(Asked(head[0].split()[1], headers, _read(headers.get("content-type", ""), body)))
        answer = self.answers.pop(0)
        fields = {"content-type": answer.kind, "transfer-encoding": "chunked", **answer.headers}
        lines = [f"HTTP/1.1 {answer.status} Because", *(f"{name}: {value}" for name, value in fields.items())]
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        for piece in answer.pieces:
            writer.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            await writer.drain()
            await asyncio.sleep(0)
        if answer.hold:
            await reader.read()  # until the client closes
            return False
        if answer.cut:
            return False
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return True


def _read(kind: str, body: bytes) -> Any:
    """What was sent: JSON as a value, a form as text, a file as bytes (one package calls those JSON, too)."""
    if kind.startswith("application/x-www-form"):
        return body.decode()
    try:
        return json.loads(body)
    except ValueError:
        return body
