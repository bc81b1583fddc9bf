"""State, plan and time in, next step out: the one place where it is decided what a run does next. Pure.

`decide` looks at a run from the most pressing to the least: is it over, is it to be cancelled, is a limit reached, is
anything unknown left by a dead worker, can a call be judged or run, does it have to wait, may it ask the model, is there
an answer.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping

import msgspec

from surefoot.core import events as ev
from surefoot.core.call import Call
from surefoot.core.ports import Tool
from surefoot.core.state import State
from surefoot.core.values import Failure, Limits
from surefoot.engine.asking import expiry, going_on, request_id
from surefoot.engine.plan import Plan, call_digest

__all__ = [
    "Answer",
    "Ask",
    "Judge",
    "Leave",
    "Note",
    "Perform",
    "Probe",
    "Step",
    "Suspend",
    "Wait",
    "cancelled",
    "decide",
    "fresh",
    "limit_of",
    "within",
]


class Leave(msgspec.Struct, frozen=True, gc=False):
    """Nothing is to be done here."""


class Note(msgspec.Struct, frozen=True, gc=False):
    """Append these events, and decide again."""

    events: tuple[ev.Event, ...]


class Ask(msgspec.Struct, frozen=True, gc=False):
    """Ask the model."""

    attempt: int


class Judge(msgspec.Struct, frozen=True, gc=False):
    """Ask the policy about these calls."""

    calls: tuple[Call, ...]


class Perform(msgspec.Struct, frozen=True, gc=False):
    """Run these calls, together."""

    calls: tuple[Call, ...]


class Probe(msgspec.Struct, frozen=True, gc=False):
    """Find out whether these calls happened."""

    calls: tuple[Call, ...]


class Answer(msgspec.Struct, frozen=True, gc=False):
    """The model has answered; see whether it is an answer."""

    text: str


class Wait(msgspec.Struct, frozen=True, gc=False):
    """Hold the run until a time (Unix microseconds) that is near."""

    until: int


class Suspend(msgspec.Struct, frozen=True, gc=False):
    """Let the run go until somebody or something wakes it."""

    waiting_for: tuple[str, ...]
    wake_at: int


Step = Leave | Note | Ask | Judge | Perform | Probe | Answer | Wait | Suspend

_LEAVE = Leave()


def decide(state: State, plan: Plan, now: int) -> Step:
    """The next step of a run at ``now`` (Unix microseconds)."""
    if state.status != "running" or state.unknown_tag:
        return _LEAVE
    if state.cancel is not None:
        return Note(cancelled(state, state.cancel, plan.tools))
    if state.barren_claims > plan.rules.max_claims:
        return _fail(state, plan, "crash_loop", f"{state.barren_claims - 1} workers took this run and none got any further",
                     "see what kills a worker, or holds it up for longer than its lease, then `surefoot resume`")  # fmt: skip
    over = _time_is_up(state, plan, now)
    if over is not None:
        return over
    if state.pausing:
        return Suspend((state.pausing,), state.deadline)
    if state.calls:
        return _calls(state, plan, now)
    if state.answer is not None and not state.incoming:
        return _moderated(state, now) if state.answering else Answer(state.answer)
    if _carries_over(state.started):
        return Note((ev.RunFinished(state.text),))
    return _ask(state, plan, now)


def _carries_over(started: ev.RunStarted | None) -> bool:
    """Whether a run only brings a conversation into another session; the fork of one run goes on, in no session."""
    return started is not None and bool(started.forked_from and started.session) and not started.input


def within(state: State, plan: Plan, step: Ask | Perform, left: Limits) -> Step:
    """The step, if the runs above this one leave enough for it; else the end."""
    if isinstance(step, Perform):
        short = ["tool_calls"] if left.tool_calls is not None and 0 < fresh(step.calls) > left.tool_calls else []
    else:
        short = [name for name in ("steps", "tokens", "cost") if (rest := getattr(left, name)) is not None and rest <= 0]
    if not short:
        return step
    name = short[0].replace("_", " ")
    message = f"the runs above this one, with all that they started, reached a limit of {name}"
    return _fail(state, plan, "limit_exceeded", message, f"give the first of them a higher limit: Limits({short[0]}=…)")


def fresh(calls: Iterable[Call]) -> int:
    """How many of these calls have not been counted yet."""
    return sum(1 for call in calls if call.attempt == 0)


def _moderated(state: State, now: int) -> Step:
    """Somebody is asked whether the answer may be given."""
    request = state.requests[state.answering]
    if request.expires_at and request.expires_at <= now:
        return Note(expiry(state, request))
    times = [time for time in (request.expires_at, state.deadline) if time]
    return Suspend((request.id,), min(times, default=0))


def limit_of(state: State, plan: Plan) -> Limits:
    """The run's own limits, where it has any, over the agent's."""
    return plan.limits if state.limits is None else state.limits.over(plan.limits)


def cancelled(state: State, cancel: ev.RunCancelRequested, tools: Mapping[str, Tool]) -> tuple[ev.Event, ...]:
    """The end of a run that is to be cancelled, whoever knows its agent."""
    lost = _unknowns(state, tools, "the run was cancelled while it ran")
    return (*lost, ev.RunCancelled(cancel.by, cancel.reason, state.spent))


def _fail(state: State, plan: Plan, kind: str, message: str, hint: str, **data: float) -> Note:
    failed = ev.RunFailed(Failure(kind, message, hint, data=dict(data)), state.text, state.spent)
    return Note((*_unknowns(state, plan.tools, "the worker died while it ran"), failed))


def _unknowns(state: State, tools: Mapping[str, Tool], reason: str) -> list[ev.ToolIndeterminate]:
    """What a run that ends now leaves unknown: calls that a dead worker had started."""
    return [_unknown(state, tools, call, reason) for call in _lost(state) if not _safe(call)]


def _time_is_up(state: State, plan: Plan, now: int) -> Step | None:
    if state.deadline and now >= state.deadline:
        return _fail(state, plan, "deadline_exceeded", "the run's deadline has passed", "resume it with a later deadline")
    seconds = limit_of(state, plan).seconds
    if seconds is not None and state.worked_until(now) >= seconds * 1e6:
        return _over(state, plan, "seconds", seconds)
    return None


def _end_of_time(state: State, plan: Plan, now: int) -> float:
    """When the run's time is up if it works on from ``now``; ``inf`` for never."""
    seconds = limit_of(state, plan).seconds
    worked_up = float("inf") if seconds is None else now + seconds * 1e6 - state.worked_until(now)
    return min(worked_up, state.deadline or float("inf"))


