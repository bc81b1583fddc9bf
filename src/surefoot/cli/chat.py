"""`surefoot chat`: talk to an agent."""

from __future__ import annotations

import asyncio
import os
from typing import Annotated, Any
from uuid import uuid4

import typer

from surefoot.app import App
from surefoot.cli.codes import Code
from surefoot.cli.execution import Execution
from surefoot.cli.place import AgentsOption, Place, StoreOption, place_of
from surefoot.cli.questions import account, read_line
from surefoot.cli.screen import Screen
from surefoot.models.local_weights import home

__all__ = ["add"]


def add(program: typer.Typer) -> None:
    """Add the command."""
    program.command("chat")(chat)


def chat(
    context: typer.Context,
    *,
    agent: Annotated[str, typer.Option("--agent", help="Which of the agents; the first by default.")] = "",
    model: Annotated[str, typer.Option("--model", metavar="PROVIDER:NAME", help="The model, over the agent's own.")] = "",
    session: Annotated[str, typer.Option("--session", help="The conversation to go on with.")] = "",
    store: StoreOption = None,
    agents: AgentsOption = None,
) -> None:
    """Talk to an agent."""
    place = place_of(context, store, agents)
    target = place.target()
    definition = target.agent(agent) if agent else target.agents[0]
    if model:
        definition.model = model
    if place.store is None and target.app is None:
        home().mkdir(parents=True, exist_ok=True)
        place = Place(f"sqlite:{home() / 'chat.db'}", place.agents)
    work = _talk(place.working(target, new=True), definition.name, session or uuid4().hex)
    raise typer.Exit(asyncio.run(work))


async def _talk(app: App, agent: str, session: str) -> Code:
    screen, code = Screen(), Code.DONE
    options: dict[str, Any] = {"session": session, "user": account(), "tags": ("chat",)}
    async with app:
        while True:
            if screen.attended:
                screen.ask("> ")
            text = await read_line()
            if text is None:
                return code
            if text.strip():
                code = await Execution(app, screen, stream=True).start(agent, text, options)
                if code == Code.TERMINATED:
                    os._exit(code)
