"""What is judged, asked, answered and used: the events of a run that are about approvals. See `core.events`."""

from __future__ import annotations

import msgspec

from surefoot.core.values import Verdict

__all__ = [
    "CallsJudged",
    "ToolDenied",
    "ApprovalRequested",
    "ApprovalDelegated",
    "ApprovalVoted",
    "ApprovalDecided",
    "ApprovalExpired",
    "ApprovalConsumed",
    "ApprovalRevoked",
]


class _Event(msgspec.Struct, frozen=True, gc=False, tag_field="type", omit_defaults=True):
    pass


class CallsJudged(_Event, frozen=True, gc=False, tag="calls.judged"):
    """A policy's verdict on each call of a step; left out when every verdict follows from the tools' effects alone."""

    verdicts: tuple[Verdict, ...]
    policy: str = ""


class ToolDenied(_Event, frozen=True, gc=False, tag="tool.denied"):
    """The call will not run; the model reads ``reason``."""

    call: str
    reason: str = ""
    by: str = ""


class ApprovalRequested(_Event, frozen=True, gc=False, tag="approval.requested"):
    """A human is asked. ``digest`` binds the answer to agent, tool, schema and arguments; ``expires_at`` 0 is never."""

    request: str
    call: str
    tool: str
    digest: str
    reason: str = ""
    kind: str = "call"
    verdict: Verdict | None = None
    expires_at: int = 0
    effect: str = ""


class ApprovalVoted(_Event, frozen=True, gc=False, tag="approval.voted"):
    """One of several who must agree has spoken, for the call of this digest; ``arguments`` are set when it is an edit."""

    request: str
    approve: bool
    by: str = ""
    how: str = "asserted"
    reason: str = ""
    roles: tuple[str, ...] = ()
    arguments: str = ""
    digest: str = ""


class ApprovalDelegated(_Event, frozen=True, gc=False, tag="approval.delegated"):
    """Somebody who may decide a question lets another decide it for them; their ``roles`` count for the other's word."""

    request: str
    to: str
    by: str = ""
    how: str = "asserted"
    reason: str = ""
    roles: tuple[str, ...] = ()


class ApprovalDecided(_Event, frozen=True, gc=False, tag="approval.decided"):
    """A question is settled: ``approve``, ``deny``, ``answer``, ``ask``; an unknown outcome ``done``, ``retry``, ``give_up``.

    ``how`` says how the decider is known; ``arguments`` are an edit, ``result`` an answer in the tool's place; ``sticky``
    is ``call`` or ``rule`` when an approval holds for more of the run."""

    request: str
    decision: str
    by: str = ""
    how: str = "asserted"
    reason: str = ""
    arguments: str = ""
    result: str | None = None
    digest: str = ""
    roles: tuple[str, ...] = ()
    sticky: str = ""


class ApprovalExpired(_Event, frozen=True, gc=False, tag="approval.expired"):
    """Nobody answered in time; ``then`` is ``escalate`` when somebody else is asked, ``fail`` when the run ends."""

    request: str
    then: str = ""


class ApprovalConsumed(_Event, frozen=True, gc=False, tag="approval.consumed"):
    """An approval was used, once, in the same transaction as its ``tool.started``."""

    request: str
    call: str
    digest: str


class ApprovalRevoked(_Event, frozen=True, gc=False, tag="approval.revoked"):
    """An approval that was not used yet, or one that holds for more of the run, is withdrawn."""

    request: str
    by: str = ""
    reason: str = ""
