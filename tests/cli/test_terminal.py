"""The program on a terminal: text streams, questions are asked and answered, Ctrl-C cancels, nothing hostile gets through."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from surefoot.cli.questions import account
from tests.cli.terminal import ANSI, Terminal, piped

ASK = "y (run it), n (do not), or n and the reason: "
SETTLE = "d (it was done), r (run it again), g (give up): "


def shown(folder: Path, run: str) -> dict[str, Any]:
    """Give a run as JSON."""
    value: dict[str, Any] = json.loads(piped("show", run, "--format", "json", cwd=folder).stdout)
    return value


def ledger(folder: Path) -> list[str]:
    """Give the lines of the refund tool's own ledger."""
    path = folder / "ledger.txt"
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def test_an_answer_streams_and_is_written_once(tmp_path: Path) -> None:
    with Terminal("run", "clerk", "hello there", cwd=tmp_path) as terminal:
        assert terminal.wait() == 0, terminal.text
    assert terminal.text.count("You said: hello there\n") == 1
    assert "1 step, 0 tool calls" in terminal.text


def test_a_call_is_asked_until_it_is_answered_and_then_runs(tmp_path: Path) -> None:
    with Terminal("run", "clerk", "refund it", "--id", "k", cwd=tmp_path) as terminal:
        terminal.expect('Run refund({"cents":6200,"order":"81"})?')
        terminal.expect(ASK)
        terminal.type("perhaps\n")
        terminal.expect(ASK)
        assert ledger(tmp_path) == []
        terminal.type("y\n")
        assert terminal.wait() == 0, terminal.text
    assert "Then: refunded 6200 cents on order 81\n" in terminal.text
    assert ledger(tmp_path) == ["81 6200"]
    notes = shown(tmp_path, "k")["trace"][0]["calls"][0]["events"]
    assert f"approved by {account()}" in notes[-1]["text"]


def test_a_no_may_have_a_reason_that_the_model_reads(tmp_path: Path) -> None:
    with Terminal("run", "clerk", "refund it", cwd=tmp_path) as terminal:
        terminal.expect(ASK)
        terminal.type("n far too much\n")
        assert terminal.wait() == 0, terminal.text
    assert f"Then: Denied by {account()}: far too much." in terminal.words
    assert ledger(tmp_path) == []


def test_an_unknown_outcome_is_settled_inline(tmp_path: Path) -> None:
    with Terminal("run", "clerk", "crash", cwd=tmp_path) as terminal:
        terminal.expect(ASK)
        terminal.type("y\n")
        terminal.expect("nobody knows whether it happened: RuntimeError: the line")
        terminal.expect(SETTLE)
        terminal.type("maybe\n")
        terminal.expect(SETTLE)
        terminal.type("r\n")  # it fails in the same way again
        terminal.expect(SETTLE)
        terminal.type("d\n")
        terminal.expect("its result, as the model will read it: ")
        terminal.type("it worked\n")
        assert terminal.wait() == 0, terminal.text
    assert "Then: it worked\n" in terminal.text


def test_giving_up_on_an_unknown_outcome_goes_on(tmp_path: Path) -> None:
    with Terminal("run", "clerk", "crash", cwd=tmp_path) as terminal:
        terminal.expect(ASK)
        terminal.type("y\n")
        terminal.expect(SETTLE)
        terminal.type("g\n")
        assert terminal.wait() == 0, terminal.text
    assert "It is not known whether this call happened" in terminal.text


def test_a_childs_question_is_asked_too(tmp_path: Path) -> None:
    with Terminal("run", "boss", "refund it", cwd=tmp_path) as terminal:
        terminal.expect("Run refund(")
        terminal.expect(ASK)
        terminal.type("y\n")
        assert terminal.wait() == 0, terminal.text
    assert "Done: the clerk says: Then: refunded 6200 cents on order 81\n" in terminal.text
    assert ledger(tmp_path) == ["81 6200"]


def test_an_answer_from_elsewhere_while_asking_is_not_an_error(tmp_path: Path) -> None:
    with Terminal("run", "clerk", "refund it", "--id", "k", cwd=tmp_path) as terminal:
        terminal.expect(ASK)
        request = shown(tmp_path, "k")["waiting"][0]["id"]
        assert piped("decide", request, "--deny", "--by", "dana", cwd=tmp_path).returncode == 0
        terminal.type("y\n")
        assert terminal.wait() == 0, terminal.text
    assert "settled already: deny by dana" in terminal.words
    assert ledger(tmp_path) == []


