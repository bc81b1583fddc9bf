"""Conversations as every provider needs them: each call has one result, each id is usable and used once.

`turns` goes through our messages once and gives a list of `Turn`, which an adapter then writes in its own form. Bytes of
images and files are read here, through the request's ``load``.
"""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import msgspec

from surefoot.core.canonical import sound
from surefoot.core.errors import ModelError
from surefoot.core.messages import File, Image, Message, Part, Text, ToolCall, ToolResult
from surefoot.core.model import ModelRequest

__all__ = ["ANY_ID", "Content", "Turn", "content_of", "readable", "sent_arguments", "sent_object", "turns"]

_TEXTS = ("application/json", "application/xml", "application/yaml", "application/x-yaml", "application/toml")
_object = msgspec.json.Decoder(dict[str, msgspec.Raw])
#: Ids of calls that a protocol takes, unless it says otherwise: any, but not too long.
ANY_ID = re.compile(r"(?s).{1,64}")
#: What stands for an image that a model made, and in front of it where it is shown again.
_SHOWN, _MADE = "[an image]", "[the image that the assistant made]"


@dataclass(frozen=True, slots=True)
class Turn:
    """One message, its ``calls`` and ``results`` paired with their ids on the wire.

    ``current`` marks what came after the last user message.
    """

    role: str
    parts: tuple[Part, ...] = ()
    calls: tuple[tuple[str, ToolCall], ...] = ()
    results: tuple[tuple[str, ToolResult], ...] = ()
    current: bool = False


class _Walk:
    """Pairs calls and results.

    Our call ids repeat from run to run of a session, and a provider's may be missing, too long or used twice. The wire
    wants each once, so ids are given in order, and results find theirs by the latest call of that name.
    """

    def __init__(self, usable: re.Pattern[str], *, show: bool) -> None:
        self.usable, self.show = usable, show
        self.shown: list[Image] = []
        self.turns: list[Turn] = []
        self.taken: set[str] = set()
        self.latest: dict[str, str] = {}
        self.open: dict[str, ToolCall] = {}
        self.count = 0

    def assistant(self, message: Message, *, current: bool) -> None:
        calls = tuple([(self.named(part), part) for part in message.parts if type(part) is ToolCall])
        parts = tuple([part for part in message.parts if type(part) is not ToolCall])
        if self.show and any(type(part) is Image for part in parts):
            self.shown += [part for part in parts if type(part) is Image]
            parts = tuple([Text(_SHOWN) if type(part) is Image else part for part in parts])
        if parts or calls:
            self.turns.append(Turn("assistant", parts, calls, current=current))

    def user(self, message: Message, *, current: bool) -> None:
        made: list[Part] = [part for image in self.shown for part in (Text(_MADE), image)]
        self.shown.clear()
        if made or message.parts:
            self.turns.append(Turn("user", (*made, *message.parts), current=current))

    def named(self, call: ToolCall) -> str:
        self.count += 1
        wire = call.provider_id
        if wire in self.taken or not self.usable.fullmatch(wire):
            wire = f"call_{self.count}"
            if not self.usable.fullmatch(wire):  # nine letters and digits, where nothing else will do
                wire = next(name for at in count(self.count) if (name := f"call{at:05d}") not in self.taken)
        while wire in self.taken:
            wire += "_"
        self.taken.add(wire)
        self.latest[call.id] = wire
        self.open[wire] = call
        return wire

    def results(self, message: Message, *, current: bool) -> None:
        paired: list[tuple[str, ToolResult]] = []
        stray: list[Part] = []
        for part in message.parts:
            if type(part) is not ToolResult:
                stray.append(part)
                continue
            wire = self.latest.get(part.call, "")
            if self.open.pop(wire, None) is not None:
                paired.append((wire, part))
            else:  # its call was left out when the conversation was shortened
                stray += (Text(f"[result of {part.name}] {part.text}"), *part.parts)
        if paired:
            self.turns.append(Turn("tool", results=tuple(paired), current=current))
        if stray:
            self.turns.append(Turn("user", tuple(stray), current=current))

    def settle(self) -> None:
        """Calls that nobody answered get an answer: the protocols refuse a conversation without."""
        lost = [(wire, ToolResult(call.id, call.name, "[no result]", error=True)) for wire, call in self.open.items()]
        self.open.clear()
        if lost:
            self.turns.append(Turn("tool", results=tuple(lost)))


def turns(messages: Sequence[Message], usable: re.Pattern[str] = ANY_ID, *, show: bool = True) -> list[Turn]:
    """The conversation, paired and complete; a provider's ids that are not ``usable`` are replaced.

    With ``show``, an image that a model made, which most protocols do not take back as its own, is shown with the user's next
    message.
    """
    walk = _Walk(usable, show=show)
    last = max((index for index, message in enumerate(messages) if message.role == "user"), default=-1)
    for index, message in enumerate(messages):
        current = index > last
        if message.role == "tool":
            walk.results(message, current=current)
            continue
        walk.settle()
        if message.role == "assistant":
            walk.assistant(message, current=current)
        else:
            walk.user(message, current=current)
    walk.settle()
    return walk.turns


@dataclass(frozen=True, slots=True)
class Content:
    """An image or a file, ready to send: as ``url`` (also a data URL), with its bytes when there are any."""

    url: str
    data: bytes | None = None

    @property
    def base64(self) -> str:
        """The bytes as base64 text."""
        return base64.b64encode(self.data or b"").decode()


async def content_of(part: Image | File, request: ModelRequest) -> Content:
    """The content of an image or a file. Raises ModelError when its bytes cannot be had."""
    if part.url:
        return Content(part.url)
    data = part.data
    if not data and part.blob:
        if request.load is None:
            raise ModelError("invalid_request", f"the bytes of blob {part.blob[:16]} are not at hand: no blob store was given")
        try:
            data = await request.load(part.blob)
        except KeyError:
            raise ModelError("invalid_request", f"blob {part.blob[:16]} is gone; start the run anew with the file") from None
    return Content(f"data:{part.media_type};base64,{base64.b64encode(data).decode()}", data)


def readable(part: File) -> bool:
    """Whether a file is text, which every model can be sent as it is."""
    return part.media_type.startswith("text/") or part.media_type in _TEXTS


def sent_arguments(call: ToolCall) -> str:
    """A call's arguments as a JSON object's text: servers parse what they are sent, and a model's may be broken.

    They were not validated where nobody knew the tool, whatever the call says.
    """
    try:
        _object.decode(call.arguments)
    except (ValueError, RecursionError):
        return json.dumps({"invalid_json": sound(call.arguments)})
    return call.arguments


def sent_object(call: ToolCall) -> dict[str, Any]:
    """A call's arguments as a JSON object, as `sent_arguments` has them."""
    try:
        value: dict[str, Any] = json.loads(sent_arguments(call), parse_float=_finite)
    except (ValueError, RecursionError):
        return {"invalid_json": sound(call.arguments)}
    return value


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(text)
    return number
