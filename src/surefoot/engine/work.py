"""All that a worker holds while it drives one run."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from surefoot.core.canonical import blob_id
from surefoot.core.events import RunStarted
from surefoot.core.model import Delta
from surefoot.core.ports import Blobs, Clock, Live
from surefoot.core.state import State
from surefoot.core.values import Limits, Spent
from surefoot.engine.bodies import Bodies
from surefoot.engine.context import Meter, Past
from surefoot.engine.decide import limit_of
from surefoot.engine.ledger import Ledger
from surefoot.engine.plan import Plan

__all__ = ["Children", "Stop", "Suspended", "Work"]


class Suspended(BaseException):
    """Raised through a tool's body when it waits for other runs; a BaseException, so that no ``except Exception`` of the
    tool takes it for a failure.
    """

    def __init__(self, *runs: str) -> None:
        self.runs = runs
        super().__init__(f"waits for {', '.join(runs)}")


#: Stops the runs that a call started and ended without, until they have: (run, call).
Stop = Callable[[str, str], Awaitable[None]]
#: Runs a child: (what it takes from its parent, agent, prompt, options, whom to tell what it used) → the ended run.
Children = Callable[[RunStarted, Any, Any, dict[str, Any], Callable[[str, Spent], None]], Awaitable[Any]]


@dataclass(slots=True)
class Work:
    """One claimed run, its plan, and what the plan's tools may use. ``instructions`` is rendered once a claim.

    ``texts`` has the instructions and the tools by digest; ``cut_digest`` names the tools told of once results were cut;
    ``fixed_tokens`` is what instructions, tools and schema take.
    ``below`` gives what the runs that each call started have used, ``left`` what the runs above leave this one; ``steps`` and
    ``tool_calls`` are what it will have used at least once the step in work is done.
    """

    ledger: Ledger
    plan: Plan
    clock: Clock
    live: Live
    blobs: Blobs
    unsettled: Callable[[State], Awaitable[set[str]]]
    children: Children
    stop: Stop
    below: Callable[[], Awaitable[dict[str, Spent]]]
    left: Callable[[], Limits] | None = None
    steps: int = 0
    tool_calls: int = 0
    reckoned: bool = False
    rooms: dict[str, asyncio.Semaphore] = field(default_factory=dict)
    deps: Any = None
    past: Past = field(default_factory=Past)
    instructions: str = ""
    texts: dict[str, bytes] = field(default_factory=dict)
    instructions_digest: str = ""
    tools_digest: str = ""
    cut_digest: str = ""
    fixed_tokens: int = 0
    streamed: bool = False
    meter: Meter = field(init=False)
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)
    bodies: Bodies = field(default_factory=Bodies)

    def __post_init__(self) -> None:
        self.meter = Meter(self.plan.count)

    @property
    def state(self) -> State:
        """The run as it stands, held outcomes included."""
        return self.ledger.state

    @property
    def is_cut(self) -> bool:
        """Whether the model was given less than the whole of a tool's result."""
        return self.ledger.state.gauge.cut or self.past.cut

    @property
    def scale(self) -> float:
        """The model's tokens for each estimated one."""
        return self.ledger.state.gauge.scale or self.past.scale or 1.0

    def told(self, text: str) -> str:
        """Note what the model is told beside the conversation; its digest, under which the request that names it saves it."""
        data = text.encode()
        digest = blob_id(data)
        self.texts[digest] = data
        return digest

    def room(self, tool: str) -> asyncio.Semaphore:
        """How many calls of a tool may run at once in this process; for tools that bound it."""
        key = f"{self.plan.agent}/{tool}"
        room = self.rooms.get(key)
        if room is None:
            room = self.rooms[key] = asyncio.Semaphore(self.plan.tools[tool].spec.concurrency or 1)
        return room

    def emit(self, delta: Delta) -> None:
        """Pass a piece of an answer to whoever watches."""
        self.streamed = True
        self.live.publish(self.ledger.run, Delta(delta.kind, delta.text, self.ledger.state.seq))

    def time_left(self) -> float:
        """Seconds until the run's deadline or the end of its working time, whichever is first; ``inf`` for neither."""
        state, left = self.state, float("inf")
        deadline = state.deadline
        seconds = limit_of(state, self.plan).seconds
        if not deadline and seconds is None:
            return left
        now = self.clock.now()
        if deadline:
            left = (deadline - now) / 1e6
        if seconds is not None:
            left = min(left, seconds - state.worked_until(now) / 1e6)
        return max(left, 0.0)

    def remaining(self) -> Limits | None:
        """What is left of the run's limits, for a child to keep to; None when there are none."""
        limits, spent = limit_of(self.state, self.plan), self.state.spent
        left = Limits(
            None if limits.steps is None else max(0, limits.steps - spent.steps),
            None if limits.tool_calls is None else max(0, limits.tool_calls - spent.tool_calls),
            None if limits.tokens is None else max(0, limits.tokens - spent.usage.total),
            None if limits.cost is None else max(0.0, limits.cost - (spent.cost or 0) / 1e6),
            None if limits.seconds is None else self.time_left(),
        )
        return None if left == Limits() else left
