"""`surefoot health`: how models and tools are doing: breakers, retries against the budget, what failed lately and how."""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer

from surefoot.app import App
from surefoot.cli.loop import complete
from surefoot.cli.place import AgentsOption, StoreOption, place_of
from surefoot.cli.screen import Screen
from surefoot.cli.writing import line, moment, short
from surefoot.recovery.health import Health, Subject
from surefoot.recovery.limits import Rules
from surefoot.runs.reports import health_since

__all__ = ["add"]


def add(program: typer.Typer) -> None:
    """Add the command."""
    program.command("health")(health)


def health(
    context: typer.Context,
    *,
    age: Annotated[str, typer.Option("--since", metavar="AGE", help="Runs that began so long ago: 45s, 90m, 12h, 30d.")] = "1h",
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line, one for each model or tool.")] = False,
    store: StoreOption = None,
    agents: AgentsOption = None,
) -> None:
    """Show how models and tools are doing: breakers, retries against their budget, and what failed lately."""
    found = complete(_look(place_of(context, store, agents).reading(), age))
    screen, now = Screen(), int(time.time() * 1e6)
    if json:
        for subject in found.subjects:
            screen.json(_document(subject, now))
        return
    if not found.subjects:
        screen.note(f"nothing in the last {line(age)}")
        return
    screen.table(
        ("WHAT", "BREAKER", "ASKED", "RETRIES", "STOOD IN", "FAILED", "THE LAST FAILURE"),
        [_cells(subject, now) for subject in found.subjects],
    )
    warned = [f"{line(kind)} {number}" for kind, number in found.warnings.most_common()]
    if found.resumed:
        warned.append(f"resumed {found.resumed}")
    if warned:
        screen.line(f"runs: {', '.join(warned)}")


async def _look(app: App, age: str) -> Health:
    async with app:
        return await health_since(app.store, age)


def _breaker(subject: Subject, now: int) -> str:
    if subject.breaker == "closed":
        return "closed"
    why = f" ({line(subject.reason)})" if subject.reason else ""
    if subject.breaker == "open" and subject.until > now:
        return f"open until {moment(subject.until)}{why}"
    return f"to be probed{why}"


def _cells(subject: Subject, now: int) -> tuple[str, ...]:
    failed = ", ".join(f"{line(kind)} {number}" for kind, number in subject.failed.most_common())
    share = (
        f" ({subject.retries / subject.asked:.0%} of {Rules().share:.0%})" if subject.retries and subject.kind == "model" else ""
    )
    name = line(subject.name) if subject.kind == "model" else f"{subject.kind} {line(subject.name)}"
    last = f"{moment(subject.last_at)} {short(subject.last, 80)}" if subject.last_at else ""
    return (
        name, _breaker(subject, now), f"{subject.asked:,}", f"{subject.retries:,}{share}", f"{subject.stood_in:,}", failed, last,
    )  # fmt: skip


def _document(subject: Subject, now: int) -> dict[str, Any]:
    return {
        "name": subject.name, "kind": subject.kind, "breaker": subject.breaker, "reason": subject.reason,
        "left": max(0.0, (subject.until - now) / 1e6) if subject.breaker == "open" else 0.0,
        "asked": subject.asked, "retries": subject.retries, "stood_in": subject.stood_in, "failed": dict(subject.failed),
        "last": subject.last, "last_at": subject.last_at,
    }  # fmt: skip
