"""What every adapter needs when it reads an answer: values that may be missing or odd, and pieces as they arrive.

Servers leave fields out, fill them oddly or send halves of characters, so nothing is taken for granted here.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

from surefoot.core.canonical import sound
from surefoot.core.model import Delta, Emit, ProposedCall

__all__ = ["Deltas", "arguments_text", "count", "item", "proposed", "rows", "sound", "word"]

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


def arguments_text(value: object) -> str:
    """Arguments as text: some servers send an object instead, or nothing."""
    if isinstance(value, str):
        return value if value.strip() else "{}"
    return "{}" if value is None else json.dumps(value, separators=(",", ":"))


def proposed(name: object, arguments: object, provider_id: object) -> ProposedCall:
    """A call as a server wrote it, with missing fields empty."""
    return ProposedCall(sound(str(name or "")), sound(arguments_text(arguments)), sound(word(provider_id)))
