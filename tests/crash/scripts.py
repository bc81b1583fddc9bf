"""Generated stories: what a model says at each step, what every try of every tool call does, who interferes and when.

A story is a function of what the journal holds: a model's step and the number of its failures, a call's attempt. So the
same story can be told again from any prefix of its own journal, and has to reach the same end.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hypothesis import strategies as st

from surefoot.core.values import Limits

__all__ = ["Call", "Interference", "Script", "Step", "Try", "scripts"]

#: Errors that a body may raise, made anew each time: one that is kept would keep everything that it passed through.
ERRORS: dict[str, Callable[[], BaseException]] = {
    "value": lambda: ValueError("the value is wrong"),
    "connection": lambda: ConnectionError("the peer is gone"),
    "timeout": lambda: TimeoutError("nobody answered"),
    "runtime": lambda: RuntimeError("no idea"),
    "exit": lambda: SystemExit(3),
}
_RETRYABLE = ("connection", "timeout", "runtime")


@dataclass(frozen=True, slots=True)
class Try:
    """One attempt of a call: whether its effect happens, then how it ends.

    ``how`` is ok, failed (ToolFailed), invalid (InvalidArguments), retry, later (Retry, after a delay that suspends the
    run), hang (until the timeout) or a key of `ERRORS`. ``human`` is what a human says of an unknown outcome when the
    effect did not happen; when it did, he says so.
    """

    how: str = "ok"
    effect: bool = True
    human: str = "retry"


@dataclass(frozen=True, slots=True)
class Call:
    """One tool call: its tool, what its tries do (the last one for ever), whether a human approves it."""

    tool: str
    tries: tuple[Try, ...] = (Try(),)
    approve: bool = True
    bad_arguments: bool = False

    def at(self, attempt: int) -> Try:
        """The n-th try, from 1."""
        return self.tries[min(attempt, len(self.tries)) - 1]


@dataclass(frozen=True, slots=True)
class Step:
    """One answer of the model, after it failed so often: calls, or a final text."""

    failures: tuple[str, ...] = ()
    calls: tuple[Call, ...] = ()
    text: str = ""


@dataclass(frozen=True, slots=True)
class Interference:
    """Somebody writes from outside as soon as the journal holds an event of ``tag`` for ``key`` (a step or a call)."""

    what: str
    tag: str
    key: str


@dataclass(frozen=True, slots=True)
class Script:
    """A whole story."""

    steps: tuple[Step, ...]
    structured: bool = False
    limits: Limits = Limits(steps=50)
    outside: tuple[Interference, ...] = ()

    def step(self, number: int) -> Step:
        """The n-th step, from 0; the last one for ever."""
        return self.steps[min(number, len(self.steps) - 1)]

    def call(self, call_id: str) -> Call:
        """The call of an id ``{step}.{index}``."""
        step, _, index = call_id.partition(".")
        return self.step(int(step)).calls[int(index)]


_BOTH = (True, False)
_SLOW = ("look_slowly", "send_slowly")
_REPEATABLE = ("look", "look_slowly", "put")


def _again(tool: str) -> tuple[Try, ...]:
    """Tries after which there is another: of a tool whose failures leave its outcome unknown, when a human wants it."""
    if tool in _REPEATABLE:
        return tuple(Try(how, effect) for how in ("retry", "later", *_RETRYABLE) for effect in _BOTH)
    return tuple(Try(how, effect=False) for how in ("retry", "later", *_unsaid(tool)))


def _last(tool: str) -> tuple[Try, ...]:
    """Tries that settle a call, each as likely as it is worth."""
    if tool in _REPEATABLE:
        return tuple(Try(how, effect) for how in ("ok", "ok", "failed", "invalid", *_unsaid(tool)) for effect in _BOTH)
    humans = ("retry", "give_up") if tool == "transfer" else ("give_up",)
    known = [Try(), *(Try(how, effect=False) for how in ("failed", "invalid", "retry"))]
    done = [Try(how) for how in _unsaid(tool)]
    return (*known, *known, *done, *(Try(how, False, human) for how in _unsaid(tool) for human in humans))


def _unsaid(tool: str) -> tuple[str, ...]:
    """How a body may end without saying whether its effect happened."""
    return (*ERRORS, "hang") if tool in _SLOW else tuple(ERRORS)


_TRIES = {
    tool: st.tuples(
        st.lists(st.sampled_from(_again(tool)), max_size=2 if tool in ("look", "put", "transfer") else 1),
        st.sampled_from(_last(tool)),
    )
    for tool in (*_REPEATABLE, "transfer", "send", "send_slowly")
}
_TOOL = st.sampled_from((*_TRIES, "no_such_tool", "bad arguments"))
_APPROVE = st.sampled_from((True, True, True, False))


@st.composite
def _call(draw: st.DrawFn) -> Call:
    tool = draw(_TOOL)
    if tool == "no_such_tool":
        return Call(tool)
    if tool == "bad arguments":
        return Call(draw(st.sampled_from(("look", "send"))), bad_arguments=True)
    some, last = draw(_TRIES[tool])
    return Call(tool, (*some, last), approve=not tool.startswith("send") or draw(_APPROVE))


_CALLS = st.lists(_call(), min_size=1, max_size=5)
_KINDS = ("rate_limited", "overloaded", "timeout", "server", "connection", "later", "crash")
_SOME = st.lists(st.sampled_from(_KINDS), max_size=2)
_NONE: st.SearchStrategy[list[str]] = st.just([])
_FAILURES = st.one_of(_NONE, _NONE, _SOME)
_ENDS = st.sampled_from((["auth"], ["server", "invalid_request"], ["overloaded"] * 4))
_LAST_FAILURES = st.one_of(_NONE, _NONE, _NONE, _SOME, _ENDS)
_WRONG = {
    True: st.lists(st.sampled_from(("", "not it", '{"total": "x"}')), max_size=3),
    False: st.lists(st.sampled_from(("", " ")), max_size=3),
}
_STEPS = st.lists(st.tuples(_FAILURES, _CALLS), max_size=4)
_PLENTY = Limits(steps=50)
_LIMITS = st.sampled_from((_PLENTY, _PLENTY, _PLENTY, Limits(steps=2), Limits(tool_calls=3), Limits(tokens=35)))


@st.composite
def scripts(draw: st.DrawFn) -> Script:
    """Stories of one to four steps with calls, and an end of some kind."""
    structured = draw(st.booleans())
    steps = [Step(tuple(failures), tuple(calls)) for failures, calls in draw(_STEPS)]
    steps += [Step(text=text) for text in draw(_WRONG[structured])]
    steps.append(Step(tuple(draw(_LAST_FAILURES)), text='{"total": 42}' if structured else "all done"))
    limits = draw(_LIMITS)
    places = _places(steps, limits)
    acts = draw(st.lists(st.tuples(_WHAT, st.sampled_from(places)), max_size=2, unique=True)) if places else []
    return Script(tuple(steps), structured, limits, tuple(Interference(what, *place) for what, place in acts))


_WHAT = st.sampled_from(("message", "message", "message", "cancel"))


def _places(steps: list[Step], limits: Limits) -> list[tuple[str, str]]:
    """Where somebody may write from outside: when a step or a call begins or ends.

    A message that comes while the model gives its last answer is heard before it or after it, as a crash would have it,
    and costs an answer, or a failure, more or less; so not where it is one too many that makes the difference. Nor where
    one comes with a call that a human denied before: whoever speaks may have changed his mind, if he is heard before the call
    is denied again.
    """
    calling = [number for number, step in enumerate(steps) if step.calls]
    spare = limits == _PLENTY and len(steps) - len(calling) <= 3 and not steps[-1].failures
    last = range(len(calling), len(steps)) if spare else range(0)
    places = [("model.requested", str(number)) for number in (*calling, *last)]
    places += [("model.replied", str(number)) for number in calling if not _denied_before(steps, number)]
    for number in calling:
        # A result is committed together with the request after it.
        tags = ("tool.started", "approval.requested", "tool.returned")[: 3 if spare or number != calling[-1] else 2]
        places += [(tag, f"{number}.{index}") for index in range(len(steps[number].calls)) for tag in tags]
    return places


def _denied_before(steps: list[Step], number: int) -> bool:
    """Whether a call of a step is one that a human has denied in a step before; a call's arguments are its index."""
    before = [(index, call.tool) for step in steps[:number] for index, call in enumerate(step.calls) if not call.approve]
    return any((index, call.tool) in before for index, call in enumerate(steps[number].calls))
