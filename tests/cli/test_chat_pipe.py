"""A conversation without a terminal: lines in, answers out; which model answers and why; what is refused."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from surefoot.models.local_weights import home
from surefoot.models.lookup import KEYS
from tests.cli.terminal import PATIENCE, environment, piped
from tests.cli.test_chat import ROOT, around, leave, ledger, say
from tests.cli.test_chat import chat as typed


def chat(folder: Path, said: str, *arguments: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Say these lines to the host."""
    return piped("chat", *arguments, cwd=folder, env=around(folder, env), stdin=said)


def test_each_line_is_a_message_and_answers_go_to_standard_output(tmp_path: Path) -> None:
    ended = chat(tmp_path, "hello\n\n   \nadd\ncount")
    assert ended.stdout == "You said: hello\nThen: 42.0\nmessage 3 of 5 characters\n"
    assert "host · scripted:function (the agent's own)\n" in ended.stderr
    assert "  1 add(a=17.0, b=25.0) → 42.0 (" in ended.stderr
    assert "\x1b" not in ended.stdout + ended.stderr
    assert ended.returncode == 0


def test_nothing_said_is_no_error(tmp_path: Path) -> None:
    ended = chat(tmp_path, "")
    assert (ended.stdout, ended.returncode) == ("", 0)


def test_a_conversation_is_new_unless_it_is_named(tmp_path: Path) -> None:
    assert chat(tmp_path, "count").stdout.startswith("message 1 ")
    assert chat(tmp_path, "count").stdout.startswith("message 1 ")
    assert chat(tmp_path, "count", "--session", "mine").stdout.startswith("message 1 ")
    assert chat(tmp_path, "count", "--session", "mine").stdout.startswith("message 2 ")


def test_a_question_stays_open_whatever_the_next_line_says(tmp_path: Path) -> None:
    ended = chat(tmp_path, "refund it\ny\n", "--session", "mine")
    assert "surefoot decide " in ended.stderr
    assert ended.stdout == "You said: y\n"
    assert ended.returncode == 3
    assert ledger(tmp_path) == []
    again = chat(tmp_path, "/questions\n", "--session", "mine")
    assert "surefoot decide " in again.stderr
    assert ledger(tmp_path) == []


def test_the_code_is_that_of_what_went_wrong_first(tmp_path: Path) -> None:
    ended = chat(tmp_path, "fail\nhello\n")
    assert ended.stdout == "You said: hello\n"
    assert "failed: auth: the key is wrong" in ended.stderr
    assert ended.returncode == 1


def test_commands_work_and_quit_ends_it(tmp_path: Path) -> None:
    ended = chat(tmp_path, "add\n/trace\n/history\n/quit\nhello\n")
    assert "step 0 call 0.0 add(" in ended.stdout
    assert "> add\n" in ended.stdout
    assert "You said" not in ended.stdout


def test_odd_bytes_are_a_message_like_any_other(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "surefoot", "chat"], cwd=tmp_path, env=environment(around(tmp_path)),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        out, _ = process.communicate(b"caf\xff \x00\x1b[31m \xf0\x9f\x98\x80\n" + b"count " + b"x" * 10_000 + b"\n", PATIENCE)
    said = out.decode().splitlines()
    assert said[0] == "You said: caf\N{REPLACEMENT CHARACTER} \\u0000\\u001b[31m \N{GRINNING FACE}"
    assert said[1] == "message 2 of 10006 characters"


def test_a_line_without_end_is_refused(tmp_path: Path) -> None:
    ended = chat(tmp_path, "hello\n" + "x" * (1 << 21))
    assert ended.stdout == "You said: hello\n"
    assert "a message has more than" in ended.stderr
    assert ended.returncode == 2


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_it_while_it_waits_for_a_line(tmp_path: Path, number: signal.Signals, code: int) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "surefoot", "chat"], cwd=tmp_path, env=environment(around(tmp_path)),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    ) as process:  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("hello\n")
        process.stdin.flush()
        assert process.stdout.readline() == "You said: hello\n"
        os.kill(process.pid, number)
        assert process.wait(PATIENCE) == code


def test_an_interrupt_cancels_the_run_and_ends_it(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "surefoot", "chat"], cwd=tmp_path, env=environment(around(tmp_path)),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("hello\n")
        process.stdin.flush()
        assert process.stdout.readline() == "You said: hello\n"
        process.stdin.write("announce\n")
        process.stdin.flush()
        assert process.stdout.readline() == "hanging\n"
        os.kill(process.pid, signal.SIGINT)
        _, told = process.communicate(timeout=PATIENCE)
    assert "cancelled; what was done before stays done" in told
    assert process.returncode == 130


