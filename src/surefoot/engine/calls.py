"""Run tool calls: intent first, then the body, then the outcome."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Mapping
from typing import Any

import msgspec

from surefoot.core import events as ev
from surefoot.core.messages import File, Image, Text
from surefoot.core.ports import Tool
from surefoot.core.state import Call
from surefoot.core.tool import Done, ToolContext, ToolOutput, ToolSpec
from surefoot.core.values import Failure, Limits, Spent
from surefoot.engine.bodies import Interrupted
from surefoot.engine.decide import limit_of, request_id
from surefoot.engine.outcomes import Attempt, failed, text_of_error, unknown
from surefoot.engine.plan import call_digest
from surefoot.engine.work import Suspended, Work

__all__ = ["perform", "probe"]


async def perform(work: Work, calls: tuple[Call, ...]) -> None:
    """Start calls and see them through. When somebody wrote meanwhile, or an approval no longer fits, nothing starts."""
    intents: list[ev.Event] = []
    for call in calls:
        spec = work.plan.tools[call.name].spec
        if not spec.repeatable or call.status == "approved":
            digest = call_digest(work.state.agent, spec, call.arguments)
            if call.status == "approved":
                if digest != call.digest:
                    await work.ledger.intend(_ask_again(work, call, spec, digest))
                    return
                intents.append(ev.ApprovalConsumed(call.request, call.id, digest))
            call.digest = digest
        intents.append(ev.ToolStarted(call.id, call.name, call.arguments, spec.effect, call.attempt + 1))
    barrier = any(work.plan.tools[call.name].spec.effect != "read" for call in calls)
    if not await work.ledger.intend(*intents, barrier=barrier):
        return
    if len(calls) == 1:
        call = work.state.calls[calls[0].id]
        outcome = await _attempt(work, call)
        work.ledger.hold(outcome, barrier=call.effect in ("unsafe", "reconcilable"))
        return
    async with asyncio.TaskGroup() as group:
        for call in calls:
            group.create_task(_attempt_and_record(work, work.state.calls[call.id]))


async def probe(work: Work, calls: tuple[Call, ...]) -> None:
    """Find out about calls that a dead worker started."""
    for call in calls:
        attempt = Attempt(call, work.plan.tools[call.name].spec, request_id(work.state, call))
        await work.ledger.outcome(await _probed(work, attempt, "the worker died while it ran"), barrier=True)


def _ask_again(work: Work, call: Call, spec: ToolSpec, digest: str) -> ev.ApprovalRequested:
    reason = "the tool's definition changed since this call was approved"
    return ev.ApprovalRequested(request_id(work.state, call), call.id, call.name, digest, reason, "call", call.verdict)


async def _attempt_and_record(work: Work, call: Call) -> None:
    outcome = await _attempt(work, call)
    await work.ledger.outcome(outcome, barrier=call.effect in ("unsafe", "reconcilable"))


async def _attempt(work: Work, call: Call) -> ev.Event:
    """One try of one call, which has been recorded as started; the event of its outcome."""
    tool = work.plan.tools[call.name]
    attempt = Attempt(call, tool.spec, request_id(work.state, call))
    seconds = _seconds(work, tool.spec)
    began = work.clock.monotonic()
    context, reports = _context(work, call, attempt, seconds)
    error: BaseException | None = None
    try:
        with work.bodies.limit(seconds) as body:
            output = await tool.call(call.arguments, context)
    except Suspended as suspended:
        return ev.ToolProgressed(call.id, "waits for other runs", {}, suspended.runs)
    except (Exception, SystemExit) as raised:  # noqa: BLE001  whatever a tool raises is an observation
        attempt.timed_out = body.expired
        error = raised
    attempt.duration = int((work.clock.monotonic() - began) * 1e6)
    attempt.now = work.clock.now()
    await reports.done()
    if error is None:
        return await _returned(work, attempt, output)
    return await _failed(work, attempt, error)


def _seconds(work: Work, spec: ToolSpec) -> float:
    """How long a body may take: its own timeout, within the run's deadline and working time."""
    seconds = spec.timeout or work.plan.rules.tool_timeout
    return min(seconds, time_left(work))


def time_left(work: Work) -> float:
    """Seconds until the run's deadline or the end of its working time, whichever is first."""
    state, now = work.state, work.clock.now()
    left = float("inf")
    if state.started and state.started.deadline:
        left = (state.started.deadline - now) / 1e6
    seconds = limit_of(state, work.plan).seconds
    if seconds is not None:
        left = min(left, seconds - state.worked_until(now) / 1e6)
    return max(left, 0.0)


def remaining(work: Work) -> Limits | None:
    """What is left of the run's limits, for a child to keep to; None when there are none."""
    limits, spent = limit_of(work.state, work.plan), work.state.spent
    left = Limits(
        None if limits.steps is None else max(0, limits.steps - spent.steps),
        None if limits.tool_calls is None else max(0, limits.tool_calls - spent.tool_calls),
        None if limits.tokens is None else max(0, limits.tokens - spent.usage.total),
        None if limits.cost is None else max(0.0, limits.cost - (spent.cost or 0) / 1e6),
        None if limits.seconds is None else max(0.0, limits.seconds - work.state.worked_until(work.clock.now()) / 1e6),
    )
    return None if left == Limits() else left


