"""`surefoot replay` and `surefoot fork`: what the model saw at an event, and a new run that goes on from there."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from surefoot.app import App
from surefoot.cli.codes import Code
from surefoot.cli.execution import Execution
from surefoot.cli.loop import complete
from surefoot.cli.place import AgentsOption, StoreOption, place_of
from surefoot.cli.screen import Screen
from surefoot.cli.seen import print_seen, seen_in
from surefoot.core.run import Run

__all__ = ["add"]

RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="The run's id, or the id its caller gave it.")]


def add(program: typer.Typer) -> None:
    """Add the commands."""
    program.command("replay")(replay)
    program.command("fork")(fork)


def replay(
    context: typer.Context,
    *,
    run: RunArgument,
    at: Annotated[int, typer.Option("--at", min=0, metavar="SEQ", help="The event; by default the run's last.")] = 0,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    store: StoreOption = None,
    agents: AgentsOption = None,
) -> None:
    """Show exactly what the model saw at an event, and what it answered. Nothing is asked and nothing is run."""
    app = place_of(context, store, agents).reading()
    print_seen(complete(seen_in(app, run, at)), json=json)


async def _found(app: App, name: str) -> Run[Any]:
    async with app:
        run: Run[Any] = await app.get(name)
        return run


def fork(  # noqa: PLR0913  a command's own options
    context: typer.Context,
    *,
    run: RunArgument,
    at: Annotated[int, typer.Option("--at", min=0, metavar="SEQ", help="The event; by default the run's last.")] = 0,
    model: Annotated[str, typer.Option("--model", metavar="PROVIDER:NAME", help="Another model.")] = "",
    edit: Annotated[
        str | None, typer.Option("--edit", metavar="TEXT", help="What the event says instead: an input, a message, a result.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object at the end; ask nothing.")] = False,
    store: StoreOption = None,
    agents: AgentsOption = None,
) -> None:
    """Start a new run that goes on from an event of another, and stay with it; then as `run`.

    Calls that had a result by then are not run again, and the other run stays as it is.
    """
    place = place_of(context, store, agents)
    target = place.target()
    found = complete(_found(place.reading(), run))
    definition = target.agent(found.agent)
    if model:
        definition.model = model

    async def work(app: App) -> Code:
        async with app:
            forked = await app.fork(found.id, at=at, edit=edit)
            execution = Execution(app, Screen(), json=json, stream=definition.output is str)
            return await execution.resume(forked)

    raise typer.Exit(complete(work(place.working(target))))
