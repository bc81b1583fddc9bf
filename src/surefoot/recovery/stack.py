"""Puts the parts of recovery around models and tools; one for an application, so that all agents share a model's health."""

from __future__ import annotations

from collections.abc import Sequence
from weakref import WeakValueDictionary

from surefoot.core.ports import Clock, Guard, Journal, Model, Tool, Toolset
from surefoot.core.tool import ToolSpec
from surefoot.core.values import Limits
from surefoot.recovery.breaker import Breaker, GuardedModel, GuardedTool
from surefoot.recovery.classify import Taxonomy
from surefoot.recovery.fallback import Chain
from surefoot.recovery.limits import LimitedModel
from surefoot.recovery.notes import Notes
from surefoot.recovery.options import Recovery
from surefoot.recovery.predict import History, Predictor
from surefoot.recovery.progress import NoProgress
from surefoot.recovery.restart import RevivedTool, Server

__all__ = ["Stack"]


class Stack:
    """What stands between the loop and its models and tools: chain around breaker around limits around the model."""

    def __init__(self, options: Recovery, clock: Clock, journal: Journal) -> None:
        self.taxonomy = Taxonomy(options.kinds, options.rules)
        self.notes = Notes(journal)
        self._options, self._clock = options, clock
        self._histories: dict[str, History] = {}
        self._tools: dict[tuple[str, str], Breaker] = {}
        # By identity, since two servers may call their models alike; one that no agent uses any more is forgotten.
        self._guarded: WeakValueDictionary[int, GuardedModel] = WeakValueDictionary()
        self._servers: WeakValueDictionary[int, Server] = WeakValueDictionary()

    def model_of(self, models: Sequence[Model]) -> Model:
        """The model, with its limits and its breaker; of several, the chain of them."""
        guarded = [self._guard(model) for model in models]
        return guarded[0] if len(guarded) == 1 else Chain(guarded, self.taxonomy, self._clock)

    def guarded_tool(self, tool: Tool, agent: str) -> Tool:
        """An agent's tool, with a breaker where it asks for one; a toolset that makes its tools anew keeps it. One that a toolset
        shares is shared by all agents that have it.
        """
        spec = tool.spec
        if not spec.breaker:
            return tool
        shared = spec.breaker == "toolset"
        key = ("", f"toolset:{spec.toolset}") if shared else (agent, f"tool:{tool.name}")
        breaker = self._tools.get(key)
        if breaker is None:
            breaker = self._tools[key] = self._breaker(key[1])
        return GuardedTool(tool, breaker, self.taxonomy, self._clock)

    def revived_tool(self, tool: Tool, toolset: Toolset) -> Tool:
        """A tool of a toolset, which is restarted when its server died."""
        server = self._servers.get(id(toolset))
        if server is None:
            server = self._servers[id(toolset)] = Server(toolset)
        return RevivedTool(tool, server)

    def guards_of(self, agent: str, specs: Sequence[ToolSpec], limits: Limits, window: int) -> tuple[Guard, ...]:
        """What watches the runs of an agent with these tools, these limits and a model with this context window."""
        found: list[Guard] = []
        if self._options.progress is not None:
            found.append(NoProgress([spec.name for spec in specs if spec.polling], self._options.progress))
        if self._options.predict is not None:
            history = self._histories.setdefault(agent, History())
            found.append(Predictor(limits, window, self._options.predict, history))
        return (*found, *self._options.guards)

    def _guard(self, model: Model) -> GuardedModel:
        known = self._guarded.get(id(model))
        if known is None:
            limited = LimitedModel(model, self._options.budget, self._clock)
            known = self._guarded[id(model)] = GuardedModel(limited, self._breaker(model.name), self._clock)
        return known

    def _breaker(self, subject: str) -> Breaker:
        return Breaker(subject, self._options.breaker, self.taxonomy, self._clock, self.notes)
