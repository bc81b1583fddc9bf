"""Part a request into its separate wishes, each with the tool that meets it, in order.

"Add 5 and 3, then double the result" holds two wishes, "add 5 and 3" one. A text is parted at sentences and at "then"
first, and at an "and" or a comma only where both sides can be met by themselves. Nothing is stored between steps: the
same text and tools always give the same wishes, so that the step after a result knows which of them is next.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from surefoot.core.tool import ToolSpec
from surefoot.models.local_router import Route, Router
from surefoot.models.local_schema import parameters
from surefoot.models.local_text import (
    FILLERS,
    PRONOUN,
    cuts,
    numbers,
    quoted,
    refers,
    refers_to_result,
    sentences,
    spans,
    stem,
    words,
)

__all__ = ["Wish", "wishes"]

#: What is looked through for several wishes, and how many are met.
_LONGEST = 1_500
_MOST = 8
_CLEAR = 0.45

_AGAIN = re.compile(r"\b(?:again|twice|once more)\b", re.IGNORECASE)
_ELLIPSIS = re.compile(r"^(?:(?:what|how)\s+about\s+)?(?:(?:in|on|for|at|by|to|from|of|with|the)\s+)*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Wish:
    """A part of a request, and where it goes."""

    text: str
    route: Route


async def wishes(router: Router, text: str, specs: Sequence[ToolSpec]) -> list[Wish]:
    """The wishes of a request that a tool can meet; a single one without a tool when there are none."""
    (whole,) = await router.routes([text], specs)
    parts: list[Wish] = []
    if specs and len(text) <= _LONGEST:
        for sentence in sentences(text)[: 2 * _MOST]:
            for part in await _parted(router, sentence, specs, parts):
                if not _repeats(part, parts):
                    parts.append(part)
    if parts and _covers(parts, whole):
        return parts[:_MOST]
    return [Wish(text, whole)]


async def _parted(router: Router, text: str, specs: Sequence[ToolSpec], before: list[Wish]) -> list[Wish]:
    """The wishes of one sentence, given those of the sentences before it."""
    only = await _single(router, text, specs, before)
    for left, right in cuts(text):
        one = await _single(router, left, specs, before)
        if one is None:
            continue
        rest = await _parted(router, right, specs, [*before, one])
        both = [one, *rest]
        if rest and (only is None or (_covers(both, only.route) and _clear(both, only.route))):
            return both
    return [only] if only else []


def _clear(parts: list[Wish], whole: Route) -> bool:
    """Whether each part would stand by itself: a text that makes sense whole is not parted on a mere chance."""
    weakest = min(part.route.score for part in parts)
    if whole.tool is not None and all(part.route.tool is whole.tool for part in parts) and _takes_lists(whole.tool):
        return False  # "add milk, bread and eggs": one wish, for a tool that takes several
    return all(part.route.complete for part in parts) and weakest >= max(_CLEAR, whole.score / 2)


def _takes_lists(tool: ToolSpec) -> bool:
    return any(parameter.kind == "array" for parameter in parameters(tool))


def _covers(parts: list[Wish], whole: Route) -> bool:
    """Whether the parts make more of a text than the whole: what the whole is for is among what they are for."""
    if whole.tool is None:
        return True
    if len(parts) == 1:  # the rest of the text may hold values that the part lacks
        return parts[0].route.tool is whole.tool and parts[0].route.score > whole.score + 0.1
    return any(part.route.tool is whole.tool for part in parts)


async def _single(router: Router, text: str, specs: Sequence[ToolSpec], before: list[Wish]) -> Wish | None:
    # An earlier wish will have a result by then, which may stand for one number that is not said.
    spare = 1 if before and (refers(text) or numbers(text)) else 0
    (route,) = await router.routes([text], specs, spare)
    short = _elliptic(text, before[-1]) if before else None
    if short is not None and (route.tool is None or route.tool is before[-1].route.tool or route.score < 0.55):
        return short
    return Wish(text, route) if route.tool is not None else None


def _elliptic(text: str, before: Wish) -> Wish | None:
    """The wish before once more, for another value: "… in Rome, and in Oslo"."""
    tool = before.route.tool
    if tool is None or PRONOUN.search(text) or len(words(text)) > 6:
        return None
    required = [parameter for parameter in parameters(tool) if parameter.required]
    if len(required) != 1:
        return None
    rest = text[_end(_ELLIPSIS, text) :].strip(" ?.!")
    introduced = len(rest) < len(text.strip(" ?.!"))
    match required[0].kind:
        case "number":
            fits = len(numbers(text)) == 1 and len(words(rest)) <= 3
        case "choice":
            fits = required[0].mentioned(text) is not None and len(words(rest)) <= 2
        case "string":
            named = rest[:1].isupper() or rest[:1] in "\"'“" or (introduced and text[0].islower())
            fits = bool(spans(rest) or quoted(rest)) and named and len(words(rest)) <= 4
        case _:
            fits = False
    return Wish(text, before.route) if fits else None


def _repeats(part: Wish, before: list[Wish]) -> bool:
    """Whether a wish only says more about one before it: "I need eggs, put them on the list"."""
    tool = part.route.tool
    if not before or tool is None or _AGAIN.search(part.text) or refers_to_result(part.text):
        return False
    if not any(wish.route.tool is tool for wish in before):
        return False
    if any(parameter.kind == "number" for parameter in parameters(tool) if parameter.required):
        return False
    if not PRONOUN.search(part.text) or quoted(part.text):
        return False
    known = {stem(word) for word in words(f"{tool.name.replace('_', ' ')} {tool.description}")}
    return not [word for word in words(part.text) if word.casefold() not in FILLERS and stem(word) not in known]


def _end(pattern: re.Pattern[str], text: str) -> int:
    match = pattern.match(text)
    return match.end() if match else 0
