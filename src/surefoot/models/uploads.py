"""Large images and files: given to the vendor once, through its Files API, and named by every request after that.

A request that is ready is searched for bytes that stand in it as text. What is large leaves the body, and a reference takes
its place; the reference is remembered with the client, by the digest of the bytes, until shortly before the vendor lets the
file expire. A server without such an API keeps getting the bytes.
"""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from surefoot.core.errors import ModelError
from surefoot.core.messages import File, Image, Message, ToolResult
from surefoot.core.model import ModelReply, ModelRequest

__all__ = ["KEPT", "Given", "Inline", "Uploads", "asked", "blocks", "replaced", "split"]

#: Seconds for which a vendor is asked to keep a file, where it asks how long.
KEPT = 7 * 86_400
#: Characters of base64 that one part, and all parts of a request, may have in the body.
_ONE, _ALL = 5_000_000, 12_000_000
#: Seconds before its end at which a file is given anew.
_EARLY = 3_600


@dataclass(frozen=True, slots=True)
class Inline:
    """Bytes in a body, as base64; ``name_by`` puts a reference in their place."""

    data: str
    kind: str
    name: str
    name_by: Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Given:
    """A vendor's reference to a file, and when it ends (Unix seconds)."""

    reference: str
    until: float


class Uploads:
    """The files that one client's vendor has. ``put`` gives it one: its bytes, media type and name. ``most`` is in bytes."""

    def __init__(self, put: Callable[[bytes, str, str], Awaitable[Given]], most: int) -> None:
        self._put, self._most = put, most
        self._given: dict[str, Given] = {}
        self._absent = False

    async def lighten(self, found: Iterator[Inline]) -> frozenset[str]:
        """Replace what is large; the references that are used. Raises ModelError."""
        used, room = set(), _ALL
        for one in found if not self._absent else ():
            if len(one.data) <= min(_ONE, room):
                room -= len(one.data)
                continue
            given = await self._of(one)
            if given is None:
                break
            one.name_by(given.reference)
            used.add(given.reference)
        return frozenset(used)

    def forget(self, references: frozenset[str]) -> None:
        """Give these anew, should they be wanted again."""
        self._given = {key: given for key, given in self._given.items() if given.reference not in references}

    async def _of(self, one: Inline) -> Given | None:
        key = hashlib.blake2b(one.data.encode(), digest_size=16, person=b"upload").hexdigest() + one.kind
        given = self._given.get(key)
        if given is not None and given.until - _EARLY > time.time():
            return given
        data = base64.b64decode(one.data)
        if len(data) > self._most:
            told = f"{one.name or one.kind} has {len(data) / 1e6:,.0f} MB, and the provider takes {self._most / 1e6:,.0f} MB"
            raise ModelError("invalid_request", f"{told}; send a part of it, or give it to a tool that reads it")
        try:
            given = await self._put(data, one.kind, one.name or "file")
        except ModelError as error:
            if error.status not in (404, 405, 501):
                raise
            self._absent = True  # this server has no such API
            return None
        self._given[key] = given
        return given


Body = dict[str, Any]


async def asked(
    uploads: Uploads | None,
    request: ModelRequest,
    make: Callable[[], Awaitable[Body]],
    found: Callable[[Body], Iterator[Inline]],
    send: Callable[[Body], Awaitable[ModelReply]],
) -> ModelReply:
    """Make a body, give its large bytes to the vendor first, and send it; once more where the vendor has lost one meanwhile."""
    body = await make()
    if uploads is None or not _carries(request.messages):
        return await send(body)
    used = await uploads.lighten(found(body))
    try:
        return await send(body)
    except ModelError as error:
        if not used or error.kind not in ("not_found", "invalid_request", "permission") or "file" not in str(error).casefold():
            raise
    uploads.forget(used)
    body = await make()
    await uploads.lighten(found(body))
    return await send(body)


def _carries(messages: Sequence[Message]) -> bool:
    """Whether any message has an image or a file in it."""
    for message in messages:
        for part in message.parts:
            if isinstance(part, Image | File) or (isinstance(part, ToolResult) and part.parts):
                return True
    return False


def blocks(node: Any) -> Iterator[dict[str, Any]]:
    """Every object in a body."""
    if isinstance(node, dict):
        yield node
        node = list(node.values())
    if isinstance(node, list):
        for one in node:
            if isinstance(one, dict | list):
                yield from blocks(one)


def split(url: Any) -> tuple[str, str]:
    """Media type and base64 text of a data URL; nothing where it is none."""
    if not isinstance(url, str) or not url.startswith("data:"):
        return "", ""
    head, _, data = url.partition(",")
    return head.removeprefix("data:").partition(";")[0], data


def replaced(block: dict[str, Any], old: Sequence[str], new: Mapping[str, Any]) -> None:
    """Change a block in its place."""
    for key in old:
        block.pop(key, None)
    block.update(new)
