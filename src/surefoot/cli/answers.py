"""`surefoot decide`, `settle`, `send` and `cancel`: speak to a run that somebody else works on, or nobody yet."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Annotated, Any, Literal, cast

import typer

from surefoot.app import App
from surefoot.cli.codes import Code
from surefoot.cli.loop import complete
from surefoot.cli.place import AgentsOption, Place, StoreOption, place_of
from surefoot.cli.questions import account, how_to_decide
from surefoot.cli.screen import Screen
from surefoot.core.errors import ConfigurationError
from surefoot.core.run import Run

__all__ = ["add"]

ByOption = Annotated[str, typer.Option("--by", help="Who says so. [the system account]", show_default=False)]
RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="The run's id, or the id its caller gave it.")]
RequestArgument = Annotated[str, typer.Argument(metavar="REQUEST", help="The question's id, as `surefoot show` gives it.")]


class Outcome(StrEnum):
    """What became of a call whose outcome was unknown."""

    DONE = "done"
    RETRY = "retry"
    GIVE_UP = "give-up"


def add(program: typer.Typer) -> None:
    """Add the commands."""
    for command in (decide, settle, send, cancel):
        program.command(command.__name__)(command)


def decide(
    context: typer.Context,
    *,
    request: RequestArgument,
    approve: Annotated[
        bool | None, typer.Option("--approve/--deny", help="Let the call run, or not.", show_default=False)
    ] = None,
    reason: Annotated[str, typer.Option("--reason", help="Why; the model reads why a call was denied.")] = "",
    by: ByOption = "",
    store: StoreOption = None,
) -> None:
    """Answer a run's question: may this call run?"""
    if approve is None:
        raise ConfigurationError("say --approve or --deny")
    said = "approved" if approve else "denied"
    _speak(
        place_of(context, store),
        said,
        lambda app: app.decide(request, approve=approve, by=by or account(), how=_how(by), reason=reason),
    )


def _how(by: str) -> str:
    return "asserted" if by else "account"


def settle(
    context: typer.Context,
    *,
    request: RequestArgument,
    outcome: Annotated[Outcome, typer.Argument(help="It was done, run it again, or give up.")],
    result: Annotated[
        str | None, typer.Option("--result", help="With done: the call's result, as the model will read it.")
    ] = None,
    by: ByOption = "",
    store: StoreOption = None,
) -> None:
    """Say what became of a call that started and whose outcome nobody knows."""
    if result is not None and outcome is not Outcome.DONE:
        raise ConfigurationError(f"--result goes with done; {outcome.value} has none")
    word = cast("Literal['done', 'retry', 'give_up']", outcome.name.lower())
    _speak(
        place_of(context, store), f"settled: {outcome.value}",
        lambda app: app.settle(request, word, result=result or "", by=by or account()),
    )  # fmt: skip


def send(
    context: typer.Context,
    *,
    run: RunArgument,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What its model reads before its next step.")],
    by: ByOption = "",
    store: StoreOption = None,
) -> None:
    """Say something to a run that has not ended."""

    async def say(app: App) -> Run[Any]:
        await app.send(run, text, by=by or account())
        return await app.get(run)

    _speak(place_of(context, store), "sent", say)


def cancel(
    context: typer.Context,
    *,
    run: RunArgument,
    reason: Annotated[str, typer.Option("--reason", help="Why.")] = "",
    by: ByOption = "",
    store: StoreOption = None,
    agents: AgentsOption = None,
) -> None:
    """Stop a run and its children; what already happened stays recorded.

    A run that is being worked on stops there. One that nobody works on ends here, whether its agent is known or not.
    """
    place, screen = place_of(context, store, agents), Screen()

    async def stop(app: App) -> Code:
        async with app:
            before: Run[Any] = await app.get(run)
            if before.ended:
                screen.note(f"run {before.id} has ended already: {before.status}", "yellow")
                return Code.DONE if before.status == "cancelled" else Code.USAGE
            after = await app.cancel(before, by=by or account(), reason=reason)
        if after.status == "cancelled":
            screen.line(f"run {after.id} is cancelled")
        else:
            screen.line(f"run {after.id} is asked to stop; it is {after.status}")
        return Code.DONE

    try:
        code = complete(stop(place.stopping()))
    except ConfigurationError as error:
        # An agent that cannot be set up here must not keep anybody from stopping it.
        screen.note(f"its agent is not used: {error}", "yellow")
        code = complete(stop(place.reading()))
    raise typer.Exit(code)


def _speak(place: Place, said: str, say: Callable[[App], Awaitable[Run[Any]]]) -> None:
    """Write something into a run, and tell how it goes on."""

    async def spoken() -> None:
        async with place.reading() as app:
            run = await say(app)
        screen = Screen()
        screen.line(f"{said}; run {run.id} is {run.status}")
        still = how_to_decide(run)
        for told in still:
            screen.note(told)
        if not run.ended and not still:
            screen.note(f"it goes on where somebody works on it, or with: surefoot resume {run.id}")

    complete(spoken())
