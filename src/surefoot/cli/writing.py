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
from surefoot.runs.writing import block, cost, count, duration, line, short

__all__ = ["block", "cost", "count", "duration", "escaped", "line", "moment", "period", "safe_json", "short", "tokens"]

_PERIOD = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|h|d|w)")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def moment(micros: int) -> str:
    """An instant (Unix microseconds) in local time, to the second."""
    return datetime.fromtimestamp(micros / 1e6).astimezone().strftime("%Y-%m-%d %H:%M:%S")


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
