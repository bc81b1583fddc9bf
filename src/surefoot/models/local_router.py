"""Choose what to do with a request without a language model: which tool, or none.

A tool is described by its name, its description, its schema and the examples its author declared; nothing else is
looked at. A request goes to the tool whose description it is nearest to, by cosine of sentence embeddings, with a bonus
for shared words and for values that fit the schema. It goes to none when the best is below 0.25, or when it is nearer
to one of the examples below, which stand for what no tool is needed for.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from surefoot.core.ports import Embedder
from surefoot.core.tool import ToolSpec
from surefoot.models.local_schema import Parameter, parameters
from surefoot.models.local_text import FILLERS, masked, numbers, quoted, refers, spans, spoken, stem, words

__all__ = ["THRESHOLD", "Route", "Router"]

#: Below this, a tool is not meant.
THRESHOLD = 0.25
_WORDS_BONUS = 0.15
_VALUES_BONUS = 0.1
#: Characters of a text that are compared; the embedder reads 256 tokens.
_LONGEST = 1_200

_MARKED = re.compile("\x00+")

Kind = Literal["tool", "answer", "memory", "human"]

_EXAMPLES: dict[Kind, tuple[str, ...]] = {
    "answer": (
        "Hello! How is it going?",
        "Good evening to you.",
        "Thank you very much, that was great.",
        "Goodbye, talk to you later.",
        "You did that well.",
        "Sorry, never mind.",
        "Who are you and who made you?",
        "What are you able to help me with?",
        "Are you a human or a machine?",
        "What do you feel and what do you think about yourself?",
        "Tell me something funny.",
        "Write a short story about a dragon.",
        "Compose a few lines of verse.",
        "Explain how an engine works.",
        "Why do leaves change their color?",
        "What is the difference between a frog and a toad?",
        "Who discovered penicillin?",
        "When did the Roman Empire end?",
        "What is the largest ocean on earth?",
        "Who painted this famous picture?",
        "How does gravity work?",
        "What is happiness?",
        "Give me some advice about life.",
        "I am bored today.",
        "What is your favorite food?",
    ),
    "memory": (
        "What did we talk about before?",
        "Do you remember what I told you?",
        "What did I say earlier?",
        "What is my name?",
        "Repeat your last answer.",
        "Where did I say that I live?",
    ),
    "human": (
        "I want to talk to a real person.",
        "Let me speak to a human, please.",
        "Ask somebody in charge first.",
        "Connect me with your manager.",
    ),
}


@dataclass(frozen=True, slots=True)
class Route:
    """Where a request goes: to ``tool``, or, when that is None, to an answer of some ``kind``. ``score`` is the best
    tool's."""

    kind: Kind
    tool: ToolSpec | None = None
    score: float = 0.0


class Router:
    """Chooses tools with an embedder, which is expected to cache the vectors of texts it has seen."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder

    async def routes(self, texts: Sequence[str], specs: Sequence[ToolSpec], spare: int = 0) -> list[Route]:
        """Where each text goes; ``spare`` numbers are at hand that the texts do not name (earlier results)."""
        views = [_views(spec) for spec in specs]
        samples = [(kind, text) for kind, examples in _EXAMPLES.items() for text in examples]
        asked = [spoken(text[:_LONGEST]) for text in texts]
        # What stands between quotation marks may be about anything, so a text is also compared without it.
        bare = [_MARKED.sub("it", masked(text)) for text in asked]
        flat = [*asked, *bare, *(view for own in views for view in own), *(text for _, text in samples)]
        vectors = await self._embedder.embed(flat)
        heads = list(zip(vectors, vectors[len(asked) : 2 * len(asked)], strict=False))
        rest = vectors[2 * len(asked) :]
        tools: list[list[list[float]]] = []
        for own in views:
            tools.append(rest[: len(own)])
            rest = rest[len(own) :]
        return [
            _decide(text, pair, list(zip(specs, tools, strict=True)), list(zip(samples, rest, strict=True)), spare)
            for text, pair in zip(asked, heads, strict=False)
        ]


def _decide(
    text: str,
    heads: tuple[list[float], list[float]],
    tools: list[tuple[ToolSpec, list[list[float]]]],
    samples: list[tuple[tuple[Kind, str], list[float]]],
    spare: int,
) -> Route:
    best: ToolSpec | None = None
    score = 0.0
    asked = _content(text)
    for spec, vectors in tools:
        fits = _fit(text, parameters(spec), spare)
        if fits is None:
            continue
        near = max(_near(head, vectors) for head in heads)
        shared = len(asked & _content(f"{spec.name.replace('_', ' ')} {_first(spec.description)}"))
        near += _WORDS_BONUS * min(1.0, shared / max(1, min(2, len(asked)))) + _VALUES_BONUS * fits
        if near > score:
            best, score = spec, near
    kind, other = max(((kind, _cosine(heads[0], vector)) for (kind, _), vector in samples), key=operator.itemgetter(1))
    if best is not None and score >= max(THRESHOLD, other):
        return Route("tool", best, score)
    return Route(kind if other >= THRESHOLD else "answer", None, score)


def _near(head: list[float], vectors: list[list[float]]) -> float:
    """The mean over a tool's name, description and both, or its nearest example where that is nearer."""
    about = [_cosine(head, vector) for vector in vectors[:3]]
    return max([sum(about) / len(about), *(_cosine(head, vector) for vector in vectors[3:])])


def _fit(text: str, wanted: list[Parameter], spare: int) -> float | None:
    """How well the values in a text fit a tool: None when it cannot be called, 1 when closed values fit exactly, less
    when something quoted finds no place."""
    required = [parameter for parameter in wanted if parameter.required]
    found = len(numbers(text))
    needed = sum(parameter.kind == "number" for parameter in required)
    if needed > found + spare:
        return None
    if any(parameter.kind == "string" for parameter in required) and not (spans(text) or numbers(text) or spare):
        return None
    chosen = [parameter.mentioned(text) is not None for parameter in required if parameter.kind == "choice"]
    pointed = 1 if spare and refers(text) else 0
    exact = (needed > 0 and needed in (found + pointed, found + spare)) or chosen != []
    unused = quoted(text) and not any(parameter.kind in ("string", "array", "other") for parameter in wanted)
    return (1.0 if exact and all(chosen) else 0.0) - (1.0 if unused else 0.0)


def _views(spec: ToolSpec) -> list[str]:
    name, about = spec.name.replace("_", " "), _first(spec.description)
    return [name, about or name, f"{name}: {about}", *(example[:_LONGEST] for example in spec.examples)]


def _first(description: str) -> str:
    """The first paragraph of a description."""
    return " ".join(description.strip().partition("\n\n")[0].split())[:_LONGEST]


def _content(text: str) -> set[str]:
    return {stem(word) for word in words(text) if word.casefold() not in FILLERS and not word[0].isdigit()}


def _cosine(one: list[float], other: list[float]) -> float:
    return float(sum(map(operator.mul, one, other)))
