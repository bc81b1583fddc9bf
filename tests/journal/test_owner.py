"""Whether the process behind a lease is gone: said only when it is certain."""

from __future__ import annotations

import asyncio
import sys

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


def test_a_process_number_that_is_none_says_nothing() -> None:
    fields = new_owner().split("|")
    fields[3] = "x"
    assert not is_gone("|".join(fields))
