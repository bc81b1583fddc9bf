"""Cedar text read statement by statement, so that whatever is wrong with one is said with its file and line.

`read` gives the `Clause`s of a text: effect, annotations, scope and line. Which policies exist, what they apply to and what
they demand is read from cedarpy's own JSON; this file only finds where each statement begins.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from surefoot.core.errors import ConfigurationError
from surefoot.core.tool import ToolSpec

__all__ = ["ANSWER", "DECIDE", "RESERVED", "Clause", "Demand", "groups_of", "quoted", "read"]

#: The action of giving a final answer, and that of deciding a request.
ANSWER, DECIDE = "answer", "decide"
#: Names of actions that no tool may have.
RESERVED = frozenset({"call", ANSWER, DECIDE})
#: How the names of groups begin.
GROUPS = ("effect:", "tag:", "toolset:")

_TOKEN = re.compile(r'//[^\n]*|"(?:[^"\\]|\\.)*"|;|[^\s";/]+|/|"')
_DURATION = re.compile(r"(\d{1,6})\s*([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DEMANDS = frozenset({"quorum", "distinct", "expires", "may_edit", "on_expiry"})
_WORDS = frozenset({"id", "ask", "reason", "advice", *_DEMANDS})
_ROLE = re.compile(r"[\w.:@/-]+")


@dataclass(frozen=True, slots=True)
class Demand:
    """What an ``@ask`` rule wants before a call may run; ``roles`` are alternatives, none is anyone. Microseconds."""

    roles: tuple[str, ...] = ()
    quorum: int = 1
    distinct: bool = False
    expires: int = 0
    on_expiry: str = ""
    may_edit: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Clause:
    """One policy of a text. ``actions`` is None for any, ``resources`` likewise; ``demand`` is an ask rule's."""

    text: str
    where: str
    name: str
    effect: str
    actions: frozenset[str] | None
    resources: frozenset[str] | None
    conditional: bool
    demand: Demand | None
    reason: str
    body: Mapping[str, Any]

    @property
    def verdict(self) -> str:
        """What it says when it holds: allow, ask or deny."""
        return "allow" if self.effect == "permit" else "deny" if self.demand is None else "ask"

    def names(self, action: str) -> bool:
        """Whether its scope names an action."""
        return self.actions is not None and action in self.actions

    def covers(self, tool: ToolSpec) -> bool:
        """Whether its scope can hold for calls of a tool."""
        if self.names(DECIDE) or (self.resources is not None and tool.name not in self.resources):
            return False
        if tool.name == ANSWER:
            return self.names(ANSWER)
        return self.actions is None or not self.actions.isdisjoint((tool.name, *groups_of(tool)))


def groups_of(tool: ToolSpec) -> tuple[str, ...]:
    """The groups that a tool's action is in."""
    if tool.name == ANSWER:
        return ()
    toolset = (f"toolset:{tool.toolset}",) if tool.toolset else ()
    return ("call", f"effect:{tool.effect}", *[f"tag:{tag}" for tag in tool.tags], *toolset)


def quoted(text: str) -> str:
    """A text as a Cedar string."""
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(char: str) -> str:
    return f"\\{char}" if char in '"\\' else char if char.isprintable() else f"\\u{{{ord(char):x}}}"


def read(text: str, name: str) -> tuple[Clause, ...]:
    """The policies of a text; ``name`` is what messages call it. Raises ConfigurationError with the line."""
    return tuple(_clause(part, f"{name}:{line}") for part, line in _statements(text))


def _statements(text: str) -> Iterator[tuple[str, int]]:
    """Each statement with the line on which it begins; what follows the last semicolon counts when it is no comment."""
    start: int | None = None
    for token in _TOKEN.finditer(text):
        if token[0].startswith("//"):
            continue
        if start is None:
            start = token.start()
        if token[0] == ";":
            yield text[start : token.end()], text.count("\n", 0, start) + 1
            start = None
    if start is not None:
        yield text[start:], text.count("\n", 0, start) + 1