# ── which model ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("env", "arguments", "told"),
    [
        ({"OPENAI_API_KEY": "x"}, (), "OPENAI_API_KEY is set"),
        ({"SUREFOOT_MODEL": "openai:gpt-test", "OPENAI_API_KEY": "x"}, (), "openai:gpt-test (SUREFOOT_MODEL names it)"),
        ({"OPENAI_API_KEY": "x"}, ("--model", "openai:gpt-test"), "openai:gpt-test (named with --model)"),
    ],
)
@pytest.mark.needs("openai")
def test_it_says_which_model_answers_and_why(tmp_path: Path, env: dict[str, str], arguments: tuple[str, ...], told: str) -> None:
    ended = chat(tmp_path, "/model\n", *arguments, env={"SUREFOOT_AGENTS": "", **env})
    assert told in ended.stderr.splitlines()[0]
    assert ended.stderr.startswith("assistant · openai:")
    assert ended.stdout.startswith("openai:")
    assert ended.returncode == 0


def test_without_a_key_and_a_model_it_says_what_to_do(tmp_path: Path) -> None:
    ended = chat(tmp_path, "hello\n", env={"SUREFOOT_AGENTS": ""})
    assert ended.returncode == 2
    assert "no model is named" in ended.stderr
    assert "surefoot models install" in ended.stderr


@pytest.mark.parametrize(
    ("arguments", "env", "told"),
    [
        (("--agent", "nobody"), {}, "has no agent 'nobody'"),
        (("--model", "nowhere:x"), {}, "no provider 'nowhere'"),
        (("--folder", "."), {}, "--folder is for the built-in assistant"),
        (("--folder", "nowhere"), {"SUREFOOT_AGENTS": ""}, "is no folder"),
        (("--agents", "nowhere:x"), {}, "there is no module 'nowhere'"),
        ((), {"SUREFOOT_HOME": "/dev/null/x"}, "set SUREFOOT_HOME to a folder of yours"),
    ],
)
def test_what_cannot_be_used_is_said_in_a_line(
    tmp_path: Path, arguments: tuple[str, ...], env: dict[str, str], told: str
) -> None:
    ended = chat(tmp_path, "hello\n", *arguments, env=env)
    assert ended.returncode == 2, ended.stderr
    assert told in ended.stderr
    assert "Traceback" not in ended.stderr


def test_an_app_keeps_its_own_store(tmp_path: Path) -> None:
    ended = chat(tmp_path, "hello\n", "--agents", "tests.cli.shop:app", "--agent", "clerk")
    assert ended.stdout == "You said: hello\n"
    assert (tmp_path / "shop.db").exists()


def test_a_store_can_be_named(tmp_path: Path) -> None:
    assert chat(tmp_path, "hello\n", "--store", "sqlite:own.db").stdout == "You said: hello\n"
    assert (tmp_path / "own.db").exists()
    assert not (tmp_path / "home" / "chat" / "chat.db").exists()


def test_make_chat_goes_by_the_same_keys_in_the_same_order() -> None:
    script = (ROOT / ".ci" / "chat").read_text(encoding="utf-8")
    assert re.findall(r"\$\{(\w+_API_KEY):-\}", script) == [key for key, _ in KEYS]
    assert re.findall(r"^ +extra=(\w+)$", script, re.MULTILINE) == [*dict.fromkeys([owner for _, owner in KEYS]), "local"]


# ── the real thing ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def furnished(tmp_path: Path) -> Path:
    """Give a folder with a file, and a home that has the embedded model."""
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "models").symlink_to(home() / "models")
    (tmp_path / "notes.txt").write_text("buy milk\n")
    return tmp_path


@pytest.mark.needs("weights", "xllamacpp", "embeddings")
def test_the_built_in_assistant_answers_without_a_key(furnished: Path) -> None:
    ended = chat(furnished, "Tell me the sum of 17 and 25\nread notes.txt\n", env={"SUREFOOT_AGENTS": ""})
    assert ended.stdout.splitlines() == ["42", "buy milk"]
    assert "offline demo model" in ended.stderr
    assert "add(a=17, b=25) → 42" in ended.stderr


@pytest.mark.needs("weights", "xllamacpp", "embeddings")
def test_the_built_in_assistant_chats_on_a_terminal(furnished: Path) -> None:
    env = {"SUREFOOT_AGENTS": ""}
    with typed(furnished, env=env) as terminal:
        terminal.expect("This is a small offline demo model")
        say(terminal, "12 multiplied by 12", "1 multiply(a=12, b=12) → 144 (")
        terminal.expect("144\n")
        say(terminal, "read notes.txt", "buy milk\n")
        say(terminal, "Good evening!", "local:offline-demo …")
        terminal.expect("\n")
        say(terminal, "/model", "set one of")
        leave(terminal)