def test_the_end_of_input_leaves_the_run_waiting(tmp_path: Path) -> None:
    with Terminal("run", "clerk", "refund it", "--id", "k", cwd=tmp_path) as terminal:
        terminal.expect(ASK)
        terminal.type("\x04")
        assert terminal.wait() == 3, terminal.text
    assert "surefoot decide" in terminal.text
    assert shown(tmp_path, "k")["status"] == "waiting"
    # Later, on another terminal, the same question is asked again.
    with Terminal("resume", "k", cwd=tmp_path) as terminal:
        terminal.expect(ASK)
        terminal.type("y\n")
        assert terminal.wait() == 0, terminal.text
    assert "Then: refunded 6200 cents on order 81\n" in terminal.text


@pytest.mark.parametrize("prompt", ["hang", "refund"])
def test_ctrl_c_cancels_the_run_and_says_so(tmp_path: Path, prompt: str) -> None:
    with Terminal("run", "clerk", prompt, "--id", "k", cwd=tmp_path) as terminal:
        terminal.expect("hang({" if prompt == "hang" else ASK)
        terminal.type("\x03")
        assert terminal.wait() == 130, terminal.text
    text = terminal.words
    assert "interrupted: cancelling run" in text
    assert "is cancelled" in text
    assert shown(tmp_path, "k")["status"] == "cancelled"
    assert "Traceback" not in text


def test_a_terminated_program_leaves_the_run_to_be_resumed(tmp_path: Path) -> None:
    with Terminal("run", "clerk", "hang", "--id", "k", cwd=tmp_path, env={"SUREFOOT_GRACE": "0.1"}) as terminal:
        terminal.expect("hang({")
        os.kill(terminal.pid, signal.SIGTERM)
        assert terminal.wait() == 143, terminal.text
    assert "surefoot resume" in terminal.text
    assert shown(tmp_path, "k")["status"] == "running"
    assert piped("cancel", "k", cwd=tmp_path).stdout.endswith("is cancelled\n")


def test_a_killed_program_leaves_the_run_to_be_resumed(tmp_path: Path) -> None:
    with Terminal("run", "clerk", "hang", "--id", "k", cwd=tmp_path) as terminal:
        terminal.expect("hang({")
        os.kill(terminal.pid, signal.SIGKILL)
        terminal.wait()
    with Terminal("resume", "k", cwd=tmp_path) as terminal:
        terminal.expect("started, try 2")
        terminal.type("\x03")
        assert terminal.wait() == 130, terminal.text
    assert shown(tmp_path, "k")["status"] == "cancelled"


@pytest.mark.parametrize("prompt", ["nasty", "nasty-tool"])
def test_nothing_hostile_reaches_the_terminal(tmp_path: Path, prompt: str) -> None:
    with Terminal("run", "clerk", prompt, "--id", "k", cwd=tmp_path) as run:
        assert run.wait() == 0
    with Terminal("show", "k", cwd=tmp_path) as show:
        assert show.wait() == 0
    with Terminal("runs", cwd=tmp_path) as runs:
        assert runs.wait() == 0
    for raw in (run.raw, show.raw, runs.raw):
        plain = ANSI.sub("", raw).replace("\r\n", "\n")
        assert not set("\x1b\x07\r\u202e\u200b") & set(plain)
        assert "[bold" in plain
        assert "\x1b[31mred" not in raw


def test_colours_are_for_terminals_that_want_them(tmp_path: Path) -> None:
    with Terminal("run", "clerk", "hello", "--id", "k", cwd=tmp_path) as terminal:
        terminal.wait()
    with Terminal("show", "k", cwd=tmp_path) as coloured:
        assert coloured.wait() == 0
    with Terminal("show", "k", cwd=tmp_path, env={"NO_COLOR": "1"}) as plain:
        assert plain.wait() == 0
    with Terminal("show", "k", cwd=tmp_path, env={"TERM": "dumb"}) as dumb:
        assert dumb.wait() == 0
    assert "\x1b[" in coloured.raw
    assert "\x1b" not in plain.raw
    assert "\x1b" not in dumb.raw
    assert "\x1b" not in piped("show", "k", cwd=tmp_path, env={"FORCE_COLOR": "1"}).stdout


