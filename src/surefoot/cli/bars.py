"""Bars that show when in its run a step or a call was at work, and when it waited for a human."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from surefoot.telemetry.span import Span

__all__ = ["WIDTH", "Bars"]

#: Characters of a bar.
WIDTH = 24
_WORK, _HUMAN, _NOTHING = "█", "░", "."


class Bars:
    """The bars of one run, each as long as all its spans together, filled where the own ones are.

    What is open reaches to the end; work hides waiting, and anything shows, however short. A bar is empty where nothing took
    any time.
    """

    def __init__(self, spans: Sequence[Span]) -> None:
        self._first = min([span.start for span in spans], default=0)
        self._last = max([max(span.start, span.end) for span in spans], default=0)
        self._steps: dict[str, list[Span]] = defaultdict(list)
        self._calls: dict[str, list[Span]] = defaultdict(list)
        for span in spans:
            if span.kind == "model":
                self._steps[str(span.attributes.get("step", ""))].append(span)
            elif span.kind in ("tool", "approval"):
                call = str(span.attributes.get("call", ""))
                self._calls[call].append(span)
                self._steps[call.partition(".")[0]].append(span)

    def of_step(self, step: int) -> str:
        """The bar of a step: its requests to the model, the tries of its calls, the questions about them."""
        return self._bar(self._steps.get(str(step), []))

    def of_call(self, call: str) -> str:
        """The bar of one call."""
        return self._bar(self._calls.get(call, []))

    def _bar(self, own: Sequence[Span]) -> str:
        first, whole = self._first, self._last - self._first
        if not whole or not own:
            return ""
        cells = [_NOTHING] * WIDTH
        for span in sorted(own, key=lambda span: span.kind != "approval"):
            begin = min(WIDTH - 1, (span.start - first) * WIDTH // whole)
            end = min(WIDTH, -(-((span.end or self._last) - first) * WIDTH // whole))
            for cell in range(begin, max(begin + 1, end)):
                cells[cell] = _HUMAN if span.kind == "approval" else _WORK
        return "".join(cells)
