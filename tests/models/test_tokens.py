"""Prompts counted by the model's own vocabulary, where it is public and installed."""

from __future__ import annotations

import sys

import pytest

from surefoot import Agent, App
from surefoot.core import events as ev
from surefoot.core.model import ModelReply
from surefoot.core.tokens import rough
from surefoot.models.tokens import _encoder, counter, vocabulary
from surefoot.testing.models import FunctionModel
from tests.components import require

PROMPT = "tiktoken is great! " * 400


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("openai:gpt-4", "cl100k_base"),
        ("openai:gpt-4o-mini", "o200k_base"),
        ("openai:gpt-5.4-nano", "o200k_base"),
        ("openrouter:deepseek/deepseek-chat", "deepseek_v3"),
        ("groq:Meta-Llama-3.1-8B", "llama3"),
        ("openai:ft:gpt-4o:shop::1", "o200k_base"),
        ("o3", "o200k_base"),
        ("anthropic:claude-sonnet-5", ""),
        ("gemini:gemini-3", ""),
        ("openai:gpt-6", ""),
    ],
)
def test_models_by_name(model: str, name: str) -> None:
    assert vocabulary(model) == name


@pytest.mark.parametrize(
    ("model", "text", "tokens"),
    [
        # The vendor's own examples of both vocabularies.
        ("openai:gpt-4", "tiktoken is great!", 6),
        ("openai:gpt-4o", "tiktoken is great!", 6),
        ("openai:gpt-4", "antidisestablishmentarianism", 6),
        ("openai:gpt-4o", "antidisestablishmentarianism", 6),
        ("openai:gpt-4", "2 + 2 = 4", 7),
        ("openai:gpt-4", "お誕生日おめでとう", 9),
        ("openai:gpt-4o", "お誕生日おめでとう", 8),
    ],
)
def test_what_is_counted(model: str, text: str, tokens: int) -> None:
    require("tokens")
    count = counter(model)
    assert count([text]) == tokens
    assert count([text, text]) == 2 * tokens


def test_any_text_is_counted() -> None:
    require("tokens")
    count = counter("openai:gpt-4o")
    assert count(["<|endoftext|>"]) > 1
    assert count(["\ud800"]) == 1
    assert count([]) == 0


def test_a_text_of_any_length_is_reckoned_at_once() -> None:
    require("tokens")
    count, huge = counter("openai:gpt-4o"), "a" * 16_000_000
    assert count([huge]) == rough([huge])
    assert count([huge, "tiktoken is great!"]) == rough([huge]) + 6


def test_without_the_extra_tokens_are_estimated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "splintr", None)
    _encoder.cache_clear()
    try:
        assert counter("openai:gpt-4o") is rough
    finally:
        _encoder.cache_clear()


@pytest.mark.parametrize("name", ["openai:gpt-4o", "anthropic:claude-sonnet-5"])
async def test_a_run_says_how_long_its_prompt_is(name: str) -> None:
    require("tokens")
    agent = Agent("clerk", model=FunctionModel(lambda request: ModelReply.say("yes"), name=name), instructions="Say yes.")
    async with App("memory:", agents=[agent]) as app:
        run = await app.run(agent, PROMPT)
        asked = [record.event async for record in app.follow(run) if isinstance(record.event, ev.ModelRequested)]
    count = counter(name)
    own = count(["Say yes."]) + count([PROMPT])
    assert own <= asked[0].tokens <= own + 10
