"""Which model a conversation is with, why that one, and what would be better."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from surefoot.cli.writing import line
from surefoot.core.agent import Agent
from surefoot.core.ports import Model
from surefoot.models.local import LocalModel
from surefoot.models.lookup import KEYS, VARIABLE, Models, chosen
from surefoot.settings import Settings

__all__ = ["Talker", "choose"]


@dataclass(frozen=True, slots=True)
class Talker:
    """The model that answers: its name, why it does, and, for the offline demo model, what would be better."""

    model: Model | None
    name: str
    why: str
    better: str = ""


def choose(agent: Agent[Any, Any], named: str, models: Models) -> Talker:
    """Decide which model an agent asks, and give it that one where it has none of its own.

    ``named`` is what the command line says. Raises what `Models.model` and `Models.default` raise.
    """
    if named:
        agent.model, why = named, "named with --model"
    elif agent.model:
        why = "the agent's own"
    elif Settings.from_env().model:
        agent.model, why = models.default(), f"{VARIABLE} names it"
    else:
        key = chosen(os.environ)[1]
        agent.model, why = models.default(), f"{key} is set" if key else "no key is set, and this one needs none"
    if isinstance(agent.model, str):
        agent.model = models.model(agent.model)
    if not isinstance(agent.model, Model):
        return Talker(None, ", ".join([line(one if isinstance(one, str) else one.name) for one in agent.model or ()]), why)
    return Talker(agent.model, line(agent.model.name), why, _better() if isinstance(agent.model, LocalModel) else "")


def _better() -> str:
    keys = ", ".join(sorted({key for key, _ in KEYS}))
    return (
        "This is a small offline demo model: it uses tools well, and knows and writes little. A real one answers better: set "
        f"one of {keys}, or name one with --model provider:name."
    )
