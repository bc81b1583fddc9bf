"""What a run needs before its loop begins: its tools' resources, its instructions, its session's conversation."""

from __future__ import annotations

import inspect
import logging
from contextlib import AbstractAsyncContextManager, AbstractContextManager, AsyncExitStack
from dataclasses import replace
from operator import itemgetter
from types import TracebackType
from typing import Any

from surefoot.core import canonical
from surefoot.core import events as ev
from surefoot.core.messages import Message
from surefoot.core.ports import Query, Store
from surefoot.core.session import conversation
from surefoot.core.state import State, fold
from surefoot.core.values import Failure
from surefoot.engine.bodies import Interrupted, TimeUp
from surefoot.engine.context import estimate
from surefoot.engine.link import context_of
from surefoot.engine.outcomes import text_of_error
from surefoot.engine.plan import Plan
from surefoot.engine.work import Work

__all__ = ["Resources", "prepare"]

_log = logging.getLogger("surefoot.worker")


class Resources(AsyncExitStack):
    """What a run's tools use; trouble in letting go of it is told, and takes nothing back of what the run did."""

    def __init__(self, run: str) -> None:
        super().__init__()
        self._run = run

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> bool:
        try:
            await super().__aexit__(kind, error, trace)
        except Exception:  # noqa: BLE001  the user's own code
            _log.exception("run %s: its deps or toolsets could not be closed", self._run)
        return False


async def prepare(work: Work, stack: AsyncExitStack, store: Store) -> bool:
    """Enter what the agent's tools need, read the session, render the instructions; False when that ended the run."""
    plan = work.plan
    try:
        with work.bodies.limit(work.time_left()):
            for toolset in plan.toolsets:
                await toolset.open()
                stack.push_async_callback(toolset.close)
            if plan.deps is not None:
                work.deps = await _enter(stack, plan.deps())
            work.instructions = _rendered(plan, work)
    except Interrupted:
        await work.ledger.refresh()
        return True
    except (Exception, SystemExit) as error:  # noqa: BLE001  the user's own code
        hint = "mend the agent's deps, toolsets or instructions, then `surefoot resume`"
        late = "the agent's deps, toolsets and instructions took all the time the run had"
        failure = Failure("setup_failed", late if isinstance(error, TimeUp) else text_of_error(error), hint)
        await work.ledger.outcome(ev.RunFailed(failure, work.state.text, work.state.spent), barrier=True)
        return False
    if work.state.started is not None and work.state.started.session:
        work.history = await _history(work, store)
        work.history_tokens = sum(map(estimate, work.history))
    if work.instructions:
        work.instructions_digest = await store.save(work.instructions.encode())
    if plan.specs:
        work.tools_digest = await store.save(plan.tools_text.encode())
    return True


def _rendered(plan: Plan, work: Work) -> str:
    """The agent's instructions for this run."""
    text: Any = plan.instructions if isinstance(plan.instructions, str) else plan.instructions(context_of(work))
    if not isinstance(text, str):
        if inspect.iscoroutine(text):
            text.close()
        raise TypeError(f"the instructions of agent {plan.agent!r} must be text, not {type(text).__name__}")
    return canonical.sound(text)


async def _history(work: Work, store: Store) -> list[Message]:
    """The session's conversation up to this run's head, newest runs first until the budget is full."""
    started, head = work.state.started, work.state.session_head
    assert started is not None  # a claimed run has started
    budget = work.plan.context_budget or work.plan.model.context_window
    found: list[tuple[int, State]] = []
    # What a tool's run said is in its tool's result. Ids may be out of order where several processes made them.
    query = Query(session=started.session, user=started.user, tenant=started.tenant, parent="", ahead_of=work.state.id, limit=20)
    tokens = 0
    while tokens < budget:
        rows = await store.find(query)
        for row in rows:
            records = [record for record in await store.read(row.id) if record.position <= head]
            found.append((records[0].position, fold(records)))
            tokens += sum(map(estimate, found[-1][1].messages))
        if len(rows) < query.limit:
            break
        query = replace(query, before=rows[-1].id)
    return conversation([state for _, state in sorted(found, key=itemgetter(0))])


async def _enter(stack: AsyncExitStack, made: Any) -> Any:  # noqa: ANN401  whatever the user's factory makes
    """The value of a dependency factory: entered when it is a context manager, awaited when it is awaitable."""
    if inspect.isawaitable(made):
        made = await made
    if isinstance(made, AbstractAsyncContextManager):
        return await stack.enter_async_context(made)
    if isinstance(made, AbstractContextManager):
        return stack.enter_context(made)
    return made
