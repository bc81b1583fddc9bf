"""What a tool says of itself, what it is given, and what it gives back."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, Literal

import msgspec
from typing_extensions import TypeVar

from surefoot.core.messages import File, Image, Text
from surefoot.core.tracing import TraceContext, span_id, trace_id

__all__ = ["Content", "Done", "Effect", "NotDone", "Rule", "ToolContext", "ToolOutput", "ToolSpec", "FINAL_ANSWER", "silent"]

#: What running a tool does to the world; see ``docs/reference/effects.md``.
Effect = Literal["read", "idempotent", "reconcilable", "unsafe"]

_log = logging.getLogger("surefoot.tool")

Deps = TypeVar("Deps", default=Any)


class Rule(msgspec.Struct, frozen=True, omit_defaults=True):
    """One rule for a tool's calls: ``allow``, ``ask`` or ``deny`` when a Cedar condition holds, always without one.

    ``roles`` are alternatives; ``quorum`` is how many must agree; ``distinct`` keeps the run's own user out; ``expires`` is a
    time like ``4h``; ``may_edit`` names the arguments an approval may change, any when None.
    """

    verdict: Literal["allow", "ask", "deny"]
    when: str = ""
    roles: tuple[str, ...] = ()
    quorum: int = 1
    distinct: bool = False
    expires: str = ""
    on_expiry: str = ""
    may_edit: tuple[str, ...] | None = None
    reason: str = ""


class Content:
    """Marks a parameter as free text, of which only addresses, links and account numbers matter to who asks where values came
    from: ``body: Annotated[str, Content]``. As naming it in ``@tool(content=[…])``.
    """


class ToolSpec(msgspec.Struct, frozen=True, omit_defaults=True):
    """Everything known of a tool without running it.

    Schemas are JSON Schema 2020-12. ``timeout`` is in seconds; ``retries`` counts tries after the first; ``result_limit``
    is in characters; ``concurrency`` bounds calls at once in one process; ``examples`` are requests that mean this tool;
    ``polling``: the same call with the same result is no sign of going nowhere; ``breaker``: it is left alone for a while
    when it fails too often, alone or with its ``toolset``; ``toolset`` names the set it came in, ``rules`` are its author's;
    calls of a ``human`` one are questions to a human. ``labels`` say of output fields where they come from, ``content`` names
    free-text arguments, ``intent`` is words that a request for this tool holds.
    """

    name: str
    description: str = ""
    input_schema: dict[str, Any] = {}
    output_schema: dict[str, Any] | None = None
    effect: Effect = "unsafe"
    timeout: float | None = None
    retries: int = 2
    result_limit: int = 32_000
    concurrency: int | None = None
    tags: tuple[str, ...] = ()
    untrusted: bool = False
    examples: tuple[str, ...] = ()
    alternatives: tuple[str, ...] = ()
    toolset: str = ""
    rules: tuple[Rule, ...] = ()
    human: bool = False
    labels: dict[str, str] = {}
    content: tuple[str, ...] = ()
    intent: tuple[str, ...] = ()
    polling: bool = False
    breaker: bool | Literal["toolset"] = False

    @property
    def repeatable(self) -> bool:
        """Whether a call may be repeated by a machine."""
        return self.effect in ("read", "idempotent")


#: Giving the final answer, as policies see it and approvals are bound to it.
FINAL_ANSWER = ToolSpec(
    "answer", input_schema={"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}, effect="read"
)


@dataclass(frozen=True, slots=True)
class ToolOutput:
    """A tool's result: the text a model reads, and images or files that go with it."""

    text: str
    parts: tuple[Text | Image | File, ...] = ()


@dataclass(frozen=True, slots=True)
class Done:
    """A probe's answer: the effect happened, and this was its result."""

    result: Any


@dataclass(frozen=True, slots=True)
class NotDone:
    """A probe's answer: the effect did not happen."""


def silent(kind: str, text: str, data: Mapping[str, Any]) -> None:
    """Nobody is told: what is reported outside a call has no place in the journal."""


class ToolContext(msgspec.Struct, Generic[Deps], frozen=True, kw_only=True):
    """What a tool gets as its first parameter when it asks for it by type.

    ``idempotency_key`` is the same for every attempt of one call; ``fencing_token`` grows with every worker that takes
    the run; ``deadline`` is a Unix time in seconds, or None; ``context`` is the run's own small JSON.
    """

    run_id: str
    call_id: str
    agent: str
    idempotency_key: str
    fencing_token: int
    attempt: int = 1
    deadline: float | None = None
    deps: Deps
    context: Mapping[str, Any] = {}
    session: str = ""
    user: str = ""
    tenant: str = ""
    trace_id: str = ""
    trace_state: str = ""
    trace_dropped: bool = False
    report: Callable[[str, str, Mapping[str, Any]], None] = silent
    runs: Callable[..., Awaitable[Any]] | None = None

    @property
    def log(self) -> logging.LoggerAdapter[logging.Logger]:
        """A logger whose records say which run and call they belong to."""
        trace, span = trace_id(self.trace_id, self.run_id), span_id(self.run_id, "call", self.call_id, self.attempt)
        extra = {"run": self.run_id, "call": self.call_id, "session": self.session, "agent": self.agent}
        extra |= {"trace_id": trace, "span_id": span}
        return logging.LoggerAdapter(_log, extra)

    @property
    def traceparent(self) -> str:
        """The W3C ``traceparent`` header for what the tool asks of others, so that it is one trace with the run."""
        return self._trace.traceparent

    @property
    def trace_headers(self) -> dict[str, str]:
        """That, and ``tracestate`` where whoever asked for the run gave one: headers for a request over HTTP."""
        return self._trace.headers()

    @property
    def _trace(self) -> TraceContext:
        what = ("call", self.call_id, self.attempt)
        return TraceContext(self.run_id, self.trace_id, what, self.trace_state, self.trace_dropped)

    def progress(self, note: str, **data: Any) -> None:  # noqa: ANN401  any JSON value
        """Record how far the tool is; anyone who follows the run sees it. Safe from any thread."""
        self.report("progress", note, data)

    @contextmanager
    def span(self, name: str, **attributes: Any) -> Iterator[None]:  # noqa: ANN401  any JSON value
        """Record a named stretch of work inside the tool."""
        self.report("span", name, attributes)
        try:
            yield
        except BaseException as error:
            self.report("span_end", name, {"error": type(error).__name__})
            raise
        self.report("span_end", name, {})

    async def run(self, agent: Any, prompt: Any, **options: Any) -> Any:  # noqa: ANN401  an Agent, its input, its Run
        """Run another agent as a child of this run: one trace, one budget, cancelled together.

        Waits without holding a worker: when the child waits for a human, the call is set aside and its body is run
        again, from the top and with the same idempotency key, once the child has ended.
        """
        if self.runs is None:
            raise RuntimeError("this context belongs to no application, so it cannot start runs")
        return await self.runs(self, agent, prompt, options)