@pytest.mark.parametrize("columns", [40, 80])
def test_nothing_is_wider_than_the_terminal(tmp_path: Path, columns: int) -> None:
    piped("run", "clerk", "refund it", "--id", "k", "--tag", "a tag of some length", cwd=tmp_path)
    piped("run", "clerk", "nasty-tool", cwd=tmp_path)
    for arguments in (("runs",), ("show", "k"), ("show", "k", "--format", "text"), ("tools",), ("--help",), ("run", "--help")):
        with Terminal(*arguments, cwd=tmp_path, columns=columns) as terminal:
            assert terminal.wait() == 0, terminal.text
        wide = [text for text in terminal.text.splitlines() if len(text) > columns]
        assert wide == [], arguments


def test_ids_are_whole_on_a_narrow_terminal(tmp_path: Path) -> None:
    run = json.loads(piped("run", "clerk", "hello", "--json", cwd=tmp_path).stdout)["id"]
    for columns in (40, 80, 120):
        with Terminal("runs", cwd=tmp_path, columns=columns) as terminal:
            terminal.wait()
        assert run in terminal.text


def test_json_asks_nothing_even_on_a_terminal(tmp_path: Path) -> None:
    for prompt, code, status in (("refund", 3, "waiting"), ("add", 0, "done"), ("fail", 1, "failed")):
        with Terminal("run", "clerk", prompt, "--json", cwd=tmp_path) as terminal:
            assert terminal.wait() == code, terminal.text
        assert json.loads(terminal.text)["status"] == status


def test_ctrl_c_at_a_question_about_nothing_running(tmp_path: Path) -> None:
    piped("run", "clerk", "hello", cwd=tmp_path)
    with Terminal("prune", "--older-than", "0s", cwd=tmp_path) as terminal:
        terminal.expect("for good? (y/n) ")
        terminal.type("\x03")
        assert terminal.wait() == 130, terminal.text
    assert terminal.text.endswith("surefoot: interrupted\n")
    assert len(piped("runs", cwd=tmp_path).stdout.splitlines()) == 2


def test_a_second_ctrl_c_leaves_at_once(tmp_path: Path) -> None:
    with Terminal("run", "clerk", "stubborn", "--id", "k", cwd=tmp_path, env={"SUREFOOT_GRACE": "0.1"}) as terminal:
        terminal.expect("stubborn({")
        terminal.type("\x03")
        terminal.expect("interrupted: cancelling run")
        terminal.type("\x03")
        assert terminal.wait() == 130, terminal.text
    assert "left as it is; surefoot resume" in terminal.words
    assert shown(tmp_path, "k")["status"] == "running"


def test_the_end_of_input_in_the_middle_of_an_outcome(tmp_path: Path) -> None:
    for keys in (["\x04"], ["d\n", "\x04"]):
        with Terminal("run", "clerk", "crash", cwd=tmp_path) as terminal:
            terminal.expect(ASK)
            terminal.type("y\n")
            terminal.expect(SETTLE)
            terminal.type(keys[0])
            if keys[1:]:
                terminal.expect("its result, as the model will read it: ")
                terminal.type(keys[1])
            assert terminal.wait() == 3, terminal.text
        assert "surefoot settle" in terminal.text


def test_a_structured_answer_is_written_once_and_whole(tmp_path: Path) -> None:
    with Terminal("run", "counter", "count", cwd=tmp_path) as terminal:
        assert terminal.wait() == 0, terminal.text
    assert terminal.text.count('"total": 42') == 1
    assert '  "total": 42,\n' in terminal.text


def test_questions_are_asked_when_only_the_answer_goes_into_a_pipe(tmp_path: Path) -> None:
    with Terminal("run", "clerk", "refund", cwd=tmp_path, output=tmp_path / "answer.txt") as terminal:
        terminal.expect(ASK)
        terminal.type("y\n")
        assert terminal.wait() == 0, terminal.text
    assert (tmp_path / "answer.txt").read_text(encoding="utf-8") == "Then: refunded 6200 cents on order 81\n"
    assert "Then:" not in terminal.text
