"""`surefoot runs` and `tools`: what there is, as a table or one JSON object a line."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Surefoot
from tests.cli.terminal import SHOP


@pytest.fixture
def some(surefoot: Surefoot) -> Surefoot:
    """Five runs of all kinds."""
    surefoot("run", "clerk", "hello world", "--id", "1", "--session", "s", "--tag", "a", "--tag", "b")
    surefoot("run", "clerk", "fail", "--id", "2", "--tag", "a")
    surefoot("run", "counter", "count", "--id", "3", "--session", "s")
    surefoot("run", "clerk", "refund", "--id", "4")
    surefoot("run", "clerk", "refund", "--id", "5")
    surefoot("cancel", "5")
    return surefoot


def keys(surefoot: Surefoot, *filters: str) -> list[str]:
    """Give the ids of the runs that match, as their callers gave them."""
    return [run["key"] for run in surefoot("runs", "--json", *filters).objects]


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ((), ["5", "4", "3", "2", "1"]),
        (("--agent", "counter"), ["3"]),
        (("--session", "s"), ["3", "1"]),
        (("--session", ""), ["5", "4", "2"]),
        (("--status", "failed", "--status", "waiting"), ["4", "2"]),
        (("--tag", "a"), ["2", "1"]),
        (("--tag", "a", "--tag", "b"), ["1"]),
        (("--text", "WORLD"), ["1"]),
        (("--limit", "2"), ["5", "4"]),
        (("--agent", "nobody"), []),
    ],
)
def test_runs_are_filtered(some: Surefoot, filters: tuple[str, ...], found: list[str]) -> None:
    assert keys(some, *filters) == found


def test_the_table_has_one_line_a_run(some: Surefoot) -> None:
    said = some("runs")
    head, *rows = said.out.splitlines()
    assert head.split() == ["RUN", "STATUS", "AGENT", "STARTED", "COST", "LAST", "WORD"]
    assert [row.split()[1] for row in rows] == ["cancelled", "waiting", "done", "failed", "done"]
    assert rows[4].endswith("You said: hello world")
    assert rows[3].endswith("auth: the key is wrong")
    assert rows[2].endswith('{"terms": [17, 25], "total": 42}')
    assert "Run refund(" in rows[1]
    assert "  " not in {row[-2:] for row in rows}


def test_no_runs_is_no_error(some: Surefoot) -> None:
    said = some("runs", "--agent", "nobody")
    assert (said.code, said.out, said.err) == (0, "", "no runs\n")


def test_a_status_that_does_not_exist_is_refused(some: Surefoot) -> None:
    said = some("runs", "--status", "finished")
    assert said.code == 2
    assert "finished" in said.err


def test_tools_are_listed_with_effect_description_and_schema(surefoot: Surefoot) -> None:
    said = surefoot("tools")
    assert said.code == 0
    assert "clerk:\n  add (read)\n    Add two numbers.\n" in said.out
    assert "  refund (unsafe, asks first)\n    Refund an order.\n" in said.out
    assert "counter: no tools\n" in said.out
    tools = surefoot("tools", "--agent", "clerk", "--json").objects
    assert [tool["name"] for tool in tools] == ["add", "refund", "hang", "stubborn", "crash", "nasty"]
    assert tools[0]["input_schema"]["required"] == ["a", "b"]
    assert list(tools[0]) == [
        "agent", "name", "effect", "description", "input_schema", "output_schema", "timeout", "retries", "tags", "untrusted",
    ]  # fmt: skip


def test_toolsets_are_opened_and_plain_functions_are_tools(surefoot: Surefoot) -> None:
    tools = surefoot("tools", "--agents", f"{SHOP}:librarian", "--json").objects
    assert [(tool["name"], tool["effect"]) for tool in tools] == [("add", "read"), ("plain", "unsafe")]


def test_what_a_model_may_do_with_its_memory_is_listed_too(surefoot: Surefoot) -> None:
    tools = surefoot("tools", "--agents", f"{SHOP}:keeper", "--json").objects
    assert [(tool["name"], tool["effect"]) for tool in tools] == [
        ("add", "read"), ("recall", "read"), ("delete_all_memory", "unsafe"),
    ]  # fmt: skip


def test_tools_of_an_unknown_agent(surefoot: Surefoot) -> None:
    said = surefoot("tools", "--agent", "nobody")
    assert said.code == 2
    assert "has no agent 'nobody'" in said.err
