"""The rules that hold for an application, for an agent in it, and for one run."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

from surefoot.approvals.layers import Layer, Lists, PolicyChoice, Source, layers_of
from surefoot.approvals.policy import CedarPolicy
from surefoot.core import canonical
from surefoot.core.agent import Agent
from surefoot.core.errors import ConfigurationError, RunNotFound
from surefoot.core.events import PolicyChanged
from surefoot.core.ports import Policy, Store
from surefoot.engine.plan import Plan
from surefoot.settings import Settings

__all__ = ["check_policies", "check_run", "policy_for", "policy_of", "record_policies", "tightened"]


def check_policies(plans: Mapping[str, Plan]) -> None:
    """Raise ConfigurationError for rules that name a tool or argument that there is not, or compare unlike things; nothing as
    long as a toolset is yet to say what tools it has.
    """
    if any(not toolset.tools() for plan in plans.values() for toolset in plan.toolsets):
        return
    known = {name for plan in plans.values() for name in plan.tools}
    for plan in plans.values():
        if isinstance(plan.policy, CedarPolicy):
            plan.policy.admit([tool.spec for tool in plan.tools.values()], known)


def check_run(plan: Plan, options: Mapping[str, Any], plans: Mapping[str, Plan]) -> None:
    """Raise ConfigurationError for rules of a run that cannot hold, as `check_policies` does for those of an application."""
    rules = options.get("policy", "")
    own = plan.for_run(rules) if isinstance(rules, str) else plan  # what is no text is refused with the other options
    if own is plan or any(not toolset.tools() for one in plans.values() for toolset in one.toolsets):
        return
    assert isinstance(own.policy, CedarPolicy)  # any other takes no rules
    own.policy.admit([tool.spec for tool in own.tools.values()], {name for one in plans.values() for name in one.tools})


async def record_policies(store: Store, policy: Policy, plans: Mapping[str, Plan]) -> None:
    """Write into the ``app`` stream that the rules are others than before, if they are; where there never were any, or nothing
    runs here, nothing.
    """
    if not plans:
        return
    layers: dict[str, str] = {}
    for one in (policy, *[plans[name].policy for name in sorted(plans)]):
        for layer in one.layers if isinstance(one, CedarPolicy) else ():
            layers.setdefault(layer.name, layer.text)
    digest = canonical.digest(*[part for name, text in layers.items() for part in (name, text)]) if layers else ""
    before = ""
    with suppress(RunNotFound):  # nothing ever happened outside runs
        for record in await store.read("app"):
            before = record.event.digest if isinstance(record.event, PolicyChanged) else before
    if digest != before:
        text = "\n".join([f"// {name}\n{text}" for name, text in layers.items()])
        await store.append("app", [PolicyChanged(digest, before, tuple(layers), text)], head=None)


def policy_of(choice: PolicyChoice | None, settings: Settings) -> Policy:
    """The policy of an application: the settings' layers, then its own."""
    layers: list[Layer] = []
    for path in filter(None, settings.policy.split(os.pathsep)):
        layers += layers_of(Path(path), path)
    if choice is None:
        return CedarPolicy(layers)
    if isinstance(choice, str | Path | Lists | Sequence):
        return CedarPolicy([*layers, *layers_of(choice, "policy")])
    if layers:
        raise ConfigurationError(
            f"the setting policy={settings.policy!r} cannot be joined with a Policy object; give its rules to the App instead"
        )
    return choice


def policy_for(agent: Agent[Any, Any], policy: Policy) -> Policy:
    """An agent's own layers over those of its application. Raises ConfigurationError where they cannot be joined."""
    if agent.policy is None:
        return policy
    if not isinstance(policy, CedarPolicy):
        raise ConfigurationError(
            f"agent {agent.name!r} has rules of its own, which cannot be joined with the App's Policy object"
        )
    return policy.within(layers_of(cast("Source", agent.policy), f"agent {agent.name}"))  # which says when it is none


def tightened(policy: Policy, text: str) -> CedarPolicy:
    """A policy with the rules of one run, which can only tighten it. Raises ConfigurationError where they cannot be joined."""
    if not isinstance(policy, CedarPolicy):
        raise ConfigurationError("a run's rules cannot be joined with the App's Policy object; give its rules to the App instead")
    return policy.within(layers_of(text, "run"))
