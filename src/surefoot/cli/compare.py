"""`surefoot diff` and `surefoot why`: where two runs part, and what led to a call."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from surefoot.app import App
from surefoot.cli.loop import complete
from surefoot.cli.place import AgentsOption, StoreOption, place_of
from surefoot.cli.screen import Screen
from surefoot.cli.writing import block, count, line
from surefoot.core.events import Record
from surefoot.core.run import Run
from surefoot.telemetry.reasons import facts, why

__all__ = ["add"]

_STYLES = {"+": "green", "-": "red", "@": "cyan"}


def add(program: typer.Typer) -> None:
    """Add the commands."""
    program.command("diff")(diff)
    program.command("why")(why_)


def diff(
    context: typer.Context,
    *,
    one: Annotated[str, typer.Argument(metavar="RUN", help="A run's id, or the id its caller gave it.")],
    other: Annotated[str, typer.Argument(metavar="OTHER", help="The run to compare it with.")],
    store: StoreOption = None,
    agents: AgentsOption = None,
) -> None:
    """Show where two runs part: in what was asked, said, called, decided and answered; times and ids do not count."""
    app = place_of(context, store, agents).reading()
    mine, theirs = complete(_read(app, one, other))
    screen = Screen()
    first, second = [line(text) for text in facts(mine)], [line(text) for text in facts(theirs)]
    same = next(
        (n for n, pair in enumerate(zip(first, second, strict=False)) if pair[0] != pair[1]), min(len(first), len(second))
    )
    if first == second:
        screen.line(f"the same: {count(same, 'fact')}", "green")
        return
    screen.line(f"the same for {count(same, 'fact')}, then they part", "bold")
    for text in difflib.unified_diff(first, second, line(one), line(other), lineterm="", n=2):
        screen.line(block(text), _STYLES.get(text[:1], ""))


async def _read(app: App, *names: str) -> list[list[Record]]:
    async with app:
        found: list[list[Record]] = []
        for name in names:
            run: Run[Any] = await app.get(name)
            found.append(await app.store.read(run.id))
        return found


def why_(
    context: typer.Context,
    *,
    run: Annotated[str, typer.Argument(metavar="RUN", help="The run's id, or the id its caller gave it.")],
    call: Annotated[str, typer.Argument(metavar="CALL", help="The call, as `show` names it: 0.1.")],
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line, one for each reason.")] = False,
    store: StoreOption = None,
    agents: AgentsOption = None,
) -> None:
    """Show what led to a call: the message, the memory, what the model thought, the policy and its rules, who decided, and
    where each argument came from.
    """
    (records,) = complete(_read(place_of(context, store, agents).reading(), run))
    screen = Screen()
    for reason in why(records, call):
        if json:
            screen.json({"what": reason.what, "text": reason.text, "seq": reason.seq})
        else:
            _print(screen, reason.what, reason.text, reason.seq)


def _print(screen: Screen, what: str, text: str, seq: int) -> None:
    first, *rest = _lines(text)
    screen.line(f"{line(what)}: {first}" + (f" (event {seq})" if seq else ""))
    for one in rest:
        screen.line(f"    {one}")


def _lines(text: str) -> Iterator[str]:
    yield from block(text).splitlines() or [""]
