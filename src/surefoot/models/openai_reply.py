"""What both of OpenAI's protocols share when an answer is read: token counts, finish reasons, and first deltas.

Servers that resemble the original leave fields out or fill them oddly, so nothing is taken for granted here.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from surefoot.core.messages import Usage
from surefoot.core.model import Delta, Emit, ProposedCall

__all__ = ["Deltas", "finish_of", "item", "rows", "sound", "usage_of"]

_FINISH = {
    "stop": "stop",
    "eos": "stop",
    "end_turn": "stop",
    "completed": "stop",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "tool_use": "tool_calls",
    "length": "length",
    "max_tokens": "length",
    "max_output_tokens": "length",
    "model_length": "length",
    "content_filter": "content_filter",
    "safety": "content_filter",
    "": "stop",
}
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


def finish_of(reason: Any, calls: Sequence[ProposedCall]) -> str:
    """The finish reason in our words; one nobody knows stays as the provider said it."""
    word = sound(reason) if isinstance(reason, str) else ""
    finish = _FINISH.get(word.lower(), word)
    # Several servers say "stop" and call tools all the same.
    return "tool_calls" if calls and finish == "stop" else finish


def usage_of(usage: Any) -> Usage:
    """Token counts under either protocol's names; what is absent is 0."""
    counts = item(usage)
    details = item(counts.get("prompt_tokens_details") or counts.get("input_tokens_details"))
    thought = item(counts.get("completion_tokens_details") or counts.get("output_tokens_details"))
    return Usage(
        input=_count(counts.get("prompt_tokens", counts.get("input_tokens"))),
        output=_count(counts.get("completion_tokens", counts.get("output_tokens"))),
        # DeepSeek reports cache hits beside the details.
        cached=_count(details.get("cached_tokens", counts.get("prompt_cache_hit_tokens"))),
        cache_write=_count(details.get("cache_write_tokens")),
        reasoning=_count(thought.get("reasoning_tokens")),
    )


def item(value: Any) -> Mapping[str, Any]:
    """The value when it is a JSON object, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def rows(value: Any) -> list[Mapping[str, Any]]:
    """The objects in a JSON array, else nothing."""
    return [entry for entry in value if isinstance(entry, Mapping)] if isinstance(value, list) else []


def _count(value: Any) -> int:
    return int(value) if isinstance(value, int | float) and 0 < value < _MOST else 0


def sound(text: str) -> str:
    """Text that is valid Unicode: halves of characters that came apart are joined, those without a match replaced."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text
