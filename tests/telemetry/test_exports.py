"""Every printer of the one fold: lines of JSON, OTLP and Chrome's format say the same of a run, each in its own words."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import Phase, given, settings

from surefoot.core import events as ev
from surefoot.core.messages import Text, ToolCall
from surefoot.core.values import Failure
from surefoot.telemetry.chrome import chrome_document
from surefoot.telemetry.jsonl import Lines
from surefoot.telemetry.names import VERSIONS, described
from surefoot.telemetry.otlp import otlp_document
from surefoot.telemetry.privacy import MASKED, mask
from surefoot.telemetry.spans import spans_of
from tests.telemetry.streams import LIFE, TRACE, any_records, at, life

#: The vocabulary: each event with its data.
VOCABULARY = {
    "run_start": {"session_id"}, "memory_injected": set(), "user_message": {"text"}, "span_start": {"name"},
    "span_end": {"name", "duration_sec"}, "llm_decision": {"step", "action", "reasoning"},
    "tool_call_requested": {"tool_name", "args"}, "tool_call_result": {"tool_name", "success", "attempt"},
    "tool_call_error": {"tool_name", "attempt", "error"}, "tool_call_failed": {"tool_name"},
    "human_approval_requested": {"reason"}, "human_approval_result": {"approved"}, "final_answer": {"text"},
    "run_complete": {"steps_used"},
}  # fmt: skip
SECRET = "hunter2-hunter2"


def told(records: list[ev.Record], **options: Any) -> list[dict[str, Any]]:
    lines = Lines(**options)
    return [json.loads(line) for record in records for line in lines.take(record)]


def brief(line: dict[str, Any]) -> tuple[Any, ...]:
    data = line["data"]
    return line["event"], *[value for name, value in data.items() if name not in ("duration_sec", "text", "reason", "error")]


def test_a_life_in_the_plain_vocabulary() -> None:
    lines = told(life())
    assert [brief(line) for line in lines] == [
        ("run_start", "s1"), ("user_message",),
        ("span_start", "memory"), ("memory_injected",), ("span_end", "memory"),
        ("span_start", "llm_call"), ("span_end", "llm_call"),
        ("span_start", "llm_call"), ("llm_decision", 0, "tool", "look, then pay"), ("tool_call_requested", "look", {"at": 1}),
        ("tool_call_requested", "pay", {}), ("span_end", "llm_call"),
        ("span_start", "approval"), ("human_approval_requested",),
        ("span_start", "tool:look"), ("tool_call_error", "look", 1), ("span_end", "tool:look"),
        ("span_start", "tool:look"), ("span_end", "tool:look"),
        ("span_start", "tool:look"), ("tool_call_result", "look", True, 3), ("span_end", "tool:look"),
        ("human_approval_result", True), ("span_end", "approval"),
        ("span_start", "tool:pay"), ("tool_call_result", "pay", True, 1), ("span_end", "tool:pay"),
        ("span_start", "llm_call"), ("llm_decision", 1, "final", ""), ("span_end", "llm_call"),
        ("final_answer",), ("run_complete", 1),
    ]  # fmt: skip
    assert {line["trace_id"] for line in lines} == {TRACE}
    assert [line["timestamp"] for line in lines] == sorted(line["timestamp"] for line in lines)
    assert lines[-2]["data"] == {"text": "Done."}
    assert next(line["data"] for line in lines if line["event"] == "tool_call_error")["error"] == "timeout: too slow"


@settings(phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink])
@given(any_records())
def test_only_words_of_the_vocabulary_and_every_span_that_starts_may_end(records: list[ev.Record]) -> None:
    opened: list[str] = []
    for line in told(records):
        assert set(line) == {"trace_id", "timestamp", "event", "data"}
        assert set(line["data"]) == VOCABULARY[line["event"]]
        name = line["data"].get("name", "")
        if line["event"] == "span_start":
            opened.append(name)
            assert name in ("llm_call", "memory", "approval") or name.startswith("tool:")
        elif line["event"] == "span_end":
            opened.remove(name)


def test_the_lines_of_a_beginning_are_the_beginning_of_the_lines() -> None:
    records = life()
    whole = told(records)
    for cut in range(len(records)):
        begun = told(records[:cut])
        assert whole[: len(begun)] == begun
        lines = Lines()
        again = [line for record in (*records[:cut], *records) for line in lines.take(record)]
        assert [json.loads(line) for line in again] == whole
        assert lines.count == len(whole)


ENDS: list[tuple[ev.Event, list[str]]] = [
    (ev.ToolDenied("0.0", "never"), ["span_start", "tool_call_failed", "span_end"]),
    (ev.ToolFailed("0.0", Failure("not_found", "no")), ["span_start", "tool_call_error", "tool_call_failed", "span_end"]),
    (ev.ApprovalRequested("q", "0.0", "pay", "d"), ["span_start", "human_approval_requested"]),
    (ev.ApprovalDecided("q", "answer", result="x"), ["human_approval_result", "tool_call_result", "span_end"]),
    (ev.MessageReceived((Text("hi"),)), ["user_message"]),
    (ev.ToolStarted("0.0", "pay", "{}", "unsafe"), ["span_start"]),
    (ev.ToolIndeterminate("0.0", "q2", "gone"), ["span_end", "span_start", "tool_call_error", "human_approval_requested"]),
    (ev.ApprovalDecided("q2", "give_up"), ["human_approval_result", "tool_call_failed", "span_end"]),
    (ev.ApprovalRequested("q3", "0.0", "pay", "d"), ["span_start", "human_approval_requested"]),
    (ev.ApprovalExpired("q3"), ["human_approval_result", "tool_call_failed", "span_end"]),
    (ev.ApprovalRequested("q4", "0.0", "pay", "d"), ["span_start", "human_approval_requested"]),
    (ev.ApprovalExpired("q4", "escalate"), ["human_approval_result", "span_end"]),
    (ev.ApprovalRequested("q5", "0.0", "pay", "d"), ["span_start", "human_approval_requested"]),
    (ev.ApprovalDecided("q5", "ask", result="why?"), ["human_approval_result", "tool_call_failed", "span_end"]),
    (ev.ModelReplied(1, (ToolCall("1.0", "ask_human", "{bad"),)),
     ["span_start", "llm_decision", "tool_call_requested", "span_end"]),
    (ev.RunFailed(Failure("k", "m")), ["run_complete"]),
    (ev.RunResumed("dana"), []),
    (ev.RunCancelled("dana"), ["run_complete"]),
]  # fmt: skip


def test_every_ending_of_a_call_has_its_words() -> None:
    first: list[tuple[float, int, ev.Event]] = [
        (0, 0, ev.RunStarted("a", trace_id=TRACE)), (0, 1, ev.ModelRequested(0, "m")),
        (0, 1, ev.ModelReplied(0, (ToolCall("0.0", "pay", "{}"),))),
    ]  # fmt: skip
    records = at([*first, *[(n, 1, event) for n, (event, _) in enumerate(ENDS, 1)]])
    lines = Lines()
    found = [[json.loads(line) for line in lines.take(record)] for record in records]
    assert [[line["event"] for line in some] for some in found[3:]] == [words for _, words in ENDS]
    assert found[-4][1]["data"]["action"] == "human"
    assert found[-4][2]["data"]["args"] == "{bad"


# ── all of them ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_printer_says_the_same() -> None:
    records = life()
    spans = spans_of(records)
    otlp = otlp_document(spans)["resourceSpans"][0]["scopeSpans"][0]["spans"]
    chrome = [event for event in chrome_document(spans)["traceEvents"] if event["ph"] == "X"]
    assert [(one["spanId"], one.get("parentSpanId", "")) for one in otlp] == [(span.id, span.parent) for span in spans]
    assert [int(one["startTimeUnixNano"]) // 1000 for one in otlp] == [span.start for span in spans]
    assert {(one["args"]["span_id"], one["ts"], one["dur"]) for one in chrome} == {
        (span.id, span.start, span.duration) for span in spans
    }
    ended = [line["data"] for line in told(records) if line["event"] == "span_end"]
    kinds = {"llm_call": "model", "memory": "memory", "approval": "approval"}
    mine = sorted((kinds.get(data["name"], "tool"), round(data["duration_sec"] * 1e6)) for data in ended)
    assert mine == sorted((span.kind, span.duration) for span in spans if span.kind not in ("run", "step", "user"))


def test_names_are_those_of_the_conventions() -> None:
    spans = spans_of(life())
    names = [described(span, VERSIONS["1.41.1"]).name for span in spans]
    assert [names[0], names[1], names[4], names[5], names[6]] == [
        "invoke_agent clerk", "memory", "chat 1", "approval pay", "execute_tool look",
    ]  # fmt: skip
    model = described(spans[4], VERSIONS["1.41.1"]).attributes
    assert model["gen_ai.operation.name"] == "chat"
    assert (model["gen_ai.provider.name"], model["gen_ai.request.model"], model["gen_ai.response.model"]) == ("m", "1", "m:2")
    assert (model["gen_ai.usage.input_tokens"], model["gen_ai.usage.output_tokens"]) == (10, 5)
    assert model["gen_ai.response.finish_reasons"] == ["tool_calls"]
    assert described(spans[4], VERSIONS["1.36.0"]).attributes["gen_ai.system"] == "m"
    failed = described(spans[3], VERSIONS["1.41.1"])
    assert (failed.failed, failed.attributes["error.type"]) == (True, "overloaded")
    assert not described(spans[5], VERSIONS["1.41.1"]).failed
    counted = [one for one in spans if "gen_ai.usage.input_tokens" in described(one, VERSIONS["1.41.1"]).attributes]
    assert {span.kind for span in counted} == {"model"}


def test_tracks_of_a_chrome_trace_nest() -> None:
    for cut in range(1, len(LIFE)):
        open_on: dict[Any, list[int]] = {}
        for event in chrome_document(spans_of(life()[:cut]))["traceEvents"]:
            if event["ph"] != "X":
                continue
            ends = open_on.setdefault((event["pid"], event["tid"]), [])
            while ends and ends[-1] <= event["ts"]:
                ends.pop()
            assert not ends or event["ts"] + event["dur"] <= ends[-1]
            ends.append(event["ts"] + event["dur"])


# ── content and secrets ─────────────────────────────────────────────────────────────────────────────────────────────


def planted() -> list[ev.Record]:
    """Give a life in which everything anybody says is the secret."""
    text = repr(LIFE)
    for said in ("refund it", "she likes tea", "busy", "look, then pay", "Let me see.", "it is a lot of money", "too slow",
                 "half way", "it is blue", "fine", "Done.", "paid"):  # fmt: skip
        text = text.replace(f"'{said}'", repr(f"so {SECRET}!"))
    text = text.replace("{'url': 'x'}", f"{{'{SECRET}': '{SECRET}'}}").replace("""'{"at":1}'""", f"""'{{"at":"{SECRET}"}}'""")
    names = {kind.__name__: kind for kind in ev.RUN_EVENTS}
    from surefoot.core import messages, values

    return at(eval(text, {**vars(messages), **vars(values), **names}))


def printed(*, content: bool, redact: Any) -> list[str]:
    records = planted()
    spans = spans_of(records)
    return [
        json.dumps(told(records, content=content, redact=redact)),
        json.dumps(otlp_document(spans, content=content, redact=redact)),
        json.dumps(chrome_document(spans, content=content, redact=redact)),
    ]


def test_a_secret_that_is_planted_everywhere_is_nowhere_in_a_trace() -> None:
    assert all(SECRET in text for text in printed(content=True, redact=None))
    assert not [text for text in printed(content=False, redact=None) if SECRET in text]
    for text in printed(content=True, redact=mask([SECRET])):
        assert SECRET not in text
        assert MASKED in text


def test_secrets_are_known_by_their_form_or_by_the_name_of_their_variable() -> None:
    redact = mask(environ={"SHOP_API_KEY": "correct horse battery", "HOME": "in the hall", "A_TOKEN": "short"})
    for text in (
        "correct horse battery", "sk-proj-" + "a1" * 20, "ghp_" + "a" * 36, "AKIA" + "A" * 16, "Bearer " + "x" * 30,
        "eyJhbGciOiJI." + "eyJzdWIiOiIx.c2ln", "-----BEGIN PRIVATE KEY-----\nMII\n-----END PRIVATE KEY-----", "xoxb-" + "1" * 12,
        "AIza" + "b" * 35,
    ):  # fmt: skip
        assert redact(f"it is {text} there") == f"it is {MASKED} there", text
    for text in ("in the hall", "short", "a sketch of a task-force", "2 + 40", "the bearer of news"):
        assert redact(text) == text
    quoted = mask(['a "quoted" one'])
    assert quoted(json.dumps({"k": 'a "quoted" one'})) == f'{{"k": "{MASKED}"}}'
