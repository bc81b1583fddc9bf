"""`MemoryChannel`: a channel that keeps what it is told, and whose callbacks are plain JSON."""

from __future__ import annotations

import threading

import msgspec

from surefoot.core.errors import MayNotDecide
from surefoot.core.request import Callback, Request

__all__ = ["MemoryChannel"]


class MemoryChannel:
    """Keeps every question in ``told``, and sets ``news``; fails the first ``failures`` times."""

    def __init__(self, failures: int = 0) -> None:
        self.told: list[Request] = []
        self.failures = failures
        self.news = threading.Event()

    @property
    def name(self) -> str:
        """See `Channel.name`."""
        return "memory"

    def notify(self, request: Request) -> None:
        """See `Channel.notify`."""
        if self.failures:
            self.failures -= 1
            raise OSError("nobody is there")
        self.told.append(request)
        self.news.set()

    def callback(self, request: Request, decision: str, by: str, until: int) -> str:
        """What somebody sends back."""
        return msgspec.json.encode(Callback(request.id, request.digest, decision, by, until)).decode()

    def verify(self, callback: str, now: int) -> Callback:
        """See `Channel.verify`."""
        try:
            found = msgspec.json.decode(callback, type=Callback)
        except (msgspec.DecodeError, UnicodeEncodeError):
            raise MayNotDecide("", "the callback is none") from None
        if found.until <= now:
            raise MayNotDecide(found.request, "the callback is too old")
        return found
