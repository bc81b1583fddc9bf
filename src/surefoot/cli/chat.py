"""`surefoot chat`: talk to an agent; without one, to a built-in assistant."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4

import typer

from surefoot.app import App
from surefoot.catalogue import specs
from surefoot.cli.assistant import assistant
from surefoot.cli.chat_commands import COMMANDS, Commands
from surefoot.cli.chat_line import Broken, Editor, Lines, Pipe
from surefoot.cli.chat_model import Talker, choose
from surefoot.cli.chat_screen import ChatScreen
from surefoot.cli.chat_sessions import Hold, latest
from surefoot.cli.chat_talk import Talk
from surefoot.cli.codes import Code, code_of_status
from surefoot.cli.loop import complete
from surefoot.cli.place import AgentsOption, StoreOption, place_of
from surefoot.cli.questions import account
from surefoot.cli.target import Target
from surefoot.cli.writing import count, line
from surefoot.core.agent import Agent
from surefoot.core.errors import ConfigurationError, JournalError, SurefootError
from surefoot.core.ports import Query
from surefoot.embed.minilm import MiniLM
from surefoot.models.local import LocalModel
from surefoot.models.local_weights import home
from surefoot.models.lookup import Models

__all__ = ["add"]

#: Seconds that the prompt gets to be shown before work begins in the background.
_SOON = 0.2


def add(program: typer.Typer) -> None:
    """Add the command."""
    program.command("chat")(chat)


def chat(  # noqa: PLR0913  a command's own options
    context: typer.Context,
    *,
    agent: Annotated[str, typer.Option("--agent", help="Which of the agents; the first by default.")] = "",
    model: Annotated[str, typer.Option("--model", metavar="PROVIDER:NAME", help="The model, over the agent's own.")] = "",
    session: Annotated[str, typer.Option("--session", help="The conversation to go on with, or to begin.")] = "",
    folder: Annotated[
        Path | None, typer.Option("--folder", help="What the built-in assistant may read. [the current folder]")
    ] = None,
    store: StoreOption = None,
    agents: AgentsOption = None,
) -> None:
    """Talk to an agent; without one, to a built-in assistant that calculates, tells the time and reads files.

    Ctrl-C stops an answer, Ctrl-D leaves. The next chat goes on where this one was, even when it was killed. In a pipe
    each line is a message of a new conversation.
    """
    place = place_of(context, store, agents)
    if folder is not None and place.named:
        raise ConfigurationError(f"--folder is for the built-in assistant, and {place.named} is none")
    target = place.target() if place.named else Target("the built-in assistant", (assistant(folder or Path()),))
    definition = target.agent(agent) if agent else target.agents[0]
    models = Models(embedder=MiniLM)
    talker = choose(definition, model, models)
    if place.store is None and target.app is None:
        place = replace(place, store=_store())
    chatting = Chatting(place.working(target, new=True), target, definition, talker, session)
    code = complete(chatting.run(models))
    if chatting.hurry:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    raise typer.Exit(code)


def _own() -> Path | None:
    """The folder of this user's conversations; None where it cannot be made or written."""
    folder = home() / "chat"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError:
        return None
    return folder if os.access(folder, os.W_OK | os.X_OK) else None


def _store() -> str:
    """Where conversations are kept when nothing is said of it. Raises ConfigurationError when they cannot be."""
    own = _own()
    if own is None:
        raise ConfigurationError(
            f"{home() / 'chat'} cannot be written; set SUREFOOT_HOME to a folder of yours, or give --store sqlite:PATH"
        )
    return f"sqlite:{own / 'chat.db'}"


