"""A run as its caller sees it: a frozen picture of the state at one moment."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Generic

from typing_extensions import TypeVar

from surefoot.core import canonical
from surefoot.core.events import RunStarted
from surefoot.core.messages import Usage
from surefoot.core.ports import Output
from surefoot.core.request import Request, Standing
from surefoot.core.state import State
from surefoot.core.values import Failure

__all__ = ["Run", "run_of"]

Out = TypeVar("Out", default=Any, covariant=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run(Generic[Out]):
    """What became of a run, so far.

    Attributes:
        id: the run's id in the journal.
        status: ready, running, waiting, done, failed or cancelled.
        output: the final answer, of the agent's output type; None until the status is done. Where that type is not
            known, or the stored answer does not fit it any more, the answer's plain JSON.
        waiting: open questions, its children's included; settle them with `App.decide` and `App.settle`.
        standing: approvals that hold for more of its calls; `App.revoke` takes them back.
        steps: model calls so far, its children's included.
        usage: tokens so far.
        cost: US dollars so far; None when a price is unknown.
        error: why it failed or was cancelled: kind, message, hint.
        warnings: the kinds of what it was warned of, as they first came.
        text: the last text the model said.
        trace_id: the W3C trace id, 32 hex digits.
        created_at, updated_at: Unix microseconds.
    """

    id: str
    agent: str
    status: str
    output: Out
    waiting: tuple[Request, ...] = ()
    standing: tuple[Standing, ...] = ()
    steps: int = 0
    tool_calls: int = 0
    usage: Usage = Usage()
    cost: float | None = 0.0
    error: Failure | None = None
    warnings: tuple[str, ...] = ()
    session: str = ""
    user: str = ""
    tenant: str = ""
    key: str = ""
    parent: str = ""
    trace_id: str = ""
    tags: tuple[str, ...] = ()
    text: str = ""
    created_at: int = 0
    updated_at: int = 0

    @property
    def ended(self) -> bool:
        """Whether the run is done, failed or cancelled."""
        return self.status in ("done", "failed", "cancelled")


def run_of(state: State, output: Output | None = None, waiting: tuple[Request, ...] | None = None) -> Run[Any]:
    """The picture of a state; ``output`` reads the answer back into its type, ``waiting`` adds children's questions."""
    started, spent = state.started or RunStarted(state.agent), state.spent  # the first event may be redacted
    return Run(
        id=state.id,
        agent=state.agent,
        status=state.status,
        output=_output(state, output),
        waiting=tuple(state.requests.values()) if waiting is None else waiting,
        standing=tuple(state.standing.values()),
        steps=spent.steps,
        tool_calls=spent.tool_calls,
        usage=spent.usage,
        cost=None if spent.cost is None else spent.cost / 1e6,
        error=state.error,
        warnings=tuple(state.warnings),
        session=started.session,
        user=started.user,
        tenant=started.tenant,
        key=started.key,
        parent=started.parent,
        trace_id=started.trace_id,
        tags=started.tags,
        text=state.text,
        created_at=state.started_at,
        updated_at=state.last_at,
    )


def _output(state: State, output: Output | None) -> Any:  # noqa: ANN401  the agent's output type
    finished = state.output
    if finished is None:
        return None
    if output is not None and finished.structured == (output.schema is not None):
        with suppress(Exception):  # a type that changed, or a validator that breaks, must not hide the run
            return output.load(finished.output)
    return canonical.loads(finished.output) if finished.structured else finished.output
