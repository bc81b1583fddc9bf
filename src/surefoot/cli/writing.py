"""Turn values into text for people: durations, times, money, counts; and make any text safe to print."""

from __future__ import annotations

import json
import re
import unicodedata
from datetime import datetime, timedelta
from typing import Any

from surefoot.core.errors import ConfigurationError
from surefoot.core.messages import Usage
from surefoot.core.request import visible

__all__ = ["block", "cost", "count", "duration", "escaped", "line", "moment", "period", "safe_json", "short", "tokens"]

_SPACE = re.compile(r"\s+")
_PERIOD = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|h|d|w)")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def block(text: str) -> str:
    """Text of several lines, with everything but line breaks and tabs that could deceive a terminal made visible."""
    if text.isprintable():
        return text
    lines = text.replace("\r\n", "\n").split("\n")
    return "\n".join("\t".join(visible(cell) for cell in one.split("\t")) for one in lines)


def line(text: str) -> str:
    """Text in one line: runs of white space become one space, the rest as in `block`."""
    return visible(_SPACE.sub(" ", text).strip())


def short(text: str, width: int = 160) -> str:
    """The head of a text in one line, at most ``width`` characters."""
    whole = line(text)
    return whole if len(whole) <= width else whole[: width - 1] + "…"


def duration(micros: int) -> str:
    """A duration in microseconds for people: ``350 ms``, ``1.2 s``, ``3 min 2 s``, ``2 h 5 min``, ``3 d 4 h``."""
    seconds = micros / 1e6
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for size, name, smaller, part in ((86_400, "d", 3_600, "h"), (3_600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            rest = whole % size // smaller
            return f"{whole // size} {name}" + (f" {rest} {part}" if rest else "")
    return f"{whole} s"


def moment(micros: int) -> str:
    """An instant (Unix microseconds) in local time, to the second."""
    return datetime.fromtimestamp(micros / 1e6).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def cost(dollars: float | None) -> str:
    """Money: ``$0.0012``; None is an unknown price."""
    if dollars is None:
        return "cost unknown"
    return f"${dollars:.2f}" if dollars >= 1 or not dollars else f"${dollars:.4g}"


def count(number: int, noun: str) -> str:
    """``1 step``, ``2 steps``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def tokens(usage: Usage) -> str:
    """``120 in (80 cached), 30 out (12 reasoning)`` tokens."""
    cached = f" ({usage.cached:,} cached)" if usage.cached else ""
    thought = f" ({usage.reasoning:,} reasoning)" if usage.reasoning else ""
    return f"{usage.input:,}{cached} in, {usage.output:,}{thought} out"


def period(text: str) -> timedelta:
    """A length of time: ``45s``, ``90m``, ``12h``, ``30d``, ``2w``. Raises ConfigurationError."""
    match = _PERIOD.fullmatch(text.strip().lower())
    if match is None:
        raise ConfigurationError(f"{visible(text)!r} is not a length of time; write a number and s, m, h, d or w: 30d")
    try:
        return timedelta(**{_UNITS[match[2]]: float(match[1])})
    except OverflowError:
        raise ConfigurationError(f"{visible(text)!r} is longer than a calendar") from None


def safe_json(value: Any, *, indent: int | None = None) -> str:  # noqa: ANN401  any JSON value
    """JSON that is readable in any script, and in which what could deceive a terminal is escaped; still the same JSON."""
    return escaped(json.dumps(value, ensure_ascii=False, indent=indent))


def escaped(text: str) -> str:
    """JSON text in which what could deceive a terminal is escaped; still the same JSON."""
    if text.isprintable():
        return text
    return "".join([c if c == "\n" or unicodedata.category(c) not in _UNSAFE else json.dumps(c)[1:-1] for c in text])
