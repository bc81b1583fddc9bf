"""`surefoot tail`: what happens in every run, or in one, as it happens, in whichever process."""

from __future__ import annotations

import time
from contextlib import aclosing
from typing import Annotated, Any

import typer

from surefoot.app import App
from surefoot.cli.codes import Code
from surefoot.cli.loop import Interrupted, complete
from surefoot.cli.place import AgentsOption, StoreOption, place_of
from surefoot.cli.screen import Screen
from surefoot.cli.words import call_line, parts_text, sentence
from surefoot.cli.writing import duration, line, moment, short, tokens
from surefoot.core import events as ev
from surefoot.core.messages import Reasoning, ToolCall, text_of
from surefoot.core.ports import Query
from surefoot.core.state import ENDED
from surefoot.runs.ages import period
from surefoot.runs.documents import instant
from surefoot.telemetry.spans import Trace

__all__ = ["Printer", "add", "follow", "told"]

_RED = (ev.RunFailed, ev.RunCancelled, ev.ToolFailed, ev.ToolDenied)
_YELLOW = (ev.ModelFailed, ev.RunWarned, ev.ToolIndeterminate, ev.ApprovalRequested, ev.OutputRejected)
#: Runs whose calls are remembered by name.
_RUNS = 1_000


def add(program: typer.Typer) -> None:
    """Add the command."""
    program.command("tail")(tail)


def tail(  # noqa: PLR0913  a command's own options
    context: typer.Context,
    *,
    run: Annotated[str, typer.Argument(metavar="[RUN]", help="One run, from its beginning to its end; by default all.")] = "",
    since: Annotated[str, typer.Option("--since", metavar="AGE", help="Begin so long ago: 45s, 90m, 12h, 30d, 2w.")] = "0s",
    agent: Annotated[str, typer.Option("--agent", help="Runs of this agent only.")] = "",
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line, one for each event.")] = False,
    store: StoreOption = None,
    agents: AgentsOption = None,
) -> None:
    """Follow what happens, live, in whichever process, until Ctrl-C; of one run, until it ends."""
    app = place_of(context, store, agents).reading()
    begin = 0 if run else int((time.time() - period(since).total_seconds()) * 1e6)
    try:
        complete(follow(app, Printer(Screen(), agent, json=json), run, begin))
    except Interrupted:
        raise typer.Exit(Code.DONE) from None


async def follow(app: App, printer: Printer, name: str, begin: int) -> None:
    """Print what happens: of the run ``name`` until it ends, of all runs from the time ``begin`` on."""
    async with app:
        if name:
            found: Any = await app.get(name)
            async with aclosing(app.follow(found.id, until="end")) as records:
                async for record in records:
                    printer.show(record)
            return
        async with aclosing(app.store.follow(None, await _position(app, begin))) as records:
            async for record in records:
                if record.stream == "app":
                    continue
                if record.seq > 1 and not printer.knows(record.stream):
                    for earlier in await app.store.read(record.stream, 0, record.seq - 1):
                        printer.show(earlier, quiet=True)
                printer.show(record, quiet=record.time < begin)


async def _position(app: App, begin: int) -> int:
    """A place in the journal from which on everything since ``begin`` is read, and little more."""
    rows = await app.store.find(Query(limit=50))
    heads = [(await app.store.read(row.id, row.head - 1, 1)) for row in rows if row.head]
    before = [records[0].position for records in heads if records and records[0].time < begin]
    return max(before, default=0)


class Printer:
    """Prints records, one a line."""

    def __init__(self, screen: Screen, agent: str, *, json: bool) -> None:
        self._screen, self._agent, self._json = screen, agent, json
        self._traces: dict[str, Trace] = {}
        self._agents: dict[str, str] = {}

    def knows(self, run: str) -> bool:
        """Whether it has seen the run's beginning."""
        return run in self._traces

    def show(self, record: ev.Record, *, quiet: bool = False) -> None:
        """Print a record, unless it is only to be known for what comes after it."""
        event = record.event
        if isinstance(event, ev.RunStarted):
            self._agents[record.stream] = event.agent
        trace = self._traces.setdefault(record.stream, Trace())
        self._agents.setdefault(record.stream, "")
        tools = {name: call.name for name, call in trace.calls.items()}
        trace.apply(record)
        tools |= {name: call.name for name, call in trace.calls.items()}
        agent = self._agents.get(record.stream, "")
        if not quiet and self._agent in ("", agent):
            self._print(record, agent, told(event, tools))
        if trace.status in ENDED:
            del self._traces[record.stream], self._agents[record.stream]
        elif len(self._traces) > _RUNS:
            gone = next(iter(self._traces))
            del self._traces[gone], self._agents[gone]

    def _print(self, record: ev.Record, agent: str, text: str) -> None:
        event = record.event
        tag = event.tag if isinstance(event, ev.Unknown) else ev.tag_of(event)
        if self._json:
            fields = {"time": instant(record.time), "run": record.stream, "seq": record.seq, "agent": agent, "event": tag}
            self._screen.json({**fields, "text": text})
            return
        style = "red" if isinstance(event, _RED) else "yellow" if isinstance(event, _YELLOW) else ""
        about = f"{moment(record.time)[11:]} {record.stream[-8:]} {line(agent) or '?'}"
        self._screen.line(f"{about} {line(tag)}: {text}" if text else f"{about} {line(tag)}", style)


def told(event: ev.Event | ev.AppEvent, tools: dict[str, str]) -> str:
    """What happened, in one line, for every event."""
    match event:
        case ev.RunStarted():
            return short(parts_text(event.input), 1_000)
        case ev.RunFinished():
            return short(event.output, 1_000)
        case ev.ModelRequested():
            return f"step {event.step}, {line(event.model)}" + (f", try {event.attempt}" if event.attempt > 1 else "")
        case ev.ModelReplied():
            thought = "".join([part.text for part in event.parts if isinstance(part, Reasoning)])
            calls = [call_line(part.name, part.arguments) for part in event.parts if isinstance(part, ToolCall)]
            said = [f"({short(thought)})"] if thought else []
            said += [short(text)] if (text := text_of(event.parts)) else []
            return f"after {duration(event.duration)}, {tokens(event.usage)}: {' '.join([*said, *calls])}"
        case _:
            return sentence(event, tools)
