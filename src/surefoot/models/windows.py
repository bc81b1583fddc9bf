"""What is known of models by name: how many tokens they take, and whether they reason.

Names are matched by their longest known beginning, so that dated versions are found too. Figures are the vendors' own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

__all__ = ["DEFAULT_WINDOW", "context_window", "reasons"]

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
    "deepseek": 128_000,
    "mistral-large": 128_000,
    "mistral-small": 128_000,
    "llama-3": 128_000,
    "llama3": 128_000,
    "qwen3": 131_072,
    "kimi": 256_000,
    "glm": 128_000,
}
_REASONS = re.compile(r"o\d|gpt-([5-9]|\d\d)")


def context_window(model: str) -> int:
    """Tokens of input a model takes; `DEFAULT_WINDOW` where unknown. A prefix such as ``vendor/`` is ignored."""
    name = _bare(model)
    known = [prefix for prefix in _WINDOWS if name.startswith(prefix)]
    return _WINDOWS[max(known, key=len)] if known else DEFAULT_WINDOW


def reasons(model: str) -> bool:
    """Whether OpenAI's model of this name thinks before it answers, so that its thoughts are to be kept."""
    name = _bare(model)
    return _REASONS.match(name) is not None and "-chat" not in name


def _bare(model: str) -> str:
    return model.lower().rpartition("/")[2].removeprefix("ft:")
