"""The screen of a conversation: a command's screen, with one line at its foot that comes and goes."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from surefoot.cli.screen import Screen
from surefoot.cli.writing import short

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["ChatScreen"]

_ERASE = "\r\x1b[2K"
_NARROWEST = 20
_PIPE = 160


class ChatScreen(Screen):
    """Standard output and standard error of a conversation.

    On a terminal `status` says what is being waited for, in a line that the next output takes the place of.
    """

    def __init__(self) -> None:
        super().__init__()
        self._lasting = not (self.attended and os.environ.get("TERM", "dumb") != "dumb")
        self._dim, self._plain = ("", "") if os.environ.get("NO_COLOR") else ("\x1b[2m", "\x1b[0m")
        self._status = False

    @property
    def room(self) -> int:
        """Characters of a line: the terminal's columns less one, or what a line of a log may have."""
        try:
            return max(_NARROWEST, os.get_terminal_size(sys.stderr.fileno()).columns - 1)
        except OSError:
            return _PIPE

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
        super().end()
        self._clear()

    def stream(self, text: str) -> None:
        """Write a piece of an answer to standard output, now."""
        self._clear()
        super().stream(text)

    def show(self, what: RenderableType) -> None:
        """Write a rich table or tree to standard output."""
        self.end()
        super().show(what)

    def _clear(self) -> None:
        if self._status:
            sys.stderr.write(_ERASE)
            sys.stderr.flush()
            self._status = False
