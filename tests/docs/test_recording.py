"""The README's recording of a chat is what the program prints: the same lines, apart from the times."""

from __future__ import annotations

import re
from pathlib import Path

from surefoot.models.local_weights import installed, target
from tests.cli.terminal import Terminal
from tests.cli.test_chat import around
from tests.components import require

README = Path(__file__).parents[2] / "README.md"
_TIME = re.compile(r"\(\d+(?:\.\d+)? m?s\)")
#: What stood in a line before it was erased.
_ERASED = re.compile(r"[^\n]*\r(?=\x1b\[2K)")


def test_the_recorded_chat_is_what_is_printed(tmp_path: Path) -> None:
    require("embeddings", "xllamacpp", "weights")
    recorded = README.read_text(encoding="utf-8").partition("```text\n")[2].partition("```")[0].splitlines()
    (tmp_path / "todo.txt").write_text("Buy milk.\nCall Ana about the invoice.\n")
    (tmp_path / "home").mkdir()
    env = around(tmp_path, {"SUREFOOT_AGENTS": "", "SUREFOOT_MODEL": ""})
    _share_weights(tmp_path / "home")
    with Terminal("chat", cwd=tmp_path, columns=100, env=env) as terminal:
        for line in recorded:
            if line.startswith("> "):
                terminal.expect(">")
                terminal.type(line.removeprefix("> ") + "\r")
            else:
                terminal.expect(_TIME.split(line)[0])
        terminal.expect(">")
        terminal.type("\x04")
        assert terminal.wait() == 0
    terminal.raw = _ERASED.sub("", terminal.raw)
    shown = [_TIME.sub("(time)", line.rstrip()) for line in terminal.text.replace("\r", "\n").splitlines()]
    # The line editor draws a prompt in several strokes, which are nobody's words.
    shown = [line for line in shown if line.strip("\b >") and "> " not in line]
    assert shown == [_TIME.sub("(time)", line) for line in recorded if not line.startswith(">")]


def _share_weights(home: Path) -> None:
    """Give a home of the test's own the weights of this machine."""
    there = installed()
    assert there is not None
    own = target(environ={"SUREFOOT_HOME": str(home)})
    own.parent.mkdir(parents=True)
    own.symlink_to(there)
