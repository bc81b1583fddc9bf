"""What is known of a run at one moment, as plain fields; `core.state` changes it, event by event."""

from __future__ import annotations

from dataclasses import dataclass, field

from surefoot.core import events as ev
from surefoot.core.call import Call
from surefoot.core.gauge import Gauge
from surefoot.core.messages import Message, Usage
from surefoot.core.pace import Pace
from surefoot.core.request import Request, Standing
from surefoot.core.values import Failure, Limits, Spent

__all__ = ["UNSAID", "Picture", "worked"]

#: Microseconds of working time that count beyond what an event says its work took; more is a clock that was set forward.
UNSAID = 60_000_000
#: Events before which nothing is in work.
_INTENTS = frozenset({ev.ModelRequested, ev.ToolStarted, ev.CallsJudged})


def worked(event: ev.Event | ev.AppEvent, micros: int) -> int:
    """How much of the time since a worker's last event, up to this one, is working time: what says how long its work took, or
    begins some, was not longer in coming than that and a while.
    """
    took: int | None = getattr(event, "duration", 0 if type(event) in _INTENTS else None)
    return micros if took is None else min(micros, took + UNSAID)


@dataclass(slots=True)
class Picture:
    """A run as its events so far make it. Times are Unix microseconds, ``worked`` is microseconds of working time.

    ``words`` are those of the people the run was told by. ``standing`` are approvals that hold for more calls, ``refused``
    digests of calls that somebody denied, and who; ``answering`` is the open question about the answer, ``pausing`` the
    one whether the run goes on, ``cleared`` the
    digest of the answer that may be given, and ``cleared_by`` the question that let it.
    """

    id: str = ""
    status: str = "new"
    seq: int = 0
    epoch: int = 0
    started: ev.RunStarted | None = None
    started_at: int = 0
    last_at: int = 0
    deadline: int = 0
    agent: str = ""
    agent_digest: str = ""
    session_head: int = 0
    limits: Limits | None = None
    messages: list[Message] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    incoming: list[Message] = field(default_factory=list)
    calls: dict[str, Call] = field(default_factory=dict)
    requests: dict[str, Request] = field(default_factory=dict)
    settled: dict[str, ev.ApprovalDecided | ev.ApprovalExpired | ev.ApprovalRevoked] = field(default_factory=dict)
    standing: dict[str, Standing] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    answering: str = ""
    pausing: str = ""
    cleared: str = ""
    cleared_by: str = ""
    step: int = 0
    requesting: bool = False
    attempt: int = 0
    retry_at: int = 0
    model_error: Failure | None = None
    model_failures: int = 0
    answer: str | None = None
    rejections: int = 0
    instructions: str = ""
    tools: str = ""
    model: str = ""
    compacted: ev.ContextCompacted | None = None
    gauge: Gauge = field(default_factory=Gauge)
    recalled: str = ""
    steps: int = 0
    tool_calls: int = 0
    usage: Usage = Usage()
    cost: int | None = 0
    worked: int = 0
    worked_at: int = 0
    barren_claims: int = 0
    wake_at: int = 0
    waiting_for: tuple[str, ...] = ()
    cancel: ev.RunCancelRequested | None = None
    output: ev.RunFinished | None = None
    error: Failure | None = None
    unknown_tag: str = ""
    pace: Pace = field(default_factory=Pace)

    def call(self, name: str) -> Call:
        """An open call, or a stand-in where the reply that made it was redacted."""
        return self.calls.get(name) or Call(name, "", "{}")

    def allow(self, call: Call) -> None:
        """Note a verdict that follows from the tool's effect alone; it is not an event, for it can always be had again."""
        call.status = "allowed"

    @property
    def spent(self) -> Spent:
        """What the run used so far, its children included."""
        return Spent(self.steps, self.tool_calls, self.usage, self.cost)

    def spend(self, more: Spent) -> None:
        """Add what was used."""
        total = self.spent + more
        self.steps, self.tool_calls, self.usage, self.cost = total.steps, total.tool_calls, total.usage, total.cost

    def charge(self, call: Call, spent: Spent | None) -> None:
        """Take in what the runs that a call started have used in all; None is as much as before."""
        if spent is not None:
            self.spend(spent - call.spent)
            call.spent = spent

    @property
    def open_calls(self) -> list[Call]:
        """Calls of the current step that have no result yet."""
        return [call for call in self.calls.values() if call.result is None]

    @property
    def unsettled(self) -> set[str]:
        """Digests of calls of which nobody knows whether they happened."""
        return {request.digest for request in self.requests.values() if request.kind == "outcome"}

    @property
    def text(self) -> str:
        """The last text the model said."""
        for message in reversed(self.messages):
            if message.role == "assistant" and message.text:
                return message.text
        return ""

    def worked_until(self, now: int) -> int:
        """Microseconds of working time up to ``now``; waiting for humans, timers and workers does not count."""
        return self.worked + (min(max(0, now - self.worked_at), UNSAID) if self.status == "running" else 0)
