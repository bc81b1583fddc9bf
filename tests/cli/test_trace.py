"""`surefoot trace export`: the same run in each format, to the screen and to a file."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.conftest import Surefoot


def test_a_run_is_exported_in_every_format(surefoot: Surefoot, tmp_path: Path) -> None:
    surefoot("run", "clerk", "add", "--id", "k")
    lines = surefoot("trace", "export", "k").objects
    assert [line["event"] for line in lines][:2] == ["run_start", "user_message"]
    assert lines[-2]["data"] == {"text": "Then: 42.0"}
    otlp = surefoot("trace", "export", "k", "--format", "otlp-json").json
    names = [span["name"] for span in otlp["resourceSpans"][0]["scopeSpans"][0]["spans"]]
    assert names == ["invoke_agent clerk", "step 0", "chat function", "execute_tool add", "step 1", "chat function"]
    assert "42.0" not in json.dumps(otlp)
    assert "42.0" in surefoot("trace", "export", "k", "--format", "otlp-json", "--content").out
    assert surefoot("trace", "export", "k", "--format", "chrome", "--output", "t.json").out == ""
    chrome = json.loads((tmp_path / "t.json").read_text())
    assert [event["name"] for event in chrome["traceEvents"] if event["ph"] == "X"] == names
    assert surefoot("trace", "export", "k", "--output", "/nowhere/t.json").code == 2


def test_the_runs_that_a_run_started_are_in_its_trace(surefoot: Surefoot) -> None:
    surefoot("run", "boss", "add", "--id", "k")
    spans = surefoot("trace", "export", "k", "--format", "otlp-json").json["resourceSpans"][0]["scopeSpans"][0]["spans"]
    above = {span["spanId"]: span for span in spans}
    child = next(span for span in spans if span["name"] == "invoke_agent clerk")
    assert above[child["parentSpanId"]]["name"] == "execute_tool delegate"
    assert len({span["traceId"] for span in spans}) == 1


def test_hostile_text_and_secrets_do_not_reach_the_terminal(surefoot: Surefoot) -> None:
    surefoot("run", "clerk", "nasty-tool sk-" + "a" * 40, "--id", "k")
    for form in ("jsonl", "otlp-json", "chrome"):
        out = surefoot("trace", "export", "k", "--format", form, "--content").out
        assert not {"\x1b", "\u202e", "\u200b", "\x07"} & set(out)
        assert "sk-aaa" not in out
        assert [json.loads(line) for line in out.splitlines()]
