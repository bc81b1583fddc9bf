"""The reference is the program: every command, option, exit code and variable is documented, and nothing else is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import pytest
import typer.main

from surefoot.cli.codes import Code
from surefoot.cli.program import program
from surefoot.settings import Settings
from tests.package.source import ROOT, files, strings

CLI = (ROOT / "docs" / "reference" / "cli.md").read_text(encoding="utf-8")
SETTINGS = (ROOT / "docs" / "reference" / "settings.md").read_text(encoding="utf-8")
WHOLE: Any = typer.main.get_command(program())


def commands(group: Any, before: str = "") -> dict[str, Any]:
    """Give every command by its whole name, those of groups as `group command`."""
    found: dict[str, Any] = {}
    for name, command in group.commands.items():
        found |= commands(command, f"{before}{name} ") if hasattr(command, "commands") else {f"{before}{name}": command}
    return found


COMMANDS = commands(WHOLE)


def sections() -> dict[str, str]:
    """Map each command that is documented to its section, heading included."""
    parts = re.split(r"^## ", CLI, flags=re.MULTILINE)
    return {match[1]: part for part in parts if (match := re.match(r"`surefoot ([a-z ]+?)(?: [A-Z[]|`)", part))}


def options(text: str) -> set[str]:
    """Give the options in the first cells of a section's table."""
    cells = [row.split("|")[1] for row in text.splitlines() if row.startswith("| `")]
    return set(re.findall(r"`(--?[a-z-]+)`", " ".join(cells)))


def declared(parameters: list[Any]) -> set[str]:
    """Give the options that a command takes."""
    found = [name for one in parameters if one.param_type_name == "option" for name in (*one.opts, *one.secondary_opts)]
    return set(found)


def test_every_command_is_documented() -> None:
    assert sections().keys() == COMMANDS.keys()


@pytest.mark.parametrize("name", COMMANDS)
def test_a_commands_options_and_arguments_are_documented(name: str) -> None:
    section = sections()[name]
    assert options(section) == declared(COMMANDS[name].params)
    arguments = [one.metavar or one.name.upper() for one in COMMANDS[name].params if one.param_type_name == "argument"]
    assert section.splitlines()[0] == f"`{' '.join(['surefoot', name, *arguments])}`"


def test_the_options_of_the_whole_are_documented() -> None:
    whole = CLI.partition("## What holds for every command")[2].partition("\n## ")[0]
    assert options(whole) == declared(WHOLE.params) | {"--help", "-h"}


def test_every_exit_code_is_documented() -> None:
    table = CLI.partition("## Exit codes")[2].partition("\n## ")[0]
    assert [int(code) for code in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)] == [int(code) for code in Code]


@pytest.mark.parametrize("name", COMMANDS)
def test_help_says_something_of_every_option(name: str) -> None:
    assert all(one.help for one in COMMANDS[name].params)
    assert COMMANDS[name].help


def variables() -> Iterator[str]:
    """Give every variable that the package reads: those of its settings, and those it names in a string."""
    for field in fields(Settings):
        yield f"SUREFOOT_{field.name.upper()}"
    for file in files("src"):
        for node in strings(file.tree):
            yield from re.findall(r"SUREFOOT_[A-Z]+(?:_[A-Z]+)*", str(node.value))


def test_every_variable_is_documented() -> None:
    documented = re.findall(r"^\| `(SUREFOOT_\w+)` \|", SETTINGS, re.MULTILINE)
    assert len(documented) == len(set(documented))
    assert set(documented) == set(variables())


def test_every_default_is_documented() -> None:
    for field in fields(Settings):
        row = re.search(rf"^\| `SUREFOOT_{field.name.upper()}` \| (.+?) \|", SETTINGS, re.MULTILINE)
        assert row is not None
        default: Any = field.default
        said = {"": "empty", "None": "none", "True": "`true`", "False": "`false`"}.get(str(default), f"`{default}`")
        assert row[1] == said, field.name
