"""`surefoot memory …`: what agents remember between conversations."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4

import msgspec
import typer

from surefoot.app import App
from surefoot.cli.codes import Code
from surefoot.cli.consolidation import consolidate as read
from surefoot.cli.consolidation import consolidator
from surefoot.cli.loop import complete
from surefoot.cli.place import AgentsOption, StoreOption, place_of
from surefoot.cli.questions import account, sure
from surefoot.cli.screen import Screen
from surefoot.cli.writing import count, line, moment, short
from surefoot.clock import SystemClock
from surefoot.core.errors import ConfigurationError
from surefoot.core.memory import KINDS, Entry, Hit, MemoryKept, MemoryRefused, Scope, Selection
from surefoot.memory.audit import findings
from surefoot.memory.transfer import entries_of, json_lines, turns
from surefoot.runs.reports import entries, found

__all__ = ["add"]

UserOption = Annotated[str | None, typer.Option("--user", help="Whose memory; everybody's when left out.")]
AgentOption = Annotated[str | None, typer.Option("--agent", help="Which agent's; all agents' when left out.")]
TenantOption = Annotated[str | None, typer.Option("--tenant", help="Which tenant's; all when left out.")]
OwnerOption = Annotated[str, typer.Option("--user", help="Whose memory. [your account]")]
OfAgent = Annotated[str, typer.Option("--agent", help="Which agent's memory.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")]
LimitOption = Annotated[int, typer.Option("--limit", min=1, help="At most so many.")]


def add(program: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(no_args_is_help=True, help="Long-term memory: list, search, show, add, forget, export, import, care.")
    for name, command in (
        ("list", list_), ("search", search), ("show", show), ("add", add_), ("forget", forget), ("export", export),
        ("import", import_), ("stats", stats), ("audit", audit), ("consolidate", consolidate),
    ):  # fmt: skip
        group.command(name)(command)
    program.add_typer(group, name="memory")


def list_(  # noqa: PLR0913  a command's own options
    context: typer.Context,
    *,
    user: UserOption = None,
    agent: AgentOption = None,
    tenant: TenantOption = None,
    kind: Annotated[str, typer.Option("--kind", help="Only this kind: episode, fact or core.")] = "",
    closed: Annotated[bool, typer.Option("--closed", help="With facts that no longer hold.")] = False,
    limit: LimitOption = 50,
    json: JsonOption = False,
    store: StoreOption = None,
    agents: AgentsOption = None,
) -> None:
    """List what is remembered, the newest first."""
    if kind and kind not in KINDS:
        raise ConfigurationError(f"there is no kind {kind!r}; there is {', '.join(KINDS)}")
    kinds = (kind,) if kind else KINDS
    found = _with(context, store, agents, lambda app: _entries(app, user, agent, tenant, kinds=kinds, closed=closed))
    _print(found[:limit], json=json)


def search(  # noqa: PLR0913  a command's own options
    context: typer.Context,
    *,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What to look for.")],
    user: UserOption = None,
    agent: AgentOption = None,
    tenant: TenantOption = None,
    explain: Annotated[bool, typer.Option("--explain", help="Show what each score is made of.")] = False,
    limit: LimitOption = 10,
    json: JsonOption = False,
    store: StoreOption = None,
    agents: AgentsOption = None,
) -> None:
    """Search what is remembered as an agent's recall does, the best first."""

    async def searched(app: App) -> list[Hit]:
        return await found(app.memory(), text, {"user": user, "agent": agent, "tenant": tenant}, limit=limit, explain=explain)

    screen = Screen()
    for hit in (hits := _with(context, store, agents, searched)):
        if json:
            screen.json(
                {"score": hit.score, **({"parts": dict(hit.parts)} if explain else {}), "entry": msgspec.to_builtins(hit.entry)}
            )
            continue
        screen.line(f"{hit.score:5.2f}  {moment(hit.entry.time)[:16]}  {line(hit.entry.author)}: {short(hit.entry.text, 400)}")
        if explain:
            screen.line("       " + ", ".join(f"{name} {part:.3f}" for name, part in hit.parts.items()), "dim")
    if not hits:
        screen.note("nothing was found")


