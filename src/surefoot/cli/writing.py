"""Turn values into text for people: durations, times, money, counts; and make any text safe to print."""

from __future__ import annotations

import json
import unicodedata
from datetime import datetime
from typing import Any

from surefoot.core.messages import Usage
from surefoot.runs.writing import block, cost, count, duration, line, short

__all__ = ["block", "cost", "count", "duration", "escaped", "line", "moment", "safe_json", "short", "tokens"]

_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def moment(micros: int) -> str:
    """An instant (Unix microseconds) in local time, to the second."""
    return datetime.fromtimestamp(micros / 1e6).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def tokens(usage: Usage) -> str:
    """``120 in (80 cached), 30 out (12 reasoning)`` tokens."""
    cached = f" ({usage.cached:,} cached)" if usage.cached else ""
    thought = f" ({usage.reasoning:,} reasoning)" if usage.reasoning else ""
    return f"{usage.input:,}{cached} in, {usage.output:,}{thought} out"


def safe_json(value: Any, *, indent: int | None = None) -> str:  # noqa: ANN401  any JSON value
    """JSON that is readable in any script, and in which what could deceive a terminal is escaped; still the same JSON."""
    return escaped(json.dumps(value, ensure_ascii=False, indent=indent))


def escaped(text: str) -> str:
    """JSON text in which what could deceive a terminal is escaped; still the same JSON."""
    if text.isprintable():
        return text
    return "".join([c if c == "\n" or unicodedata.category(c) not in _UNSAFE else json.dumps(c)[1:-1] for c in text])
