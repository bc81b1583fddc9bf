"""Runs that tools start, and the runs they belong to: what they use together, so that all keep to the limits of each above.

A child is started with what is left of its parent's limits, but it may not be the only one. So before each of its steps it
is asked what the runs above have left now, everything counted that is in work in this process. What children in work in
another process use is counted once it is recorded with their call.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field, replace

from surefoot.core.errors import RunNotFound
from surefoot.core.ports import Query, Store
from surefoot.core.state import State, fold
from surefoot.core.values import Limits, Spent
from surefoot.engine.decide import limit_of
from surefoot.engine.plan import Plan
from surefoot.engine.work import Work

__all__ = ["Families", "spent_below"]

_PAGE = 100
#: Steps, tool calls, tokens, millionths of a dollar; what cannot be known is infinite.
_Used = tuple[float, float, float, float]


@dataclass(slots=True)
class _Family:
    """A run with runs below it: its state when last seen, its plan, and of each child its call and what it had used then."""

    state: State
    plan: Plan | None
    children: dict[str, tuple[str, _Used]] = field(default_factory=dict)


class Families:
    """The families of the runs that one worker drives. ``works`` are the runs in work, ``plan`` knows agents."""

    def __init__(self, store: Store, works: Mapping[str, Work], plan: Callable[[str], Plan | None]) -> None:
        self._store, self._works, self._plan = store, works, plan
        self._families: dict[str, _Family] = {}

    async def join(self, work: Work) -> None:
        """Note a run that is about to be driven, if another started it."""
        started = work.state.started
        if started is not None and started.parent and await self._known(started.parent):
            self._families[started.parent].children[work.state.id] = (started.parent_call, _used(work.state.spent))
            work.left = lambda: self.left(work)

    def leave(self, work: Work) -> None:
        """Note that a run is no longer driven; a family of which none is goes."""
        run, started = work.state.id, work.state.started
        if run in self._families:
            self._families[run].state = work.state
        if started is not None and started.parent in self._families:
            self._families[started.parent].children[run] = (started.parent_call, self._total(run, work.state))
        self._forget(run, _parent(work.state))

    def left(self, work: Work) -> Limits:
        """What the runs above leave a run to use from now on."""
        started = work.state.started
        left = Limits()
        while started is not None and started.parent in self._families:
            family = self._families[started.parent]
            state = self._state(started.parent)
            limits = limit_of(state, family.plan) if family.plan else state.limits or Limits()
            left = left.within(_left(limits, self._total(started.parent, state)))
            started = state.started
        return left

    async def _known(self, run: str) -> bool:
        """Make sure that a parent's family is there; False when the parent is not any more."""
        if run in self._families:
            return True
        work = self._works.get(run)
        try:
            state = work.state if work else fold(await self._store.read(run))
        except RunNotFound:
            return False
        plan = work.plan if work else self._plan(state.agent)
        family = _Family(state, plan)
        if work is None or any(call.spent != Spent() or call.attempt > 1 for call in state.open_calls):
            async for child in _below(self._store, run):
                family.children[child.id] = (_call(child), _used(child.spent))
        if run in self._families:  # another child was here first
            return True
        self._families[run] = family
        if state.started is not None and state.started.parent and await self._known(state.started.parent):
            self._families[state.started.parent].children[run] = (state.started.parent_call, _used(state.spent))
        return True

    def _state(self, run: str) -> State:
        work = self._works.get(run)
        return work.state if work else self._families[run].state

    def _total(self, run: str, state: State) -> _Used:
        """What a run has used with all below it, and what its step in work will use at least."""
        own = _used(state.spent)
        work = self._works.get(run)
        if work is not None:
            own = (max(own[0], work.steps), max(own[1], work.tool_calls), own[2], own[3])
        family = self._families.get(run)
        if family is None:
            return own
        for call in state.open_calls:
            below = [self._child(name, used) for name, (by, used) in family.children.items() if by == call.id]
            counted = _used(call.spent)
            more = [max(0, sum(used[part] for used in below) - counted[part]) for part in range(4)]
            own = (own[0] + more[0], own[1] + more[1], own[2] + more[2], own[3] + more[3])
        return own

    def _child(self, run: str, used: _Used) -> _Used:
        if run in self._works or run in self._families:
            return self._total(run, self._state(run))
        return used

    def _forget(self, run: str, parent: str) -> None:
        """Drop the families of a run and of those above it that nobody works in any more."""
        while run:
            family = self._families.get(run)
            if family is not None:
                if run in self._works or any(name in self._works or name in self._families for name in family.children):
                    return
                parent = _parent(family.state)
                del self._families[run]
            run, parent = parent, ""


async def spent_below(store: Store, run: str) -> dict[str, Spent]:
    """What the runs that each call of a run started have used, children of children included where they are recorded."""
    found: dict[str, Spent] = {}
    async for child in _below(store, run):
        found[_call(child)] = found.get(_call(child), Spent()) + child.spent
    return found


async def _below(store: Store, run: str) -> AsyncIterator[State]:
    query = Query(parent=run, limit=_PAGE)
    while rows := await store.find(query):
        for row in rows:
            yield fold(await store.read(row.id))
        query = replace(query, before=rows[-1].id)


def _call(state: State) -> str:
    return "" if state.started is None else state.started.parent_call


def _parent(state: State) -> str:
    return "" if state.started is None else state.started.parent


def _used(spent: Spent) -> _Used:
    return spent.steps, spent.tool_calls, spent.usage.total, float("inf") if spent.cost is None else spent.cost


def _left(limits: Limits, used: _Used) -> Limits:
    steps, tool_calls, tokens, cost = used
    return Limits(
        None if limits.steps is None else int(limits.steps - steps),
        None if limits.tool_calls is None else int(limits.tool_calls - tool_calls),
        None if limits.tokens is None else int(limits.tokens - tokens),
        None if limits.cost is None else limits.cost - cost / 1e6,
    )
