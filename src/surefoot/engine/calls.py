"""Run tool calls: intent first, then the body, then the outcome."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, TypeVar

import msgspec

from surefoot.core import events as ev
from surefoot.core.call import Call
from surefoot.core.errors import DiskFull
from surefoot.core.messages import LARGEST, File, Image, Part, too_large
from surefoot.core.ports import Tool
from surefoot.core.tool import Done, ToolContext, ToolOutput, ToolSpec
from surefoot.core.values import Failure
from surefoot.engine.asking import again, request_id
from surefoot.engine.bodies import Interrupted, TimeUp, is_cancelled
from surefoot.engine.link import Link, context_of
from surefoot.engine.outcomes import Attempt, checked, failed, text_of_error, unknown
from surefoot.engine.plan import call_digest, changes
from surefoot.engine.work import Suspended, Work

__all__ = ["perform", "probe", "stored"]

P = TypeVar("P", bound=Part)


async def perform(work: Work, calls: tuple[Call, ...]) -> None:
    """Start calls and see them through. When somebody wrote meanwhile, or an approval no longer fits, nothing starts."""
    intents: list[ev.Event] = []
    for call in calls:
        if not await _cleared(work, call, intents):
            return
    barrier = any(work.plan.tools[call.name].spec.effect != "read" for call in calls)
    try:
        if not await work.ledger.intend(*intents, barrier=barrier):
            return
    except DiskFull as full:
        wake_at = work.clock.now() + int(work.plan.rules.hold_for * 1e6)
        await work.ledger.intend(ev.RunWarned("disk_full", str(full)), ev.RunSuspended(("disk",), wake_at))
        return
    if len(calls) == 1:
        call = work.state.calls[calls[0].id]
        outcome = await _attempt(work, call)
        work.ledger.hold(outcome, barrier=call.effect in ("unsafe", "reconcilable"))
        return
    try:
        async with asyncio.TaskGroup() as group:
            for call in calls:
                group.create_task(_attempt_and_record(work, work.state.calls[call.id]))
    except ExceptionGroup as failures:  # bodies raise nothing: the store did, and whoever drives knows its errors
        raise failures.exceptions[0] from None


async def _cleared(work: Work, call: Call, intents: list[ev.Event]) -> bool:
    """Add what is to be written before a call starts; False when it must not start now."""
    state, spec = work.state, work.plan.tools[call.name].spec
    if not spec.repeatable or call.status == "approved":
        digest = call_digest(state.agent, spec, call.arguments)
        doubt = await _doubt(work, call, spec, digest)
        if work.state is not state:  # somebody wrote meanwhile
            return False
        if doubt:
            await work.ledger.intend(_ask_again(work, call, digest, doubt), barrier=True)
            return False
        if call.status == "approved":
            intents.append(ev.ApprovalConsumed(call.request, call.id, digest))
        call.digest = digest
    # A body that stopped to wait for a run has not failed: it goes on with the same attempt.
    attempt = call.attempt + (call.status != "suspended")
    intents.append(ev.ToolStarted(call.id, call.name, call.arguments, spec.effect, attempt))
    return True


async def probe(work: Work, calls: tuple[Call, ...]) -> None:
    """Find out about calls that a dead worker started."""
    for call in calls:
        spec = work.plan.tools[call.name].spec
        call.digest = call.digest or call_digest(work.state.agent, spec, call.arguments)
        attempt = Attempt(call, spec, request_id(work.state, call))
        # A crash is no failure of the tool; a tool that kills its worker every time is given up all the same.
        outcome = await _probed(work, attempt, "the worker died while it ran", spare=work.plan.rules.max_claims)
        await work.ledger.outcome(outcome, barrier=True)


async def _doubt(work: Work, call: Call, spec: ToolSpec, digest: str) -> str:
    """Why a human has to be asked about a call before it starts; nothing when it may."""
    if digest != call.digest and (call.digest or call.status == "approved"):
        how = await _changed(work, spec)
        return f"the tool's definition changed since this call was approved{how}"
    if spec.repeatable:
        return ""
    # Attempts of a tool that might be repeated were judged as such; an approval is for the tool as it is now.
    if call.attempt and call.effect in ("read", "idempotent") and call.status != "approved":
        return "the tool was declared safe to repeat when this call was judged, and no longer is"
    if digest in work.state.unsettled and not await _knowing(work, call, digest):
        return "the same call was started before, and nobody has said yet whether it happened"
    return ""


async def _changed(work: Work, spec: ToolSpec) -> str:
    """How a tool's arguments differ from those that the model was told of."""
    try:
        told = msgspec.json.decode(await work.blobs.load(work.state.tools), type=list[ToolSpec])
    except (KeyError, msgspec.DecodeError):  # nothing kept, or by a version that said it otherwise
        return ""
    before = next((old for old in told if old.name == spec.name), None)
    how = changes(before.input_schema, spec.input_schema) if before else ""
    return f": {how}" if how else ""


