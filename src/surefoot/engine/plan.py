"""An agent made ready to run: everything the loop needs, with nothing left to look up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from surefoot.core import canonical
from surefoot.core.agent import Instructions
from surefoot.core.memory import Memory as Settings
from surefoot.core.messages import Usage
from surefoot.core.model import ModelSettings
from surefoot.core.ports import Guard, Memory, Model, Output, Policy, Retries, Tool
from surefoot.core.tokens import Count, rough
from surefoot.core.tool import ToolSpec
from surefoot.core.values import Limits

__all__ = ["Plan", "Rules", "call_digest", "changes"]


@dataclass(frozen=True, slots=True)
class Rules:
    """How patient the loop is. Times are in seconds.

    A model's request is tried ``model_tries`` times and an answer that fails its schema may be given again ``answer_tries``
    times. A delay over ``hold_for`` suspends the run. ``max_claims`` claims in a row that bring nothing new end it,
    whether their workers died or were too slow for their leases: either way it would be worked on for ever.
    """

    model_tries: int = 10
    answer_tries: int = 2
    hold_for: float = 30.0
    max_claims: int = 5
    parallel: int = 16
    tool_timeout: float = 600.0
    result_cap: int = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One agent's definition, resolved.

    ``free`` names the tools whose calls are neither judged nor asked about, ``gated`` says that answers are judged,
    ``protocol`` is what the model is told of asking a human; ``price`` gives millionths of a dollar, or None where unknown;
    ``models`` names the model, and those that may answer in its place. ``summary`` is the model that summarises what a prompt
    has no room for, ``read_back`` what a model is told of the tool that reads results that were cut. ``equip`` gives the plan
    with the tools of its toolsets, which may know them only once they are open; ``tighten`` gives it with the rules of a run.
    ``count`` gives the model's tokens of some texts.
    """

    agent: str
    digest: str
    model: Model
    tools: Mapping[str, Tool]
    output: Output
    policy: Policy
    retries: Retries
    instructions: Instructions = ""
    limits: Limits = Limits()
    settings: ModelSettings = ModelSettings()
    deps: Callable[[], Any] | None = None
    toolsets: tuple[Any, ...] = ()
    equip: Callable[[], Plan] | None = None
    tighten: Callable[[str], Plan] | None = None
    price: Callable[[str, Usage], int | None] = field(default=lambda model, usage: None)
    rules: Rules = Rules()
    concurrency: int | None = None
    count: Count = rough
    context_budget: int = 0
    summary: Model | None = None
    read_back: ToolSpec | None = None
    memory: Memory | None = None
    remember: Settings = Settings()

    guards: tuple[Guard, ...] = ()
    models: tuple[str, ...] = ()
    specs: tuple[ToolSpec, ...] = ()
    free: frozenset[str] = frozenset()
    gated: bool = False
    protocol: str = ""

    def for_run(self, rules: str) -> Plan:
        """The plan with the rules of a run, which can only tighten it. Raises ConfigurationError where they cannot hold."""
        return self.tighten(rules) if rules and self.tighten is not None else self

    def offered(self, *, cut: bool) -> tuple[ToolSpec, ...]:
        """The tools a model is told of, once results were ``cut`` also the one that reads them."""
        return (*self.specs, self.read_back) if cut and self.read_back is not None else self.specs

    def tools_text(self, *, cut: bool) -> str:
        """What the model is told of the tools, as JSON: the blob behind ``model.requested.tools``."""
        return canonical.dumps(msgspec.to_builtins(self.offered(cut=cut)))


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """How the arguments of a tool differ between two schemas, in words; empty when only their form does."""
    old, new = before.get("properties", {}), after.get("properties", {})
    words = [f"{name} is new" for name in new if name not in old]
    words += [f"{name} is gone" for name in old if name not in new]
    words += [f"{name} changed" for name in new if name in old and old[name] != new[name]]
    return ", ".join(words)


def call_digest(agent: str, spec: ToolSpec, arguments: str) -> str:
    """What an approval is bound to: agent, tool, schema and the exact arguments (SHA-256, hex)."""
    return canonical.digest(agent, spec.name, canonical.dumps(spec.input_schema), arguments)
