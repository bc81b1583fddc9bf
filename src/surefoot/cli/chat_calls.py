"""A conversation's tool calls: one compact line for each, with a number by which it can be seen whole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from surefoot.cli.story import CallStory
from surefoot.cli.writing import block, duration, line, moment, safe_json, short
from surefoot.core import canonical
from surefoot.core import events as ev
from surefoot.core.messages import ToolCall

__all__ = ["Call", "Calls", "End", "compact", "pending", "whole"]

#: What a call comes to.
End = ev.ToolReturned | ev.ToolFailed | ev.ToolDenied | ev.ToolIndeterminate | ev.ApprovalDecided

#: The part of a line that name and arguments may take from a long result, and the fewest characters of either.
_SHARE = 0.6
_LEAST = 12


@dataclass(slots=True)
class Call:
    """A call as it was shown: its number in this conversation, where it is in the journal, and what it said."""

    number: int
    run: str
    id: str
    name: str
    arguments: str
    attempts: int = 1


class Calls:
    """The calls of a conversation in the order in which they were proposed, numbered from 1."""

    def __init__(self) -> None:
        self._calls: list[Call] = []
        self._known: dict[tuple[str, str], Call] = {}

    def add(self, run: str, part: ToolCall) -> Call:
        """Number a call that a model proposed; one that is known keeps its number."""
        if (run, part.id) not in self._known:
            call = Call(len(self._calls) + 1, run, part.id, part.name, part.arguments)
            self._calls.append(call)
            self._known[run, part.id] = call
        return self._known[run, part.id]

    def find(self, run: str, call: str) -> Call | None:
        """The call of that id in a run."""
        return self._known.get((run, call))

    def numbered(self, number: int) -> Call | None:
        """The call of that number; 0 is the last one."""
        number = number or len(self._calls)
        return self._calls[number - 1] if 0 < number <= len(self._calls) else None


def compact(call: Call, end: End, room: int) -> str:
    """A call that came to an end, in one line of at most ``room`` characters: number, name, arguments, result, time, tries."""
    sign, result = _result(end)
    tail = _tail(end, call.attempts)
    lead = f"{call.number:>3} "
    left = max(2 * _LEAST, room - len(lead) - len(tail) - 3)
    said = f"{line(call.name)}({_arguments(call.arguments)})"
    said = short(said, max(_LEAST, int(left * _SHARE), left - len(result)))
    return f"{lead}{said} {sign} {short(result, max(_LEAST, left - len(said)))}{tail}"


def pending(call: Call) -> str:
    """A call that is in work, in one line."""
    again = f", try {call.attempts}" if call.attempts > 1 else ""
    return f"{call.number} {line(call.name)}({_arguments(call.arguments)}){again} …"


def _result(end: End) -> tuple[str, str]:
    match end:
        case ev.ToolReturned():
            return "→", line(end.result)
        case ev.ToolFailed():
            return "✗", line(end.error.message)
        case ev.ApprovalDecided(decision="done"):
            return "→", f"said to be done{_by(end)}: {line(end.result or '')}"
        case ev.ApprovalDecided(decision="give_up"):
            return "?", f"given up{_by(end)}"
        case ev.ToolDenied() | ev.ApprovalDecided():
            return "✗", f"not run, denied{_by(end)}" + (f": {line(end.reason)}" if end.reason else "")
        case ev.ToolIndeterminate():
            return "?", f"nobody knows whether it happened: {line(end.reason)}"


def _by(end: ev.ToolDenied | ev.ApprovalDecided) -> str:
    return f" by {line(end.by)}" if end.by else ""


def _tail(end: End, attempts: int) -> str:
    told = [] if isinstance(end, ev.ToolDenied | ev.ApprovalDecided) or not end.duration else [duration(end.duration)]
    told += [f"{attempts} tries"] if attempts > 1 else []
    return f" ({', '.join(told)})" if told else ""


def _arguments(text: str) -> str:
    """Arguments as they would be written in a call: ``a=17, b=25``; what is no object stays as it is."""
    try:
        value = canonical.loads(text)
    except ValueError:
        return line(text)
    if not isinstance(value, dict):
        return line(text)
    return line(", ".join([f"{name}={safe_json(each)}" for name, each in value.items()]))


def whole(call: Call, story: CallStory) -> Iterator[str]:
    """Everything about a call, in lines."""
    effect = f", {line(story.effect)}" if story.effect else ""
    yield f"{call.number} {line(story.name)}{effect}, {story.status if story.result is None else 'returned'}"
    yield "  arguments:"
    yield from _indented(_pretty(story.arguments))
    if story.invalid:
        yield f"  not valid: {line(story.invalid)}"
    if story.attempts > 1:
        yield f"  tries: {story.attempts}"
    for note in story.notes:
        yield f"  {moment(note.time)} {note.text}"
    if story.result is not None:
        yield f"  {'failed' if story.error else 'result'} after {duration(story.duration)}:"
        yield from _indented(story.result)


def _pretty(arguments: str) -> str:
    try:
        return safe_json(canonical.loads(arguments), indent=2)
    except ValueError:
        return arguments


def _indented(text: str) -> Iterator[str]:
    yield from (f"    {one}" for one in block(text).split("\n"))
