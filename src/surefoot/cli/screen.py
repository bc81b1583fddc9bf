"""Where a command writes: answers to standard output, everything about them to standard error.

Without a terminal there are no colours and nothing is wrapped, so that lines can be searched; on one, text is wrapped to
its width. Whatever is written passes `writing.block`, so that no text of a model, tool or user reaches the terminal raw.
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
        self._out = _console(sys.stdout)
        self._err = _console(sys.stderr)
        self._open = False  # whether a streamed line has not ended yet

    @property
    def width(self) -> int:
        """Columns of standard output."""
        return self._out.width

    def line(self, text: str = "", style: str = "") -> None:
        """Write a line, or several, to standard output."""
        self._print(self._out, text, style)

    def note(self, text: str, style: str = "dim") -> None:
        """Write a line about the answer to standard error."""
        self._print(self._err, text, style)

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
        self._out.print(what)

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Write a table to standard output: cells wrap on a terminal, and never elsewhere."""
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, header_style="bold")
        for column in columns:
            table.add_column(column, overflow="fold", no_wrap=not self.terminal)
        for row in rows:
            table.add_row(*[Text(block(cell)) for cell in row])
        self.show(table)

    def json(self, value: Any, *, indent: int | None = None) -> None:  # noqa: ANN401  any JSON value
        """Write one JSON object to standard output, on one line unless ``indent`` is given."""
        sys.stdout.write(safe_json(value, indent=indent) + "\n")

    def _print(self, console: Console, text: str, style: str) -> None:
        from rich.text import Text

        self.end()
        console.print(Text(block(text), style=style))


def _console(file: TextIO) -> Console:
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