async def _knowing(work: Work, call: Call, digest: str) -> bool:
    """Whether somebody let a call run who could know that the outcome of its twin is not known."""
    decided = work.state.settled.get(call.request)
    if not isinstance(decided, ev.ApprovalDecided):
        return False
    if decided.decision == "retry":
        return True
    twins = {request.id for request in work.state.requests.values() if request.kind == "outcome" and request.digest == digest}
    asked = unknown_at = 0
    for record in await work.ledger.records():
        if isinstance(record.event, ev.ApprovalRequested) and record.event.request == call.request:
            asked = record.seq
        elif isinstance(record.event, ev.ToolIndeterminate) and record.event.request in twins:
            unknown_at = record.seq
    return asked > unknown_at


def _ask_again(work: Work, call: Call, digest: str, reason: str) -> ev.ApprovalRequested:
    verdict, effect = again(call, call.verdict, "again", reason), work.plan.tools[call.name].spec.effect
    expires = work.clock.now() + verdict.expires if verdict.expires else 0
    name = request_id(work.state, call)
    return ev.ApprovalRequested(name, call.id, call.name, digest, reason, "call", verdict, expires, effect)


async def _attempt_and_record(work: Work, call: Call) -> None:
    outcome = await _attempt(work, call)
    await work.ledger.outcome(outcome, barrier=call.effect in ("unsafe", "reconcilable"))


async def _attempt(work: Work, call: Call) -> ev.Event:
    """One try of one call, which has been recorded as started; the event of its outcome.

    A run that the body started and did not see to its end ends with the call; so does what it costs.
    """
    link = Link(work, call.id)
    event = await _tried(work, call, link)
    over = isinstance(event, ev.ToolReturned) or (isinstance(event, ev.ToolFailed) and not event.retry_at)
    if over and link.open and not work.bodies.interrupted:  # a run that is cancelled has had those below it stopped
        await work.stop(work.state.id, call.id)
        return msgspec.structs.replace(event, spent=await link.spent())
    return event


async def _tried(work: Work, call: Call, link: Link) -> ev.Event:
    tool = work.plan.tools[call.name]
    spec = tool.spec
    attempt = Attempt(call, spec, "" if spec.repeatable else request_id(work.state, call))
    seconds = _seconds(work, spec)
    began = work.clock.monotonic()
    context = context_of(work, call.id, attempt=call.attempt, deadline=work.clock.now() / 1e6 + seconds, link=link)
    error: BaseException | None = None
    try:
        if spec.concurrency is None:
            with work.bodies.limit(seconds):
                output = await tool.call(call.arguments, context)
        else:
            output = await _in_turn(work, tool, call, context, seconds)
        if not isinstance(output, ToolOutput):
            raise TypeError(f"the tool returned {output!r:.100}, not a ToolOutput")
    except BaseException as raised:
        gone = isinstance(raised, (KeyboardInterrupt, GeneratorExit))
        if gone or (isinstance(raised, asyncio.CancelledError) and is_cancelled()):
            raise
        error = raised  # an observation, whatever it is
    attempt.duration = int((work.clock.monotonic() - began) * 1e6)
    await link.done()
    attempt.spent = await link.spent()
    if error is None:
        return await _returned(work, attempt, output)
    runs = _waits_for(error)
    if runs:
        return ev.ToolProgressed(call.id, "waits for other runs", {}, runs, attempt.spent)
    attempt.timed_out = isinstance(error, TimeUp)
    attempt.notes = _notes(error)
    attempt.seconds = seconds
    return await _failed(work, attempt, error)


def _notes(error: BaseException) -> str:
    """What a body that was cut short left to say: of a thread, that it cannot be stopped."""
    cut = error.__cause__ if isinstance(error, (TimeUp, Interrupted)) else None
    return "; ".join(["", *getattr(cut, "__notes__", ())])


async def _in_turn(work: Work, tool: Tool, call: Call, context: ToolContext[Any], seconds: float) -> ToolOutput:
    """Run a body once there is room for it; waiting takes nothing from its time."""
    room = work.room(call.name)
    with work.bodies.limit(float("inf")):
        await room.acquire()
    try:
        with work.bodies.limit(seconds):
            return await tool.call(call.arguments, context)
    finally:
        room.release()


def _waits_for(error: BaseException) -> tuple[str, ...]:
    """The runs that a body has stopped to wait for; none when it failed. A task group wraps what its tasks raise."""
    if isinstance(error, Suspended):
        return error.runs
    if isinstance(error, BaseExceptionGroup):
        waits = [_waits_for(inner) for inner in error.exceptions]
        return tuple(dict.fromkeys(run for runs in waits for run in runs)) if all(waits) else ()
    return ()


