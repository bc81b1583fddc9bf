"""`surefoot run` and `resume` in a pipe: what they print, and which exit code says what."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.conftest import Said, Surefoot
from tests.cli.terminal import PATIENCE, SHOP, environment, piped

KEYS = [
    "id", "agent", "status", "output", "error", "warnings", "waiting", "text", "steps", "tool_calls", "usage", "cost",
    "session", "user", "tenant", "key", "parent", "tags", "trace_id", "created_at", "updated_at",
]  # fmt: skip


def refunds() -> list[str]:
    """Give the lines of the refund tool's own ledger."""
    ledger = Path("ledger.txt")
    return ledger.read_text(encoding="utf-8").splitlines() if ledger.exists() else []


def test_an_answer_goes_to_standard_output_and_nothing_else(surefoot: Surefoot) -> None:
    assert surefoot("run", "clerk", "hello there") == Said(0, "You said: hello there\n", "")


def test_an_answer_of_several_lines_stays_as_it_is(surefoot: Surefoot) -> None:
    assert surefoot("run", "clerk", "lines").out == "first line\n\tsecond line\n"


def test_a_structured_answer_is_json(surefoot: Surefoot) -> None:
    assert surefoot("run", "counter", "count").json == {"total": 42, "terms": [17, 25]}
    assert surefoot("run", "lister", "count", "--agents", f"{SHOP}:lister").value == [{"total": 1, "terms": []}]


def test_json_is_one_object_with_stable_keys(surefoot: Surefoot) -> None:
    said = surefoot(
        "run", "clerk", "add", "--json", "--session", "s1", "--user", "dana", "--tag", "a", "--tag", "b", "--id", "k1"
    )
    run = said.json
    assert said.code == 0
    assert said.out.count("\n") == 1
    assert list(run) == KEYS
    assert (run["status"], run["output"], run["error"], run["waiting"]) == ("done", "Then: 42.0", None, [])
    assert (run["session"], run["user"], run["tags"], run["key"]) == ("s1", "dana", ["a", "b"], "k1")
    assert (run["steps"], run["tool_calls"]) == (2, 1)
    assert run["usage"] == {"input": 50, "output": 20, "cached": 10, "cache_write": 0, "reasoning": 0}
    assert run["created_at"].endswith("+00:00")
    structured = surefoot("run", "counter", "count", "--json").json
    assert structured["output"] == {"total": 42, "terms": [17, 25]}


def test_a_failed_run_says_why_and_has_its_code(surefoot: Surefoot) -> None:
    said = surefoot("run", "clerk", "fail", "--id", "f")
    assert (said.code, said.out) == (1, "")
    assert "auth: the key is wrong" in said.err
    assert "Traceback" not in said.err
    failed = surefoot("resume", "f", "--json")
    assert failed.code == 1
    assert failed.json["error"]["kind"] == "auth"


def test_a_question_in_a_pipe_stops_the_run_and_says_how_it_is_decided(surefoot: Surefoot) -> None:
    said = surefoot("run", "clerk", "refund it", "--id", "r")
    assert (said.code, said.out) == (3, "")
    assert 'Run refund({"cents":6200,"order":"81"})?' in said.err
    asked = surefoot("run", "clerk", "refund it", "--id", "r", "--json").json
    question = asked["waiting"][0]
    assert (question["tool"], question["kind"]) == ("refund", "call")
    assert question["arguments"] == {"cents": 6200, "order": "81"}
    assert f"surefoot decide {question['id']} --approve | --deny" in said.err
    assert f"surefoot resume {asked['id']}" in said.err
    assert refunds() == []

    assert surefoot("decide", question["id"], "--approve").code == 0
    assert surefoot("resume", "r").out == "Then: refunded 6200 cents on order 81\n"
    assert refunds() == ["81 6200"]


def test_the_same_id_continues_the_same_run_and_another_question_is_refused(surefoot: Surefoot) -> None:
    first = surefoot("run", "clerk", "hello", "--id", "k", "--json").json
    assert surefoot("run", "clerk", "hello", "--id", "k", "--json").json["id"] == first["id"]
    said = surefoot("run", "clerk", "something else", "--id", "k")
    assert said.code == 2
    assert said.err == f"surefoot: id 'k' already names run {first['id']}, with another input; use a new id, or the same input\n"


