"""Policies: `CedarPolicy`, which judges calls by layers of Cedar rules, and `EffectPolicy`, what holds where no rule speaks.

A verdict is the strictest that any layer gives: a plain forbid denies; an error, a value that does not fit, or an ``@ask``
forbid asks; a permit allows. Only where no rule speaks does the tool's effect decide. Cedar itself answers Allow when a
forbid fails to evaluate, so errors are read before its answer is.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from surefoot.approvals.cedar import DECIDE, Clause, groups_of
from surefoot.approvals.layers import Layer, own_layer
from surefoot.approvals.mapping import Form, forms_of, mapped
from surefoot.approvals.origins import Origins
from surefoot.approvals.world import faults
from surefoot.core import canonical
from surefoot.core.errors import ConfigurationError
from surefoot.core.ports import Judged
from surefoot.core.request import Request
from surefoot.core.tool import ToolSpec
from surefoot.core.values import Verdict

__all__ = ["CedarPolicy", "EffectPolicy", "Explained"]

#: Definitions of one tool that are kept ready; one name may mean several in an application of several agents.
_KEPT = 16
#: How a rule speaks of where values come from.
_ORIGINS = ("context.origin", "context.tainted", "context.doubts", "context.unsaid")


class EffectPolicy:
    """Asks a human before every call of an unsafe tool."""

    @property
    def digest(self) -> str:
        """There is only one of these."""
        return "effects-1"

    def settled(self, tool: ToolSpec) -> str:
        """Effects are all that counts."""
        return "ask" if tool.effect == "unsafe" else "allow"

    def judge(self, call: Judged) -> Verdict:
        """Ask for unsafe tools, allow others."""
        if call.tool.effect == "unsafe":
            return Verdict(call.call, "ask", ("effect:unsafe",), "the tool is unsafe: it cannot be undone or repeated")
        return Verdict(call.call, "allow", (f"effect:{call.tool.effect}",))


@dataclass(frozen=True, slots=True)
class Explained:
    """A verdict with what it was made from: the rules in scope, those that held, errors, and the context they saw."""

    verdict: Verdict
    scope: tuple[Clause, ...]
    held: tuple[Clause, ...]
    errors: tuple[str, ...]
    context: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Ready:
    """What is made of the rules for one tool, once; ``looks`` is whether any looks at where values come from."""

    tool: ToolSpec
    rules: tuple[Clause, ...]
    settled: Verdict | None
    form: Form
    policies: Any
    entities: Any
    looks: bool = False


class CedarPolicy:
    """Layers of Cedar rules, over the tools' own, over their effects."""

    def __init__(self, layers: Sequence[Layer] = ()) -> None:
        self.layers = tuple(layers)
        self._effects = EffectPolicy()
        self._ready: dict[str, list[_Ready]] = {}
        self._tools: dict[str, ToolSpec] = {}
        self._origins = Origins(self._tools)
        self.digest = canonical.digest(self._effects.digest, *[part for layer in layers for part in (layer.name, layer.text)])[
            :16
        ]

    def within(self, layers: Sequence[Layer]) -> CedarPolicy:
        """This policy with further layers."""
        return CedarPolicy((*self.layers, *layers)) if layers else self

    def admit(self, tools: Sequence[ToolSpec], known: Iterable[str] = ()) -> None:
        """Raise ConfigurationError, with the line, when a rule cannot hold where these tools are.

        ``known`` are the names of all tools of the application; a rule may name them, too.
        """
        self._tools.update({tool.name: tool for tool in tools})
        found = list(faults(self.layers, tools, known))
        if found:
            more = f" (and {len(found) - 1} more; see `surefoot policy check`)" if len(found) > 1 else ""
            raise ConfigurationError(f"the policy cannot be used: {found[0]}{more}")

    def settled(self, tool: ToolSpec) -> str:
        """See `Policy.settled`."""
        settled = self._for(tool).settled
        return settled.verdict if settled else ""

    def judge(self, call: Judged) -> Verdict:
        """See `Policy.judge`."""
        ready = self._for(call.tool)
        if ready.settled is not None:
            return msgspec.structs.replace(ready.settled, call=call.call)
        return self._explained(ready, call).verdict

    def explain(self, call: Judged) -> Explained:
        """A verdict, and how it came about."""
        ready = self._for(call.tool)
        explained = self._explained(ready, call)
        return explained if ready.settled is None else replace(explained, verdict=self.judge(call))

    def bars(self, request: Request, by: str, roles: Sequence[str], decision: str, agent: str) -> str:
        """Why rules about who decides (``Action::"decide"``) keep somebody from deciding; empty when none does.

        A forbid that holds keeps them from it, as does an error; where there are permits, one must hold.
        """
        rules = tuple(clause for layer in self.layers for clause in layer.clauses if clause.names(DECIDE))
        if not rules:
            return ""
        import cedarpy

        user = {"type": "User", "id": by}
        parents = [{"type": "Role", "id": role} for role in roles]
        result = cedarpy.is_authorized(
            {
                "principal": user,
                "action": {"type": "Action", "id": DECIDE},
                "resource": {"type": "Tool", "id": request.tool},
                "context": {
                    "agent": agent,
                    "owner": request.user,
                    "decision": decision,
                    "kind": request.kind,
                    "effect": request.effect,
                    "rules": list(request.verdict.rules) if request.verdict else [],
                },
            },
            "\n".join(rule.text for rule in rules),
            [{"uid": user, "attrs": {}, "parents": parents}],
        )
        held = [rules[int(reason.removeprefix("policy"))] for reason in result.diagnostics.reasons]
        forbids = [rule for rule in held if rule.effect == "forbid"]
        if result.diagnostics.errors:
            return f"a rule about who decides could not be evaluated: {result.diagnostics.errors[0]}"
        if forbids:
            return (
                f"{by or 'whoever gives no name'} is kept from it by {', '.join(_names(forbids))}: {_reason(forbids, 'a rule')}"
            )
        if not held and any(rule.effect == "permit" for rule in rules):
            return f"no rule lets {by or 'whoever gives no name'} decide it"
        return ""

    def _for(self, tool: ToolSpec) -> _Ready:
        kept = self._ready.setdefault(tool.name, [])
        for ready in kept:
            if ready.tool is tool or ready.tool == tool:
                return ready
        kept.append(self._made(tool))
        del kept[:-_KEPT]
        return kept[-1]

    def _made(self, tool: ToolSpec) -> _Ready:
        rules = (*[clause for layer in self.layers for clause in layer.of(tool)], *own_layer(tool))
        if not rules:
            return _Ready(tool, (), self._effects.judge(Judged("", "{}", tool, "")), Form("record"), None, None)
        import cedarpy

        parents = [{"type": "Action", "id": group} for group in groups_of(tool)]
        action = {"uid": {"type": "Action", "id": tool.name}, "attrs": {}, "parents": parents}
        entities = cedarpy.Entities.from_json_str(json.dumps([action]))
        policies = cedarpy.PolicySet.from_str("\n".join(rule.text for rule in rules))
        looks = any(word in rule.text for rule in rules for word in _ORIGINS)
        return _Ready(tool, rules, _settled(rules), forms_of(tool.input_schema), policies, entities, looks)

    def _explained(self, ready: _Ready, call: Judged) -> Explained:
        context = _context(ready.form, call)
        origins: dict[str, str] = {}
        if ready.looks:
            found = self._origins.of(call)
            origins = found.origins
            context |= {"origin": origins, "tainted": found.tainted, "doubts": list(found.doubts), "unsaid": list(found.unsaid)}
        if not ready.rules:
            return Explained(self._effects.judge(call), (), (), (), context)
        held, errors = _evaluated(ready, call, context)
        verdict = _verdict(call.call, held, errors, context["unmapped"])
        if verdict is None:
            verdict = msgspec.structs.replace(self._effects.judge(call), facts=True)
        if origins:
            verdict = msgspec.structs.replace(verdict, origins=origins)
        return Explained(verdict, ready.rules, held, errors, context)


