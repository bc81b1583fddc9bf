"""The built-in assistant that `surefoot chat` opens where no agents are named, and its tools.

`assistant` makes the agent, which has a long-term memory. Its own tools only read: two that calculate, one that tells the
time, and one that reads files below one folder, which it cannot leave by any path, link or trick with either.
"""

from __future__ import annotations

import math
import os
import stat
from datetime import UTC, datetime
from decimal import Context, Decimal
from pathlib import Path

from surefoot.core.agent import Agent
from surefoot.core.errors import ConfigurationError, ToolFailed
from surefoot.core.memory import Memory
from surefoot.core.ports import Tool
from surefoot.tools.function import tool

__all__ = ["NAME", "add", "assistant", "current_time", "multiply", "reader"]

#: The agent's name in the journal.
NAME = "assistant"
_INSTRUCTIONS = (
    "You are a friendly assistant in a terminal. Answer in a few plain sentences, without markup. Use the tools to "
    "calculate, to tell the time and to read the user's files; do not guess what a tool can find out."
)
#: Bytes of a file that are read; more is left out, and the model is told.
_HEAD = 24_000
#: Names of a folder that are listed, and digits of a result that are written.
_MOST_NAMES = 60
_SOME_NAMES = 10
_MOST_DIGITS = 1_000
_EXACT = Context(prec=60)


def assistant(folder: Path) -> Agent[None, str]:
    """The built-in assistant, which may read files below ``folder``. Raises ConfigurationError when that is no folder."""
    return Agent(NAME, instructions=_INSTRUCTIONS, tools=[add, multiply, current_time, reader(folder)], memory=Memory())


@tool(effect="read", examples=["sum up 12 and 30", "what do 4.5 and 8 come to together", "increase 70 by 15"])
def add(a: int | float, b: int | float) -> int | float:
    """Add two numbers: the sum of a and b.

    Args:
        a: The first number.
        b: The second number.
    """
    if isinstance(a, int) and isinstance(b, int):
        return _bounded(a + b)
    return _plain(_EXACT.add(_decimal(a), _decimal(b)))


@tool(effect="read", examples=["12 multiplied by 30", "the product of 7 and 6", "how many are 14 boxes of 20 pieces"])
def multiply(a: int | float, b: int | float) -> int | float:
    """Multiply two numbers: the product of a and b, a times b.

    Args:
        a: The first number.
        b: The second number.
    """
    if isinstance(a, int) and isinstance(b, int):
        return _bounded(a * b)
    return _plain(_EXACT.multiply(_decimal(a), _decimal(b)))


@tool(effect="read", examples=["how late is it", "what day is it today", "tell me today's date", "what time is it in Rome"])
def current_time(city: str = "") -> str:
    """Tell the current time of day, weekday and date, here or in a city.

    Args:
        city: A city or time zone, such as Rome, Asia/Tokyo or UTC; here when left out.
    """
    now = _zoned(city.strip())
    offset = now.strftime("%z")
    return f"{now:%A}, {now.day} {now:%B %Y}, {now:%H:%M:%S} ({now.tzname()}, UTC{offset[:3]}:{offset[3:]})"


def reader(folder: Path) -> Tool:
    """The tool that reads files below a folder. Raises ConfigurationError when that is no folder."""
    root = folder.expanduser().resolve()
    if not root.is_dir():
        raise ConfigurationError(f"{root} is no folder; name one that may be read with --folder")

    @tool(
        effect="read",
        untrusted=True,
        examples=["show me notes.txt", "what does docs/plan.md say", "open the file todo.txt", "which files are there"],
    )
    def read_file(path: str = ".") -> str:
        """Read a text file of the user's, or list the files of a folder.

        Args:
            path: The file's path, relative to the folder that may be read; "." lists that folder.
        """
        return _read(root, path.strip())

    return read_file


