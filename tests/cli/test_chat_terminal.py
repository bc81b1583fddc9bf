"""A conversation on terminals of all kinds: narrow, simple, without colour; with long, hostile and empty text."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from surefoot.cli.chat_screen import Wrap
from tests.cli.shop import NASTY
from tests.cli.terminal import piped
from tests.cli.test_chat import ASK, PROMPT, around, chat, leave, say


def test_a_long_pasted_text_is_one_message(tmp_path: Path) -> None:
    with chat(tmp_path) as terminal:
        terminal.expect(PROMPT)
        terminal.type("\x1b[200~count " + "word\n" * 2_000 + "end\x1b[201~")
        terminal.type("\r")
        terminal.expect("message 1 of 10009 characters")
        leave(terminal)


def test_an_empty_line_says_nothing(tmp_path: Path) -> None:
    with chat(tmp_path) as terminal:
        terminal.expect(PROMPT)
        terminal.type("\r")
        terminal.expect(PROMPT)
        terminal.type("   \r")
        say(terminal, "count", "message 1")
        leave(terminal)


@pytest.mark.parametrize("columns", [40, 80])
def test_a_calls_line_fits_the_terminal(tmp_path: Path, columns: int) -> None:
    with chat(tmp_path, columns=columns) as terminal:
        say(terminal, "long", "Then: much")
        leave(terminal)
    told = [line for line in terminal.text.replace("\r", "\n").splitlines() if "long() →" in line]
    assert told
    assert len(told[0]) < columns


@given(text=st.text("ab é日 ", max_size=200), cuts=st.lists(st.integers(1, 9), max_size=40))
def test_nothing_is_lost_between_pieces(text: str, cuts: list[int]) -> None:
    """Words that stream in any pieces are the same words, in lines no wider than they must be."""
    wrap = Wrap()
    pieces, rest = [], text
    for cut in cuts:
        pieces.append(rest[:cut])
        rest = rest[cut:]
    shown = "".join([wrap.fit(piece, 20) for piece in [*pieces, rest]]) + wrap.rest(20)
    assert shown.split() == text.split()
    assert all(cell_len(line) <= 20 or len(line.split()) == 1 for line in shown.splitlines())


def test_nothing_hostile_reaches_the_terminal(tmp_path: Path) -> None:
    with chat(tmp_path) as terminal:
        say(terminal, "nasty", "markup[/]")
        say(terminal, "nasty-tool", "Then: ")
        say(terminal, "/expand", "result after")
        terminal.expect("markup[/]")
        say(terminal, "/trace", "step 0")
        leave(terminal)
    assert "\x1b]" not in terminal.raw
    assert "\x07" not in terminal.raw
    assert "\u202e" not in terminal.raw
    assert NASTY not in terminal.raw
    assert "\\u001b[31mred" in terminal.text


def test_without_colour_there_is_none(tmp_path: Path) -> None:
    with chat(tmp_path, env={"NO_COLOR": "1"}) as terminal:
        say(terminal, "add", "Then: 42.0")
        say(terminal, "fail", "the key is wrong")
        leave(terminal)
    assert not any(f"\x1b[{colour}m" in terminal.raw for colour in (2, 31, 33, 36, "2;31"))


def test_a_simple_terminal_will_do(tmp_path: Path) -> None:
    with chat(tmp_path, env={"TERM": "dumb"}) as terminal:
        say(terminal, "add", "Then: 42.0")
        say(terminal, "refund", ASK)
        terminal.type("y\r")
        terminal.expect("Then: refunded")
        leave(terminal)
    assert "\x1b[2K" not in terminal.raw


def test_an_answer_with_a_type_is_shown_as_json(tmp_path: Path) -> None:
    with chat(tmp_path, "--agent", "counter") as terminal:
        say(terminal, "how many", '"total": 42')
        leave(terminal)
    assert piped("chat", "--agent", "nobody", cwd=tmp_path, env=around(tmp_path)).returncode == 2
