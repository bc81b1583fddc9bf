"""Choose what to do with a request without a language model: which tool, or none.

A tool is described by its name, its description, its schema and the examples its author declared; nothing else is
looked at. A request goes to the tool it is nearest to (`models.local_nearness`), with a bonus for shared words and for
values that fit the schema. It goes to none when the best is below 0.25, or when it is nearer to an example of what no
tool is needed for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from surefoot.core.ports import Embedder
from surefoot.core.tool import ToolSpec
from surefoot.models.local_nearness import Kind, Measured, Nearness, about
from surefoot.models.local_schema import Parameter, parameters
from surefoot.models.local_text import meanings, numbers, quoted, refers, spans, spoken

__all__ = ["THRESHOLD", "Route", "Router"]

#: Below this, a tool is not meant.
THRESHOLD = 0.25
_WORDS_BONUS = 0.15
_VALUES_BONUS = 0.1
#: A tool whose choice the text does not make must be meant more clearly.
_INCOMPLETE = 0.45
#: From here on, a question is about the model itself, or a wish for a human.
_MEANT = 0.4


@dataclass(frozen=True, slots=True)
class Route:
    """Where a request goes: to ``tool``, or, when that is None, to an answer of some ``kind``.

    ``score`` is the best tool's; ``complete`` tells whether the values it takes are in the text as far as can be seen.
    """

    kind: Kind
    tool: ToolSpec | None = None
    score: float = 0.0
    complete: bool = True


class Router:
    """Chooses tools with an embedder."""

    def __init__(self, embedder: Embedder) -> None:
        self._nearness = Nearness(embedder)

    async def routes(self, texts: Sequence[str], specs: Sequence[ToolSpec], spare: int = 0) -> list[Route]:
        """Where each text goes; ``spare`` numbers are at hand that the texts do not name (earlier results)."""
        measured = await self._nearness.measure(texts, specs)
        return [_decide(text, one, specs, spare) for text, one in zip(texts, measured, strict=True)]


def _decide(text: str, measured: Measured, specs: Sequence[ToolSpec], spare: int) -> Route:
    best: ToolSpec | None = None
    score, complete, lacking = 0.0, True, 0.0
    asked = meanings(spoken(text))
    for spec, near in zip(specs, measured.tools, strict=True):
        fits = _fit(text, parameters(spec), spare)
        shared = len(asked & meanings(f"{spec.name.replace('_', ' ')} {about(spec)}"))
        total = near + _WORDS_BONUS * min(1.0, shared / max(1, min(2, len(asked)))) + _VALUES_BONUS * (fits or 0.0)
        if fits is None:
            lacking = max(lacking, total)
        elif total > score:
            best, score, complete = spec, total, fits >= 0
    # What is meant may be a tool whose values are not there; the next best is not meant then.
    if best is not None and score >= max(THRESHOLD if complete else _INCOMPLETE, measured.other, lacking):
        return Route("tool", best, score, complete)
    return Route(measured.kind if measured.other >= _MEANT else "answer", None, score)


def _fit(text: str, wanted: list[Parameter], spare: int) -> float | None:
    """How well the values in a text fit a tool: None when it cannot be called, 1 when closed values fit exactly, less
    when something quoted finds no place, or a choice is not made."""
    required = [parameter for parameter in wanted if parameter.required]
    found = len(numbers(text))
    needed = sum(parameter.kind == "number" for parameter in required)
    if needed > found + spare:
        return None
    if any(parameter.kind == "string" for parameter in required) and not (spans(text) or numbers(text) or spare):
        return None
    # Where there is one value only, nothing is left to choose.
    choices = [parameter for parameter in required if parameter.kind == "choice" and len(parameter.options) > 1]
    chosen = [parameter.mentioned(text) is not None for parameter in choices]
    pointed = 1 if spare and refers(text) else 0
    exact = (needed > 0 and needed in (found + pointed, found + spare)) or chosen != []
    unused = quoted(text) and not any(parameter.kind in ("string", "array", "other") for parameter in wanted)
    left_open = not all(chosen) and not pointed
    return (1.0 if exact and all(chosen) else 0.0) - (1.0 if unused or left_open else 0.0)
