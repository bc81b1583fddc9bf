"""The screen of a conversation: a command's screen, with one line at its foot that comes and goes."""

from __future__ import annotations

import os
import re
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from rich.cells import cell_len

from surefoot.cli.screen import Screen
from surefoot.cli.writing import block, short

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["ChatScreen", "Wrap"]

_PIECES = re.compile(r"\n|[^\S\n]+|\S+")
_ERASE = "\r\x1b[2K"
#: Where a terminal's attributes have the flags that matter here (termios(3), c_lflag).
_LOCAL = 3
_NARROWEST = 20
_PIPE = 160
_WIDE = 1_000_000


class Wrap:
    """Breaks lines between words, in text that comes in pieces."""

    def __init__(self) -> None:
        self._column = 0
        self._space = self._word = ""

    def fit(self, text: str, width: int) -> str:
        """What can be written now of what has come, in lines of at most ``width`` columns where words allow it."""
        out: list[str] = []
        for piece in _PIECES.findall(text):
            if piece.isspace():
                out.append(self._flush(width))
                if piece == "\n":
                    out.append("\n")
                    self._column, self._space = 0, ""
                else:
                    self._space += piece
            else:
                self._word += piece
        return "".join(out)

    def rest(self, width: int) -> str:
        """What is held back, at the end."""
        held = self._flush(width)
        self._column, self._space = 0, ""
        return held

    def _flush(self, width: int) -> str:
        if not self._word:
            return ""
        space, word, self._space, self._word = self._space, self._word, "", ""
        size = cell_len(word)
        if self._column and self._column + len(space) + size > width:
            self._column = size
            return f"\n{word}"
        self._column += len(space) + size
        return space + word


class ChatScreen(Screen):
    """Standard output and standard error of a conversation.

    On a terminal `status` says what is being waited for, in a line that the next output takes the place of.
    """

    def __init__(self) -> None:
        super().__init__()
        self._lasting = not (self.attended and os.environ.get("TERM", "dumb") != "dumb")
        self._dim, self._plain = ("", "") if os.environ.get("NO_COLOR") else ("\x1b[2m", "\x1b[0m")
        self._status = False
        self._wrap = Wrap()

    @property
    def room(self) -> int:
        """Characters of a line: the terminal's columns less one, or what a line of a log may have."""
        try:
            return max(_NARROWEST, os.get_terminal_size(sys.stderr.fileno()).columns - 1)
        except OSError:
            return _PIPE

    @property
    def _columns(self) -> int:
        return self.room if self.terminal else _WIDE

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """What is typed meanwhile is not written into an answer, but waits for the next line; Ctrl-C works as ever."""
        try:
            before = termios.tcgetattr(sys.stdin.fileno()) if self.attended else None
        except termios.error:  # the terminal has gone
            before = None
        if before is None:
            yield
            return
        silent = [*before]
        silent[_LOCAL] &= ~termios.ECHO
        try:
            termios.tcsetattr(sys.stdin.fileno(), termios.TCSANOW, silent)
            yield
        finally:
            with suppress(termios.error):
                termios.tcsetattr(sys.stdin.fileno(), termios.TCSANOW, before)

    def status(self, text: str) -> None:
        """Say what is being waited for, until something else is written; nothing where no line can be taken back."""
        if not self._lasting:
            self.end()
            self._clear()
            sys.stderr.write(f"{self._dim}{short(text, self.room)}{self._plain}")
            sys.stderr.flush()
            self._status = True

    def end(self) -> None:
        """End the line of what was streamed, and take the status away."""
        super().stream(self._wrap.rest(self._columns))
        super().end()
        self._clear()

    def stream(self, text: str) -> None:
        """Write a piece of an answer to standard output as it comes, each word once it is whole and where it fits."""
        self._clear()
        super().stream(self._wrap.fit(block(text), self._columns))

    def show(self, what: RenderableType) -> None:
        """Write a rich table or tree to standard output."""
        self.end()
        super().show(what)

    def _clear(self) -> None:
        if self._status:
            sys.stderr.write(_ERASE)
            sys.stderr.flush()
            self._status = False
