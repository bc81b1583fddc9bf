"""What a model was asked and what it answered, printed whole: as text, or as one JSON object."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from surefoot.app import App
from surefoot.cli.screen import Screen
from surefoot.cli.words import call_line, failure, parts_text
from surefoot.cli.writing import block, cost, duration, line, moment, tokens
from surefoot.core.messages import Message, Part, Reasoning, ToolCall, ToolResult
from surefoot.core.run import Run
from surefoot.runs.documents import instant
from surefoot.runs.rewind import Seen, seen

__all__ = ["print_seen", "seen_document", "seen_in"]


async def seen_in(app: App, name: str, at: int = 0, *, step: int | None = None) -> Seen:
    """What the model saw in a run of an application that is not open yet; see `runs.rewind.seen`."""
    async with app:
        found: Run[Any] = await app.get(name)
        return await seen(app.store, found.id, at, step=step)


def print_seen(shown: Seen, *, json: bool) -> None:
    """Print what a model saw, as text or as one JSON object."""
    screen = Screen()
    if json:
        screen.json(seen_document(shown), indent=2 if screen.terminal else None)
        return
    request = shown.request
    screen.line(
        f"event {shown.seq} · step {request.step} · {line(request.model)} · try {request.attempt} · {moment(shown.time)}", "bold"
    )
    if shown.instructions:
        _part(screen, "instructions", shown.instructions)
    for spec in shown.tools:
        screen.line(f"tool {line(str(spec.get('name', '')))}: {line(str(spec.get('description', '')))}", "dim")
    for message in shown.messages:
        for name, text in _message(message):
            _part(screen, name, text)
    _reply(screen, shown)


def _reply(screen: Screen, shown: Seen) -> None:
    reply = shown.reply
    if reply is None:
        screen.line("no reply" if shown.failure is None else f"the request failed: {failure(shown.failure.error)}", "yellow")
        return
    spent = cost(None if reply.cost is None else reply.cost / 1e6)
    figures = f"{duration(reply.duration)} · tokens {tokens(reply.usage)} · {spent} · {line(reply.finish)}"
    screen.line(f"reply · {line(reply.model or shown.request.model)} · {figures}", "bold green")
    for name, text in _parts("", reply.parts):
        _part(screen, name, text)


def _part(screen: Screen, name: str, text: str) -> None:
    screen.line(f"{name}:", "cyan")
    for one in block(text).splitlines() or [""]:
        screen.line(f"  {one}")


def _message(message: Message) -> Iterator[tuple[str, str]]:
    yield from _parts(f"{message.role} ", message.parts)


def _parts(role: str, parts: tuple[Part, ...]) -> Iterator[tuple[str, str]]:
    for part in parts:
        if isinstance(part, Reasoning):
            yield f"{role}reasoning", part.text or "[only its provider can read it]"
        elif isinstance(part, ToolCall):
            yield f"{role}call {part.id}", call_line(part.name, part.arguments)
        elif isinstance(part, ToolResult):
            yield f"{'error' if part.error else 'result'} of {part.call} {line(part.name)}", part.text + parts_text(part.parts)
        else:
            yield f"{role}text", parts_text((part,))


def seen_document(shown: Seen) -> dict[str, Any]:
    """What a model saw as a JSON object, with keys that stay."""
    return {
        "run": shown.run,
        "seq": shown.seq,
        "time": instant(shown.time),
        "step": shown.request.step,
        "attempt": shown.request.attempt,
        "model": shown.request.model,
        "instructions": shown.instructions,
        "tools": list(shown.tools),
        "messages": msgspec.to_builtins(shown.messages),
        "reply": msgspec.to_builtins(shown.reply),
        "failure": msgspec.to_builtins(shown.failure),
    }
