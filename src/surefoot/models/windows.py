"""What is known of models by name: how many tokens they take, and whether they reason.

Names are matched by their longest known beginning, so that dated versions are found too. Figures are the vendors' own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeVar

__all__ = ["DEFAULT_WINDOW", "by_name", "context_window", "most_output", "reasons", "version"]

T = TypeVar("T")
#: For a model nobody here has heard of: small enough for most, and a server that takes less says so.
DEFAULT_WINDOW = 32_000

_WINDOWS: Mapping[str, int] = {
    "gpt-6": 1_050_000,
    "gpt-5.6": 1_050_000,
    "gpt-5.5": 1_000_000,
    "gpt-5.4": 1_050_000,
    "gpt-5.4-mini": 400_000,
    "gpt-5.4-nano": 400_000,
    "gpt-5": 400_000,
    "gpt-5-chat": 128_000,
    "gpt-5.1-chat": 128_000,
    "gpt-5.2-chat": 128_000,
    "gpt-5.3-chat": 128_000,
    "gpt-4.1": 1_000_000,
    "gpt-4o": 128_000,
    "gpt-4-turbo": 128_000,
    "gpt-4": 8_192,
    "gpt-3.5-turbo": 16_385,
    "o1": 200_000,
    "o1-mini": 128_000,
    "o3": 200_000,
    "o4": 200_000,
    "gpt-oss": 131_072,
    "claude": 1_000_000,
    "claude-2": 100_000,
    "claude-3": 200_000,
    "claude-haiku-4": 200_000,
    "claude-opus-4": 200_000,
    "claude-opus-4-6": 1_000_000,
    "claude-opus-4-7": 1_000_000,
    "claude-opus-4-8": 1_000_000,
    "claude-sonnet-4": 200_000,
    "claude-sonnet-4-6": 1_000_000,
    "gemini": 1_000_000,
    "gemma-3": 128_000,
    "gemma-4": 262_144,
    "deepseek": 128_000,
    "mistral-large": 128_000,
    "mistral-small": 128_000,
    "llama-3": 128_000,
    "llama3": 128_000,
    "qwen3": 131_072,
    "kimi": 256_000,
    "glm": 128_000,
}
#: What Claude models that are older than this table's defaults may say at most.
_OUTPUTS: Mapping[str, int] = {"claude-2": 4_096, "claude-3": 4_096, "claude-3-5": 8_192, "claude-3-7": 32_000}
_DEFAULT_OUTPUT = 32_000
_VERSION = re.compile(r"(\d+)(?:[-.](\d{1,2}))?(?![\d])")
_NEWEST = (99, 0)
_REASONS = re.compile(r"o\d|gpt-([5-9]|\d\d)")


def by_name(known: Mapping[str, T], model: str, otherwise: T) -> T:
    """What is known by the longest beginning of a model's name that is there."""
    name = _bare(model)
    found = [beginning for beginning in known if name.startswith(beginning)]
    return known[max(found, key=len)] if found else otherwise


def context_window(model: str) -> int:
    """Tokens of input a model takes; `DEFAULT_WINDOW` where unknown. A prefix such as ``vendor/`` is ignored."""
    return by_name(_WINDOWS, model, DEFAULT_WINDOW)


def reasons(model: str) -> bool:
    """Whether OpenAI's model of this name thinks before it answers, so that its thoughts are to be kept."""
    name = _bare(model)
    return _REASONS.match(name) is not None and "-chat" not in name


def most_output(model: str) -> int:
    """Tokens a Claude model may answer with where nothing is said: what it can, but no more than an agent needs."""
    return by_name(_OUTPUTS, model, _DEFAULT_OUTPUT)


def version(model: str, family: str) -> tuple[int, int]:
    """The version in the name of a model of a family: (4, 5) of ``claude-haiku-4-5-20251001``; without one, the newest."""
    name = _bare(model)
    found = _VERSION.search(name) if family in name else None
    return (int(found[1]), int(found[2] or 0)) if found else _NEWEST


def _bare(model: str) -> str:
    return model.lower().rpartition("/")[2].removeprefix("ft:")
