"""What every `Guard` must do, as tests: inherit, and give a fixture named ``guard``.

The guard is shown runs that do well, that fail, that go round in circles, and none at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

import msgspec

from surefoot.core import events as ev
from surefoot.core.messages import Text, ToolCall, Usage
from surefoot.core.pace import Act, Finding
from surefoot.core.ports import Guard
from surefoot.core.state import State
from surefoot.core.values import Failure

__all__ = ["Contract"]

_STEPS = 30
_SECOND = 1_000_000


class Contract:
    """The behaviour of the port."""

    def test_a_run_that_has_not_begun_is_no_trouble(self, guard: Guard) -> None:
        """Nothing is known of it, so nothing is raised."""
        assert list(guard.check(State(id="r"), 0)) == list(guard.check(State(id="r"), 0))

    def test_findings_can_be_written_down(self, guard: Guard) -> None:
        """A kind, words for a human, figures that are JSON, and something to do that is known."""
        for state in _states():
            for found in guard.check(state, state.last_at):
                assert found.kind
                assert found.message.strip()
                assert found.act in get_args(Act)
                assert not (found.stop and found.act), "a run that is stopped has nothing more to do"
                assert msgspec.json.decode(msgspec.json.encode(found), type=Finding) == found

    def test_looking_changes_nothing(self, guard: Guard) -> None:
        """The same state gives the same findings, and is the same afterwards."""
        for state in _states():
            before = repr(state)
            assert list(guard.check(state, state.last_at)) == list(guard.check(state, state.last_at))
            assert repr(state) == before

    def test_what_is_written_down_is_not_a_new_finding(self, guard: Guard) -> None:
        """As long as nothing else happens: a finding has one key, so that it is said once."""
        for state in _states():
            keys = [found.key for found in guard.check(state, state.last_at)]
            assert len(keys) == len(set(keys))


def _states() -> Iterator[State]:
    """Every state that is met in some runs, in order."""
    for arguments, fails in (("{{}}", False), ('{{"n":{}}}', False), ('{{"n":{}}}', True)):
        state = State(id="r")
        for seq, event in enumerate(_run(arguments, fails=fails), 1):
            state.apply(ev.Record(seq, "r", seq, 1, seq * _SECOND, event))
            yield state


def _run(arguments: str, *, fails: bool) -> Iterator[ev.Event]:
    yield ev.RunStarted("clerk", (Text("look"),))
    yield ev.RunClaimed("w")
    for step in range(_STEPS):
        call, text = f"{step}.0", arguments.format(step)
        yield ev.ModelRequested(step, "m:1")
        yield ev.ModelReplied(step, (ToolCall(call, "look", text),), Usage(1_000 * (step + 1), 10), _SECOND * (step + 1))
        yield ev.ToolStarted(call, "look", text, "read")
        yield ev.ToolFailed(call, Failure("tool_permanent", "no")) if fails else ev.ToolReturned(call, "seen")
