"""Small frozen values that events carry and folds add up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from surefoot.core.messages import Usage

__all__ = ["Failure", "Limits", "Spent", "Verdict"]


class Limits(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """When to stop a run: model calls, tool calls, tokens, US dollars, seconds of working time. None is no limit."""

    steps: int | None = None
    tool_calls: int | None = None
    tokens: int | None = None
    cost: float | None = None
    seconds: float | None = None

    def over(self, default: Limits) -> Limits:
        """These limits, with what they leave open taken from ``default``."""
        return self._with(default, lambda mine, other: mine)

    def within(self, outer: Limits) -> Limits:
        """Limits that keep to both."""
        return self._with(outer, min)

    def _with(self, other: Limits, choose: Callable[[Any, Any], Any]) -> Limits:
        pairs = zip(msgspec.structs.astuple(self), msgspec.structs.astuple(other), strict=True)
        return Limits(*[a if b is None else b if a is None else choose(a, b) for a, b in pairs])


class Spent(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """What a run, with its children, used. ``cost`` is None when a price was unknown."""

    steps: int = 0
    tool_calls: int = 0
    usage: Usage = Usage()
    cost: int | None = 0

    def __add__(self, other: Spent) -> Spent:
        """Both; an unknown cost makes the sum unknown."""
        cost = None if self.cost is None or other.cost is None else self.cost + other.cost
        return Spent(self.steps + other.steps, self.tool_calls + other.tool_calls, self.usage + other.usage, cost)

    def __sub__(self, other: Spent) -> Spent:
        """What is left without the other; an unknown cost leaves the rest unknown."""
        cost = None if self.cost is None or other.cost is None else self.cost - other.cost
        return Spent(self.steps - other.steps, self.tool_calls - other.tool_calls, self.usage - other.usage, cost)


class Failure(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """Why something failed: a kind of the taxonomy, what happened, what to do next, and figures."""

    kind: str
    message: str
    hint: str = ""
    status: int = 0
    request_id: str = ""
    data: dict[str, Any] = {}


class Verdict(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """What a policy says of one call: ``allow``, ``ask`` or ``deny``, by which rules, and what an approval must meet.

    ``roles`` holds, for each rule that asks, the roles of which one is enough, and ``quorums`` how many must agree to each.
    ``facts`` marks a verdict that looked at arguments or context and is therefore recorded even when it allows.
    """

    call: str
    verdict: str
    rules: tuple[str, ...] = ()
    reason: str = ""
    roles: tuple[tuple[str, ...], ...] = ()
    quorum: int = 1
    distinct: bool = False
    expires: int = 0
    on_expiry: str = ""
    may_edit: tuple[str, ...] | None = None
    origins: dict[str, str] = {}
    facts: bool = False
    quorums: tuple[int, ...] = ()
