"""Workers killed with SIGKILL at random moments lose nothing, repeat nothing, and leave every run to be finished."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.crash.judge import judge
from tests.package.source import ROOT


def module(name: str, *arguments: object, timeout: float, before: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    """Run a module of these tests in its own process, started by another program where ``before`` says so."""
    path = os.pathsep.join([str(ROOT), *filter(None, sys.path)])
    return subprocess.run(
        [*before, sys.executable, "-m", name, *map(str, arguments)],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, timeout=timeout, check=False,
    )  # fmt: skip


async def test_random_kills_lose_and_repeat_nothing(tmp_path: Path, seed: int, proof: bool) -> None:
    kills = 1_000 if proof else 25
    ended = module("tests.crash.kills", tmp_path, kills, seed, timeout=3_600 if proof else 50)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    tally = await judge(tmp_path)
    print(f"{kills} kills: {tally}")
    assert tally.runs > kills / 20
    assert tally.acknowledged > tally.runs
    assert tally.claims > tally.runs
