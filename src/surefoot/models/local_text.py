"""What can be read off a request without understanding it: words, numbers, quoted parts, spans, and its separate wishes.

English only, as the embedded model is. Everything here is pure and linear in the length of the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = [
    "FILLERS",
    "PRONOUN",
    "Number",
    "cuts",
    "masked",
    "meanings",
    "named_quotes",
    "numbers",
    "quoted",
    "refers",
    "refers_to_result",
    "replaced",
    "sentences",
    "spans",
    "spoken",
    "stem",
    "words",
]

_FILLERS = (
    "a about after again all also am an and any are as at be been being but by can could did do does doing done for from "
    "get give had has have having he her here hers hey hi him his how i if in into is it its just kindly let like "
    "long make many may me mine more much my need no not now of off ok on one or our out over please put say see shall "
    "she should show so some something take tell thank thanks that the their them then there these they thing this those "
    "through to too under up us very want was we were what when where which while who whom whose why will with would "
    "yes you your yours"
)
#: Words that carry no meaning of their own: they begin and end no value, and prove nothing about a tool.
FILLERS = frozenset(_FILLERS.split())

#: Words that mean nearly the same of a tool, one group a line; the embedder tells adding from multiplying badly.
_ALIKE = """
add plus sum total together altogether combine addition more
multiply times product multiplication multiplied
subtract minus difference deduct less subtraction remove left
divide quotient divided division split share evenly
power exponent raise
root sqrt
average mean
cancel annul revoke scrap drop
find search look lookup locate
buy purchase order
send post mail deliver
delete erase remove
price cost charge
time clock hour
weather forecast rain temperature
translate translation say
remember note memorize
convert change exchange
"""
#: Fillers that stand inside names and titles.
_JOINERS = frozenset(("a", "and", "at", "by", "for", "from", "in", "into", "of", "on", "or", "the", "to", "with"))

_WORD = re.compile(r"[^\W_]+(?:[.'’:/@&+-][^\W_]+)*", re.UNICODE)
_QUOTED = re.compile(r"\"([^\"\n]+)\"|“([^”\n]+)”|«([^»\n]+)»|`([^`\n]+)`|(?<!\w)['‘]([^'’\n]*(?:['’]\w[^'’\n]*)*)['’](?!\w)")
_SENTENCE = re.compile(
    r"(?<=[.?!])[\"'”’)]*\s+|[;\n]+\s*|,?\s+(?:and\s+)?(?:then|afterwards|after that|after this|finally)\b,?\s*"
)
_LEAD = re.compile(r"^(?:and|then|first|firstly|next|finally|also|afterwards|after that|secondly)\b[\s,]*", re.IGNORECASE)
_CUT = re.compile(r",\s+and\s+|\s+and\s+(?:also\s+)?|,\s+(?:also\s+)?|\s+as well as\s+|\s+&\s+")

_DIGITS = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+"
_NUMBER = re.compile(
    rf"(?<![\w.,:/-])[#$€£]?(?P<sign>[-−]?)[$€£]?(?P<digits>{_DIGITS})(?P<unit>[°%]?[a-zA-Z]{{0,3}})(?![\w:/-]|[.,]\d)"
)
_SUM = re.compile(
    rf"(?<=\d)\s*(?P<op>[+*×·÷^]|\s[-−–/x]\s|(?<=\d)[x/](?=\d)|(?<=\d)[-−–](?=\d))\s*(?=[-−]?(?:{_DIGITS})(?!\d*[-/]\d))"
)
_CODE = re.compile(r"\d{1,4}([-/.:])\d{1,2}\1\d{1,4}")  # dates, times with seconds, versions
_SPOKEN = {
    "+": "plus",
    "-": "minus",
    "−": "minus",
    "–": "minus",
    "*": "times",
    "×": "times",
    "·": "times",
    "x": "times",
}
_SPOKEN |= {"/": "divided by", "÷": "divided by", "^": "to the power of"}

_SMALL = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
_UNITS = {name: value for value, name in enumerate(_SMALL.split())}
_ROUND = "twenty thirty forty fifty sixty seventy eighty ninety"
_TENS = {name: 10 * value for value, name in enumerate(_ROUND.split(), 2)}
_SCALES = {"hundred": 100, "thousand": 1_000, "million": 1_000_000}
_NAMED = re.compile(
    r"\b(?:{0})(?:(?:[\s-]+|\s+and\s+)(?:{0}))*\b".format("|".join([*_UNITS, *_TENS, *_SCALES, "dozen"])), re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Number:
    """A number in a text, and where it stands. Whole numbers are ints."""

    value: int | float
    start: int
    end: int


#: Words that point at something said before.
PRONOUN = re.compile(r"\b(?:it|its|that|this|them|these|those|him|her)\b", re.IGNORECASE)
_RESULT = re.compile(r"\b(?:result|answer|outcome|output|sum|product|total|difference|quotient|latter)\b", re.IGNORECASE)


def refers_to_result(text: str) -> bool:
    """Whether a text names the result of something before it."""
    return _RESULT.search(masked(text)) is not None


def refers(text: str) -> bool:
    """Whether a text points at something before it."""
    return refers_to_result(text) or PRONOUN.search(masked(text)) is not None


def meanings(text: str) -> set[str]:
    """The stems of a text's words that mean something; words that mean nearly the same give the same."""
    found: set[str] = set()
    for word in words(text):
        lowered = word.casefold()
        if lowered[0].isdigit() or (lowered in FILLERS and lowered not in _GROUPS):
            continue
        found.add(_GROUPS.get(lowered) or _GROUPS.get(stem(lowered)) or stem(lowered))
    return found


