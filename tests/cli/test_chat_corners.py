"""What happens less often in a conversation: others who answer, runs of other commands, odd calls, a full history."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from surefoot.cli.questions import account
from tests.cli.terminal import Terminal, piped
from tests.cli.test_chat import ASK, PROMPT, around, chat, leave, ledger, say

STORE = "sqlite:own.db"


def test_a_question_that_somebody_else_answers_is_settled(tmp_path: Path) -> None:
    with chat(tmp_path, "--store", STORE) as terminal:
        say(terminal, "refund it", ASK)
        shown = piped("runs", "--store", STORE, "--json", cwd=tmp_path, env=around(tmp_path))
        request = shown.stdout.partition('"waiting": [{"id": "')[2].partition('"')[0]
        other = piped("decide", request, "--approve", "--by", "somebody", "--store", STORE, cwd=tmp_path, env=around(tmp_path))
        assert other.returncode == 0, other.stderr
        terminal.type("n\r")
        terminal.expect("somebody")
        terminal.expect("Then: refunded 6200 cents on order 81\n")
        leave(terminal)
    assert ledger(tmp_path) == ["81 6200"]


def test_a_childs_question_is_asked_too(tmp_path: Path) -> None:
    with chat(tmp_path, "--agents", "tests.cli.shop:agents", "--agent", "boss") as terminal:
        say(terminal, "refund it", "? May refund run?")
        terminal.expect("asked by run")
        terminal.expect(ASK)
        terminal.type("y\r")
        terminal.expect("Done: the clerk says: Then: refunded 6200 cents on order 81\n")
        leave(terminal)
    assert ledger(tmp_path) == ["81 6200"]


def test_what_is_typed_during_an_answer_waits_for_the_next_line(tmp_path: Path) -> None:
    with chat(tmp_path) as terminal:
        say(terminal, "slow", "slow() …")
        terminal.type("count")
        terminal.type("\x03")
        terminal.expect("cancelled; what was done before stays done")
        terminal.expect(PROMPT)
        assert "…count" not in terminal.text
        assert "^C" not in terminal.text
        terminal.type("\r")
        terminal.expect(PROMPT)
        leave(terminal)


def test_without_a_folder_of_its_own_a_chat_needs_a_store(tmp_path: Path) -> None:
    env = {"SUREFOOT_HOME": "/dev/null/home"}
    with chat(tmp_path, "--store", STORE, env=env) as terminal:
        say(terminal, "hello", "You said: hello")
        leave(terminal)
    refused = piped("chat", cwd=tmp_path, env=around(tmp_path, env), stdin="hello\n")
    assert refused.returncode == 2
    assert "set SUREFOOT_HOME to a folder of yours" in refused.stderr


def test_a_run_of_another_command_is_gone_on_with(tmp_path: Path) -> None:
    options = ("--session", "mine", "--user", account(), "--store", STORE)
    ran = piped("run", "host", "refund it", *options, cwd=tmp_path, env=around(tmp_path))
    assert ran.returncode == 3
    with chat(tmp_path, "--store", STORE, "--session", "mine") as terminal:
        terminal.expect("going on with what was waiting")
        terminal.expect(ASK)
        terminal.type("y\r")
        terminal.expect("Then: refunded 6200 cents on order 81\n")
        say(terminal, "count", "message 2")
        leave(terminal)


def test_a_run_of_an_agent_that_is_not_here_is_left_alone(tmp_path: Path) -> None:
    with chat(tmp_path, "--session", "mine") as terminal:
        say(terminal, "refund it", ASK)
        os.kill(terminal.pid, signal.SIGKILL)
        terminal.wait()
    with chat(tmp_path, "--session", "mine", "--agents", "tests.cli.shop:lister") as terminal:
        terminal.expect("its agent host is not here")
        leave(terminal)


def test_a_named_conversation_that_is_open_elsewhere_says_so(tmp_path: Path) -> None:
    with chat(tmp_path, "--session", "mine") as first:
        say(first, "hello", "You said: hello")
        first.expect(PROMPT)
        with chat(tmp_path, "--session", "mine") as second:
            second.expect("another chat has this conversation open")
            say(second, "count", "message 2")
            leave(second)


def test_calls_that_make_no_sense_are_shown_all_the_same(tmp_path: Path) -> None:
    with chat(tmp_path) as terminal:
        say(terminal, "garbage", "2 add(")
        terminal.expect("Then:")
        say(terminal, "/expand 1", "no JSON \\u001b[31m")
        terminal.expect("not valid:")
        say(terminal, "/expand 2", "2 add")
        leave(terminal)


def test_a_tools_own_progress_is_shown(tmp_path: Path) -> None:
    with chat(tmp_path) as terminal:
        say(terminal, "report", "report: half way there")
        terminal.expect("Then: there\n")
        leave(terminal)


def test_long_arguments_are_cut_where_they_are_asked_about(tmp_path: Path) -> None:
    with chat(tmp_path) as terminal:
        say(terminal, "letter", "? May send run?")
        terminal.expect("a line\\na line\\n")
        terminal.expect(ASK)
        terminal.type("y\r")
        terminal.expect("Then: sent 60 lines\n")
        leave(terminal)


def test_an_outcome_can_be_left_open_in_the_middle_of_an_answer(tmp_path: Path) -> None:
    with chat(tmp_path) as terminal:
        say(terminal, "crash", ASK)
        terminal.type("y\r")
        terminal.expect(ASK)
        terminal.type("d\r")
        terminal.expect("its result, as the model will read it:")
        terminal.type("\x04")
        terminal.expect("left open")
        say(terminal, "/questions", "nobody knows whether it happened")
        terminal.expect(ASK)
        terminal.type("l\r")
        terminal.expect("left open")
        leave(terminal)


def test_what_a_cancelled_answer_left_unknown_is_asked_about(tmp_path: Path) -> None:
    with chat(tmp_path) as terminal:
        say(terminal, "linger", ASK)
        terminal.type("y\r")
        terminal.expect("linger() …")
        terminal.type("\x03")
        terminal.expect("cancelled; what was done before stays done")
        terminal.expect("left open; /questions asks it again")
        say(terminal, "/questions", "nobody knows whether it happened")
        terminal.expect("d (it was done), g (it was not, give up), or l (later):")
        terminal.type("r\r")
        terminal.expect(ASK)
        terminal.type("d\r")
        say(terminal, "/questions", "nothing is open")
        leave(terminal)


def test_a_message_may_have_several_lines(tmp_path: Path) -> None:
    with chat(tmp_path) as terminal:
        terminal.expect(PROMPT)
        terminal.type("count one\x1b\rtwo\r")
        terminal.expect("message 1 of 13 characters")
        leave(terminal)


def test_a_signal_from_elsewhere_breaks_off_the_line(tmp_path: Path) -> None:
    with chat(tmp_path) as terminal:
        terminal.expect(PROMPT)
        terminal.type("half")
        terminal.expect("half")
        os.kill(terminal.pid, signal.SIGINT)
        say(terminal, "count", "message 1 of 5 characters")
        leave(terminal)


def test_the_terminal_closing_leaves_the_run_to_the_next_chat(tmp_path: Path) -> None:
    with chat(tmp_path, env={"SUREFOOT_GRACE": "0.1"}) as terminal:
        say(terminal, "slow", "slow() …")
        os.kill(terminal.pid, signal.SIGHUP)
        assert terminal.wait() == 143
    with chat(tmp_path) as terminal:
        terminal.expect("Then: quick this time\n")
        leave(terminal)


def test_a_history_that_grew_too_long_is_cut_at_a_message(tmp_path: Path) -> None:
    history = tmp_path / "home" / "chat" / "history"
    history.parent.mkdir(parents=True)
    history.write_text("".join(f"\n# 2026-01-01 00:00:00\n+said {number:06}\n" for number in range(40_000)))
    with chat(tmp_path) as terminal:
        terminal.expect(PROMPT)
        terminal.type("\x1b[A")
        terminal.expect("said 039999")
        terminal.type("\r")
        terminal.expect("You said: said 039999\n")  # a prompt drawn anew is no sign that the answer has ended
        leave(terminal)
    kept = history.read_text()
    assert len(kept) < 600_000
    assert kept.startswith("\n# 2026")


def test_of_a_long_conversation_the_end_is_shown(tmp_path: Path) -> None:
    said = "".join(f"message number {number}\n" for number in range(22))
    ended = piped("chat", cwd=tmp_path, env=around(tmp_path), stdin=f"{said}/history\n")
    shown = ended.stdout.partition("… the last 20 messages of this conversation:\n")[2]
    assert shown.startswith("> message number 2\n")


def test_an_agent_without_tools_says_so(tmp_path: Path) -> None:
    ended = piped("chat", "--agent", "counter", cwd=tmp_path, env=around(tmp_path), stdin="/tools\nhow many\n")
    assert ended.stdout.startswith("counter has no tools\n")
    assert '"total": 42' in ended.stdout


def test_answers_can_go_to_a_file_while_one_types(tmp_path: Path) -> None:
    with Terminal("chat", cwd=tmp_path, env=around(tmp_path), output=tmp_path / "answers") as terminal:
        terminal.expect(PROMPT)
        terminal.type("add\r")
        terminal.expect("1 add(")
        leave(terminal)
    assert (tmp_path / "answers").read_text() == "Then: 42.0\n"