class Chatting:
    """One start of the program: an application, an agent with its model, and the conversation that was named, if any."""

    def __init__(self, app: App, target: Target, agent: Agent[Any, Any], talker: Talker, session: str) -> None:
        self._app, self._target, self._agent, self._talker, self._named = app, target, agent, talker, session
        self._screen = screen = ChatScreen()
        own = _own()
        self._hold = Hold(own / "open" if own else None)
        self._lines: Lines = Pipe()
        if screen.attended:
            self._lines = Editor(own / "history" if own else None, COMMANDS, self._expand)
        self._talk = Talk(app, agent, screen, self._lines)
        self._commands = Commands(self._talk, talker, self._hold)
        self._code = Code.DONE
        self._main: asyncio.Task[Any] | None = None
        self._ending = False
        #: Whether a thread is at work that cannot be stopped and that nothing is worth waiting for.
        self.hurry = False

    async def run(self, models: Models) -> Code:
        """Talk until there is nothing more to say; the program's exit code."""
        loop, self._main = asyncio.get_running_loop(), asyncio.current_task()
        loop.add_signal_handler(signal.SIGINT, self._interrupted)
        for number in (signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._leave, Code.TERMINATED)
        warm = asyncio.create_task(self._warm())
        try:
            async with self._app:
                try:
                    await self._begin()
                    await (self._typed() if self._screen.attended else self._piped())
                except asyncio.CancelledError:
                    if self._code == Code.DONE:
                        raise
                finally:
                    self._ending = True
                    self.hurry = warm.cancel()
                await self._part()
        finally:
            self._hold.close()
            await models.aclose()
        return self._code

    # ── what is said ────────────────────────────────────────────────────────────────────────────────────────────────

    async def _begin(self) -> None:
        """Say who answers, and go on with the conversation."""
        screen, talk = self._screen, self._talk
        screen.note(f"{line(self._agent.name)} · {self._talker.name} ({self._talker.why})", "bold")
        if self._talker.better:
            screen.note(self._talker.better)
        others = [line(agent.name) for agent in self._target.agents if agent is not self._agent]
        if others:
            screen.note(f"{self._target.name} also has {', '.join(others)}: --agent NAME")
        if screen.attended:
            screen.note("/help says what else there is; Ctrl-D leaves.")
        talk.session = self._named or (
            await latest(self._app, self._agent.name, account(), self._hold) if screen.attended else ""
        )
        if self._named and not self._hold.take(self._named):
            screen.note("another chat has this conversation open; what is said in both goes into it", "yellow")
        if not talk.session:
            talk.session = uuid4().hex
            self._hold.take(talk.session)
            return
        await self._recall()
        await talk.pick_up()

    async def _recall(self) -> None:
        """Say where the conversation stands."""
        rows = await self._app.store.find(Query(session=self._talk.session, user=account()))
        if rows and self._screen.attended:
            said = count(len(rows), "message")
            which = "this" if self._named else "the last"
            self._screen.note(f"Going on with {which} conversation ({said}); /history shows it, /new begins another.")

    async def _part(self) -> None:
        """Say what is still in work, which holds the program up for a moment."""
        query = Query(session=self._talk.session, user=account(), status=("running",), limit=1)
        for row in await self._app.store.find(query):
            self._screen.note(f"run {row.id} is still in work; the next chat goes on with it. Ctrl-C leaves at once.", "yellow")

    async def _typed(self) -> None:
        warned = False
        while True:
            try:
                text = await self._lines.read("> ", message=True)
            except Broken as broken:
                if broken.empty and warned:
                    return
                warned = broken.empty
                if warned:
                    self._screen.note("Ctrl-C again, or Ctrl-D, leaves")
                continue
            warned = False
            if text is None:
                return
            try:
                if not await self._heard(text):
                    return
            except JournalError:
                raise
            except SurefootError as error:
                self._screen.note(line(str(error)), "red")

    async def _piped(self) -> None:
        while (text := await self._lines.read("")) is not None:
            if not await self._heard(text):
                return
            last = self._talk.last
            if last is not None and self._code == Code.DONE:
                self._code = code_of_status(last.status)

    async def _heard(self, text: str) -> bool:
        """Do what a line says; False when it was the last."""
        if not text.strip():
            return True
        if text.startswith("/"):
            return await self._commands.do(text)
        whole = await self._talk.say(text)
        if not whole and not self._screen.attended:
            self._code = Code.INTERRUPTED
            return False
        return True

    async def _expand(self) -> None:
        await self._commands.expand()

    async def _warm(self) -> None:
        """Load a model that is loaded in this process while the first message is being typed."""
        if isinstance(self._talker.model, LocalModel) and self._screen.attended:
            await asyncio.sleep(_SOON)
            with suppress(SurefootError):  # the first message will say it
                await self._talker.model.warm(await specs(self._agent))

    # ── signals ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _interrupted(self) -> None:
        if self._ending:
            # Something does not stop; the journal has all that was done.
            os._exit(Code.INTERRUPTED)
        if self._talk.interrupt():
            return
        if self._screen.attended:
            self._lines.interrupt()
        else:
            self._leave(Code.INTERRUPTED)

    def _leave(self, code: Code) -> None:
        """End the program; what a run has done stays, and the next chat goes on with it."""
        self._code = code
        if self._main is not None:
            self._main.cancel()
