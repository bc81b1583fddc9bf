"""Where a command writes: answers to standard output, everything about them to standard error.

Without a terminal there are no colours and nothing is wrapped, so that lines can be searched; on one, text is wrapped to
its width. Whatever is written passes `writing.block`, so that no text of a model, tool or user reaches a terminal raw.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TextIO

from surefoot.cli.writing import block, safe_json

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

__all__ = ["Screen"]

#: The width of what is no terminal: wide enough for any line.
_WIDE = 1_000_000


class Screen:
    """Standard output and standard error of one command.

    Attributes:
        terminal: whether standard output is a terminal.
        attended: whether somebody sits there: standard input and standard error are a terminal.
    """

    def __init__(self) -> None:
        self.terminal = sys.stdout.isatty()
        self.attended = sys.stdin.isatty() and sys.stderr.isatty()
        self._open = False  # whether a streamed line has not ended yet

    @property
    def width(self) -> int:
        """Columns of standard output."""
        return _console(sys.stdout).width if self.terminal else _WIDE

    def line(self, text: str = "", style: str = "") -> None:
        """Write a line, or several, to standard output."""
        self._print(sys.stdout, text, style)

    def note(self, text: str, style: str = "dim") -> None:
        """Write a line about the answer to standard error."""
        self._print(sys.stderr, text, style)

    def ask(self, text: str) -> None:
        """Write a question to standard error; the cursor stays behind it."""
        self.end()
        sys.stderr.write(block(text))
        sys.stderr.flush()

    def stream(self, text: str) -> None:
        """Write a piece of an answer to standard output, now."""
        if text:
            sys.stdout.write(block(text))
            sys.stdout.flush()
            self._open = not text.endswith("\n")

    def end(self) -> None:
        """End the line of what was streamed, if it is still open."""
        if self._open:
            sys.stdout.write("\n")
            sys.stdout.flush()
            self._open = False

    def show(self, what: RenderableType) -> None:
        """Write a rich table or tree to standard output; its texts must have passed `writing.block`."""
        self.end()
        _console(sys.stdout).print(what)

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Write a table to standard output, as wide as its cells."""
        self.end()
        cells = [list(columns), *[[block(cell) for cell in row] for row in rows]]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        for number, row in enumerate(cells):
            text = "  ".join([cell.ljust(width) for cell, width in zip(row, widths, strict=True)]).rstrip()
            self.line(text, "" if number else "bold")

    def json(self, value: Any, *, indent: int | None = None) -> None:  # noqa: ANN401  any JSON value
        """Write one JSON object to standard output, on one line unless ``indent`` is given."""
        sys.stdout.write(safe_json(value, indent=indent) + "\n")
        sys.stdout.flush()

    def _print(self, file: TextIO, text: str, style: str) -> None:
        self.end()
        text = block(text.removesuffix("\n"))
        if file.isatty():
            from rich.text import Text

            _console(file).print(Text(text, style=style))
        else:
            file.write(f"{text}\n")
        file.flush()


def _console(file: TextIO) -> Console:
    """Rich's console, with no opinion of its own: no markup, no emoji, colours on a terminal that wants them."""
    from rich.console import Console

    terminal = file.isatty()
    colour = terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return Console(
        file=file,
        width=None if terminal else _WIDE,
        color_system="auto" if colour else None,
        force_terminal=terminal,
        markup=False,
        emoji=False,
        highlight=False,
    )