def replaced(text: str, value: str) -> str:
    """The text with the first word that points at something before it replaced by what it points at."""
    match = _RESULT.search(masked(text)) or PRONOUN.search(masked(text))
    return text if match is None else f"{text[: match.start()]}{value}{text[match.end() :]}"


def words(text: str) -> list[str]:
    """The words of a text as they stand, in order."""
    return _WORD.findall(text)


def stem(word: str) -> str:
    """A crude stem, good enough to see that "converting" and "converts" are one word."""
    word = word.casefold()
    for ending in ("ings", "ing", "edly", "ed", "ies", "es", "s", "e", "y"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            word = word.removesuffix(ending)
            break
    return word[:-1] if len(word) > 3 and word[-1] == word[-2] else word


#: A word's group, by the word and by its stem; earlier lines win.
_GROUPS = {
    form: group[0]
    for group in map(str.split, reversed(_ALIKE.strip().splitlines()))
    for word in group
    for form in (stem(word), word)
}


def quoted(text: str) -> list[str]:
    """What stands between quotation marks."""
    return [part for match in _QUOTED.finditer(text) if (part := next(filter(None, match.groups()), "").strip())]


def named_quotes(text: str) -> list[tuple[str, str]]:
    """The quoted parts, each with the word before it: ``("letter", "e")`` of "the letter 'e'"."""
    found = []
    for match in _QUOTED.finditer(text):
        before = words(text[: match.start()])[-1:]
        found.append(("".join(before), next(filter(None, match.groups()), "").strip()))
    return found


def masked(text: str) -> str:
    """The text with every quoted part blanked out, at the same length."""
    return _QUOTED.sub(lambda match: "\x00" * len(match[0]), text)


def numbers(text: str) -> list[Number]:
    """The numbers of a text, outside quotation marks, in order: digits, with signs and separators, and English words.

    Parts of codes, times and dates are none.
    """
    plain = _CODE.sub(lambda match: "\x00" * len(match[0]), masked(text))
    signs = _SUM.sub(lambda match: " " * len(match[0]), plain)
    found = [number for match in _NUMBER.finditer(signs) if (number := _digits(match)) is not None]
    found += [named for match in _NAMED.finditer(plain) if (named := _named(match)) is not None]
    return sorted(found, key=lambda number: number.start)


def spoken(text: str) -> str:
    """The text with signs between numbers as words: "5*3" becomes "5 times 3"."""
    codes = [match.span() for match in _CODE.finditer(text)]
    return _SUM.sub(
        lambda match: (
            match[0] if any(start < match.start() < end for start, end in codes) else f" {_SPOKEN[match['op'].strip()]} "
        ),
        text,
    )


def sentences(text: str) -> list[str]:
    """The parts of a text that are clearly apart: sentences, lines, and what follows a "then"."""
    return _split(text, _SENTENCE)


def cuts(text: str) -> Iterator[tuple[str, str]]:
    """Every way to part a text in two at an "and" or a comma: what stands before, and what after."""
    plain = _NAMED.sub(lambda match: "\x00" * len(match[0]), masked(text))  # "two hundred and five" is one number
    for match in _CUT.finditer(plain):
        before, after = text[: match.start()].strip(), text[match.end() :].strip()
        if before and after:
            yield before, _LEAD.sub("", after)


def spans(text: str, longest: int = 4) -> list[str]:
    """Runs of one to ``longest`` words that could be a value, shortest first.

    They cross no punctuation, and neither begin nor end with a filler.
    """
    found: dict[str, None] = {}
    for phrase in re.split(r"[,;!?\n\x00\"“”«»()\[\]]|[.:](?=\s|$)", masked(text)):
        parts = list(_WORD.finditer(phrase))
        for count in range(1, longest + 1):
            for first, last in zip(parts, parts[count - 1 :], strict=False):
                inside = phrase[first.end() : last.start()].casefold().split() if count > 2 else []
                if not _filler(first[0]) and not _filler(last[0]) and all(w not in FILLERS or w in _JOINERS for w in inside):
                    found[phrase[first.start() : last.end()]] = None
    return sorted(found, key=lambda span: span.count(" "))


def _filler(word: str) -> bool:
    return word.casefold().partition("'")[0] in FILLERS


def _split(text: str, separator: re.Pattern[str]) -> list[str]:
    plain = masked(text)
    parts: list[str] = []
    start = 0
    for match in separator.finditer(plain):
        parts.append(text[start : match.start()])
        start = match.end()
    parts.append(text[start:])
    return [clean for part in parts if (clean := _LEAD.sub("", part.strip(" ,")).strip())]


def _digits(match: re.Match[str]) -> Number | None:
    text = match["digits"].replace(",", "")
    if len(text) > 300:  # beyond what a float can hold
        return None
    value: int | float = float(text) if "." in text else int(text)
    return Number(-value if match["sign"] else value, match.start(), match.end())


def _named(match: re.Match[str]) -> Number | None:
    parts = re.split(r"[\s-]+", match[0].casefold())
    if parts in (["one"], ["hundred"], ["thousand"], ["million"]):  # "one" is a pronoun more often than a number
        return None
    total = group = 0
    for part in parts:
        if part == "and":
            continue
        if part == "dozen":
            group = max(group, 1) * 12
        elif part in _SCALES:
            group = max(group, 1) * _SCALES[part]
            if _SCALES[part] > 100:
                total, group = total + group, 0
        else:
            group += _UNITS.get(part, 0) or _TENS.get(part, 0)
    return Number(total + group, match.start(), match.end())
