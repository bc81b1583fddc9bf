"""The fold of records to spans: what each shows, and what holds for any run, whole, cut short, or read twice."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import Phase, given, settings

from surefoot.core import events as ev
from surefoot.core.memory import Entry
from surefoot.core.messages import Text, Usage
from surefoot.core.state import fold
from surefoot.core.tracing import TraceContext, span_id, trace_id
from surefoot.core.values import Failure
from surefoot.telemetry.span import KINDS, Span
from surefoot.telemetry.spans import Trace, spans_of
from tests.crash.scripts import Script, scripts
from tests.crash.test_prefixes import recorded
from tests.telemetry.streams import SECOND, TRACE, any_records, at, life

RUN = "r" * 32


def named(spans: Sequence[Span], kind: str) -> list[Span]:
    return [span for span in spans if span.kind == kind]


def test_a_life_becomes_a_tree() -> None:
    spans = spans_of(life())
    assert [(span.kind, span.name, span.start // SECOND, span.end // SECOND, span.outcome, span.error) for span in spans] == [
        ("run", "clerk", 0, 127, "done", ""),
        ("memory", "recall", 1, 1, "ok", ""),
        ("step", "step 0", 1, 125, "ok", ""),
        ("model", "m:1", 1, 2, "error", "overloaded"),
        ("model", "m:1", 3, 4, "ok", ""),
        ("approval", "pay", 5, 122, "approve", ""),
        ("tool", "look", 5, 8, "error", "timeout"),
        ("user", "fetch", 6, 7, "ok", ""),
        ("tool", "look", 9, 20, "error", "worker_lost"),
        ("tool", "look", 20, 22, "ok", ""),
        ("tool", "pay", 124, 125, "ok", ""),
        ("step", "step 1", 125, 127, "ok", ""),
        ("model", "m:1", 125, 127, "ok", ""),
    ]
    by_id = {span.id: span for span in spans}
    assert [by_id[span.parent].kind if span.parent else "" for span in spans] == [
        "", "run", "run", "step", "step", "run", "step", "tool", "step", "step", "step", "run", "step",
    ]  # fmt: skip
    assert {span.trace for span in spans} == {TRACE}
    assert len(by_id) == len(spans)


def test_times_say_who_was_waited_for() -> None:
    run = spans_of(life())[0]
    assert {name: run.attributes[name] / SECOND for name in ("queued", "worked", "human", "lost")} == {
        "queued": 1 + 2,
        "worked": 8 + 2 + 3,
        "human": 100,
        "lost": 11,
    }
    assert "waited" not in run.attributes
    assert (run.attributes["steps"], run.attributes["tool_calls"], run.attributes["retries"]) == (2, 2, 2)
    assert run.attributes["cost"] == 2_000
    step = named(spans_of(life()), "step")[0]
    assert step.attributes["human"] == 100 * SECOND


def test_what_was_said_is_apart_from_figures() -> None:
    spans = spans_of(life())
    model = named(spans, "model")[1]
    assert model.attributes == {
        "step": 0, "attempt": 2, "finish": "tool_calls", "cost": 1_500, "calls": ["look", "pay"], "input_tokens": 10,
        "output_tokens": 5, "cached_tokens": 0, "cache_write_tokens": 0, "reasoning_tokens": 0, "response_model": "m:2",
        "request_id": "r1", "first_token": 200_000,
    }  # fmt: skip
    assert model.content["reasoning"] == "look, then pay"
    assert spans[0].content == {"input": "refund it", "output": "Done."}
    assert named(spans, "tool")[0].content == {"arguments": '{"at":1}', "error": "too slow"}
    said = repr([[span.attributes, *[note.attributes for note in span.notes]] for span in spans])
    assert not [text for text in ("refund it", "too slow", "it is blue", "fine", "half way", "url") if text in said]


def test_a_question_is_linked_to_the_call_it_let_run() -> None:
    spans = spans_of(life())
    (asked,), paid = named(spans, "approval"), named(spans, "tool")[-1]
    assert (asked.links, paid.links) == ([paid.id], [asked.id])
    assert [note.name for note in asked.notes] == ["approval.requested", "approval.voted", "approval.decided"]
    assert asked.attributes["by"] == "dana"


def test_a_run_that_goes_on_after_its_end_continues_its_trace() -> None:
    events: list[tuple[float, int, ev.Event]] = [
        (0, 0, ev.RunStarted("a", trace_id=TRACE)),
        (1, 1, ev.RunClaimed("w")),
        (2, 1, ev.RunFailed(Failure("limit_exceeded", "too far"))),
        (50, 0, ev.RunResumed("dana")),
        (51, 2, ev.RunClaimed("w")),
        (52, 2, ev.RunFinished("x")),
    ]
    first, second = named(spans_of(at(events)), "run")
    assert (first.outcome, first.error, second.outcome) == ("failed", "limit_exceeded", "done")
    assert (second.links, second.trace, second.parent) == ([first.id], TRACE, first.parent)
    assert (second.attributes["queued"], second.attributes["worked"]) == (SECOND, SECOND)


def test_what_was_open_at_the_end_ends_with_the_run() -> None:
    records = life()
    for cut, error in ((4, "worker_lost"), (14, "worker_lost")):
        failed = [*records[:cut], ev.Record(99, RUN, 99, 9, 200 * SECOND, ev.RunFailed(Failure("crash_loop", "x")))]
        assert [span.error for span in spans_of(failed) if span.end == 200 * SECOND and span.kind in ("model", "tool")] == [error]
    waiting = [*records[:19], ev.Record(99, RUN, 99, 9, 200 * SECOND, ev.RunCancelled("dana", "enough"))]
    assert named(spans_of(waiting), "approval")[0].outcome == "open"
    assert spans_of(waiting)[0].outcome == "cancelled"


def test_a_child_hangs_on_the_call_that_started_it() -> None:
    child = spans_of(at([(0, 0, ev.RunStarted("b", parent="p", parent_call="0.0", trace_id=TRACE))]))[0]
    assert child.parent == span_id("p", "call", "0.0", 1)
    told = spans_of(at([(0, 0, ev.RunStarted("b", parent="p", parent_call="0.0", parent_span="ab" * 8))]))[0]
    assert told.parent == "ab" * 8


def test_ids_are_those_of_w3c() -> None:
    assert len(span_id("r", "call", "0.0", 1)) == 16
    assert trace_id(TRACE, "r") == TRACE
    assert len(trace_id("not hex", "r")) == 32
    context = TraceContext("r", TRACE, ("model", 7), "shop=1")
    assert context.headers() == {"traceparent": f"00-{TRACE}-{span_id('r', 'model', 7)}-01", "tracestate": "shop=1"}
    assert TraceContext("r", TRACE, dropped=True).headers() == {"traceparent": f"00-{TRACE}-{span_id('r')}-00"}


# ── any run ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@settings(phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink])  # explaining takes minutes
@given(any_records())
def test_any_events_in_any_order_make_sound_spans(records: list[ev.Record]) -> None:
    trace = Trace()
    opened: list[Span] = []
    closed: list[Span] = []
    for record in records:
        change = trace.apply(record)
        opened += change.opened
        closed += change.closed
        assert {id(span) for span in trace.standing} == {id(s) for s in opened} - {id(s) for s in closed}
    assert len({id(span) for span in closed}) == len(closed), "closed twice"
    ids = {span.id: span for span in opened}
    for span in opened:
        assert span.kind in KINDS
        assert span.duration >= 0
        if span.kind != "run":
            assert span.parent in ids or not named(opened, "run")
            assert not span.parent or ids[span.parent].start <= span.start
    for run in named(closed, "run"):
        spent = sum(run.attributes.get(name, 0) for name in ("queued", "worked", "human", "waited", "lost"))
        assert spent == run.duration


@settings(phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink])  # explaining takes minutes
@given(any_records())
def test_a_fold_can_stop_and_go_on(records: list[ev.Record]) -> None:
    whole = spans_of(records)
    for cut in range(0, len(records), 7):
        trace = Trace()
        spans = [span for record in records[:cut] for span in trace.apply(record).opened]
        spans += [span for record in records for span in trace.apply(record).opened]  # from the start: nothing counts twice
        assert spans == whole


@settings(max_examples=20)
@given(scripts())
async def test_generated_runs_are_told_whole_and_once(script: Script) -> None:
    records = await recorded(script)
    state, spans = fold(records), spans_of(records)
    assert len({span.id for span in spans}) == len(spans)
    usage = [
        Usage(span.attributes["input_tokens"], span.attributes["output_tokens"])
        for span in named(spans, "model")
        if not span.error
    ]
    assert sum(one.input for one in usage) == state.usage.input
    assert len(usage) == state.steps
    assert sum(1 for span in named(spans, "tool") if span.attributes["attempt"] == 1) == state.tool_calls
    if len(named(spans, "run")) == 1:
        assert spans[0].attributes.get("worked", 0) == state.worked
    if state.status in ("done", "failed", "cancelled"):
        assert all(span.end for span in spans)
    by_id = {span.id: span for span in spans}
    for span in spans:
        above = by_id.get(span.parent)
        assert (above is None) == (span.kind == "run")
        if above is not None and span.end and above.end and span.kind != "approval":
            assert above.start <= span.start <= span.end <= above.end


@pytest.mark.parametrize("tag", ["run.finished", "run.failed", "run.cancelled"])
def test_a_redacted_end_is_an_end(tag: str) -> None:
    spans = spans_of([*life()[:-1], ev.Record(99, RUN, 99, 3, 127 * SECOND, ev.Unknown(tag, '{"$redacted":""}'))])
    assert all(span.end for span in spans)


def test_a_redacted_beginning_is_a_beginning() -> None:
    spans = spans_of([ev.Record(1, RUN, 1, 0, 0, ev.Unknown("run.started", '{"$redacted":""}')), *life()[1:]])
    assert spans[0].kind == "run"
    assert (spans[0].id, spans[0].outcome) == (span_id(RUN), "done")


def test_a_request_for_a_summary_is_a_span_of_its_own() -> None:
    """It ends when the prompt was made to fit, with what it cost; without a summary it failed."""
    made = ev.ContextCompacted("summarised", 9, 4, 2, 2, "so", model="m:small", usage=Usage(90, 9), cost=7)
    for compacted, outcome in ((made, ("ok", "")), (ev.ContextCompacted("dropped", 9, 4), ("error", "summary_failed"))):
        summed: list[tuple[float, int, ev.Event]] = [
            (0, 0, ev.RunStarted("clerk", (Text("hi"),))),
            (1, 1, ev.RunClaimed("w")),
            (2, 1, ev.ModelRequested(0, "m:small", purpose="summary")),
            (3, 1, compacted),
            (4, 1, ev.ModelRequested(0, "m:1")),
            (6, 1, ev.ModelReplied(0, (Text("hello"),), Usage(10, 5), 3)),
            (6, 1, ev.RunFinished("hello")),
        ]
        spans = spans_of(at(summed))
        asked, answered = [span for span in spans if span.kind == "model"]
        assert (asked.attributes["purpose"], asked.outcome, asked.error) == ("summary", *outcome)
        assert (answered.outcome, "purpose" in answered.attributes) == ("ok", False)
        run = next(span for span in spans if span.kind == "run")
        assert run.attributes["cost"] == (10 if compacted is made else 3)


def test_a_model_that_another_answered_for_has_a_span_of_its_own() -> None:
    tried = [{"model": "m:1", "kind": "overloaded", "message": "busy", "duration": SECOND}, {"model": "m:2", "kind": "auth"}]
    data = {"asked": "m:1", "answered": "m:3", "tried": tried}
    events: list[tuple[float, int, ev.Event]] = [
        (0, 0, ev.RunStarted("a")), (0, 1, ev.RunClaimed("w")), (0, 1, ev.ModelRequested(0, "m:1")),
        (3, 1, ev.RunWarned("fell_back", "m:3 answered", data)),
        (3, 1, ev.ModelReplied(0, usage=Usage(3, 4), model="m:3", duration=3 * SECOND)), (3, 1, ev.RunFinished("x")),
    ]  # fmt: skip
    spans = named(spans_of(at(events)), "model")
    told = sorted((span.start / SECOND, span.end / SECOND, span.name, span.error) for span in spans)
    assert told == [(0, 1, "m:1", "overloaded"), (1, 1, "m:2", "auth"), (1, 3, "m:3", "")]
    assert len({span.id for span in spans}) == 3
    assert [span.attributes.get("input_tokens") for span in spans] == [3, None, None]


def test_a_summary_is_a_request_and_no_step() -> None:
    def made(compacted: ev.ContextCompacted) -> list[Span]:
        events: list[tuple[float, int, ev.Event]] = [
            (0, 0, ev.RunStarted("a")), (0, 1, ev.RunClaimed("w")), (0, 1, ev.ModelRequested(0, "m:s", purpose="summary")),
            (2, 1, compacted), (2, 1, ev.ModelRequested(0, "m:1")), (3, 1, ev.ModelReplied(0, usage=Usage(3, 4), cost=5)),
            (3, 1, ev.RunFinished("x")),
        ]  # fmt: skip
        return spans_of(at(events))

    spans = made(ev.ContextCompacted("summarised", 100, 10, model="m:s", usage=Usage(50, 6), cost=7))
    first, second = named(spans, "model")
    assert (first.name, first.outcome, first.attributes["purpose"], first.attributes["input_tokens"]) == (
        "m:s",
        "ok",
        "summary",
        50,
    )
    assert (second.outcome, spans[0].attributes["steps"], spans[0].attributes["cost"]) == ("ok", 1, 12)
    assert len(named(spans, "step")) == 1
    failed = named(made(ev.ContextCompacted("dropped", 100, 10)), "model")[0]
    assert (failed.error, failed.duration) == ("summary_failed", 2 * SECOND)


def test_what_happens_outside_runs_is_no_span() -> None:
    assert spans_of([ev.Record(1, "app", 1, 0, 0, ev.BreakerChanged("m:1", "open"))]) == []


def test_what_memory_took_in_is_content() -> None:
    kept = ev.MemoryKept(Entry("m1", "she likes tea"), "clean", ("m0",))
    (root,) = spans_of(at([(0, 0, ev.RunStarted("a")), (1, 1, kept)]))
    (note,) = root.notes
    assert note.attributes == {"closes": ["m0"]}
    assert note.content["entry"]["text"] == "she likes tea"
