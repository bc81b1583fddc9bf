"""A worker killed with SIGKILL at any write of a run, before or after its commit, is followed by another, to the same end."""

from __future__ import annotations

from pathlib import Path

from tests.crash.test_kills import module


def test_a_kill_at_every_write_of_a_run(tmp_path: Path) -> None:
    ended = module("tests.crash.boundaries", tmp_path, timeout=55)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert int(ended.stdout) > 15, "both sides of every write"
