"""The program as a whole: its version, its help, its errors, and the project it begins."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Surefoot
from tests.cli.terminal import PATIENCE, environment, piped

# What a quick answer must not load.
SLOW = ["typer", "rich", "surefoot.cli.program"]


def test_the_version_is_quick_to_say(tmp_path: Path) -> None:
    code = f"""
import sys
from surefoot.cli import main
try:
    main(["--version"])
except SystemExit as end:
    assert end.code == 0
print([name for name in {SLOW!r} if name in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=PATIENCE
    )
    version, loaded = done.stdout.splitlines()
    assert re.fullmatch(r"surefoot (\d+\.\d+.*|unknown)", version)
    assert loaded == "[]"


def test_version_and_help_are_also_options_of_the_whole(surefoot: Surefoot) -> None:
    assert surefoot("--version").out.startswith("surefoot ")
    assert surefoot("--store", "sqlite:x.db", "--version").out.startswith("surefoot ")
    for arguments in (("--help",), ("-h",), ()):
        said = surefoot(*arguments)
        assert "Usage: surefoot [OPTIONS] COMMAND" in said.out + said.err
    assert "Usage: surefoot run [OPTIONS]" in surefoot("run", "-h").out


def test_options_of_the_whole_stand_before_or_after_the_command(surefoot: Surefoot) -> None:
    surefoot("--store", "sqlite:one.db", "run", "clerk", "hello")
    surefoot("run", "clerk", "hello", "--store", "sqlite:two.db")
    assert Path("one.db").exists()
    assert Path("two.db").exists()
    assert len(surefoot("--store", "sqlite:one.db", "runs", "--json").objects) == 1


def test_the_store_comes_from_the_environment(surefoot: Surefoot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUREFOOT_STORE", "sqlite:env.db")
    surefoot("run", "clerk", "hello")
    assert Path("env.db").exists()
    monkeypatch.setenv("SUREFOOT_LEASE", "soon")
    said = surefoot("runs")
    assert said.code == 2
    assert "SUREFOOT_LEASE='soon' is not a valid float" in said.err


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    plain = piped("runs", cwd=tmp_path)
    loud = piped("runs", cwd=tmp_path, env={"SUREFOOT_DEBUG": "1"})
    assert (plain.returncode, loud.returncode) == (5, 5)
    assert plain.stderr.count("\n") == 1
    assert loud.stderr.startswith("Traceback")
    assert loud.stderr.endswith(plain.stderr)


def test_a_reader_that_goes_away_is_no_traceback(tmp_path: Path) -> None:
    piped("run", "clerk", "hello", cwd=tmp_path)
    for arguments in (("runs",), ("runs", "--json")):
        read, write = os.pipe()
        os.close(read)
        with os.fdopen(write, "wb") as nobody:
            done = subprocess.run(
                [sys.executable, "-m", "surefoot", *arguments],
                cwd=tmp_path, env=environment(), stdout=nobody, stderr=subprocess.PIPE, text=True, check=False, timeout=PATIENCE,
            )  # fmt: skip
        assert done.stderr == ""


def test_text_a_terminal_cannot_show_is_escaped(tmp_path: Path) -> None:
    done = piped("run", "clerk", "größe", cwd=tmp_path, env={"PYTHONIOENCODING": "ascii"})
    assert (done.returncode, done.stdout) == (0, "You said: gr\\xf6\\xdfe\n")


def test_what_the_library_logs_is_safe_to_print(tmp_path: Path) -> None:
    (tmp_path / "loud.py").write_text(
        "import logging\nfrom surefoot.core.agent import Agent\n"
        "logging.getLogger('surefoot').warning('careful \\x1b[31m %s', 1)\nagents = [Agent('quiet')]\n",
        encoding="utf-8",
    )
    done = piped("tools", "--agents", "loud:agents", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "quiet: no tools\n")
    assert done.stderr == "surefoot: careful \\u001b[31m 1\n"


def test_a_new_project_has_a_test_that_passes(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "shop"
    done = piped("init", str(folder), cwd=tmp_path)
    assert done.returncode == 0
    assert {path.name for path in folder.iterdir()} == {
        "agents.py", "test_agents.py", "policy.cedar", "calls.jsonl", "README.md", ".gitignore"
    }  # fmt: skip
    tested = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=folder, env=environment(), capture_output=True, text=True, check=False, timeout=50,
    )  # fmt: skip
    assert tested.returncode == 0, tested.stdout
    assert "2 passed" in tested.stdout
    listed = piped("tools", cwd=folder, env={"SUREFOOT_AGENTS": ""})
    assert "clerk:\n  add (read)" in listed.stdout
    assert piped("policy", "check", cwd=folder, env={"SUREFOOT_AGENTS": ""}).returncode == 0
    proved = piped("policy", "test", "calls.jsonl", cwd=folder, env={"SUREFOOT_AGENTS": ""})
    assert (proved.returncode, proved.stderr) == (0, "4 of 4 as they should be\n")
    shown = piped("policy", "explain", "refund", '{"order": "81", "cents": 100001}', cwd=folder, env={"SUREFOOT_AGENTS": ""})
    assert "more than 1,000 euros are refunded by hand" in shown.stdout


def test_a_project_overwrites_nothing(tmp_path: Path) -> None:
    (tmp_path / "agents.py").write_text("mine = 1\n", encoding="utf-8")
    done = piped("init", cwd=tmp_path)
    assert done.returncode == 0
    assert "kept     agents.py\nwritten  test_agents.py\n" in done.stdout
    assert (tmp_path / "agents.py").read_text(encoding="utf-8") == "mine = 1\n"
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert "written" not in piped("init", ".", cwd=tmp_path).stdout
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_project_in_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("", encoding="utf-8")
    done = piped("init", "taken", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("surefoot: taken cannot be written")