def test_a_run_whose_child_waits_shows_the_childs_question(surefoot: Surefoot) -> None:
    said = surefoot("run", "boss", "refund it", "--json")
    assert said.code == 3
    run, question = said.json, said.json["waiting"][0]
    assert question["tool"] == "refund"
    assert question["run"] != run["id"]
    assert refunds() == []
    surefoot("decide", question["id"], "--approve")
    said = surefoot("resume", run["id"])
    assert said.out == "Done: the clerk says: Then: refunded 6200 cents on order 81\n"
    assert refunds() == ["81 6200"]


def test_an_earlier_run_of_the_session_is_worked_on_first(surefoot: Surefoot, tmp_path: Path) -> None:
    asked = surefoot("run", "clerk", "refund it", "--session", "s", "--json").json
    # The answer makes the run ready; nobody works on it until the session goes on.
    surefoot("decide", asked["waiting"][0]["id"], "--approve")
    said = surefoot("run", "clerk", "hello", "--session", "s")
    assert (said.code, said.out) == (0, "You said: hello\n")
    assert f"run {asked['id']} of the same session comes first" in said.err
    assert surefoot("show", asked["id"], "--format", "json").json["status"] == "done"


def test_a_finished_run_is_shown_again_by_resume(surefoot: Surefoot) -> None:
    surefoot("run", "clerk", "hello", "--id", "k")
    assert surefoot("resume", "k") == Said(0, "You said: hello\n", "")


def test_a_cancelled_run_has_its_code(surefoot: Surefoot) -> None:
    surefoot("run", "clerk", "refund", "--id", "k")
    assert surefoot("cancel", "k").code == 0
    said = surefoot("run", "clerk", "refund", "--id", "k", "--json")
    assert (said.code, said.json["status"], said.json["waiting"]) == (4, "cancelled", [])
    assert surefoot("resume", "k").code == 2


def test_text_comes_from_standard_input_when_asked(tmp_path: Path) -> None:
    done = piped("run", "clerk", "-", cwd=tmp_path, stdin="hello from a pipe")
    assert (done.returncode, done.stdout, done.stderr) == (0, "You said: hello from a pipe\n", "")


def test_an_interrupt_without_a_terminal_cancels_too(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "surefoot", "run", "clerk", "hang", "--id", "k", "--json"],
        cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        try:
            until = time.monotonic() + PATIENCE
            while not (tmp_path / "hanging").exists():
                assert time.monotonic() < until
                assert process.poll() is None
                time.sleep(0.05)  # wait: for what the tool does in the other process
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=PATIENCE)
        finally:
            process.kill()
    assert process.returncode == 130
    assert json.loads(out)["status"] == "cancelled"
    assert "is cancelled" in err


def test_hostile_text_is_made_visible(surefoot: Surefoot) -> None:
    for prompt in ("nasty", "nasty-tool"):
        for said in (surefoot("run", "clerk", prompt), surefoot("run", "clerk", prompt, "--json"), surefoot("runs")):
            assert not set("\x1b\x07\r\u202e\u200b") & set(said.out + said.err)
            assert "[bold red]markup[/] [link=x]y[/link] ümlaut" in said.out or said.out.startswith("RUN")
    assert "\\u001b[31mred" in surefoot("run", "clerk", "nasty").out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("run", "nobody", "hi"), "has no agent 'nobody'; it has: boss, clerk, counter"),
        (("run", "clerk", "hi", "--model", "nowhere:x"), "nowhere"),
        (("run", "clerk", ""), "there is nothing to do"),
        (("run", "clerk", "hi", "--store", "cloud:x"), "no store is named 'cloud:x'"),
        (("run", "clerk"), "Missing argument"),
        (("run", "clerk", "hi", "--colour"), "No such option"),
        (("fly",), "No such command"),
    ],
)
def test_wrong_usage_has_one_clear_line_and_code_2(surefoot: Surefoot, arguments: tuple[str, ...], message: str) -> None:
    said = surefoot(*arguments)
    assert (said.code, said.out) == (2, "")
    assert message in said.err
    assert "Traceback" not in said.err
    assert not list(Path().glob("*.db"))


def test_resume_of_nothing_makes_no_file(surefoot: Surefoot) -> None:
    said = surefoot("resume", "k")
    assert said.code == 5
    assert "there is no journal surefoot.db" in said.err
    assert list(Path().iterdir()) == []


def test_resume_of_an_unknown_run_says_how_runs_are_listed(surefoot: Surefoot) -> None:
    surefoot("run", "clerk", "hello")
    said = surefoot("resume", "nothing")
    assert (said.code, said.err) == (2, "surefoot: there is no run 'nothing'; `surefoot runs` lists them\n")
