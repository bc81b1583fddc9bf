"""`surefoot approvals list`, `show`, `approve`, `edit`, `deny`, `answer`, `ask`, `delegate`, `revoke`, `watch` and `export`."""

from __future__ import annotations

import csv
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from enum import StrEnum
from typing import Annotated, Any

import typer

from surefoot.app import App
from surefoot.approvals.queue import missing
from surefoot.cli.codes import Code
from surefoot.cli.loop import complete
from surefoot.cli.place import AgentsOption, Place, StoreOption, place_of
from surefoot.cli.questions import account
from surefoot.cli.record import COLUMNS, entries
from surefoot.cli.screen import Screen
from surefoot.cli.words import sentence
from surefoot.cli.writing import line, moment, safe_json, short
from surefoot.core import canonical
from surefoot.core import events as ev
from surefoot.core.errors import ConfigurationError, RequestNotFound
from surefoot.core.request import Request
from surefoot.core.run import Run
from surefoot.runs.documents import request_document
from surefoot.runs.intake import ListOptions

__all__ = ["add"]

RequestArgument = Annotated[str, typer.Argument(metavar="REQUEST", help="The question's id.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why; the model reads it.")]
ByOption = Annotated[str, typer.Option("--by", help="Who says so. [the system account]", show_default=False)]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]

_ANSWERS = ev.ApprovalDecided | ev.ApprovalExpired | ev.ApprovalVoted | ev.ApprovalRevoked
#: The last steps of a run that are shown with a question.
_STEPS = 6


class Sticky(StrEnum):
    """What more an approval holds for."""

    CALL = "call"
    RULE = "rule"


class Form(StrEnum):
    """How the record of decisions is written."""

    JSONL = "jsonl"
    CSV = "csv"