def _within(own: Limits | None, outer: Limits | None) -> Limits | None:
    """Limits that keep to both."""
    if own is None or outer is None:
        return own or outer
    pairs = zip(msgspec.structs.astuple(own), msgspec.structs.astuple(outer), strict=True)
    return Limits(*[a if b is None else b if a is None else min(a, b) for a, b in pairs])


async def _failed(work: Work, attempt: Attempt, error: BaseException) -> ev.Event:
    call, spec = attempt.call, attempt.spec
    if isinstance(error, Interrupted):
        if spec.repeatable:
            return ev.ToolFailed(call.id, Failure("cancelled", "the run was cancelled"), call.attempt, 0, attempt.duration)
        return unknown(attempt, "the run was cancelled while it ran")
    event = failed(attempt, error, work.plan.rules, work.clock.jitter())
    if isinstance(event, ev.ToolIndeterminate) and spec.effect == "reconcilable":
        return await _probed(work, attempt, event.reason)
    return event


async def _probed(work: Work, attempt: Attempt, reason: str) -> ev.Event:
    """Ask a reconcilable tool whether the call happened; only its word settles it."""
    call = attempt.call
    try:
        with work.bodies.limit(_seconds(work, attempt.spec)):
            found = await work.plan.tools[call.name].probe(f"{work.state.id}:{call.id}")
    except Exception as error:  # noqa: BLE001  a probe that fails leaves the outcome unknown
        return unknown(attempt, f"{reason}; the probe failed: {text_of_error(error)}")
    if isinstance(found, Done):
        output = found.result if isinstance(found.result, ToolOutput) else ToolOutput(str(found.result))
        return await _returned(work, attempt, output)
    if call.attempt > attempt.spec.retries:
        failure = Failure("tool_retryable", f"{reason} (tried {call.attempt} times; the probe says it did not happen)")
        return ev.ToolFailed(call.id, failure, call.attempt, 0, attempt.duration)
    retry_at = work.clock.now() + 1
    return ev.ToolFailed(call.id, Failure("tool_retryable", reason), call.attempt, retry_at, attempt.duration)


async def _returned(work: Work, attempt: Attempt, output: ToolOutput) -> ev.Event:
    """A result, cut to the tool's limit; what is cut off goes to a blob."""
    call, text, blob, size = attempt.call, output.text, "", 0
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            return await _failed(work, attempt, TypeError("the result holds a lone surrogate, which is not valid UTF-8"))
    if len(text) > attempt.spec.result_limit:
        size = len(text)
        kept = text[: work.plan.rules.result_cap]
        blob = await work.blobs.save(kept.encode())
        text = text[: attempt.spec.result_limit]
    parts = await stored(work, output.parts) if output.parts else ()
    return ev.ToolReturned(call.id, text, parts, blob, size, call.attempt, attempt.duration, attempt.spent)


async def stored(work: Work, parts: tuple[Text | Image | File, ...]) -> tuple[Text | Image | File, ...]:
    """The parts with their bytes in the blob store."""
    result: list[Text | Image | File] = []
    for part in parts:
        if isinstance(part, (Image, File)) and part.data:
            part = msgspec.structs.replace(part, data=b"", blob=await work.blobs.save(part.data))
        result.append(part)
    return tuple(result)


def _context(work: Work, call: Call, attempt: Attempt, seconds: float) -> tuple[ToolContext[Any], _Reports]:
    deadline = None if seconds == float("inf") else work.clock.now() / 1e6 + seconds
    reports = _Reports(work, call.id)
    children = work.children

    count = itertools.count()

    async def run(context: ToolContext[Any], agent: Any, prompt: Any, options: dict[str, Any]) -> Any:  # noqa: ANN401
        if children is None:
            raise RuntimeError("this worker cannot start runs")
        named = {"id": f"{context.idempotency_key}/{next(count)}", **options}
        named["limits"] = _within(named.get("limits"), remaining(work))
        return await children(context, agent, prompt, named, spend)

    def spend(more: Spent) -> None:
        attempt.spent = (attempt.spent or Spent()) + more

    context = work.context(call.id, attempt=call.attempt, deadline=deadline, report=reports, runs=run)
    return context, reports


class _Reports:
    """Progress and spans from a tool's body, on any thread, to the journal, in order."""

    def __init__(self, work: Work, call: str) -> None:
        self._work = work
        self._call = call
        self._loop = asyncio.get_running_loop()
        self._events: list[ev.Event] = []
        self._task: asyncio.Task[None] | None = None

    def __call__(self, kind: str, text: str, data: Mapping[str, Any]) -> None:
        event = self._event(kind, text, dict(data))
        msgspec.json.encode(event)  # what cannot be stored fails here, in the tool that said it
        self._loop.call_soon_threadsafe(self._add, event)

    def _event(self, kind: str, text: str, data: dict[str, Any]) -> ev.Event:
        if kind == "span":
            return ev.SpanStarted(self._call, text, data)
        if kind == "span_end":
            return ev.SpanEnded(self._call, text, str(data.get("error", "")))
        return ev.ToolProgressed(self._call, text, data)

    def _add(self, event: ev.Event) -> None:
        self._events.append(event)
        if self._task is None:
            self._task = self._loop.create_task(self._write())

    async def _write(self) -> None:
        while self._events:
            events, self._events = self._events, []
            await self._work.ledger.outcome(*events)
        self._task = None

    async def done(self) -> None:
        """All that was reported is written."""
        if self._task is not None:
            await self._task
