"""All that a worker holds while it drives one run."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from surefoot.core.messages import Message
from surefoot.core.model import Delta
from surefoot.core.ports import Blobs, Clock, Live
from surefoot.core.state import State
from surefoot.core.tool import ToolContext
from surefoot.core.values import Spent
from surefoot.engine.bodies import Bodies
from surefoot.engine.context import Meter
from surefoot.engine.ledger import Ledger
from surefoot.engine.plan import Plan

__all__ = ["Children", "Suspended", "Work"]


class Suspended(BaseException):  # noqa: N818  not an error: the body stops cleanly
    """Raised through a tool's body when it waits for other runs; a BaseException, so that no ``except Exception`` of the
    tool takes it for a failure."""

    def __init__(self, *runs: str) -> None:
        self.runs = runs
        super().__init__(f"waits for {', '.join(runs)}")


#: Runs a child: (context of the calling tool, agent, prompt, options, what to add its spending to) → the ended run.
Children = Callable[[ToolContext[Any], Any, Any, dict[str, Any], Callable[[Spent], None]], Awaitable[Any]]


Report = Callable[[str, str, Mapping[str, Any]], None]


def _silent(kind: str, text: str, data: Mapping[str, Any]) -> None:
    """Nobody is told: what is reported outside a call has no place in the journal."""


@dataclass(slots=True)
class Work:
    """One claimed run, its plan, and what the plan's tools may use. ``instructions`` is rendered once a claim."""

    ledger: Ledger
    plan: Plan
    clock: Clock
    live: Live
    blobs: Blobs
    unsettled: Callable[[State], Awaitable[set[str]]]
    children: Children | None = None
    deps: Any = None
    history: list[Message] = field(default_factory=list)
    instructions: str = ""
    instructions_digest: str = ""
    tools_digest: str = ""
    history_tokens: int = 0
    meter: Meter = field(default_factory=Meter)
    bodies: Bodies = field(default_factory=Bodies)

    @property
    def state(self) -> State:
        """The run as it stands, held outcomes included."""
        return self.ledger.state

    def emit(self, delta: Delta) -> None:
        """Pass a piece of an answer to whoever watches."""
        self.live.publish(self.ledger.run, delta)

    def context(
        self,
        call_id: str = "",
        *,
        attempt: int = 1,
        deadline: float | None = None,
        report: Report = _silent,
        runs: Callable[..., Awaitable[Any]] | None = None,
    ) -> ToolContext[Any]:
        """What a tool, or a function that renders instructions, is given."""
        state = self.state
        started = state.started
        assert started is not None  # a claimed run has started
        return ToolContext(
            run_id=state.id,
            call_id=call_id,
            agent=state.agent,
            idempotency_key=f"{state.id}:{call_id}",
            fencing_token=self.ledger.epoch,
            attempt=attempt,
            deadline=deadline,
            deps=self.deps,
            context=started.context,
            session=started.session,
            user=started.user,
            tenant=started.tenant,
            trace_id=started.trace_id,
            report=report,
            runs=runs,
        )
