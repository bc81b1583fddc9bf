"""Where a conversation's messages come from: a line editor on a terminal, plain lines in a pipe.

The editor is prompt_toolkit's: a terminal's own line is cut at 4,096 characters and knows no history. Reading neither
blocks the event loop nor keeps the program from ending.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from surefoot.core.errors import ConfigurationError

if TYPE_CHECKING:
    from prompt_toolkit import PromptSession
    from prompt_toolkit.completion import CompleteEvent, Completer, Completion
    from prompt_toolkit.data_structures import Size
    from prompt_toolkit.document import Document
    from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent

__all__ = ["Broken", "Editor", "Lines", "Pipe"]

#: Bytes of a line that are read from a pipe, and of the history that is kept.
_LONGEST = 1 << 20
_HISTORY = 1 << 20
_PIECE = 1 << 16


class Broken(Exception):
    """Ctrl-C while a line was being typed; ``empty`` says that nothing had been."""

    def __init__(self, *, empty: bool) -> None:
        self.empty = empty
        super().__init__("Ctrl-C")


class Pipe:
    """Lines of standard input, where no one types."""

    def __init__(self) -> None:
        self._rest = b""
        self._ended = False

    async def read(self, prompt: str, *, message: bool = False) -> str | None:
        """The next line; no prompt is shown. Raises ConfigurationError for one of more than a megabyte."""
        while b"\n" not in self._rest and not self._ended:
            if len(self._rest) > _LONGEST:
                raise ConfigurationError(f"a message has more than {_LONGEST:,} bytes; give it as a file that a tool can read")
            data = await _come(sys.stdin.fileno())
            self._rest += data
            self._ended = not data
        if not self._rest:
            return None
        data, _, self._rest = self._rest.partition(b"\n")
        return data.decode(errors="replace").rstrip("\r")

    def interrupt(self) -> None:
        """Nobody types."""


async def _come(descriptor: int) -> bytes:
    """What comes next, empty at the end."""
    loop = asyncio.get_running_loop()
    result: asyncio.Future[bytes] = loop.create_future()

    def wait() -> None:
        # Not through sys.stdin, whose lock the interpreter wants at its end.
        data = os.read(descriptor, _PIECE)
        with suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(_settle, result, data)

    # A thread of an executor would be waited for at the end, and a pipe may never say another word.
    threading.Thread(target=wait, name="surefoot stdin", daemon=True).start()
    return await result


def _settle(result: asyncio.Future[bytes], data: bytes) -> None:
    if not result.done():
        result.set_result(data)


class Editor:
    """A line editor on the terminal: history across starts, completion of commands, lines of any length.

    Args:
        history: the file that keeps what was said; readable by its owner only. None keeps nothing.
        commands: what a line may begin with, and what it does.
        expand: called on Ctrl-O, to write above the line.
    """

    def __init__(self, history: Path | None, commands: Mapping[str, str], expand: Callable[[], Awaitable[None]]) -> None:
        from prompt_toolkit import PromptSession
        from prompt_toolkit.history import FileHistory, InMemoryHistory
        from prompt_toolkit.output.vt100 import Vt100_Output

        # Where the cursor is need not be known, and a terminal that does not say is not worth two seconds and a warning.
        output = Vt100_Output(sys.stderr, _size, term=os.environ.get("TERM"), enable_cpr=False)
        kept = FileHistory(_ready(history)) if history is not None else InMemoryHistory()
        self._messages: PromptSession[str] = PromptSession(
            output=output, history=kept, multiline=True, key_bindings=_keys(expand), completer=_completer(commands),
            complete_while_typing=True, prompt_continuation="  ", reserve_space_for_menu=4, enable_history_search=False,
        )  # fmt: skip
        self._answers: PromptSession[str] = PromptSession(output=output, history=InMemoryHistory())
        self._open: PromptSession[str] | None = None

    async def read(self, prompt: str, *, message: bool = False) -> str | None:
        """The next line; None on Ctrl-D. Raises Broken on Ctrl-C."""
        session = self._messages if message else self._answers
        self._open = session
        try:
            return await session.prompt_async(prompt, handle_sigint=False)
        except KeyboardInterrupt:
            raise Broken(empty=not session.default_buffer.text) from None
        except EOFError:
            return None
        finally:
            self._open = None

    def interrupt(self) -> None:
        """Break off the line, as Ctrl-C would: for a signal from another process."""
        if self._open is not None and self._open.app.is_running:
            self._open.app.exit(exception=KeyboardInterrupt)


#: A source of lines: `read` gives the next one, None where there is none any more, and raises Broken on Ctrl-C;
#: `interrupt` breaks off the one that is being typed.
Lines = Editor | Pipe


def _keys(expand: Callable[[], Awaitable[None]]) -> KeyBindings:
    from prompt_toolkit.key_binding import KeyBindings

    keys = KeyBindings()

    @keys.add("enter")
    def send(event: KeyPressEvent) -> None:
        event.current_buffer.validate_and_handle()

    @keys.add("escape", "enter")
    def begin_line(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    @keys.add("c-o")
    def show_more(event: KeyPressEvent) -> None:
        # The application keeps the task, and waits for it.
        _ = event.app.create_background_task(_above(expand))

    return keys


async def _above(write: Callable[[], Awaitable[None]]) -> None:
    from prompt_toolkit.application import in_terminal

    async with in_terminal():
        await write()


def _size() -> Size:
    from prompt_toolkit.data_structures import Size

    try:
        columns, rows = os.get_terminal_size(sys.stderr.fileno())
    except OSError:  # the terminal has gone
        columns, rows = 0, 0
    return Size(rows or 24, columns or 80)


def _completer(commands: Mapping[str, str]) -> Completer:
    from prompt_toolkit import completion

    class Commands(completion.Completer):
        """Completes the command at the beginning of a line."""

        def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
            typed = document.text_before_cursor
            if typed.startswith("/") and " " not in typed:
                for name, meaning in commands.items():
                    if name.startswith(typed):
                        yield completion.Completion(name, -len(typed), display_meta=meaning)

    return Commands()


def _ready(history: Path) -> str:
    """The history's file: there, its owner's only, and not too long."""
    descriptor = os.open(history, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "rb+") as file:
        size = file.seek(0, os.SEEK_END)
        if size > _HISTORY:
            file.seek(size - _HISTORY // 2)
            kept = file.read()
            file.seek(0)
            file.write(kept[max(0, kept.find(b"\n# ")) :])
            file.truncate()
    return str(history)
