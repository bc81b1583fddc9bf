"""Where a command finds its runs and its agents: ``--store`` and ``--agents``, here, in the environment, or by default."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import typer

from surefoot.app import App
from surefoot.cli.target import Target, load
from surefoot.core.errors import ConfigurationError, StoreUnavailable
from surefoot.core.ports import Store
from surefoot.settings import Settings

__all__ = ["AgentsOption", "Place", "StoreOption", "place_of"]

_DEFAULT_STORE = "sqlite:surefoot.db"
_DEFAULT_FILE, _DEFAULT_AGENTS = "agents.py", "agents:agents"

StoreOption = Annotated[
    str | None,
    typer.Option("--store", metavar="STORE", help="Where runs are kept: sqlite:PATH. [SUREFOOT_STORE, else sqlite:surefoot.db]"),
]
AgentsOption = Annotated[
    str | None,
    typer.Option(
        "--agents",
        metavar="MODULE:NAME",
        help="An Agent, a list of Agents or an App: module:name or file.py:name. "
        "[SUREFOOT_AGENTS, else agents:agents where there is an agents.py]",
    ),
]


@dataclass(frozen=True, slots=True)
class Place:
    """What was said of the store and of the agents; None where nothing was."""

    store: str | None = None
    agents: str | None = None

    @property
    def named(self) -> str | None:
        """Where the agents are: what was said, or what the current folder has; None for nowhere."""
        return self.agents or (_DEFAULT_AGENTS if Path(_DEFAULT_FILE).is_file() else None)

    def target(self) -> Target:
        """The agents. Raises ConfigurationError when nothing says where they are, or it cannot be loaded."""
        if self.named is None:
            raise ConfigurationError(
                "nothing says where the agents are: give --agents module:name, set SUREFOOT_AGENTS, or begin with `surefoot init`"
            )
        return load(self.named)

    def working(self, target: Target, *, new: bool = False, adopt: bool = False) -> App:
        """An application that runs these agents; ``new`` lets it make the store's file.

        It takes up no runs that others left, unless SUREFOOT_ADOPT or ``adopt`` says so: a command does what it was told.
        An App of the user's is used as it is, since its store and its policy belong together.
        """
        if self.store and target.app is not None:
            raise ConfigurationError(f"{target.name} is an App and has a store of its own; leave --store and SUREFOOT_STORE out")
        store = target.app.store if target.app is not None else self.store or _DEFAULT_STORE
        if not new:
            _must_exist(store)
        return target.app or App(store, agents=target.agents, settings=_settings(os.environ, adopt=adopt))

    def stopping(self) -> App:
        """An application that can end a run: with the agents where they are known, else one that only reads and writes."""
        return self.working(self.target()) if self.named else self.reading()

    def reading(self) -> App:
        """An application that runs nothing and makes no file. Raises StoreUnavailable where there is nothing to read."""
        store: str | Store = self.store or _DEFAULT_STORE
        if self.store is None and self.agents is not None:
            app = load(self.agents).app
            store = app.store if app else store
        _must_exist(store)
        return App(store, settings=replace(_settings(os.environ), adopt=False, trace_dir="", otel=False, log=""))

    def keeping(self) -> App:
        """An application that runs nothing, on a store that is made where there is none."""
        return App(self.store or _DEFAULT_STORE, settings=replace(_settings(os.environ), adopt=False))


def place_of(context: typer.Context, store: str | None = None, agents: str | None = None) -> Place:
    """What a command's own options say, over what was said before the command, over the environment."""
    before: Place = context.find_root().obj or Place()
    return Place(
        store or before.store or os.environ.get("SUREFOOT_STORE") or None,
        agents or before.agents or os.environ.get("SUREFOOT_AGENTS") or None,
    )


def _must_exist(store: str | Store) -> None:
    """Raise StoreUnavailable for a file that is not there: opening it would make an empty one."""
    path = str(getattr(store, "path", "")) if not isinstance(store, str) else store.partition("sqlite:")[2]
    if path and not Path(path).exists():
        raise StoreUnavailable(f"there is no journal {path}; name one with --store sqlite:PATH, or make one with `surefoot run`")


def _settings(environ: Mapping[str, str], *, adopt: bool = False) -> Settings:
    return Settings.from_env({"SUREFOOT_ADOPT": str(int(adopt)), **environ})
