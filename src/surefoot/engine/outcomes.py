"""What an exception or a result of a tool means: an event. Pure, but for the blobs that large results go to."""

from __future__ import annotations

import math
from typing import Any, TypeVar, cast

import msgspec

from surefoot.core import codec
from surefoot.core import events as ev
from surefoot.core.call import Call
from surefoot.core.errors import InvalidArguments, JournalCorrupt, ModelError, Retry, ToolFailed
from surefoot.core.state import State
from surefoot.core.tool import ToolSpec
from surefoot.core.values import Failure, Spent
from surefoot.engine.plan import Rules

__all__ = ["Attempt", "backoff", "checked", "failed", "kind_of", "model_failed", "text_of_error", "unknown"]

_PERMANENT = (ValueError, TypeError, KeyError, PermissionError, FileNotFoundError)
_PERMANENT_STATUS = frozenset({400, 401, 403, 404, 409, 422})
_MESSAGE_LIMIT = 2_000
#: No delay that a tool or a provider asks for is longer: a year, in seconds. A time beyond 64 bits could not be stored.
_LONGEST = 365 * 86_400.0

E = TypeVar("E", bound=ev.Event)


class Attempt:
    """One try of one call: what it is, and what is known of it when it ends."""

    __slots__ = ("call", "duration", "now", "request", "seconds", "spec", "spent", "timed_out")

    def __init__(self, call: Call, spec: ToolSpec, request: str) -> None:
        self.call = call
        self.spec = spec
        self.request = request
        self.duration = 0
        self.now = 0
        self.timed_out = False
        self.seconds = 0.0
        self.spent: Spent | None = None


def kind_of(error: BaseException) -> str:
    """``tool_permanent`` when another try cannot help, else ``tool_retryable``. HTTP clients' status codes count."""
    status = _status(error)
    if status:
        return "tool_permanent" if status in _PERMANENT_STATUS else "tool_retryable"
    if isinstance(error, (ConnectionError, TimeoutError)):
        return "timeout" if isinstance(error, TimeoutError) else "connection"
    return "tool_permanent" if isinstance(error, _PERMANENT) else "tool_retryable"


def failed(attempt: Attempt, error: BaseException, rules: Rules, chance: float) -> ev.Event:
    """The event for an exception of a tool. Only what is known not to have happened is a failure."""
    call, spec = attempt.call, attempt.spec
    if isinstance(error, InvalidArguments):
        return _failure(attempt, "invalid_arguments", text_of_error(error, bare=True), "Correct the arguments and call again.")
    if isinstance(error, ToolFailed):
        return _failure(attempt, "tool_permanent", text_of_error(error, bare=True), _alternatives(spec))
    if isinstance(error, Retry):
        delay = _delay(error.after, backoff(call.attempt, rules, chance))
        return _again(attempt, "tool_retryable", text_of_error(error, bare=True), delay)
    message = f"no answer within {attempt.seconds:.3g} s" if attempt.timed_out else text_of_error(error)
    if not spec.repeatable:
        return unknown(attempt, message)
    kind = "timeout" if attempt.timed_out else kind_of(error)
    if kind == "tool_permanent":
        return _failure(attempt, kind, message, _alternatives(spec))
    return _again(attempt, kind, message, backoff(call.attempt, rules, chance))


def unknown(attempt: Attempt, reason: str) -> ev.ToolIndeterminate:
    """Nobody knows whether the call happened."""
    call = attempt.call
    return ev.ToolIndeterminate(call.id, attempt.request, reason, call.attempt, call.digest, attempt.duration)


def backoff(attempt: int, rules: Rules, chance: float) -> float:
    """Seconds to wait after the n-th try (from 1): full jitter (Brooker, "Exponential Backoff And Jitter", 2015)."""
    return chance * min(rules.backoff_cap, rules.backoff * 2.0 ** min(attempt - 1, 30))


def model_failed(state: State, error: Exception, rules: Rules, now: int, chance: float) -> ev.ModelFailed:
    """The event for a model's failure, with the time of the next try where one may help."""
    if not isinstance(error, ModelError):
        error = ModelError("server", f"the model raised {text_of_error(error)}")
    tries = state.model_failures + 1
    retry_at = 0
    if error.retryable and tries < rules.model_tries:
        delay = max(_delay(error.retry_after, 0.0), backoff(tries, rules, chance))
        retry_at = now + int(delay * 1e6) + 1
    data: dict[str, Any] = {"tries": tries} if not retry_at else {}
    hint = "" if retry_at else "mend the cause, then `surefoot resume` goes on from here"
    failure = Failure(error.kind, str(error)[:_MESSAGE_LIMIT], hint, error.status, error.request_id, data)
    return ev.ModelFailed(state.step, failure, state.attempt, retry_at)


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


def _delay(wish: object, otherwise: float) -> float:
    """The seconds that somebody asks to wait, within reason; ``otherwise`` where that is no number."""
    if isinstance(wish, bool) or not isinstance(wish, int | float) or math.isnan(wish):
        return otherwise
    return min(max(0.0, wish), _LONGEST)


def _failure(attempt: Attempt, kind: str, message: str, hint: str = "") -> ev.ToolFailed:
    call = attempt.call
    return ev.ToolFailed(call.id, Failure(kind, message, hint), call.attempt, 0, attempt.duration, attempt.spent)


def _again(attempt: Attempt, kind: str, message: str, delay: float) -> ev.ToolFailed:
    """Another try, while the tool's budget lasts."""
    call, spec = attempt.call, attempt.spec
    if call.attempt > spec.retries:
        tries = f"{message} (tried {call.attempt} times)" if call.attempt > 1 else message
        return _failure(attempt, kind, tries, _alternatives(spec))
    retry_at = attempt.now + int(delay * 1e6) + 1
    return ev.ToolFailed(call.id, Failure(kind, message), call.attempt, retry_at, attempt.duration)


def _alternatives(spec: ToolSpec) -> str:
    return f"You can use {', '.join(spec.alternatives)} instead." if spec.alternatives else ""


def _status(error: BaseException) -> int:
    """The HTTP status of the errors of common clients (httpx, requests, aiohttp, the vendors' SDKs)."""
    for place in (error, getattr(error, "response", None)):
        for name in ("status_code", "status", "code"):
            value = getattr(place, name, None)
            if type(value) is int and 100 <= value <= 599:
                return value
    return 0
