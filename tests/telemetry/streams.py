"""Runs for the tests of telemetry: a whole life written down by hand, generated ones, and any events in any order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from surefoot.core import events as ev
from surefoot.core.messages import Reasoning, Text, ToolCall, Usage
from surefoot.core.status import ENDED, status_after
from surefoot.core.values import Failure, Verdict

__all__ = ["LIFE", "TRACE", "any_records", "at", "life"]

TRACE = "ab" * 16
SECOND = 1_000_000
ASK = Verdict("0.1", "ask", ("big",), "it is a lot of money")

#: (seconds, epoch, event): a run that is retried, asked about, taken over, and ends well.
LIFE: list[tuple[float, int, ev.Event]] = [
    (0, 0, ev.RunStarted("clerk", (Text("refund it"),), "s1", "ann", tags=("vip",), trace_id=TRACE)),
    (1, 1, ev.RunClaimed("host|b|n|1|2|3")),
    (1, 1, ev.MemoryRecalled(("m1",), "she likes tea", 4, (0.5,))),
    (1, 1, ev.ModelRequested(0, "m:1")),
    (2, 1, ev.ModelFailed(0, Failure("overloaded", "busy", status=503), retry_at=3 * SECOND)),
    (3, 1, ev.ModelRequested(0, "m:1", 2)),
    (5, 1, ev.ModelReplied(
        0, (Reasoning("look, then pay"), Text("Let me see."), ToolCall("0.0", "look", '{"at":1}'), ToolCall("0.1", "pay", "{}")),
        Usage(10, 5), 1_500, "tool_calls", "m:2", "r1", 1_500_000, 200_000)),
    (5, 1, ev.CallsJudged((ASK,), "p1")),
    (5, 1, ev.ApprovalRequested("q", "0.1", "pay", "d", "it is a lot of money", verdict=ASK)),
    (5, 1, ev.ToolStarted("0.0", "look", '{"at":1}', "read")),
    (6, 1, ev.SpanStarted("0.0", "fetch", {"url": "x"})),
    (7, 1, ev.SpanEnded("0.0", "fetch")),
    (8, 1, ev.ToolFailed("0.0", Failure("timeout", "too slow"), 1, 9 * SECOND, 3 * SECOND)),
    (9, 1, ev.ToolStarted("0.0", "look", '{"at":1}', "read", 2)),
    (20, 2, ev.RunClaimed("other|b|n|1|2|3")),
    (20, 2, ev.ToolStarted("0.0", "look", '{"at":1}', "read", 3)),
    (21, 2, ev.ToolProgressed("0.0", "half way")),
    (22, 2, ev.ToolReturned("0.0", "it is blue", attempt=3, duration=2 * SECOND)),
    (22, 2, ev.RunSuspended(("q",))),
    (100, 0, ev.ApprovalVoted("q", True, "eve")),
    (122, 0, ev.ApprovalDecided("q", "approve", "dana", reason="fine")),
    (124, 3, ev.RunClaimed("host|b|n|1|2|3")),
    (124, 3, ev.ApprovalConsumed("q", "0.1", "d")),
    (124, 3, ev.ToolStarted("0.1", "pay", "{}", "unsafe")),
    (125, 3, ev.ToolReturned("0.1", "paid", duration=SECOND)),
    (125, 3, ev.ModelRequested(1, "m:1")),
    (127, 3, ev.ModelReplied(1, (Text("Done."),), Usage(20, 7), 500, duration=2 * SECOND)),
    (127, 3, ev.RunFinished("Done.")),
]  # fmt: skip


def at(events: Sequence[tuple[float, int, ev.Event]], run: str = "r" * 32) -> list[ev.Record]:
    """Give events as a journal keeps them."""
    return [ev.Record(n, run, n, epoch, int(time * SECOND), event) for n, (time, epoch, event) in enumerate(events, 1)]


def life() -> list[ev.Record]:
    return at(LIFE)


_WORD = st.sampled_from(["0.0", "0.1", "1.0", "q", "look", ""])
_EVENT: st.SearchStrategy[Any] = st.one_of(
    [
        st.builds(ev.RunClaimed, worker=_WORD),
        st.builds(ev.RunSuspended, waiting_for=st.sampled_from([(), ("q",)])),
        st.builds(ev.RunWarned, kind=_WORD, message=_WORD),
        st.just(ev.RunResumed("x")),
        st.just(ev.RunFinished("x")),
        st.just(ev.RunCancelled("x", "y")),
        st.just(ev.RunFailed(Failure("k", "m"))),
        st.builds(ev.ModelRequested, step=st.integers(0, 2), model=_WORD),
        st.builds(
            ev.ModelReplied,
            step=st.integers(0, 2),
            parts=st.sampled_from([(), (ToolCall("0.0", "look"), ToolCall("0.1", "pay"))]),
            cost=st.sampled_from([None, 3]),
            duration=st.integers(0, 10**7),
        ),
        st.builds(ev.ModelFailed, step=st.integers(0, 2), error=st.just(Failure("k", "m")), retry_at=st.integers(0, 1)),
        st.builds(ev.ToolStarted, call=_WORD, name=_WORD, arguments=st.just("{}"), effect=_WORD, attempt=st.integers(1, 3)),
        st.builds(ev.ToolReturned, call=_WORD, result=_WORD, duration=st.integers(0, 10**7)),
        st.builds(ev.ToolFailed, call=_WORD, error=st.just(Failure("k", "m")), retry_at=st.integers(0, 1)),
        st.builds(ev.ToolIndeterminate, call=_WORD, request=_WORD, reason=_WORD),
        st.builds(ev.ToolProgressed, call=_WORD, waiting=st.sampled_from([(), ("child",)])),
        st.builds(ev.ToolDenied, call=_WORD, reason=_WORD),
        st.builds(ev.CallsJudged, verdicts=st.just((ASK,))),
        st.builds(ev.ApprovalRequested, request=_WORD, call=_WORD, tool=_WORD, digest=_WORD),
        st.builds(ev.ApprovalVoted, request=_WORD, approve=st.booleans()),
        st.builds(ev.ApprovalDecided, request=_WORD, decision=st.sampled_from(["approve", "deny", "retry"])),
        st.builds(ev.ApprovalExpired, request=_WORD),
        st.builds(ev.SpanStarted, call=_WORD, name=_WORD),
        st.builds(ev.SpanEnded, call=_WORD, name=_WORD, error=_WORD),
        st.builds(ev.Unknown, tag=st.sampled_from(["run.started", "run.finished", "run.resumed", "new.thing"])),
    ]
)


_FIRST: st.SearchStrategy[Any] = st.builds(
    ev.RunStarted, agent=_WORD, parent=_WORD, trace_id=st.sampled_from(["", TRACE])
) | st.just(ev.Unknown("run.started"))
#: What is written by others than workers.
_OUTSIDE = (ev.RunResumed, ev.ApprovalVoted, ev.ApprovalDecided, ev.ApprovalExpired)


@st.composite
def any_records(draw: st.DrawFn) -> list[ev.Record]:
    """Any events in any order behind a first one, as a journal would stamp them: times and epochs only grow."""
    time = epoch = 0
    status = "new"
    records: list[ev.Record] = []
    for event in [draw(_FIRST), *draw(st.lists(_EVENT, max_size=30))]:
        if status in ENDED and not isinstance(event, (*_OUTSIDE, ev.EventRedacted)):
            continue
        status, seq = status_after(status, event), len(records) + 1
        time += draw(st.integers(0, 5 * SECOND))
        epoch += isinstance(event, ev.RunClaimed)
        records.append(ev.Record(seq, "r" * 32, seq, 0 if isinstance(event, _OUTSIDE) else epoch, time, event))
    return records
