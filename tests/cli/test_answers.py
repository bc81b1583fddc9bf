"""`surefoot decide`, `settle`, `send` and `cancel`: what is said to a run from outside."""

from __future__ import annotations

from pathlib import Path

import pytest

from surefoot.cli.questions import account
from tests.cli.conftest import Surefoot


def question(surefoot: Surefoot, prompt: str, run: str) -> str:
    """Start a run that asks; the question's id."""
    asked: str = surefoot("run", "clerk", prompt, "--id", run, "--json").json["waiting"][0]["id"]
    return asked


def test_a_denial_and_its_reason_reach_the_model(surefoot: Surefoot) -> None:
    request = question(surefoot, "refund", "k")
    said = surefoot("decide", request, "--deny", "--reason", "too much", "--by", "dana")
    assert said.code == 0
    assert said.out.startswith("denied; run ")
    assert "surefoot resume" in said.err
    assert "Denied by dana: too much." in surefoot("resume", "k").out
    assert not Path("ledger.txt").exists()


def test_whoever_is_not_named_is_the_system_account(surefoot: Surefoot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "somebody else")
    monkeypatch.setenv("USER", "somebody else")
    surefoot("decide", question(surefoot, "refund", "k"), "--approve")
    notes = surefoot("show", "k", "--format", "json").json["trace"][0]["calls"][0]["events"]
    assert [note["text"] for note in notes if note["event"] == "approval.decided"] == [f"approved by {account()} (account)"]


def test_the_second_answer_changes_nothing(surefoot: Surefoot) -> None:
    request = question(surefoot, "refund", "k")
    surefoot("decide", request, "--deny", "--by", "dana")
    said = surefoot("decide", request, "--approve")
    assert said.code == 2
    assert said.err == f"surefoot: question '{request}' was settled already: deny by dana; nothing was changed\n"


def test_an_answer_shows_what_is_still_open(surefoot: Surefoot) -> None:
    both = surefoot("run", "clerk", "both", "--json").json["waiting"]
    said = surefoot("decide", both[0]["id"], "--approve")
    assert both[1]["id"] in said.err
    assert both[0]["id"] not in said.err


@pytest.mark.parametrize(
    ("outcome", "answer"),
    [
        (("done", "--result", "it worked"), "Then: it worked\n"),
        (("give-up",), "Then: It is not known whether this call happened, and it will not be tried again.\n"),
    ],
)
def test_an_unknown_outcome_is_settled(surefoot: Surefoot, outcome: tuple[str, ...], answer: str) -> None:
    surefoot("decide", question(surefoot, "crash", "k"), "--approve")
    said = surefoot("resume", "k")
    assert said.code == 3
    assert "its outcome is unknown: RuntimeError: the line broke" in said.err
    assert "done --result TEXT | retry | give-up" in said.err
    request = surefoot("show", "k", "--format", "json").json["waiting"][0]
    assert request["kind"] == "outcome"
    assert surefoot("settle", request["id"], *outcome).out.startswith(f"settled: {outcome[0]}; run ")
    assert surefoot("resume", "k").out == answer


def test_an_unknown_outcome_may_be_tried_again(surefoot: Surefoot) -> None:
    surefoot("decide", question(surefoot, "crash", "k"), "--approve")
    first = surefoot("resume", "k", "--json").json["waiting"][0]["id"]
    assert surefoot("settle", first, "retry").code == 0
    second = surefoot("resume", "k", "--json").json["waiting"][0]["id"]  # it fails in the same way again
    assert second != first


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("decide", "{}"), "say --approve or --deny"),
        (("settle", "{}", "done"), "'done' does not answer it; approve or deny it"),
        (("settle", "{}", "retry", "--result", "x"), "--result goes with done"),
        (("settle", "{}", "perhaps"), "perhaps"),
        (("decide", "no-such-run:0.0", "--approve"), "there is no open question 'no-such-run:0.0'"),
        (("send", "no-such-run", "hi"), "there is no run 'no-such-run'"),
        (("cancel", "no-such-run"), "there is no run 'no-such-run'"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(surefoot: Surefoot, arguments: tuple[str, ...], message: str) -> None:
    request = question(surefoot, "refund", "k")
    said = surefoot(*[text.format(request) for text in arguments])
    assert said.code == 2
    assert message in said.err
    assert "Traceback" not in said.err
    assert surefoot("show", "k", "--format", "json").json["status"] == "waiting"


def test_a_message_is_read_by_the_model(surefoot: Surefoot) -> None:
    request = question(surefoot, "refund", "k")
    assert surefoot("send", "k", "hello in between").code == 0
    surefoot("decide", request, "--deny")
    assert surefoot("resume", "k").out == "You said: hello in between\n"
    assert surefoot("send", "k", "too late").code == 2


def test_a_waiting_run_is_cancelled_at_once(surefoot: Surefoot) -> None:
    question(surefoot, "refund", "k")
    said = surefoot("cancel", "k", "--reason", "changed my mind", "--by", "dana")
    assert said.code == 0
    assert said.out.endswith("is cancelled\n")
    shown = surefoot("show", "k", "--format", "text").out
    assert "run cancelled: cancelled by dana: changed my mind" in shown
    assert surefoot("cancel", "k").code == 0


def test_a_run_whose_agent_is_not_here_is_cancelled_all_the_same(surefoot: Surefoot, monkeypatch: pytest.MonkeyPatch) -> None:
    question(surefoot, "refund", "k")
    monkeypatch.setenv("SUREFOOT_AGENTS", "no_such_module:agents")
    said = surefoot("cancel", "k", "--store", "sqlite:surefoot.db")
    assert said.code == 0
    assert "there is no module 'no_such_module'" in said.err
    assert "is cancelled" in said.out


def test_a_run_that_has_ended_cannot_be_cancelled(surefoot: Surefoot) -> None:
    surefoot("run", "clerk", "hello", "--id", "k")
    said = surefoot("cancel", "k")
    assert said.code == 2
    assert "has ended already: done" in said.err
