"""What connects a tool's body to its run: progress and spans go out, child runs come in."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from surefoot.core import events as ev
from surefoot.core.errors import ConfigurationError
from surefoot.core.tool import ToolContext, silent
from surefoot.core.tracing import span_id
from surefoot.core.values import Spent
from surefoot.engine.outcomes import checked
from surefoot.engine.work import Work

__all__ = ["Link", "context_of"]

#: What a call has used that started no run.
_NOTHING = Spent()


class Link:
    """One attempt's way to its run, safe to use from the tool's thread."""

    __slots__ = ("_call", "_children", "_closed", "_events", "_task", "_used", "_work")

    def __init__(self, work: Work, call: str) -> None:
        self._work = work
        self._call = call
        self._events: list[ev.Event] = []
        self._task: asyncio.Task[None] | None = None
        self._children = 0
        self._closed = False
        self._used: dict[str, Spent] = {}

    def __call__(self, kind: str, text: str, data: Mapping[str, Any]) -> None:
        """Record progress or a span, in order."""
        event = checked(self._event(kind, text, dict(data)))  # what cannot be stored fails here, in the tool that said it
        if _running_loop() is self._work.loop:
            self._add(event)
        else:
            self._work.loop.call_soon_threadsafe(self._add, event)

    async def run(self, context: ToolContext[Any], agent: Any, prompt: Any, options: dict[str, Any]) -> Any:  # noqa: ANN401  an Agent, its input, its Run
        """Run a child within what is left of this run's limits, for a tool that may be repeated; else ConfigurationError."""
        call = self._work.state.calls.get(self._call)
        # A body that waits for a run is run again from its top, which nobody agreed to where running twice does harm.
        if call is None or call.effect in ("unsafe", "reconcilable"):
            raise ConfigurationError(
                "only a tool that may be repeated can start runs, for its body runs again once the run has ended; "
                f'declare effect="idempotent" (or "read") for {call.name if call else "this tool"!r}, and leave what must '
                "happen once to tools of their own"
            )
        named = {"id": f"{context.idempotency_key}/{self._children}", **options}
        self._children += 1
        # Not the attempt's deadline: a child that waits for a human outlives the body that started it.
        parent = ev.RunStarted(
            context.agent,
            user=context.user,
            tenant=context.tenant,
            parent=context.run_id,
            parent_call=context.call_id,
            trace_id=context.trace_id,
            parent_span=span_id(context.run_id, "call", context.call_id, context.attempt),
            trace_state=context.trace_state,
            trace_dropped=context.trace_dropped,
            limits=self._work.remaining(),
            deadline=self._work.state.deadline,
            policy=self._work.state.started.policy if self._work.state.started else "",
        )
        return await self._work.children(parent, agent, prompt, named, self._used.__setitem__)

    @property
    def open(self) -> bool:
        """Whether a run that the call started may not have ended yet."""
        return self._children > len(self._used)

    async def done(self) -> None:
        """Wait until all that was reported is written; what an abandoned thread says from now on is dropped."""
        self._closed = True
        if self._task is not None:
            await self._task

    async def spent(self) -> Spent | None:
        """What the runs that the call started have used in all; None when it started none."""
        call = self._work.state.call(self._call)
        if not self._children and call.spent == _NOTHING:
            return None
        if call.attempt == 1 and call.spent == _NOTHING and len(self._used) == self._children:
            return sum(self._used.values(), Spent())
        return (await self._work.below()).get(self._call, call.spent)  # some are of other attempts, or still in work

    def _event(self, kind: str, text: str, data: dict[str, Any]) -> ev.Event:
        if kind == "span":
            return ev.SpanStarted(self._call, text, data)
        if kind == "span_end":
            return ev.SpanEnded(self._call, text, str(data.get("error", "")))
        return ev.ToolProgressed(self._call, text, data)

    def _add(self, event: ev.Event) -> None:
        if self._closed:
            return
        self._events.append(event)
        if self._task is None:
            self._task = self._work.loop.create_task(self._write())

    async def _write(self) -> None:
        while self._events:
            events, self._events = self._events, []
            await self._work.ledger.outcome(*events)
        self._task = None


def context_of(
    work: Work,
    call_id: str = "",
    *,
    attempt: int = 1,
    deadline: float | None = None,
    link: Link | None = None,
) -> ToolContext[Any]:
    """What a tool, or a function that renders instructions, is given."""
    state = work.state
    started = state.started
    assert started is not None  # a claimed run has started
    return ToolContext(
        run_id=state.id,
        call_id=call_id,
        agent=state.agent,
        idempotency_key=f"{state.id}:{call_id}",
        fencing_token=work.ledger.epoch,
        attempt=attempt,
        deadline=deadline,
        deps=work.deps,
        context=started.context,
        session=started.session,
        user=started.user,
        tenant=started.tenant,
        trace_id=started.trace_id,
        trace_state=started.trace_state,
        trace_dropped=started.trace_dropped,
        report=link or silent,
        runs=link.run if link else None,
    )


def _running_loop() -> asyncio.AbstractEventLoop | None:
    """The event loop of this thread; a sync tool's thread has none."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
