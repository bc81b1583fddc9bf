"""Judge what the model wants: its calls, and its answer. A verdict is had once, stored, and kept to."""

from __future__ import annotations

from surefoot.core import events as ev
from surefoot.core.call import Call
from surefoot.core.ports import Judged
from surefoot.core.tool import FINAL_ANSWER, ToolSpec
from surefoot.core.values import Failure, Verdict
from surefoot.engine.asking import again, answer_arguments, answer_digest, question
from surefoot.engine.outcomes import text_of_error
from surefoot.engine.plan import call_digest
from surefoot.engine.remember import left
from surefoot.engine.work import Work

__all__ = ["answer", "judge"]


async def judge(work: Work, calls: tuple[Call, ...]) -> None:
    """Ask the policy about calls, once; what it says is stored unless it follows from the tool's effect alone."""
    events: list[ev.Event] = []
    facts: list[Verdict] = []
    for call in calls:
        spec = work.plan.tools[call.name].spec
        call.effect = spec.effect
        verdict = _verdict(work, call, spec)
        if spec.human and verdict.verdict != "deny":
            asked = verdict if verdict.verdict == "ask" else Verdict(call.id, "ask", ("ask_human",))
            events += question(work.state, call, spec, asked, work.clock.now(), "human")
            continue
        if verdict.verdict != "deny" and not spec.repeatable:
            verdict = await _twin(work, call, verdict)
        if verdict.facts:
            facts.append(verdict)
        if verdict.verdict == "allow":
            if not verdict.facts:
                work.state.allow(call)
        elif verdict.verdict == "deny":
            events.append(ev.ToolDenied(call.id, verdict.reason))
        else:
            events += question(work.state, call, spec, verdict, work.clock.now())
    if facts:
        events.insert(0, ev.CallsJudged(tuple(facts), work.plan.policy.digest))
    if events:
        await work.ledger.intend(*events, barrier=True)


def _verdict(work: Work, call: Call, spec: ToolSpec) -> Verdict:
    """What the policy says of a call; a policy that breaks asks."""
    started = work.state.started
    assert started is not None  # a claimed run has started
    judged = Judged(
        call.id, call.arguments, spec, work.state.agent, started.user, started.tenant,
        started.session, started.context, work.state, work.past.messages,
    )  # fmt: skip
    try:
        return work.plan.policy.judge(judged)
    except Exception as error:  # noqa: BLE001  it must not raise, and must not let a call pass by raising
        return Verdict(call.id, "ask", ("error",), f"the policy failed: {text_of_error(error)}", facts=True)


async def _twin(work: Work, call: Call, verdict: Verdict) -> Verdict:
    """While nobody knows whether the same call happened before, a human is asked, whatever was said before."""
    if verdict.verdict == "ask" and not work.state.standing:
        return verdict
    digest = call_digest(work.state.agent, work.plan.tools[call.name].spec, call.arguments)
    if digest not in await work.unsettled(work.state):
        return verdict
    reason = "the same call was started before, and nobody has said yet whether it happened"
    return again(call, verdict, "unsettled", reason)


async def answer(work: Work, text: str) -> None:
    """Accept the model's answer, or say what is wrong with it, as often as the rules allow."""
    state, output = work.state, work.plan.output
    try:
        if not text.strip():
            raise ValueError("You ended without an answer. Give your final answer now.")
        final = output.validate(text)
    except ValueError as error:
        problem = str(error)
    else:
        finished = ev.RunFinished(final, output.schema is not None, state.spent)
        if not work.plan.gated:
            await work.ledger.intend(*await left(work, final), finished, barrier=True)
            return
        problem = await _moderate(work, final, finished)
        if not problem:
            return
    if state.rejections < work.plan.rules.answer_tries:
        await work.ledger.intend(ev.OutputRejected(problem))
        return
    failure = Failure("malformed_output", problem, "try a stronger model or a simpler output type; then `surefoot resume`")
    await work.ledger.intend(ev.RunFailed(failure, state.text, state.spent), barrier=True)


async def _moderate(work: Work, text: str, finished: ev.RunFinished) -> str:
    """Give an answer that the policy, or somebody, lets out; ask about one that it wants seen; else why not."""
    state = work.state
    call = Call(f"{state.step - 1}.answer", FINAL_ANSWER.name, answer_arguments(text))
    if state.cleared == answer_digest(state.agent, text):
        await work.ledger.intend(
            ev.ApprovalConsumed(state.cleared_by, call.id, state.cleared), *await left(work, text), finished, barrier=True
        )
        return ""
    verdict = _verdict(work, call, FINAL_ANSWER)
    judged = (ev.CallsJudged((verdict,), work.plan.policy.digest),) if verdict.facts else ()
    if verdict.verdict == "allow":
        await work.ledger.intend(*judged, *await left(work, text), finished, barrier=True)
        return ""
    if verdict.verdict == "deny":
        return f"This answer may not be given: {verdict.reason}. Give another."
    await work.ledger.intend(*judged, *question(state, call, FINAL_ANSWER, verdict, work.clock.now(), "answer"), barrier=True)
    return ""
