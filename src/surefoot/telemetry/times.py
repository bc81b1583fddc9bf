"""Where a run's time went: waiting for a worker, working, waiting for a human or for something else, lost with a worker."""

from __future__ import annotations

from dataclasses import dataclass

from surefoot.core import events as ev
from surefoot.core.picture import worked

__all__ = ["Stopwatch", "Times"]

_NAMES = ("queued", "worked", "human", "waited", "lost")


@dataclass(slots=True)
class Times:
    """Microseconds, which together are the time from the run's start to its last record.

    Attributes:
        queued: ready, and no worker had it.
        worked: a worker had it; the same as `State.worked`.
        human: it waited for an answer.
        waited: it waited for a time, a child run or the disk.
        lost: what came of it went with a worker that died, or a clock was set forward meanwhile.
    """

    queued: int = 0
    worked: int = 0
    human: int = 0
    waited: int = 0
    lost: int = 0

    def add(self, micros: int, status: str, *, asked: bool) -> None:
        """Add time spent in a status; ``asked``: a question was open."""
        if status == "ready":
            self.queued += micros
        elif status == "waiting" and asked:
            self.human += micros
        elif status == "waiting":
            self.waited += micros

    def since(self, before: Times) -> dict[str, int]:
        """What was added since ``before``, by name; names with nothing are left out."""
        pairs = ((name, getattr(self, name) - getattr(before, name)) for name in _NAMES)
        return {name: value for name, value in pairs if value}


class Stopwatch:
    """Adds up the `Times` of one run, record by record."""

    __slots__ = ("_last", "_pending", "times")

    def __init__(self, start: int) -> None:
        self.times = Times()
        self._last = start
        self._pending = 0  # work that is not known yet to have come to anything

    def pass_to(self, record: ev.Record, status: str, *, asked: bool) -> None:
        """Count the time up to a record that found the run in ``status``."""
        micros, self._last = max(0, record.time - self._last), max(self._last, record.time)
        if status != "running":
            self.times.lost, self._pending = self.times.lost + self._pending, 0  # its worker was not heard of again
            self.times.add(micros, status, asked=asked)
            return
        self._pending += micros
        if record.epoch:  # only a worker's own records tell of its work
            if isinstance(record.event, ev.RunClaimed):
                self.times.lost += self._pending
            else:
                counts = worked(record.event, self._pending)
                self.times.worked += counts
                self.times.lost += self._pending - counts
            self._pending = 0
