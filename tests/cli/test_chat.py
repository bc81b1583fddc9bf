"""A conversation on a terminal: streamed, one line a call, questions inline, stopped by Ctrl-C, gone on with after a kill."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from pathlib import Path

import pytest

from surefoot.cli.questions import account
from tests.cli.terminal import Terminal

ROOT = Path(__file__).parents[2]
ASK = "or l (later):"
PROMPT = ">"
KEYS = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY", "GOOGLE_API_KEY")


def around(folder: Path, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Give the environment of a chat: data in the test's own folder, no key, tools tried again at once."""
    own = {"SUREFOOT_HOME": str(folder / "home"), "SUREFOOT_AGENTS": "tests.cli.parlour:agents", "SUREFOOT_BACKOFF": "0.001"}
    path = {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    return {**dict.fromkeys(KEYS, ""), **own, **path, **(extra or {})}


def chat(folder: Path, *arguments: str, columns: int = 80, env: Mapping[str, str] | None = None) -> Terminal:
    """Open a chat with the host."""
    return Terminal("chat", *arguments, cwd=folder, columns=columns, env=around(folder, env))


def say(terminal: Terminal, text: str, answer: str = "") -> None:
    """Type a message at the prompt, and wait for what is shown after it."""
    terminal.expect(PROMPT)
    terminal.type(f"{text}\r")
    terminal.expect(answer or text)


def leave(terminal: Terminal) -> None:
    """Leave by Ctrl-D."""
    terminal.expect(PROMPT)
    terminal.type("\x04")
    assert terminal.wait() == 0, terminal.text


def ledger(folder: Path) -> list[str]:
    """Give the lines of the refund tool's own ledger."""
    path = folder / "ledger.txt"
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def test_messages_are_one_conversation(tmp_path: Path) -> None:
    with chat(tmp_path) as terminal:
        terminal.expect("host · scripted:function (the agent's own)")
        terminal.expect("also has counter: --agent NAME")
        say(terminal, "hello there", "You said: hello there\n")
        say(terminal, "count", "message 2 of 5 characters")
        leave(terminal)
    assert terminal.text.count("You said: hello there\n") == 1
    assert not list(tmp_path.glob("*.db"))
    assert (tmp_path / "home" / "chat" / "chat.db").exists()


def test_a_call_is_one_line_that_can_be_seen_whole(tmp_path: Path) -> None:
    with chat(tmp_path) as terminal:
        say(terminal, "add", "1 add(a=17.0, b=25.0) → 42.0 (")
        terminal.expect("Then: 42.0\n")
        say(terminal, "long", "2 long() → much much")
        assert len(terminal.text) < 20_000
        say(terminal, "/expand 1", "1 add, read, returned\n")
        terminal.expect('"a": 17.0')
        terminal.expect("    42.0\n")
        terminal.expect(PROMPT)
        terminal.type("\x0f")  # Ctrl-O
        terminal.expect("2 long, read, returned\n")
        terminal.type("/expand 7\r")
        terminal.expect("there is no call 7")
        leave(terminal)


def test_a_calls_line_counts_its_tries(tmp_path: Path) -> None:
    with chat(tmp_path) as terminal:
        say(terminal, "flaky", "1 flaky() → there it is (")
        terminal.expect("3 tries)\n")
        say(terminal, "/expand", "tries: 3")
        terminal.expect("flaky failed, try 2: connection: ConnectionError")
        leave(terminal)


def test_a_call_is_asked_inline(tmp_path: Path) -> None:
    with chat(tmp_path) as terminal:
        say(terminal, "refund it", "? May refund run?")
        terminal.expect('{"cents": 6200, "order": "81"}')
        terminal.expect("the tool is unsafe")
        terminal.expect(ASK)
        terminal.type("perhaps\r")
        terminal.expect(ASK)
        assert ledger(tmp_path) == []
        terminal.type("y\r")
        terminal.expect("Then: refunded 6200 cents on order 81\n")
        say(terminal, "refund it again", ASK)
        terminal.type("n far too much\r")
        terminal.expect(f"denied by {account()}: far too much")
        terminal.expect(f"Then: Denied by {account()}: far too much")
        leave(terminal)
    assert ledger(tmp_path) == ["81 6200"]


def test_a_question_can_be_left_open_and_answered_later(tmp_path: Path) -> None:
    with chat(tmp_path) as terminal:
        say(terminal, "both", ASK)
        terminal.type("y\r")
        terminal.expect(ASK)
        terminal.type("l\r")
        terminal.expect("left open; /questions asks it again")
        say(terminal, "hello", "You said: hello")
        say(terminal, "/questions", '"order": "2"')
        terminal.expect(ASK)
        terminal.type("\x04")
        terminal.expect("left open")
        say(terminal, "/questions", ASK)
        terminal.type("y\r")
        terminal.expect("Then: refunded 1 cents on order 2\n")
        say(terminal, "/questions", "nothing is open")
        leave(terminal)
    assert ledger(tmp_path) == ["1 1", "2 1"]


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        (["maybe\r", "d\r", "it worked\r"], "Then: it worked\n"),
        (["r\r", "g\r"], "It is not known whether this call happened"),
    ],
)
def test_an_unknown_outcome_is_settled_inline(tmp_path: Path, typed: list[str], shown: str) -> None:
    with chat(tmp_path) as terminal:
        say(terminal, "crash", ASK)
        terminal.type("y\r")
        for keys in typed:
            terminal.expect("its result, as the model will read it:" if keys == "it worked\r" else ASK)
            terminal.type(keys)
        terminal.expect(shown)
        leave(terminal)


