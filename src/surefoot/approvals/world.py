"""The tools of an agent as a Cedar schema, one context type an action, and what is wrong with rules in such a world.

`faults` is what stops a start: names that nothing has, accesses to arguments that there are not, comparisons of unlike
types. `remarks` is what `surefoot policy check` says besides: rules that can never matter.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from surefoot.approvals.cedar import ANSWER, DECIDE, GROUPS, RESERVED, Clause, groups_of, quoted
from surefoot.approvals.layers import Layer, own_layer
from surefoot.approvals.mapping import Form, cedar_type, forms_of
from surefoot.core.tool import FINAL_ANSWER, ToolSpec

__all__ = ["faults", "remarks", "schema_of"]

_STRING: dict[str, Any] = {"type": "String"}
_LONG: dict[str, Any] = {"type": "Long"}
_STRINGS: dict[str, Any] = {"type": "Set", "element": _STRING}
_POLICY = re.compile(r"^for policy `policy\d+`, ")
_EFFECTS = ("effect:read", "effect:idempotent", "effect:reconcilable", "effect:unsafe")


def schema_of(tools: Iterable[ToolSpec], groups: Iterable[str] = (), others: Iterable[str] = ()) -> dict[str, Any]:
    """The Cedar schema (JSON format) of these tools; ``groups`` and ``others`` are further names that rules speak of."""
    tools = list(tools)
    names = {*_EFFECTS, *groups, *[group for tool in tools for group in groups_of(tool)]}
    actions: dict[str, Any] = {name: {"memberOf": []} for name in sorted({"call", *names, *others})}
    for tool in tools:
        actions[tool.name] = {
            "memberOf": [{"id": group} for group in groups_of(tool)],
            "appliesTo": {
                "principalTypes": ["Agent"],
                "resourceTypes": ["Tool"],
                "context": _context(forms_of(tool.input_schema)),
            },
        }
    return {"": {"entityTypes": {"Agent": {}, "Tool": {}}, "actions": actions}}


def _context(form: Form) -> dict[str, Any]:
    counts = {
        name: {**_LONG, "required": not part.optional} for name, part in form.fields.items() if part.kind in ("set", "pairs")
    }
    origins = {name: {**_STRING, "required": not part.optional} for name, part in form.fields.items()}
    fields: dict[str, Any] = {
        "args": cedar_type(form),
        "count": {"type": "Record", "attributes": counts},
        "unmapped": _STRINGS,
        "origin": {"type": "Record", "attributes": origins},
        "tainted": {"type": "Boolean"},
        "doubts": _STRINGS,
        "unsaid": _STRINGS,
        "user": _STRING,
        "tenant": _STRING,
        "session": _STRING,
        "effect": _STRING,
        "tags": _STRINGS,
        "step": _LONG,
        "calls": _LONG,
        "cost": {**_LONG, "required": False},
    }
    return {"type": "Record", "attributes": fields}


#: Deciding a request, as a rule about deciders sees it.
_DECIDE: dict[str, Any] = {
    "": {
        "entityTypes": {"User": {"memberOfTypes": ["Role"]}, "Role": {}, "Tool": {}},
        "actions": {
            DECIDE: {
                "appliesTo": {
                    "principalTypes": ["User"],
                    "resourceTypes": ["Tool"],
                    "context": {
                        "type": "Record",
                        "attributes": {
                            "agent": _STRING,
                            "owner": _STRING,
                            "decision": _STRING,
                            "kind": _STRING,
                            "effect": _STRING,
                            "rules": _STRINGS,
                        },
                    },
                }
            }
        },
    }
}


def faults(layers: Sequence[Layer], tools: Sequence[ToolSpec], known: Iterable[str]) -> Iterator[str]:
    """What is wrong with rules where these tools are; ``known`` are the names of all tools of the application."""
    names = {tool.name for tool in tools} | set(known)
    for tool in tools:
        if tool.name in RESERVED or tool.name.startswith(GROUPS):
            yield f"tool {tool.name!r} has the name of a group of actions; rename it: @tool(name=…)"
    for layer in layers:
        for name in layer.lists.exact() if layer.lists else ():
            if name not in names:
                yield f"{layer.name}: there is no tool {name!r}"
    clauses = [clause for layer in layers for clause in layer.clauses] + [
        clause for tool in tools for layer in (*layers, None) for clause in _made(layer, tool)
    ]
    validator = _Validator(tools)
    for clause in clauses:
        unknown = sorted(name for name in _named(clause) if name not in names and name not in (ANSWER, DECIDE))
        if unknown:
            yield f"{clause.where}: there is no tool {unknown[0]!r}"
        else:
            yield from validator.wrong(clause)


def _made(layer: Layer | None, tool: ToolSpec) -> tuple[Clause, ...]:
    """Rules that a shorthand makes: of a list, or of the tool itself."""
    if layer is None:
        return own_layer(tool)
    return layer.of(tool) if layer.lists else ()


def _named(clause: Clause) -> Iterator[str]:
    """The tools that a scope names."""
    for name in clause.actions or ():
        if name != "call" and not name.startswith(GROUPS):
            yield name
    yield from clause.resources or ()


class _Validator:
    """Validates rules one by one, each in a world of the tools it covers."""

    def __init__(self, tools: Sequence[ToolSpec]) -> None:
        self._tools = (*tools, FINAL_ANSWER)
        self._schemas: dict[tuple[str, ...], Any] = {}

    def wrong(self, clause: Clause) -> Iterator[str]:
        """What Cedar's validator says of a rule."""
        import cedarpy

        covered = [tool for tool in self._tools if clause.covers(tool)]
        if not covered and not clause.names(DECIDE):
            return  # it speaks of groups that are empty here, or of other agents' tools
        result = cedarpy.validate_policies(clause.text, self._schema(clause, covered))
        for error in dict.fromkeys(_POLICY.sub("", error.error) for error in result.errors):
            yield f"{clause.where}: {error}"

    def _schema(self, clause: Clause, covered: Sequence[ToolSpec]) -> Any:  # noqa: ANN401  cedarpy's handle
        import cedarpy

        groups = _mentioned(clause.body)
        key = (*[tool.name for tool in covered], "", *sorted(groups), "decide" if clause.names(DECIDE) else "")
        if key not in self._schemas:
            schema = _DECIDE if clause.names(DECIDE) else schema_of(covered, groups, [tool.name for tool in self._tools])
            self._schemas[key] = cedarpy.Schema.from_json_str(json.dumps(schema))
        return self._schemas[key]


