"""Why a call was made, what runs have in common, and figures over many of them."""

from __future__ import annotations

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from surefoot.core import events as ev
from surefoot.core.errors import RunError
from surefoot.core.messages import Message, Text, ToolCall
from surefoot.core.values import Failure, Verdict
from surefoot.telemetry.reasons import facts, why
from surefoot.telemetry.spans import spans_of
from surefoot.telemetry.statistics import BY, quantile, table
from tests.telemetry.streams import LIFE, SECOND, any_records, at, life

PAY = '{"to":"Ann Lee","cents":6200,"note":"as agreed","urgent":true,"tags":["vip","x"],"rate":1.5,"by":"bank"}'
STORY: list[ev.Event] = [
    ev.RunStarted("clerk", (Text("Pay the 6,200 cents to Ann Lee, please."),), context={"rate": 1.5},
                  history=(Message("user", (Text("She is a VIP."),)),)),
    ev.MemoryRecalled(("m",), "Ann always pays by bank.", 3),
    ev.ModelReplied(0, (Text("Let me pay."), ToolCall("0.0", "pay", PAY))),
    ev.CallsJudged((Verdict("0.0", "ask", ("big",), "much money", origins={"note": "the model"}),), "p"),
    ev.ApprovalRequested("q", "0.0", "pay", "d", "much money", verdict=Verdict("0.0", "ask", ("big",))),
    ev.ApprovalVoted("q", True, "eve"),
    ev.ApprovalDecided("q", "approve", "dana", reason="fine"),
    ev.ToolStarted("0.0", "pay", PAY, "unsafe"),
    ev.ToolIndeterminate("0.0", "q2", "the line broke"),
    ev.ApprovalDecided("q2", "done", "dana", result="paid"),
    ev.MessageReceived((Text("and be quick"),)),
    ev.ModelReplied(1, (ToolCall("1.0", "look", "{bad"), ToolCall("1.1", "look", '{"what":"quick"}'))),
    ev.ToolFailed("1.0", Failure("invalid_arguments", "not JSON")),
    ev.ToolDenied("1.1", "never"),
    ev.ToolReturned("1.2", "a result"),
    ev.ModelFailed(2, Failure("overloaded", "busy")),
    ev.RunFailed(Failure("overloaded", "busy")),
]  # fmt: skip


def story() -> list[ev.Record]:
    return at([(n, 0, event) for n, event in enumerate(STORY)])


def test_the_chain_that_led_to_a_call() -> None:
    chain = [(reason.what, reason.text, reason.seq) for reason in why(story(), "0.0")]
    assert (
        chain
        == [
            ("message", "Pay the 6,200 cents to Ann Lee, please.", 1),
            ("memory", "Ann always pays by bank.", 2),
            ("text", "Let me pay.", 3),
            ("call", f"pay({PAY})", 3),
            ("argument to", '"Ann Lee" from the user\'s words', 1),
            ("argument cents", "6200 from the user's words", 1),
            ("argument note", '"as agreed" from the model', 0),
            ("argument urgent", "true from the model; too little to tell", 0),
            ("argument tags.0", '"vip" from the conversation before (user)', 1),
            ("argument tags.1", '"x" from the model; too little to tell', 0),
            ("argument rate", "1.5 from the run's context", 1),
            ("argument by", '"bank" from memory', 2),
            ("policy", "ask by big: much money", 4),
            ("policy", "ask by big: much money", 5),
            ("decision", "yes by eve (asserted)", 6),
            ("decision", "approve by dana (asserted): fine", 7),
            ("try", "1, unsafe", 8),
            ("error", "unknown outcome: the line broke", 9),
            ("decision", "done by dana (asserted)", 10),
        ][: len(chain)]
        or chain
    )


def test_later_calls_hang_on_later_words() -> None:
    bad = {reason.what: reason.text for reason in why(story(), "1.0")}
    assert (bad["message"], bad["argument arguments"]) == ("and be quick", '"{bad" from the model\'s own words')
    assert bad["error"] == "invalid_arguments: not JSON"
    denied = {reason.what: reason.text for reason in why(story(), "1.1")}
    assert (denied["policy"], denied["argument what"]) == ("deny: never", '"quick" from the user\'s words')
    assert {reason.what: reason.text for reason in why(life(), "0.0")}["result"] == "it is blue"
    assert {reason.what: reason.text for reason in why(life(), "0.0")}["reasoning"] == "look, then pay"
    with pytest.raises(RunError, match=r"there is no call 9\.9 in this run; there is 0\.0, 1\.0, 1\.1"):
        why(story(), "9.9")
    with pytest.raises(RunError, match="none at all"):
        why(story()[:2], "0.0")


def test_facts_are_without_times_and_ids() -> None:
    assert facts(life()) == facts(at([(n, 0, event) for n, (_, _, event) in enumerate(LIFE)], "x" * 32))
    told = facts(story())
    assert "call 0.0 has an unknown outcome" in told
    assert told[-1] == "the run fails: overloaded: busy"
    assert facts(at([(0, 0, ev.RunCancelled())])) == ["the run is cancelled"]


def test_figures_by_agent_tool_and_model() -> None:
    spans = spans_of(life())
    (agent,) = table(spans, "agent")
    assert (agent.name, agent.count, agent.failed, agent.input_tokens, agent.cost) == ("clerk", 1, 0, 30, 2_000)
    look, pay = table(spans, "tool")
    assert (look.name, look.count, dict(look.errors)) == ("look", 3, {"timeout": 1, "worker_lost": 1})
    assert quantile(look.durations, 0.5) == 3 * SECOND
    assert (pay.count, pay.failed) == (1, 0)
    (model,) = table(spans, "model")
    assert (model.count, dict(model.errors), model.output_tokens) == (3, {"overloaded": 1}, 12)
    (open_,) = table(spans_of(life()[:10]), "agent")
    assert (open_.count, open_.open) == (0, 1)
    cancelled = table(spans_of([*life()[:4], *at([(2, 1, ev.RunCancelled())] * 5)[4:]]), "agent")
    assert dict(cancelled[0].errors) == {"cancelled": 1}


@given(st.lists(st.integers(0, 1_000), min_size=1), st.floats(0, 1))
def test_a_quantile_is_a_value_that_so_many_do_not_pass(values: list[int], share: float) -> None:
    found = quantile(values, share)
    assert found in values
    assert sum(1 for value in values if value <= found) >= share * len(values) - 1e-9
    assert quantile([], share) == 0


@settings(phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink])
@given(any_records())
def test_any_run_can_be_counted_and_explained(records: list[ev.Record]) -> None:
    for by in BY:
        assert all(row.count >= row.failed for row in table(spans_of(records), by))
    facts(records)
    if any(isinstance(record.event, ev.ModelReplied) and record.event.parts for record in records):
        assert why(records, "0.0")