def test_ctrl_c_cancels_the_answer_and_not_the_program(tmp_path: Path) -> None:
    with chat(tmp_path) as terminal:
        say(terminal, "slow", "slow() …")
        terminal.type("\x03")
        terminal.expect("cancelled; what was done before stays done")
        say(terminal, "refund", ASK)
        terminal.type("\x03")
        terminal.expect("cancelled; what was done before stays done")
        say(terminal, "count", "message 3")
        terminal.expect(PROMPT)
        terminal.type("half a mess\x03")
        terminal.expect(PROMPT)
        terminal.type("\x03")
        terminal.expect("Ctrl-C again, or Ctrl-D, leaves")
        terminal.expect(PROMPT)
        terminal.type("\x03")
        assert terminal.wait() == 0, terminal.text
    assert ledger(tmp_path) == []


def test_a_tool_that_does_not_stop_is_left_behind(tmp_path: Path) -> None:
    with chat(tmp_path) as terminal:
        say(terminal, "stubborn", "stubborn() …")
        terminal.type("\x03")
        terminal.expect("cancelling")
        terminal.type("\x03")
        terminal.expect("asked to stop, and still running")
        say(terminal, "/new", "a new conversation")
        say(terminal, "count", "message 1")
        say(terminal, "/sessions 2", "going on with what was running")
        terminal.expect("1 stubborn() …")
        terminal.type("\x03")
        terminal.expect("cancelling")
        terminal.type("\x03")
        terminal.expect(PROMPT)
        terminal.type("\x04")
        terminal.expect("is still in work")
        terminal.type("\x03")
        assert terminal.wait() == 130, terminal.text


def test_a_killed_chat_asks_again_what_was_open(tmp_path: Path) -> None:
    with chat(tmp_path) as terminal:
        say(terminal, "hello", "You said: hello")
        say(terminal, "refund it", ASK)
        os.kill(terminal.pid, signal.SIGKILL)
        terminal.wait()
    with chat(tmp_path) as terminal:
        terminal.expect("(2 messages)")
        terminal.expect("going on with what was waiting when the last chat ended:")
        terminal.expect("> refund it")
        terminal.expect("? May refund run?")
        terminal.expect(ASK)
        terminal.type("y\r")
        terminal.expect("1 refund(")
        terminal.expect("Then: refunded 6200 cents on order 81\n")
        say(terminal, "count", "message 3")
        leave(terminal)
    assert ledger(tmp_path) == ["81 6200"]


def test_a_killed_chat_goes_on_with_what_was_in_work(tmp_path: Path) -> None:
    with chat(tmp_path) as terminal:
        say(terminal, "slow", "slow() …")
        os.kill(terminal.pid, signal.SIGKILL)
        terminal.wait()
    with chat(tmp_path) as terminal:
        terminal.expect("going on with what was running when the last chat ended:")
        terminal.expect("1 slow() → quick this time (")
        terminal.expect("Then: quick this time\n")
        leave(terminal)


def test_a_call_that_the_kill_cut_short_is_asked_about(tmp_path: Path) -> None:
    with chat(tmp_path) as terminal:
        say(terminal, "die", ASK)
        terminal.type("y\r")
        assert terminal.wait() == -signal.SIGKILL
    with chat(tmp_path) as terminal:
        terminal.expect("? die started, and nobody knows whether it happened")
        terminal.expect(ASK)
        terminal.type("g\r")
        terminal.expect("It is not known whether this call happened")
        leave(terminal)
    assert (tmp_path / "deaths").read_text() == "dead\n"