def _settled(rules: Sequence[Clause]) -> Verdict | None:
    """The verdict that holds whatever the arguments are, if there is one."""
    plain = [rule for rule in rules if not rule.conditional]
    if any(rule.verdict == "deny" for rule in plain):
        plain = [rule for rule in plain if rule.verdict == "deny"]
    elif len(plain) < len(rules):
        return None
    verdict = _verdict("", plain, (), ())
    assert verdict is not None  # there is at least one rule
    return msgspec.structs.replace(verdict, facts=verdict.verdict == "deny")


def _evaluated(ready: _Ready, call: Judged, context: Mapping[str, Any]) -> tuple[tuple[Clause, ...], tuple[str, ...]]:
    """The rules that hold, and what could not be evaluated. Without a schema, so that what does not need a missing value
    is still heard.
    """
    import cedarpy

    request = {
        "principal": {"type": "Agent", "id": call.agent},
        "action": {"type": "Action", "id": call.tool.name},
        "resource": {"type": "Tool", "id": call.tool.name},
        "context": context,
    }
    result = cedarpy.is_authorized(request, ready.policies, ready.entities)
    unheard = ["the request could not be evaluated"] if result.decision == cedarpy.Decision.NoDecision else []
    errors = result.diagnostics.errors or unheard
    return tuple(ready.rules[int(reason.removeprefix("policy"))] for reason in result.diagnostics.reasons), tuple(errors)


