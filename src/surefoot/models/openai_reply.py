"""What both of OpenAI's protocols share when an answer is read: token counts and finish reasons."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from surefoot.core.messages import Usage
from surefoot.core.model import ProposedCall
from surefoot.models.reading import count, item, sound

__all__ = ["finish_of", "usage_of"]

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
        input=count(counts.get("prompt_tokens", counts.get("input_tokens"))),
        output=count(counts.get("completion_tokens", counts.get("output_tokens"))),
        # DeepSeek reports cache hits beside the details.
        cached=count(details.get("cached_tokens", counts.get("prompt_cache_hit_tokens"))),
        cache_write=count(details.get("cache_write_tokens")),
        reasoning=count(thought.get("reasoning_tokens")),
    )
