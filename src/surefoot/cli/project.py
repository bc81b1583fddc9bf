"""`surefoot init`: a small project to begin with, an agent with tools, a test of it, and a policy."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Annotated

import typer

from surefoot.cli.screen import Screen
from surefoot.core.errors import ConfigurationError

__all__ = ["FILES", "add"]

#: The files of a new project, and the templates they come from.
FILES = {
    "agents.py": "agents.py.txt",
    "test_agents.py": "test_agents.py.txt",
    "policy.cedar": "policy.cedar.txt",
    "calls.jsonl": "calls.jsonl.txt",
    "README.md": "readme.md.txt",
    ".gitignore": "gitignore.txt",
}


def add(program: typer.Typer) -> None:
    """Add the command."""
    program.command("init")(init)


def init(
    folder: Annotated[Path, typer.Argument(metavar="[FOLDER]", help="Where; it is made when it does not exist.")] = Path(),
) -> None:
    """Begin a project: an agent with tools, a test that passes, a policy. No file is overwritten."""
    screen = Screen()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, template in FILES.items():
            path = folder / name
            if path.exists():
                screen.line(f"kept     {path}", "yellow")
                continue
            text = resources.files("surefoot.cli").joinpath("templates", template).read_text(encoding="utf-8")
            path.write_text(text, encoding="utf-8")
            screen.line(f"written  {path}", "green")
    except OSError as error:
        raise ConfigurationError(f"{folder} cannot be written: {error.strerror}; choose another folder") from None
    where = "" if folder.resolve() == Path.cwd() else f"cd {folder} && "
    screen.note(f"next: {where}pytest -q, then: {where}surefoot run clerk 'What is 17 + 25?' (README.md says more)")
