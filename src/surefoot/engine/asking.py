"""How questions are asked and how they end by themselves: their names, what they are bound to, their expiry. Pure."""

from __future__ import annotations

import msgspec

from surefoot.core import canonical
from surefoot.core import events as ev
from surefoot.core.call import Call
from surefoot.core.request import Request
from surefoot.core.state import State
from surefoot.core.tool import FINAL_ANSWER, ToolSpec
from surefoot.core.values import Failure, Verdict
from surefoot.engine.plan import call_digest

__all__ = ["again", "answer_arguments", "answer_digest", "expiry", "going_on", "question", "request_id"]

#: Verdicts with these among their rules are asked about each time, whatever was approved before.
_ALWAYS = frozenset({"error", "unmapped", "unsettled", "again"})


def request_id(state: State, call: Call) -> str:
    """A new name for a question about a call: the run, the call, and which question about it this is.

    Every character may stand in a web address as it is.
    """
    return _named(state, f"{state.id}:{call.id}")


def _named(state: State, stem: str) -> str:
    asked = sum(1 for known in (*state.requests, *state.settled) if known == stem or known.startswith(f"{stem}~"))
    return stem if asked == 0 else f"{stem}~{asked + 1}"


def answer_arguments(text: str) -> str:
    """A final answer as arguments, for policies and humans."""
    return canonical.dumps({"text": text})


def answer_digest(agent: str, text: str) -> str:
    """What the approval of a final answer is bound to."""
    return call_digest(agent, FINAL_ANSWER, answer_arguments(text))


def question(state: State, call: Call, spec: ToolSpec, verdict: Verdict, now: int, kind: str = "call") -> tuple[ev.Event, ...]:
    """Ask a human about a call, or note what somebody has said of such calls already: for good, or until a message comes."""
    digest = call_digest(state.agent, spec, call.arguments)
    if digest in state.refused:
        by = state.refused[digest]
        return (ev.ToolDenied(call.id, f"exactly this call was denied before{f' by {by}' if by else ''}", by),)
    expires = now + verdict.expires if verdict.expires else 0
    name = request_id(state, call)
    reason = verdict.reason
    if kind == "human":
        reason = str(canonical.loads(call.arguments).get("reason", reason))
    asked = ev.ApprovalRequested(name, call.id, call.name, digest, reason, kind, verdict, expires, spec.effect)
    if kind == "call" and _ALWAYS.isdisjoint(verdict.rules):
        for standing in state.standing.values():
            if standing.covers(call.name, digest, verdict):
                why = f"as decided in {standing.request}"
                return (asked, ev.ApprovalDecided(name, "approve", "sticky", "sticky", why, digest=digest))
    return (asked,)


def going_on(state: State, about: str, reason: str) -> ev.ApprovalRequested:
    """Ask a human whether a run goes on of which something is foreseen."""
    digest = canonical.digest(state.agent, state.id, reason)
    return ev.ApprovalRequested(_named(state, f"{state.id}:{about}"), "", about, digest, reason, "warning", effect="read")


def again(call: Call, verdict: Verdict | None, rule: str, reason: str) -> Verdict:
    """A verdict that asks, whatever was approved before, and of whoever decides what ``verdict`` demands, if that asks."""
    if verdict is None or verdict.verdict != "ask":
        return Verdict(call.id, "ask", (rule,), reason, facts=True)
    return msgspec.structs.replace(verdict, rules=(*verdict.rules, rule), reason=reason, facts=True)


def expiry(state: State, request: Request) -> tuple[ev.Event, ...]:
    """What happens to a question whose time is over: it ends, is put to somebody else, or ends its run."""
    then = request.verdict.on_expiry if request.verdict else ""
    if request.kind == "answer" or then == "fail":
        what = "the answer" if request.kind == "answer" else f"the call of {request.tool}"
        failure = Failure("approval_expired", f"nobody approved {what} in time", "decide sooner, then `surefoot resume`")
        return (ev.ApprovalExpired(request.id, "fail"), ev.RunFailed(failure, state.text, state.spent))
    role = then.partition("escalate:")[2]
    if not role or request.verdict is None:
        return (ev.ApprovalExpired(request.id),)
    verdict = msgspec.structs.replace(request.verdict, roles=((role,),), quorums=(1,), quorum=1, on_expiry="")
    name = _named(state, request.id.partition("~")[0])
    again = ev.ApprovalRequested(
        name, request.call, request.tool, request.digest, request.reason, request.kind, verdict,
        request.expires_at + verdict.expires, request.effect,
    )  # fmt: skip
    return (ev.ApprovalExpired(request.id, "escalate"), again)
