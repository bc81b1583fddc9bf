"""Counting tokens as a model's vendor does, without asking: by its own vocabulary, where that is public.

The extra ``tokens`` brings the vocabularies, by `splintr`. Names are matched as in `models.windows`. What a provider
puts around a message is not counted here; the estimate has a little for every part.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from surefoot.core.tokens import Count, rough
from surefoot.models.windows import by_name

__all__ = ["counter", "vocabulary"]

#: Texts of more characters are estimated: to count 16 MiB of one letter would hold the event loop up for seconds.
_LONG = 100_000
#: Which vocabulary models of a name are known to use; those of Claude and Gemini are not public.
_VOCABULARIES: Mapping[str, str] = {
    "gpt-3.5": "cl100k_base",
    "gpt-35": "cl100k_base",
    "gpt-4": "cl100k_base",
    "gpt-4o": "o200k_base",
    "chatgpt-4o": "o200k_base",
    "gpt-4.1": "o200k_base",
    "gpt-4.5": "o200k_base",
    "gpt-5": "o200k_base",
    "o1": "o200k_base",
    "o3": "o200k_base",
    "o4": "o200k_base",
    "gpt-oss": "gpt-oss",
    "llama-3": "llama3",
    "llama3": "llama3",
    "meta-llama-3": "llama3",
    "deepseek-v3": "deepseek_v3",
    "deepseek-r1": "deepseek_v3",
    "deepseek-chat": "deepseek_v3",
    "deepseek-reasoner": "deepseek_v3",
    "qwen2": "qwen3",
    "qwen3": "qwen3",
    "mistral-nemo": "mistral_v3",
    "open-mistral-nemo": "mistral_v3",
    "mistral-large": "mistral_v3",
    "pixtral": "mistral_v3",
    "kimi-k2": "kimi_k2",
    "glm-4": "glm4",
    "phi-4": "phi4",
    "phi4": "phi4",
    "olmo-2": "olmo2",
}


def vocabulary(model: str) -> str:
    """The vocabulary of a model, by its name with or without a provider and an owner; empty where none is known."""
    return by_name(_VOCABULARIES, model.partition(":")[2] or model, "")


def counter(model: str) -> Count:
    """How to count a model's tokens: `rough`, where its vocabulary is not known or the extra ``tokens`` is not installed."""
    name = vocabulary(model)
    encode = _encoder(name) if name else None
    if encode is None:
        return rough

    def count(texts: Sequence[str]) -> int:
        long = [text for text in texts if len(text) > _LONG]
        short = (text if text.isascii() else _sound(text) for text in texts if len(text) <= _LONG)
        return sum(len(encode(text)) for text in short) + rough(long)

    return count


def _sound(text: str) -> str:
    """The text as UTF-8 can say it."""
    return text.encode("utf-8", "replace").decode()


@lru_cache
def _encoder(name: str) -> Callable[[str], list[int]] | None:
    try:
        import splintr
    except ImportError:
        return None
    tokenizer: Any = splintr.Tokenizer.from_pretrained(name)
    encode: Callable[[str], list[int]] = tokenizer.encode_ordinary  # what looks like a special token is text
    return encode