def test_a_terminated_chat_leaves_its_run_to_the_next(tmp_path: Path) -> None:
    with chat(tmp_path, env={"SUREFOOT_GRACE": "0.1"}) as terminal:
        say(terminal, "slow", "slow() …")
        os.kill(terminal.pid, signal.SIGTERM)
        assert terminal.wait() == 143, terminal.text
    with chat(tmp_path) as terminal:
        terminal.expect("Then: quick this time\n")
        leave(terminal)


def test_another_chat_begins_a_conversation_of_its_own(tmp_path: Path) -> None:
    with chat(tmp_path) as first:
        say(first, "hello", "You said: hello")
        first.expect(PROMPT)
        with chat(tmp_path) as second:
            say(second, "count", "message 1")
            say(second, "/sessions", "hello")
            say(second, "/sessions 2", "another chat has that conversation open")
            leave(second)
        first.type("count\r")
        first.expect("message 2")
        leave(first)


def test_conversations_are_listed_and_gone_back_to(tmp_path: Path) -> None:
    with chat(tmp_path) as terminal:
        say(terminal, "add the first", "Then: 42.0\n")
        say(terminal, "/new", "a new conversation")
        say(terminal, "count", "message 1")
        say(terminal, "/sessions", "* 1 ")
        terminal.expect("add the first")
        say(terminal, "/sessions 2", "> add the first")
        terminal.expect("1 add(a=17.0, b=25.0) → 42.0")
        terminal.expect("Then: 42.0\n")
        say(terminal, "count", "message 2")
        say(terminal, "/history", "> add the first")
        terminal.expect("> count")
        terminal.expect("message 2 of 5 characters\n")
        say(terminal, "/sessions nowhere", "there is no conversation nowhere")
        leave(terminal)


def test_commands_say_what_there_is(tmp_path: Path) -> None:
    with chat(tmp_path) as terminal:
        say(terminal, "/history", "nothing was said yet")
        say(terminal, "/trace", "nothing was said yet")
        say(terminal, "/expand", "no tool was called yet")
        say(terminal, "/sessions", "no conversation yet")
        say(terminal, "/retry", "the last answer did not fail")
        say(terminal, "/tools", "refund (unsafe, asks first)\n")
        terminal.expect("Refund an order.")
        say(terminal, "/model", "scripted:function: the agent's own")
        say(terminal, "/model other:one", "surefoot chat --model other:one")
        say(terminal, "/memory", "this agent has no long-term memory")
        say(terminal, "/nothing", "there is no command /nothing")
        say(terminal, "/he", "/questions  ask again what was left open")
        say(terminal, " /help", "You said:  /help")
        say(terminal, "/trace", "step 0 · scripted:function")
        terminal.expect(PROMPT)
        terminal.type("/quit\r")
        assert terminal.wait() == 0


def test_a_failed_answer_says_why_and_can_be_gone_on_with(tmp_path: Path) -> None:
    with chat(tmp_path) as terminal:
        say(terminal, "fail", "failed: auth: the key is wrong")
        terminal.expect("/retry goes on from where it stood")
        (tmp_path / "mended").touch()
        say(terminal, "/retry", "mended\n")
        leave(terminal)


def test_what_was_said_comes_back_with_the_up_arrow_in_the_next_chat(tmp_path: Path) -> None:
    with chat(tmp_path) as terminal:
        say(terminal, "hello you", "You said: hello you")
        say(terminal, "refund", ASK)
        terminal.type("n\r")
        terminal.expect("Then: Denied")
        leave(terminal)
    history = tmp_path / "home" / "chat" / "history"
    assert history.stat().st_mode & 0o777 == 0o600
    with chat(tmp_path) as terminal:
        terminal.expect(PROMPT)
        terminal.type("\x1b[A\x1b[A")
        terminal.expect("hello you")
        terminal.type("\r")
        terminal.expect("You said: hello you")
        leave(terminal)


def test_tab_completes_a_command(tmp_path: Path) -> None:
    with chat(tmp_path) as terminal:
        terminal.expect(PROMPT)
        terminal.type("/mem\t")
        terminal.expect("ory")
        terminal.type("\r")
        terminal.expect("no long-term memory")
        leave(terminal)
