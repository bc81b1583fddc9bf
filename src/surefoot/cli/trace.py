"""`surefoot trace export`: a run for other tools, as lines of JSON, as OTLP, or as a trace that Perfetto opens."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from surefoot.app import App
from surefoot.cli.loop import complete
from surefoot.cli.place import AgentsOption, StoreOption, place_of
from surefoot.cli.writing import escaped
from surefoot.core.errors import ConfigurationError
from surefoot.core.events import Record
from surefoot.core.ports import Query
from surefoot.core.run import Run
from surefoot.telemetry.chrome import chrome_document
from surefoot.telemetry.jsonl import Lines
from surefoot.telemetry.otlp import otlp_document
from surefoot.telemetry.privacy import mask
from surefoot.telemetry.spans import spans_of

__all__ = ["Form", "add", "family", "written"]


class Form(StrEnum):
    """What a trace is written as."""

    JSONL = "jsonl"
    OTLP_JSON = "otlp-json"
    CHROME = "chrome"


def add(program: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(no_args_is_help=True, help="Runs as traces, for other tools.")
    group.command("export")(export)
    program.add_typer(group, name="trace")


def export(  # noqa: PLR0913  a command's own options
    context: typer.Context,
    *,
    run: Annotated[str, typer.Argument(metavar="RUN", help="The run's id, or the id its caller gave it.")],
    form: Annotated[Form, typer.Option("--format", help="Lines of JSON, OTLP as JSON, or Chrome's trace format.")] = Form.JSONL,
    output: Annotated[Path | None, typer.Option("--output", metavar="FILE", help="Write to a file, not to the screen.")] = None,
    content: Annotated[
        bool | None,
        typer.Option("--content/--no-content", help="With what was said, or without. [jsonl: with; otherwise: without]"),
    ] = None,
    store: StoreOption = None,
    agents: AgentsOption = None,
) -> None:
    """Write a run as a trace for other tools; secrets are masked."""
    streams = complete(_read(place_of(context, store, agents).reading(), run))
    told = form is Form.JSONL if content is None else content
    if output is None:
        sys.stdout.writelines(map(escaped, written(streams, form, content=told)))
        return
    try:
        with output.open("w", encoding="utf-8") as file:
            file.writelines(written(streams, form, content=told))
    except OSError as error:
        raise ConfigurationError(f"{output} cannot be written: {error.strerror}; name another file with --output") from None


async def _read(app: App, name: str) -> list[list[Record]]:
    async with app:
        run: Run[Any] = await app.get(name)
        return [await app.store.read(one) for one in await family(app, run.id)]


async def family(app: App, run: str) -> list[str]:
    """A run and its descendants, parents first."""
    found = [run]
    for one in found:
        found += [row.id for row in reversed(await app.store.find(Query(parent=one, limit=10_000)))]
    return found


def written(streams: list[list[Record]], form: Form, *, content: bool) -> Iterator[str]:
    """The text of a trace: of JSON lines the first run's, else all runs' in one document."""
    redact = mask()
    if form is Form.JSONL:
        lines = Lines(content=content, redact=redact)
        for record in streams[0]:
            yield from (line.decode() for line in lines.take(record))
        return
    spans = [span for records in streams for span in spans_of(records)]
    make = chrome_document if form is Form.CHROME else otlp_document
    yield msgspec.json.encode(make(spans, content=content, redact=redact)).decode() + "\n"
