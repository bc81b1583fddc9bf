"""Toolsets: several tools as one, filtered, prefixed, renamed, wrapped, opened and closed together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from surefoot.core.errors import ConfigurationError, DuplicateTool
from surefoot.core.ports import Tool, Toolset
from surefoot.core.tool import Done, ToolContext, ToolOutput
from surefoot.tools.function import tool
from surefoot.tools.toolset import Tools, is_tool, is_toolset
from tests.tools.contexts import context


@tool(effect="read")
def find(name: str) -> str:
    """Find a customer."""
    return f"found {name}"


@tool(effect="reconcilable", probe=Done)
async def refund(cents: int) -> str:
    """Refund."""
    return f"refunded {cents}"


def plain(a: int) -> int:
    """Double it."""
    return a * 2


class Connection:
    """A toolset whose tools are known once it is open."""

    def __init__(self, log: list[str], name: str, *, breaks: str = "") -> None:
        self.log = log
        self.name = name
        self.breaks = breaks
        self.found: list[Tool] = []

    def tools(self) -> Sequence[Tool]:
        return self.found

    async def open(self) -> None:
        self.log.append(f"open {self.name}")
        if self.breaks == "open":
            raise ConnectionError(self.name)
        self.found = [find, refund]

    async def close(self) -> None:
        self.log.append(f"close {self.name}")
        if self.breaks == "close":
            raise ConnectionError(self.name)


def names(toolset: Toolset) -> list[str]:
    return [made.name for made in toolset.tools()]


async def test_tools_functions_and_toolsets_go_together() -> None:
    together = Tools([find, plain, Tools([refund])])
    assert names(together) == ["find", "plain", "refund"]
    assert together.tools()[1].spec.effect == "unsafe"
    assert is_toolset(together)
    assert all(is_tool(made) for made in together.tools())


async def test_combinators_compose() -> None:
    reading = Tools([find, refund]).filter(lambda made: made.spec.effect == "read").prefixed("crm_")
    renamed = reading.renamed({"crm_find": "lookup"})
    assert names(reading) == ["crm_find"]
    assert names(renamed) == ["lookup"]
    (lookup,) = renamed.tools()
    assert lookup.spec.name == "lookup"
    assert lookup.spec.description == "Find a customer."
    assert (await lookup.call(lookup.validate('{"name": "Ada"}'), context())).text == "found Ada"
    assert find.spec.name == "find"


async def test_a_renamed_tool_is_probed_as_it_was() -> None:
    (made,) = Tools([refund]).prefixed("x_").tools()
    assert await made.probe("key") == Done(ToolOutput("key"))


async def test_wrapping_sees_every_call() -> None:
    seen: list[str] = []

    async def watched(made: Tool, arguments: str, ctx: ToolContext[Any]) -> ToolOutput:
        seen.append(f"{made.name} {arguments} {ctx.call_id}")
        if "secret" in arguments:
            return ToolOutput("hidden")
        return await made.call(arguments, ctx)

    (made,) = Tools([find]).wrapped(watched).tools()
    assert (await made.call('{"name":"Ada"}', context())).text == "found Ada"
    assert (await made.call('{"name":"secret"}', context())).text == "hidden"
    assert seen == ['find {"name":"Ada"} 1.0', 'find {"name":"secret"} 1.0']
    assert made.spec == find.spec


def test_one_name_twice_names_both() -> None:
    @tool(name="find")
    def search(query: str) -> str:
        return query

    with pytest.raises(DuplicateTool) as caught:
        Tools([find, search])
    text = str(caught.value)
    assert "two tools are named 'find'" in text
    assert f"{__name__}.find and" in text
    assert "test_one_name_twice_names_both.<locals>.search" in text
    assert "rename one" in text
    with pytest.raises(DuplicateTool):
        Tools([find, Tools([search])]).tools()
    with pytest.raises(DuplicateTool):
        Tools([find, refund]).renamed({"refund": "find"}).tools()
    assert names(Tools([find, Tools([search]).prefixed("web_")])) == ["find", "web_find"]


def test_the_same_tool_twice_is_one() -> None:
    assert names(Tools([find, Tools([find])])) == ["find"]


def test_a_name_that_is_not_there_cannot_be_renamed() -> None:
    with pytest.raises(ConfigurationError, match=r"there is no tool 'fin' to rename; did you mean .find"):
        Tools([find]).renamed({"fin": "x"}).tools()


@pytest.mark.parametrize("choice", [3, "find", None, object()])
def test_what_is_no_tool_is_refused(choice: Any) -> None:
    with pytest.raises(ConfigurationError, match="is no tool: give a function, a tool or a toolset"):
        Tools([choice])


async def test_toolsets_are_opened_in_order_and_closed_in_reverse() -> None:
    log: list[str] = []
    together = Tools([Connection(log, "a"), plain]).prefixed("a_")
    both = Tools([together, Connection(log, "b")])
    assert names(both) == ["a_plain"]
    await both.open()
    assert names(both) == ["a_find", "a_refund", "a_plain", "find", "refund"]
    await both.close()
    assert log == ["open a", "open b", "close b", "close a"]


async def test_what_was_opened_is_closed_when_the_next_fails() -> None:
    log: list[str] = []
    with pytest.raises(ConnectionError, match="b"):
        await Tools([Connection(log, "a"), Connection(log, "b", breaks="open")]).open()
    assert log == ["open a", "open b", "close a"]


async def test_closing_goes_on_when_one_fails() -> None:
    log: list[str] = []
    one = Tools([Connection(log, "a"), Connection(log, "b", breaks="close")])
    with pytest.raises(ConnectionError, match="b"):
        await one.close()
    assert log == ["close b", "close a"]
    with pytest.raises(ExceptionGroup) as caught:
        await Tools([one, Connection(log, "c", breaks="close")]).close()
    assert len(caught.value.exceptions) == 2


def test_telling_what_something_is_asks_for_no_schema() -> None:
    @tool
    def broken(a: Missing) -> None: ...  # type: ignore[name-defined]  # noqa: F821  on purpose

    assert is_tool(broken)
    assert not is_toolset(broken)
    assert names(Tools([broken])) == ["broken"]
    assert not is_tool(Tools)
    assert not is_toolset(Tools)