# ── numbers ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _decimal(number: float) -> Decimal:
    # What a person sees of 0.1 is what is meant, not the binary fraction next to it.
    return Decimal(str(number)) if not isinstance(number, int) else Decimal(number)


def _plain(number: Decimal) -> int | float:
    if number == number.to_integral_value() and abs(number) < 10**15:
        return int(number)
    result = float(number)
    if not math.isfinite(result):
        raise ToolFailed("the result is too large to be written")
    return result


def _bounded(number: int) -> int:
    if abs(number) >= 10**_MOST_DIGITS:
        raise ToolFailed(f"the result has more than {_MOST_DIGITS} digits")
    return number


# ── time ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _zoned(city: str) -> datetime:
    now = datetime.now(UTC)
    if not city or city.casefold() in ("here", "local", "now"):
        return now.astimezone()
    from zoneinfo import ZoneInfo, available_timezones

    wanted = city.casefold().replace(" ", "_")
    zones = sorted(available_timezones(), key=lambda name: (name.count("/"), name))
    for zone in zones:
        if zone.casefold() == wanted or zone.casefold().rpartition("/")[2] == wanted:
            return now.astimezone(ZoneInfo(zone))
    raise ToolFailed(f"there is no time zone for {city!r}; name one such as Europe/Rome, or leave it out for the time here")


# ── files ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _read(root: Path, path: str) -> str:
    below = _below(root, path)
    try:
        descriptor = _open(root, below)
    except OSError as error:
        raise ToolFailed(f"{path!r} cannot be read: {error.strerror}. {_names(root, most=_SOME_NAMES)}") from None
    try:
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode):
            return _names(root.joinpath(*below), descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ToolFailed(f"{path!r} is no file: a pipe, a socket or a device is not read")
        return _text(path, os.read(descriptor, _HEAD), status.st_size)
    finally:
        os.close(descriptor)


def _below(root: Path, path: str) -> tuple[str, ...]:
    """The names that lead from the folder to what a path means, once every link is followed."""
    try:
        below = (root / path).resolve().relative_to(root).parts
    except (ValueError, OSError, RuntimeError):  # outside, a null byte, a name too long, links in a circle
        raise ToolFailed(f"{path!r} is not below {root}, and nothing else may be read") from None
    if any(name.startswith(".") for name in below):
        raise ToolFailed(f"{path!r} is hidden, and hidden files are not read")
    return below


def _open(root: Path, below: tuple[str, ...]) -> int:
    """Open a file by its names, following no link on the way: one may have been put there since they were resolved."""
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
    found = os.open(root, flags | os.O_DIRECTORY)
    for name in below:
        try:
            inner = os.open(name, flags | os.O_NOFOLLOW, dir_fd=found)
        finally:
            os.close(found)
        found = inner
    return found


def _names(folder: Path, descriptor: int | None = None, *, most: int = _MOST_NAMES) -> str:
    """What a folder holds, in a line or a list: folders end in a slash, hidden names are left out."""
    try:
        with os.scandir(folder if descriptor is None else descriptor) as entries:
            names = sorted([f"{one.name}/" if _folder(one) else one.name for one in entries if not one.name.startswith(".")])
    except OSError as error:
        return f"{folder} cannot be listed: {error.strerror}"
    more = f"\n… and {len(names) - most:,} more" if len(names) > most else ""
    return f"{folder} holds:\n" + "\n".join(names[:most]) + more if names else f"{folder} holds nothing"


def _folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link in a circle
        return False


def _text(path: str, data: bytes, size: int) -> str:
    text = data.decode(errors="ignore" if len(data) < size else "replace").removeprefix("\ufeff")
    if b"\0" in data or text.count("\ufffd") > len(text) / 100:
        raise ToolFailed(f"{path!r} is not text: {size:,} bytes that only a program can read")
    left_out = f"\n[the first {len(data):,} of {size:,} bytes]" if len(data) < size else ""
    return text + left_out if text else "[the file is empty]"
