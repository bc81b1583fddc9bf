"""Fill a tool's arguments with values that stand in the request, or that earlier calls of the same request gave.

Nothing is made up: numbers are a choice of the message's, strings of its quoted parts and of its spans of one to four
words, choices of the schema's options. Where the schema and the words around a value decide, they do; where several
values are left, a language model picks one (`Pick`).
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from surefoot.core import canonical
from surefoot.core.tool import ToolSpec
from surefoot.models.local_schema import Parameter, parameters
from surefoot.models.local_text import (
    FILLERS,
    Number,
    masked,
    named_quotes,
    numbers,
    quoted,
    refers,
    refers_to_result,
    replaced,
    spans,
    stem,
    words,
)

__all__ = ["Called", "Filler", "Pick"]

#: Given the request's text, the tool, what is filled already, the parameter and its possible values: which of them.
Pick = Callable[[str, ToolSpec, dict[str, Any], Parameter, Sequence[Any]], Awaitable[int]]

#: Characters of a request that values are looked for in, and values among which the model picks.
_LONGEST = 2_000
_MOST = 64
#: Parameters that hold what is said or written, and so what stands between quotation marks.
_CONTENT = frozenset(
    ("text", "message", "body", "content", "phrase", "sentence", "quote", "note", "title", "query", "string", "input")
)
#: Words that often stand before the one value of a request.
_BEFORE_ANY = ("named", "called", "titled", "of", "for", "about", "by")
_NAME = re.compile(r"(?:the\s+)?[A-Z][\w'’&.-]*\w(?:\s+(?:(?:of|the|and|de|la|van|von)\s+){0,2}[A-Z][\w'’&-]*)*")
_CODED = re.compile(r"\b([^\W\d_]{3,})\s+(?:(?:number|no\.?|nr\.?|id|code|#)\s*)?#?((?=[\w-]*\d)\w+(?:-\w+)*)", re.IGNORECASE)
_PLAIN_RUN = re.compile(r"[\w'’&-]+(?:\s+[\w'’&-]+){0,5}")
_SHAPES = {
    "time": re.compile(
        r"\b\d{1,2}(?::\d{2}){1,2}(?:\s?[ap]\.?m\b\.?)?|\b\d{1,2}\s?[ap]\.?m\b\.?|\b(?:noon|midnight)\b", re.IGNORECASE
    ),
    "date": re.compile(
        r"\b\d{4}-\d{2}-\d{2}\b|\b\d{1,2}[./]\d{1,2}[./]\d{2,4}\b|\b(?:today|tomorrow|yesterday)\b", re.IGNORECASE
    ),
    "email": re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+"),
    "url": re.compile(r"https?://[^\s\"'<>]+[^\s\"'<>.,;!?)]"),
    "code": re.compile(r"\b(?=[\w-]*\d)(?=[\w-]*[A-Za-z-])[A-Za-z0-9]+(?:-[A-Za-z0-9]+)*\b"),
    "path": re.compile(r"(?:[~.]{0,2}/)?[\w.-]+(?:/[\w.-]+)+|\b[\w-]+\.[A-Za-z]\w{0,4}\b"),
}
_SHAPED = {
    "time": ("time", "hour"), "date": ("date", "day", "deadline"), "email": ("email", "mail"), "url": ("url", "link", "uri"),
    "code": ("code", "id", "sku", "reference", "tracking", "serial"), "path": ("path", "file", "filename", "folder"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Called:
    """An earlier call of the same request: its tool, arguments, and result as text (``error``: why there is none)."""

    name: str
    arguments: dict[str, Any]
    text: str
    error: bool = False

    @property
    def number(self) -> int | float | None:
        """The result, where it is a plain number."""
        try:
            value = canonical.loads(self.text.strip())
        except ValueError:
            return None
        return value if isinstance(value, int | float) and not isinstance(value, bool) else None


class Filler:
    """Fills arguments; ``pick`` is asked where the words alone do not decide."""

    def __init__(self, pick: Pick) -> None:
        self._pick = pick

    async def fill(self, text: str, spec: ToolSpec, done: Sequence[Called] = ()) -> dict[str, Any]:
        """The arguments of a call that meets ``text``, given the calls before it."""
        form = _Form(text[:_LONGEST], spec, done)
        for parameter in form.open():
            form.settle(parameter)
        form.settle_numbers()
        form.settle_strings()
        for parameter in form.open():
            options = form.options(parameter)
            if not parameter.required or not options:
                continue
            chosen = 0
            if len(options) > 1:
                chosen = await self._pick(form.text, spec, form.filled, parameter, options)
            form.put(parameter, options[chosen])
        return form.arguments()


class _Form:
    """The arguments of one call as they are filled in."""

    def __init__(self, text: str, spec: ToolSpec, done: Sequence[Called]) -> None:
        self.text = text
        self.filled: dict[str, Any] = {}
        self._name = spec.name
        self._parameters = parameters(spec)
        self._done = done
        self._numbers = numbers(text)
        self._quoted = quoted(text)
        self._known = {stem(word) for word in words(f"{spec.name.replace('_', ' ')} {spec.description}")}
        self._used: list[Any] = []
        last = done[-1] if done else None
        self._last = last
        self._points = last is not None and refers(text)
        if last is not None and self._missing() > 0:
            meant = self._referents(last)
            self._numbers = [*meant, *self._numbers]
            # What the model reads names the value: "multiply 12 by 3", not "multiply it by 3".
            self.text = replaced(self.text, str(meant[0].value)) if meant else self.text

    def open(self) -> list[Parameter]:
        """Parameters without a value yet."""
        return [parameter for parameter in self._parameters if parameter.name not in self.filled]

    def put(self, parameter: Parameter, value: Any) -> None:
        """Give a parameter its value."""
        self.filled[parameter.name] = value
        self._used.append(value.casefold() if isinstance(value, str) else value)

    def arguments(self) -> dict[str, Any]:
        """What was filled, in the schema's order."""
        return {each.name: self.filled[each.name] for each in self._parameters if each.name in self.filled}

    def settle(self, parameter: Parameter) -> None:
        """Fill a parameter that needs no choice: a named option, an array, an object, a value of a telling shape."""
        match parameter.kind:
            case "choice":
                named = parameter.mentioned(self.text)
                if named is not None:
                    self.put(parameter, named)
                elif parameter.required and len(parameter.options) == 1:
                    self.put(parameter, parameter.options[0])
            case "array":
                if values := self._array(parameter):
                    self.put(parameter, values)
            case "string":
                shaped = self._numbered(parameter) or self._shaped(parameter)
                if len(shaped) == 1:
                    self.put(parameter, shaped[0])
            case "other" if parameter.required:
                self.put(parameter, {})
            case _:
                pass

    def settle_numbers(self) -> None:
        """Give numbers to the parameters that the words beside them name, and what is left in order where that is
        all there is to go by."""
        wanted = [parameter for parameter in self.open() if parameter.kind == "number"]
        for parameter in wanted:
            near = [number for number in self._free(parameter) if self._beside(number, parameter)]
            if len(near) == 1:
                self.put(parameter, _as(parameter, near[0].value))
        left = [parameter for parameter in wanted if parameter.name not in self.filled and parameter.required]
        free = self._free(left[0]) if left else []
        if left and len(free) >= len(left) and (len(free) == 1 or all(_nameless(each) for each in left)):
            for parameter, number in zip(left, free, strict=False):
                self.put(parameter, _as(parameter, number.value))

    def settle_strings(self) -> None:
        """Give quoted parts, and what a word like "to" or "in" stands before, to the parameters they are meant for."""
        wanted = [parameter for parameter in self.open() if parameter.kind == "string"]
        for parameter in wanted:
            if (named := self._quoted_as(parameter)) is not None:
                self.put(parameter, named)
        wanted = [parameter for parameter in wanted if parameter.name not in self.filled]
        free = [part for part in self._quoted if part.casefold() not in self._used]
        content = [each for each in wanted if _CONTENT & set(each.label.split())] or wanted[:1]
        for parameter, part in zip(wanted if len(free) == len(wanted) else content, free, strict=False):
            if parameter.required or len(free) <= len(wanted):
                self.put(parameter, part)
        for parameter in wanted:
            if parameter.name not in self.filled and (cued := self._cued(parameter)) is not None:
                self.put(parameter, cued)

    def options(self, parameter: Parameter) -> list[Any]:
        """The values a parameter may have, the likelier first."""
        if parameter.kind == "choice":
            return list(parameter.options)
        if parameter.kind == "number":
            free = self._free(parameter) or self._numbers
            return list(dict.fromkeys(_as(parameter, number.value) for number in free))
        return self._strings(parameter)

    def _strings(self, parameter: Parameter) -> list[str]:
        if self._points and self._last is not None and (value := self._referent(parameter, self._last)) is not None:
            return [value]
        if shaped := self._shaped(parameter):
            return shaped
        found = [span for span in spans(self.text) if span.casefold() not in self._used]
        telling = [span for span in found if not self._known_words(span)]
        after = self.text.partition(":")[2].strip()
        colon = [after] if len(after.split()) > 4 and not self._quoted else []
        chosen = [*colon, *(part for part in self._quoted if part.casefold() not in self._used), *(telling or found)]
        return list(dict.fromkeys(chosen))[:_MOST] or [self.text.strip()[:200]]

    def _referent(self, parameter: Parameter, last: Called) -> str | None:
        """What "it" stands for: the same argument of the call before, or the result, as always for the same tool."""
        same = last.arguments.get(parameter.name)
        if isinstance(same, str) and not refers_to_result(self.text) and last.name != self._name:
            return same
        if refers_to_result(self.text) or not any(isinstance(value, str) for value in last.arguments.values()):
            return last.text
        if re.search(r"\b(?:him|her|them)\b", self.text, re.IGNORECASE):
            return next(value for value in last.arguments.values() if isinstance(value, str))
        return last.text

    def _referents(self, last: Called) -> list[Number]:
        if last.number is not None:
            return [Number(last.number, -1, -1)]
        said = [value for value in last.arguments.values() if isinstance(value, int | float)]
        return [Number(value, -1, -1) for value in said] or numbers(last.text)[:1]

    def _missing(self) -> int:
        needed = sum(each.kind == "number" and each.required for each in self._parameters)
        return needed - len(self._numbers)

    def _free(self, parameter: Parameter) -> list[Number]:
        used = [str(value) for value in self._used]
        free = []
        for number in self._numbers:
            if str(number.value) in used:
                used.remove(str(number.value))
            elif not parameter.integer or float(number.value).is_integer():
                free.append(number)
        return free

    def _beside(self, number: Number, parameter: Parameter) -> bool:
        """Whether a word right before a number, or right after it, names the parameter."""
        if number.start < 0:
            return False
        before = [word.casefold() for word in words(self.text[: number.start])][-2:]
        after = [word.casefold() for word in words(self.text[number.end :])][:1]
        if before and before[-1] in parameter.cues:
            return True
        own = [stem(word) for word in parameter.label.split() if len(word) > 2]
        return any(_alike(stem(word), name) for word in (*before, *after) if len(word) > 2 for name in own)

    def _cued(self, parameter: Parameter) -> str | None:
        """The words after a word that stands before this parameter's value, when there is one such place."""
        plain = masked(self.text)
        cues = parameter.cues
        if not cues and len([each for each in self._parameters if each.kind == "string"]) == 1:
            cues = _BEFORE_ANY
        for cue in cues:
            values = [_run(plain[match.end() :]) for match in re.finditer(rf"(?<!\w){cue}\s+", plain, re.IGNORECASE)]
            values = [value for value in values if value and value.casefold() not in self._used and not self._known_words(value)]
            if len(values) == 1:
                return values[0]
        if "from" in cues and self._numbers and self._numbers[0].start >= 0:  # "26 miles": the unit it is in
            after = re.match(r"\s*([^\W\d_]{2,})", self.text[self._numbers[0].end :])
            if after and after[1].casefold() not in FILLERS:
                return after[1]
        return None

    def _known_words(self, text: str) -> bool:
        return bool(self._known & {stem(word) for word in words(text)})

    def _shaped(self, parameter: Parameter) -> list[str]:
        own = {*parameter.label.split(), str(parameter.schema.get("format", ""))}
        pattern = parameter.schema.get("pattern")
        if isinstance(pattern, str):
            fitting = [span for span in [*self._quoted, *spans(self.text)] if _matches(pattern, span)]
            return list(dict.fromkeys(fitting))
        for shape, names in _SHAPED.items():
            if own & set(names):
                found = [match[0].strip() for match in _SHAPES[shape].finditer(self.text)]
                return [value for value in dict.fromkeys(found) if value.casefold() not in self._used]
        return []

    def _quoted_as(self, parameter: Parameter) -> str | None:
        """What is quoted right after the parameter's own name: "the letter 'e'"."""
        own = [stem(word) for word in parameter.label.split() if len(word) > 2]
        for before, part in named_quotes(self.text):
            if part.casefold() not in self._used and any(_alike(stem(before), name) for name in own):
                return part
        return None

    def _numbered(self, parameter: Parameter) -> list[str]:
        """Numbers and codes right after the parameter's own name: "order 81", "card no. 12-A"."""
        own = [stem(word) for word in parameter.label.split() if len(word) > 2]
        matches = _CODED.finditer(masked(self.text))
        found = [match[2] for match in matches if any(_alike(stem(match[1]), word) for word in own)]
        return [value for value in dict.fromkeys(found) if value.casefold() not in self._used]

    def _array(self, parameter: Parameter) -> list[Any]:
        item = parameter.item
        if item is None:
            return []
        if item.kind == "number":
            return [_as(item, number.value) for number in self._numbers]
        if item.kind == "choice":
            return [option for option in item.options if isinstance(option, str) and option.casefold() in self.text.casefold()]
        if self._quoted:
            return list(self._quoted)
        listed = [re.split(r",\s*|\s+and\s+", phrase) for phrase in re.split(r"[:.?!]\s*", self.text)]
        return [run for part in max(listed, key=len) if (run := self._telling(part))]

    def _telling(self, text: str) -> str:
        """The first words of a text that are neither fillers nor the tool's own."""
        taken: list[str] = []
        for word in words(text):
            if word.casefold() not in FILLERS and stem(word) not in self._known:
                taken.append(word)
            elif taken:
                break
        return " ".join(taken)


def _run(text: str) -> str:
    """The first words of a text up to a filler or a sign that follows them; fillers inside a name belong to it."""
    match = _NAME.match(text) or _PLAIN_RUN.match(text)
    if match is None:
        return ""
    taken: list[str] = []
    for word in match[0].split():
        if word.casefold() not in FILLERS or (match.re is _NAME and taken):
            taken.append(word)
        elif taken:
            break
    return " ".join(taken)


def _as(parameter: Parameter, value: float) -> int | float:
    return int(value) if parameter.integer and float(value).is_integer() else value


def _nameless(parameter: Parameter) -> bool:
    """Whether a name says nothing about which of several numbers is meant: a, b, x, first, number 2."""
    return all(len(word) < 3 or word in ("first", "second", "third", "left", "right", "number", "num", "value", "arg", "term")
               for word in parameter.label.split())  # fmt: skip


def _alike(one: str, other: str) -> bool:
    return one.startswith(other) or other.startswith(one) if min(len(one), len(other)) >= 3 else one == other


def _matches(pattern: str, text: str) -> bool:
    try:
        return re.search(pattern, text) is not None
    except re.error:
        return False
