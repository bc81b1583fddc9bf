"""Bars that show when in its run a step or a call was at work, and when it waited for a human."""

from __future__ import annotations

from collections.abc import Sequence

from surefoot.telemetry.span import Span

__all__ = ["WIDTH", "bar", "of_call", "of_step"]

#: Characters of a bar.
WIDTH = 24
_WORK, _HUMAN, _NOTHING = "█", "░", "."


def of_step(spans: Sequence[Span], step: int) -> str:
    """The bar of a step: its requests to the model, the tries of its calls, the questions about them."""
    own = [span for span in spans if span.attributes.get("step") == step and span.kind == "model"]
    return bar(spans, own + [span for span in spans if _call(span).startswith(f"{step}.")])


def of_call(spans: Sequence[Span], call: str) -> str:
    """The bar of one call."""
    return bar(spans, [span for span in spans if _call(span) == call])


def _call(span: Span) -> str:
    return str(span.attributes.get("call", "")) if span.kind in ("tool", "approval") else ""


def bar(spans: Sequence[Span], own: Sequence[Span]) -> str:
    """A bar as long as all ``spans`` together, filled where one of ``own`` is; empty where nothing took any time.

    What is open reaches to the end; work hides waiting, and anything shows, however short.
    """
    first = min([span.start for span in spans], default=0)
    last = max([max(span.start, span.end) for span in spans], default=0)
    if last == first or not own:
        return ""
    cells = [_NOTHING] * WIDTH
    for span in sorted(own, key=lambda span: span.kind != "approval"):
        begin = min(WIDTH - 1, (span.start - first) * WIDTH // (last - first))
        end = min(WIDTH, -(-((span.end or last) - first) * WIDTH // (last - first)))
        for cell in range(begin, max(begin + 1, end)):
            cells[cell] = _HUMAN if span.kind == "approval" else _WORK
    return "".join(cells)
