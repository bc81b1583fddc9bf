"""What every `Sink` must do: take a run whole, in pieces, from its middle, and again; and let go of one that is gone."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from surefoot.core import events as ev
from surefoot.core.messages import Text, ToolCall, Usage
from surefoot.core.ports import Sink

__all__ = ["SinkContract"]

_EVENTS: Sequence[ev.Event] = (
    ev.RunStarted("clerk", (Text("add"),), trace_id="ab" * 16),
    ev.RunClaimed("w"),
    ev.ModelRequested(0, "m:1"),
    ev.ModelReplied(0, (ToolCall("0.0", "add", "{}"),), Usage(3, 4), 5),
    ev.ToolStarted("0.0", "add", "{}", "read"),
    ev.ToolReturned("0.0", "42"),
    ev.ModelRequested(1, "m:1"),
    ev.ModelReplied(1, (Text("It is 42."),), Usage(3, 4), 5),
    ev.RunFinished("It is 42."),
)


class SinkContract:
    """Subclass it, with a fixture ``sink`` that gives a new one, and ``told`` that lists what it has, in a form to compare."""

    def told(self, sink: Sink) -> object:
        """What came of all that was written; the same for the same runs."""
        raise NotImplementedError

    @pytest.fixture
    def sink(self) -> Sink:
        """A new sink, with nothing in it."""
        raise NotImplementedError

    def records(self, run: str = "r" * 32) -> list[ev.Record]:
        """A run's records."""
        return [ev.Record(n, run, n, int(n > 1), n * 1_000_000, event) for n, event in enumerate(_EVENTS, 1)]

    def test_it_has_a_name(self, sink: Sink) -> None:
        """A cursor is named after it."""
        assert sink.name

    def test_pieces_make_the_whole(self, sink: Sink) -> None:
        """However a run comes in pieces, the same comes of it."""
        take, other = sink.begin(), sink.begin()
        for record in self.records():
            sink.write((), list(take(record)))
        pieces = self.told(sink)
        assert pieces
        assert not [item for record in self.records() for item in take(record)], "what was taken before gives nothing"
        sink.write([item for record in self.records() for item in other(record)], ())
        assert self.told(sink) == pieces, "what was dealt with before adds nothing"

    def test_a_run_can_be_taken_up_in_its_middle(self, sink: Sink) -> None:
        """A follower that comes back reads the run's beginning again, and says so."""
        first, second = sink.begin(), sink.begin()
        records = self.records()
        sink.write((), [item for record in records[:5] for item in first(record)])
        before = [item for record in records[:5] for item in second(record)]
        sink.write(before, [item for record in records[5:] for item in second(record)])
        cut = self.told(sink)
        sink.pruned("r" * 32)
        assert cut

    def test_a_run_that_is_gone_is_let_go_of(self, sink: Sink) -> None:
        """Of one that was never written, too."""
        sink.pruned("x" * 32)

    def test_it_can_be_closed_twice(self, sink: Sink) -> None:
        """An application may be opened and closed again."""
        sink.close()
        sink.close()
