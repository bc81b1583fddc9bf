"""Real tools for real processes: each body writes a ledger of its own, a file that is flushed to the disk line by line.

The ledger is what the journal is judged by: ``B`` says that a body began, ``E`` that its effect has happened. What a
run does follows from its id alone, so that any process can go on with it.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from surefoot.app import App
from surefoot.core.agent import Agent
from surefoot.core.errors import AlreadyDecided
from surefoot.core.model import ModelReply, ModelRequest, ProposedCall
from surefoot.core.run import Run
from surefoot.core.tool import Done, NotDone, ToolContext
from surefoot.testing.models import FunctionModel
from surefoot.tools.function import tool

__all__ = ["TOOLS", "Ledger", "Line", "clerk", "family", "human", "settle_truthfully"]

TOOLS = ("look", "put", "transfer", "send")
_STEPS = 3


@dataclass(frozen=True, slots=True)
class Line:
    """One line: what (``B`` or ``E``), of which run, call, attempt and worker (fencing token), by which tool."""

    what: str
    run: str
    call: str
    attempt: int
    fence: int
    tool: str


class Ledger:
    """The file that bodies write, whatever becomes of the journal."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, what: str, context: ToolContext[Any], name: str) -> None:
        """Add a line, on the disk when this returns."""
        text = f"{what} {context.run_id} {context.call_id} {context.attempt} {context.fencing_token} {name}\n"
        file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(file, text.encode())
            os.fsync(file)
        finally:
            os.close(file)

    def lines(self) -> list[Line]:
        """All lines."""
        if not self.path.exists():
            return []
        split = [line.split() for line in self.path.read_text().splitlines()]
        return [Line(what, run, call, int(attempt), int(fence), name) for what, run, call, attempt, fence, name in split]

    def count(self, what: str) -> Counter[tuple[str, str]]:
        """How often each (run, call) has such a line."""
        return Counter((line.run, line.call) for line in self.lines() if line.what == what)

    def happened(self, run: str, call: str) -> bool:
        """Whether a call's effect has happened."""
        return self.count("E")[run, call] > 0


def family(ledger: Ledger, pause: Callable[[], float]) -> list[Agent[Any, str]]:
    """A clerk who now and then lets a helper, who is a clerk as well, do something in a run of its own."""
    helper = clerk(ledger, pause, name="helper")

    @tool(effect="read")
    async def delegate(context: ToolContext[Any], n: int) -> str:
        """Let a helper do it."""
        ledger.write("B", context, "delegate")
        run: Run[Any] = await context.run(helper, f"work {n}")
        ledger.write("E", context, "delegate")
        return str(run.output)

    parent = clerk(ledger, pause, (*TOOLS, "delegate"))
    return [Agent("clerk", model=parent.model, tools=[*parent.tools, delegate]), helper]


def clerk(
    ledger: Ledger, pause: Callable[[], float] = lambda: 0.0, names: Sequence[str] = TOOLS, name: str = "clerk"
) -> Agent[Any, str]:
    """An agent of three steps with one to three calls each of these tools, whose bodies take ``pause()`` seconds before
    and after their effect."""

    def body(name: str) -> Callable[..., Any]:
        async def run(context: ToolContext[Any], n: int) -> str:
            ledger.write("B", context, name)
            await asyncio.sleep(pause())  # wait: so that a kill can come between
            ledger.write("E", context, name)
            await asyncio.sleep(pause())  # wait: so that a kill can come between
            return f"{name} {n}"

        return run

    def probe(key: str) -> Done | NotDone:
        run, _, call = key.partition(":")
        return Done("transfer done") if ledger.happened(run, call) else NotDone()

    return Agent(
        name,
        model=FunctionModel(partial(_reply, names)),
        tools=[
            tool(name="look", effect="read")(body("look")),
            tool(name="put", effect="idempotent")(body("put")),
            tool(name="transfer", effect="reconcilable", probe=probe)(body("transfer")),
            tool(name="send", effect="unsafe")(body("send")),
        ],
    )


def _reply(tools: Sequence[str], request: ModelRequest) -> ModelReply:
    step = sum(message.role == "assistant" for message in request.messages)
    if step >= _STEPS:
        return ModelReply.say(f"done in {step} steps")
    chance = random.Random(f"{request.conversation} {step}")
    names = chance.choices(tools, k=chance.randint(1, 3))
    return ModelReply.call(*[ProposedCall(name, f'{{"n": {n}}}') for n, name in enumerate(names)])


async def settle_truthfully(app: App, ledger: Ledger, run: Run[Any]) -> int:
    """Say of each unknown outcome of a run what the ledger says, approve everything else; how many were settled."""
    settled = 0
    for request in run.waiting:
        with suppress(AlreadyDecided):  # somebody was faster
            if request.kind == "call":
                await app.decide(request, approve=True, by="dana")
            elif ledger.happened(request.run, request.call):
                await app.settle(request, "done", result="it is done", by="dana")
            else:
                await app.settle(request, "retry", by="dana")
            settled += 1
    return settled


async def human(app: App, ledger: Ledger) -> None:
    """Somebody who settles whatever waits, and sends a run on that its crashes have stopped."""
    while True:
        for run in await app.list(status="waiting"):
            await settle_truthfully(app, ledger, run)
        for run in await app.list(status="failed"):
            assert run.error is not None
            assert run.error.kind == "crash_loop", run.error
            await app.resume(run, by="dana")
        await asyncio.sleep(0.02)  # wait: people look now and then
