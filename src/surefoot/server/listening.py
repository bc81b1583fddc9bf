"""Serve on a socket until the process is told to stop."""

from __future__ import annotations

import socket
from collections.abc import Callable
from types import FrameType

import uvicorn

from surefoot.server.app import Service

__all__ = ["listen"]

#: Seconds that requests in work may take once the server stops.
_PATIENCE = 2


class _Server(uvicorn.Server):
    """A server that ends its streams at the first word of stopping, for it waits for them."""

    def __init__(self, config: uvicorn.Config, stop: Callable[[], None]) -> None:
        super().__init__(config)
        self._stop = stop

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop at SIGTERM and SIGINT."""
        self._stop()
        super().handle_exit(sig, frame)


async def listen(service: Service, bound: socket.socket) -> None:
    """Answer what comes to a socket that listens, until SIGTERM or SIGINT."""
    config = uvicorn.Config(service.asgi, log_level="warning", timeout_graceful_shutdown=_PATIENCE, lifespan="on")
    await _Server(config, service.stop).serve(sockets=[bound])