def show(
    context: typer.Context,
    *,
    entry: Annotated[str, typer.Argument(metavar="ENTRY", help="Its id.")],
    store: StoreOption = None,
    agents: AgentsOption = None,
) -> None:
    """Show one entry whole, with where it came from."""
    found = _with(context, store, agents, lambda app: app.memory().find(Selection(ids=(entry,), closed=True)))
    if not found:
        raise ConfigurationError(f"there is no entry {entry!r}; `surefoot memory list --json` shows their ids")
    screen = Screen()
    for name, value in msgspec.structs.asdict(found[0]).items():
        if value not in ("", 0, 0.0, False):
            told = moment(value) if name in ("time", "valid_from", "valid_to", "expires_at") else value
            screen.line(f"{name}: {line(str(told))}")


def add_(  # noqa: PLR0913  a command's own options
    context: typer.Context,
    *,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What to remember.")],
    agent: OfAgent,
    user: OwnerOption = "",
    tenant: Annotated[str, typer.Option("--tenant", help="Which tenant's.")] = "",
    subject: Annotated[str, typer.Option("--subject", help="Whom or what a fact is about.")] = "",
    predicate: Annotated[str, typer.Option("--predicate", help="What is said of the subject.")] = "",
    block: Annotated[str, typer.Option("--block", help="The name of a pinned block that the text becomes.")] = "",
    importance: Annotated[float, typer.Option("--importance", min=0.0, max=1.0, help="How much it matters.")] = 0.0,
    store: StoreOption = None,
    agents: AgentsOption = None,
) -> None:
    """Remember something: a fact, whose newer value closes the older one, or a pinned block."""
    now, scope = SystemClock().now(), Scope(tenant, user or account(), agent)
    kind = "core" if block else "fact"
    entry = Entry(
        uuid4().hex, text, scope, kind, account(), "", now, block or subject, predicate, valid_from=0 if block else now,
        importance=importance,
    )  # fmt: skip
    screen = Screen()
    for one in _with(context, store, agents, lambda app: app.memory().keep([entry])):
        if isinstance(one, MemoryKept):
            screen.line(f"{one.entry.id}  {line(one.reason)}")
        elif isinstance(one, MemoryRefused):
            screen.line(f"not remembered: {line(one.reason)}", "yellow")


