"""Put a run's open questions to whoever sits at the terminal, or say how they are decided later."""

from __future__ import annotations

import asyncio
import os
import pwd
import sys
from collections.abc import Callable
from typing import Any

from surefoot.app import App
from surefoot.cli.screen import Screen
from surefoot.cli.writing import line
from surefoot.core.errors import AlreadyDecided, ConfigurationError, MayNotDecide
from surefoot.core.request import Request
from surefoot.core.run import Run
from surefoot.runs.documents import answerable

__all__ = ["account", "ask", "how_to_decide", "read_line", "sure"]

#: What can be typed, by the kind of question.
_CHOICES = {
    "call": "y (run it), n (do not), or n and the reason: ",
    "answer": "y (give it), n (do not), or n and the reason: ",
    "human": "y, n, n and the reason, or your answer: ",
}


def account() -> str:
    """The system account of this process, which no environment variable can change."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"


async def ask(app: App, screen: Screen, run: Run[Any]) -> bool:
    """Ask every open question of a run; False when standard input ended before all had an answer."""
    for request in run.waiting:
        put = _outcome if request.kind == "outcome" else _call
        try:
            if not await put(app, screen, request):
                return False
        except MayNotDecide as error:
            screen.note(line(str(error)), "yellow")
            return False
        except AlreadyDecided as error:
            screen.note(str(error))
    return True


async def _call(app: App, screen: Screen, request: Request) -> bool:
    screen.note(f"{request}", "bold")
    while True:
        said = await _answer(screen, _CHOICES.get(request.kind, _CHOICES["call"]))
        if said is None:
            return False
        word, _, reason = said.partition(" ")
        if word.lower() in ("y", "yes") and not reason:
            await app.decide(request, approve=True, by=account(), how="account")
            return True
        if word.lower() in ("n", "no"):
            await app.decide(request, approve=False, by=account(), how="account", reason=reason.strip())
            return True
        if request.kind == "human" and said:
            await app.decide(request, answer=said, by=account(), how="account")
            return True


async def _outcome(app: App, screen: Screen, request: Request) -> bool:
    call = f"{line(request.tool)}({line(request.arguments)})"
    screen.note(f"{call} started, and nobody knows whether it happened: {line(request.reason)}", "bold")
    while True:
        said = await _answer(screen, "d (it was done), r (run it again), g (give up): ")
        if said is None:
            return False
        word = said.lower()
        if word in ("d", "done"):
            result = await _answer(screen, "its result, as the model will read it: ")
            if result is None:
                return False
            await app.settle(request, "done", result=result, by=account())
            return True
        if word in ("r", "retry"):
            await app.settle(request, "retry", by=account())
            return True
        if word in ("g", "give up", "give-up"):
            await app.settle(request, "give_up", by=account())
            return True


async def _answer(screen: Screen, prompt: str) -> str | None:
    screen.ask(prompt)
    said = await read_line()
    if said is None:
        screen.note("")
        return None
    return said.strip()


async def read_line() -> str | None:
    """A line of standard input, None at its end, without blocking the event loop: a thread that reads cannot be cancelled."""
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    descriptor = sys.stdin.fileno()
    data = b""
    while not data.endswith(b"\n"):
        ready = loop.create_future()
        loop.add_reader(descriptor, _set(ready))
        try:
            await ready
        finally:
            loop.remove_reader(descriptor)
        piece = os.read(descriptor, 4096)
        if not piece:
            return data.decode(errors="replace") if data else None
        data += piece
    return data.decode(errors="replace").rstrip("\r\n")


def _set(future: asyncio.Future[None]) -> Callable[[], None]:
    return lambda: None if future.done() else future.set_result(None)


async def sure(screen: Screen, question: str) -> bool:
    """Whether somebody says yes to a deletion. Raises ConfigurationError where nobody can be asked."""
    if not screen.attended:
        raise ConfigurationError("without a terminal nobody can be asked; say --yes")
    screen.ask(f"{question} (y/n) ")
    said = await read_line()
    return (said or "").strip().lower() in ("y", "yes")


def how_to_decide(run: Run[Any]) -> list[str]:
    """The commands that answer a run's open questions and let it go on."""
    told: list[str] = []
    for request in answerable(run):
        told.append(f"waiting: {request}")
        if request.kind == "outcome":
            told.append(f"  surefoot settle {request.id} done --result TEXT | retry | give-up")
        else:
            told.append(f"  surefoot decide {request.id} --approve | --deny")
    return [*told, f"then: surefoot resume {run.id}"] if told and not run.ended else told
