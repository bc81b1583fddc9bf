"""The server: an application's agents behind HTTP, as one ASGI application."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request, Response
from starlette.types import ASGIApp

from surefoot.app import App
from surefoot.approvals.links import Links
from surefoot.clock import SystemClock
from surefoot.server import agui, approvals, compatible, events, figures, health, memory, problems, runs
from surefoot.server.approvals import settle_by
from surefoot.server.console import changes, deciding, forms, lookups, pages
from surefoot.server.console.rendering import environment
from surefoot.server.guard import Guard
from surefoot.server.shapes import STATUSES, ProblemDocument
from surefoot.server.tokens import Tokens
from surefoot.telemetry.follower import Follower
from surefoot.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from surefoot.approvals.slack import Slack

__all__ = ["Service", "create"]

_PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": ProblemDocument, "content": {"application/problem+json": {}}} for status in STATUSES
}


@dataclass(frozen=True, slots=True)
class Service:
    """An ASGI application, and what ends its streams: whoever stops the server calls `stop` first."""

    asgi: ASGIApp
    stop: Callable[[], None]


def create(
    application: App, *, size: int = 2_000_000, rate: float = 200.0, links: Links | None = None, slack: Slack | None = None
) -> Service:
    """An ASGI application that serves ``application``, which it opens and closes.

    ``size`` bounds a request's body in bytes, ``rate`` the requests a second from one address in the long run; ``links`` are
    those that it answers under ``/decide``, ``slack`` is whose buttons it answers under ``/slack/actions``.
    """
    tasks: set[asyncio.Task[Any]] = set()

    def background(task: asyncio.Task[Any]) -> None:
        tasks.add(task)
        task.add_done_callback(_seen(tasks))

    @asynccontextmanager
    async def lifespan(api: FastAPI) -> AsyncIterator[None]:
        async with application:
            follower = Follower(application.store, api.state.metrics)
            follower.begin()
            try:
                yield
            finally:
                await follower.close()

    api = FastAPI(
        title="surefoot", summary="Agents as a service.", lifespan=lifespan, openapi_url="/api/openapi.json", docs_url=None,
        redoc_url=None, responses=_PROBLEMS,
    )  # fmt: skip
    api.state.application, api.state.tokens = application, Tokens(application.store, SystemClock())
    api.state.background, api.state.stop, api.state.pages = background, asyncio.Event(), environment()
    api.state.metrics, api.state.links = Metrics(), links
    problems.install(api)
    for part in (runs, events, approvals, compatible, agui, figures, health, memory, pages, lookups, forms, changes, deciding):
        api.include_router(part.router)
    if slack is not None:
        _answer_slack(api, slack)
    described = api.openapi

    def openapi() -> dict[str, Any]:
        if api.openapi_schema is None:
            schemas = described().setdefault("components", {}).setdefault("schemas", {})
            schemas.update(events.event_schemas())
        return described()

    api.openapi = openapi  # type: ignore[method-assign]
    return Service(Guard(api, size=size, rate=rate), api.state.stop.set)


def _answer_slack(api: FastAPI, slack: Slack) -> None:
    from slack_bolt.adapter.fastapi.async_handler import AsyncSlackRequestHandler

    handler = AsyncSlackRequestHandler(slack.bolt(lambda said: settle_by(api.state.application, said, "slack")))

    async def actions(request: Request) -> Response:
        return await handler.handle(request)

    api.add_api_route("/slack/actions", actions, methods=["POST"], include_in_schema=False)


def _seen(tasks: set[asyncio.Task[Any]]) -> Any:  # noqa: ANN401  a task's callback
    def done(task: asyncio.Task[Any]) -> None:
        tasks.discard(task)
        if not task.cancelled():
            task.exception()  # the run's own events tell it

    return done
