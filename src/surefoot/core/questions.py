"""How questions and their answers change what is known of a run: the part of the fold that is about approvals.

Each function takes the picture, an event and the record around it.
"""

from __future__ import annotations

from dataclasses import replace

from surefoot.core import canonical
from surefoot.core import events as ev
from surefoot.core.messages import Message, Text
from surefoot.core.picture import Picture
from surefoot.core.request import Request, Standing

__all__ = [
    "close_step",
    "decided",
    "delegated",
    "denied",
    "expired",
    "indeterminate",
    "judged",
    "requested",
    "revoked",
    "voted",
]


def judged(state: Picture, event: ev.CallsJudged, record: ev.Record) -> None:
    """A policy has spoken."""
    for verdict in event.verdicts:
        call = state.calls.get(verdict.call)
        if call is not None and call.status == "proposed":
            call.verdict = verdict
            call.status = "allowed" if verdict.verdict == "allow" else call.status


def requested(state: Picture, event: ev.ApprovalRequested, record: ev.Record) -> None:
    """A human is asked: about a call, about the answer, or whether the run goes on."""
    if event.kind == "answer":
        state.answering = event.request
        arguments, effect = canonical.dumps({"text": state.answer or ""}), "read"
    elif event.kind == "warning":
        state.pausing = event.request
        state.pace.acts.discard("ask")
        arguments, effect = "{}", "read"
    else:
        call = state.call(event.call)
        call.status, call.request, call.digest = "asked", event.request, event.digest
        call.effect, call.verdict = event.effect or call.effect, event.verdict or call.verdict
        arguments, effect = call.arguments, call.effect
    state.requests[event.request] = Request(
        event.request,
        record.stream,
        event.call,
        event.kind,
        event.tool,
        arguments,
        event.digest,
        event.reason,
        effect,
        record.time,
        event.expires_at,
        event.verdict,
        user=state.started.user if state.started else "",
    )


def indeterminate(state: Picture, event: ev.ToolIndeterminate, record: ev.Record) -> None:
    """A human is asked what became of a call."""
    call = state.call(event.call)
    call.status, call.request, call.digest = "unknown", event.request, event.digest
    state.barren_claims = 0
    state.requests[event.request] = Request(
        event.request,
        record.stream,
        call.id,
        "outcome",
        call.name,
        call.arguments,
        event.digest,
        event.reason,
        call.effect,
        record.time,
        user=state.started.user if state.started else "",
    )


def voted(state: Picture, event: ev.ApprovalVoted, record: ev.Record) -> None:
    """One of several has spoken."""
    request = state.requests.get(event.request)
    if request is not None:
        state.requests[event.request] = replace(request, votes=(*request.votes, event))


def delegated(state: Picture, event: ev.ApprovalDelegated, record: ev.Record) -> None:
    """Somebody may decide for another."""
    request = state.requests.get(event.request)
    if request is not None:
        state.requests[event.request] = replace(request, delegates=(*request.delegates, event))


def decided(state: Picture, event: ev.ApprovalDecided, record: ev.Record) -> None:
    """A question is settled."""
    request = state.requests.pop(event.request, None)
    state.settled.setdefault(event.request, event)
    if request is None:
        return
    if event.decision == "approve" and event.sticky:
        rules = request.verdict.rules if request.verdict and event.sticky == "rule" else ()
        digest = "" if event.sticky == "rule" else request.digest
        state.standing[request.id] = Standing(request.id, request.tool, digest, rules, event.by)
    if request.id == state.answering:
        _answer_decided(state, event, request)
        return
    if request.id == state.pausing:
        state.pausing = ""
        state.barren_claims = 0
        if event.decision == "deny":
            state.cancel = ev.RunCancelRequested(event.by, event.reason or request.reason)
        return
    call = state.calls.get(request.call)
    if call is None or call.request != event.request:
        return
    state.barren_claims = 0
    if request.kind == "human":
        call.close(_said(event))
    else:
        call.settle(event)
    if request.kind == "call" and event.decision == "deny":
        state.refused[request.digest] = event.by
    close_step(state)


def _answer_decided(state: Picture, event: ev.ApprovalDecided, request: Request) -> None:
    state.answering = ""
    state.barren_claims = 0
    if event.decision == "approve":
        state.cleared, state.cleared_by = event.digest or request.digest, request.id
        if event.arguments:
            state.answer = str(canonical.loads(event.arguments).get("text", ""))
        return
    state.answer = None
    who = event.by or "A human"
    said = f"{who} asks" if event.decision == "ask" else f"{who} did not let this answer out"
    why = f": {event.reason}" if event.reason else ""
    state.incoming.append(Message("user", (Text(f"{said}{why}. Give another final answer."),)))


def _said(event: ev.ApprovalDecided) -> str:
    """What a human said when the model asked."""
    who = event.by or "The human"
    why = f": {event.reason}" if event.reason else ""
    match event.decision:
        case "approve":
            return f"{who} says yes{why}. Go on."
        case "answer":
            return event.result or ""
        case "ask":
            return f"{who} asks{why}"
        case _:
            return f"{who} says no{why}. Do not do it, and do not ask for it again; tell the user."


def expired(state: Picture, event: ev.ApprovalExpired, record: ev.Record) -> None:
    """Nobody answered in time."""
    request = state.requests.pop(event.request, None)
    state.settled.setdefault(event.request, event)
    if event.request == state.answering:
        state.answering = ""
    call = state.calls.get(request.call) if request else None
    if call is None or call.status != "asked" or call.request != event.request:
        return
    if event.then == "escalate":
        call.status = "proposed"
        return
    did = (
        "Nobody answered in time."
        if request and request.kind == "human"
        else "Nobody approved this call in time. It did not run."
    )
    call.close(did, error=True)
    close_step(state)


def revoked(state: Picture, event: ev.ApprovalRevoked, record: ev.Record) -> None:
    """An approval is withdrawn: one that was not used, or one that held for more."""
    state.standing.pop(event.request, None)
    for call in state.calls.values():
        if call.request == event.request and call.status == "approved":
            call.status = "proposed"
            state.settled[event.request] = event


def denied(state: Picture, event: ev.ToolDenied, record: ev.Record) -> None:
    """A call will not run."""
    reason = f": {event.reason}" if event.reason else ""
    state.call(event.call).close(f"Denied by policy{reason}. The call did not run; do not ask for it again.", error=True)
    close_step(state)


def close_step(state: Picture) -> None:
    """Once every call of a step has a result, the model may be told of them all."""
    if state.calls and not state.open_calls:
        state.pace.saw(state.calls.values())
        state.messages.append(Message("tool", tuple(call.result for call in state.calls.values() if call.result)))
        state.calls = {}
