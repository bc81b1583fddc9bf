"""The console's pages on what is remembered and on how it goes; they call what the API calls."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, get_args
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response
from pydantic import ValidationError

from surefoot.app import App
from surefoot.core.memory import KINDS
from surefoot.server.access import Reader
from surefoot.server.console.charts import charts
from surefoot.server.console.rendering import page
from surefoot.server.console.views import memory_view, row_view, subject_view
from surefoot.server.figures import By, health, spans
from surefoot.server.memory import MemoryFilter, listed, sought
from surefoot.telemetry.statistics import table

__all__ = ["router"]

router = APIRouter(include_in_schema=False)

#: What the page on health can look back on.
_AGES = ("1h", "6h", "24h", "7d", "30d")


@router.get("/memory")
async def memory_page(request: Request, caller: Reader) -> Response:
    """What is remembered: the newest, or what fits a search, with what its scores are made of."""
    given = {name: value for name, value in request.query_params.items() if value and name in MemoryFilter.model_fields}
    try:
        wanted = MemoryFilter(**given)  # type: ignore[arg-type]
    except ValidationError:
        return RedirectResponse("/memory", 303)
    application: App = request.app.state.application
    if wanted.query.strip():
        shown = [memory_view(hit.entry, caller, hit) for hit in await sought(application, caller, wanted)]
    else:
        shown = [memory_view(entry, caller) for entry in await listed(application, caller, wanted)]
    back = f"/memory?{urlencode(given)}" if given else "/memory"
    return await page(
        request, caller, "memory.html", here="/memory", wanted=wanted, entries=shown, back=back,
        agents=sorted(application.agents), kinds=KINDS,
    )  # fmt: skip


@router.get("/health")
async def health_page(request: Request, caller: Reader) -> Response:
    """Throughput, latency, errors, breakers and cost over time, and what runs were warned of."""
    since = request.query_params.get("since", "24h")
    if since not in _AGES:
        return RedirectResponse("/health", 303)
    found, now = await spans(request, caller, since), int(time.time() * 1e6)
    told = None if caller.tenant else await health(request, caller, since)
    return await page(
        request, caller, "health.html", here="/health", live="/console/changes", since=since, ages=_AGES,
        charts=charts(found, since, now), rows=_rows(found),
        subjects=[subject_view(subject) for subject in told.subjects] if told else [],
        warnings=told.warnings.most_common() if told else [],
    )  # fmt: skip


def _rows(found: Sequence[Any]) -> list[dict[str, Any]]:
    kinds = [by for by in get_args(By) if by in ("agent", "model", "tool")]
    return [row_view(row, by) for by in kinds for row in table(found, by)]
