"""The program itself: every command in one typer application, and what holds for all of them."""

from __future__ import annotations

import io
import logging
import os
import shutil
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated

import typer

from surefoot.cli import (
    answers,
    approvals,
    care,
    chat,
    compare,
    health,
    listing,
    memory,
    models,
    policies,
    project,
    rewind,
    serve,
    sessions,
    show,
    stats,
    tail,
    trace,
    work,
)
from surefoot.cli.codes import Code, code_of_error
from surefoot.cli.loop import Interrupted
from surefoot.cli.place import AgentsOption, Place, StoreOption
from surefoot.cli.version import version
from surefoot.cli.writing import block
from surefoot.core.errors import SurefootError

__all__ = ["Log", "perform", "program"]

_NARROW = 52


def program() -> typer.Typer:
    """The application, with every command; made anew at each call."""
    settings: dict[str, object] = {"help_option_names": ["-h", "--help"]}
    if (columns := shutil.get_terminal_size().columns) < _NARROW:
        settings["terminal_width"] = columns  # by itself, help is never narrower than this
    made = typer.Typer(
        name="surefoot",
        add_completion=False,
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings=settings,
    )
    made.callback()(_options)
    groups = (
        work,
        chat,
        answers,
        approvals,
        policies,
        show,
        compare,
        rewind,
        tail,
        trace,
        stats,
        health,
        listing,
        sessions,
        memory,
        care,
        project,
        models,
        serve,
    )
    for group in groups:
        group.add(made)
    return made


def _version(*, wanted: bool) -> None:
    if wanted:
        typer.echo(f"surefoot {version()}")
        raise typer.Exit


def _options(
    context: typer.Context,
    store: StoreOption = None,
    agents: AgentsOption = None,
    show_version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Durable AI agents on the command line.

    Exit codes: 0 done, 1 the run failed, 2 wrong usage or configuration, 3 waiting for a human, 4 cancelled, 5 a problem
    with the store, 130 interrupted.
    """
    context.obj = Place(store, agents)


def perform(arguments: Sequence[str] | None = None) -> int:
    """Run one command and give its exit code; what goes wrong is said in one line on standard error."""
    for stream in (sys.stdout, sys.stderr):
        assert isinstance(stream, io.TextIOWrapper)  # what every console script is given
        # A terminal that cannot show a character must not end a command in its middle.
        stream.reconfigure(errors="backslashreplace")
    try:
        program()(args=arguments, prog_name="surefoot")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else Code.USAGE
    except SurefootError as error:
        _complain(str(error))
        return code_of_error(error)
    except Interrupted:
        _complain("interrupted")
        return Code.INTERRUPTED
    except Exception as error:  # noqa: BLE001  its text may be a tool's: Python would print it as it is
        _complain(f"{type(error).__name__}: {error} (SUREFOOT_DEBUG=1 shows where)")
        return Code.FAILED
    return Code.DONE


def _complain(text: str) -> None:
    if os.environ.get("SUREFOOT_DEBUG"):
        traceback.print_exc()
    sys.stderr.write(block(f"surefoot: {text}\n"))


class Log(logging.Handler):
    """What the library logs and nobody else handles, on standard error and safe to print."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        cause = record.exc_info[1] if record.exc_info else None
        why = f": {type(cause).__name__}: {cause}" if cause is not None else ""
        sys.stderr.write(block(f"surefoot: {record.getMessage()}{why}\n"))