def _mentioned(body: Any) -> set[str]:  # noqa: ANN401  Cedar's JSON
    """The groups of actions that a rule speaks of."""
    if isinstance(body, Mapping):
        own = {str(body["id"])} if body.get("type") == "Action" and str(body.get("id", "")).startswith(GROUPS) else set()
        return own.union(*[_mentioned(value) for value in body.values()])
    return set().union(*[_mentioned(value) for value in body]) if isinstance(body, list) else set()


def remarks(layers: Sequence[Layer], tools: Sequence[ToolSpec]) -> Iterator[str]:
    """Rules that can never matter for these tools, and arguments asked for with ``has`` that none of them has."""
    for layer in layers:
        globs = (*layer.lists.allow, *layer.lists.ask, *layer.lists.deny) if layer.lists else ()
        for glob in globs:
            if not any(fnmatchcase(tool.name, glob) for tool in tools):
                yield f"{layer.name}: {glob!r} matches no tool"
        for clause in layer.clauses:
            covered = [tool for tool in (*tools, FINAL_ANSWER) if clause.covers(tool)]
            if not covered and not clause.names(DECIDE):
                yield f"{clause.where}: its scope matches no tool"
            known = {name for tool in covered for name in forms_of(tool.input_schema).fields}
            for name in sorted(_asked_for(clause.body) - known) if covered else ():
                yield f"{clause.where}: no tool in its scope has the argument {quoted(name)}"


def _asked_for(body: Any) -> set[str]:  # noqa: ANN401  Cedar's JSON
    """The arguments whose presence a rule asks for: ``context.args has name``."""
    if isinstance(body, Mapping):
        found: set[str] = set().union(*[_asked_for(value) for value in body.values()])
        has = body.get("has")
        if isinstance(has, Mapping) and has.get("left") == {".": {"left": {"Var": "context"}, "attr": "args"}}:
            found.add(str(has["attr"]))
        return found
    return set().union(*[_asked_for(value) for value in body]) if isinstance(body, list) else set()
