"""Small values: what they add up to, what they show, and what their errors say."""

from __future__ import annotations

import inspect
import logging
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot.core import errors
from surefoot.core.agent import Agent
from surefoot.core.messages import Reasoning, Text, Usage
from surefoot.core.model import ModelReply, ModelSettings, OutputSchema, ProposedCall
from surefoot.core.request import visible
from surefoot.core.tool import ToolContext
from surefoot.core.values import Limits, Spent

CONTEXT: ToolContext[None] = ToolContext(
    run_id="r", call_id="0.0", agent="a", idempotency_key="r:0.0", fencing_token=1, deps=None, session="s"
)


def test_settings_over_others_fill_what_is_open() -> None:
    mine = ModelSettings(temperature=0.0, extra={"a": 1})
    theirs = ModelSettings(temperature=1.0, max_tokens=5, reasoning="low", timeout=3.0, extra={"a": 2, "b": 2})
    assert mine.over(theirs) == ModelSettings(0.0, 5, "low", 3.0, {"a": 1, "b": 2})


def test_limits_are_taken_over_or_within_others() -> None:
    mine, theirs = Limits(steps=9, tokens=1), Limits(steps=3, cost=2.0)
    assert mine.over(theirs) == Limits(steps=9, tokens=1, cost=2.0)
    assert mine.within(theirs) == theirs.within(mine) == Limits(steps=3, tokens=1, cost=2.0)
    assert Limits().over(theirs) == Limits().within(theirs) == theirs


def test_an_unknown_price_makes_a_sum_unknown() -> None:
    known, unknown = Spent(1, 2, Usage(3), 4), Spent(cost=None)
    assert known + known == Spent(2, 4, Usage(6), 8)
    assert (known + unknown).cost is None


def test_replies_are_easily_made() -> None:
    assert ModelReply.say("hi", reasoning="so").parts == (Reasoning("so"), Text("hi"))
    call = ProposedCall("t", "{}")
    assert ModelReply.call(call, reasoning="so") == ModelReply((Reasoning("so"),), (call,), finish="tool_calls")
    assert OutputSchema("n", {}).description == ""


def test_an_agent_shows_its_name() -> None:
    assert repr(Agent("clerk")) == "Agent('clerk')"


@given(st.text())
def test_what_is_shown_cannot_deceive(text: str) -> None:
    shown = visible(text)
    assert not re.search(r"[\x00-\x1f\x7f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]", shown)
    assert shown.isprintable() or any(char.isspace() for char in shown)


@pytest.mark.parametrize(("text", "shown"), [("a\u202eb", "a\\u202eb"), ("\U000e0041", "\\U000e0041"), ("äö", "äö")])
def test_hidden_characters_are_written_out(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_a_tool_logs_with_its_run_and_call(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "surefoot.tool"):
        CONTEXT.log.info("hello")
    record = caplog.records[0]
    assert (record.run, record.call, record.session) == ("r", "0.0", "s")  # type: ignore[attr-defined]


def test_a_context_outside_an_application_reports_to_nobody() -> None:
    CONTEXT.progress("x", n=1)
    with CONTEXT.span("y"):
        pass


ERRORS = [value for value in vars(errors).values() if inspect.isclass(value) and issubclass(value, errors.SurefootError)]


def test_the_tree_of_errors_is_drawn_as_it_is() -> None:
    drawn: dict[str, str] = {}
    parents: list[tuple[int, str]] = []
    for line in inspect.cleandoc(errors.__doc__ or "").splitlines():
        found = re.match(r"^(?P<lead>[\s│├└─]*)(?P<name>[A-Z]\w+)(\s|$)", line)
        if found is None or not hasattr(errors, found["name"]):
            continue
        while parents and parents[-1][0] >= len(found["lead"]):
            parents.pop()
        drawn[found["name"]] = parents[-1][1] if parents else "Exception"
        parents.append((len(found["lead"]), found["name"]))
    assert drawn == {kind.__name__: kind.__base__.__name__ for kind in ERRORS if kind.__base__}


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (errors.MissingExtra("openai models", "openai"), "pip install 'surefoot[openai]'"),
        (errors.UnknownEvent("tea.served", "r"), "upgrade this worker"),
        (errors.Fenced("r", 1, 2), "this worker must stop"),
        (errors.HeadMoved("r", 1, 2), "decide anew"),
        (errors.RunConflict("x", "r", "input"), "use a new id"),
        (errors.RunNotFound("r"), "`surefoot runs`"),
        (errors.RequestNotFound("q"), "`run.waiting`"),
        (errors.AlreadyDecided("q", "deny", "dana"), "deny by dana"),
        (errors.AlreadyDecided("q", "deny", ""), "deny; nothing"),
    ],
)
def test_an_error_says_what_to_do_next_and_carries_its_data(error: Exception, words: str) -> None:
    assert words in str(error)
    assert vars(error), "what a program needs is in attributes"


def test_a_model_error_knows_whether_another_try_may_help() -> None:
    assert errors.ModelError("overloaded", "x").retryable
    assert not errors.ModelError("auth", "x", status=401).retryable
