"""`surefoot sessions …`: what there is, its conversation, and what is done with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Surefoot
from tests.cli.terminal import Terminal


def talk(surefoot: Surefoot) -> None:
    """Two sessions of dana's, one of eli's."""
    for text, session, user in (("add", "s", "dana"), ("hello", "s", "dana"), ("hi", "t", "dana"), ("hey", "t", "eli")):
        assert surefoot("run", "clerk", text, "--session", session, "--user", user).code == 0


def test_sessions_are_listed(surefoot: Surefoot) -> None:
    surefoot("run", "clerk", "hello")
    assert surefoot("sessions", "list").err == "no sessions\n"
    talk(surefoot)
    assert surefoot("sessions", "rename", "s", "Sums and more").out == "s: Sums and more\n"
    lines = surefoot("sessions", "list", "--user", "dana").out.splitlines()
    assert lines[0].split() == ["SESSION", "USER", "RUNS", "OPEN", "LAST", "TITLE"]
    assert [line.split()[:3] for line in lines[1:]] == [["t", "dana", "1"], ["s", "dana", "2"]]
    assert lines[2].endswith("Sums and more")
    (one,) = surefoot("sessions", "list", "--json", "--text", "42", "--agent", "clerk").objects
    assert (one["session"], one["title"], one["runs"], one["open"]) == ("s", "Sums and more", 1, 0)
    assert len(surefoot("sessions", "list", "--json", "--limit", "1").objects) == 1


def test_a_conversation_is_shown(surefoot: Surefoot) -> None:
    talk(surefoot)
    surefoot("run", "clerk", "think", "--session", "s", "--user", "dana")
    lines = surefoot("sessions", "show", "s").out.splitlines()
    assert lines[0].startswith("s: 3 runs, since ")
    assert lines[1:5] == ["user: add", '  add({"a":17.0,"b":25.0})', "  add: 42.0", "assistant: Then: 42.0"]
    assert lines[-1] == "assistant: Forty-two."
    document = surefoot("sessions", "show", "s", "--json").json
    assert [message["role"] for message in document["messages"]][:3] == ["user", "assistant", "tool"]
    said = surefoot("sessions", "show", "t")
    assert (said.code, said.out) == (2, "")
    assert "say whose is meant" in said.err
    assert surefoot("sessions", "show", "t", "--user", "eli").out.splitlines()[1] == "user: hey"
    assert "there is no session 'absent'" in surefoot("sessions", "show", "absent").err


def test_hostile_text_is_shown_as_what_it_is(surefoot: Surefoot) -> None:
    surefoot("run", "clerk", "nasty-tool", "--session", "s")
    surefoot("sessions", "rename", "s", "\x1b[2J\u202etitle")
    for command in (("list",), ("show", "s"), ("show", "s", "--json"), ("export", "s")):
        out = surefoot("sessions", *command).out
        assert "\x1b" not in out
        assert "\u202e" not in out


def test_a_fork_goes_on_by_itself(surefoot: Surefoot) -> None:
    talk(surefoot)
    first = surefoot("runs", "--session", "s", "--json").objects[-1]["id"]
    assert surefoot("sessions", "fork", "s", "copy").out == "copy\n"
    assert surefoot("sessions", "fork", "s", "early", "--at", first).out == "early\n"
    assert len(surefoot("sessions", "show", "copy").out.splitlines()) == 1 + 6
    assert len(surefoot("sessions", "show", "early").out.splitlines()) == 1 + 4
    assert surefoot("sessions", "fork", "s", "copy").code == 2


def test_an_export_is_one_object_a_line(surefoot: Surefoot) -> None:
    talk(surefoot)
    first, *rest = surefoot("sessions", "export", "s").objects
    assert (first["session"], first["user"], first["runs"]) == ("s", "dana", 2)
    assert [item["tag"] for item in rest if "tag" in item].count("run.finished") == 2


def test_a_session_is_deleted_for_good(surefoot: Surefoot, tmp_path: Path) -> None:
    talk(surefoot)
    said = surefoot("sessions", "delete", "s")
    assert said.code == 2
    assert "say --yes" in said.err
    for key, code, left in (("n", 2, 3), ("y", 0, 2)):
        with Terminal("sessions", "delete", "s", cwd=tmp_path) as terminal:
            terminal.expect("Delete session s with 2 runs, for good? (y/n) ")
            terminal.type(f"{key}\n")
            assert terminal.wait() == code
        assert len(surefoot("sessions", "list", "--json").objects) == left
    assert surefoot("sessions", "delete", "t", "--user", "eli", "--yes").out == "1 run deleted\n"
    surefoot("run", "clerk", "refund", "--session", "open")
    said = surefoot("sessions", "delete", "open", "--yes")
    assert said.code == 2
    assert "only runs that have ended can be erased" in said.err


@pytest.mark.parametrize(
    "command", [("list",), ("show", "s"), ("rename", "s", "x"), ("fork", "s", "t"), ("delete", "s", "--yes")]
)
def test_what_only_looks_makes_no_file(surefoot: Surefoot, tmp_path: Path, command: tuple[str, ...]) -> None:
    assert surefoot("sessions", *command, "--store", "sqlite:absent.db").code == 5
    assert list(tmp_path.iterdir()) == []
