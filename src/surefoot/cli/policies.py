"""`surefoot policy show`, `explain`, `check` and `test`: what runs unasked, and why."""

from __future__ import annotations

import csv
import json as jsonlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from surefoot.approvals.layers import own_text
from surefoot.approvals.policy import CedarPolicy, Explained
from surefoot.approvals.world import faults, remarks
from surefoot.catalogue import specs
from surefoot.cli.codes import Code
from surefoot.cli.loop import complete
from surefoot.cli.place import AgentsOption, place_of
from surefoot.cli.screen import Screen
from surefoot.cli.writing import line, safe_json
from surefoot.core import canonical
from surefoot.core.errors import ConfigurationError
from surefoot.core.ports import Judged
from surefoot.core.tool import FINAL_ANSWER, ToolSpec
from surefoot.gating import policy_for

__all__ = ["add"]

AgentOption = Annotated[str, typer.Option("--agent", help="Of this agent. [the first that has the tool]", show_default=False)]
TableArgument = Annotated[
    Path,
    typer.Argument(metavar="FILE", help="Calls and verdicts: JSON lines or CSV with tool, args, verdict; agent, user, tenant."),
]


@dataclass(frozen=True, slots=True)
class _World:
    """One agent's rules and tools."""

    agent: str
    policy: CedarPolicy
    tools: tuple[ToolSpec, ...]


