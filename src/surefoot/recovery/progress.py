"""A run that goes nowhere is told so, and stopped when it goes on like that.

Two ways of going nowhere are caught: the same call (tool, arguments) with the same result again and again, alone or in
turn with one other; and calls with arguments that do not fit, again and again. The model gets a nudge first. A tool
declared with ``polling=True`` is meant to be called so, and no pattern with it is one.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from surefoot.core.pace import Finding
from surefoot.core.state import State

__all__ = ["NoProgress", "Rules"]

_NONE: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Rules:
    """After how many times the model is nudged, and the run stopped: the same call, and calls with wrong arguments in a row."""

    nudge: int = 3
    stop: int = 6
    invalid: int = 8


class NoProgress:
    """The `Guard` of runs that go nowhere; ``polling`` names the tools that may."""

    def __init__(self, polling: Collection[str] = (), rules: Rules | None = None) -> None:
        self._polling = frozenset(polling)
        self._rules = rules or Rules()

    def check(self, state: State, now: int) -> Sequence[Finding]:
        """What is to be said of a run before it asks its model again."""
        pace, rules = state.pace, self._rules
        if pace.invalid >= rules.invalid:
            return (self._fumbled(pace.invalid),)
        # A pattern of one that came twice was seen once more than it was the same; one of two takes twice as many calls.
        times, length = (pace.same + 1, 1) if pace.same else (pace.alternating // 2 + 1, 2)
        if times < rules.nudge or pace.last is None or pace.before is None:
            return _NONE
        names = (pace.last[0],) if length == 1 else (pace.before[0], pace.last[0])
        if not self._polling.isdisjoint(names):
            return _NONE
        if pace.nudged < 0:
            return (self._nudge(names, times, state.step),)
        return (self._stop(names, times),) if state.step > pace.nudged and times >= rules.stop else _NONE

    def _nudge(self, names: tuple[str, ...], times: int, step: int) -> Finding:
        what = f"{names[0]} was called" if len(names) == 1 else f"{names[0]} and {names[1]} were called in turn"
        # Neither names nor arguments are repeated here: they are the model's words, and this will stand as a user's.
        calls = "The same call was made" if len(names) == 1 else "The same two calls were made in turn"
        tell = (
            f"{calls} {times} times with the same arguments, and the result was the same each time. Calling again will not "
            "change it. Do something else, or give your answer with what you have."
        )
        said = f"{what} {times} times with the same arguments and result"
        return Finding("no_progress", said, {"tools": list(names), "times": times}, str(step), tell)

    def _stop(self, names: tuple[str, ...], times: int) -> Finding:
        what = " and ".join(names)
        hint = (
            "if this tool is there to be asked again and again, declare it with polling=True; "
            "else say in the instructions when to stop, and `surefoot resume`"
        )
        text = f"the run went nowhere: {what} {times} times with the same arguments and result, a nudge notwithstanding"
        return Finding("no_progress", text, {"tools": list(names), "times": times}, stop=True, hint=hint)

    def _fumbled(self, times: int) -> Finding:
        hint = "give the tool's parameters descriptions or simpler types, or use a stronger model; then `surefoot resume`"
        text = f"{times} calls in a row had arguments that do not fit their tools"
        return Finding("invalid_arguments", text, {"times": times}, stop=True, hint=hint)
