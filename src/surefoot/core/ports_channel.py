"""The seam to people: how they are told of questions, and heard. Part of `core.ports`."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from surefoot.core.request import Callback, Request

__all__ = ["Channel"]


@runtime_checkable
class Channel(Protocol):
    """A way to tell people of questions, and to hear from them."""

    @property
    def name(self) -> str:
        """What it is called in messages and in the name of its cursor."""
        ...

    def notify(self, request: Request) -> None:
        """Tell people of a question; called from a thread of its own. What raises is called again."""
        ...

    def verify(self, callback: str, now: int) -> Callback:
        """Who sent a callback back, and what it decides, at ``now`` (Unix microseconds). Raises MayNotDecide."""
        ...
