"""The project's files agree with each other: dependencies, pins, released migrations, paths, documents."""

from __future__ import annotations

import hashlib
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.components import absence, required
from tests.package.source import PACKAGE, ROOT, tracked

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
PIN = re.compile(r'[a-z0-9][a-z0-9-]*==[0-9][0-9a-z.]*( ; python_version (<|>=) "3\.\d+")?')
RELEASED = Path(__file__).with_name("migrations.sha256")
# Written so that this line is not itself a find.
MACHINE_PATH = re.compile(r"(?<![\w.:/-])/(?:home|root|work|Users|opt)/[\w.-]+")


def normal(requirement: str) -> str:
    """Take the name out of a requirement, spelt as package indexes do."""
    name = re.split(r"[\s\[<>=!~;]", requirement, maxsplit=1)[0]
    return re.sub(r"[-_.]+", "-", name).lower()


def direct() -> set[str]:
    """Give every package that the project asks for by name."""
    asked = [*PROJECT["dependencies"], *(line for lines in EXTRAS.values() for line in lines)]
    return {normal(line) for line in asked} - {"surefoot"}


def pins() -> list[str]:
    """Give the lines of constraints.txt that are no comments."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def test_constraints_are_names_and_versions_only() -> None:
    assert [line for line in pins() if not PIN.fullmatch(line)] == []


def test_every_dependency_is_pinned() -> None:
    assert direct() - {normal(line) for line in pins()} == set()


def test_every_dependency_is_justified() -> None:
    note = (ROOT / "docs" / "decisions" / "dependencies.md").read_text(encoding="utf-8")
    justified = {normal(name) for name in re.findall(r"^\| `([^`]+)` \|", note, re.MULTILINE)}
    assert justified == direct()


def test_the_extra_all_has_every_extra() -> None:
    named = re.fullmatch(r"surefoot\[(.*)\]", EXTRAS["all"][0])
    assert named is not None
    assert set(named[1].split(",")) == set(EXTRAS) - {"all", "dev", "test"}


def test_released_migrations_never_change() -> None:
    # At a release each new file of SQL is added with its sum: sha256sum src/surefoot/journal/sql/…
    changed = []
    for line in RELEASED.read_text(encoding="utf-8").splitlines():
        digest, name = line.split()
        path = ROOT / name
        if not path.exists() or hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            changed.append(name)
    assert changed == [], "a released migration is forever; write the next one"


@pytest.mark.parametrize("name", ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE"])
def test_a_newcomer_finds(name: str) -> None:
    assert (ROOT / name).stat().st_size > 0


def test_the_changelog_names_this_version_or_what_comes_next() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert "## [Unreleased]" in text or f"## [{PROJECT['version']}]" in text


def test_everything_that_must_be_there_is_there() -> None:
    # Even what no test needs yet, so that a machine is known to be complete before a test relies on it.
    assert [reason for name in sorted(required()) if (reason := absence(name))] == []


def test_the_package_is_typed() -> None:
    assert (PACKAGE / "py.typed").exists()


def test_no_file_knows_one_machine() -> None:
    found = []
    for path in tracked():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # a picture or a recorded database
        found += [f"{path.relative_to(ROOT)}: {match[0]}" for match in MACHINE_PATH.finditer(text)]
    assert found == []


def test_no_file_holds_what_a_merge_left() -> None:
    marks = ("<" * 7 + " ", ">" * 7 + " ")
    found = []
    for path in tracked():
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:
            continue
        found += [f"{path.relative_to(ROOT)}:{number}" for number, line in enumerate(lines, 1) if line.startswith(marks)]
    assert found == []


@pytest.mark.parametrize("name", ["run", "venv", "system", "chat"])
def test_the_gates_own_scripts_can_be_read(name: str) -> None:
    subprocess.run(["bash", "-n", str(ROOT / ".ci" / name)], check=True)
