"""A file of settings for programs that run for long: TOML, under what the environment and the options say."""

from __future__ import annotations

import os
import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Annotated

import typer

from surefoot.cli.writing import line
from surefoot.core.errors import ConfigurationError
from surefoot.settings import Settings

__all__ = ["ConfigOption", "configure"]

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="Settings as TOML: store, agents, host, port, and those of SUREFOOT_…"),
]

_OWN = ("agents", "host", "port", "store")


def configure(path: Path | None) -> None:
    """Set each variable that the file names and the environment does not. Raises ConfigurationError for what is no setting."""
    if path is None:
        return
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{line(str(path))} cannot be read: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{line(str(path))} is not TOML: {error}") from None
    known = {*_OWN, *[field.name for field in fields(Settings)]}
    for name, value in values.items():
        if name not in known:
            raise ConfigurationError(
                f"{line(str(path))}: there is no setting {line(name)!r}; there is {', '.join(sorted(known))}"
            )
        if not isinstance(value, str | int | float):
            raise ConfigurationError(f"{line(str(path))}: {name} must be text, a number, true or false")
        text = str(int(value)) if isinstance(value, bool) else str(value)
        os.environ.setdefault(f"SUREFOOT_{name.upper()}", text)
