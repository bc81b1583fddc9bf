"""What users call: start runs, wait for them, decide what they ask, follow what they do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from types import TracebackType
from typing import Any, Literal, Self, Unpack, overload

from typing_extensions import TypeVar

from surefoot.approvals.layers import PolicyChoice
from surefoot.approvals.queue import RolesOf
from surefoot.core import events as ev
from surefoot.core.agent import Agent, check_limits
from surefoot.core.errors import ConfigurationError, RunError, UnknownEvent
from surefoot.core.memory import Memory
from surefoot.core.model import Delta
from surefoot.core.ports import Clock, RunRow, Sink, Store
from surefoot.core.ports import Memory as MemoryPort
from surefoot.core.request import Request
from surefoot.core.run import Run, run_of
from surefoot.core.state import ENDED, State, fold
from surefoot.core.values import Limits, Spent
from surefoot.engine.worker import Settings as WorkerSettings
from surefoot.engine.worker import Worker
from surefoot.gating import check_run
from surefoot.recovery.options import Recovery
from surefoot.runs import desk, rewind
from surefoot.runs.decisions import DecideOptions, Decisions
from surefoot.runs.following import below, child, driven, follow, merged, soon, stopped
from surefoot.runs.home import Home
from surefoot.runs.intake import Input, ListOptions, RunOptions, add, deadline_of, ended_before, inherited, query_of, storable
from surefoot.runs.roster import Roster
from surefoot.runs.sessions import Sessions
from surefoot.settings import Settings

__all__ = ["App"]

Out = TypeVar("Out", default=Any)
T = TypeVar("T")
Records = list[ev.Record]


class App:
    """Agents on a store.

    Args:
        store: ``"sqlite:path"``, ``"memory:"``, or an object that is a Store.
        agents: the agents whose runs this process drives; `run` adds the ones it is given.
        settings: `Settings`; from ``SUREFOOT_…`` variables when not given.
        approve: called with each question of a run that waits; True, False, or None to leave it open.
        policy: what may run unasked: Cedar text, a Path to it, ``Lists(allow=…, ask=…, deny=…)``, several of these, or a
            Policy of your own; where no rule speaks, what is not unsafe.
        clock: time, for tests.
        telemetry: where runs show themselves, beside what the settings ask for: each a Sink.
        recovery: what failures are, and when breakers open.
        roles: who has which roles, as a mapping or a function of the name; from ``SUREFOOT_ROLES`` when not given.

    Opens on first use, or with ``async with``. Belongs to the event loop it was opened on; from anywhere else, use
    `run_sync`.
    """

    def __init__(  # noqa: PLR0913  what an application is made of
        self,
        store: str | Store = "sqlite:surefoot.db",
        *,
        agents: Sequence[Agent[Any, Any]] = (),
        settings: Settings | None = None,
        approve: desk.Approve | None = None,
        policy: PolicyChoice | None = None,
        clock: Clock | None = None,
        telemetry: Sequence[Sink] = (),
        recovery: Recovery | None = None,
        roles: Mapping[str, Sequence[str]] | RolesOf | None = None,
    ) -> None:
        from surefoot.wiring import assemble  # with it come stores and providers: on first need, so that importing is quick

        self._parts = assemble(store, settings, clock, policy, telemetry, recovery)
        self._approve, self.policy = approve, self._parts.policy
        parts = self._parts
        self._roster = Roster(self._parts.plan_of, self._parts.check_policies)
        self._decisions = Decisions(parts.store, parts.clock, parts.policy, self._roster.plan, parts.roles(roles))
        self._home = Home(parts.store, parts.live, self._hire, parts.farewell, parts.settings.grace)
        for agent in agents:
            self._roster.name(agent)

    @property
    def store(self) -> Store:
        """The store, for tools that care for it."""
        return self._parts.store

    def memory(self, settings: Memory = Memory()) -> MemoryPort:  # noqa: B008  frozen
        """The long-term memory of agents with these settings; of every scope, so give yours with each question."""
        return self._parts.memory(settings)

    @property
    def agents(self) -> Mapping[str, Agent[Any, Any]]:
        """The agents by name."""
        return self._roster.agents

    @property
    def sessions(self) -> Sessions:
        """Conversations: `list`, `get`, `show`, `rename`, `fork`, `export` and `delete` them."""
        return Sessions(self._parts.store, self._parts.clock, self._parts.owner, self.open)

    # ── opening and closing ─────────────────────────────────────────────────────────────────────────────────────────

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    async def open(self) -> None:
        """Open the store and begin to work. Raises what is wrong with an agent or the store. Twice is no error; while the
        application closes, this waits until it has, and opens it again.
        """
        await self._working()

    async def close(self) -> None:
        """Let runs in work go on for `Settings.grace` seconds, then leave them to another worker, and close the store."""
        await self._home.close()

    def run_sync(self, awaitable: Awaitable[T]) -> T:
        """Run anything of this application from a script or a notebook, and wait for it: on the loop the application was
        opened on, else on a thread of its own. Raises RunError on that loop itself, where waiting would never end.
        """
        return self._home.wait_for(awaitable)

    # ── starting and waiting ────────────────────────────────────────────────────────────────────────────────────────

    @overload
    async def run(self, agent: Agent[Any, Out], prompt: Input = "", **options: Unpack[RunOptions]) -> Run[Out]: ...

    @overload
    async def run(self, agent: str, prompt: Input = "", **options: Unpack[RunOptions]) -> Run[Any]: ...

    async def run(self, agent: Agent[Any, Any] | str, prompt: Input = "", **options: Unpack[RunOptions]) -> Run[Any]:
        """Start a run and wait until it ends, or waits for a human. The same ``id`` continues the run it named before.

        Raises RunConflict when that run has another agent, session or input; UnknownAgent; ConfigurationError; TypeError for
        an option that `RunOptions` does not have.
        """
        row = await self._add(agent, prompt, options)
        return await self._wait(row.id, row.agent)

    @overload
    async def start(self, agent: Agent[Any, Out], prompt: Input = "", **options: Unpack[RunOptions]) -> Run[Out]: ...

    @overload
    async def start(self, agent: str, prompt: Input = "", **options: Unpack[RunOptions]) -> Run[Any]: ...

    async def start(self, agent: Agent[Any, Any] | str, prompt: Input = "", **options: Unpack[RunOptions]) -> Run[Any]:
        """Start a run and return at once; it is worked on in the background."""
        row = await self._add(agent, prompt, options)
        run: Run[Any] = await self.get(row.id)
        if not run.ended:
            (await self._working()).take(row.id, row.agent)
        return run

    async def stream(
        self, agent: Agent[Any, Any] | str, prompt: Input = "", **options: Unpack[RunOptions]
    ) -> AsyncGenerator[ev.Record | Delta]:
        """Start a run and follow it: its events, and pieces of its text between them, until it ends or waits."""
        row = await self._add(agent, prompt, options)
        deltas, records = self._parts.live.subscribe(row.id), follow(self._parts.store, row.id, until="end")
        async for item in merged(deltas, records, rest=lambda: self._rest(row.id, row.agent)):
            yield item

    async def _rest(self, run_id: str, agent: str) -> int:
        """Work on a run until it rests, as `wait` does; the sequence number at which it does."""
        while True:
            await self._wait(run_id, agent)
            state = fold(await self._parts.store.read(run_id))
            if state.status in (*ENDED, "waiting"):  # else somebody was quick to answer
                return state.seq

    async def wait(self, run: Run[Out] | str) -> Run[Out]:
        """Wait until a run ends, or waits for a human. Raises UnknownEvent when only a newer surefoot can go on with it."""
        if isinstance(run, Run):
            return await self._wait(run.id, run.agent)
        row = await self._parts.store.get(await self._id(run))
        return await self._wait(row.id, row.agent)

    async def _wait(self, run_id: str, agent: str) -> Run[Any]:
        worker = await self._working()
        with worker.changes(run_id) as changed:
            while True:
                changed.clear()
                own = await driven(worker.kick(run_id, agent), run_id)
                state = own or fold(await self._parts.store.read(run_id))
                if state.unknown_tag:
                    raise UnknownEvent(state.unknown_tag, run_id)
                if state.status in ENDED:
                    return await self._seen(state)
                if state.status == "waiting" and (await self._parts.store.get(run_id)).status == "waiting":
                    seen = await self._seen(state)
                    if own is None and await self._asked(seen.waiting):
                        continue
                    if seen.waiting:
                        return seen
                    for child in await below(self._parts.store, run_id):
                        worker.take(child.id, child.agent)
                await soon(changed, self._parts.settings.poll)

    async def get(self, run: Run[Out] | str) -> Run[Out]:
        """A run as it stands, by its id or by the id its caller gave it. Raises RunNotFound."""
        await self.open()
        return await self._seen(fold(await self._parts.store.read(await self._id(run))))

    async def list(self, **query: Unpack[ListOptions]) -> list[Run[Any]]:
        """Runs that match, newest first."""
        await self.open()
        return [await self._seen(state) for state in await desk.listed(self._parts.store, query_of(query))]

    async def resume(
        self,
        run: Run[Out] | str,
        *,
        by: str = "",
        limits: Limits | None = None,
        deadline: datetime | timedelta | float | None = None,
    ) -> Run[Out]:
        """Go on with a failed run from where it stood, or work on one that is ready; then as `wait`.

        ``limits`` and ``deadline`` take the place of those it had. Raises RunError for a cancelled run, UnknownAgent.
        """
        row = await self._parts.store.get(await self._id(run))
        if limits is not None:
            check_limits(limits, "a run")
        self._parts.check_price(self._roster.plan_of(row.agent), limits)
        until = deadline_of(self._parts.clock, deadline)
        await desk.resumed(self._parts.store, row.id, ev.RunResumed(by, limits, until))
        return await self.wait(row.id)

    async def fork(
        self, run: Run[Any] | str, *, at: int = 0, agent: Agent[Any, Any] | None = None, edit: str | None = None
    ) -> Run[Any]:
        """Start a new run that goes on from event ``at`` of another, 0 for its last; it is worked on in the background.

        Calls that had a result by then are not run again. ``agent`` is another agent, or the same with another model;
        ``edit`` takes the place of what that event said (the input, a message, a tool's result). Raises RunError.
        """
        if agent is not None:
            self._roster.add(agent)
        run_id = await self._id(run)
        row = await rewind.fork(self._parts.store, self._parts.clock, run_id, at, agent=agent.name if agent else "", edit=edit)
        if row.agent in self._roster.agents:
            (await self._working()).take(row.id, row.agent)
        return await self.get(row.id)

    async def send(self, run: Run[Any] | str, message: Input, *, by: str = "") -> None:
        """Say something to a run that has not ended; its model reads it before its next step."""
        run_id = await self._id(run)
        parts = await storable(self._parts.store, message)
        if not parts:
            raise ConfigurationError("there is nothing to say: give the message some text, an Image or a File")
        state = await desk.say(self._parts.store, run_id, parts, by)
        await self._take(state)

    async def cancel(self, run: Run[Out] | str, *, by: str = "", reason: str = "") -> Run[Out]:
        """Stop a run and its children. What runs is cut short; what already happened stays recorded."""
        states = await desk.cancel(self._parts.store, await self._id(run), by, reason)
        for state in states:
            (await self._working()).take(state.id, state.agent, queue=False)
        try:
            async with asyncio.timeout(5):
                return await self.wait(states[0].id)
        except TimeoutError:
            return await self.get(states[0].id)

    async def decide(self, request: Request | str, **said: Unpack[DecideOptions]) -> Run[Any]:
        """Answer a question: ``approve=True`` or ``False``, with ``edit={…}`` other arguments, ``answer="…"`` in the tool's
        place, ``ask="…"`` back. Of an unknown outcome, yes means: run it again; no means: give up. See `DecideOptions`.

        Raises RequestNotFound; AlreadyDecided; MayNotDecide; InvalidArguments for an edit; TypeError for what is no decision.
        """
        return await self._settled(self._decisions.decide(request, said))

    async def revoke(self, request: Request | str, *, by: str = "", reason: str = "") -> Run[Any]:
        """Take an approval back that was not used yet, or that holds for more of its run. Raises RequestNotFound."""
        return await self._settled(self._decisions.revoke(request, by, reason))

    async def settle(
        self,
        request: Request | str,
        outcome: Literal["done", "retry", "give_up"],
        *,
        result: str = "",
        by: str = "",
        how: str = "asserted",
        reason: str = "",
    ) -> Run[Any]:
        """Say what became of a call whose outcome is unknown: it was done (with this result), run it again, or give up.

        Raises RequestNotFound; AlreadyDecided; RunError when the question is not about an outcome.
        """
        return await self._settled(self._decisions.settle(request, outcome, by, how, reason, result))

    async def _settled(self, said: Awaitable[State]) -> Run[Any]:
        await self.open()
        state = await said
        await self._take(state)
        return await self._seen(state)

    async def events(self, run: Run[Any] | str, *, after: int = 0) -> Records:
        """A run's events with a sequence number above ``after``."""
        await self.open()
        return await self._parts.store.read(await self._id(run), after)

    async def follow(
        self, run: Run[Any] | str, *, after: int = 0, until: Literal["wait", "end"] = "wait"
    ) -> AsyncGenerator[ev.Record]:
        """A run's events as they happen, whoever works on it, until it ends, or (``until="wait"``) waits for a human."""
        await self.open()
        run_id = await self._id(run)
        async for record in follow(self._parts.store, run_id, after, until):
            yield record

    async def watch(
        self, run: Run[Any] | str, *, after: int = 0, until: Literal["wait", "end"] = "wait"
    ) -> AsyncGenerator[ev.Record | Delta]:
        """As `follow`, with the pieces of the run's text between its events, whichever process works on it."""
        await self.open()
        run_id = await self._id(run)
        records = follow(self._parts.store, run_id, after, until)
        async for item in merged(self._parts.live.subscribe(run_id), records, rest=asyncio.Future):
            yield item

    async def prune(
        self, older_than: timedelta | datetime, *, status: Sequence[str] = ("done", "failed", "cancelled")
    ) -> Sequence[str]:
        """Delete runs that ended before a time, for good; their ids."""
        await self.open()
        return await self._parts.store.prune(before=ended_before(self._parts.clock, older_than), status=status)

    async def _add(self, agent: Agent[Any, Any] | str, prompt: Input, options: RunOptions) -> RunRow:
        await self.open()
        return await self._put(agent, prompt, options)

    async def _put(
        self, agent: Agent[Any, Any] | str, prompt: Input, options: RunOptions, parent: ev.RunStarted | None = None
    ) -> RunRow:
        plan = self._roster.plan_of(self._roster.known(agent))
        self._parts.check_price(plan, options.get("limits"))
        check_run(plan, options, self._roster.plans)
        return await add(self._parts.store, self._parts.clock, plan.agent, prompt, options, parent)

    async def _working(self) -> Worker:
        return await self._home.open(self._roster.check)

    def _hire(self) -> Worker:
        """A worker that has begun."""
        parts, settings = self._parts, self._parts.settings
        worker = Worker(
            parts.worked, parts.clock, parts.live, self._roster.plan,
            WorkerSettings(parts.owner, settings.lease, settings.poll, settings.concurrency, settings.adopt),
            children=self._child, stop=partial(stopped, parts.store, self._take),
            answer=lambda state: self._asked(tuple(state.requests.values())),
        )  # fmt: skip
        worker.open(self._roster.plans)
        parts.follow(self._roster.plans)
        return worker

    async def _take(self, state: State) -> None:
        """Work on a run that may be ready, if its agent is known here."""
        if state.agent in self._roster.agents and state.status not in ENDED:
            (await self._working()).take(state.id, state.agent, queue=state.cancel is None)

    async def _id(self, run: Run[Any] | str) -> str:
        """The run's id; a caller's own id is looked up."""
        if isinstance(run, Run):
            return run.id
        await self.open()
        return await desk.named(self._parts.store, run)

    async def _seen(self, state: State) -> Run[Any]:
        plan = self._roster.plan(state.agent)
        waiting = () if state.status in ENDED and not state.requests else await desk.questions(self._parts.store, state)
        return run_of(state, plan.output if plan else None, waiting)

    async def _asked(self, requests: Sequence[Request]) -> bool:
        """Put questions to the `approve` callback; whether it settled any."""
        return self._approve is not None and await self._decisions.put_to(requests, self._approve)

    async def _child(
        self, parent: ev.RunStarted, agent: Agent[Any, Any] | str, prompt: Input, options: dict[str, Any],
        spend: Callable[[str, Spent], None],
    ) -> Run[Any]:  # fmt: skip
        """Run a child for a tool; when it waits, the tool's body stops and is run again once the child has ended."""
        store, worker = self._parts.store, self._home.worker  # also while closing: who opens waits for this very tool
        if worker is None:
            raise RunError("this App was closed while a tool of its was in work; it starts no more runs")
        own = self._roster.plan_of(self._roster.known(agent)).limits
        row = await self._put(agent, prompt, *inherited(parent, options, own))
        return await self._seen(await child(store, worker, row, parent.parent, spend))
