"""What requests and answers look like: pydantic models of requests, and of the documents of `runs.documents`."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "STATUSES",
    "AgentDocument",
    "Cancel",
    "Decision",
    "Fork",
    "Message",
    "ProblemDocument",
    "RequestDocument",
    "Resume",
    "RunDocument",
    "RunFilter",
    "RunPage",
    "StartRun",
]

Status = Literal["ready", "running", "waiting", "done", "failed", "cancelled"]
#: What a request can come to that is not what it asked for.
STATUSES = (400, 401, 403, 404, 409, 413, 422, 429, 503, 507)
_NAME = 200
_TEXT = 1_000_000


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class LimitsDocument(_Strict):
    """What a run may use: see `Limits`."""

    steps: int | None = Field(None, ge=1, le=1_000_000)
    tool_calls: int | None = Field(None, ge=0, le=1_000_000)
    tokens: int | None = Field(None, ge=1, le=10**12)
    cost: float | None = Field(None, gt=0, le=10**9, description="US dollars")
    seconds: float | None = Field(None, gt=0, le=10**9)


class StartRun(_Strict):
    """Start a run. The same ``id`` continues the run it named before."""

    agent: str = Field(max_length=_NAME)
    input: str = Field(min_length=1, max_length=_TEXT)
    id: str = Field("", max_length=_NAME, description="your idempotency key, unique per user")
    session: str = Field("", max_length=_NAME)
    tags: list[str] = Field(default_factory=list, max_length=50)
    context: dict[str, Any] = Field(default_factory=dict)
    limits: LimitsDocument | None = None
    deadline: float | None = Field(None, gt=0, le=10**9, description="seconds from now")
    policy: str = Field("", max_length=100_000, description="Cedar rules for this run, which can only tighten its agent's")
    wait: float = Field(0.0, ge=0, le=60, description="seconds to wait for the run to end or to ask, before the answer")


class RunFilter(_Strict):
    """Which runs to list; ``text`` is searched in what users said and runs answered."""

    agent: str = Field("", max_length=_NAME)
    status: list[Literal["ready", "running", "waiting", "done", "failed", "cancelled"]] = Field(
        default_factory=list, max_length=6
    )
    session: str = Field("", max_length=_NAME)
    user: str = Field("", max_length=_NAME)
    tag: list[str] = Field(default_factory=list, max_length=10)
    text: str = Field("", max_length=_NAME)
    cursor: str = Field("", max_length=_NAME)
    limit: int = Field(50, ge=1, le=500)


class Message(_Strict):
    """Say something to a run that has not ended."""

    text: str = Field(min_length=1, max_length=_TEXT)


class Cancel(_Strict):
    """Stop a run and its children."""

    reason: str = Field("", max_length=10_000)


class Resume(_Strict):
    """Go on with a failed run, with other limits."""

    limits: LimitsDocument | None = None


class Fork(_Strict):
    """Where a new run goes on from: event ``at``, 0 for the last; ``edit`` takes the place of what that event said."""

    at: int = Field(0, ge=0, le=2**31)
    edit: str | None = Field(None, max_length=_TEXT)


class Decision(_Strict):
    """Settle a question.

    Of a call: approve (perhaps with an ``edit`` of its arguments, or ``sticky`` for more of the run), deny, answer in its place
    with ``result``, ask back in ``reason``, or let another decide, ``to``. Of an unknown outcome: done (with ``result``), retry
    or give_up. ``digest`` binds what is said to the call that was looked at.
    """

    decision: Literal["approve", "deny", "answer", "ask", "delegate", "done", "retry", "give_up"]
    reason: str = Field("", max_length=10_000)
    result: str = Field("", max_length=_TEXT)
    edit: dict[str, Any] | None = None
    sticky: Literal["", "call", "rule"] = ""
    to: str = Field("", max_length=_NAME)
    digest: str = Field("", max_length=64)


class FailureDocument(BaseModel):
    """Why a run failed, and what can be done."""

    kind: str
    message: str
    hint: str


class VoteDocument(BaseModel):
    """What one person said to a question that takes several."""

    by: str
    approve: bool
    reason: str


class RequestDocument(BaseModel):
    """An open question to a human."""

    model_config = ConfigDict(extra="allow")

    id: str
    run: str
    kind: str
    tool: str
    arguments: Any
    effect: str
    reason: str
    digest: str = Field(description="binds a decision to this call")
    rules: list[str]
    roles: list[list[str]] = Field(description="for each rule the roles of which one is enough")
    quorum: int
    may_edit: list[str] | None = Field(description="the arguments that an approval may change; null for any")
    origins: dict[str, str] = Field(description="where each argument's value came from")
    votes: list[VoteDocument]
    delegates: list[dict[str, str]] = Field(description="who may decide, `to`, for whom, `by`")
    path: list[str] = Field(description="the runs from the root to the one that asks")
    user: str
    asked_at: str | None
    expires_at: str | None


class RunDocument(BaseModel):
    """A run as it stands."""

    model_config = ConfigDict(extra="allow")

    id: str
    agent: str
    status: str = Field(description="ready, running, waiting, done, failed or cancelled")
    output: Any
    error: FailureDocument | None
    warnings: list[str] = Field(description="the kinds of what it was warned of")
    waiting: list[RequestDocument]
    text: str
    steps: int
    tool_calls: int
    usage: dict[str, int]
    cost: float | None = Field(description="US dollars; null when a price is unknown")
    session: str
    user: str
    tenant: str
    key: str
    parent: str
    tags: list[str]
    trace_id: str
    created_at: str | None
    updated_at: str | None


class RunPage(BaseModel):
    """Runs, newest first; ``cursor`` gives the next page, null at the end."""

    runs: list[RunDocument]
    cursor: str | None


class AgentDocument(BaseModel):
    """An agent that may be run here, and its tools."""

    name: str
    model: str
    tools: list[dict[str, Any]]


class ProblemDocument(BaseModel):
    """What went wrong (RFC 9457)."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str