def _verdict(call: str, held: Sequence[Clause], errors: Sequence[str], unmapped: Sequence[str]) -> Verdict | None:
    """The strictest of what the rules that hold say; None where nothing speaks."""
    denies = [rule for rule in held if rule.verdict == "deny"]
    if denies:
        return Verdict(call, "deny", _names(denies), _reason(denies, "a rule forbids it"), facts=True)
    asks = [rule for rule in held if rule.verdict == "ask"]
    troubles = [f"a rule could not be evaluated: {error}" for error in errors]
    if unmapped:
        troubles.append(f"the rules cannot judge {', '.join(unmapped)}")
    if asks or troubles:
        names = (*_names(asks), *(["error"] if errors else []), *(["unmapped"] if unmapped else []))
        reason = "; ".join([*([_reason(asks, "a rule asks")] if asks else []), *troubles])
        return _demanding(Verdict(call, "ask", names, reason, facts=True), asks)
    allows = [rule for rule in held if rule.verdict == "allow"]
    return Verdict(call, "allow", _names(allows), facts=True) if allows else None


def _names(rules: Sequence[Clause]) -> tuple[str, ...]:
    return tuple(sorted(dict.fromkeys(rule.name for rule in rules)))


def _reason(rules: Sequence[Clause], otherwise: str) -> str:
    return "; ".join(dict.fromkeys(rule.reason for rule in rules if rule.reason)) or otherwise


def _demanding(verdict: Verdict, asks: Sequence[Clause]) -> Verdict:
    """The verdict with every rule's demands: the shortest time, the fields that all let be edited, a no if any says so."""
    demands = list(dict.fromkeys(rule.demand for rule in asks if rule.demand is not None))
    if not demands:
        return verdict
    named = [set(demand.may_edit) for demand in demands if demand.may_edit is not None]
    ends = sorted(
        {demand.on_expiry for demand in demands if demand.on_expiry}, key=lambda end: (end != "deny", end != "fail", end)
    )
    needs = list(dict.fromkeys((demand.roles, demand.quorum) for demand in demands))
    return msgspec.structs.replace(
        verdict,
        roles=tuple(roles for roles, _ in needs),
        quorums=tuple(quorum for _, quorum in needs),
        quorum=max(quorum for _, quorum in needs),
        distinct=any(demand.distinct for demand in demands),
        expires=min((demand.expires for demand in demands if demand.expires), default=0),
        on_expiry=ends[0] if ends else "",
        may_edit=tuple(sorted(set.intersection(*named))) if named else None,
    )


def _context(form: Form, call: Judged) -> dict[str, Any]:
    """What a rule may look at, as Cedar's JSON."""
    state = call.state
    try:
        given = mapped(form, canonical.loads(call.arguments))
    except ValueError:
        given = mapped(form, None)
    context: dict[str, Any] = {
        "args": given.args,
        "count": given.count,
        "unmapped": list(given.unmapped),
        "user": call.user,
        "tenant": call.tenant,
        "session": call.session,
        "effect": call.tool.effect,
        "tags": list(call.tool.tags),
        "step": state.step if state else 0,
        "calls": state.tool_calls if state else 0,
    }
    if state is None or state.cost is not None:
        context["cost"] = (state.cost or 0) if state else 0
    return context
