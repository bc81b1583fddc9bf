"""`surefoot sessions list`, `show`, `rename`, `fork`, `export` and `delete`: the conversations of a store."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import msgspec
import typer

from surefoot.app import App
from surefoot.cli.codes import Code
from surefoot.cli.loop import complete
from surefoot.cli.place import AgentsOption, StoreOption, place_of
from surefoot.cli.questions import account, sure
from surefoot.cli.screen import Screen
from surefoot.cli.words import call_line, parts_text
from surefoot.cli.writing import count, line, moment, short
from surefoot.core.messages import Message, Reasoning, ToolCall, ToolResult
from surefoot.core.rows import SessionRow
from surefoot.runs.documents import instant
from surefoot.runs.intake import ListOptions

__all__ = ["add"]

NameArgument = Annotated[str, typer.Argument(metavar="SESSION", help="The session's id.")]
UserOption = Annotated[str | None, typer.Option("--user", help="Whose session it is, where several users have one of that name.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def add(program: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(no_args_is_help=True, help="Conversations: list, show, rename, fork, export, delete.")
    group.command("list")(list_)
    for command in (show, rename, fork, export, delete):
        group.command(command.__name__)(command)
    program.add_typer(group, name="sessions")


def list_(  # noqa: PLR0913  a command's own options
    context: typer.Context,
    *,
    agent: Annotated[str, typer.Option("--agent", help="With runs of this agent.")] = "",
    user: Annotated[str | None, typer.Option("--user", help="Of this user.")] = None,
    text: Annotated[str, typer.Option("--text", help="With this text in what was asked or answered.")] = "",
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many.")] = 20,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line, one for each session.")] = False,
    store: StoreOption = None,
    agents: AgentsOption = None,
) -> None:
    """List sessions, the one that went on last first."""
    query = ListOptions(agent=agent, text=text, limit=limit)
    if user is not None:
        query["user"] = user

    async def found() -> list[SessionRow]:
        async with place_of(context, store, agents).reading() as app:
            return await app.sessions.list(**query)

    listed, screen = complete(found()), Screen()
    if json:
        for row in listed:
            screen.json(_document(row))
    elif not listed:
        screen.note("no sessions")
    else:
        screen.table(
            ("SESSION", "USER", "RUNS", "OPEN", "LAST", "TITLE"),
            [(line(s.id), line(s.user), str(s.runs), str(s.open or ""), moment(s.last_at), short(s.title, 60)) for s in listed],
        )


def show(
    context: typer.Context,
    *,
    session: NameArgument,
    user: UserOption = None,
    json: JsonOption = False,
    store: StoreOption = None,
    agents: AgentsOption = None,
) -> None:
    """Show the whole conversation of a session."""

    async def found() -> tuple[SessionRow, list[Message]]:
        async with place_of(context, store, agents).reading() as app:
            row = await app.sessions.get(session, user=user)
            return row, await app.sessions.show(row.id, user=row.user, tenant=row.tenant)

    (row, messages), screen = complete(found()), Screen()
    if json:
        screen.json({**_document(row), "messages": msgspec.to_builtins(messages)})
        return
    screen.line(f"{line(row.title or row.id)}: {count(row.runs, 'run')}, since {moment(row.created_at)}", "bold")
    for message in messages:
        for text, style in _spoken(message):
            screen.line(text, style)


def rename(
    context: typer.Context,
    *,
    session: NameArgument,
    title: Annotated[str, typer.Argument(metavar="TITLE", help='What it is called from now on; "" for nothing.')],
    user: UserOption = None,
    store: StoreOption = None,
    agents: AgentsOption = None,
) -> None:
    """Give a session a title; its id stays."""

    async def renamed(app: App) -> SessionRow:
        return await app.sessions.rename(session, title, user=user, by=account())

    row = _with(context, store, agents, renamed)
    Screen().line(f"{line(row.id)}: {line(row.title) or 'no title'}")


def fork(  # noqa: PLR0913  a command's own options
    context: typer.Context,
    *,
    session: NameArgument,
    to: Annotated[str, typer.Argument(metavar="NEW", help="The id of the new session.")],
    at: Annotated[str, typer.Option("--at", metavar="RUN", help="The last run to copy; all of them by default.")] = "",
    user: UserOption = None,
    store: StoreOption = None,
    agents: AgentsOption = None,
) -> None:
    """Begin a new session with the conversation of another."""

    async def forked(app: App) -> SessionRow:
        return await app.sessions.fork(session, to, at=at, user=user)

    Screen().line(line(_with(context, store, agents, forked).id))


def export(
    context: typer.Context,
    *,
    session: NameArgument,
    user: UserOption = None,
    store: StoreOption = None,
    agents: AgentsOption = None,
) -> None:
    """Print everything there is of a session: one JSON object a line, each event of its runs, then each blob."""
    screen = Screen()

    async def exported(app: App) -> None:
        async for item in app.sessions.export(session, user=user):
            screen.json(item)

    _with(context, store, agents, exported)


def delete(
    context: typer.Context,
    *,
    session: NameArgument,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    user: UserOption = None,
    store: StoreOption = None,
    agents: AgentsOption = None,
) -> None:
    """Delete a session for good: its runs, those its tools started, and all that only these named."""
    screen = Screen()

    async def deleted(app: App) -> Code:
        row = await app.sessions.get(session, user=user)
        name = line(row.title) or line(row.id)
        if not yes and not await sure(screen, f"Delete session {name} with {count(row.runs, 'run')}, for good?"):
            screen.note("nothing was deleted")
            return Code.USAGE
        gone = await app.sessions.delete(row.id, user=row.user, tenant=row.tenant)
        screen.line(f"{count(gone, 'run')} deleted")
        return Code.DONE

    raise typer.Exit(_with(context, store, agents, deleted))


def _with(context: typer.Context, store: str | None, agents: str | None, work: Any) -> Any:  # noqa: ANN401  what it gives
    async def done() -> Any:  # noqa: ANN401  what it gives
        async with place_of(context, store, agents).reading() as app:
            return await work(app)

    return complete(done())


def _document(row: SessionRow) -> dict[str, Any]:
    return {
        "session": row.id,
        "title": row.title,
        "user": row.user,
        "tenant": row.tenant,
        "runs": row.runs,
        "open": row.open,
        "first": row.first,
        "last": row.last,
        "created_at": instant(row.created_at),
        "last_at": instant(row.last_at),
    }


def _spoken(message: Message) -> Iterator[tuple[str, str]]:
    """A message as lines, each with its style."""
    text = parts_text(tuple(part for part in message.parts if not isinstance(part, Reasoning | ToolCall | ToolResult)))
    if text:
        yield f"{message.role}: {text}", "bold" if message.role == "user" else ""
    for part in message.parts:
        if isinstance(part, ToolCall):
            yield f"  {call_line(part.name, part.arguments)}", "cyan"
        elif isinstance(part, ToolResult):
            yield f"  {line(part.name)}: {short(part.text)}", "red" if part.error else "dim"