def _seconds(work: Work, spec: ToolSpec) -> float:
    """How long a body may take: its own timeout, within the run's deadline and working time."""
    seconds = spec.timeout or work.plan.rules.tool_timeout
    return min(seconds, work.time_left())


async def _failed(work: Work, attempt: Attempt, error: BaseException) -> ev.Event:
    call, spec = attempt.call, attempt.spec
    attempt.now = work.clock.now()
    if work.state.deadline:
        attempt.left = (work.state.deadline - attempt.now) / 1e6
    if isinstance(error, Interrupted):
        if spec.repeatable or not error.began:
            failure = Failure("cancelled", "the run was cancelled")
            return ev.ToolFailed(call.id, failure, call.attempt, 0, attempt.duration, attempt.spent)
        return unknown(attempt, f"the run was cancelled while it ran{attempt.notes}")
    chance = work.clock.jitter()
    try:
        event = failed(attempt, error, work.plan.retries, chance)
    except Exception as broken:  # noqa: BLE001  an error whose own attributes raise is an error of the tool all the same
        told = RuntimeError(f"{type(error).__name__}, of which no more can be read: {text_of_error(broken)}")
        event = failed(attempt, told, work.plan.retries, chance)
    if isinstance(event, ev.ToolIndeterminate) and spec.effect == "reconcilable":
        return await _probed(work, attempt, event.reason)
    return event


async def _probed(work: Work, attempt: Attempt, reason: str, spare: int = 0) -> ev.Event:
    """Ask a reconcilable tool whether the call happened; only its word settles it."""
    call = attempt.call
    try:
        with work.bodies.limit(_seconds(work, attempt.spec)):
            found = await work.plan.tools[call.name].probe(f"{work.state.id}:{call.id}")
    except Exception as error:  # noqa: BLE001  a probe that fails leaves the outcome unknown
        return unknown(attempt, f"{reason}; the probe failed: {text_of_error(error)}")
    if isinstance(found, Done):
        try:
            output = found.result if isinstance(found.result, ToolOutput) else ToolOutput(str(found.result))
            return await _kept(work, attempt, output)
        except Exception as error:  # noqa: BLE001  it happened, but with what result nobody can say
            return unknown(attempt, f"{reason}; the probe's result cannot be kept: {text_of_error(error)}")
    if call.attempt > attempt.spec.retries + spare:
        failure = Failure("tool_retryable", f"{reason} (tried {call.attempt} times; the probe says it did not happen)")
        return ev.ToolFailed(call.id, failure, call.attempt, 0, attempt.duration)
    retry_at = work.clock.now() + 1
    return ev.ToolFailed(call.id, Failure("tool_retryable", reason), call.attempt, retry_at, attempt.duration)


async def _returned(work: Work, attempt: Attempt, output: ToolOutput) -> ev.Event:
    """The event of a result; one that cannot be kept is a failure of the tool, or unknown."""
    try:
        return await _kept(work, attempt, output)
    except Exception as error:  # noqa: BLE001  the body is over: whatever goes wrong now must not look like a dead worker
        return await _failed(work, attempt, error)


async def _kept(work: Work, attempt: Attempt, output: ToolOutput) -> ev.ToolReturned:
    """A result, cut to the tool's limit; what is cut off goes to a blob. Raises when it cannot be stored."""
    call, text, blob, size = attempt.call, output.text, "", 0
    if not isinstance(text, str):
        raise TypeError(f"the result's text is {text!r:.100}, not a str")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise TypeError("the result holds a lone surrogate, which is not valid UTF-8") from None
    if len(text) > attempt.spec.result_limit:
        size = len(text)
        kept = text[: work.plan.rules.result_cap]
        blob = await work.blobs.save(kept.encode())
        text = text[: attempt.spec.result_limit]
    parts = await stored(work, output.parts) if output.parts else ()
    event = ev.ToolReturned(call.id, text, parts, blob, size, call.attempt, attempt.duration, attempt.spent)
    return checked(event) if parts else event


async def stored(work: Work, parts: Sequence[P]) -> tuple[P, ...]:
    """The parts with their bytes in the blob store."""
    result: list[P] = []
    for part in parts:
        if isinstance(part, Image | File) and part.data:
            if len(part.data) > LARGEST:
                raise TypeError(f"{too_large(part)}; keep it where it is, and return where that is")
            result.append(msgspec.structs.replace(part, data=b"", blob=await work.blobs.save(part.data)))
        else:
            result.append(part)
    return tuple(result)
