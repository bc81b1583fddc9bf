"""`surefoot approvals`: questions listed, shown, decided, watched and exported."""

from __future__ import annotations

import csv
import io
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from surefoot.cli.questions import account
from tests.cli.conftest import Surefoot

AGENTS = """
from surefoot import Agent, App, tool
from surefoot.approvals import ask
from surefoot.testing import FunctionModel

@tool(rules=[ask("approver", quorum=2, distinct=True, expires="4h", may_edit=["cents"], reason="=money")])
def refund(order: str, cents: int) -> str:
    return f"refunded {cents}"

def play(request):
    done = request.messages[-1].role == "tool"
    return "It is done." if done else ("refund", {"order": "8\\u202e1", "cents": 6200})

clerk = Agent("clerk", model=FunctionModel(play), tools=[refund])
"""


@pytest.fixture(autouse=True)
def shop(surefoot: Surefoot, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("shop.py").write_text(AGENTS, encoding="utf-8")
    monkeypatch.setenv("SUREFOOT_AGENTS", "shop.py:clerk")
    monkeypatch.setenv("SUREFOOT_ROLES", "dana=approver; lea=approver; joe=viewer")


def question(surefoot: Surefoot, run: str = "k") -> str:
    asked: str = surefoot("run", "clerk", "go", "--id", run, "--user", "joe", "--json").json["waiting"][0]["id"]
    return asked


def test_open_questions_are_listed_and_shown(surefoot: Surefoot) -> None:
    request = question(surefoot)
    said = surefoot("approvals", "list")
    assert said.out.startswith(f"{request}\n  Run refund(")
    assert "takes 2 of approver" in said.out
    assert "\u202e" not in said.out
    assert surefoot("approvals", "list", "--json", "--user", "joe").json["id"] == request
    assert surefoot("approvals", "list", "--user", "nobody").err == "no open questions\n"
    shown = surefoot("approvals", "show", request).out
    for part in ('"cents": 6200', "rules: tool refund:1", "takes: 2 of approver", "not: the run's own user (joe)",
                 "may be edited: cents",
                 "effect: unsafe", "user: joe", "digest: ", "model.replied"):  # fmt: skip
        assert part in shown
    assert surefoot("approvals", "show", request, "--json").json["id"] == request
    assert surefoot("approvals", "show", f"{request}~9").code == 2


def test_two_of_them_approve(surefoot: Surefoot) -> None:
    request = question(surefoot)
    said = surefoot("approvals", "approve", request, "--by", "joe")
    assert said.code == 2
    assert "may not decide it" in said.err or "needs somebody else" in said.err
    assert "still open" in surefoot("approvals", "approve", request, "--by", "dana", "--reason", "fair").err
    said = surefoot("approvals", "approve", request, "--by", "lea")
    assert said.out.endswith("is ready\n")
    assert "surefoot resume" in said.err
    assert surefoot("resume", "k").out == "It is done.\n"
    said = surefoot("approvals", "revoke", request)
    assert said.code == 2


def test_an_edit_needs_the_agents_and_goes_on(surefoot: Surefoot) -> None:
    request = question(surefoot)
    assert "no JSON" in surefoot("approvals", "edit", request, "{").err
    assert "JSON object" in surefoot("approvals", "edit", request, "[1]").err
    surefoot("approvals", "edit", request, '{"cents": 5000}', "--by", "dana")
    said = surefoot("approvals", "edit", request, '{"cents": 5000}', "--by", "lea")
    assert said.out.startswith("approved with other arguments; run ")
    assert said.out.endswith("is done\n")


@pytest.mark.parametrize(
    ("command", "rest", "word"),
    [("deny", ("--reason", "no"), "denied"), ("answer", ("by hand",), "answered"), ("ask", ("Which?",), "asked back")],
)
def test_other_answers(surefoot: Surefoot, command: str, rest: tuple[str, ...], word: str) -> None:
    request = question(surefoot)
    assert surefoot("approvals", command, request, *rest, "--by", "dana").out.startswith(f"{word}; run ")


def test_the_system_account_is_who_decides(surefoot: Surefoot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUREFOOT_ROLES", f"{account()}=approver")
    request = question(surefoot)
    surefoot("approvals", "deny", request)
    rows = surefoot("approvals", "export").objects
    decided = next(row for row in rows if row["event"] == "approval.decided")
    assert (decided["by"], decided["how"], decided["roles"]) == (account(), "account", ["approver"])


def test_the_record_is_written_and_checked(surefoot: Surefoot) -> None:
    request = question(surefoot)
    surefoot("approvals", "approve", request, "--by", "dana")
    surefoot("approvals", "approve", request, "--by", "lea")
    surefoot("resume", "k")
    question(surefoot, "other")
    rows = surefoot("approvals", "export", "--run", "k").objects
    assert [row["event"] for row in rows] == [
        "approval.requested", "approval.voted", "approval.voted", "approval.decided", "approval.consumed",
    ]  # fmt: skip
    assert len(surefoot("approvals", "export").objects) == len(rows) + 1
    table = list(csv.DictReader(io.StringIO(surefoot("approvals", "export", "--format", "csv").out)))
    assert (table[0]["request"], table[0]["reason"]) == (request, "'=money")
    with closing(sqlite3.connect("surefoot.db", isolation_level=None)) as database:
        database.execute("DROP TRIGGER IF EXISTS event_update")
        for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            database.execute(f"DROP TRIGGER {name}")
        database.execute("UPDATE event SET body = replace(body, 'dana', 'eve') WHERE tag = 'approval.voted'")
    database.close()
    said = surefoot("approvals", "export")
    assert (said.code, said.out) == (5, "")
    assert "damaged" in said.err
