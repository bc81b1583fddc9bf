"""Two workers on one run, and outside writers in every gap: no fork, nothing twice, no outcome lost."""

from __future__ import annotations

from pathlib import Path

from tests.crash.judge import judge
from tests.crash.test_kills import module


async def test_two_workers_on_every_run(tmp_path: Path, seed: int, proof: bool) -> None:
    runs = 1_000 if proof else 60
    ended = module("tests.crash.races", tmp_path, runs, seed, timeout=3_600 if proof else 50)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    tally = await judge(tmp_path)
    print(f"{runs} races: {tally}")
    assert tally.runs == runs
    assert tally.claims > runs
