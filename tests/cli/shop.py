"""The agents that the command line's tests run: a clerk whose model does what the prompt's first word says, and friends."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from surefoot.app import App
from surefoot.core.agent import Agent
from surefoot.core.errors import ModelError
from surefoot.core.memory import Memory
from surefoot.core.messages import Usage
from surefoot.core.model import ModelReply, ModelRequest, ProposedCall
from surefoot.core.ports import Tool
from surefoot.core.tool import ToolContext
from surefoot.testing import FunctionModel
from surefoot.tools.function import tool

#: What no terminal may be given raw: colour, title, a line that overwrites, text that runs backwards, rich's markup.
NASTY = "\x1b[31mred\x1b]0;title\x07 \r hidden \u202e backwards \u200b [bold red]markup[/] [link=x]y[/link] ümlaut"


@tool(effect="read")
def add(a: float, b: float) -> float:
    """Add two numbers."""
    return a + b


@tool
def refund(order: str, cents: int) -> str:
    """Refund an order."""
    with Path("ledger.txt").open("a", encoding="utf-8") as ledger:
        ledger.write(f"{order} {cents}\n")
    return f"refunded {cents} cents on order {order}"


@tool(effect="read")
async def hang(note: str) -> str:
    """Never return."""
    Path(note).touch()  # noqa: ASYNC240  one small file
    await asyncio.Event().wait()
    return "never"


@tool(effect="read")
async def stubborn() -> str:
    """Go on when it is to stop."""
    while True:
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()


@tool
def crash() -> str:
    """Fail in a way that leaves open what happened."""
    raise RuntimeError("the line broke")


@tool(effect="read")
def nasty() -> str:
    """Return hostile text."""
    return NASTY


@tool(effect="idempotent")
async def delegate(context: ToolContext[Any], text: str) -> str:
    """Ask the clerk."""
    child = await context.run(clerk, text)
    return f"the clerk says: {child.output}"


CALLS = {
    "add": ("add", {"a": 17, "b": 25}),
    "refund": ("refund", {"order": "81", "cents": 6200}),
    "hang": ("hang", {"note": "hanging"}),
    "crash": ("crash", {}),
    "stubborn": ("stubborn", {}),
    "nasty-tool": ("nasty", {}),
}


def play(request: ModelRequest) -> Any:
    """Do what the last message says."""
    last = request.messages[-1]
    if last.role == "tool":
        result = last.parts[-1]
        return ModelReply.say(f"Then: {getattr(result, 'text', '')}", usage=Usage(50, 20, cached=10))
    word, _, rest = last.text.partition(" ")
    match word:
        case "both":
            calls = [ProposedCall("refund", f'{{"order":"{order}","cents":1}}') for order in ("1", "2")]
            return ModelReply.call(*calls, usage=Usage(1, 1))
        case "think":
            return ModelReply.say("Forty-two.", reasoning="17 and 25\nmake 42", usage=Usage(5, 5, reasoning=3))
        case "nasty":
            return NASTY
        case "fail":
            return ModelError("auth", "the key is wrong", status=401)
        case "lines":
            return "first line\n\tsecond line\n"
        case _ if word in CALLS:
            return CALLS[word]
        case _:
            return f"You said: {word} {rest}".strip()


def supervise(request: ModelRequest) -> Any:
    """Pass everything on to the clerk."""
    last = request.messages[-1]
    return f"Done: {getattr(last.parts[-1], 'text', '')}" if last.role == "tool" else ("delegate", {"text": last.text})


class Sum(BaseModel):
    """A sum and how it was made."""

    total: int
    terms: list[int]


class Shelf:
    """A toolset that knows its tools only once it is open."""

    def __init__(self) -> None:
        self._open = False

    def tools(self) -> Sequence[Tool]:
        return [add] if self._open else []

    async def open(self) -> None:
        self._open = True

    async def close(self) -> None:
        self._open = False


def plain(order: str) -> str:
    """Say where an order is."""
    return f"order {order} is on its way"


clerk = Agent("clerk", model=FunctionModel(play), tools=[add, refund, hang, stubborn, crash, nasty])
librarian = Agent("librarian", model=FunctionModel(play), tools=[Shelf(), plain])
keeper = Agent("keeper", model=FunctionModel(play), tools=[add], memory=Memory(tools=("recall", "delete_all_memory")))
boss = Agent("boss", model=FunctionModel(supervise), tools=[delegate])
counter = Agent("counter", model=FunctionModel(lambda request: '{"total":42,"terms":[17,25]}'), output=Sum)
lister = Agent("lister", model=FunctionModel(lambda request: '[{"total":1,"terms":[]}]'), output=list[Sum])
agents: list[Agent[Any, Any]] = [clerk, boss, counter]
app = App("sqlite:shop.db", agents=agents)
number = 42
mixed = [clerk, 42]