def _over(state: State, plan: Plan, name: str, limit: float) -> Note:
    return _fail(state, plan, "limit_exceeded", f"the run reached its limit of {limit:g} {name.replace('_', ' ')}",
                 f"resume it with a higher limit: Limits({name}=…)", **{name: limit})  # fmt: skip


# ── calls ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _calls(state: State, plan: Plan, now: int) -> Step:
    """What is to be done about the open calls of the current step."""
    calls = state.open_calls
    if len(calls) == 1 and calls[0].status == "proposed" and not calls[0].invalid and calls[0].name in plan.free:
        return _perform(state, plan, calls)
    notes = [note for call in calls for note in _known_end(state, plan, call, now)]
    if notes:
        ending = next((place for place, note in enumerate(notes) if isinstance(note, ev.RunFailed)), len(notes))
        return Note(tuple(notes[: ending + 1]))
    probes = tuple(call for call in _lost(state) if call.effect == "reconcilable")
    if probes:
        return Probe(probes)
    proposed = tuple(call for call in calls if call.status == "proposed" and call.name not in plan.free)
    if proposed:
        return Judge(proposed)
    ready = [call for call in calls if _ready(state, plan, call, now)]
    if ready:
        return _perform(state, plan, ready)
    return _wait(state, plan, calls, now)


def _known_end(state: State, plan: Plan, call: Call, now: int) -> tuple[ev.Event, ...]:
    """The events that a call's situation already determines, without running or asking anything."""
    gone = call.name not in plan.tools
    if call.status == "started" and call.epoch < state.epoch:
        if not _safe(call) and (gone or call.effect != "reconcilable"):
            return (_unknown(state, plan.tools, call, "the worker died while it ran"),)
        return (_no_such_tool(call, plan),) if gone else ()
    request = state.requests.get(call.request)
    if call.status == "asked" and request and request.expires_at and request.expires_at <= now:
        return expiry(state, request)
    if call.status in ("asked", "unknown"):
        return ()
    if call.invalid:
        failure = Failure("invalid_arguments", call.invalid, "Correct the arguments and call again.")
        return (ev.ToolFailed(call.id, failure),)
    return (_no_such_tool(call, plan),) if gone else ()


def _no_such_tool(call: Call, plan: Plan) -> ev.ToolFailed:
    return ev.ToolFailed(
        call.id, Failure("not_found", f"There is no tool {call.name!r}.", _nearest(call.name, [spec.name for spec in plan.specs]))
    )


