"""A conversation: each message is a run of one session, watched, asked about and, on Ctrl-C, cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import aclosing
from typing import Any
from uuid import uuid4

from surefoot.app import App
from surefoot.cli.chat_calls import Calls
from surefoot.cli.chat_line import Broken, Lines
from surefoot.cli.chat_questions import ask
from surefoot.cli.chat_screen import ChatScreen
from surefoot.cli.chat_sessions import TAG
from surefoot.cli.chat_watch import Watch
from surefoot.cli.needs import work_on_needs
from surefoot.cli.questions import account, how_to_decide
from surefoot.cli.show import answer
from surefoot.cli.words import failure, parts_text
from surefoot.cli.writing import block, line
from surefoot.core import events as ev
from surefoot.core.agent import Agent
from surefoot.core.model import Delta
from surefoot.core.ports import Query
from surefoot.core.run import Run
from surefoot.core.state import ENDED
from surefoot.runs.documents import answerable
from surefoot.runs.intake import RunOptions

__all__ = ["Talk"]

Items = AsyncGenerator[ev.Record | Delta]


class Talk:
    """One conversation with one agent.

    Args:
        app: open, with the agent among its own.
        agent: who answers.
        screen: where it is written.
        lines: where messages and answers to questions come from.

    Attributes:
        session: the session's id; set it to go on with another.
        calls: the numbered calls that were shown.
        last: the run that was worked on last, as it stood then.
    """

    def __init__(self, app: App, agent: Agent[Any, Any], screen: ChatScreen, lines: Lines) -> None:
        self.app, self.agent, self.screen, self.lines = app, agent, screen, lines
        self.session = ""
        self.calls = Calls()
        self.last: Run[Any] | None = None
        self._stop: Callable[[], object] | None = None
        self._watch = self._watcher()
        self._key = ""

    def interrupt(self) -> bool:
        """Stop what is being done; False when nothing is."""
        if self._stop is None:
            return False
        self._stop()
        return True

    async def say(self, text: str) -> bool:
        """Give the agent a message, and stay with the run until it has ended, or waits and nobody answers.

        False when it was interrupted.
        """
        self._key = f"chat-{uuid4().hex}"
        self._watch = self._watcher()
        options = RunOptions(session=self.session, user=account(), tags=(TAG,), id=self._key)

        async def begin() -> None:
            items = self.app.stream(self.agent.name, text, **options)
            self._watch.item(await anext(items))
            await self._work(items)

        return await self._attended(begin)

    async def go_on(self, run: str, wait: Awaitable[Run[Any]] | None = None) -> None:
        """Stay with a run that exists; what it has done already is not shown again. ``wait`` works on it another way."""
        records = await self.app.events(run)
        self._watch = self._watcher(run, records[-1].seq)
        self._watch.number(records)

        async def begin() -> None:
            await self._work(await self._again(), wait)

        await self._attended(begin)

    async def pick_up(self) -> None:
        """Go on with the runs of the conversation that have not ended, the oldest first."""
        query = Query(session=self.session, user=account(), status=("ready", "running", "waiting"))
        for row in reversed(await self.app.store.find(query)):
            if row.agent not in self.app.agents:
                self.screen.note(f"run {row.id} is {row.status}, and its agent {line(row.agent)} is not here", "yellow")
                continue
            said = (await self.app.events(row.id))[0].event
            self.screen.note(f"going on with what was {row.status} when the last chat ended:")
            if isinstance(said, ev.RunStarted):
                self.screen.note(f"> {block(parts_text(said.input))}", "bold")
            await self.go_on(row.id)

    async def replay(self, run: str) -> None:
        """Show a run again: what was said, its calls, its texts."""
        records = await self.app.events(run)
        watch = Watch(self.screen, self.calls, stream=True, run=run, live=False)
        for record in records:
            if isinstance(record.event, ev.RunStarted):
                self.screen.line(f"> {parts_text(record.event.input)}", "bold")
            watch.item(record)

    # ── one run ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _watcher(self, run: str = "", seen: int = 0) -> Watch:
        stream = self.screen.terminal and self.agent.output is str
        return Watch(self.screen, self.calls, stream=stream, run=run, seen=seen)

    async def _attended(self, begin: Callable[[], Coroutine[Any, Any, None]]) -> bool:
        """Do it; Ctrl-C, as a signal or as a key, cancels the run, and then this is False."""
        work = asyncio.create_task(begin())
        self._stop = work.cancel
        try:
            with self.screen.quiet():
                await asyncio.wait({work})
                if work.cancelled() or isinstance(work.exception(), Broken):
                    await self._cancel()
                    return False
                work.result()
        finally:
            self._stop = None
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
            self.screen.end()
        return True

    async def _work(self, items: Items, wait: Awaitable[Run[Any]] | None = None) -> None:
        run = await self._follow(items, wait)
        while answerable(run) and self.screen.attended:
            if not await ask(self.app, self.screen, self.lines, run):
                break
            run = await self._follow(await self._again())
        self._report(run)

    async def _follow(self, items: Items, wait: Awaitable[Run[Any]] | None = None) -> Run[Any]:
        """Wait for the run, show meanwhile what it does, and work on what it waits for."""
        tasks = [asyncio.create_task(self._show(items))]
        tasks += [asyncio.create_task(work_on_needs(self.app, self.screen, self._watch.run))]
        try:
            run = await (wait or self.app.wait(self._watch.run))
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for record in await self.app.events(run.id, after=self._watch.seen):
            self._watch.item(record)
        self.screen.end()
        self.last = run
        return run

    async def _show(self, items: Items) -> None:
        async with aclosing(items):
            async for item in items:
                self._watch.item(item)

    async def _again(self) -> Items:
        """What a run that exists does from here on: with the pieces of its text where this chat, or an earlier one, began it."""
        run: Run[Any] = await self.app.get(self._watch.run)
        first = (await self.app.events(run.id))[0].event
        if not isinstance(first, ev.RunStarted) or not first.key.startswith("chat-"):
            return self._records(run.id)
        options = RunOptions(session=first.session, user=first.user, tenant=first.tenant, id=first.key)
        # The same id continues the same run.
        return self.app.stream(run.agent, first.input, **options)

    async def _records(self, run: str) -> Items:
        async with aclosing(self.app.follow(run, after=self._watch.seen)) as records:
            async for record in records:
                yield record

    def _report(self, run: Run[Any]) -> None:
        screen = self.screen
        if run.status == "done":
            text = answer(run)
            if text != self._watch.said:
                screen.line(text)
        elif run.error is not None and run.ended:
            screen.note(f"{run.status}: {failure(run.error)}", "red")
            if run.status == "failed" and screen.attended:
                screen.note("/retry goes on from where it stood")
        if answerable(run) and screen.attended:
            screen.note("left open; /questions asks it again", "yellow")
        elif answerable(run):
            for told in how_to_decide(run):
                screen.note(told, "yellow")

    # ── Ctrl-C ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _cancel(self) -> None:
        screen = self.screen
        name = self._watch.run or await self._begun()
        screen.end()
        if not name:
            screen.note("interrupted before anything was done", "yellow")
            return
        screen.status("cancelling … (Ctrl-C again leaves it as it is)")
        stop = asyncio.create_task(self.app.cancel(name, by=account(), reason="Ctrl-C in the chat"))
        self._stop = stop.cancel
        await asyncio.wait({stop})
        run = await self.app.get(name) if stop.cancelled() else stop.result()
        for record in await self.app.events(name, after=self._watch.seen):
            self._watch.item(record)
        self.last = run
        if run.ended:
            screen.note(f"{run.status}; what was done before stays done", "yellow")
        else:
            screen.note(f"asked to stop, and still {run.status}; /new begins another conversation meanwhile", "yellow")
        if answerable(run):
            self._report(run)

    async def _begun(self) -> str:
        """The run of the last message, if it was written down before it was interrupted."""
        rows = await self.app.store.find(Query(key=self._key, user=account(), limit=1))
        return rows[0].id if rows and rows[0].status not in ENDED else ""
