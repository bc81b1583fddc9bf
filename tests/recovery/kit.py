"""What the tests of this folder share: a breaker on a clock moved by hand, and models that fail as they are told."""

from __future__ import annotations

from typing import Any

from surefoot.core.events import BreakerChanged
from surefoot.core.model import Delta, ModelRequest, ModelSettings
from surefoot.recovery.breaker import Breaker, GuardedModel, Rules
from surefoot.recovery.classify import Taxonomy
from surefoot.recovery.limits import LimitedModel
from surefoot.recovery.limits import Rules as BudgetRules
from surefoot.testing.clock import ManualClock

__all__ = ["Bench", "asked", "ignore"]


def asked(attempt: int = 1, *, elsewhere: bool = False, timeout: float | None = None) -> ModelRequest:
    return ModelRequest([], settings=ModelSettings(timeout=timeout), attempt=attempt, elsewhere=elsewhere)


def ignore(delta: Delta) -> None:
    """Nobody listens."""


class Bench:
    """A breaker, its clock and what it told."""

    def __init__(self, rules: Rules | None = None) -> None:
        self.clock = ManualClock()
        self.told: list[BreakerChanged] = []
        self.taxonomy = Taxonomy()
        self.breaker = Breaker("a:model", rules or Rules(), self.taxonomy, self.clock, self.told.append)

    @property
    def states(self) -> list[str]:
        return [event.state for event in self.told]

    def guarded(self, model: Any, budget: BudgetRules | None = None) -> GuardedModel:
        return GuardedModel(LimitedModel(model, budget or BudgetRules(), self.clock), self.breaker, self.clock)
