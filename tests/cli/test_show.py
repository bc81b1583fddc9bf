"""`surefoot show`: the story of a run as a tree, as lines to search, and as JSON."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot.cli.bars import Bars
from surefoot.cli.documents import story_document
from surefoot.cli.show import branches, lines
from surefoot.cli.story import tell
from surefoot.cli.words import sentence
from surefoot.cli.writing import block, cost, duration, line, moment, safe_json, short
from surefoot.core import events as ev
from surefoot.core.canonical import loads
from surefoot.core.memory import Entry
from surefoot.core.messages import File, Image, Reasoning, Text, ToolCall, Usage
from surefoot.core.run import run_of
from surefoot.core.values import Failure, Verdict
from surefoot.runs.ages import period
from surefoot.telemetry.otlp import otlp_document
from surefoot.telemetry.spans import spans_of
from tests.cli.conftest import Surefoot
from tests.telemetry.streams import life

EVIL = "\x1b[2J\u202e\nnew line"


def test_the_tree_tells_everything_about_a_step(surefoot: Surefoot) -> None:
    asked = surefoot("run", "clerk", "refund it", "--id", "k", "--session", "s", "--tag", "a", "--json").json
    surefoot("decide", asked["waiting"][0]["id"], "--approve", "--by", "dana")
    surefoot("resume", "k")
    said = surefoot("show", "k")
    assert (said.code, said.err) == (0, "")
    text = re.sub(r"[│├└─ ]+", " ", said.out)
    for part in (
        f"run {asked['id']} · clerk · done", "session: s", "tags: a", "id: k", "input: refund it",
        "2 steps, 1 tool call, tokens 50 (10 cached) in, 20 out", "step 0 · scripted:function", "step 1 · scripted:function",
        'call 0.0 refund({"cents":6200,"order":"81"}) · unsafe', "approval requested: asks a human",
        "approval decided: approved by dana (asserted)", "refunded 6200 cents on order 81",
        "text: Then: refunded 6200 cents on order 81", "output: Then: refunded 6200 cents on order 81",
    ):  # fmt: skip
        assert f" {part}" in f" {text}", part
    assert max(map(len, said.out.splitlines())) > 100  # nothing is wrapped in a pipe


def test_every_line_of_text_stands_for_itself(surefoot: Surefoot) -> None:
    surefoot("run", "clerk", "think about it", "--id", "k")
    lines = surefoot("show", "k", "--format", "text").out.splitlines()
    assert "step 0 reasoning: 17 and 25 make 42" in lines
    assert "step 0 text: Forty-two." in lines
    assert "output: Forty-two." in lines
    assert re.fullmatch(r"run [0-9a-f]{32} agent=clerk status=done", lines[0])


def test_json_has_every_step_and_stable_keys(surefoot: Surefoot) -> None:
    surefoot("run", "clerk", "add", "--id", "k")
    run = surefoot("show", "k", "--format", "json").json
    assert (run["input"], run["output"], run["status"]) == ("add", "Then: 42.0", "done")
    first, second = run["trace"]
    assert list(first) == [
        "step", "model", "time", "attempts", "finish", "reasoning", "text", "duration", "first_token", "usage", "cost", "calls",
        "events",
    ]  # fmt: skip
    assert [call["name"] for call in first["calls"]] == ["add"]
    call = first["calls"][0]
    assert list(call) == [
        "id", "name", "arguments", "invalid", "effect", "status", "attempts", "duration", "result", "error", "events",
    ]  # fmt: skip
    assert (call["arguments"], call["effect"], call["result"]) == ({"a": 17, "b": 25}, "read", "42.0")
    assert (call["status"], call["error"]) == ("closed", False)
    assert second["usage"]["input"] == 50
    assert [note["event"] for note in run["events"]] == ["run.claimed"]


def test_a_failed_and_a_waiting_run_show_where_they_stand(surefoot: Surefoot) -> None:
    surefoot("run", "clerk", "fail", "--id", "f")
    shown = surefoot("show", "f").out
    assert "model failed: the model failed, try 1: auth: the key is wrong" in shown
    assert "run failed: auth: the key is wrong" in shown
    surefoot("run", "clerk", "crash", "--id", "w")
    surefoot("decide", surefoot("show", "w", "--format", "json").json["waiting"][0]["id"], "--approve")
    surefoot("resume", "w")
    shown = surefoot("show", "w").out
    assert "tool indeterminate: crash may or may not have happened: RuntimeError: the line broke" in shown
    assert "open: unknown" in shown
    assert "waiting: crash({}) started and its outcome is unknown" in shown


def test_show_needs_no_agents(surefoot: Surefoot, monkeypatch: pytest.MonkeyPatch) -> None:
    surefoot("run", "clerk", "add", "--id", "k")
    monkeypatch.delenv("SUREFOOT_AGENTS")
    assert "output: Then: 42.0" in surefoot("show", "k").out
    assert surefoot("show", "nothing").code == 2
    assert surefoot("show", "k", "--format", "xml").code == 2


SAMPLES: list[ev.Event] = [
    ev.RunStarted(EVIL, (Text(EVIL), Image(url="http://x/" + EVIL), File(blob="ab" * 32))),
    ev.RunClaimed(EVIL),
    ev.RunSuspended(("timer" + EVIL,), 1_000_000),
    ev.RunWarned(EVIL, EVIL),
    ev.SessionRenamed(EVIL, EVIL),
    ev.RunCancelRequested(EVIL, EVIL),
    ev.ModelRequested(0, EVIL),
    ev.ModelFailed(0, Failure(EVIL, EVIL, EVIL), retry_at=1_000_000),
    ev.MessageReceived((Text(EVIL),), EVIL),
    ev.MemoryRecalled((EVIL,), EVIL, 7),
    ev.MemoryKept(Entry(EVIL, EVIL, author=EVIL), EVIL),
    ev.MemoryRefused(EVIL, EVIL, EVIL),
    ev.MemoryForgotten((EVIL,), EVIL, EVIL),
    ev.ContextCompacted(EVIL, 10, 5),
    ev.HandedOff(EVIL, EVIL),
    ev.ModelReplied(0),
    ev.OutputRejected(EVIL),
    ev.CallsJudged((Verdict("0.0", EVIL, (EVIL,), EVIL),), EVIL),
    ev.ToolDenied("0.0", EVIL, EVIL),
    ev.ApprovalRequested("r", "0.0", EVIL, "", EVIL, expires_at=1_000_000),
    ev.ApprovalVoted("r", True, EVIL, EVIL, EVIL),
    ev.ApprovalVoted("r", False),
    ev.ApprovalDecided("r", EVIL, EVIL, EVIL, EVIL, EVIL, EVIL),
    ev.ApprovalExpired("r"),
    ev.ApprovalConsumed("r", "0.0", ""),
    ev.ApprovalRevoked("r", EVIL, EVIL),
    ev.ToolStarted("0.0", EVIL, EVIL, EVIL),
    ev.ToolProgressed("0.0", EVIL),
    ev.ToolProgressed("0.0", waiting=(EVIL,)),
    ev.ToolReturned("0.0", EVIL),
    ev.ToolFailed("0.0", Failure(EVIL, EVIL), retry_at=1_000_000),
    ev.ToolIndeterminate("0.0", "r", EVIL),
    ev.SpanStarted("0.0", EVIL),
    ev.SpanEnded("0.0", EVIL, EVIL),
    ev.EventRedacted(1, EVIL, EVIL),
    ev.Unknown(EVIL, EVIL),
    ev.RunResumed(EVIL),
    ev.ApprovalDelegated(EVIL, EVIL, EVIL, EVIL, EVIL),
    ev.RunFinished(EVIL),
    ev.RunFailed(Failure(EVIL, EVIL)),
    ev.RunCancelled(EVIL, EVIL),
]


def test_every_event_has_a_sentence_or_a_place_of_its_own() -> None:
    assert {type(event) for event in SAMPLES} == set(ev.RUN_EVENTS)
    silent = {type(event) for event in SAMPLES if not sentence(event, {})}
    assert silent == {ev.RunStarted, ev.RunFinished, ev.ModelRequested, ev.ModelReplied}


@pytest.mark.parametrize("event", SAMPLES, ids=lambda event: type(event).__name__)
def test_a_sentence_is_one_line_and_cannot_deceive(event: ev.Event) -> None:
    said = sentence(event, {"0.0": EVIL})
    assert not set("\x1b\u202e\n") & set(said)


def recorded(events: list[ev.Event]) -> list[ev.Record]:
    """Give events as a journal keeps them."""
    return [ev.Record(number, "r", number, 0, number, event) for number, event in enumerate(events, 1)]


def test_events_outside_any_call_are_told_between_the_steps() -> None:
    records = recorded(
        [ev.RunStarted("a"), ev.HandedOff("b"), ev.EventRedacted(1), ev.MemoryRecalled(("m",), "x", 3), ev.Unknown("new.thing")]
    )
    kinds = [getattr(item, "kind", "") for item in tell(records).items]
    assert kinds == ["handed.off", "event.redacted", "memory.recalled", "new.thing"]


ASK = Verdict("0.1", "ask", ("rule-7",), "it is a lot of money")
LONG: list[ev.Event] = [
    ev.RunStarted("clerk", (Text("look at this"), Image(url="http://shop/1.png"), File(blob="ab" * 32, media_type="text/csv"))),
    ev.RunClaimed("here|boot|ns|7|8|9"),
    ev.ModelRequested(0, "m:1"),
    ev.ModelFailed(0, Failure("overloaded", "busy"), retry_at=1_000_000),
    ev.ModelRequested(0, "m:1", attempt=2),
    ev.ModelReplied(
        0,
        (Reasoning("hm"), Text("Let me see."), ToolCall("0.0", "look", '{"at":1}'), ToolCall("0.1", "pay", "{}"),
         ToolCall("0.2", "steal", "{}"), ToolCall("0.3", "look", "{at:", invalid="not JSON")),
        Usage(10, 5), 1_500, "tool_calls", "m:2", "", 2_000_000, 500_000,
    ),
    ev.CallsJudged((ASK,), "p"),
    ev.ToolDenied("0.2", "never"),
    ev.ToolFailed("0.3", Failure("invalid_arguments", "not JSON")),
    ev.ToolStarted("0.0", "look", '{"at":1}', "read"),
    ev.ToolFailed("0.0", Failure("timeout", "too slow"), retry_at=2_000_000),
    ev.ToolStarted("0.0", "look", '{"at":1}', "read", 2),
    ev.ToolProgressed("0.0", "half way"),
    ev.ToolReturned("0.0", "head", blob="cd" * 32, size=9_000, attempt=2, duration=1_500_000),
    ev.ApprovalRequested("q", "0.1", "pay", "d", "money", verdict=ASK),
    ev.RunSuspended(("q",)),
    ev.ApprovalVoted("q", True, "dana"),
    ev.ApprovalDecided("q", "answer", "dana", result="paid by hand"),
    ev.RunResumed("dana"),
    ev.RunSuspended(("timer",), 5_000_000),
    ev.ModelRequested(1, "m:1"),
    ev.ModelReplied(1, (Text("Cut off"),), Usage(20, 5), None, "length"),
    ev.OutputRejected("too short"),
    ev.RunFailed(Failure("limit", "50 steps", "raise the limit")),
]  # fmt: skip


def test_a_long_story_is_told_in_order() -> None:
    story = tell(recorded(LONG))
    told = [re.sub(r" \(1970.*", "", text) for text in lines(story, run_of(story.state))]
    assert told[3:] == [
        "input: look at this [image image/png http://shop/1.png] [file text/csv blob abababababababab]",
        "worker: taken by process 7 on here",
        "step 0 m:2 · 2.0 s · tokens 10 in, 5 out · $0.0015 · try 2",
        f"step 0 model failed: the model failed, try 1: overloaded: busy; tries again at {moment(1_000_000)}",
        "step 0 reasoning: hm",
        "step 0 text: Let me see.",
        'step 0 call 0.0 look({"at":1}) effect=read status=closed',
        f"step 0 call 0.0 tool failed: look failed, try 1: timeout: too slow; tries again at {moment(2_000_000)}",
        'step 0 call 0.0 tool started: look({"at":1}) started, try 2',
        "step 0 call 0.0 tool progressed: look: half way",
        "step 0 call 0.0 result after 1.5 s: head [4 of 9,000 characters; the rest is blob cdcdcdcdcdcdcdcd]",
        "step 0 call 0.1 pay({}) status=closed",
        "step 0 call 0.1 calls judged: policy says ask (rule-7): it is a lot of money",
        "step 0 call 0.1 approval requested: asks a human: money [q]",
        "step 0 call 0.1 approval voted: yes by dana (asserted)",
        "step 0 call 0.1 approval decided: answered by dana (asserted), result: paid by hand",
        "step 0 call 0.1 result after 0 ms: paid by hand",
        "step 0 call 0.2 steal({}) status=closed",
        "step 0 call 0.2 tool denied: steal denied by policy: never",
        "step 0 call 0.3 look({at:) status=closed",
        "step 0 call 0.3 invalid: not JSON",
        "step 0 call 0.3 tool failed: look failed, try 1: invalid_arguments: not JSON",
        "run resumed: resumed by dana",
        f"waiting: waits for timer, at the latest until {moment(5_000_000)}",
        "step 1 m:1 · 0 ms · tokens 20 in, 5 out · cost unknown · length",
        "step 1 text: Cut off",
        "output rejected: the answer does not fit: too short",
        "run failed: limit: 50 steps — raise the limit",
    ]
    tree = branches(story, run_of(story.state))
    assert next(branch.text for branch in tree.below if branch.text.startswith("step")).startswith("step 0 · m:2")
    document = story_document(story, run_of(story.state))
    assert [call["error"] for call in document["trace"][0]["calls"]] == [False, False, True, True]
    assert document["error"] == {"kind": "limit", "message": "50 steps", "hint": "raise the limit"}


def test_every_beginning_of_a_story_can_be_told() -> None:
    records = recorded(LONG)
    for end in range(1, len(records) + 1):
        story = tell(records[:end])
        run = run_of(story.state)
        assert list(lines(story, run))
        assert branches(story, run).below
        assert safe_json(story_document(story, run))


@given(st.text())
def test_no_text_can_deceive(text: str) -> None:
    bad = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
    assert not bad.search(block(text))
    assert not bad.search(line(text))
    assert "\n" not in line(text)
    assert len(short(text, 20)) <= 20
    assert not bad.search(safe_json({"text": text}))


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_safe_json_is_the_same_json(value: object) -> None:
    assert loads(safe_json(value)) == value


@given(st.text(alphabet=st.characters(categories=["L", "N", "P"])))
def test_plain_text_is_left_as_it_is(text: str) -> None:
    assert block(text) == text


@pytest.mark.parametrize(
    ("micros", "text"),
    [(0, "0 ms"), (350_000, "350 ms"), (999_900, "1.0 s"), (59_990_000, "1 min"), (182_000_000, "3 min 2 s"),
     (7_500_000_000, "2 h 5 min"), (273_600_000_000, "3 d 4 h")],
)  # fmt: skip
def test_durations_are_for_people(micros: int, text: str) -> None:
    assert duration(micros) == text


def test_money_and_periods_are_for_people() -> None:
    assert [cost(dollars) for dollars in (0.0, 0.00123456, 2.5, None)] == ["$0.00", "$0.001235", "$2.50", "cost unknown"]
    assert [period(text).total_seconds() for text in ("45s", "1.5 m", "12H", "30d", "2w")] == [
        45,
        90,
        43_200,
        2_592_000,
        1_209_600,
    ]


def test_bars_show_when_a_step_was_at_work_and_when_it_waited() -> None:
    records = life()
    story = tell(records)
    texts = [branch.text for branch in branches(story, run_of(story.state)).below]
    first = next(text for text in texts if text.startswith("step 0"))
    assert first.endswith("· " + "█" * 5 + "░" * 18 + "█")
    assert any(text.startswith("queued 3.0 s, waited for humans 1 min 40 s, lost with a worker 11.0 s") for text in texts)
    assert Bars([]).of_step(0) == ""
    assert Bars(story.spans).of_call("9.9") == ""


def test_json_shows_the_spans_that_every_exporter_sends() -> None:
    records = life()
    story = tell(records)
    document = story_document(story, run_of(story.state))
    sent = otlp_document(spans_of(records))["resourceSpans"][0]["scopeSpans"][0]["spans"]
    assert [(span["id"], span["parent"]) for span in document["spans"]] == [
        (span["spanId"], span.get("parentSpanId", "")) for span in sent
    ]
    assert document["times"] == {"queued": 3.0, "worked": 13.0, "human": 100.0, "waited": 0.0, "lost": 11.0}