def add(program: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(no_args_is_help=True, help="Questions to a human: list, show, decide, watch, export.")
    group.command("list")(list_)
    for command in (show, approve, edit, deny, answer, ask, delegate, revoke, watch, export):
        group.command(command.__name__)(command)
    program.add_typer(group, name="approvals")


def list_(
    context: typer.Context,
    *,
    user: Annotated[str | None, typer.Option("--user", help="Of runs of this user.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Of at most so many runs, the newest.")] = 50,
    json: JsonOption = False,
    store: StoreOption = None,
    agents: AgentsOption = None,
) -> None:
    """List the open questions, those of children at the run that waits for them."""

    async def found() -> list[tuple[Run[Any], Request]]:
        async with place_of(context, store, agents).reading() as app:
            query = ListOptions(status=("waiting",), parent="", limit=limit)
            if user is not None:
                query["user"] = user
            runs = await app.list(**query)
            return [(run, request) for run in runs for request in run.waiting]

    listed, screen = complete(found()), Screen()
    if json:
        for _, request in listed:
            screen.json(request_document(request))
        return
    if not listed:
        screen.note("no open questions")
    for run, request in listed:
        screen.line(request.id, "bold")
        wants = missing(request)
        told = [line(run.agent), f"since {moment(request.asked_at)}"]
        told += [f"until {moment(request.expires_at)}"] if request.expires_at else []
        told += [f"takes {line(wants)}"] if wants else []
        screen.line(f"  {short(str(request))}\n  {' · '.join(told)}")


def show(context: typer.Context, *, request: RequestArgument, json: JsonOption = False, store: StoreOption = None) -> None:
    """Show all that matters to decide a question: the call, the rules, who may, and the run's last steps."""
    screen = Screen()

    async def found() -> tuple[Request, list[ev.Record]]:
        async with place_of(context, store).reading() as app:
            asked = await _find(app, request)
            return asked, await app.events(asked.run)

    asked, records = complete(found())
    if json:
        screen.json(request_document(asked), indent=2)
        return
    screen.line(str(asked), "bold")
    for text in safe_json(asked.args, indent=2).splitlines():
        screen.line(f"  {text}")
    verdict = asked.verdict
    told = {
        "effect": asked.effect,
        "asked by": " → ".join(asked.path or (asked.run,)),
        "user": asked.user,
        "rules": ", ".join(verdict.rules) if verdict else "",
        "takes": missing(asked),
        "not": f"the run's own user ({asked.user})" if verdict and verdict.distinct else "",
        "may be edited": ", ".join(verdict.may_edit) or "nothing" if verdict and verdict.may_edit is not None else "",
        "agreed": ", ".join(vote.by for vote in asked.votes),
        "until": moment(asked.expires_at) if asked.expires_at else "",
        "digest": asked.digest,
    }
    origins = verdict.origins if verdict else {}
    told |= {f"origin of {name}": origin for name, origin in origins.items()}
    for name, value in told.items():
        if value:
            screen.line(f"  {name}: {line(value)}")
    screen.line("  before:", "dim")
    for record in records[-_STEPS - 1 : -1]:
        event = record.event
        if not isinstance(event, ev.RunPruned):
            screen.line(f"    {moment(record.time)} {line(ev.tag_of(event))} {short(sentence(event, {}), 120)}", "dim")


def approve(
    context: typer.Context,
    *,
    request: RequestArgument,
    sticky: Annotated[
        Sticky | None, typer.Option("--sticky", help="Also for more of the run: the same call, or this rule.")
    ] = None,
    reason: ReasonOption = "",
    by: ByOption = "",
    store: StoreOption = None,
) -> None:
    """Let a call run, or an answer out."""
    more: dict[str, Any] = {} if sticky is None else {"sticky": sticky.value}
    _say(place_of(context, store), "approved", lambda app: app.decide(request, approve=True, reason=reason, **_who(by), **more))


def edit(  # noqa: PLR0913  a command's own options
    context: typer.Context,
    *,
    request: RequestArgument,
    changes: Annotated[str, typer.Argument(metavar="JSON", help="New values: '{\"cents\": 5000}'.")],
    reason: ReasonOption = "",
    by: ByOption = "",
    store: StoreOption = None,
    agents: AgentsOption = None,
) -> None:
    """Let a call run with other arguments. Needs the agents, whose tools check them; the run goes on here."""
    try:
        values = canonical.loads(changes)
    except ValueError as error:
        raise ConfigurationError(f"the changes are no JSON: {error}") from None
    if not isinstance(values, dict):
        raise ConfigurationError('the changes must be a JSON object: {"cents": 5000}')
    place = place_of(context, store, agents)

    async def decide(app: App) -> Run[Any]:
        run: Run[Any] = await app.decide(request, approve=True, edit=values, reason=reason, **_who(by))
        return await app.wait(run)

    _say(place, "approved with other arguments", decide, place.working(place.target()))


def deny(
    context: typer.Context, *, request: RequestArgument, reason: ReasonOption = "", by: ByOption = "", store: StoreOption = None
) -> None:
    """Do not let a call run, or an answer out."""
    _say(place_of(context, store), "denied", lambda app: app.decide(request, approve=False, reason=reason, **_who(by)))


def delegate(
    context: typer.Context,
    *,
    request: RequestArgument,
    to: Annotated[str, typer.Option("--to", metavar="NAME", help="Who may decide it for you, by your roles.")],
    reason: ReasonOption = "",
    by: ByOption = "",
    store: StoreOption = None,
) -> None:
    """Let somebody else decide a question for you; your word and theirs are one voice."""
    _say(place_of(context, store), f"left to {line(to)}", lambda app: app.decide(request, delegate=to, reason=reason, **_who(by)))


def answer(
    context: typer.Context,
    *,
    request: RequestArgument,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What the model reads as the call's result.")],
    by: ByOption = "",
    store: StoreOption = None,
) -> None:
    """Answer in the tool's place, or what the agent itself asks."""
    _say(place_of(context, store), "answered", lambda app: app.decide(request, answer=text, **_who(by)))


def ask(
    context: typer.Context,
    *,
    request: RequestArgument,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="The question that the model reads.")],
    by: ByOption = "",
    store: StoreOption = None,
) -> None:
    """Ask back before deciding: the call does not run, and the model may call again."""
    _say(place_of(context, store), "asked back", lambda app: app.decide(request, ask=text, **_who(by)))


