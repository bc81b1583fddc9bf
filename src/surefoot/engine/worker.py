"""Claim runs, drive them, renew their leases, and give up cleanly."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from functools import partial

from surefoot.core import events as ev
from surefoot.core.errors import Fenced, JournalError
from surefoot.core.ports import Claim, Clock, Live, Store
from surefoot.core.state import ENDED, State, fold
from surefoot.engine.decide import cancelled
from surefoot.engine.drive import drive
from surefoot.engine.family import Families, spent_below
from surefoot.engine.ledger import Ledger
from surefoot.engine.plan import Plan
from surefoot.engine.prepare import Resources, prepare
from surefoot.engine.twins import unsettled
from surefoot.engine.work import Children, Stop, Work

__all__ = ["Settings", "Worker"]

_log = logging.getLogger("surefoot.worker")

#: Seconds between what stirs and the look for due runs.
_GATHER = 0.01

#: Seconds for work that was cut short to write down what it knows.
_LAST = 5.0


@dataclass(frozen=True, slots=True)
class Settings:
    """How a worker behaves. ``lease`` and ``poll`` are in seconds; ``concurrency`` bounds the runs it drives at once."""

    name: str
    lease: float = 30.0
    poll: float = 1.0
    concurrency: int = 1_000
    adopt: bool = True


class Worker:
    """Drives the runs of the agents it knows, in one event loop.

    ``plan`` resolves an agent by name, or gives None for one that this process does not know; ``answer`` is called with
    the state of every run that begins to wait, and says whether it settled anything.
    """

    def __init__(  # noqa: PLR0913  the seams it stands between
        self,
        store: Store,
        clock: Clock,
        live: Live,
        plan: Callable[[str], Plan | None],
        settings: Settings,
        *,
        children: Children,
        stop: Stop,
        answer: Callable[[State], Awaitable[bool]],
    ) -> None:
        self._store, self._clock, self._live = store, clock, live
        self._plan, self._settings = plan, settings
        self._children, self._stop, self._answer = children, stop, answer
        self._tasks: dict[str, asyncio.Task[State | None]] = {}
        self._all: set[asyncio.Task[State | None]] = set()
        self._queued: dict[str, asyncio.Timeout] = {}
        self._hurried: set[str] = set()
        self._works: dict[str, Work] = {}
        self._families = Families(store, self._works, plan)
        self._slots = asyncio.Semaphore(settings.concurrency)
        self._agent_slots: dict[str, asyncio.Semaphore] = {}
        self._rooms: dict[str, asyncio.Semaphore] = {}
        self._left: set[str] = set()
        self._unreleased: dict[str, int] = {}
        self._waiters: dict[str, set[asyncio.Event]] = {}
        self._stirred = asyncio.Event()
        self._loops: list[asyncio.Task[None]] = []
        self._stop_listening: Callable[[], None] = lambda: None
        self._closing = False

    def open(self, agents: Collection[str]) -> None:
        """Begin to listen, renew leases, and, when the settings say so, take up due runs of these agents; whatever is
        added to ``agents`` later counts too.
        """
        self._stop_listening = self._store.on_commit(self._committed)
        self._loops = [asyncio.create_task(self._renew())]
        if self._settings.adopt:
            self._loops.append(asyncio.create_task(self._adopt(agents)))

    async def close(self, grace: float = 10.0) -> None:
        """Take no more runs, let those in work go on for ``grace`` seconds, then let them go: another worker resumes."""
        self._closing = True
        self._stop_listening()
        for loop in self._loops:
            loop.cancel()
        tasks = list(self._all)
        if tasks:
            await asyncio.wait(tasks, timeout=grace)
        for task in (*tasks, *self._loops):
            task.cancel()
        # A tool that takes no notice of its cancellation is not waited for.
        await asyncio.wait([*tasks, *self._loops], timeout=_LAST)

    def kick(self, run: str, agent: str, *, queue: bool = True) -> asyncio.Task[State | None]:
        """Work on a run now, if it is to be had; the task gives its state when it ended or waits, None when it was not.

        Without ``queue`` it takes no slot of its own: a child runs in its parent's, which waits for it, and a run that is to
        be cancelled has only to be ended.
        """
        if not queue:
            self._hurried.add(run)
            queued = self._queued.get(run)
            if queued is not None and not queued.expired():
                queued.reschedule(0)
        task = self._tasks.get(run)
        if task is None:
            task = self._tasks[run] = asyncio.create_task(self._work(run, agent), name=f"surefoot run {run}")
            self._all.add(task)
            task.add_done_callback(lambda done: self._finished(run, done))
        return task

    def take(self, run: str, agent: str, *, queue: bool = True) -> None:
        """Work on a run now, if it is to be had, and report to nobody."""
        task = self.kick(run, agent, queue=queue)
        task.add_done_callback(_seen)

    @contextmanager
    def changes(self, run: str) -> Iterator[asyncio.Event]:
        """An event that is set at every commit to a run."""
        waiter = asyncio.Event()
        self._waiters.setdefault(run, set()).add(waiter)
        try:
            yield waiter
        finally:
            self._waiters[run].discard(waiter)
            if not self._waiters[run]:
                del self._waiters[run]

    def _finished(self, run: str, task: asyncio.Task[State | None]) -> None:
        self._all.discard(task)
        del self._tasks[run]
        self._hurried.discard(run)
        self._stirred.set()
        if not task.cancelled() and task.exception() is not None:
            _log.error("run %s was let go: %s", run, task.exception())

    # ── one run ─────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _work(self, run: str, agent: str) -> State | None:
        """Drive a run until it ends, or waits for what nobody here can answer; whoever is asked is asked outside its place."""
        plan = self._plan(agent)
        state: State | None = None
        if plan is None and run in self._hurried:
            return await self._end(run)
        while plan is not None and not self._closing and run not in self._left:
            async with self._place(run, agent):
                claim = await self._store.claim(run, self._settings.name, self._settings.lease, plan.digest)
                if claim is None:
                    return state
                state = await self._drive(claim, plan)
            if state is None or state.status != "waiting" or not await self._goes_on(state):
                return state
        return state

    async def _end(self, run: str) -> State | None:
        """End a run that is to be cancelled and whose agent is not known here; None when it is another worker's."""
        claim = await self._store.claim(run, self._settings.name, self._settings.lease)
        if claim is None:
            return None
        ledger = Ledger(self._store, claim, self._clock)
        with suppress(Fenced):
            while (cancel := ledger.state.cancel) and ledger.state.status == "running" and not ledger.state.unknown_tag:
                await ledger.intend(*cancelled(ledger.state, cancel, {}), barrier=True)
        if ledger.state.status == "running":
            await self._let_go(claim)
        return ledger.state

    @asynccontextmanager
    async def _place(self, run: str, agent: str) -> AsyncIterator[None]:
        """Room for a run among those in work; one that is hurried needs none, or no longer waits for it, nor does one whose
        deadline has passed: it has only to be ended.
        """
        async with AsyncExitStack() as place:
            if run not in self._hurried:
                seconds = await self._until(run) if self._crowded else None
                with suppress(TimeoutError):
                    async with asyncio.timeout(seconds) as self._queued[run]:
                        try:
                            # The agent's own cap first: whoever waits for that must not keep other agents' runs waiting.
                            await place.enter_async_context(self._agent_slot(agent))
                            await place.enter_async_context(self._slots)
                        finally:
                            del self._queued[run]
            yield

    async def _until(self, run: str) -> float | None:
        """Seconds until a run's deadline, None for none."""
        deadline = fold(await self._store.read(run)).deadline
        return max(0.0, (deadline - self._clock.now()) / 1e6) if deadline else None

    async def _goes_on(self, state: State) -> bool:
        """Whether a run that has just begun to wait is ready again."""
        if state.requests and await self._answered(state):
            return True
        if not any(call.waits_on for call in state.calls.values()):
            return False
        # A child that ended before its parent began to wait for it leaves the parent ready; see `Journal.append`.
        return (await self._store.get(state.id)).status == "ready"

    async def _answered(self, state: State) -> bool:
        try:
            return await self._answer(state)
        except Exception:
            if state.started is None or not state.started.parent:
                raise
            # Raised into the tool that started the run, it would pass for the tool's own failure.
            _log.exception("nobody could be asked about run %s; its questions stay open", state.id)
            return False

    def _agent_slot(self, agent: str) -> asyncio.Semaphore:
        slot = self._agent_slots.get(agent)
        if slot is None:
            plan = self._plan(agent)
            cap = plan.concurrency if plan else None
            slot = self._agent_slots[agent] = asyncio.Semaphore(cap or self._settings.concurrency)
        return slot

    async def _drive(self, claim: Claim, plan: Plan) -> State | None:
        ledger = Ledger(self._store, claim, self._clock)
        if ledger.state.unknown_tag:
            await self._leave(ledger)
            return None
        work = Work(
            ledger, plan, self._clock, self._live, self._store, partial(unsettled, self._store), self._children, self._stop,
            partial(spent_below, self._store, claim.run), rooms=self._rooms,
        )  # fmt: skip
        self._works[claim.run] = work
        try:
            async with Resources(claim.run) as stack:
                await self._families.join(work)
                if work.state.cancel is not None or await prepare(work, stack, self._store):
                    await drive(work)
            if work.state.unknown_tag:
                await self._leave(ledger)
        except Fenced as fenced:
            _log.warning("%s", fenced)
            return None
        finally:
            work.bodies.close()
            del self._works[claim.run]
            self._families.leave(work)
            if work.state.status == "running":
                await self._let_go(claim)
        return work.state

    async def _leave(self, ledger: Ledger) -> None:
        """Leave a run to a newer worker, and say so."""
        tag, run = ledger.state.unknown_tag, ledger.run
        said = f"the run holds an event {tag!r} of a newer surefoot; left to a newer worker"
        _log.warning("run %s: %s", run, said)
        self._left.add(run)
        await ledger.outcome(ev.RunWarned("newer_event", said, {"tag": tag}))
        await self._store.release(run, ledger.epoch)

    async def _let_go(self, claim: Claim) -> None:
        try:
            await self._store.release(claim.run, claim.epoch)
        except JournalError as error:
            _log.warning("run %s is still held here; it will be let go with the next renewal: %s", claim.run, error)
            self._unreleased[claim.run] = claim.epoch

    # ── the worker's own loops ──────────────────────────────────────────────────────────────────────────────────────

    def _committed(self, stream: str, outside: bool) -> None:
        """Somebody wrote: a run in work may have been cancelled, another may have become due."""
        for waiter in self._waiters.get(stream, ()):
            waiter.set()
        if not outside:
            return
        work = self._works.get(stream)
        if work is not None or stream in self._queued or self._crowded:
            task = asyncio.create_task(self._look(stream, work))
            self._loops.append(task)
            task.add_done_callback(self._loops.remove)
        self._stirred.set()

    @property
    def _crowded(self) -> bool:
        """Whether there is a run that would have to wait for its place."""
        return self._slots.locked() or any(slot.locked() for slot in self._agent_slots.values())

    async def _look(self, run: str, work: Work | None) -> None:
        """Cut a run's work, or its wait for a place, short when it is to be cancelled."""
        # From what is committed: the state may hold an outcome that is on its way, and count it where this event stands.
        try:
            fresh = await self._store.read(run, work.ledger.committed if work else 0)
        except JournalError as error:
            _log.warning("run %s: what others wrote could not be read: %s", run, error)
            return
        if work is None:
            state = fold(fresh)
            mine = run in self._tasks or (self._settings.adopt and self._plan(state.agent) is not None)
            ended = run in self._queued and state.status in ENDED  # by somebody else, while it waited here
            if ended or (state.cancel and state.status == "ready" and mine):
                self.take(run, state.agent, queue=False)
        elif work.state.cancel or any(isinstance(record.event, ev.RunCancelRequested) for record in fresh):
            work.bodies.interrupt()

    async def _renew(self) -> None:
        while True:
            await self._clock.sleep(self._settings.lease / 3)
            if self._works:
                try:
                    for run, epoch in list(self._unreleased.items()):  # or they would be renewed with the others
                        await self._store.release(run, epoch)
                        del self._unreleased[run]
                    await self._store.renew(self._settings.name, self._settings.lease)
                except JournalError as error:
                    _log.warning("leases could not be renewed: %s", error)

    async def _adopt(self, agents: Collection[str]) -> None:
        """Take up what is due, now and whenever something stirs."""
        while True:
            self._stirred.clear()
            pause = self._settings.poll
            try:
                # Runs of an agent that is at its cap would hide those of others.
                runs, at = await self._store.due([agent for agent in agents if not self._agent_slot(agent).locked()])
                for run in runs:
                    if run not in self._tasks and run not in self._left:
                        self.take(run, (await self._store.get(run)).agent)
                if at:
                    pause = min(pause, max(0.0, (at - self._clock.now()) / 1e6))
            except JournalError as error:
                _log.warning("due runs could not be read: %s", error)
            try:
                async with asyncio.timeout(max(pause, 0.01)):
                    await self._stirred.wait()
            except TimeoutError:
                continue
            # What stirs comes in crowds, and whoever starts a run here has it taken up without this.
            with suppress(TimeoutError):
                async with asyncio.timeout(_GATHER):
                    await asyncio.get_running_loop().create_future()


def _seen(task: asyncio.Task[State | None]) -> None:
    """Mark a task's exception as seen; `_finished` has logged it."""
    if not task.cancelled():
        task.exception()
