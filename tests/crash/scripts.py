"""Generated stories: what a model says at each step, what every try of every tool call does, who interferes and when.

A story is a function of what the journal holds: a model's step and the number of its failures, a call's attempt. So the
same story can be told again from any prefix of its own journal, and has to reach the same end.
"""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import strategies as st

from surefoot.core.values import Limits

__all__ = ["Call", "Interference", "Script", "Step", "Try", "scripts"]

#: Errors that a body may raise; each means something else to the engine.
ERRORS = {
    "value": ValueError("the value is wrong"),
    "connection": ConnectionError("the peer is gone"),
    "timeout": TimeoutError("nobody answered"),
    "runtime": RuntimeError("no idea"),
    "exit": SystemExit(3),
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


def _calls() -> st.SearchStrategy[Call]:
    approve = st.sampled_from((True, True, True, False))
    return st.one_of(
        st.builds(Call, st.just("look"), _repeatable(slow=False)),
        st.builds(Call, st.just("look_slowly"), _repeatable(slow=True)),
        st.builds(Call, st.just("put"), _repeatable(slow=False)),
        st.builds(Call, st.just("transfer"), _unrepeatable(False, ("give_up",))),
        st.builds(Call, st.just("send"), _unrepeatable(False, ("give_up",)), approve),
        st.builds(Call, st.just("send_slowly"), _unrepeatable(True, ("give_up",)), approve),
        st.builds(Call, st.sampled_from(("look", "send")), bad_arguments=st.just(True)),
        st.just(Call("no_such_tool")),
    )


_FAILURES = ("rate_limited", "overloaded", "timeout", "server", "connection", "later", "crash")


def _failures(last: bool) -> st.SearchStrategy[tuple[str, ...]]:
    some = st.lists(st.sampled_from(_FAILURES), max_size=2).map(tuple)
    none = st.just(())
    if not last:
        return st.one_of(none, none, some)
    ends = st.sampled_from((("auth",), ("server", "invalid_request"), ("overloaded",) * 4))
    return st.one_of(none, none, none, some, ends)


@st.composite
def scripts(draw: st.DrawFn) -> Script:
    """Stories of one to four steps with calls, and an end of some kind."""
    steps = [
        Step(draw(_failures(last=False)), tuple(draw(st.lists(_calls(), min_size=1, max_size=5))))
        for _ in range(draw(st.integers(0, 4)))
    ]
    structured = draw(st.booleans())
    wrong = draw(st.lists(st.sampled_from(("", "not it", '{"total": "x"}') if structured else ("", " ")), max_size=3))
    steps += [Step(text=text) for text in wrong]
    steps.append(Step(draw(_failures(last=True)), text='{"total": 42}' if structured else "all done"))
    limits = draw(st.sampled_from((Limits(steps=50), Limits(steps=50), Limits(steps=2), Limits(tool_calls=3), Limits(tokens=35))))
    return Script(tuple(steps), structured, limits, tuple(draw(_outside(steps))))


def _outside(steps: list[Step]) -> st.SearchStrategy[list[Interference]]:
    """At most two messages and one cancellation, each when a step or a call begins or ends."""
    places = [(tag, str(number)) for number in range(len(steps)) for tag in ("model.requested", "model.replied")]
    for number, step in enumerate(steps):
        for index in range(len(step.calls)):
            places += [(tag, f"{number}.{index}") for tag in ("tool.started", "tool.returned", "approval.requested")]
    what = st.sampled_from(("message", "message", "message", "cancel"))
    one = st.builds(lambda kind, place: Interference(kind, *place), what, st.sampled_from(places))
    return st.one_of(st.just([]), st.lists(one, max_size=2, unique=True))
