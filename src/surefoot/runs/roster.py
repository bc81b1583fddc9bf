"""The agents an application knows, by name, and the plan of each, made once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from surefoot.core.agent import Agent
from surefoot.core.errors import ConfigurationError, UnknownAgent
from surefoot.engine.plan import Plan

__all__ = ["Roster"]


class Roster:
    """One application's agents. ``make`` makes an agent's plan, and raises what is wrong with the agent; what it learns of the
    agent later it tells the function it is given. ``check`` raises what is wrong with all plans together.
    """

    def __init__(
        self,
        make: Callable[[Agent[Any, Any], Callable[[Plan], None]], Plan],
        check: Callable[[Mapping[str, Plan]], None],
    ) -> None:
        self._make, self._check = make, check
        self.agents: dict[str, Agent[Any, Any]] = {}
        self.plans: dict[str, Plan] = {}

    def name(self, agent: Agent[Any, Any]) -> None:
        """Take an agent's name; its plan is made later. Raises ConfigurationError when another agent has that name."""
        known = self.agents.get(agent.name)
        if known is not None and known is not agent:
            raise ConfigurationError(
                f"two different agents are named {agent.name!r}; give each its own name, or make a new App (in a notebook, make "
                "the App in the cell that makes the agent, and close the one before: await app.close())"
            )
        self.agents[agent.name] = agent

    def known(self, agent: Agent[Any, Any] | str) -> str:
        """The name of an agent, which is taken first when it is one itself; raises as `add`."""
        if isinstance(agent, str):
            return agent
        self.add(agent)
        return agent.name

    def add(self, agent: Agent[Any, Any]) -> None:
        """Take an agent that works; the name of one that does not stays free for the mended one.

        Raises ConfigurationError when another agent has its name, and what is wrong with the agent.
        """
        is_new = agent.name not in self.agents
        self.name(agent)
        try:
            self.plan(agent.name)
        except BaseException:
            if is_new:
                del self.agents[agent.name]
            raise

    def check(self) -> None:
        """Make every plan that is still to be made. Raises what is wrong with an agent."""
        for name in self.agents:
            self.plan(name)

    def plan(self, name: str) -> Plan | None:
        """The plan of an agent, None when there is no agent of that name."""
        plan = self.plans.get(name)
        if plan is None and name in self.agents:
            plan = self.plans[name] = self._make(self.agents[name], self._learn)
            if len(self.plans) == len(self.agents):
                try:
                    self._check(self.plans)
                except BaseException:
                    del self.plans[name]
                    raise
        return plan

    def _learn(self, plan: Plan) -> None:
        self._check({**self.plans, plan.agent: plan})
        self.plans[plan.agent] = plan

    def plan_of(self, name: str) -> Plan:
        """The plan of an agent. Raises UnknownAgent."""
        plan = self.plan(name)
        if plan is None:
            known = ", ".join(sorted(self.agents)) or "none"
            raise UnknownAgent(f"this application has no agent {name!r} (it has: {known}); pass it: App(…, agents=[…])")
        return plan
