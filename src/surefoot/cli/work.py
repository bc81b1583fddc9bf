"""`surefoot run` and `surefoot resume`: work on a run in the foreground."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from surefoot.app import App
from surefoot.cli.codes import Code
from surefoot.cli.execution import Execution
from surefoot.cli.loop import complete
from surefoot.cli.place import AgentsOption, StoreOption, place_of
from surefoot.cli.screen import Screen
from surefoot.core.errors import ConfigurationError

__all__ = ["add"]

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object at the end; ask nothing.")]


def add(program: typer.Typer) -> None:
    """Add the commands."""
    program.command("run")(run)
    program.command("resume")(resume)


def run(  # noqa: PLR0913  a command's own options
    context: typer.Context,
    *,
    agent: Annotated[str, typer.Argument(metavar="AGENT", help="The agent's name.")],
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What it is asked; - reads standard input.")],
    json: JsonOption = False,
    session: Annotated[str, typer.Option("--session", help="The conversation the run belongs to.")] = "",
    id: Annotated[str, typer.Option("--id", help="Your own id: the same id continues the same run.")] = "",  # noqa: A002
    user: Annotated[str, typer.Option("--user", help="Whose run it is.")] = "",
    tag: Annotated[list[str] | None, typer.Option("--tag", help="A label to list by; may be given several times.")] = None,
    model: Annotated[str, typer.Option("--model", metavar="PROVIDER:NAME", help="The model, over the agent's own.")] = "",
    store: StoreOption = None,
    agents: AgentsOption = None,
) -> None:
    """Start a run and stay with it until it ends or waits.

    On a terminal the text streams, and open questions are asked; in a pipe the run stops at a question with exit code 3.
    Ctrl-C cancels the run.
    """
    place = place_of(context, store, agents)
    target = place.target()
    definition = target.agent(agent)
    if model:
        definition.model = model
    prompt = sys.stdin.read() if text == "-" else text
    if not prompt:
        raise ConfigurationError("there is nothing to do: give the run a TEXT")
    options: dict[str, Any] = {"session": session, "id": id, "user": user, "tags": tag or ()}

    async def work(app: App) -> Code:
        async with app:
            execution = Execution(app, Screen(), json=json, stream=definition.output is str)
            return await execution.start(agent, prompt, options)

    raise typer.Exit(complete(work(place.working(target, new=True))))


def resume(
    context: typer.Context,
    *,
    run: Annotated[str, typer.Argument(metavar="RUN", help="The run's id, or the id its caller gave it.")],
    json: JsonOption = False,
    store: StoreOption = None,
    agents: AgentsOption = None,
) -> None:
    """Go on with a run that waits, failed, or was left by a process that died; then as `run`."""
    place = place_of(context, store, agents)
    target = place.target()

    async def work(app: App) -> Code:
        async with app:
            found: Any = await app.get(run)
            definition = target.agent(found.agent)
            execution = Execution(app, Screen(), json=json, stream=definition.output is str)
            return await execution.resume(found)

    raise typer.Exit(complete(work(place.working(target))))
