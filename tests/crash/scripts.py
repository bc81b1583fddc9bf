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


def _repeatable(slow: bool) -> st.SearchStrategy[tuple[Try, ...]]:
    """Tries of a tool that a machine may repeat: some that are tried again, then one that settles it."""
    effect = st.booleans()
    again = st.builds(Try, st.sampled_from(("retry", "later", *_RETRYABLE)), effect)
    ends = ("ok", "ok", "ok", "failed", "invalid", *ERRORS, *(("hang",) if slow else ()))
    last = st.builds(Try, st.sampled_from(ends), effect)
    return st.builds(lambda some, end: (*some, end), st.lists(again, max_size=1 if slow else 2), last)


def _unrepeatable(slow: bool, human: tuple[str, ...]) -> st.SearchStrategy[tuple[Try, ...]]:
    """Tries of a tool whose failures leave its outcome unknown, unless it says that nothing happened."""
    unsaid = (*ERRORS, *(("hang",) if slow else ()))
    again = st.one_of(
        st.builds(Try, st.sampled_from(("retry", "later")), st.just(False)),
        st.builds(Try, st.sampled_from(unsaid), st.just(False), st.just("retry")),
    )
    last = st.one_of(
        st.builds(Try),
        st.builds(Try, st.sampled_from(("failed", "invalid", "retry")), st.just(False)),
        st.builds(Try, st.sampled_from(unsaid), st.just(True)),
        st.builds(Try, st.sampled_from(unsaid), st.just(False), st.sampled_from(human)),
    )
    return st.builds(lambda some, end: (*some, end), st.lists(again, max_size=1), last)


_APPROVE = st.sampled_from((True, True, True, False))
_CALL = st.one_of(
    st.builds(Call, st.just("look"), _repeatable(slow=False)),
    st.builds(Call, st.just("look_slowly"), _repeatable(slow=True)),
    st.builds(Call, st.just("put"), _repeatable(slow=False)),
    st.builds(Call, st.just("transfer"), _unrepeatable(False, ("retry", "give_up"))),
    st.builds(Call, st.just("send"), _unrepeatable(False, ("give_up",)), _APPROVE),
    st.builds(Call, st.just("send_slowly"), _unrepeatable(True, ("give_up",)), _APPROVE),
    st.builds(Call, st.sampled_from(("look", "send")), bad_arguments=st.just(True)),
    st.just(Call("no_such_tool")),
)
_CALLS = st.lists(_CALL, min_size=1, max_size=5).map(tuple)
_KINDS = ("rate_limited", "overloaded", "timeout", "server", "connection", "later", "crash")
_SOME = st.lists(st.sampled_from(_KINDS), max_size=2).map(tuple)
_NONE = st.just(())
_FAILURES = st.one_of(_NONE, _NONE, _SOME)
_ENDS = st.sampled_from((("auth",), ("server", "invalid_request"), ("overloaded",) * 4))
_LAST_FAILURES = st.one_of(_NONE, _NONE, _NONE, _SOME, _ENDS)
_WRONG = {
    True: st.lists(st.sampled_from(("", "not it", '{"total": "x"}')), max_size=3),
    False: st.lists(st.sampled_from(("", " ")), max_size=3),
}
_STEPS = st.lists(st.builds(Step, _FAILURES, _CALLS), max_size=4)
_PLENTY = Limits(steps=50)
_LIMITS = st.sampled_from((_PLENTY, _PLENTY, _PLENTY, Limits(steps=2), Limits(tool_calls=3), Limits(tokens=35)))


@st.composite
def scripts(draw: st.DrawFn) -> Script:
    """Stories of one to four steps with calls, and an end of some kind."""
    structured = draw(st.booleans())
    steps = [*draw(_STEPS), *[Step(text=text) for text in draw(_WRONG[structured])]]
    steps.append(Step(draw(_LAST_FAILURES), text='{"total": 42}' if structured else "all done"))
    limits = draw(_LIMITS)
    return Script(tuple(steps), structured, limits, tuple(draw(_outside(steps, limits))))


def _outside(steps: list[Step], limits: Limits) -> st.SearchStrategy[list[Interference]]:
    """At most two writes from outside, each when a step or a call begins or ends.

    A message that comes while the model gives its last answer is heard before it or after it, as a crash would have it,
    and costs an answer, or a failure, more or less; so not where it is one too many that makes the difference.
    """
    calling = [number for number, step in enumerate(steps) if step.calls]
    spare = limits == _PLENTY and len(steps) - len(calling) <= 3 and not steps[-1].failures
    last = range(len(calling), len(steps)) if spare else range(0)
    places = [("model.requested", str(number)) for number in (*calling, *last)]
    places += [("model.replied", str(number)) for number in calling]
    for number in calling:
        # A result is committed together with the request after it.
        tags = ("tool.started", "approval.requested", "tool.returned")[: 3 if spare or number != calling[-1] else 2]
        places += [(tag, f"{number}.{index}") for index in range(len(steps[number].calls)) for tag in tags]
    if not places:
        return st.just([])
    one = st.tuples(st.sampled_from(("message", "message", "message", "cancel")), st.sampled_from(places))
    return st.lists(one, max_size=2, unique=True).map(lambda acts: [Interference(what, *place) for what, place in acts])
