"""The program as a function: one command in this process, with its exit code and what it wrote."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from surefoot.cli.program import perform
from tests.cli.terminal import SHOP


@dataclass(frozen=True, slots=True)
class Said:
    """What one command did."""

    code: int
    out: str
    err: str

    @property
    def value(self) -> Any:
        """The one JSON value that was printed."""
        return json.loads(self.out)

    @property
    def json(self) -> dict[str, Any]:
        """The one JSON object that was printed."""
        value: dict[str, Any] = json.loads(self.out)
        return value

    @property
    def objects(self) -> list[dict[str, Any]]:
        """The JSON objects that were printed, one a line."""
        return [json.loads(text) for text in self.out.splitlines()]


Surefoot = Callable[..., Said]


@pytest.fixture
def surefoot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Surefoot]:
    """Run commands in an empty folder, with the shop's agents, as in a pipe."""
    monkeypatch.chdir(tmp_path)
    for name in os.environ:
        if name.startswith("SUREFOOT_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("SUREFOOT_AGENTS", f"{SHOP}:agents")
    modules, path = set(sys.modules), list(sys.path)

    def command(*arguments: str) -> Said:
        capsys.readouterr()
        code = perform(arguments)
        out, err = capsys.readouterr()
        return Said(code, out, err)

    yield command
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        # What a test wrote into its folder must not be what the next one imports.
        if str(getattr(sys.modules[name], "__file__", "")).startswith((str(tmp_path), str(SHOP))):
            del sys.modules[name]
