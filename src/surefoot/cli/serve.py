"""`surefoot serve`, `surefoot worker` and `surefoot token`: agents as a service, and who may use it."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import signal
import socket
from datetime import timedelta
from enum import StrEnum
from typing import Annotated

import typer

from surefoot.approvals.links import Links
from surefoot.cli.codes import Code
from surefoot.cli.configured import ConfigOption, configure
from surefoot.cli.loop import complete
from surefoot.cli.place import AgentsOption, Place, StoreOption, place_of
from surefoot.cli.questions import account
from surefoot.cli.screen import Screen
from surefoot.cli.writing import line, moment
from surefoot.clock import SystemClock
from surefoot.core.errors import ConfigurationError, MissingExtra
from surefoot.runs.ages import period
from surefoot.server.tokens import Tokens
from surefoot.settings import Settings
from surefoot.wiring import slack_of

__all__ = ["add"]


class Role(StrEnum):
    """What a token's owner may do."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    APPROVER = "approver"
    ADMIN = "admin"


def add(program: typer.Typer) -> None:
    """Add the commands."""
    program.command("serve")(serve)
    program.command("worker")(worker)
    group = typer.Typer(no_args_is_help=True, help="Who may use the server.")
    group.command("create")(create)
    group.command("list")(listed)
    group.command("revoke")(revoke)
    program.add_typer(group, name="token")


def serve(
    context: typer.Context,
    *,
    host: Annotated[str | None, typer.Option("--host", help="The address to listen on. [SUREFOOT_HOST, else 127.0.0.1]")] = None,
    port: Annotated[
        int | None, typer.Option("--port", help="The port; 0 takes a free one. [SUREFOOT_PORT, else 8420]", min=0, max=65_535)
    ] = None,
    config: ConfigOption = None,
    store: StoreOption = None,
    agents: AgentsOption = None,
) -> None:
    """Serve the agents over HTTP, with a console for people, and work on their runs.

    Listens on this machine only, unless --host says otherwise; then every caller needs a token (`surefoot token create`).
    SIGTERM lets runs in work go on for SUREFOOT_GRACE seconds, and leaves them to the next process.
    """
    try:
        from surefoot.server.app import create as served
        from surefoot.server.listening import listen
    except ModuleNotFoundError:
        raise MissingExtra("the server", "server") from None
    configure(config)
    host = host or os.environ.get("SUREFOOT_HOST") or "127.0.0.1"
    port = _port(os.environ.get("SUREFOOT_PORT") or "8420") if port is None else port
    place = place_of(context, store, agents)
    if not _loopback(host) and not complete(_any_token(place)):
        raise ConfigurationError(
            f"{line(host)} can be reached from elsewhere, and nobody has a token; make one first: "
            "surefoot token create --role admin --user NAME"
        )
    app, settings = place.working(place.target(), new=True, adopt=True), Settings.from_env()
    screen = Screen()

    async def listening() -> Code:
        with _bound(host, port) as bound:
            address = f"[{host}]" if ":" in host else host
            screen.note(f"listening on http://{address}:{bound.getsockname()[1]} (Ctrl-C stops)")
            await listen(served(app, links=_links(settings), slack=slack_of(settings) if settings.slack_token else None), bound)
        return Code.DONE

    raise typer.Exit(complete(listening()))


def worker(
    context: typer.Context, *, config: ConfigOption = None, store: StoreOption = None, agents: AgentsOption = None
) -> None:
    """Work on the runs of these agents that are due, whoever started them, until SIGTERM or Ctrl-C.

    Runs in work then go on for SUREFOOT_GRACE seconds, and are left to the next process.
    """
    configure(config)
    place = place_of(context, store, agents)
    app = place.working(place.target(), new=True, adopt=True)
    screen = Screen()

    async def working() -> Code:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        async with app:
            screen.note(f"working on runs of {line(', '.join(sorted(app.agents)))} (Ctrl-C stops)")
            await stop.wait()
        return Code.DONE

    raise typer.Exit(complete(working()))


def create(
    context: typer.Context,
    *,
    user: Annotated[str, typer.Option("--user", help="Whose it is: decisions are recorded under this name.")],
    role: Annotated[Role, typer.Option("--role", help="What its owner may do.")],
    tenant: Annotated[str, typer.Option("--tenant", help="Only this tenant's runs; without, all.")] = "",
    lasts: Annotated[str, typer.Option("--lasts", metavar="TIME", help="How long it is good: 12h, 30d. [for ever]")] = "",
    store: StoreOption = None,
) -> None:
    """Make a token, and print its secret, which is shown this once."""
    long: timedelta | None = period(lasts) if lasts else None
    screen = Screen()

    async def made() -> Code:
        async with place_of(context, store).keeping() as app:
            secret = await Tokens(app.store, SystemClock()).create(user, role.value, tenant=tenant, lasts=long, by=account())
        screen.line(secret)
        return Code.DONE

    raise typer.Exit(complete(made()))


def listed(context: typer.Context, *, store: StoreOption = None) -> None:
    """List the tokens that are good now."""
    screen = Screen()

    async def told() -> Code:
        async with place_of(context, store).reading() as app:
            for token in await Tokens(app.store, SystemClock()).all():
                until = f"until {moment(token.expires_at)}" if token.expires_at else "for ever"
                where = f" of {line(token.tenant)}" if token.tenant else ""
                screen.line(f"{token.id}  {token.role:8}  {line(token.user)}{where}  since {moment(token.created_at)}, {until}")
        return Code.DONE

    raise typer.Exit(complete(told()))


def revoke(
    context: typer.Context,
    *,
    token: Annotated[str, typer.Argument(metavar="TOKEN", help="The token's id, as `token list` gives it.")],
    store: StoreOption = None,
) -> None:
    """Make a token good for nothing, at once and everywhere."""

    async def revoked() -> Code:
        async with place_of(context, store).reading() as app:
            await Tokens(app.store, SystemClock()).revoke(token, by=account())
        return Code.DONE

    raise typer.Exit(complete(revoked()))


async def _any_token(place: Place) -> bool:
    async with place.keeping() as app:
        return bool(await Tokens(app.store, SystemClock()).all())


def _links(settings: Settings) -> Links | None:
    """The links that notices hold, where the settings make any."""
    return Links.of_server(settings.url, settings.webhook_secret.encode()) if settings.url and settings.webhook_secret else None


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65_535:
        raise ConfigurationError(f"SUREFOOT_PORT is {line(text)!r}; give it a number from 0 to 65535")
    return int(text)


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _bound(host: str, port: int) -> socket.socket:
    """A socket that listens. Raises ConfigurationError where none may."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise ConfigurationError(f"cannot listen on {line(host)}:{port}: {error.strerror or error}; try another --port") from None
