"""`surefoot runs` and `surefoot tools`: what there is."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import typer

from surefoot.catalogue import specs
from surefoot.cli.loop import complete
from surefoot.cli.place import AgentsOption, StoreOption, place_of
from surefoot.cli.screen import Screen
from surefoot.cli.show import answer
from surefoot.cli.writing import block, cost, line, moment, safe_json, short
from surefoot.core.agent import Agent
from surefoot.core.run import Run
from surefoot.core.tool import ToolSpec
from surefoot.runs.documents import answerable, run_document
from surefoot.runs.intake import ListOptions

__all__ = ["add"]

#: Below this width a run takes three lines instead of a row, so that its id stays whole.
_NARROW = 110


class Status(StrEnum):
    """How a run stands."""

    READY = "ready"
    RUNNING = "running"
    WAITING = "waiting"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


def add(program: typer.Typer) -> None:
    """Add the commands."""
    program.command("runs")(runs)
    program.command("tools")(tools)


def runs(  # noqa: PLR0913  a command's own options
    context: typer.Context,
    *,
    agent: Annotated[str, typer.Option("--agent", help="Of this agent.")] = "",
    session: Annotated[str | None, typer.Option("--session", help="Of this session.")] = None,
    status: Annotated[list[Status] | None, typer.Option("--status", help="In this status; several times for several.")] = None,
    tag: Annotated[list[str] | None, typer.Option("--tag", help="With this tag; several times for all of them.")] = None,
    text: Annotated[str, typer.Option("--text", help="With this text in what was asked or answered.")] = "",
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many.")] = 20,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line, one for each run.")] = False,
    store: StoreOption = None,
    agents: AgentsOption = None,
) -> None:
    """List runs, newest first."""
    query = ListOptions(
        agent=agent, status=tuple([one.value for one in status or ()]), tags=tuple(tag or ()), text=text, limit=limit
    )
    if session is not None:
        query["session"] = session

    async def found() -> list[Run[Any]]:
        async with place_of(context, store, agents).reading() as app:
            return await app.list(**query)

    listed, screen = complete(found()), Screen()
    if json:
        for run in listed:
            screen.json(run_document(run))
    elif not listed:
        screen.note("no runs")
    elif screen.width < _NARROW:
        for run in listed:
            screen.line(f"{run.id}", "bold")
            screen.line(f"  {run.status} · {line(run.agent)} · {moment(run.created_at)}\n  {short(_gist(run))}")
    else:
        screen.table(("RUN", "STATUS", "AGENT", "STARTED", "COST", "LAST WORD"), [_row(run) for run in listed])


def _row(run: Run[Any]) -> tuple[str, ...]:
    spent = "?" if run.cost is None else cost(run.cost)
    return (run.id, run.status, line(run.agent), moment(run.created_at), spent, short(_gist(run), 60))


def _gist(run: Run[Any]) -> str:
    """What to know of a run at a glance: its question, its error, or its answer."""
    if questions := answerable(run):
        return str(questions[0])
    if run.error is not None:
        return f"{run.error.kind}: {run.error.message}"
    return answer(run, indent=None) if run.status == "done" else run.text


def tools(
    context: typer.Context,
    *,
    agent: Annotated[str, typer.Option("--agent", help="Of this agent only.")] = "",
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line, one for each tool.")] = False,
    agents: AgentsOption = None,
) -> None:
    """List the tools of the agents: name, effect, description and schema."""
    target = place_of(context, None, agents).target()
    chosen = (target.agent(agent),) if agent else target.agents
    screen = Screen()
    for one in chosen:
        found = complete(specs(one))
        if not json:
            screen.line(f"{line(one.name)}: {'no tools' if not found else ''}".rstrip(), "bold")
        for spec in found:
            if json:
                screen.json(_document(one, spec))
            else:
                _describe(screen, spec)


def _describe(screen: Screen, spec: ToolSpec) -> None:
    asks = ", asks first" if spec.effect == "unsafe" else ""
    screen.line(f"  {line(spec.name)} ({spec.effect}{asks})", "cyan")
    for text in block(spec.description).strip().splitlines():
        screen.line(f"    {text}")
    screen.line(f"    arguments: {safe_json(spec.input_schema)}", "dim")
    if spec.output_schema is not None:
        screen.line(f"    result: {safe_json(spec.output_schema)}", "dim")


def _document(agent: Agent[Any, Any], spec: ToolSpec) -> dict[str, Any]:
    return {
        "agent": agent.name,
        "name": spec.name,
        "effect": spec.effect,
        "description": spec.description,
        "input_schema": spec.input_schema,
        "output_schema": spec.output_schema,
        "timeout": spec.timeout,
        "retries": spec.retries,
        "tags": list(spec.tags),
        "untrusted": spec.untrusted,
    }