def add(program: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(no_args_is_help=True, help="Policies: show, explain, check, test.")
    for command in (show, explain, check):
        group.command(command.__name__)(command)
    group.command("test")(judge_table)
    program.add_typer(group, name="policy")


def show(context: typer.Context, *, agent: AgentOption = "", agents: AgentsOption = None) -> None:
    """Print the rules of an agent as Cedar, layer by layer; lists of names are written out."""
    screen = Screen()
    for world in _worlds(context, agents, agent):
        screen.line(f"// agent {line(world.agent)}", "bold")
        for layer in world.policy.layers:
            screen.line(f"\n// layer {line(layer.name)}")
            screen.line(layer.printed(world.tools))
        for tool in world.tools:
            if tool.rules:
                screen.line(f"\n// tool {line(tool.name)}")
                screen.line(own_text(tool))
        for tool in world.tools:
            settled = world.policy.settled(tool) or "by arguments"
            screen.line(f"// {line(tool.name)} ({tool.effect}): {settled}", "dim")


def explain(  # noqa: PLR0913  a command's own options
    context: typer.Context,
    *,
    tool: Annotated[str, typer.Argument(metavar="TOOL", help="The tool's name; answer for the final answer.")],
    args: Annotated[str, typer.Argument(metavar="ARGS", help="Its arguments, a JSON object.")] = "{}",
    agent: AgentOption = "",
    user: Annotated[str, typer.Option("--user", help="The run's user.")] = "",
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    agents: AgentsOption = None,
) -> None:
    """Say what the policy makes of one call: the verdict, the rules that hold, and what they were shown."""
    worlds = _worlds(context, agents, agent)
    explained = _judged(worlds, {"tool": tool, "args": args, "user": user})
    verdict, screen = explained.verdict, Screen()
    if json:
        screen.json(
            {"verdict": verdict.verdict, "rules": list(verdict.rules), "reason": verdict.reason, "errors": list(explained.errors),
             "roles": [list(roles) for roles in verdict.roles], "quorums": list(verdict.quorums),
             "scope": [rule.name for rule in explained.scope], "context": explained.context}
        )  # fmt: skip
        return
    screen.line(f"{verdict.verdict}{': ' if verdict.reason else ''}{line(verdict.reason)}", "bold")
    held = {rule.where for rule in explained.held}
    for rule in explained.scope:
        mark = "holds" if rule.where in held else "does not hold"
        screen.line(
            f"  {rule.verdict:5} {line(rule.name)} {mark}" + (f" ({line(rule.where)})" if rule.name != rule.where else "")
        )
    for error in explained.errors:
        screen.line(f"  error {line(error)}")
    screen.line(f"  context {safe_json(explained.context)}", "dim")


def check(
    context: typer.Context,
    *,
    table: Annotated[Path | None, typer.Option("--table", help="Also say which rules no call of this table reaches.")] = None,
    agent: AgentOption = "",
    agents: AgentsOption = None,
) -> None:
    """Check the rules against the tools: what stops a start (exit code 2), and rules that can never matter."""
    screen, worlds = Screen(), _worlds(context, agents, agent)
    known = [tool.name for world in worlds for tool in world.tools]
    wrong = dict.fromkeys(fault for world in worlds for fault in faults(world.policy.layers, world.tools, known))
    odd = dict.fromkeys(_everywhere([set(remarks(world.policy.layers, world.tools)) for world in worlds]) if not wrong else ())
    for fault in wrong:
        screen.line(f"error: {line(fault)}", "red")
    for remark in odd:
        screen.line(f"remark: {line(remark)}", "yellow")
    if table is not None and not wrong:
        reached = {rule.where for row in _rows(table) for rule in _judged(worlds, row).held}
        rules = {rule.where: rule for world in worlds for layer in world.policy.layers for rule in layer.clauses}
        for where, rule in rules.items():
            if where not in reached and not rule.names("decide"):
                screen.line(f"remark: {line(rule.name)} is reached by no call of {table}", "yellow")
    if not wrong and not odd:
        screen.note("nothing is wrong")
    raise typer.Exit(Code.USAGE if wrong else Code.DONE)


def judge_table(context: typer.Context, *, table: TableArgument, agents: AgentsOption = None) -> None:
    """Judge every call of a table, and compare with the verdict it should have; exit code 1 when one differs."""
    worlds, screen, bad, number = _worlds(context, agents, ""), Screen(), 0, 0
    for number, row in enumerate(_rows(table), 1):
        said, wanted = _judged(worlds, row).verdict, str(row.get("verdict", ""))
        if said.verdict != wanted:
            bad += 1
            rules = f" by {line(', '.join(said.rules))}" if said.rules else ""
            call = f"{row.get('tool')}({row.get('args', '{}')})"
            screen.line(f"{number}: {line(call)} should be {line(wanted)}, is {said.verdict}{rules}", "red")
    screen.note(f"{number - bad} of {number} as they should be")
    raise typer.Exit(Code.FAILED if bad else Code.DONE)


def _worlds(context: typer.Context, agents: str | None, agent: str) -> list[_World]:
    place = place_of(context, None, agents)
    target = place.target()
    app = place.working(target, new=True)
    chosen = (target.agent(agent),) if agent else target.agents
    found = []
    for one in chosen:
        policy = policy_for(one, app.policy)
        if not isinstance(policy, CedarPolicy):
            raise ConfigurationError(f"the policy of {target.name} is an object of its own, whose rules cannot be shown")
        found.append(_World(one.name, policy, tuple(complete(specs(one)))))
    return found


def _judged(worlds: Iterable[_World], row: dict[str, Any]) -> Explained:
    """What a call of a table comes to. Raises ConfigurationError for one that there is not."""
    name, args = str(row.get("tool", "")), row.get("args") or "{}"
    try:
        arguments = canonical.dumps(canonical.loads(args) if isinstance(args, str) else args)
    except ValueError as error:
        raise ConfigurationError(f"the arguments {args!r:.100} are no JSON: {error}") from None
    for world in worlds:
        if row.get("agent") in (None, "", world.agent):
            for tool in (*world.tools, FINAL_ANSWER):
                if tool.name == name:
                    user, tenant = str(row.get("user") or ""), str(row.get("tenant") or "")
                    return world.policy.explain(Judged("0.0", arguments, tool, world.agent, user, tenant))
    raise ConfigurationError(f"no agent here has a tool {name!r}")


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    """The calls of a table."""
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".csv":
            yield from csv.DictReader(text.splitlines())
            return
        for one in filter(str.strip, text.splitlines()):
            row = jsonlib.loads(one)
            if isinstance(row, dict):
                yield row
            else:
                raise ConfigurationError(f"the table {path} holds {one!r:.100}, which is no JSON object")
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"the table {path} cannot be read: {error}") from None


def _everywhere(sets: list[set[str]]) -> list[str]:
    """What is said of every world: a rule for one agent's tool matters, though another agent has no such tool."""
    return sorted(set.intersection(*sets)) if sets else []
