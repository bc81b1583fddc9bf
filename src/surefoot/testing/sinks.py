"""A sink that keeps what it is given, and one that is late, hangs or fails as a test says."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from surefoot.core.events import Record
from surefoot.telemetry.span import Span
from surefoot.telemetry.spans import Trace

__all__ = ["FaultySink", "MemorySink"]


class MemorySink:
    """A `Sink` that keeps, in order, the spans that ended, those it was told again, and the runs that were pruned; and
    whether it was closed."""

    def __init__(self, name: str = "memory") -> None:
        self._name = name
        self.spans: list[Span] = []
        self.again: list[Span] = []
        self.gone: list[str] = []
        self.closed = False

    @property
    def name(self) -> str:
        """See `Sink.name`."""
        return self._name

    def begin(self) -> Callable[[Record], Sequence[Span]]:
        """See `Sink.begin`."""
        trace = Trace()
        return lambda record: trace.apply(record).closed

    def write(self, before: Sequence[Span], fresh: Sequence[Span]) -> None:
        """See `Sink.write`."""
        self.again += before
        self.spans += fresh

    def pruned(self, run: str) -> None:
        """See `Sink.pruned`."""
        self.gone.append(run)

    def close(self) -> None:
        """See `Sink.close`."""
        self.closed = True


class FaultySink(MemorySink):
    """A `MemorySink` whose first ``failures`` writes raise, and which hangs in a write until ``released`` is set.

    ``tried`` counts the writes that were begun; ``began`` is set by the first.
    """

    def __init__(self, *, failures: int = 0, hang: bool = False) -> None:
        super().__init__("faulty")
        self.tried = 0
        self.began, self.released = threading.Event(), threading.Event()
        self._failures = failures
        if not hang:
            self.released.set()

    def write(self, before: Sequence[Span], fresh: Sequence[Span]) -> None:
        """See `Sink.write`. Raises ConnectionError as often as it was told to."""
        self.tried += 1
        self.began.set()
        self.released.wait()
        if self.tried <= self._failures:
            raise ConnectionError("nobody is there")
        super().write(before, fresh)
