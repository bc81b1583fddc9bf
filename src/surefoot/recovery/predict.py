"""Says early what will go wrong at this rate, from the run's own events; it warns, and never stops anything.

Four things are watched: how fast the run's limits are used up; whether failures become more; how full the model's context
gets; whether answers take longer than the run's own first ones, or than those of the agent's runs before it. Each is said
once, with its figures and a forecast. What is done about it at once, the rules may say.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

import msgspec

from surefoot.core.pace import EARLY, TRAIL, Act, Finding, Pace
from surefoot.core.state import State
from surefoot.core.values import Limits

__all__ = ["History", "Predictor", "Rules"]

_HALF = TRAIL // 2
_NEWER = (1 << _HALF) - 1
#: Answers, and runs, that an agent's history holds at most, and answers that it takes to be one.
_REMEMBERED, _ENOUGH = 200, 20


@dataclass(frozen=True, slots=True)
class Rules:
    """When something is said: shares of a limit and of a context window, failures among ten attempts, times as slow.

    ``acts`` says what is done about it, by kind: ``{"context_fill": "compact", "error_rate": "fall_back", "limit_near": "ask"}``.
    """

    burnt: float = 0.8
    filled: float = 0.6
    failing: int = 5
    slower: float = 3.0
    slow: float = 2.0
    acts: Mapping[str, Act] = field(default_factory=dict)


class History:
    """How long the answers of an agent took lately, over all of its runs in this process, in microseconds."""

    def __init__(self) -> None:
        self._took: deque[float] = deque(maxlen=_REMEMBERED)
        self._seen: OrderedDict[str, int] = OrderedDict()

    def add(self, run: str, pace: Pace) -> None:
        """Take in how a run's answers take lately, once for each of them."""
        if self._seen.get(run) == pace.replies:
            return
        self._seen[run] = pace.replies
        self._seen.move_to_end(run)
        if len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)
        self._took.append(pace.lately)

    def usual(self) -> float | None:
        """The median; None before there were enough."""
        return median(self._took) if len(self._took) >= _ENOUGH else None


class Predictor:
    """The `Guard` that looks ahead, for an agent with these limits, this history, and a model with this context window."""

    def __init__(self, limits: Limits, window: int, rules: Rules | None = None, history: History | None = None) -> None:
        self._limits = limits
        self._window = window
        self._rules = rules or Rules()
        self._history = history or History()

    def check(self, state: State, now: int) -> Sequence[Finding]:
        """What is to be said of a run before it asks its model again."""
        found = self._found(state, now)
        acts = self._rules.acts
        return [msgspec.structs.replace(one, act=acts[one.kind]) if one.kind in acts else one for one in found] if acts else found

    def _found(self, state: State, now: int) -> Sequence[Finding]:
        if state.pace.replies:
            self._history.add(state.id, state.pace)
        if state.steps < 4:
            return ()
        found: list[Finding] = []
        limits = self._limits if state.limits is None else state.limits.over(self._limits)
        self._burn(state, limits, now, found)
        pace, rules = state.pace, self._rules
        if pace.last_input >= rules.filled * self._window:
            found.append(self._fill(pace))
        if (pace.trail & _NEWER).bit_count() >= rules.failing and pace.attempts >= TRAIL:
            self._failing(pace, found)
        if pace.replies > 2 * EARLY and self._slow(pace, pace.early / EARLY):
            found.append(_drift(pace, pace.early / EARLY, "at first"))
        elif pace.replies >= EARLY and pace.lately >= rules.slow * 1e6:
            usual = self._history.usual()
            if usual is not None and self._slow(pace, usual):
                found.append(_drift(pace, usual, "in this agent's runs before"))
        return found

    def _slow(self, pace: Pace, usual: float) -> bool:
        return pace.lately >= self._rules.slower * usual + self._rules.slow * 1e6

    def _burn(self, state: State, limits: Limits, now: int, found: list[Finding]) -> None:
        burnt, steps = self._rules.burnt, state.steps
        if limits.steps is not None and steps >= burnt * limits.steps:
            found.append(_near("steps", steps, limits.steps, steps))
        if limits.tool_calls is not None and state.tool_calls >= burnt * limits.tool_calls:
            found.append(_near("tool_calls", state.tool_calls, limits.tool_calls, steps))
        if limits.tokens is not None and state.usage.total >= burnt * limits.tokens:
            found.append(_near("tokens", state.usage.total, limits.tokens, steps))
        if limits.cost is not None and state.cost is not None and state.cost >= burnt * limits.cost * 1e6:
            found.append(_near("cost", state.cost / 1e6, limits.cost, steps))
        if limits.seconds is not None and state.worked_until(now) >= burnt * limits.seconds * 1e6:
            found.append(_near("seconds", state.worked_until(now) / 1e6, limits.seconds, steps))

    def _fill(self, pace: Pace) -> Finding:
        grown = (pace.last_input - pace.first_input) / max(1, pace.replies - 1)
        left = int((self._window - pace.last_input) / grown) if grown > 0 else None
        share = pace.last_input / self._window
        ahead = f"; at this rate it is full in about {max(0, left)} steps" if left is not None else ""
        text = f"the prompt takes {share:.0%} of the model's context{ahead}"
        data = {"input": pace.last_input, "window": self._window, "share": round(share, 3), "steps_left": left}
        return Finding("context_fill", text, data)

    def _failing(self, pace: Pace, found: list[Finding]) -> None:
        newer, older = (pace.trail & _NEWER).bit_count(), (pace.trail >> _HALF).bit_count()
        if newer >= 2 * older:
            text = f"{newer} of the last {_HALF} attempts of models and tools failed, after {older} of the {_HALF} before"
            found.append(Finding("error_rate", text, {"failed": newer, "before": older, "of": _HALF}))


def _drift(pace: Pace, usual: float, when: str) -> Finding:
    usual, lately = usual / 1e6, pace.lately / 1e6
    text = f"answers take {lately:.3g} s lately, and took {usual:.3g} s {when}"
    return Finding("latency_drift", text, {"lately": round(lately, 3), "usual": round(usual, 3)})


def _near(name: str, used: float, limit: float, steps: int) -> Finding:
    left = max(0, int((limit - used) * steps / used)) if used else steps
    unit = name.replace("_", " ")
    text = f"the run has used {used:.4g} of its limit of {limit:.4g} {unit}, and will reach it in about {left} steps at this rate"
    return Finding("limit_near", text, {"limit": name, "used": used, "of": limit, "steps_left": left}, name)
