"""Whether the server lives, and whether it can work."""

from __future__ import annotations

from fastapi import APIRouter, Request

from surefoot.server.problems import Problem

__all__ = ["router"]

router = APIRouter(tags=["health"])


@router.get("/health/live")
async def live() -> dict[str, str]:
    """The process answers."""
    return {"status": "alive"}


@router.get("/health/ready")
async def ready(request: Request) -> dict[str, str]:
    """The store can be read. 503 while the server stops."""
    if request.app.state.stop.is_set():
        raise Problem(503, "the server is stopping; ask another one")
    await request.app.state.tokens.all()
    return {"status": "ready"}
