"""`surefoot doctor` and `surefoot prune`: check, copy, save and thin out a store."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from surefoot.app import App
from surefoot.cli.codes import Code
from surefoot.cli.loop import complete
from surefoot.cli.place import AgentsOption, StoreOption, place_of
from surefoot.cli.questions import sure
from surefoot.cli.screen import Screen
from surefoot.cli.writing import count, line
from surefoot.core.errors import ConfigurationError, JournalError, NewerDatabase
from surefoot.core.rows import Problem
from surefoot.journal import SqliteStore, check
from surefoot.journal import salvage as saved
from surefoot.runs.ages import period

__all__ = ["add"]


class Ended(StrEnum):
    """How a run can have ended."""

    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


def add(program: typer.Typer) -> None:
    """Add the commands."""
    program.command("prune")(prune)
    program.command("doctor")(doctor)


def prune(
    context: typer.Context,
    *,
    older_than: Annotated[
        str, typer.Option("--older-than", metavar="AGE", help="Ended longer ago than this: 45s, 90m, 12h, 30d, 2w.")
    ],
    status: Annotated[list[Ended] | None, typer.Option("--status", help="In this status; several times. [all three]")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    store: StoreOption = None,
    agents: AgentsOption = None,
) -> None:
    """Delete runs that ended long ago, for good, and free their space."""
    age = period(older_than)
    statuses = [one.value for one in status or Ended]
    screen = Screen()

    async def pruned() -> Code:
        async with place_of(context, store, agents).reading() as app:
            if not yes and not await sure(
                screen, f"Delete runs that are {' or '.join(statuses)} for more than {older_than}, for good?"
            ):
                screen.note("nothing was deleted")
                return Code.USAGE
            gone = await app.prune(age, status=statuses)
        screen.line(f"{count(len(gone), 'run')} deleted")
        return Code.DONE

    raise typer.Exit(complete(pruned()))


def doctor(
    context: typer.Context,
    *,
    backup: Annotated[
        Path | None, typer.Option("--backup", metavar="FILE", help="Write a consistent copy to a new file.")
    ] = None,
    salvage: Annotated[
        Path | None, typer.Option("--salvage", metavar="FILE", help="Write what is readable to a new file.")
    ] = None,
    store: StoreOption = None,
    agents: AgentsOption = None,
) -> None:
    """Check the store and say what is wrong with it.

    Checked are the file, the chain of every run, and every table against its events. Exit code 5 when something is wrong.
    """
    for file in (backup, salvage):
        if file is not None and file.exists():
            raise ConfigurationError(f"{file} exists; name a new file, nothing is overwritten")
    app, screen = place_of(context, store, agents).reading(), Screen()
    problems = complete(_examined(app, screen, backup))
    for problem in problems:
        where = f"{problem.stream}{f' event {problem.seq}' if problem.seq else ''}: " if problem.stream else ""
        screen.line(f"{where}{line(problem.what)}", "red")
    if problems:
        screen.line(f"{count(len(problems), 'problem')} found", "bold red")
    else:
        screen.line("no problems found", "green")
    if salvage is not None:
        _salvage(app, salvage, screen)
    elif problems:
        screen.note("save what is readable into a new file: surefoot doctor --salvage FILE")
    raise typer.Exit(Code.STORE if problems else Code.DONE)


def _salvage(app: App, target: Path, screen: Screen) -> None:
    if not isinstance(app.store, SqliteStore):
        raise ConfigurationError("only a SQLite file can be salvaged; name it with --store sqlite:PATH")
    report = saved(app.store.path, str(target))
    runs, events, blobs = count(len(report.whole), "whole run"), count(report.events, "event"), count(report.blobs, "blob")
    screen.line(f"saved to {target}: {runs}, {events}, {blobs}")
    for run, kept in report.cut.items():
        screen.line(f"run {run} is cut short: {count(kept, 'event')} of it could be saved", "yellow")
    if report.lost or report.nameless:
        screen.line(f"lost: {count(report.lost + report.nameless, 'event')}", "yellow")


async def _examined(app: App, screen: Screen, backup: Path | None) -> list[Problem]:
    """What is wrong; that a store cannot even be opened is one more problem."""
    try:
        async with app:
            problems = await app.store.check()
            if backup is not None:
                await app.store.backup(str(backup))
                screen.line(f"copied to {backup}")
    except NewerDatabase:
        raise  # it is sound as far as anybody here can tell, and what it holds is not for this version to copy
    except JournalError as error:
        told = Problem("", 0, str(error))
        return [told, *[seen for seen in _seen_from_outside(app) if seen != told]]
    return problems


def _seen_from_outside(app: App) -> list[Problem]:
    """What is wrong with a file that does not open, as far as it can be read at all."""
    if not isinstance(app.store, SqliteStore):
        return []
    try:
        return check(app.store.path)
    except JournalError:
        return []
