"""What a line that begins with a slash does in a conversation."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from uuid import uuid4

from surefoot.catalogue import specs
from surefoot.cli.chat_calls import whole
from surefoot.cli.chat_model import Talker
from surefoot.cli.chat_sessions import Hold, Session, opening, sessions
from surefoot.cli.chat_talk import Talk
from surefoot.cli.questions import account
from surefoot.cli.show import branches, lines, tree
from surefoot.cli.story import tell
from surefoot.cli.writing import count, line, moment, short
from surefoot.core.memory import Question, Selection
from surefoot.core.ports import Query
from surefoot.core.recalled import line as remembered
from surefoot.core.run import Run
from surefoot.runs.documents import answerable

__all__ = ["COMMANDS", "Commands"]

#: Runs that `/history` shows, and conversations that `/sessions` lists.
_RUNS = 20
_SESSIONS = 20
#: Entries that `/memory` shows.
_ENTRIES = 20

#: Every command and what it does, as `/help` says it.
COMMANDS: Mapping[str, str] = {
    "/new": "begin a new conversation",
    "/sessions": "list conversations; /sessions N goes on with one",
    "/history": "show this conversation so far",
    "/expand": "show the last tool call whole; /expand N the one numbered N (also Ctrl-O)",
    "/tools": "list what the agent can do",
    "/model": "say which model answers, and why",
    "/memory": "show what is remembered between conversations; /memory WORDS what is about them",
    "/trace": "show all that happened in the last answer",
    "/questions": "ask again what was left open",
    "/retry": "go on with an answer that failed",
    "/help": "say all this",
    "/quit": "leave; the next chat goes on from here",
}


class Commands:
    """The commands of one conversation.

    Args:
        talk: the conversation.
        talker: its model.
        hold: keeps other chats out of it.
    """

    def __init__(self, talk: Talk, talker: Talker, hold: Hold) -> None:
        self._talk, self._talker, self._hold = talk, talker, hold
        self._screen = talk.screen
        self._listed: list[Session] = []
        self._run: Mapping[str, Callable[[str], Awaitable[None]]] = {
            "/new": self._new, "/sessions": self._sessions, "/history": self._history, "/expand": self.expand,
            "/tools": self._tools, "/model": self._model, "/memory": self._memory, "/trace": self._trace,
            "/questions": self._questions, "/retry": self._retry, "/help": self._help,
        }  # fmt: skip

    async def do(self, text: str) -> bool:
        """Do what a line says, its command perhaps shortened; False when it says to leave."""
        name, _, argument = text.strip().partition(" ")
        meant = [name] if name in COMMANDS else [each for each in COMMANDS if each.startswith(name) and name != "/"]
        if meant == ["/quit"] or name == "/exit":
            return False
        command = self._run.get(meant[0]) if len(meant) == 1 else None
        if command is None:
            self._screen.note(
                f"there is no command {line(name)}; /help lists them, and a space before the slash makes it a message", "yellow"
            )
        else:
            await command(argument.strip())
        return True

    async def _new(self, argument: str) -> None:
        self._talk.session = uuid4().hex
        self._talk.last = None
        self._hold.take(self._talk.session)
        self._screen.note("a new conversation; /sessions lists the others")

    async def _sessions(self, argument: str) -> None:
        if argument:
            await self._go_to(argument)
            return
        talk, screen = self._talk, self._screen
        self._listed = (await sessions(talk.app, talk.agent.name, account()))[:_SESSIONS]
        for number, session in enumerate(self._listed, 1):
            mark = "*" if session.id == talk.session else " "
            said = short(await opening(talk.app, session), max(20, screen.room - 40))
            screen.line(f"{mark}{number:>2} {moment(session.last)[:16]} {count(len(session.runs), 'message'):>11}  {said}")
        if not self._listed:
            screen.line("no conversation yet: say something")

    async def _go_to(self, argument: str) -> None:
        talk = self._talk
        listed = self._listed or await sessions(talk.app, talk.agent.name, account())
        chosen = argument
        if argument.isdigit() and 0 < int(argument) <= len(listed):
            chosen = listed[int(argument) - 1].id
        elif argument not in [session.id for session in listed]:
            self._screen.note(f"there is no conversation {line(argument)}; /sessions lists them", "yellow")
            return
        if chosen != talk.session and not self._hold.take(chosen):
            self._hold.take(talk.session)
            self._screen.note("another chat has that conversation open", "yellow")
            return
        talk.session, talk.last = chosen, None
        await self._history("")
        await talk.pick_up()

    async def _history(self, argument: str) -> None:
        rows = await self._talk.app.store.find(Query(session=self._talk.session, user=account(), limit=_RUNS + 1))
        if len(rows) > _RUNS:
            self._screen.line(f"… the last {_RUNS} messages of this conversation:", "dim")
        for row in reversed(rows[:_RUNS]):
            await self._talk.replay(row.id)
        if not rows:
            self._screen.line("nothing was said yet")

    async def expand(self, argument: str = "") -> None:
        """Show a call whole: the last one, or the one of this number."""
        number = int(argument) if argument.isdigit() else 0
        call = self._talk.calls.numbered(number)
        if call is None:
            self._screen.note(f"there is no call {line(argument)}" if argument else "no tool was called yet", "yellow")
            return
        story = tell(await self._talk.app.events(call.run))
        for text in whole(call, story.calls[call.id]):
            self._screen.line(text)

    async def _tools(self, argument: str) -> None:
        found = await specs(self._talk.agent)
        for spec in found:
            asks = ", asks first" if spec.effect == "unsafe" else ""
            self._screen.line(f"{line(spec.name)} ({spec.effect}{asks})", "cyan")
            self._screen.line(f"    {short(spec.description.partition('. ')[0], 400)}")
        if not found:
            self._screen.line(f"{line(self._talk.agent.name)} has no tools")

    async def _model(self, argument: str) -> None:
        if argument:
            self._screen.note(f"leave, and come back with: surefoot chat --model {line(argument)}", "yellow")
        self._screen.line(f"{self._talker.name}: {self._talker.why}")
        if self._talker.better:
            self._screen.line(self._talker.better)

    async def _memory(self, argument: str) -> None:
        talk = self._talk
        settings = talk.agent.memory
        if settings is None:
            self._screen.line("this agent has no long-term memory; within a conversation, everything is kept: /history")
            return
        memory = talk.app.memory(settings)
        scope = settings.scope(tenant="", user=account(), agent=talk.agent.name, session=talk.session)
        if argument:
            found = [hit.entry for hit in await memory.recall(Question(argument, scope, _ENTRIES))]
        else:
            found = (await memory.find(Selection(scope, limit=_ENTRIES)))[::-1]
        for entry in found:
            self._screen.line(short(remembered(entry)[2:], 400))
        if not found:
            self._screen.line("nothing is remembered about that" if argument else "nothing is remembered yet")

    async def _trace(self, argument: str) -> None:
        run = self._talk.last or await self._latest()
        if run is None:
            self._screen.line("nothing was said yet")
            return
        run = await self._talk.app.get(run.id)
        story = tell(await self._talk.app.events(run.id))
        if self._screen.terminal:
            self._screen.show(tree(branches(story, run)))
        else:
            for text in lines(story, run):
                self._screen.line(text)

    async def _questions(self, argument: str) -> None:
        talk, asked = self._talk, False
        for row in reversed(await talk.app.store.find(Query(session=talk.session, user=account(), limit=_RUNS))):
            run: Run[Any] = await talk.app.get(row.id)
            if answerable(run) and row.agent in talk.app.agents:
                asked = True
                await talk.go_on(run.id)
        if not asked:
            self._screen.line("nothing is open")

    async def _retry(self, argument: str) -> None:
        run = self._talk.last or await self._latest()
        if run is None or run.status != "failed":
            self._screen.note("the last answer did not fail", "yellow")
            return
        await self._talk.go_on(run.id, self._talk.app.resume(run.id, by=account()))

    async def _help(self, argument: str) -> None:
        width = max(map(len, COMMANDS))
        for name, meaning in COMMANDS.items():
            self._screen.line(f"{name:<{width}}  {meaning}")
        self._screen.line(
            "Alt-Enter begins another line, the up arrow brings back what was said before, Ctrl-C stops an answer.", "dim"
        )

    async def _latest(self) -> Run[Any] | None:
        rows = await self._talk.app.store.find(Query(session=self._talk.session, user=account(), limit=1))
        return await self._talk.app.get(rows[0].id) if rows else None
