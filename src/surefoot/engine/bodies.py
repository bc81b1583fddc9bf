"""What may be cut short, and when: models' requests, tools' bodies, waits.

A timer for every call would cost more than the rest of the loop, and hardly ever fires. Here one timer a run is armed for
the earliest end that was ever asked for and not yet reached; when it fires early, it is armed anew.
"""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any, Self

__all__ = ["Bodies", "Body", "Interrupted", "TimeUp", "is_cancelled"]


class Interrupted(Exception):
    """Raised out of a `Body` that `Bodies.interrupt` cut short, or at once, before it ``began``, by one entered later."""

    def __init__(self, *, began: bool) -> None:
        self.began = began
        super().__init__()


class TimeUp(TimeoutError):
    """Raised out of a `Body` whose time was up."""


class Bodies:
    """The stretches of one run's work that may be cut short, all on the event loop on which this was made."""

    def __init__(self) -> None:
        # Asked for once: Python 3.11 asks the system for the process's id each time.
        self.loop = asyncio.get_running_loop()
        self._open: set[Body] = set()
        self._timer: asyncio.TimerHandle | None = None
        self.interrupted = False

    def limit(self, seconds: float) -> Body:
        """A stretch of at most so many seconds (``inf``: no limit), as a context manager.

        Raises TimeUp out of it when time is up, Interrupted when the run is to stop, and lets every other cancellation
        pass.
        """
        return Body(self, seconds)

    def interrupt(self) -> None:
        """Cut everything short, and whatever is entered from now on."""
        self.interrupted = True
        for body in self._open:
            body.cut("interrupted")

    def enter(self, body: Body) -> None:
        """Watch a stretch. Raises Interrupted when the run is to stop."""
        if self.interrupted:
            raise Interrupted(began=False)
        self._open.add(body)
        if body.until != float("inf") and (self._timer is None or body.until < self._timer.when()):
            self._arm(body.until)

    def leave(self, body: Body) -> None:
        """Watch it no more."""
        self._open.discard(body)

    def close(self) -> None:
        """Forget the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self, when: float) -> None:
        self.close()
        self._timer = self.loop.call_at(when, self._expire)

    def _expire(self) -> None:
        self._timer = None
        now = self.loop.time()
        for body in self._open:
            if body.until <= now:
                body.cut("expired")
        later = [body.until for body in self._open if now < body.until < float("inf")]
        if later:
            self._arm(min(later))


class Body:
    """One stretch of work, in one task."""

    __slots__ = ("_bodies", "_task", "_why", "until")

    def __init__(self, bodies: Bodies, seconds: float) -> None:
        self._bodies = bodies
        self._why = ""
        self.until = bodies.loop.time() + seconds
        task = asyncio.current_task(bodies.loop)
        assert task is not None  # the loop runs in a task
        self._task: asyncio.Task[Any] = task

    def cut(self, why: str) -> None:
        """End it: its task is cancelled, once."""
        if not self._why:
            self._why = why
            self._task.cancel()

    def __enter__(self) -> Self:
        self._bodies.enter(self)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._bodies.leave(self)
        if self._why and self._task.uncancel() == 0 and kind is not None and issubclass(kind, asyncio.CancelledError):
            if self._why == "expired":
                raise TimeUp from error
            raise Interrupted(began=True) from error


def is_cancelled() -> bool:
    """Whether somebody cancels the current task; if not, a CancelledError is a mishap inside a model or a tool."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0
