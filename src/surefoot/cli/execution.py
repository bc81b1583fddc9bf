"""Work on one run in the foreground: watch it, ask its questions, say what became of it, and stop it on Ctrl-C."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from surefoot.app import App
from surefoot.cli.codes import Code, code_of_status
from surefoot.cli.needs import work_on_needs
from surefoot.cli.progress import Progress
from surefoot.cli.questions import account, ask, how_to_decide
from surefoot.cli.screen import Screen
from surefoot.cli.show import answer, totals
from surefoot.cli.words import failure
from surefoot.cli.writing import duration
from surefoot.core.errors import SurefootError
from surefoot.core.events import Record
from surefoot.core.model import Delta
from surefoot.core.run import Run
from surefoot.runs.documents import run_document

__all__ = ["Execution"]

_STOPS = (signal.SIGINT, signal.SIGTERM)


@dataclass(slots=True)
class Execution:
    """One run in the foreground of one command.

    ``json`` prints one object at the end and asks nothing; ``stream`` writes text as it comes.
    """

    app: App
    screen: Screen
    json: bool = False
    stream: bool = False
    run: str = ""
    progress: Progress = field(init=False)

    def __post_init__(self) -> None:
        """A run whose output is read by a program, or is no text, is not streamed."""
        self.progress = Progress(self.screen, stream=self.stream and self.screen.terminal and not self.json, quiet=self.json)

    async def start(self, agent: str, prompt: str, options: dict[str, Any]) -> Code:
        """Start a run, and stay with it."""

        async def begin() -> Run[Any]:
            if not self.screen.terminal:
                started: Run[Any] = await self.app.start(agent, prompt, **options)
                self.run = started.id
                return await self._follow(self.app.wait(started.id))
            async with aclosing(self.app.stream(agent, prompt, **options)) as items:
                async for item in items:
                    self._show(item)
            return await self._follow(self.app.wait(self.run))

        return await self._guarded(begin)

    async def resume(self, run: Run[Any]) -> Code:
        """Go on with a run, and stay with it."""
        self.run = run.id
        records = await self.app.events(run.id)
        self.progress.seen = records[-1].seq
        return await self._guarded(lambda: self._follow(self.app.resume(run.id, by=account())))

    # ── inside ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _guarded(self, begin: Callable[[], Coroutine[Any, Any, Run[Any]]]) -> Code:
        """Do the work; a signal stops it, and says what became of the run."""
        loop, stopped = asyncio.get_running_loop(), asyncio.Queue[signal.Signals]()
        for number in _STOPS:
            loop.add_signal_handler(number, stopped.put_nowait, number)
        work = asyncio.create_task(self._work(begin))
        stop = asyncio.create_task(stopped.get())
        try:
            await asyncio.wait({work, stop}, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                return await work
            # A tool that does not stop must not keep the program from ending: the second signal ends it, whatever goes on.
            for number in _STOPS:
                loop.add_signal_handler(number, self._leave)
            work.cancel()
            await asyncio.wait({work})
            if not work.cancelled():
                return work.result()  # it ended just then
            return await self._stopped(stop.result())
        finally:
            stop.cancel()
            for number in _STOPS:
                loop.remove_signal_handler(number)

    async def _work(self, begin: Callable[[], Coroutine[Any, Any, Run[Any]]]) -> Code:
        run = await begin()
        while run.waiting and self.screen.attended and not self.json:
            if not await ask(self.app, self.screen, run):
                break
            run = await self._follow(self.app.wait(run.id))
        return self._report(run)

    async def _follow(self, wait: Awaitable[Run[Any]]) -> Run[Any]:
        """Wait for the run, show meanwhile what it does, and work on what it waits for."""
        tasks = [asyncio.create_task(self._watch())] if self.run else []
        tasks += [asyncio.create_task(work_on_needs(self.app, self.screen, self.run))] if self.run else []
        try:
            run = await wait
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for record in await self.app.events(run.id, after=self.progress.seen):
            self._show(record)
        self.screen.end()
        return run

    async def _watch(self) -> None:
        async with aclosing(self.app.follow(self.run, after=self.progress.seen, until="end")) as records:
            async for record in records:
                self._show(record)

    def _show(self, item: Record | Delta) -> None:
        if isinstance(item, Delta):
            self.progress.delta(item)
        else:
            self.run = self.run or item.stream
            self.progress.record(item)

    # ── the end ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _report(self, run: Run[Any]) -> Code:
        screen = self.screen
        if self.json:
            screen.json(run_document(run))
            return code_of_status(run.status)
        if run.status == "done":
            text = answer(run)
            if text != self.progress.said:
                screen.line(text)
        elif run.status in ("failed", "cancelled"):
            assert run.error is not None  # whatever ended without an answer says why
            screen.note(f"run {run.id} {run.status}: {failure(run.error)}", "red")
        else:
            for told in how_to_decide(run):
                screen.note(told, "yellow")
        if screen.attended:
            took = duration(run.updated_at - run.created_at)
            screen.note(f"run {run.id} {run.status}: {totals(run)}, {took}")
        return code_of_status(run.status)

    async def _stopped(self, number: signal.Signals) -> Code:
        """Ctrl-C cancels the run; SIGTERM leaves it where it stands, for another process."""
        if not self.run:
            self.screen.note("interrupted before the run had started; nothing was done", "yellow")
        elif number == signal.SIGTERM:
            self.screen.note(f"terminated; run {self.run} keeps what it has done: surefoot resume {self.run}", "yellow")
        else:
            await self._cancel()
        return Code.TERMINATED if number == signal.SIGTERM else Code.INTERRUPTED

    def _leave(self) -> None:
        """End the program at once, as a kill would; the journal has all that was done."""
        self.screen.note(f"left as it is; surefoot resume {self.run} goes on with it", "yellow")
        os._exit(Code.INTERRUPTED)

    async def _cancel(self) -> None:
        if self.screen.attended:
            self.screen.ask("\n")  # the terminal has written ^C where the cursor was
        self.screen.note(f"interrupted: cancelling run {self.run} (Ctrl-C again leaves it as it is)", "yellow")
        try:
            run: Run[Any] = await self.app.cancel(self.run, by=account(), reason="interrupted on the terminal")
        except SurefootError as error:
            self.screen.note(f"run {self.run} could not be cancelled: {error}", "red")
            return
        if self.json:
            self.screen.json(run_document(run))
        verb = "is" if run.ended else "is asked to stop and still"
        self.screen.note(f"run {run.id} {verb} {run.status}: {totals(run)}", "yellow")
        for told in how_to_decide(run):
            self.screen.note(told, "yellow")
