"""`surefoot doctor` and `prune`: check, copy, save, and delete what is old."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.conftest import Said, Surefoot
from tests.cli.terminal import Terminal


def damage(path: Path, text: bytes) -> None:
    """Change one byte in the middle of `text`, wherever the file holds it."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    data = bytearray(path.read_bytes())
    at = data.index(text) + len(text) // 2
    data[at] ^= 1
    path.write_bytes(data)


def test_a_sound_store_has_no_problems(surefoot: Surefoot) -> None:
    surefoot("run", "clerk", "add")
    assert surefoot("doctor") == Said(0, "no problems found\n", "")


def test_a_flipped_bit_is_found_and_the_rest_is_saved(surefoot: Surefoot, tmp_path: Path) -> None:
    surefoot("run", "clerk", "hello", "--id", "sound")
    surefoot("run", "clerk", "something unmistakable", "--id", "hurt")
    damage(tmp_path / "surefoot.db", b"You said: something unmistakable")
    said = surefoot("doctor")
    assert said.code == 5
    assert "problem" in said.out.splitlines()[-1]
    assert "surefoot doctor --salvage FILE" in said.err

    said = surefoot("doctor", "--salvage", "saved.db")
    assert said.code == 5
    assert "saved to saved.db: 1 whole run" in said.out
    assert "is cut short" in said.out
    assert surefoot("doctor", "--store", "sqlite:saved.db").code == 0
    assert surefoot("resume", "sound", "--store", "sqlite:saved.db").out == "You said: hello\n"


def test_what_is_no_journal_is_said_to_be_none(surefoot: Surefoot, tmp_path: Path) -> None:
    (tmp_path / "surefoot.db").write_bytes(b"not a database at all, but long enough to be one" * 100)
    said = surefoot("doctor")
    assert said.code == 5
    assert said.out.count("damaged or no journal") == 1
    for command in (("runs",), ("show", "x"), ("run", "clerk", "hi"), ("resume", "x")):
        said = surefoot(*command)
        assert said.code == 5
        assert "Traceback" not in said.err
        assert said.err.startswith("surefoot: surefoot.db is damaged or no journal")
        assert said.err.count("\n") == 1


def test_a_newer_database_is_refused(surefoot: Surefoot, tmp_path: Path) -> None:
    surefoot("run", "clerk", "hello")
    with closing(sqlite3.connect(tmp_path / "surefoot.db")) as connection:
        connection.execute("PRAGMA user_version = 999")
    for command in (("runs",), ("doctor",), ("doctor", "--salvage", "saved.db")):
        said = surefoot(*command)
        assert (said.code, said.out) == (5, "")
        assert "newer surefoot" in said.err
        assert "upgrade surefoot" in said.err
        assert "salvage" not in said.err
    assert not (tmp_path / "saved.db").exists()


def test_a_backup_is_a_store(surefoot: Surefoot, tmp_path: Path) -> None:
    surefoot("run", "clerk", "hello", "--id", "k")
    assert surefoot("doctor", "--backup", "copy.db").out == "copied to copy.db\nno problems found\n"
    assert surefoot("resume", "k", "--store", "sqlite:copy.db").out == "You said: hello\n"
    again = surefoot("doctor", "--backup", "copy.db")
    assert again.code == 2
    assert "copy.db exists" in again.err


@pytest.mark.parametrize(
    "command",
    [("runs",), ("show", "x"), ("doctor",), ("prune", "--older-than", "1d", "--yes"), ("decide", "x:0.0", "--deny"),
     ("settle", "x:0.0", "retry"), ("send", "x", "hi"), ("cancel", "x")],
)  # fmt: skip
def test_what_only_looks_makes_no_file(surefoot: Surefoot, tmp_path: Path, command: tuple[str, ...]) -> None:
    said = surefoot(*command, "--store", "sqlite:absent.db")
    assert said.code == 5
    assert (
        said.err
        == "surefoot: there is no journal absent.db; name one with --store sqlite:PATH, or make one with `surefoot run`\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_old_runs_are_deleted_for_good(surefoot: Surefoot) -> None:
    surefoot("run", "clerk", "hello", "--id", "done")
    surefoot("run", "clerk", "fail", "--id", "failed")
    surefoot("run", "clerk", "refund", "--id", "waiting")
    assert surefoot("prune", "--older-than", "30d", "--yes").out == "0 runs deleted\n"
    assert surefoot("prune", "--older-than", "0s", "--status", "failed", "--yes").out == "1 run deleted\n"
    assert surefoot("prune", "--older-than", "0s", "--yes").out == "1 run deleted\n"
    assert [run["key"] for run in surefoot("runs", "--json").objects] == ["waiting"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--older-than", "0s"), "say --yes"),
        (("--older-than", "a while", "--yes"), "is not a length of time"),
        (("--older-than", "99999999999w", "--yes"), "longer than a calendar"),
        (("--older-than", "1d", "--status", "waiting", "--yes"), "waiting"),
        (("--yes",), "Missing option"),
    ],
)
def test_prune_says_what_it_needs(surefoot: Surefoot, arguments: tuple[str, ...], message: str) -> None:
    surefoot("run", "clerk", "hello")
    said = surefoot("prune", *arguments)
    assert said.code == 2
    assert message in said.err
    assert len(surefoot("runs", "--json").objects) == 1


def test_prune_asks_first_on_a_terminal(surefoot: Surefoot, tmp_path: Path) -> None:
    surefoot("run", "clerk", "hello")
    for key, code, left in (("n", 2, 1), ("y", 0, 0)):
        with Terminal("prune", "--older-than", "0s", cwd=tmp_path) as terminal:
            terminal.expect("for good? (y/n) ")
            terminal.type(f"{key}\n")
            assert terminal.wait() == code
        assert len(surefoot("runs", "--json").objects) == left
