"""Run the real program: in a pipe, or on a pseudo-terminal that a test types into and reads from."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import subprocess
import sys
import termios
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

#: Seconds until something must have happened, an interpreter's start on a busy machine included.
PATIENCE = 20
SHOP = Path(__file__).with_name("shop.py")
ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """An environment without settings of whoever runs the tests, with the shop's agents."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SUREFOOT_")}
    for name in ("NO_COLOR", "COLUMNS", "LINES", "FORCE_COLOR"):
        kept.pop(name, None)
    return {**kept, "TERM": "xterm-256color", "SUREFOOT_AGENTS": f"{SHOP}:agents", **(extra or {})}


def piped(*arguments: str, cwd: Path, env: Mapping[str, str] | None = None, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run the program to its end with pipes on all sides."""
    return subprocess.run(
        [sys.executable, "-m", "surefoot", *arguments],
        cwd=cwd, env=environment(env), input=stdin, capture_output=True, text=True, check=False, timeout=PATIENCE,
    )  # fmt: skip


class Terminal:
    """The program on a pseudo-terminal of ``columns``; leave it with ``with``. ``output`` takes standard output away."""

    def __init__(
        self, *arguments: str, cwd: Path, columns: int = 80, env: Mapping[str, str] | None = None, output: Path | None = None
    ) -> None:
        self._master, slave = pty.openpty()
        termios.tcsetwinsize(slave, (24, columns))
        with (output or Path(os.devnull)).open("wb") as file:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "surefoot", *arguments],
                cwd=cwd, env=environment(env), stdin=slave, stdout=file if output else slave, stderr=slave,
                start_new_session=True,
                # Only so does Ctrl-C become a signal; nothing else runs between fork and exec.
                preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0) and None,  # noqa: PLW1509
            )  # fmt: skip
        os.close(slave)
        self.raw = ""
        self._read_to = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait(PATIENCE)
        os.close(self._master)

    @property
    def pid(self) -> int:
        """The program's process."""
        return self._process.pid

    @property
    def text(self) -> str:
        """All that was shown, without colours."""
        return ANSI.sub("", self.raw).replace("\r\n", "\n")

    @property
    def words(self) -> str:
        """All that was shown, on one line, wherever it was wrapped."""
        return " ".join(self.text.split())

    def type(self, text: str) -> None:
        """Press these keys."""
        os.write(self._master, text.encode())

    def expect(self, text: str) -> None:
        """Wait until this has been shown since the last `expect`."""
        end = time.monotonic() + PATIENCE
        while (found := self.text.find(text, self._read_to)) < 0:
            assert self._more(end), f"{text!r} was not shown; shown was:\n{self.text}"
        self._read_to = found + len(text)

    def wait(self) -> int:
        """Read to the end; the exit code."""
        end = time.monotonic() + PATIENCE
        while self._more(end):
            pass
        return self._process.wait(PATIENCE)

    def _more(self, end: float) -> bool:
        """Read what comes next; False at the end, or when it took too long."""
        ready, _, _ = select.select([self._master], [], [], max(0.0, end - time.monotonic()))
        if not ready:
            return False
        try:
            data = os.read(self._master, 65536)
        except OSError:  # Linux says EIO when the last writer has gone
            return False
        self.raw += data.decode(errors="replace")
        return bool(data)
