"""The agents that the conversation's tests talk to: a host whose model does what the last message's first word says."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

from surefoot.core.agent import Agent
from surefoot.core.errors import ModelError
from surefoot.core.messages import Usage
from surefoot.core.model import ModelReply, ModelRequest, ProposedCall
from surefoot.core.tool import ToolContext
from surefoot.testing import FunctionModel
from surefoot.tools.function import tool
from tests.cli.shop import NASTY, add, counter, crash, nasty, refund, stubborn


@tool(effect="read", retries=2)
def flaky() -> str:
    """Fail twice, then work."""
    tries = Path("tries")
    tries.write_text(tries.read_text() + "x" if tries.exists() else "x")
    if len(tries.read_text()) < 3:
        raise ConnectionError("the line is down")
    return "there it is"


@tool(effect="read")
async def slow() -> str:
    """Hang, unless it was called before."""
    try:
        os.close(os.open("slow", os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return "quick this time"
    await asyncio.Event().wait()
    return "never"


@tool(effect="read")
async def announce() -> str:
    """Hang, and say so."""
    print("hanging", flush=True)
    await asyncio.Event().wait()
    return "never"


@tool(effect="read")
def report(context: ToolContext[Any]) -> str:
    """Say how far it is."""
    context.progress("half way there")
    return "there"


@tool
async def linger() -> str:
    """Begin something that cannot be undone, and never end."""
    await asyncio.Event().wait()
    return "never"


@tool
def send(text: str) -> str:
    """Send a text."""
    return f"sent {len(text.splitlines())} lines"


@tool
def die() -> str:
    """Take the whole program along."""
    with Path("deaths").open("a") as deaths:
        deaths.write("dead\n")
    os.kill(os.getpid(), signal.SIGKILL)
    return "never"


@tool(effect="read")
def long() -> str:
    """Say much."""
    return "much " * 2_000


CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "add": ("add", {"a": 17, "b": 25}),
    "refund": ("refund", {"order": "81", "cents": 6200}),
    "crash": ("crash", {}),
    "flaky": ("flaky", {}),
    "slow": ("slow", {}),
    "die": ("die", {}),
    "announce": ("announce", {}),
    "report": ("report", {}),
    "linger": ("linger", {}),
    "long": ("long", {}),
    "stubborn": ("stubborn", {}),
    "nasty-tool": ("nasty", {}),
}


def play(request: ModelRequest) -> Any:
    """Do what the last message says."""
    last = request.messages[-1]
    if last.role == "tool":
        return ModelReply.say(f"Then: {getattr(last.parts[-1], 'text', '')}", usage=Usage(50, 20))
    word, _, _ = last.text.partition(" ")
    match word:
        case "both":
            return ModelReply.call(*[ProposedCall("refund", f'{{"order":"{order}","cents":1}}') for order in ("1", "2")])
        case "garbage":
            return ModelReply.call(ProposedCall("add", "no JSON \x1b[31m"), ProposedCall("add", "[1,2]"))
        case "letter":
            return ("send", {"text": "a line\n" * 60})
        case "nasty":
            return NASTY
        case "fail":
            return ModelError("auth", "the key is wrong", status=401) if not Path("mended").exists() else "mended"
        case "count":
            said = [message for message in request.messages if message.role == "user"]
            return f"message {len(said)} of {len(last.text)} characters"
        case _ if word in CALLS:
            return CALLS[word]
        case _:
            return f"You said: {last.text}"


host = Agent(
    "host",
    model=FunctionModel(play),
    tools=[add, refund, crash, nasty, flaky, slow, announce, report, linger, send, die, long, stubborn],
)
agents: list[Agent[Any, Any]] = [host, counter]
