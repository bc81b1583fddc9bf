"""What came of runs in figures: statistics, how models and tools are doing, and the sums that Prometheus scrapes."""

from __future__ import annotations

import time
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import PlainTextResponse

from surefoot.core.errors import ConfigurationError
from surefoot.recovery.health import Health, Subject
from surefoot.runs.reports import health_since, spans_since
from surefoot.server.access import Reader
from surefoot.server.problems import Problem
from surefoot.telemetry.metrics import Metrics
from surefoot.telemetry.span import Span
from surefoot.telemetry.statistics import Row, quantile, table

__all__ = ["Age", "health", "router", "spans"]

router = APIRouter(tags=["figures"])

Age = Annotated[str, Query(max_length=20, description="runs that began so long ago: 45s, 90m, 12h, 30d")]
By = Literal["agent", "tool", "model", "session", "user", "run"]


@router.get("/api/stats")
async def stats(request: Request, caller: Reader, since: Age = "24h", by: By = "agent") -> dict[str, Any]:
    """How often, how long, how much, and what went wrong. Durations are seconds, costs US dollars, null where unknown."""
    return {"since": since, "by": by, "rows": [_row(row) for row in table(await spans(request, caller, since), by)]}


@router.get("/api/health")
async def how_it_goes(request: Request, caller: Reader, since: Age = "1h") -> dict[str, Any]:
    """How models and tools are doing: breakers, retries against their budget, and what failed lately."""
    found, now = await health(request, caller, since), int(time.time() * 1e6)
    return {
        "since": since, "warnings": dict(found.warnings), "resumed": found.resumed,
        "subjects": [_subject(subject, now) for subject in found.subjects],
    }  # fmt: skip


@router.get("/metrics", response_class=PlainTextResponse)
async def metrics(request: Request, caller: Reader) -> PlainTextResponse:
    """The sums of all runs, as Prometheus scrapes them."""
    _of_all(caller.tenant)
    found: Metrics = request.app.state.metrics
    return PlainTextResponse(found.text(), media_type="text/plain; version=0.0.4")


async def spans(request: Request, caller: Reader, since: str) -> list[Span]:
    """The spans of the caller's runs. Raises Problem 422 for what is no length of time."""
    try:
        return await spans_since(request.app.state.application.store, since, tenant=caller.tenant or None)
    except ConfigurationError as error:
        raise Problem(422, str(error)) from None


async def health(request: Request, caller: Reader, since: str) -> Health:
    """How models and tools do in all runs. Raises Problem 422 for what is no length of time, 403 for one tenant's caller."""
    _of_all(caller.tenant)
    try:
        return await health_since(request.app.state.application.store, since)
    except ConfigurationError as error:
        raise Problem(422, str(error)) from None


def _of_all(tenant: str) -> None:
    if tenant:
        raise Problem(403, "this is told of all tenants together; ask an admin for a token of no tenant")


def _row(row: Row) -> dict[str, Any]:
    return {
        "name": row.name, "count": row.count, "open": row.open, "failed": row.failed, "errors": dict(row.errors),
        "p50": quantile(row.durations, 0.5) / 1e6, "p95": quantile(row.durations, 0.95) / 1e6,
        "input_tokens": row.input_tokens, "output_tokens": row.output_tokens,
        "cost": None if row.unpriced else row.cost / 1e6, "unpriced": row.unpriced,
    }  # fmt: skip


def _subject(subject: Subject, now: int) -> dict[str, Any]:
    return {
        "name": subject.name, "kind": subject.kind, "breaker": subject.breaker, "reason": subject.reason,
        "left": max(0.0, (subject.until - now) / 1e6) if subject.breaker == "open" else 0.0,
        "asked": subject.asked, "retries": subject.retries, "stood_in": subject.stood_in, "failed": dict(subject.failed),
        "last": subject.last, "last_at": subject.last_at,
    }  # fmt: skip
