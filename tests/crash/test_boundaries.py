"""A worker killed with SIGKILL at any write of a run, before or after its commit, is followed by another, to the same end."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.crash.stories import STORIES
from tests.crash.test_kills import module


@pytest.mark.parametrize("story", STORIES)
def test_a_kill_at_every_write_of_a_run(tmp_path: Path, story: str) -> None:
    ended = module("tests.crash.boundaries", tmp_path, story, timeout=55)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert int(ended.stdout) > 15, "both sides of every write"
