"""`surefoot stats` and `surefoot metrics`: how often, how long, how much, and what went wrong."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import Annotated, Any

import typer

from surefoot.app import App
from surefoot.cli.loop import complete
from surefoot.cli.place import AgentsOption, StoreOption, place_of
from surefoot.cli.screen import Screen
from surefoot.cli.writing import cost, duration, line
from surefoot.core.ports import Query
from surefoot.runs.reports import spans_since
from surefoot.telemetry.metrics import Metrics
from surefoot.telemetry.span import Span
from surefoot.telemetry.statistics import Row, quantile, table

__all__ = ["add"]

_PAGE = 500


class By(StrEnum):
    """What is counted by."""

    AGENT = "agent"
    TOOL = "tool"
    MODEL = "model"
    SESSION = "session"
    USER = "user"
    RUN = "run"


def add(program: typer.Typer) -> None:
    """Add the commands."""
    program.command("stats")(stats)
    program.command("metrics")(metrics)


def stats(
    context: typer.Context,
    *,
    age: Annotated[str, typer.Option("--since", metavar="AGE", help="Runs that began so long ago: 45s, 90m, 12h, 30d.")] = "24h",
    by: Annotated[
        By, typer.Option("--by", help="Runs by agent, session, user or one by one; tries of calls by tool; requests by model.")
    ] = By.AGENT,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line, one for each row.")] = False,
    store: StoreOption = None,
    agents: AgentsOption = None,
) -> None:
    """Count runs, calls or requests: how many failed and how, the median and the 95th percentile of their time, and cost."""
    rows = table(complete(_spans(place_of(context, store, agents).reading(), age)), by)
    screen = Screen()
    if json:
        for row in rows:
            screen.json(_document(row))
    elif not rows:
        screen.note(f"nothing in the last {line(age)}")
    else:
        names = (by.upper(), "COUNT", "OPEN", "FAILED", "P50", "P95", "TOKENS IN", "OUT", "COST", "ERRORS")
        screen.table(names, [_cells(row) for row in rows])


def metrics(context: typer.Context, *, store: StoreOption = None, agents: AgentsOption = None) -> None:
    """Print the figures of all runs as Prometheus takes them."""
    sys.stdout.write(complete(_added(place_of(context, store, agents).reading())))


async def _added(app: App) -> str:
    found = Metrics()
    async with app:
        query = Query(limit=_PAGE)
        while rows := await app.store.find(query):
            for row in rows:
                take = found.begin()
                for record in await app.store.read(row.id):
                    found.write((), take(record))
            query = Query(before=rows[-1].id, limit=_PAGE)
    return found.text()


async def _spans(app: App, age: str) -> list[Span]:
    async with app:
        return await spans_since(app.store, age)


def _cells(row: Row) -> tuple[str, ...]:
    errors = ", ".join(f"{line(kind)} {number}" for kind, number in row.errors.most_common())
    known = cost(row.cost / 1e6) if row.cost or (row.input_tokens and not row.unpriced) else ""
    unknown = f"{row.unpriced:,} unpriced" if row.unpriced else ""
    return (
        line(row.name) or "?", f"{row.count:,}", f"{row.open:,}", f"{row.failed:,}", duration(quantile(row.durations, 0.5)),
        duration(quantile(row.durations, 0.95)), f"{row.input_tokens:,}", f"{row.output_tokens:,}",
        " + ".join(filter(None, [known, unknown])), errors,
    )  # fmt: skip


def _document(row: Row) -> dict[str, Any]:
    return {
        "name": row.name, "count": row.count, "open": row.open, "failed": row.failed, "errors": dict(row.errors),
        "p50": quantile(row.durations, 0.5) / 1e6, "p95": quantile(row.durations, 0.95) / 1e6,
        "input_tokens": row.input_tokens, "output_tokens": row.output_tokens,
        "cost": None if row.unpriced else row.cost / 1e6, "unpriced": row.unpriced,
    }  # fmt: skip
