"""The reference pages say what the code does: every event, field, effect, error and kind, and no other."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

import surefoot
from surefoot.app import App
from surefoot.approvals.policy import EffectPolicy
from surefoot.core import errors
from surefoot.core import events as ev
from surefoot.core.judging import Judged
from surefoot.core.request import Request
from surefoot.core.run import Run
from surefoot.core.taxonomy import KINDS
from surefoot.core.tool import Effect, ToolSpec
from surefoot.runs.intake import ListOptions, RunOptions

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"
SOURCE = ROOT / "src" / "surefoot"


def rows(page: str, section: str = "") -> list[list[str]]:
    """Give the cells of every table row of a page, or of one of its sections."""
    text = (REFERENCE / page).read_text(encoding="utf-8")
    if section:
        text = text.split(f"## {section}\n", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in text.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def words(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def test_every_event_and_field_is_documented() -> None:
    page = {words(row[0])[0]: words(row[1]) for row in rows("events.md") if len(row) == 3}
    kinds = {*ev.RUN_EVENTS, *ev.APP_EVENTS}
    assert page == {ev.tag_of(kind): [field.name for field in msgspec.structs.fields(kind)] for kind in kinds}


def test_every_field_of_a_record_is_documented() -> None:
    assert [words(row[0])[0] for row in rows("events.md") if len(row) == 2] == list(ev.Record.__struct_fields__)


def test_effects_are_as_documented() -> None:
    table = {words(row[0])[0]: row for row in rows("effects.md") if len(row) == 6}
    assert list(table) == list(get_args(Effect))
    for effect in get_args(Effect):
        _, repeated, *_, beside, asks = table[effect]
        spec = ToolSpec("t", effect=effect)
        verdict = EffectPolicy().judge(Judged("0.0", "{}", spec, "a")).verdict
        assert (repeated == "yes", beside == "yes") == (spec.repeatable, spec.repeatable)
        assert asks == ("yes" if verdict == "ask" else "no")
    assert ToolSpec("t").effect == "unsafe"


def test_every_exception_is_documented() -> None:
    names = [words(row[0])[0] for row in rows("errors.md", "Exceptions")]
    kinds = [kind for kind in vars(errors).values() if inspect.isclass(kind) and issubclass(kind, errors.SurefootError)]
    assert sorted(names) == sorted(kind.__name__ for kind in kinds)


def literals(path: Path, callee: str, position: int) -> Iterator[str]:
    """Give the texts that a file passes to a function at a position."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == callee and len(node.args) > position:
            given = node.args[position]
            if isinstance(given, ast.Constant) and isinstance(given.value, str):
                yield given.value


#: Where kinds of failure are named: the function, and the place of the kind among its arguments.
NAMING = [("Failure", 0), ("ModelError", 0), ("_fail", 2), ("_failure", 1), ("_again", 1)]


def test_every_kind_of_failure_is_documented() -> None:
    documented = {words(row[0])[0]: row for row in rows("errors.md", "Kinds of failure")}
    named = {
        kind for path in SOURCE.rglob("*.py") if "testing" not in path.parts for call in NAMING for kind in literals(path, *call)
    }
    adapters = re.search(r"``kind`` is one of the taxonomy.*?: (.*?)\.", errors.ModelError.__doc__ or "", re.DOTALL)
    assert adapters is not None
    named |= {kind.strip() for kind in adapters[1].replace("\n", " ").split(",")}
    assert sorted(named - KINDS.keys()) == []
    assert sorted(documented) == sorted(KINDS)
    for kind, (_, _, again, _) in documented.items():
        assert (again == "yes") == KINDS[kind].retryable, kind
        assert (again == "at its reset") == KINDS[kind].resets, kind


def test_every_kind_of_warning_is_documented() -> None:
    named = {kind for path in SOURCE.rglob("*.py") if "testing" not in path.parts for kind in literals(path, "RunWarned", 0)}
    named |= {kind for path in SOURCE.rglob("*.py") for kind in literals(path, "Finding", 0)} - {"invalid_arguments"}
    assert sorted(named) == sorted(words(row[0])[0] for row in rows("errors.md", "Warnings"))


@pytest.mark.parametrize("name", surefoot.__all__)
def test_every_public_name_is_documented(name: str) -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    assert any(re.search(rf"\b{name}\b", page.read_text(encoding="utf-8")) for page in pages)
    assert inspect.getdoc(getattr(surefoot, name))


def first_words(section: str) -> list[str]:
    return [word for row in rows("runs.md", section) for word in words(row[0])]


def test_everything_an_app_does_is_documented() -> None:
    methods = [name for name, value in vars(App).items() if inspect.isfunction(value) and not name.startswith("_")]
    assert sorted(first_words("What an App does")) == sorted(methods)
    parameters = list(inspect.signature(App).parameters)
    text = (REFERENCE / "runs.md").read_text(encoding="utf-8")
    assert f"`App({parameters[0]}, {', '.join(f'{name}=…' for name in parameters[1:])})`" in text


def test_every_option_of_a_run_is_documented() -> None:
    assert sorted(first_words("Options of a run")) == sorted(RunOptions.__annotations__)
    filters = next(row for row in rows("runs.md", "What an App does") if "`list`" in row[0])[1]
    assert words(filters) == list(ListOptions.__annotations__)


@pytest.mark.parametrize(("kind", "section"), [(Run, "What a Run shows"), (Request, "What a Request asks")])
def test_every_field_is_documented(kind: type[Any], section: str) -> None:
    assert sorted(first_words(section)) == sorted(field.name for field in dataclasses.fields(kind))
