"""What an application may set of recovery; nobody has to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from surefoot.core.ports import Guard
from surefoot.core.taxonomy import Kind
from surefoot.recovery import breaker, limits, predict, progress
from surefoot.recovery.classify import Rules

__all__ = ["Recovery"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """How an application survives failures: ``App(recovery=Recovery(…))``.

    Attributes:
        kinds: more kinds of failure, or others in the place of the built-in ones, and what follows from each.
        rules: what exceptions of tools and models are, before anything else is asked; exception classes to kinds, or to
            functions of the exception that give a kind or None.
        breaker: when a breaker opens, and for how long.
        budget: how many requests to a model may be retries.
        progress: when a run that goes nowhere is nudged and stopped; None for never.
        predict: when something is said early; None for never.
        guards: more that watch how runs get on.
    """

    kinds: Mapping[str, Kind] = field(default_factory=dict)
    rules: Rules = field(default_factory=dict)
    breaker: breaker.Rules = breaker.Rules()
    budget: limits.Rules = limits.Rules()
    progress: progress.Rules | None = progress.Rules()
    predict: predict.Rules | None = predict.Rules()
    guards: Sequence[Guard] = ()
