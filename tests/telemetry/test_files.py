"""Traces as files: written as runs happen, whole after a kill, without what is gone from the journal."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from surefoot.core import events as ev
from surefoot.settings import Settings
from surefoot.telemetry.files import TraceFiles
from surefoot.telemetry.jsonl import Lines
from tests.flows.kit import QUICK, opened
from tests.telemetry.streams import life
from tests.telemetry.test_follower import clerk, until


def lines_of(path: Path) -> list[dict[str, Any]]:
    data = path.read_bytes()
    assert data.endswith(b"\n")
    return [json.loads(line) for line in data.splitlines()]


def written(folder: Path) -> str:
    """Give all that stands in a folder's files, each of which must be whole."""
    return json.dumps([lines_of(path) for path in folder.glob("*.jsonl")])


def forget(folder: Path) -> None:
    for cursor in folder.glob("*.cursor"):
        cursor.unlink()


def traced(folder: Path, **options: Any) -> Settings:
    return replace(QUICK, trace_dir=str(folder), **options)


async def test_a_run_is_written_while_it_happens_and_is_what_an_export_gives(store: str, tmp_path: Path) -> None:
    folder = tmp_path / "traces"
    async with opened(store, clerk, settings=traced(folder)) as app:
        run = await app.run(clerk, "add", session="s1")
        path = folder / f"trace_{run.id}.jsonl"
        await until(lambda: path.exists() and b"run_complete" in path.read_bytes())
        lines = Lines()
        exported = [line for record in await app.events(run) for line in lines.take(record)]
    assert path.read_bytes() == b"".join(exported)
    assert lines_of(path)[0]["data"] == {"session_id": "s1"}
    assert path.stat().st_mode & 0o077 == 0, "nobody else may read what was said"


async def test_content_can_be_left_out(tmp_path: Path) -> None:
    async with opened("memory:", clerk, settings=traced(tmp_path, trace_content=False)) as app:
        await app.run(clerk, "add my secret")
    assert "secret" not in written(tmp_path)


async def test_a_restart_completes_every_file(tmp_path: Path) -> None:
    url, folder = f"sqlite:{tmp_path / 'a.db'}", tmp_path / "traces"
    async with opened(url, clerk, settings=traced(folder)) as app:
        run = await app.run(clerk, "add")
    path = folder / f"trace_{run.id}.jsonl"
    whole = path.read_bytes()
    for cut in (0, 1, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:cut])
        forget(tmp_path)
        async with opened(url, clerk, settings=traced(folder)):
            await until(lambda: path.read_bytes() == whole)


async def test_what_is_removed_for_good_is_removed_from_the_files(tmp_path: Path) -> None:
    async with opened("memory:", clerk, settings=traced(tmp_path)) as app:
        run = await app.run(clerk, "add my secret")
        path = tmp_path / f"trace_{run.id}.jsonl"
        await until(lambda: path.exists() and b"run_complete" in path.read_bytes())
        assert b"my secret" in path.read_bytes()
        await app.store.redact(run.id, 1)
        await until(lambda: b"my secret" not in path.read_bytes())
        assert path.stat().st_mode & 0o077 == 0, "nobody else may read the rest either"
        assert lines_of(path)[-1]["event"] == "run_complete"
        await app.prune(timedelta(0))
        await until(lambda: not path.exists())


def test_old_files_are_deleted_and_others_are_not(tmp_path: Path) -> None:
    old, other = tmp_path / "trace_old.jsonl", tmp_path / "notes.txt"
    for path in (old, other):
        path.write_text("{}\n")
        os.utime(path, (0, 0))
    sink = TraceFiles(tmp_path, days=1.0)
    take = sink.begin()
    sink.write((), [piece for record in life() for piece in take(record)])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["notes.txt", f"trace_{'r' * 32}.jsonl"]


def test_a_file_that_lost_its_beginning_is_not_made_up(tmp_path: Path) -> None:
    sink = TraceFiles(tmp_path)
    take = sink.begin()
    pieces = [piece for record in life() for piece in take(record)]
    sink.write((), pieces[:3])
    (tmp_path / f"trace_{'r' * 32}.jsonl").unlink()
    sink.write((), pieces[3:])
    assert lines_of(tmp_path / f"trace_{'r' * 32}.jsonl")[-1]["event"] == "run_complete"
    assert not [piece for piece in pieces if piece.anew]
    gone = TraceFiles(tmp_path / "other")
    gone.write((), list(gone.begin()(ev.Record(1, "x", 1, 0, 0, ev.EventRedacted(1)))))
    assert not list((tmp_path / "other").iterdir())


WORK = """
import asyncio, sys
from dataclasses import replace
from surefoot.app import App
from tests.telemetry.test_follower import clerk
from tests.telemetry.test_files import traced
from pathlib import Path

async def main():
    async with App("sqlite:" + sys.argv[1], agents=[clerk], settings=traced(Path(sys.argv[2]))) as app:
        while True:
            await app.run(clerk, "x" * 3000)
            print("ran", flush=True)

asyncio.run(main())
"""


def killed(url: Path, folder: Path, runs: int) -> None:
    """Kill a process that has finished so many runs, in the middle of the next."""
    with subprocess.Popen([sys.executable, "-c", WORK, str(url), str(folder)], stdout=subprocess.PIPE) as process:
        assert process.stdout
        for _ in range(runs):
            assert process.stdout.readline()
        process.send_signal(signal.SIGKILL)


async def test_files_are_whole_after_a_kill(tmp_path: Path) -> None:
    url, folder = tmp_path / "a.db", tmp_path / "traces"
    for kills in (1, 2, 3):
        await asyncio.to_thread(killed, url, folder, 5 * kills)
        assert written(folder)
    async with opened(f"sqlite:{url}", clerk, settings=traced(folder)) as app:
        runs = await app.list(limit=1_000)
        for run in runs:
            await app.wait(run)
        for run in runs:
            path = folder / f"trace_{run.id}.jsonl"
            await until(lambda path=path: path.exists() and b"run_complete" in path.read_bytes())  # type: ignore[misc]
            lines = Lines()
            assert path.read_bytes() == b"".join([line for record in await app.events(run) for line in lines.take(record)])
    assert len(runs) >= 30


@pytest.mark.parametrize("variable", ["SUREFOOT_TRACE_DIR"])
def test_the_folder_comes_from_the_environment(variable: str) -> None:
    assert Settings.from_env({variable: "traces"}).trace_dir == "traces"
