"""`surefoot tail`, `stats`, `diff` and `why`: looking at runs from outside."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

from surefoot.app import App
from surefoot.cli.screen import Screen
from surefoot.cli.tail import Printer, follow
from surefoot.clock import SystemClock
from surefoot.core import events as ev
from surefoot.core.messages import ToolCall
from surefoot.journal import SqliteStore
from tests.cli.conftest import Surefoot
from tests.cli.terminal import PATIENCE, environment


def test_one_run_is_followed_to_its_end(surefoot: Surefoot) -> None:
    surefoot("run", "clerk", "add", "--id", "k")
    out = surefoot("tail", "k").out
    assert [line.split(": ")[0].split()[-1] for line in out.splitlines()] == [
        "run.started", "run.claimed", "model.requested", "model.replied", "tool.started", "tool.returned", "model.requested",
        "model.replied", "run.finished",
    ]  # fmt: skip
    assert "clerk tool.returned: add returned after" in out
    assert "clerk run.finished: Then: 42.0" in out
    assert surefoot("tail", "k", "--json").objects[0]["text"] == "add"
    surefoot("run", "clerk", "think about it", "--id", "t")
    assert "(17 and 25 make 42) Forty-two." in surefoot("tail", "t").out


def test_every_process_is_followed(tmp_path: Path) -> None:
    def command(*arguments: str) -> list[str]:
        return [sys.executable, "-m", "surefoot", *arguments]

    def run(text: str) -> None:
        subprocess.run(
            command("run", "clerk", text), cwd=tmp_path, env=environment(), check=True, timeout=PATIENCE, capture_output=True
        )

    run("first of all")
    with subprocess.Popen(
        command("tail", "--json", "--since", "1h"), cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        seen = [json.loads(process.stdout.readline()) for _ in range(5)]
        assert (seen[0]["text"], seen[-1]["event"]) == ("first of all", "run.finished")
        run("and another")
        seen = [json.loads(process.stdout.readline()) for _ in range(5)]
        assert (seen[0]["text"], seen[-1]["event"], seen[0]["agent"]) == ("and another", "run.finished", "clerk")
        process.send_signal(2)
        assert process.wait(PATIENCE) == 0


async def test_what_began_before_is_told_by_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = SqliteStore(str(tmp_path / "a.db"), SystemClock())
    await store.open()
    for run, agent in (("a" * 32, "clerk"), ("b" * 32, "boss")):
        await store.add(run, ev.RunStarted(agent))
        await store.claim(run, "w", 60)
        await store.append(run, [ev.ModelReplied(0, (ToolCall("0.0", "add"),))], head=2, epoch=1)
    begin = (await store.read("b" * 32))[-1].time + 1
    for run in ("a" * 32, "b" * 32):
        await store.append(run, [ev.ToolReturned("0.0", "42")], head=3, epoch=1)
    await store.append("a" * 32, [ev.RunFinished("42")], head=4, epoch=1)
    await store.close()
    printer = Printer(Screen(), "clerk", json=False)
    watching = asyncio.ensure_future(follow(App(store), printer, "", begin))
    out = ""
    async with asyncio.timeout(5):
        while "run.finished" not in out:
            await asyncio.sleep(0.01)  # wait: another task says nothing
            out += capsys.readouterr().out
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    assert [line.split(" ", 2)[2] for line in out.splitlines()] == [
        "clerk tool.returned: add returned after 0 ms: 42",
        "clerk run.finished: 42",
    ]
    for n in range(1_100):
        printer.show(ev.Record(n, f"{n:032x}", 1, 0, 0, ev.RunStarted("x")))
    assert not printer.knows(f"{0:032x}")


def test_figures_are_counted(surefoot: Surefoot) -> None:
    surefoot("run", "clerk", "add")
    surefoot("run", "clerk", "add")
    surefoot("run", "clerk", "fail")
    surefoot("run", "clerk", "refund")
    (row,) = surefoot("stats", "--json").objects
    assert (row["name"], row["count"], row["open"], row["errors"], row["cost"]) == ("clerk", 3, 1, {"auth": 1}, None)
    assert row["input_tokens"] == 100
    assert [row["name"] for row in surefoot("stats", "--by", "tool", "--json").objects] == ["add"]
    out = surefoot("stats", "--by", "model").out
    assert "auth 1" in out
    assert "unpriced" in out
    (row,) = surefoot("stats", "--by", "user", "--json").objects
    assert (row["name"], row["count"]) == ("", 3)
    assert len(surefoot("stats", "--by", "run", "--json").objects) == 4
    text = surefoot("metrics").out
    assert 'surefoot_runs_total{gen_ai_agent_name="clerk",status="done"} 2' in text
    assert "surefoot_approvals_pending 1" in text
    assert "nothing in the last 0s" in surefoot("stats", "--since", "0s", "--by", "tool").err


def test_where_two_runs_part(surefoot: Surefoot) -> None:
    for name, text in (("a", "add"), ("b", "add"), ("c", "think")):
        surefoot("run", "clerk", text, "--id", name)
    assert surefoot("diff", "a", "b").out == "the same: 6 facts\n"
    out = surefoot("diff", "a", "c").out
    assert out.startswith("the same for 1 fact, then they part\n")
    assert "-input: add" in out
    assert "+output: Forty-two." in out
    assert surefoot("diff", "a", "nothing").code == 2


def test_what_led_to_a_call(surefoot: Surefoot) -> None:
    surefoot("run", "clerk", "add 17 and some", "--id", "k")
    out = surefoot("why", "k", "0.0").out
    assert "message: add 17 and some (event 1)" in out
    assert "argument a: 17.0 from the user's words (event 1)" in out
    assert "argument b: 25.0 from the model's own words\n" in out
    assert "result: 42.0" in out
    assert surefoot("why", "k", "0.0", "--json").objects[0] == {"what": "message", "text": "add 17 and some", "seq": 1}
    assert surefoot("why", "k", "7.7").code == 2


def test_hostile_text_is_shown_plainly(surefoot: Surefoot) -> None:
    surefoot("run", "clerk", "nasty-tool", "--id", "k")
    surefoot("run", "clerk", "nasty", "--id", "n")
    for command in (("tail", "k"), ("tail", "n", "--json"), ("why", "k", "0.0"), ("diff", "k", "n"), ("stats",)):
        assert not {"\x1b", "\u202e", "\u200b", "\x07"} & set(surefoot(*command).out)


def test_how_models_and_tools_are_doing(surefoot: Surefoot) -> None:
    surefoot("run", "clerk", "add")
    assert "nothing in the last 0s" in surefoot("health", "--since", "0s").err
    surefoot("run", "clerk", "fail", "--id", "f")
    surefoot("resume", "f")
    rows = {row["name"]: row for row in surefoot("health", "--json").objects}
    assert (rows["add"]["kind"], rows["add"]["asked"], rows["add"]["breaker"]) == ("tool", 1, "closed")
    [model] = [row for row in rows.values() if row["kind"] == "model"]
    assert model["failed"] == {"auth": 2}
    out = surefoot("health").out
    assert "auth 2" in out
    assert "runs: resumed 1" in out
    assert surefoot("health", "--since", "soon").code == 2
