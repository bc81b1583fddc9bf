"""Folding what no run of today brings about yet, but its events already allow."""

from __future__ import annotations

from typing import Any

import pytest

from surefoot.core import events as ev
from surefoot.core.messages import Text, ToolCall
from surefoot.core.state import State, fold
from surefoot.core.status import status_after
from surefoot.core.values import Failure, Verdict


def records(*events: ev.Event, epoch: int = 1) -> list[ev.Record]:
    outside = (ev.RunStarted, ev.ApprovalDecided, ev.ApprovalRevoked, ev.ApprovalExpired, ev.MessageReceived, ev.ApprovalVoted)
    return [
        ev.Record(seq, "r", seq, 0 if isinstance(event, outside) else epoch, seq * 1_000_000, event)
        for seq, event in enumerate(events, 1)
    ]


START = (ev.RunStarted("a", (Text("go"),)), ev.RunClaimed("w"), ev.ModelRequested(0, "m"))
CALL = ev.ModelReplied(0, (ToolCall("0.0", "refund"),))
ASK = ev.ApprovalRequested("r:0.0", "0.0", "refund", "d")


def told(state: State) -> str:
    result = next(iter(state.messages[-1].parts))
    return str(getattr(result, "text", ""))


def test_what_memory_recalled_is_told_before_the_last_message() -> None:
    state = fold(records(START[0], ev.RunClaimed("w"), ev.MemoryRecalled(("m1",), "You met before."), ev.MemoryRecalled((), "")))
    assert [message.text for message in state.messages] == ["You met before.", "go"]


def test_another_agent_speaks_after_a_hand_over() -> None:
    assert fold(records(*START, ev.HandedOff("b", "knows more"))).agent == "b"


def test_an_approval_that_was_not_used_can_be_withdrawn() -> None:
    decided = ev.ApprovalDecided("r:0.0", "approve", digest="d")
    state = fold(records(*START, CALL, ASK, decided, ev.ApprovalRevoked("r:0.0", "dana")))
    assert state.calls["0.0"].status == "proposed"
    other = fold(records(*START, CALL, ASK, decided, ev.ApprovalRevoked("r:0.1", "dana")))
    assert other.calls["0.0"].status == "approved"


@pytest.mark.parametrize(
    ("decision", "words"),
    [("answer", "in its place"), ("done", "in its place"), ("deny", "Denied by dana: why not"), ("whatever", "Denied")],
)
def test_a_decision_may_answer_in_the_tools_place(decision: str, words: str) -> None:
    decided = ev.ApprovalDecided("r:0.0", decision, "dana", reason="why not", result="in its place")
    assert words in told(fold(records(*START, CALL, ASK, decided)))


def test_an_edit_is_what_runs() -> None:
    decided = ev.ApprovalDecided("r:0.0", "approve", arguments='{"cents":1}', digest="other")
    call = fold(records(*START, CALL, ASK, decided)).calls["0.0"]
    assert (call.arguments, call.digest, call.status) == ('{"cents":1}', "other", "approved")


def test_a_verdict_on_a_call_that_is_decided_changes_nothing() -> None:
    judged = ev.CallsJudged((Verdict("0.0", "allow"), Verdict("0.7", "allow")))
    assert fold(records(*START, CALL, judged)).calls["0.0"].status == "allowed"
    assert fold(records(*START, CALL, ASK, judged)).calls["0.0"].status == "asked"


def test_votes_are_recorded_and_decide_nothing_by_themselves() -> None:
    state = fold(records(*START, CALL, ASK, ev.ApprovalVoted("r:0.0", approve=True)))
    assert list(state.requests) == ["r:0.0"]


@pytest.mark.parametrize("event", [ev.ApprovalDecided("nothing", "approve"), ev.ApprovalExpired("nothing")])
def test_an_answer_to_nothing_changes_nothing(event: Any) -> None:
    state = fold(records(*START, CALL, ASK, event))
    assert state.calls["0.0"].status == "asked"


def test_a_question_that_expires_after_it_was_answered_changes_nothing() -> None:
    decided = ev.ApprovalDecided("r:0.0", "approve")
    state = fold(records(*START, CALL, ASK, decided, ev.ApprovalExpired("r:0.0")))
    assert state.calls["0.0"].status == "approved"
    assert state.settled["r:0.0"] == decided


def test_progress_of_a_call_that_is_over_changes_nothing() -> None:
    done = (ev.ToolStarted("0.0", "refund", "{}", "read"), ev.ToolReturned("0.0", "x"))
    state = fold(records(*START, CALL, *done, ev.ToolProgressed("0.0", "late", waiting=("r2",))))
    assert state.calls == {}


def test_only_a_workers_own_time_is_work() -> None:
    state = fold(records(*START))
    assert state.worked == 1_000_000, "from the claim to the request"
    state = fold(records(*START, ev.MessageReceived((Text("x"),)), CALL))
    assert state.worked == 3_000_000
    assert state.worked_until(7_000_000) == 5_000_000
    state.apply(ev.Record(6, "r", 6, 2, 60_000_000, ev.RunClaimed("another")))
    assert state.worked_until(61_000_000) == 4_000_000, "while nobody worked, nobody worked"
    ended = fold(records(*START, ev.RunFailed(Failure("server", "x"))))
    assert ended.worked_until(99_000_000) == ended.worked


@pytest.mark.parametrize(
    ("status", "event", "after"),
    [
        ("waiting", ev.MessageReceived((Text("x"),)), "ready"),
        ("running", ev.MessageReceived((Text("x"),)), "running"),
        ("done", ev.ApprovalDecided("q", "done"), "done"),
        ("failed", ev.RunResumed(), "ready"),
        ("waiting", ev.Unknown("approval.decided", '{"$redacted":"00"}'), "ready"),
        ("running", ev.Unknown("run.finished", '{"$redacted":"00"}'), "done"),
        ("running", ev.Unknown("tea.served", "{}"), "running"),
    ],
)
def test_a_status_follows_its_events_and_redaction_does_not_change_it(status: str, event: Any, after: str) -> None:
    assert status_after(status, event) == after


def test_a_run_says_what_it_said_last() -> None:
    assert fold(records(*START)).text == ""
    assert fold(records(*START, ev.ModelReplied(0, (Text("one"), Text(" two"))))).text == "one two"
