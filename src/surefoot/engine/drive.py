"""Read, decide, act, append: drive one claimed run until it ends, waits, or belongs to somebody else."""

from __future__ import annotations

from collections.abc import Callable

from surefoot.core import events as ev
from surefoot.core.values import Limits
from surefoot.engine import decide as d
from surefoot.engine.act import ask
from surefoot.engine.bodies import Interrupted
from surefoot.engine.calls import perform, probe
from surefoot.engine.judge import answer, judge
from surefoot.engine.remember import left
from surefoot.engine.work import Work

__all__ = ["drive"]


async def drive(work: Work) -> None:
    """Go on with a run. Raises Fenced when another worker has it, and what the store raises."""
    due = 0
    while True:
        # What was waited for is due, whatever the wall clock has been set to meanwhile.
        step = d.decide(work.state, work.plan, max(work.clock.now(), due))
        due = 0
        if work.left is not None:
            step = _within(work, step, work.left)
        match step:
            case d.Leave():
                await work.ledger.flush_held()
                return
            case d.Suspend():
                if await work.ledger.intend(ev.RunSuspended(step.waiting_for, step.wake_at), barrier=True):
                    return
            case d.Wait():
                due = await _wait(work, step.until)
            case _:
                await _take(work, step)


async def _take(work: Work, step: d.Note | d.Judge | d.Answer | d.Ask | d.Perform | d.Probe) -> None:
    """One step, after which the run is decided anew."""
    match step:
        case d.Ask():
            await ask(work, step.attempt)
        case d.Perform():
            await perform(work, step.calls)
        case d.Judge():
            await judge(work, step.calls)
        case d.Answer():
            await answer(work, step.text)
        case d.Note():
            last = step.events[-1]
            if _ends(last) and await _reckoned(work):
                return
            kept = await left(work, "", failed=True) if isinstance(last, (ev.RunFailed, ev.RunCancelled)) else []
            await work.ledger.intend(*kept, *step.events, barrier=_ends(last))
        case _:
            await probe(work, step.calls)


async def _wait(work: Work, until: int) -> int:
    """Hold the run until a time that is near; the time that it is then, 0 when the wait was cut short."""
    await work.ledger.flush_held()
    # Never longer than from the last event on: the wall clock may have been set back since.
    micros = until - max(work.clock.now(), work.state.last_at)
    try:
        with work.bodies.limit(float("inf")):
            await work.clock.sleep(max(0.0, micros / 1e6))
    except Interrupted:
        await work.ledger.refresh()
        return 0
    return until


def _within(work: Work, step: d.Step, left: Callable[[], Limits]) -> d.Step:
    """The step, if the runs above leave enough for it; what it will use is theirs no more from here on, whoever is next."""
    work.steps = work.tool_calls = 0
    if not isinstance(step, d.Ask | d.Perform):
        return step
    step = d.within(work.state, work.plan, step, left())
    match step:
        case d.Ask():
            work.steps = work.state.steps + 1
        case d.Perform():
            work.tool_calls = work.state.tool_calls + d.fresh(step.calls)
        case _:
            pass
    return step


async def _reckoned(work: Work) -> bool:
    """Before a run ends in the middle of its calls, write what the runs they started have used; whether there was anything."""
    calls = [call for call in work.state.open_calls if call.attempt]
    if not calls or work.reckoned:
        return False
    work.reckoned = True
    used = await work.below()
    more = [
        ev.ToolProgressed(call.id, "what its runs used is counted", spent=used[call.id])
        for call in calls
        if used.get(call.id, call.spent) != call.spent
    ]
    if more:
        await work.ledger.outcome(*more)
    return bool(more)


def _ends(event: ev.Event) -> bool:
    return isinstance(event, (ev.RunFinished, ev.RunFailed, ev.RunCancelled, ev.ToolIndeterminate))
