"""A thread that does what an event loop hands it, in order.

`asyncio`'s executors pay for every call with locks and a wake-up of the loop; here all that has gathered while the thread
was busy is answered with one.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable
from typing import Any, TypeVar

__all__ = ["Hand"]

T = TypeVar("T")

#: Calls after which those who wait are answered, though there is more to do.
_MOST = 50


class _Errand:
    __slots__ = ("error", "future", "result", "work")

    def __init__(self, work: Callable[[], Any], future: asyncio.Future[Any]) -> None:
        self.work = work
        self.future = future
        self.result: Any = None
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self.result = self.work()
        except BaseException as error:  # noqa: BLE001  whatever it is, whoever asked must hear of it
            self.error = error

    def answer(self) -> None:
        if self.future.done():  # whoever asked no longer waits
            return
        if self.error is None:
            self.future.set_result(self.result)
        else:
            self.future.set_exception(self.error)


class Hand:
    """One thread, for the event loop that is running."""

    def __init__(self, name: str) -> None:
        self._loop = asyncio.get_running_loop()
        self._inbox: queue.SimpleQueue[_Errand | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self._thread.start()

    def do(self, work: Callable[[], T]) -> asyncio.Future[T]:
        """Call ``work`` in the thread; the future has its result, or what it raises."""
        future: asyncio.Future[T] = self._loop.create_future()
        self._inbox.put(_Errand(work, future))
        return future

    def close(self) -> None:
        """End the thread once everything is done that was handed in."""
        self._inbox.put(None)

    def _serve(self) -> None:
        going = True
        while going:
            errands, going = self._take()
            for errand in errands:
                errand.run()
            with contextlib.suppress(RuntimeError):  # when the loop is gone, so is whoever waited
                self._loop.call_soon_threadsafe(_answer, errands)

    def _take(self) -> tuple[list[_Errand], bool]:
        """What there is to do, and whether more may come."""
        errand = self._inbox.get()
        errands: list[_Errand] = []
        with contextlib.suppress(queue.Empty):
            while errand is not None:
                errands.append(errand)
                if len(errands) == _MOST:
                    return errands, True
                errand = self._inbox.get_nowait()
            return errands, False
        return errands, True


def _answer(errands: list[_Errand]) -> None:
    for errand in errands:
        errand.answer()
