"""Values as text for people, and any text made safe to show: what the terminal and the console say alike."""

from __future__ import annotations

import re

from surefoot.core.request import visible

__all__ = ["block", "cost", "count", "duration", "line", "short"]

_SPACE = re.compile(r"\s+")


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


def cost(dollars: float | None) -> str:
    """Money: ``$0.0012``; None is an unknown price."""
    if dollars is None:
        return "cost unknown"
    return f"${dollars:.2f}" if dollars >= 1 or not dollars else f"${dollars:.4g}"


def count(number: int, noun: str) -> str:
    """``1 step``, ``2 steps``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
