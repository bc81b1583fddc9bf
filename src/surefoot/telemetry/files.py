"""Traces as files: ``trace_{run}.jsonl`` for each run of a folder, written as it happens.

A file is its own cursor: what it holds is counted, a line that a kill cut off is removed, and the rest is added. Runs that
are pruned from the journal lose their file, and what is removed from the journal for good is removed from the file.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from surefoot.core import events as ev
from surefoot.telemetry.jsonl import Lines
from surefoot.telemetry.privacy import Redact

__all__ = ["TraceFiles"]

#: Files whose lines are counted in memory; of others they are counted again.
_COUNTED = 10_000
_HOUR = 3_600.0


class _Piece(NamedTuple):
    """Lines of a run, the first of which is its ``first``-th; with ``anew``, the file is written anew."""

    run: str
    first: int
    lines: list[bytes]
    anew: bool = False


class TraceFiles:
    """A sink that writes files.

    Args:
        folder: where; it is created.
        content: whether they hold what was said.
        redact: what every text passes first.
        days: files that were not written to for so many days are deleted; 0 keeps them.
    """

    def __init__(self, folder: Path, *, content: bool = True, redact: Redact | None = None, days: float = 0.0) -> None:
        self._folder, self._content, self._redact, self._days = folder, content, redact, days
        self._counts: dict[str, int] = {}
        self._cleaned = float("-inf")

    @property
    def name(self) -> str:
        """See `Sink.name`."""
        return f"files in {self._folder.absolute()}"

    def begin(self) -> Callable[[ev.Record], Sequence[_Piece]]:
        """See `Sink.begin`."""
        lines = Lines(content=self._content, redact=self._redact)

        def take(record: ev.Record) -> Sequence[_Piece]:
            first, new = lines.count, lines.take(record)
            anew = isinstance(record.event, ev.EventRedacted)
            return [_Piece(record.stream, first, new, anew)] if new or anew else ()

        return take

    def write(self, before: Sequence[_Piece], fresh: Sequence[_Piece]) -> None:
        """Complete the files. Raises OSError."""
        self._folder.mkdir(parents=True, exist_ok=True)
        runs: dict[str, list[_Piece]] = {}
        for piece in (*before, *fresh):
            runs.setdefault(piece.run, []).append(piece)
        for run, pieces in runs.items():
            lines = [line for piece in pieces for line in piece.lines]
            if any(piece.anew for piece in pieces):
                self._replace(run, lines)
            else:
                self._append(run, pieces[0].first, lines)
        if self._days and time.monotonic() - self._cleaned > _HOUR:
            self._clean()

    def pruned(self, run: str) -> None:
        """Delete a run's file."""
        self._counts.pop(run, None)
        self._path(run).unlink(missing_ok=True)

    def close(self) -> None:
        """See `Sink.close`: nothing is held back."""

    def _path(self, run: str) -> Path:
        return self._folder / f"trace_{run}.jsonl"

    def _append(self, run: str, first: int, lines: list[bytes]) -> None:
        """Add the lines that the file does not have yet."""
        path = self._path(run)
        have = self._counts.pop(run, -1)
        if have < 0:
            have = _mended(path)
        if have:
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            try:
                for line in lines[max(0, have - first) :]:
                    os.write(file, line)  # each by itself, so that a kill falls between lines
            finally:
                os.close(file)
        else:
            _put(path, lines)
        self._counted(run, max(have, first + len(lines)))

    def _replace(self, run: str, lines: list[bytes]) -> None:
        path = self._path(run)
        if path.exists():
            _put(path, lines)
        self._counted(run, len(lines))

    def _counted(self, run: str, count: int) -> None:
        self._counts[run] = count
        if len(self._counts) > _COUNTED:
            del self._counts[next(iter(self._counts))]

    def _clean(self) -> None:
        self._cleaned = time.monotonic()
        oldest = time.time() - self._days * 86_400
        for path in self._folder.glob("trace_*.jsonl"):
            with suppress(OSError):
                if path.stat().st_mtime < oldest:
                    path.unlink()


def _put(path: Path, lines: list[bytes]) -> None:
    """Write a file that is there with all of these lines, or not at all."""
    new = path.with_suffix(".new")
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as file:  # noqa: PTH123
        file.write(b"".join(lines))
    new.replace(path)


def _mended(path: Path) -> int:
    """Cut off a line that has no end, and count the others."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return 0
    whole = data.rfind(b"\n") + 1
    if whole < len(data):
        os.truncate(path, whole)
    return data.count(b"\n")
