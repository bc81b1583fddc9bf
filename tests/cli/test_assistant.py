"""The built-in assistant's tools: exact sums, the time anywhere, and files below one folder and nowhere else."""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot import Agent, App
from surefoot.cli.assistant import add, assistant, current_time, multiply, reader
from surefoot.core.errors import ConfigurationError, ToolFailed
from surefoot.testing import ScriptedModel


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder with files, beside one that is nobody's business."""
    (tmp_path / "outside.txt").write_text("a secret")
    inside = tmp_path / "inside"
    (inside / "below" / "deep").mkdir(parents=True)
    (inside / "notes.txt").write_text("buy milk\n")
    (inside / "below" / "deep" / "plan.md").write_text("# The plan ✓\n")
    (inside / ".env").write_text("KEY=secret")
    return inside


async def read(folder: Path, path: str | None = None) -> str:
    """Have an agent read a path; what the model is told."""
    arguments = {} if path is None else {"path": path}
    model = ScriptedModel([("read_file", arguments)], "done")
    agent = assistant(folder)
    agent.model = model
    async with App("memory:", agents=[agent]) as app:
        run = await app.run(agent, "read it")
    assert run.status == "done"
    assert not run.waiting
    return str(getattr(model.requests[-1].messages[-1].parts[-1], "text", ""))


async def test_files_below_the_folder_are_read(folder: Path) -> None:
    assert await read(folder, "notes.txt") == "buy milk\n"
    assert await read(folder, " below/deep/plan.md ") == "# The plan ✓\n"
    assert await read(folder, "below/../notes.txt") == "buy milk\n"
    assert await read(folder, str(folder / "notes.txt")) == "buy milk\n"


async def test_folders_are_listed_without_hidden_names(folder: Path) -> None:
    assert await read(folder) == f"{folder} holds:\nbelow/\nnotes.txt"
    assert await read(folder, "below") == f"{folder / 'below'} holds:\ndeep/"
    (folder / "empty").mkdir()
    assert await read(folder, "empty") == f"{folder / 'empty'} holds nothing"
    for number in range(100):
        (folder / "empty" / f"{number:03}").touch()
    assert (await read(folder, "empty")).endswith("059\n… and 40 more")


@pytest.mark.parametrize(
    "path",
    ["../outside.txt", "below/../../outside.txt", "/etc/passwd", "link", "linked/outside.txt", "circle", "a\0b", "~/x", ".env",
     "below/../.env", "hidden-link"],
)  # fmt: skip
async def test_nothing_else_is_read(folder: Path, path: str) -> None:
    (folder / "link").symlink_to(folder.parent / "outside.txt")
    (folder / "linked").symlink_to(folder.parent)
    (folder / "circle").symlink_to("circle")
    (folder / "hidden-link").symlink_to(".env")
    said = await read(folder, path)
    assert "secret" not in said
    assert re.search(r"is not below|is hidden|cannot be read", said)


async def test_a_link_that_stays_inside_is_followed(folder: Path) -> None:
    (folder / "same").symlink_to("below/deep/plan.md")
    assert await read(folder, "same") == "# The plan ✓\n"


async def test_a_link_in_a_circle_is_listed_like_any_name(folder: Path) -> None:
    (folder / "circle").symlink_to("circle")
    assert await read(folder) == f"{folder} holds:\nbelow/\ncircle\nnotes.txt"


async def test_what_is_not_there_is_told_with_what_is(folder: Path) -> None:
    said = await read(folder, "nothing.txt")
    assert "No such file" in said
    assert "notes.txt" in said
    assert "secret" not in said


async def test_of_a_large_file_the_beginning_is_read(folder: Path) -> None:
    (folder / "large").write_text("ü" * 1_000_000)
    said = await read(folder, "large")
    assert said.startswith("üüü")
    assert said.endswith("[the first 24,000 of 2,000,000 bytes]")
    with (folder / "sparse").open("wb") as file:
        file.write(b"begins\n" * 10_000)
        file.truncate(1 << 40)
    assert "of 1,099,511,627,776 bytes]" in await read(folder, "sparse")


async def test_what_is_no_text_is_not_shown(folder: Path) -> None:
    (folder / "binary").write_bytes(bytes(range(256)))
    (folder / "zeros").write_bytes(b"text\0more")
    (folder / "latin").write_bytes("déjà vu, naïve".encode("latin-1"))
    (folder / "empty").touch()
    for name in ("binary", "zeros", "latin"):
        assert "is not text" in await read(folder, name)
    assert await read(folder, "empty") == "[the file is empty]"


async def test_what_is_no_file_is_not_opened(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(folder / "pipe")
    assert "is no file" in await read(folder, "pipe")
    monkeypatch.chdir(folder)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket")
        assert "cannot be read" in await read(folder, "socket")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
async def test_what_may_not_be_read_is_told(folder: Path) -> None:
    (folder / "notes.txt").chmod(0)
    assert "Permission denied" in await read(folder, "notes.txt")


def test_a_folder_must_be_one(folder: Path) -> None:
    with pytest.raises(ConfigurationError, match="is no folder"):
        reader(folder / "notes.txt")


@given(st.integers(), st.integers())
def test_whole_numbers_are_exact(a: int, b: int) -> None:
    assert add(a, b) == a + b
    assert multiply(a, b) == a * b


def test_decimals_are_what_a_person_sees() -> None:
    assert add(0.1, 0.2) == 0.3
    assert multiply(1.1, 1.1) == 1.21
    assert isinstance(multiply(2.5, 2), int)
    assert multiply(1e200, 1e100) == 1e300


@pytest.mark.parametrize(("a", "b"), [(10**600, 10**600), (1e200, 1e200)])
def test_what_is_too_large_to_write_is_refused(a: float, b: float) -> None:
    with pytest.raises(ToolFailed):
        multiply(a, b)


@pytest.mark.parametrize(
    ("city", "zone"), [("UTC", "UTC+00:00"), ("Tokyo", "JST, UTC+09:00"), ("asia/kolkata", "IST, UTC+05:30")]
)
def test_the_time_is_told_in_a_city(city: str, zone: str) -> None:
    assert re.fullmatch(rf"\w+day, \d+ \w+ \d{{4}}, \d\d:\d\d:\d\d \(.*{re.escape(zone)}\)", current_time(city))


def test_the_time_is_told_here() -> None:
    assert re.fullmatch(r"\w+day, .* \(.*, UTC[+-]\d\d:\d\d\)", current_time())
    with pytest.raises(ToolFailed, match="no time zone for 'Atlantis'"):
        current_time("Atlantis")


def test_every_tool_only_reads() -> None:
    agent: Agent[None, str] = assistant(Path())
    assert {getattr(tool, "effect", "") for tool in agent.tools} == {"read"}