def _clause(text: str, where: str) -> Clause:
    import cedarpy

    try:
        parsed = json.loads(cedarpy.policies_to_json_str(text))
    except ValueError as error:
        raise ConfigurationError(f"{where}: {error}\n  {text.strip().splitlines()[0]}") from None
    if parsed["templates"] or not parsed["staticPolicies"]:
        raise ConfigurationError(f"{where}: a policy with ?principal or ?resource decides nothing; name what it is about")
    (body,) = parsed["staticPolicies"].values()
    annotations = {key: value or "" for key, value in body.get("annotations", {}).items()}
    unknown = sorted(annotations.keys() - _WORDS)
    if unknown:
        known = ", ".join(f"@{word}" for word in sorted(_WORDS))
        raise ConfigurationError(f"{where}: there is no annotation @{unknown[0]}; there are {known}")
    return Clause(
        text,
        where,
        annotations.get("id") or where,
        body["effect"],
        _actions(body["action"], where),
        _scope(body["resource"]),
        bool(body["conditions"]) or body["principal"]["op"] != "All" or body["resource"]["op"] not in ("All", "=="),
        _demand(annotations, body["effect"], where),
        annotations.get("reason") or annotations.get("advice", ""),
        body,
    )


def _actions(scope: Mapping[str, Any], where: str) -> frozenset[str] | None:
    names = _scope(scope)
    group = next((name for name in names or () if name == "call" or name.startswith(GROUPS)), None)
    if group is not None and scope["op"] == "==":
        raise ConfigurationError(f"{where}: {quoted(group)} is a group of actions; write action in Action::{quoted(group)}")
    return names


def _scope(scope: Mapping[str, Any]) -> frozenset[str] | None:
    """The ids a scope names; None where it names none."""
    entities = scope.get("entities") or ([scope["entity"]] if "entity" in scope else None)
    return None if entities is None else frozenset(str(entity["id"]) for entity in entities)


def _demand(annotations: Mapping[str, str], effect: str, where: str) -> Demand | None:
    if "ask" not in annotations:
        lone = sorted(annotations.keys() & _DEMANDS)
        if lone:
            raise ConfigurationError(f"{where}: @{lone[0]} says how to ask; add @ask, or leave it out")
        return None
    if effect != "forbid":
        raise ConfigurationError(f"{where}: @ask stands before forbid: the call is forbidden until somebody agrees")
    edit = annotations.get("may_edit")
    return Demand(
        _words(annotations["ask"], where),
        _quorum(annotations.get("quorum", "1"), where),
        _flag(annotations.get("distinct", "false"), where),
        _duration(annotations["expires"], where) if "expires" in annotations else 0,
        _on_expiry(annotations.get("on_expiry", ""), where),
        None if edit is None else tuple(word.strip() for word in edit.split(",") if word.strip()),
    )


def _words(text: str, where: str) -> tuple[str, ...]:
    words = tuple(word.strip() for word in text.split(",") if word.strip())
    for word in words:
        if not _ROLE.fullmatch(word):
            raise ConfigurationError(f'{where}: {word!r} is no role; write @ask("approver, admin"), or @ask for anyone')
    return words


def _quorum(text: str, where: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 100:
        raise ConfigurationError(f'{where}: @quorum is how many must agree, from 1 to 100, not {text!r}; write @quorum("2")')
    return int(text)


def _flag(text: str, where: str) -> bool:
    if text not in ("true", "false"):
        raise ConfigurationError(f'{where}: @distinct is "true" or "false", not {text!r}')
    return text == "true"


def _duration(text: str, where: str) -> int:
    found = _DURATION.fullmatch(text.strip())
    if found is None or not int(found[1]):
        raise ConfigurationError(f'{where}: {text!r} is no time: write @expires("30m"), with s, m, h or d')
    return int(found[1]) * _SECONDS[found[2]] * 1_000_000


def _on_expiry(text: str, where: str) -> str:
    if text in ("", "deny", "fail") or (text.startswith("escalate:") and _ROLE.fullmatch(text.partition(":")[2])):
        return text
    raise ConfigurationError(f'{where}: @on_expiry is "deny", "fail" or "escalate:role", not {text!r}')
