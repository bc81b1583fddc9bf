"""Where rules come from: Cedar text and files, lists of tool names, and a tool's own rules, all as Cedar that can be printed.

A `Layer` is one source of rules. Layers only tighten: the strictest that speaks wins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from surefoot.approvals.cedar import Clause, quoted, read
from surefoot.core.errors import ConfigurationError
from surefoot.core.ports import Policy
from surefoot.core.tool import Rule, ToolSpec

__all__ = ["Layer", "Lists", "PolicyChoice", "Source", "allow", "ask", "deny", "layers_of", "own_layer", "own_text"]


def allow(*, when: str = "") -> Rule:
    """A tool's calls run unasked, when a Cedar condition holds: ``allow(when="context.args.cents <= 5000")``."""
    return Rule("allow", when)


def deny(*, when: str = "", reason: str = "") -> Rule:
    """A tool's calls do not run; the model reads ``reason``."""
    return Rule("deny", when, reason=reason)


def ask(  # noqa: PLR0913  what a question can demand
    *roles: str,
    when: str = "",
    quorum: int = 1,
    distinct: bool = False,
    expires: str = "",
    on_expiry: str = "",
    may_edit: Sequence[str] | None = None,
    reason: str = "",
) -> Rule:
    """A human with one of these roles, anyone without, is asked before a tool's call runs. See `Rule`."""
    edit = None if may_edit is None else tuple(may_edit)
    return Rule("ask", when, roles, quorum, distinct, expires, on_expiry, edit, reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lists:
    """Three lists of tool names with wildcards: what runs, what asks a human, what does not run. The strictest wins."""

    allow: tuple[str, ...] = ()
    ask: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("allow", "ask", "deny"):
            globs: object = getattr(self, name)
            if isinstance(globs, str) or not isinstance(globs, Sequence) or not all(isinstance(glob, str) for glob in globs):
                raise ConfigurationError(f"{name} must be a list of tool names, not {globs!r:.100}: {name}=['read_*']")

    def rules(self, tool: str) -> list[Rule]:
        """What the lists say of a tool."""
        kinds: tuple[tuple[Rule, tuple[str, ...]], ...] = ((allow(), self.allow), (ask(), self.ask), (deny(), self.deny))
        return [rule for rule, globs in kinds if any(fnmatchcase(tool, glob) for glob in globs)]

    def exact(self) -> tuple[str, ...]:
        """The names that stand for one tool only."""
        return tuple(glob for glob in (*self.allow, *self.ask, *self.deny) if not set(glob) & set("*?["))


#: Cedar text, a file or folder of it, or lists.
Source = str | Path | Lists
#: What may run unasked: rules, or an object that judges calls its own way.
PolicyChoice = Policy | Source | Sequence[Source]


@dataclass(frozen=True, slots=True)
class Layer:
    """One source of rules. ``clauses`` are those written as Cedar, ``lists`` those that depend on which tools there are."""

    name: str
    clauses: tuple[Clause, ...] = ()
    lists: Lists | None = None
    text: str = ""

    def of(self, tool: ToolSpec) -> tuple[Clause, ...]:
        """The rules that can hold for calls of a tool."""
        if self.lists is not None:
            return read("\n".join(_text(rule, tool.name) for rule in self.lists.rules(tool.name)), self.name)
        return tuple(clause for clause in self.clauses if clause.covers(tool))

    def printed(self, tools: Sequence[ToolSpec]) -> str:
        """The layer as Cedar text; lists are written out for these tools."""
        if self.lists is None:
            return self.text
        return "\n".join(_text(rule, tool.name) for tool in tools for rule in self.lists.rules(tool.name))


def layers_of(source: Source | Sequence[Source], name: str) -> tuple[Layer, ...]:
    """The layers of a source. Raises ConfigurationError for text that is no Cedar, with its line, and absent files."""
    if isinstance(source, Lists):
        return (Layer(name, lists=source, text=repr(source)),)
    if isinstance(source, str):
        return (Layer(name, read(source, name), text=source),)
    if isinstance(source, Path):
        return tuple([Layer(str(path), read(text, str(path)), text=text) for path, text in _files(source)])
    if isinstance(source, Sequence):
        return tuple([layer for one in source for layer in layers_of(one, name)])
    raise ConfigurationError(f"{source!r:.100} is no policy: give Cedar text, a Path, Lists(ask=[…]), or a list of these")


def own_layer(tool: ToolSpec) -> tuple[Clause, ...]:
    """The rules that a tool's author gave it."""
    return read(own_text(tool), f"tool {tool.name}") if tool.rules else ()


def own_text(tool: ToolSpec) -> str:
    """The rules that a tool's author gave it, as Cedar."""
    return "\n".join(_text(rule, tool.name) for rule in tool.rules)


def _files(path: Path) -> list[tuple[Path, str]]:
    paths = sorted(path.glob("*.cedar")) if path.is_dir() else [path]
    if not paths:
        raise ConfigurationError(f"{path} holds no policy: there is no file *.cedar in it")
    try:
        return [(path, path.read_text(encoding="utf-8")) for path in paths]
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"the policy {path} cannot be read: {error}") from None


def _text(rule: Rule, tool: str) -> str:
    """A rule as Cedar."""
    notes = [f"@reason({quoted(rule.reason)})"] if rule.reason else []
    if rule.verdict == "ask":
        notes.append(f"@ask({quoted(', '.join(rule.roles))})")
        notes += [f'@quorum("{rule.quorum}")'] if rule.quorum != 1 else []
        notes += ['@distinct("true")'] if rule.distinct else []
        notes += [f"@expires({quoted(rule.expires)})"] if rule.expires else []
        notes += [f"@on_expiry({quoted(rule.on_expiry)})"] if rule.on_expiry else []
        notes += [f"@may_edit({quoted(', '.join(rule.may_edit))})"] if rule.may_edit is not None else []
    effect = "permit" if rule.verdict == "allow" else "forbid"
    when = f" when {{ {rule.when} }}" if rule.when else ""
    return " ".join([*notes, f"{effect}(principal, action == Action::{quoted(tool)}, resource){when};"])
