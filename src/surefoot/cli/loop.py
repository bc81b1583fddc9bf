"""The event loop of one command: run a coroutine to its end, or until Ctrl-C."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

__all__ = ["Interrupted", "complete"]

T = TypeVar("T")


class Interrupted(Exception):
    """Ctrl-C, as an exception that typer does not take for its own and end the program without a word."""


def complete(work: Coroutine[Any, Any, T]) -> T:
    """Run a command's coroutine; its result. Raises Interrupted on Ctrl-C, once the coroutine has cleaned up."""
    try:
        return asyncio.run(work)
    except KeyboardInterrupt:
        raise Interrupted from None
