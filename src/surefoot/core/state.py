"""Fold a run's events into its state: conversation, open calls, open questions, status and what was spent.

`fold(records)` reads a whole run; `State.apply(record)` adds one record, and is the only thing that changes a state.
Nothing here reads a clock: time is what the records say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from surefoot.core import events as ev
from surefoot.core import questions
from surefoot.core.call import Call
from surefoot.core.messages import Message, Text, ToolCall, text_of
from surefoot.core.picture import UNSAID, Picture, worked
from surefoot.core.status import ENDED, MOVES, status_after
from surefoot.core.values import Failure, Spent

__all__ = ["ENDED", "State", "fold", "status_after"]


class State(Picture):
    """A run as its events so far make it. See `Picture`."""

    __slots__ = ()

    def apply(self, record: ev.Record) -> None:
        """Add one record."""
        event, time, epoch = record.event, record.time, record.epoch
        kind = type(event)
        if epoch:  # only a worker's own records tell of its work, and a dead one's silence does not
            if self.status == "running" and kind is not ev.RunClaimed and time > self.worked_at:
                took = time - self.worked_at
                self.worked += took if took <= UNSAID else worked(event, took)
            self.worked_at = time
            self.epoch = max(self.epoch, epoch)
        self.seq, self.last_at = record.seq, time
        handler = _APPLY.get(kind)
        if handler is not None:
            handler(self, event, record)
        if kind in MOVES or self.status == "waiting":
            self.status = status_after(self.status, event)


def fold(records: Iterable[ev.Record]) -> State:
    """The state that the records make."""
    state = State()
    for record in records:
        state.apply(record)
    return state


# Handlers take the state, its event and the record around it.


def _run_started(state: State, event: ev.RunStarted, record: ev.Record) -> None:
    state.id, state.started, state.started_at = record.stream, event, record.time
    state.agent, state.limits, state.deadline = event.agent, event.limits, event.deadline
    state.messages.extend(event.history)
    if event.input:
        state.messages.append(Message("user", event.input))
        if not event.parent:  # a child's input is written by its parent's model
            state.words.append(text_of(event.input))


def _run_claimed(state: State, event: ev.RunClaimed, record: ev.Record) -> None:
    state.agent_digest = event.agent_digest
    state.session_head = state.session_head or event.session_head
    state.barren_claims += 1
    state.requesting = False


def _run_suspended(state: State, event: ev.RunSuspended, record: ev.Record) -> None:
    state.waiting_for, state.wake_at, state.barren_claims = event.waiting_for, event.wake_at, 0


def _run_resumed(state: State, event: ev.RunResumed, record: ev.Record) -> None:
    state.error = state.model_error = state.cancel = None
    state.attempt = state.retry_at = state.barren_claims = state.rejections = state.model_failures = 0
    state.limits, state.deadline = event.limits or state.limits, event.deadline or state.deadline
    state.pace.again()


def _cancel_requested(state: State, event: ev.RunCancelRequested, record: ev.Record) -> None:
    state.cancel = state.cancel or event


def _run_finished(state: State, event: ev.RunFinished, record: ev.Record) -> None:
    state.output = event


def _run_failed(state: State, event: ev.RunFailed, record: ev.Record) -> None:
    state.error = event.error


def _run_cancelled(state: State, event: ev.RunCancelled, record: ev.Record) -> None:
    state.error = Failure("cancelled", event.reason or "the run was cancelled")


def _message_received(state: State, event: ev.MessageReceived, record: ev.Record) -> None:
    state.incoming.append(Message("user", event.parts))
    state.words.append(text_of(event.parts))
    state.barren_claims = 0
    state.refused.clear()  # whoever speaks may have changed what is right


def _warned(state: State, event: ev.RunWarned, record: ev.Record) -> None:
    state.barren_claims -= event.kind == "newer_event"  # a worker that leaves a run to a newer one has not failed at it
    if event.kind not in state.warnings:
        state.warnings.append(event.kind)
    state.pace.noted(event.kind, str(event.data.get("about", "")), state.step, str(event.data.get("act", "")))
    if event.tell:
        state.incoming.append(Message("user", (Text(event.tell),)))


def _memory_recalled(state: State, event: ev.MemoryRecalled, record: ev.Record) -> None:
    state.recalled += event.text
    if event.text:
        state.messages.insert(max(0, len(state.messages) - 1), Message("user", (Text(event.text),)))


def _context_compacted(state: State, event: ev.ContextCompacted, record: ev.Record) -> None:
    state.compacted = event
    state.pace.acts.discard("compact")
    state.gauge.cut |= event.shortened > 0
    state.spend(Spent(usage=event.usage, cost=event.cost))


def _handed_off(state: State, event: ev.HandedOff, record: ev.Record) -> None:
    state.agent = event.agent


def _model_requested(state: State, event: ev.ModelRequested, record: ev.Record) -> None:
    if event.purpose:
        return
    state.messages.extend(state.incoming)
    state.incoming.clear()
    state.gauge.request(event.tokens, same_model=event.model == state.model)
    # A request that a crash cut off is asked again: the failure before it is not what the run came to.
    state.requesting, state.attempt, state.retry_at, state.model_error = True, event.attempt, 0, None
    state.instructions = event.instructions or state.instructions
    state.tools = event.tools or state.tools
    state.model, state.answer = event.model, None
    if state.answering:  # another answer is to come, so nobody need decide on this one
        state.requests.pop(state.answering, None)
        state.answering = ""


def _model_replied(state: State, event: ev.ModelReplied, record: ev.Record) -> None:
    state.requesting, state.model_error = False, None
    if not event.model:  # else another answered, which counts otherwise
        state.gauge.reply(event.usage.input)
    state.attempt = state.model_failures = state.barren_claims = 0
    state.step = event.step + 1
    state.messages.append(Message("assistant", event.parts))
    state.calls = {
        part.id: Call(part.id, part.name, part.arguments, part.provider_id, part.invalid)
        for part in event.parts
        if type(part) is ToolCall
    }
    state.steps += 1
    state.pace.replied(event.usage.input, event.duration)
    state.usage += event.usage
    state.cost = None if state.cost is None or event.cost is None else state.cost + event.cost
    state.answer = None if state.calls else text_of(event.parts)


def _model_failed(state: State, event: ev.ModelFailed, record: ev.Record) -> None:
    state.requesting, state.attempt, state.barren_claims = False, event.attempt, 0
    state.retry_at, state.model_error = event.retry_at, event.error
    state.model_failures += event.error.data.get("sent") is not False  # a request that was not sent is not yet a try
    state.pace.failed(event.error.kind, refused=event.error.data.get("sent") is False)


def _output_rejected(state: State, event: ev.OutputRejected, record: ev.Record) -> None:
    state.answer = None
    state.rejections += 1
    state.incoming.append(Message("user", (Text(event.error),)))


def _tool_started(state: State, event: ev.ToolStarted, record: ev.Record) -> None:
    call = state.call(event.call)
    state.tool_calls += call.attempt == 0
    call.status, call.attempt, call.epoch, call.effect = "started", event.attempt, record.epoch, event.effect
    call.arguments, call.retry_at, call.waits_on = event.arguments, 0, ()


def _tool_progressed(state: State, event: ev.ToolProgressed, record: ev.Record) -> None:
    call = state.call(event.call)
    state.charge(call, event.spent)
    if event.waiting and call.status == "started":
        call.status, call.waits_on = "suspended", event.waiting
        state.barren_claims = 0


def _tool_returned(state: State, event: ev.ToolReturned, record: ev.Record) -> None:
    text = event.result
    if event.blob:
        state.gauge.cut = True
        text += f"\n[{len(event.result)} of {event.size} characters; the whole result has the handle {event.blob[:16]}]"
    state.barren_claims = 0
    call = state.call(event.call)
    state.charge(call, event.spent)
    state.pace.worked()
    call.close(text, parts=event.parts)
    questions.close_step(state)


def _tool_failed(state: State, event: ev.ToolFailed, record: ev.Record) -> None:
    call = state.call(event.call)
    state.barren_claims = 0
    state.charge(call, event.spent)
    state.pace.failed(event.error.kind)
    if event.retry_at:
        call.status, call.retry_at = "retrying", event.retry_at
        return
    hint = f" {event.error.hint}" if event.error.hint else ""
    call.close(f"Error ({event.error.kind}): {event.error.message}{hint}", error=True)
    questions.close_step(state)


def _unknown(state: State, event: ev.Unknown, record: ev.Record) -> None:
    state.id = state.id or record.stream
    if not event.body.startswith('{"$redacted"'):
        state.unknown_tag = state.unknown_tag or event.tag


_APPLY: dict[type, Callable[[State, Any, ev.Record], None]] = {
    ev.RunStarted: _run_started,
    ev.RunClaimed: _run_claimed,
    ev.RunSuspended: _run_suspended,
    ev.RunResumed: _run_resumed,
    ev.RunCancelRequested: _cancel_requested,
    ev.RunFinished: _run_finished,
    ev.RunFailed: _run_failed,
    ev.RunCancelled: _run_cancelled,
    ev.RunWarned: _warned,
    ev.MessageReceived: _message_received,
    ev.MemoryRecalled: _memory_recalled,
    ev.ContextCompacted: _context_compacted,
    ev.HandedOff: _handed_off,
    ev.ModelRequested: _model_requested,
    ev.ModelReplied: _model_replied,
    ev.ModelFailed: _model_failed,
    ev.OutputRejected: _output_rejected,
    ev.CallsJudged: questions.judged,
    ev.ApprovalRequested: questions.requested,
    ev.ApprovalVoted: questions.voted,
    ev.ApprovalDelegated: questions.delegated,
    ev.ApprovalDecided: questions.decided,
    ev.ApprovalExpired: questions.expired,
    ev.ApprovalRevoked: questions.revoked,
    ev.ToolDenied: questions.denied,
    ev.ToolStarted: _tool_started,
    ev.ToolProgressed: _tool_progressed,
    ev.ToolReturned: _tool_returned,
    ev.ToolFailed: _tool_failed,
    ev.ToolIndeterminate: questions.indeterminate,
    ev.Unknown: _unknown,
}  # fmt: skip
