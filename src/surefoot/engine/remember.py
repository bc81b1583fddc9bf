"""A run and its long-term memory: what it is given when it begins, and what it leaves when it has succeeded.

Memory is never in the way: whatever goes wrong with it becomes a warning, and the run goes on without.
"""

from __future__ import annotations

import asyncio

from surefoot.core import events as ev
from surefoot.core.memory import DELETE_ALL, READS, Entry, Hit, Judgement, Question, Scope, Selection
from surefoot.core.messages import Part, ToolCall, ToolResult, text_of
from surefoot.core.recalled import UNTRUSTED, injected, line
from surefoot.core.tokens import BYTES_PER_TOKEN
from surefoot.engine.outcomes import text_of_error
from surefoot.engine.work import Work

__all__ = ["left", "recall", "scope_of"]

#: Of the entries a run is given, so many tenths may be relevant ones; the rest are the most recent.
_RELEVANT = 7
#: What scores less has nothing to do with what is asked.
_FLOOR = 0.2
#: Seconds that memory may take before the run goes on without it.
_PATIENCE = 10.0
_DAY = 86_400_000_000


async def recall(work: Work) -> None:
    """Give a run what memory has for it: once, before its first step, where its session is empty."""
    plan, state, started = work.plan, work.state, work.state.started
    if plan.memory is None or started is None or state.model or state.recalled:
        return
    if (work.past.messages or started.history) and not plan.remember.inject_later:
        return
    try:
        async with asyncio.timeout(_PATIENCE):
            hits = await _chosen(work, scope_of(work))
    except Exception as error:  # noqa: BLE001  a run goes on without memory
        _warn(work, error)
        return
    text = injected(hit.entry for hit in hits)
    if text:
        untrusted = tuple(hit.entry.id for hit in hits if hit.entry.untrusted)
        scores = tuple(round(hit.score, 4) for hit in hits)
        names = tuple(hit.entry.id for hit in hits)
        await work.ledger.outcome(ev.MemoryRecalled(names, text, work.plan.count([text]), scores, untrusted))


async def left(work: Work, answer: str, *, failed: bool = False) -> list[Judgement]:
    """What a run leaves in memory, as events to be written with its end: what was asked, and what was answered."""
    plan, state, started = work.plan, work.state, work.state.started
    if plan.memory is None or started is None or started.parent or (failed and not plan.remember.keep_failed):
        return []
    asked = text_of(started.input)
    if any(isinstance(part, ToolResult) and part.name == DELETE_ALL and not part.error for part in _parts(work)):
        return []  # who has just had everything deleted is not remembered for it
    now, tainted = work.clock.now(), _tainted(work)
    days = plan.remember.episode_days
    said = [("user", asked, state.started_at), ("assistant", answer, now)]
    entries = [
        Entry(
            work.clock.new_id(), text, scope_of(work), "episode", author, started.session or state.id, time,
            expires_at=0 if days is None else now + int(days * _DAY), untrusted=tainted, run=state.id,
        )
        for author, text, time in said if text.strip()
    ]  # fmt: skip
    try:
        async with asyncio.timeout(_PATIENCE):
            return await plan.memory.judge(entries, most=plan.remember.max_entries, recalled=_recalled(work))
    except Exception as error:  # noqa: BLE001  a run ends without memory
        _warn(work, error)
        return []


def scope_of(work: Work) -> Scope:
    """Whose memory a run reads and writes."""
    started = work.state.started
    assert started is not None  # a claimed run has started
    session = started.session or work.state.id
    return work.plan.remember.scope(tenant=started.tenant, user=started.user, agent=work.plan.agent, session=session)


async def _chosen(work: Work, scope: Scope) -> list[Hit]:
    """Core blocks, then what is relevant, then the most recent, within the bounds; in the order of time."""
    plan, started = work.plan, work.state.started
    assert plan.memory is not None  # `recall` has looked
    assert started is not None  # a claimed run has started
    most, session = plan.remember.inject_entries, None if scope.session else started.session or None
    blocks = [Hit(entry, 1.0) for entry in await plan.memory.find(Selection(scope, kinds=("core",)))]
    if not most:
        return _bounded(blocks, plan.remember.inject_tokens)
    question = Question(
        text_of(started.input), scope, max(1, most * _RELEVANT // 10), kinds=("episode", "fact"), without=session, neighbours=1,
        now=work.clock.now(),
    )  # fmt: skip
    relevant = [hit for hit in await plan.memory.recall(question) if hit.score >= _FLOOR]
    recent = await plan.memory.find(Selection(scope, kinds=("episode", "fact"), without=session, limit=most))
    known = {hit.entry.id for hit in relevant}
    others = [Hit(entry, 0.0) for entry in recent if entry.id not in known]
    chosen = _bounded([*blocks, *relevant[:most], *others[: max(0, most - len(relevant))]], plan.remember.inject_tokens)
    return sorted(chosen, key=lambda hit: (hit.entry.kind != "core", hit.entry.time, hit.entry.id))


def _bounded(hits: list[Hit], tokens: int) -> list[Hit]:
    """As many as the budget has room for, the first ones first."""
    chosen, room = [], tokens * BYTES_PER_TOKEN
    for hit in hits:
        room -= len(line(hit.entry).encode()) + 1
        if room < 0:
            break
        chosen.append(hit)
    return chosen


def _tainted(work: Work) -> bool:
    """Whether anything untrusted was in the model's context."""
    tools = work.plan.tools
    earlier = [part for message in work.past.messages for part in message.parts]
    named = {part.name for part in (*earlier, *_parts(work)) if isinstance(part, ToolCall)}
    return UNTRUSTED in work.state.recalled or any(name in tools and tools[name].spec.untrusted for name in named)


def _recalled(work: Work) -> str:
    """What memory has given the run: at its start, and when it was asked by tool."""
    told = [part.text for part in _parts(work) if isinstance(part, ToolResult) and part.name in READS and not part.error]
    return "\n".join([work.state.recalled, *told])


def _parts(work: Work) -> list[Part]:
    """The parts of the run's own messages."""
    return [part for message in work.state.messages for part in message.parts]


def _warn(work: Work, error: BaseException) -> None:
    why = text_of_error(error)
    work.ledger.hold(ev.RunWarned("memory", f"long-term memory cannot be used; the run goes on without: {why}"))
