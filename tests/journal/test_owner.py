"""Whether the process behind a lease is gone: said only when it is certain."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from surefoot.journal.owner import is_gone, new_owner
from tests.package.source import ROOT

ASK = "from surefoot.journal.owner import new_owner; print(new_owner(), flush=True); input()"


def test_names_differ_and_their_process_is_here() -> None:
    one, two = new_owner(), new_owner()
    assert one != two
    assert not is_gone(one)
    assert not is_gone(two)


async def test_a_process_that_ended_is_gone() -> None:
    pipe = asyncio.subprocess.PIPE
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", ASK, cwd=ROOT, stdin=pipe, stdout=pipe)
    assert child.stdout is not None
    async with asyncio.timeout(5):
        owner = (await child.stdout.readline()).decode().strip()
    assert not is_gone(owner)
    child.kill()
    await child.wait()
    assert is_gone(owner)


def test_the_same_number_is_not_the_same_process() -> None:
    fields = new_owner().split("|")
    fields[4] = str(int(fields[4]) + 1)
    assert is_gone("|".join(fields))


@pytest.mark.parametrize("field", [0, 1, 2])
def test_elsewhere_nobody_knows(field: int) -> None:
    fields = new_owner().split("|")
    fields[3] = "999999999"
    assert is_gone("|".join(fields))
    fields[field] = "elsewhere"
    assert not is_gone("|".join(fields))


@pytest.mark.parametrize("owner", ["", "worker", "|||||", "a|b|c|d|e|f"])
def test_a_name_of_another_kind_says_nothing(owner: str) -> None:
    assert not is_gone(owner)


@pytest.mark.parametrize("number", ["x", "9" * 40, "-1"])
def test_a_process_number_that_is_none_says_nothing(number: str) -> None:
    fields = new_owner().split("|")
    fields[3] = number
    assert not is_gone("|".join(fields))


def test_a_dead_process_that_nobody_has_looked_at_is_gone() -> None:
    with subprocess.Popen([sys.executable, "-c", ASK], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        owner = child.stdout.readline().decode().strip()
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert is_gone(owner)


def fake(folder: Path, pid: int, state: str = "S", threads: int = 1) -> Path:
    """A system that says this of a process."""
    (folder / "sys/kernel/random").mkdir(parents=True)
    (folder / "sys/kernel/random/boot_id").write_text("boot\n", encoding="ascii")
    (folder / "self/ns").mkdir(parents=True)
    (folder / "self/ns/pid").symlink_to("pid:[1]")
    for thread in range(threads):
        (folder / f"{pid}/task/{thread}").mkdir(parents=True)
    fields = [state, *map(str, range(4, 30))]
    (folder / f"{pid}/stat").write_text(f"{pid} (odd ) name) {' '.join(fields)}", encoding="ascii")
    return folder


@pytest.mark.parametrize(
    ("state", "threads", "gone"), [("S", 1, False), ("R", 3, False), ("Z", 1, True), ("X", 1, True), ("Z", 2, False)]
)
def test_what_the_system_says(tmp_path: Path, state: str, threads: int, gone: bool) -> None:
    proc = fake(tmp_path, os.getpid(), state, threads)
    fields = new_owner(proc).split("|")
    fields[4] = "22"
    assert is_gone("|".join(fields), proc) == gone


def test_a_process_that_is_not_shown_may_live(tmp_path: Path) -> None:
    # Some systems hide others' processes.
    proc = fake(tmp_path, os.getpid())
    owner = new_owner(proc)
    (proc / str(os.getpid()) / "stat").write_text("half a line", encoding="ascii")
    assert not is_gone(owner, proc)
    shutil.rmtree(proc / str(os.getpid()))
    assert not is_gone(owner, proc)
    fields = owner.split("|")
    fields[3] = "999999999"
    assert is_gone("|".join(fields), proc)


def test_a_system_that_says_nothing(tmp_path: Path) -> None:
    owner = new_owner(tmp_path)
    assert not is_gone(owner, tmp_path)
    assert not is_gone(owner)
