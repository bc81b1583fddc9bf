"""What every adapter needs when it reads an answer: values that may be missing or odd, and pieces as they arrive.

Servers leave fields out, fill them oddly or send halves of characters, so nothing is taken for granted here.
"""

from __future__ import annotations

import base64
import binascii
import json
import time
from collections.abc import Mapping
from typing import Any

from surefoot.core.canonical import sound
from surefoot.core.messages import Image
from surefoot.core.model import Delta, Emit, ProposedCall

__all__ = ["Deltas", "arguments_text", "count", "image", "image_at", "item", "proposed", "rows", "sound", "word"]

#: More tokens than any answer has.
_MOST = 1e12


class Deltas:
    """Hands pieces of an answer on as they arrive, and remembers when the first came."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._began = time.monotonic()
        self._half = ""
        self.first: float | None = None

    def send(self, kind: str, text: str) -> None:
        """Pass on one piece: ``text``, ``reasoning``, or ``call`` with a tool's name."""
        text = self._half + text
        self._half = ""
        if "\ud800" <= text[-1:] <= "\udbff":  # half a character; some servers send the other half next
            text, self._half = text[:-1], text[-1]
        if not text:
            return
        if self.first is None:
            self.first = time.monotonic() - self._began
        self._emit(Delta(kind, sound(text)))  # type: ignore[arg-type]  # one of the three, by the callers here


def item(value: Any) -> Mapping[str, Any]:
    """The value when it is a JSON object, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def rows(value: Any) -> list[Mapping[str, Any]]:
    """The objects in a JSON array, else nothing."""
    return [entry for entry in value if isinstance(entry, Mapping)] if isinstance(value, list) else []


def word(value: Any) -> str:
    """The value when it is text, else nothing."""
    return value if isinstance(value, str) else ""


def count(value: Any) -> int:
    """A number of tokens; what is no sensible number is 0."""
    return int(value) if isinstance(value, int | float) and 0 < value < _MOST else 0


def image(data: object, kind: object) -> Image | None:
    """An image from base64 text; None where it is none. ``kind`` is a media type, or the last part of one."""
    try:
        content = base64.b64decode(word(data), validate=True)
    except (binascii.Error, ValueError):
        content = b""
    name = sound(word(kind)) or "png"
    return Image(content, name if "/" in name else f"image/{name}") if content else None


def image_at(url: object) -> Image | None:
    """An image from an address, which may hold it."""
    where = sound(word(url))
    if not where.startswith("data:"):
        return Image(url=where) if where else None
    head, _, data = where.removeprefix("data:").partition(",")
    return image(data, head.partition(";")[0])


def arguments_text(value: object) -> str:
    """Arguments as text: some servers send an object instead, or nothing."""
    if isinstance(value, str):
        return value if value.strip() else "{}"
    return "{}" if value is None else json.dumps(value, separators=(",", ":"))


def proposed(name: object, arguments: object, provider_id: object) -> ProposedCall:
    """A call as a server wrote it, with missing fields empty."""
    return ProposedCall(sound(str(name or "")), sound(arguments_text(arguments)), sound(word(provider_id)))
