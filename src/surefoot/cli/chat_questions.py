"""Ask, in a conversation, what a run wants to know: may this call run, or what became of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from surefoot.app import App
from surefoot.cli.chat_line import Lines
from surefoot.cli.chat_screen import ChatScreen
from surefoot.cli.questions import account
from surefoot.cli.writing import block, line, moment, safe_json
from surefoot.core.errors import AlreadyDecided, MayNotDecide
from surefoot.core.request import Request
from surefoot.core.run import Run
from surefoot.runs.documents import answerable

__all__ = ["ask"]

_EFFECTS = {
    "unsafe": "it changes something, and cannot be repeated safely",
    "reconcilable": "it changes something; whether it happened can be found out",
    "idempotent": "it changes something; repeating it changes nothing more",
    "read": "it only reads",
}
#: Characters of arguments that stand in one line, and lines of longer ones that are shown.
_LINE = 60
_LINES = 40

#: What can be typed, by the kind of question.
_CHOICES = {
    "call": "  y (run it), n (do not), n and the reason, or l (later): ",
    "answer": "  y (give it), n (do not), n and the reason, or l (later): ",
    "human": "  y, n, n and the reason, your answer, or l (later): ",
}


async def ask(app: App, screen: ChatScreen, lines: Lines, run: Run[Any]) -> bool:
    """Ask every open question of a run; False when one was left open. Raises what `Lines.read` raises."""
    for request in answerable(run):
        for told in _told(request):
            screen.note(told, "bold" if not told.startswith(" ") else "")
        put = _outcome if request.kind == "outcome" else _call
        try:
            if not await put(app, lines, request, ended=run.ended):
                return False
        except MayNotDecide as error:
            screen.note(line(str(error)), "yellow")
            return False
        except AlreadyDecided as error:
            screen.note(line(str(error)), "yellow")
    return True


def _told(request: Request) -> Iterable[str]:
    """What matters to decide: the tool, its arguments, what it does to the world, why it is asked."""
    if request.kind == "outcome":
        yield f"? {line(request.tool)} started, and nobody knows whether it happened: {line(request.reason)}"
    elif request.kind == "human":
        yield f"? The agent asks: {line(request.reason)}"
        return
    elif request.kind == "answer":
        yield "? May this be the answer?"
    else:
        yield f"? May {line(request.tool)} run?"
    arguments = safe_json(request.args, indent=None if len(request.arguments) <= _LINE else 2).split("\n")
    yield from (f"    {one}" for one in arguments[:_LINES])
    if len(arguments) > _LINES:
        yield f"    … {len(arguments) - _LINES:,} more lines; surefoot show {request.run} has all"
    told = [line(request.reason)] if request.reason and request.kind != "outcome" else []
    if not told or request.effect not in told[0]:  # the reason may be the effect itself
        told.insert(0, _EFFECTS.get(request.effect, line(request.effect)))
    told += [f"asked by run {request.path[-1]}, which this one waits for"] if len(request.path) > 1 else []
    told += [f"open until {moment(request.expires_at)}"] if request.expires_at else []
    yield from (f"    {block(one)}" for one in told)


async def _call(app: App, lines: Lines, request: Request, *, ended: bool) -> bool:
    while True:
        said = await lines.read(_CHOICES.get(request.kind, _CHOICES["call"]))
        word, _, reason = (said or "later").strip().partition(" ")
        match word.lower():
            case "y" | "yes" if not reason:
                await app.decide(request, approve=True, by=account(), how="account")
                return True
            case "n" | "no":
                await app.decide(request, approve=False, by=account(), how="account", reason=reason.strip())
                return True
            case "l" | "later":
                return False
            case _ if request.kind == "human" and said:
                await app.decide(request, answer=said.strip(), by=account(), how="account")
                return True
            case _:
                pass


async def _outcome(app: App, lines: Lines, request: Request, *, ended: bool) -> bool:
    again = "" if ended else "r (run it again), "
    while True:
        said = await lines.read(f"  d (it was done), {again}g (it was not, give up), or l (later): ")
        match (said or "later").strip().lower():
            case "d" | "done":
                result = "" if ended else await lines.read("  its result, as the model will read it: ")
                if result is None:
                    return False
                await app.settle(request, "done", result=result, by=account())
                return True
            case "r" | "retry" if not ended:
                await app.settle(request, "retry", by=account())
                return True
            case "g" | "give up":
                await app.settle(request, "give_up", by=account())
                return True
            case "l" | "later":
                return False
            case _:
                pass
