"""`surefoot policy`: rules shown, one call explained, rules checked, a table of calls judged."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Surefoot

AGENTS = '''
from surefoot import Agent, App, tool
from surefoot.approvals import Lists, ask

RULES = """@id("small") permit(principal, action == Action::"refund", resource) when { context.args.cents <= 5000 };
@id("big") @ask("approver") @reason("much") forbid(principal, action == Action::"refund", resource)
when { context.args.cents > 5000 };"""

@tool
def refund(order: str, cents: int) -> str:
    return ""

@tool(rules=[ask("legal")])
def ship(order: str) -> str:
    return ""

clerk = Agent("clerk", tools=[refund, ship])
app = App("sqlite:never.db", agents=[clerk], policy=[RULES, Lists(deny=("drop_*",), allow=("sh*",))])
wrong = App("memory:", agents=[clerk], policy=RULES.replace("cents", "centz"))
class Own:
    digest = "x"
    def settled(self, tool): return "ask"
    def judge(self, call): raise NotImplementedError
own = App("memory:", agents=[clerk], policy=Own())
'''


@pytest.fixture(autouse=True)
def shop(surefoot: Surefoot, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("ruled.py").write_text(AGENTS, encoding="utf-8")
    monkeypatch.setenv("SUREFOOT_AGENTS", "ruled.py:app")


def test_rules_are_shown_as_cedar(surefoot: Surefoot) -> None:
    said = surefoot("policy", "show")
    assert said.code == 0
    assert '@id("big") @ask("approver")' in said.out
    assert 'permit(principal, action == Action::"ship", resource);' in said.out
    assert '@ask("legal") forbid(principal, action == Action::"ship", resource);' in said.out
    assert "// refund (unsafe): by arguments" in said.out
    assert not Path("never.db").exists()


def test_a_call_is_explained(surefoot: Surefoot) -> None:
    said = surefoot("policy", "explain", "refund", '{"order": "81", "cents": 6000}', "--user", "dana")
    assert said.out.startswith("ask: much\n")
    assert "big holds (policy:2)" in said.out
    assert "small does not hold" in said.out
    json = surefoot("policy", "explain", "refund", '{"order": "81", "cents": 1e99}', "--json").json
    assert (json["verdict"], json["context"]["unmapped"]) == ("ask", ["cents"])
    assert surefoot("policy", "explain", "answer", '{"text": "x"}').out.startswith("allow\n")
    assert "error" in surefoot("policy", "explain", "refund", '{"order": "81"}').out
    assert surefoot("policy", "explain", "refund", "{").err.startswith("surefoot: the arguments")
    assert "no agent here has a tool" in surefoot("policy", "explain", "refnud").err


def test_rules_are_checked(surefoot: Surefoot) -> None:
    said = surefoot("policy", "check")
    assert (said.code, said.out) == (0, "remark: policy: 'drop_*' matches no tool\n")
    Path("table.jsonl").write_text('{"tool": "refund", "args": {"order": "1", "cents": 1}}\n', encoding="utf-8")
    assert "big is reached by no call of table.jsonl" in surefoot("policy", "check", "--table", "table.jsonl").out
    said = surefoot("policy", "check", "--agents", "ruled.py:wrong")
    assert said.code == 2
    assert "error: policy:1: " in said.out
    assert "centz" in said.out
    assert surefoot("policy", "check", "--agents", "ruled.py:clerk", "--agent", "clerk").err == "nothing is wrong\n"
    assert "cannot be shown" in surefoot("policy", "show", "--agents", "ruled.py:own").err


def test_a_table_is_judged(surefoot: Surefoot) -> None:
    rows = [
        '{"tool": "refund", "args": {"order": "1", "cents": 5000}, "verdict": "allow"}',
        "",
        '{"tool": "refund", "args": "{\\"order\\":\\"1\\",\\"cents\\":5001}", "verdict": "ask", "agent": "clerk"}',
        '{"tool": "ship", "args": {"order": "1"}, "verdict": "allow"}',
    ]
    Path("calls.jsonl").write_text("\n".join(rows), encoding="utf-8")
    said = surefoot("policy", "test", "calls.jsonl")
    assert said.code == 1
    assert said.out.startswith("3: ship({'order': '1'}) should be allow, is ask by tool ship:1")
    assert said.err == "2 of 3 as they should be\n"
    Path("calls.csv").write_text('tool,args,verdict\nrefund,"{""order"":""1"",""cents"":1}",allow\n', encoding="utf-8")
    assert surefoot("policy", "test", "calls.csv").code == 0
    Path("calls.jsonl").write_text("[1]", encoding="utf-8")
    assert "no JSON object" in surefoot("policy", "test", "calls.jsonl").err
    Path("calls.jsonl").write_text("{", encoding="utf-8")
    assert "cannot be read" in surefoot("policy", "test", "calls.jsonl").err
    assert "cannot be read" in surefoot("policy", "test", "nowhere.csv").err