def _nearest(name: str, tools: Iterable[str]) -> str:
    names = list(tools)
    if not names:
        return "You have no tools: answer in text."
    near = difflib.get_close_matches(name, names, 1)
    return f"Did you mean {near[0]!r}?" if near else f"The tools are: {', '.join(names[:50])}."


def _unknown(state: State, tools: Mapping[str, Tool], call: Call, reason: str) -> ev.ToolIndeterminate:
    tool = tools.get(call.name)
    # The digest of a call that needed no approval is in no event, and tells an unsettled call from any other.
    digest = call.digest or (call_digest(state.agent, tool.spec, call.arguments) if tool else "")
    return ev.ToolIndeterminate(call.id, request_id(state, call), reason, call.attempt, digest)


def _lost(state: State) -> list[Call]:
    """Calls that a worker before this one started, and that have no outcome."""
    return [call for call in state.open_calls if call.status == "started" and call.epoch < state.epoch]


def _safe(call: Call) -> bool:
    return call.effect in ("read", "idempotent")


def _ready(state: State, plan: Plan, call: Call, now: int) -> bool:
    match call.status:
        case "proposed":
            return call.name in plan.free
        case "allowed" | "approved":
            return True
        case "retrying":
            return call.retry_at <= now
        case "started" | "suspended":
            return call.epoch < state.epoch
        case _:
            return False


def _perform(state: State, plan: Plan, ready: list[Call]) -> Step:
    """Calls whose effects allow it run together; any other runs alone, after them."""
    limit = limit_of(state, plan).tool_calls
    together = [call for call in ready if plan.tools[call.name].spec.repeatable]
    calls = tuple(together[: plan.rules.parallel]) if together else (ready[0],)
    new = fresh(calls)
    if limit is not None and new and state.tool_calls + new > limit:
        return _over(state, plan, "tool_calls", limit)
    return Perform(calls)


def _wait(state: State, plan: Plan, calls: list[Call], now: int) -> Step:
    """Nothing can be done now: wait for what comes first."""
    timers = [call.retry_at for call in calls if call.status == "retrying"]
    if timers and min(timers) - state.last_at <= plan.rules.hold_for * 1e6:
        return Wait(int(min(*timers, _end_of_time(state, plan, now))))
    asked = [call.request for call in calls if call.status in ("asked", "unknown")]
    timers += [state.requests[name].expires_at for name in asked if name in state.requests and state.requests[name].expires_at]
    if state.deadline:
        timers.append(state.deadline)
    runs = [run for call in calls for run in call.waits_on]
    return Suspend((*asked, *runs, *(["timer"] if timers and not asked and not runs else [])), min(timers, default=0))


# ── the model ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _ask(state: State, plan: Plan, now: int) -> Step:
    limits = limit_of(state, plan)
    if limits.steps is not None and state.steps >= limits.steps:
        return _over(state, plan, "steps", limits.steps)
    if limits.tokens is not None and state.usage.total >= limits.tokens:
        return _over(state, plan, "tokens", limits.tokens)
    if limits.cost is not None and (state.cost is None or state.cost >= limits.cost * 1e6):
        return _over(state, plan, "cost", limits.cost)
    if state.model_error is None:
        return _found(state, plan, now) or Ask(state.attempt + 1)
    if not state.retry_at and not state.incoming:
        error = state.model_error
        return Note((ev.RunFailed(error, state.text, state.spent),))
    if state.retry_at > now:
        if state.retry_at - state.last_at <= plan.rules.hold_for * 1e6:
            return Wait(int(min(state.retry_at, _end_of_time(state, plan, now))))
        return Suspend(("timer",), min(state.retry_at, state.deadline or state.retry_at))
    return Ask(state.attempt + 1)


def _found(state: State, plan: Plan, now: int) -> Note | None:
    """What the guards have to say before the model is asked: each thing once, or the end."""
    warnings: list[ev.Event] = []
    for guard in plan.guards:
        try:
            findings = guard.check(state, now)
        except Exception:  # noqa: BLE001, S112  a guard that breaks finds nothing, and must not break the run
            continue
        for found in findings:
            if found.stop:
                return Note(
                    (ev.RunFailed(Failure(found.kind, found.message, found.hint, data=found.data), state.text, state.spent),)
                )
            if found.key not in state.pace.warned:
                more = {name: said for name, said in (("about", found.about), ("act", found.act)) if said}
                data = {**found.data, **more} if more else found.data
                warnings.append(ev.RunWarned(found.kind, found.message, data, found.tell))
                if found.act == "ask" and not any(isinstance(event, ev.ApprovalRequested) for event in warnings):
                    warnings.append(going_on(state, found.kind, found.message))
    return Note(tuple(warnings)) if warnings else None
