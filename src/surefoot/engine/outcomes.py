"""What an exception of a tool or a model means: an event. Pure; the plan's `Retries` says whether another try follows."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeVar, cast

import msgspec

from surefoot.core import codec
from surefoot.core import events as ev
from surefoot.core.call import Call
from surefoot.core.errors import InvalidArguments, JournalCorrupt, ModelError, Retry, ToolFailed
from surefoot.core.ports import Retries
from surefoot.core.state import State
from surefoot.core.taxonomy import Trial
from surefoot.core.tool import ToolSpec
from surefoot.core.values import Failure, Spent
from surefoot.engine.plan import Plan

__all__ = ["Attempt", "checked", "failed", "model_failed", "text_of_error", "unknown"]

_MESSAGE_LIMIT = 2_000
#: So many requests that were not sent count as one that was: a run does not wait for ever for a model that never comes back.
_REFUSALS = 30
#: Times at most that a model is asked whose own code raises what says nothing of its cause: it may well be a defect.
_RAISED = 4
_LATE = "the next try would have come after the run's deadline; resume it with a later one"

E = TypeVar("E", bound=ev.Event)


class _Chance(NamedTuple):
    """Who decides on another try, a random number for it, and how long somebody asked to wait."""

    retries: Retries
    number: float
    wish: float | None


class Attempt:
    """One try of one call: what it is, and what is known of it when it ends."""

    __slots__ = ("call", "duration", "left", "notes", "now", "request", "seconds", "spec", "spent", "timed_out")

    def __init__(self, call: Call, spec: ToolSpec, request: str) -> None:
        self.call = call
        self.spec = spec
        self.request = request
        self.duration = 0
        self.now = 0
        self.timed_out = False
        self.seconds = 0.0
        self.left = float("inf")
        self.notes = ""
        self.spent: Spent | None = None


def failed(attempt: Attempt, error: BaseException, retries: Retries, chance: float) -> ev.Event:
    """The event for an exception of a tool. Only what is known not to have happened is a failure."""
    spec = attempt.spec
    if isinstance(error, InvalidArguments):
        return _failure(attempt, "invalid_arguments", text_of_error(error, bare=True), "Correct the arguments and call again.")
    if isinstance(error, ToolFailed):
        return _failure(attempt, "tool_permanent", text_of_error(error, bare=True), _alternatives(spec))
    if isinstance(error, Retry):
        return _again(attempt, "tool_retryable", text_of_error(error, bare=True), _Chance(retries, chance, error.after))
    message = f"no answer within {attempt.seconds:.3g} s{attempt.notes}" if attempt.timed_out else text_of_error(error)
    kind = "timeout" if attempt.timed_out else retries.kind_of(error)
    if not spec.repeatable and (attempt.timed_out or not retries.harmless(error)):
        return unknown(attempt, message)
    wish = error.retry_after if isinstance(error, ModelError) else None
    return _again(attempt, kind, message, _Chance(retries, chance, wish))


def unknown(attempt: Attempt, reason: str) -> ev.ToolIndeterminate:
    """Nobody knows whether the call happened."""
    call = attempt.call
    return ev.ToolIndeterminate(call.id, attempt.request, reason, call.attempt, call.digest, attempt.duration)


def model_failed(state: State, error: Exception, plan: Plan, now: int, chance: float, seconds: float) -> ev.ModelFailed:
    """The event for a model's failure after so many seconds, with the time of the next try where one may help."""
    most = plan.rules.model_tries
    if not isinstance(error, ModelError):
        most = min(most, _RAISED)
        kind = plan.retries.kind_of(error)
        kind = "server" if kind in ("tool_retryable", "tool_permanent") else kind  # the model's own code, not a tool's
        error = ModelError(kind, f"the model raised {text_of_error(error)}")
    left = (state.deadline - now) / 1e6 if state.deadline else float("inf")
    tries = state.model_failures + error.sent + state.pace.refused // _REFUSALS
    trial = Trial(error.kind, tries, most, error.retry_after, left)
    delay = plan.retries.delay(trial, chance)
    retry_at, hint, data = 0, "", dict[str, Any]()
    if delay is not None:
        retry_at = now + int(delay * 1e6) + 1
    else:
        data = {"tries": trial.tries}
        late = plan.retries.delay(msgspec.structs.replace(trial, left=float("inf")), chance) is not None
        hint = _LATE if late else "mend the cause, then `surefoot resume` goes on from here"
    if len(error.tried) > 1:
        data["tried"] = [msgspec.to_builtins(one) for one in error.tried]
    if not error.sent:
        data["sent"] = False
    failure = Failure(error.kind, str(error)[:_MESSAGE_LIMIT], hint, error.status, error.request_id, data)
    return ev.ModelFailed(state.step, failure, state.attempt, retry_at, int(seconds * 1e6))


def checked(event: E) -> E:
    """The event as it will be read from the journal. Raises TypeError when it could be written but never be read again."""
    try:
        return cast("E", codec.decode(*codec.encode(event)))
    except JournalCorrupt as error:
        raise TypeError(f"a value has the wrong type: {error.__cause__}") from error
    except (msgspec.MsgspecError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise TypeError(f"a value cannot be stored: {text_of_error(error)}") from error


def text_of_error(error: BaseException, *, bare: bool = False) -> str:
    """An exception in words: ``TypeError: …``; safe against exceptions that cannot print themselves, or print novels."""
    try:
        text = str(error)
    except Exception:  # noqa: BLE001  a broken __str__ must not become the failure
        text = ""
    text = text.encode(errors="replace").decode()
    if len(text) > _MESSAGE_LIMIT:
        text = f"{text[:_MESSAGE_LIMIT]}… ({len(text)} characters)"
    name = type(error).__name__
    return text if bare and text else f"{name}: {text}" if text else name


def _failure(attempt: Attempt, kind: str, message: str, hint: str = "") -> ev.ToolFailed:
    call = attempt.call
    return ev.ToolFailed(call.id, Failure(kind, message, hint), call.attempt, 0, attempt.duration, attempt.spent)


def _again(attempt: Attempt, kind: str, message: str, chance: _Chance) -> ev.ToolFailed:
    """Another try, while the tool's budget and the run's time last."""
    call, spec = attempt.call, attempt.spec
    trial = Trial(kind, call.attempt, spec.retries + 1, chance.wish, attempt.left)
    delay = chance.retries.delay(trial, chance.number)
    if delay is None:
        tries = f"{message} (tried {call.attempt} times)" if call.attempt > 1 else message
        return _failure(attempt, kind, tries, _alternatives(spec))
    retry_at = attempt.now + int(delay * 1e6) + 1
    return ev.ToolFailed(call.id, Failure(kind, message), call.attempt, retry_at, attempt.duration, attempt.spent)


def _alternatives(spec: ToolSpec) -> str:
    return f"You can use {', '.join(spec.alternatives)} instead." if spec.alternatives else ""