def forget(  # noqa: PLR0913  a command's own options
    context: typer.Context,
    *,
    entries: Annotated[list[str] | None, typer.Argument(metavar="[ENTRY]...", help="Their ids.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that the options below leave.")] = False,
    user: UserOption = None,
    agent: AgentOption = None,
    tenant: TenantOption = None,
    erase: Annotated[bool, typer.Option("--erase", help="Also from the runs that it stems from.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    store: StoreOption = None,
    agents: AgentsOption = None,
) -> None:
    """Forget entries for good: text, vectors and index rows are gone from the file's bytes when the command ends."""
    if bool(entries) == everything:
        raise ConfigurationError("name the entries to forget, or say --all")
    screen = Screen()

    async def forgotten(app: App) -> Code:
        ids = entries or [entry.id for entry in await _entries(app, user, agent, tenant, closed=True)]
        if not yes and not await sure(screen, f"Forget {count(len(ids), 'entry').replace('entrys', 'entries')}, for good?"):
            screen.note("nothing was forgotten")
            return Code.USAGE
        gone = await app.memory().forget(ids, by=account(), reason="by command", erase=erase)
        screen.line(f"{gone} forgotten")
        return Code.DONE

    raise typer.Exit(_with(context, store, agents, forgotten))


def export(  # noqa: PLR0913  a command's own options
    context: typer.Context,
    *,
    user: UserOption = None,
    agent: AgentOption = None,
    tenant: TenantOption = None,
    lines: Annotated[bool, typer.Option("--lines", help="JSON Lines of whole entries, facts and blocks too.")] = False,
    store: StoreOption = None,
    agents: AgentsOption = None,
) -> None:
    """Print what is remembered as JSON: a list of session_id, timestamp, role and content, oldest first."""
    found = _with(context, store, agents, lambda app: _entries(app, user, agent, tenant, closed=True))
    for text in json_lines(found) if lines else [turns(found)]:
        sys.stdout.write(f"{text}\n")


def import_(  # noqa: PLR0913  a command's own options
    context: typer.Context,
    *,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `export` printed, in either form; - for standard input.")],
    agent: OfAgent,
    user: OwnerOption = "",
    tenant: Annotated[str, typer.Option("--tenant", help="Which tenant's.")] = "",
    store: StoreOption = None,
    agents: AgentsOption = None,
) -> None:
    """Remember what a file holds. What is there already is not kept twice."""
    text = sys.stdin.read() if str(file) == "-" else _read(file)
    entries = entries_of(text, Scope(tenant, user or account(), agent))

    async def kept(app: App) -> Counter[str]:
        told: Counter[str] = Counter()
        for entry in entries:  # one by one, for each may repeat what was kept just before
            for one in await app.memory().keep([entry]):
                told["kept" if isinstance(one, MemoryKept) else getattr(one, "reason", "")] += 1
        return told

    screen = Screen()
    for reason, number in sorted(_with(context, store, agents, kept).items()):
        screen.line(f"{number:>7,}  {line(reason)}")


def stats(
    context: typer.Context,
    *,
    json: JsonOption = False,
    store: StoreOption = None,
    agents: AgentsOption = None,
) -> None:
    """Count what is remembered, by scope and kind."""
    found = _with(context, store, agents, lambda app: _entries(app, None, None, None, closed=True))
    counted = Counter((entry.scope, entry.kind) for entry in found)
    screen = Screen()
    for (scope, kind), number in sorted(counted.items(), key=str):
        if json:
            screen.json({**msgspec.structs.asdict(scope), "kind": kind, "entries": number})
        else:
            whose = (scope.agent, scope.user, scope.tenant, *([f"session {scope.session}"] if scope.session else []))
            screen.line(f"{number:>7,}  {kind:<8} {'  '.join(line(one) or '-' for one in whose)}")
    if not counted:
        screen.note("nothing is remembered")


def audit(
    context: typer.Context,
    *,
    json: JsonOption = False,
    store: StoreOption = None,
    agents: AgentsOption = None,
) -> None:
    """Say what is wrong with it: duplicates, contradictions, what has expired, is stale, was never used, is untrusted."""
    found = _with(context, store, agents, lambda app: _entries(app, None, None, None))
    screen, told = Screen(), list(findings(found, SystemClock().now()))
    for word, entry in told:
        if json:
            screen.json({"finding": word, "entry": entry.id})
        else:
            screen.line(f"{word:<13} {line(entry.id)}  {short(entry.text, 200)}")
    if not told:
        screen.note("nothing is wrong")


def consolidate(  # noqa: PLR0913  a command's own options
    context: typer.Context,
    *,
    model: Annotated[
        str, typer.Option("--model", metavar="PROVIDER:NAME", help="The model that reads. [SUREFOOT_MODEL, …]")
    ] = "",
    user: UserOption = None,
    agent: AgentOption = None,
    tenant: TenantOption = None,
    budget: Annotated[int, typer.Option("--tokens", min=1, help="Stop once so many tokens are spent.")] = 100_000,
    store: StoreOption = None,
    agents: AgentsOption = None,
) -> None:
    """Have a model write facts and summaries of conversations. Originals stay; what was read is not read again."""

    async def done(app: App) -> Counter[str]:
        return await read(app, consolidator(model or None), await _entries(app, user, agent, tenant), budget)

    screen = Screen()
    for what, number in sorted(_with(context, store, agents, done).items()):
        screen.line(f"{number:>7,}  {what}")


async def _entries(
    app: App, user: str | None, agent: str | None, tenant: str | None, *, kinds: Sequence[str] = KINDS, closed: bool = False
) -> list[Entry]:
    return await entries(app.memory(), {"user": user, "agent": agent, "tenant": tenant}, kinds=kinds, closed=closed)


def _print(entries: Sequence[Entry], *, json: bool) -> None:
    screen = Screen()
    for entry in entries:
        if json:
            screen.json(msgspec.to_builtins(entry))
        else:
            who = line(entry.author) if entry.kind == "episode" else f"{entry.kind} {line(entry.subject)}".strip()
            screen.line(f"{line(entry.id)}  {moment(entry.time)[:16]}  {who}: {short(entry.text, 300)}")
    if not entries:
        screen.note("nothing is remembered")


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{file} cannot be read: {error}") from None


def _with(context: typer.Context, store: str | None, agents: str | None, work: Callable[[App], Awaitable[Any]]) -> Any:  # noqa: ANN401  what it gives
    async def done() -> Any:  # noqa: ANN401  what it gives
        async with place_of(context, store, agents).reading() as app:
            return await work(app)

    return complete(done())
