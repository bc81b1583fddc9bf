"""What a run needs before its loop begins: its tools' resources, its instructions, its session's conversation."""

from __future__ import annotations

import inspect
import logging
from contextlib import AbstractAsyncContextManager, AbstractContextManager, AsyncExitStack
from types import TracebackType
from typing import Any

from surefoot.core import canonical
from surefoot.core import events as ev
from surefoot.core.ports import Store
from surefoot.core.values import Failure
from surefoot.engine.bodies import Interrupted, TimeUp
from surefoot.engine.link import context_of
from surefoot.engine.outcomes import text_of_error
from surefoot.engine.past import past
from surefoot.engine.plan import Plan
from surefoot.engine.remember import recall
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
            work.plan = plan = plan.for_run(_rules(work))
            for toolset in plan.toolsets:
                await toolset.open()
                stack.push_async_callback(toolset.close)
            if plan.equip is not None:
                work.plan = plan = plan.equip()
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
        budget = plan.context_budget or plan.model.context_window
        work.past = await past(store, work.state, budget, plan.model.name, plan.count)
    await recall(work)
    fixed = [work.instructions]
    if work.instructions:
        work.instructions_digest = work.told(work.instructions)
    if plan.specs:
        tools = plan.tools_text(cut=False)
        fixed.append(tools)
        work.tools_digest = work.told(tools)
    if plan.output.schema is not None:
        fixed.append(str(plan.output.schema.schema))
    work.fixed_tokens = plan.count(fixed)
    return True


def _rules(work: Work) -> str:
    """The run's own rules."""
    return work.state.started.policy if work.state.started is not None else ""


def _rendered(plan: Plan, work: Work) -> str:
    """The agent's instructions for this run."""
    text: Any = plan.instructions if isinstance(plan.instructions, str) else plan.instructions(context_of(work))
    if not isinstance(text, str):
        if inspect.iscoroutine(text):
            text.close()
        raise TypeError(f"the instructions of agent {plan.agent!r} must be text, not {type(text).__name__}")
    return canonical.sound(f"{text}\n\n{plan.protocol}".strip() if plan.protocol else text)


async def _enter(stack: AsyncExitStack, made: Any) -> Any:  # noqa: ANN401  whatever the user's factory makes
    """The value of a dependency factory: entered when it is a context manager, awaited when it is awaitable."""
    if inspect.isawaitable(made):
        made = await made
    if isinstance(made, AbstractAsyncContextManager):
        return await stack.enter_async_context(made)
    if isinstance(made, AbstractContextManager):
        return stack.enter_context(made)
    return made
