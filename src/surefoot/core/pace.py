"""How a run is getting on: the few figures that guards look at, kept up to date with every event, in constant time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from surefoot.core.call import Call

__all__ = ["EARLY", "TRAIL", "Act", "Finding", "Pace"]

#: What is done about a finding besides saying it.
Act = Literal["", "compact", "fall_back", "ask"]

#: How many of the last attempts are remembered as well or failed.
TRAIL = 20
#: How many of the first answers are the measure for later ones.
EARLY = 5

_MASK = (1 << TRAIL) - 1
#: The weight of the newest answer's time in the moving average (exponentially weighted; Roberts, 1959).
_NEWEST = 0.3


class Finding(msgspec.Struct, frozen=True, gc=False):
    """What a guard found: it becomes a ``run.warned``, once for each kind and ``about``; or, to ``stop``, a ``run.failed``.

    The model reads ``tell`` before its next step; ``hint`` is for whoever reads why the run was stopped. ``act`` says what is
    done about it at once: ``compact`` makes the prompt shorter, ``fall_back`` asks another model of the chain first from here
    on, ``ask`` has a human say whether the run goes on.
    """

    kind: str
    message: str
    data: dict[str, Any] = {}
    about: str = ""
    tell: str = ""
    stop: bool = False
    hint: str = ""
    act: Act = ""

    @property
    def key(self) -> str:
        """What the same finding is known by."""
        return f"{self.kind}:{self.about}"


@dataclass(slots=True)
class Pace:
    """Figures of a run. Durations are in microseconds.

    ``last`` and ``before`` are the two newest calls with their results; ``same`` counts how often in a row the newest came
    again, ``alternating`` how often in a row a call was the one before the last. ``refused`` counts requests for the next
    answer that were not sent, since the model was to be left alone. ``trail`` holds the newest attempts of
    models and tools, a bit each, 1 for a failure.
    """

    last: tuple[str, str, str] | None = None
    before: tuple[str, str, str] | None = None
    same: int = 0
    alternating: int = 0
    nudged: int = -1
    invalid: int = 0
    refused: int = 0
    trail: int = 0
    attempts: int = 0
    replies: int = 0
    first_input: int = 0
    last_input: int = 0
    early: int = 0
    lately: float = 0.0
    warned: set[str] = field(default_factory=set)
    acts: set[str] = field(default_factory=set)

    def replied(self, tokens: int, duration: int) -> None:
        """The model answered a prompt of so many tokens."""
        self._tried(0)
        self.refused = 0
        self.replies += 1
        self.last_input = tokens
        if self.replies == 1:
            self.first_input = tokens
        if self.replies <= EARLY:
            self.early += duration
            self.lately = self.early / self.replies
        else:
            self.lately += _NEWEST * (duration - self.lately)

    def worked(self) -> None:
        """A tool returned."""
        self.invalid = 0
        self._tried(0)

    def failed(self, kind: str, *, refused: bool = False) -> None:
        """An attempt of a model or a tool failed; a call or a request that was no attempt counts by itself."""
        if refused:
            self.refused += 1
        elif kind == "invalid_arguments":
            self.invalid += 1
        else:
            self._tried(1)

    def saw(self, calls: Iterable[Call]) -> None:
        """The calls of a step have their results."""
        for call in calls:
            seen = (call.name, call.arguments, call.result.text if call.result else "")
            self.same = self.same + 1 if seen == self.last else 0
            self.alternating = self.alternating + 1 if seen == self.before else 0
            if not self.same and not self.alternating:
                self.nudged = -1
            self.before, self.last = self.last, seen

    def noted(self, kind: str, about: str, step: int, act: str = "") -> None:
        """A finding was written down, with what is to be done about it."""
        if act:
            self.acts.add(act)
        self.warned.add(f"{kind}:{about}")
        if kind == "no_progress":
            self.nudged = step

    def again(self) -> None:
        """The run was resumed: what led to its end does not count any more."""
        self.last = self.before = None
        self.same = self.alternating = self.invalid = self.refused = 0
        self.nudged = -1
        self.warned.clear()
        self.acts.clear()

    def _tried(self, failed: int) -> None:
        self.attempts += 1
        self.trail = (self.trail << 1 | failed) & _MASK