def revoke(
    context: typer.Context, *, request: RequestArgument, reason: ReasonOption = "", by: ByOption = "", store: StoreOption = None
) -> None:
    """Take an approval back that was not used yet, or that holds for more of its run."""
    _say(place_of(context, store), "revoked", lambda app: app.revoke(request, by=by or account(), reason=reason))


def watch(context: typer.Context, *, json: JsonOption = False, store: StoreOption = None) -> None:
    """Print questions and decisions as they come, by any process, until Ctrl-C."""
    screen, seen = Screen(), set[str]()

    def tell(requests: Iterable[Request]) -> None:
        for request in requests:
            if request.id not in seen:
                seen.add(request.id)
                if json:
                    screen.json(request_document(request))
                else:
                    screen.line(f"{request.id} {request}")

    async def watched() -> None:
        async with place_of(context, store).reading() as app:
            after = await _end(app)
            for run in reversed(await app.list(status=("waiting",), parent="", limit=1_000)):
                tell(run.waiting)
            async for record in app.store.follow(None, after):
                event = record.event
                if isinstance(event, ev.ApprovalRequested | ev.ToolIndeterminate):
                    asked: Run[Any] = await app.get(record.stream)
                    tell(request for request in asked.waiting if request.id == event.request)
                elif isinstance(event, _ANSWERS) and not json:
                    screen.line(f"{event.request} {line(ev.tag_of(event))} {line(sentence(event, {}))}")

    complete(watched())


async def _end(app: App) -> int:
    """A position that most of what is known stands before; what comes after it is told as news."""
    newest = 0
    for run in await app.list(limit=1):
        newest = max(newest, (await app.events(run))[-1].position)
    return newest


def export(
    context: typer.Context,
    *,
    run: Annotated[str, typer.Option("--run", help="Of this run only.")] = "",
    form: Annotated[Form, typer.Option("--format", help="JSON lines, or CSV.")] = Form.JSONL,
    store: StoreOption = None,
    agents: AgentsOption = None,
) -> None:
    """Write every verdict, question, vote, decision, expiry and use; refuse (exit code 5) where a hash chain is broken."""
    screen = Screen()

    async def exported() -> Code:
        async with place_of(context, store, agents).reading() as app:
            problems = await app.store.check()
            for problem in problems:
                screen.note(f"not written, for the journal is damaged: {line(str(problem))}", "red")
            if problems:
                return Code.STORE
            await _write(form, entries(app, run), screen)
            return Code.DONE

    raise typer.Exit(complete(exported()))


async def _write(form: Form, rows: AsyncIterator[dict[str, Any]], screen: Screen) -> None:
    if form is Form.JSONL:
        async for row in rows:
            screen.json(row)
        return
    writer = csv.DictWriter(sys.stdout, COLUMNS, lineterminator="\n")
    writer.writeheader()
    async for row in rows:
        writer.writerow({name: _cell(row.get(name, "")) for name in COLUMNS})


def _cell(value: Any) -> str:  # noqa: ANN401  any JSON value
    """A cell that no spreadsheet takes for a formula, and no terminal for a command."""
    text = line(value) if isinstance(value, str) else safe_json(value)
    return f"'{text}" if text[:1] in "=+-@" and text[:1] else text


async def _find(app: App, request: str) -> Request:
    run: Run[Any] = await app.get(request.partition(":")[0])
    for asked in run.waiting:
        if asked.id == request:
            return asked
    raise RequestNotFound(request)


def _who(by: str) -> dict[str, Any]:
    return {"by": by, "how": "asserted"} if by else {"by": account(), "how": "account"}


def _say(place: Place, said: str, say: Callable[[App], Awaitable[Run[Any]]], app: App | None = None) -> None:
    """Decide, and tell how the run goes on."""

    async def spoken() -> Run[Any]:
        async with app or place.reading() as opened:
            return await say(opened)

    run, screen = complete(spoken()), Screen()
    screen.line(f"{said}; run {run.id} is {run.status}")
    for request in run.waiting:
        wants = missing(request)
        screen.note(f"still open: {request.id} {short(str(request))}" + (f" (takes {line(wants)})" if wants else ""))
    if run.status == "ready":
        screen.note(f"it goes on where somebody works on it, or with: surefoot resume {run.id}")
