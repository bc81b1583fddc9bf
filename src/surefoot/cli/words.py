"""Say in one line what an event means, for those who watch a run and for those who read it later."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from surefoot.cli.writing import duration, line, moment, short
from surefoot.core import events as ev
from surefoot.core.messages import File, Image, Part, Text
from surefoot.core.values import Failure

__all__ = ["call_line", "failure", "parts_text", "sentence"]


def sentence(event: ev.Event | ev.AppEvent, tools: Mapping[str, str]) -> str:
    """What happened, in one line; ``tools`` names the tool of each call id. Empty for what is told elsewhere."""
    say = _SAY.get(type(event))
    return say(event, tools) if say else ""


def failure(error: Failure) -> str:
    """A failure in one line: kind, message, and what to do next."""
    hint = f" — {line(error.hint)}" if error.hint else ""
    return f"{line(error.kind)}: {line(error.message)}{hint}"


def call_line(name: str, arguments: str) -> str:
    """A call in one line: ``refund({"order":"81"})``."""
    return f"{line(name)}({line(arguments)})"


def parts_text(parts: tuple[Part, ...]) -> str:
    """The text of what was said; images and files are named."""
    pieces: list[str] = []
    for part in parts:
        if isinstance(part, Text):
            pieces.append(part.text)
        elif isinstance(part, Image | File):
            where = part.url or (f"blob {part.blob[:16]}" if part.blob else "")
            pieces.append(f"[{type(part).__name__.lower()} {part.media_type} {where}]")
    return "\n".join(pieces)


def _by(who: str) -> str:
    return f" by {line(who)}" if who else ""


def _why(reason: str) -> str:
    return f": {line(reason)}" if reason else ""


def _again(at: int) -> str:
    return f"; tries again at {moment(at)}" if at else ""


def _tool(call: str, tools: Mapping[str, str]) -> str:
    return line(tools.get(call, call))


def _worker(name: str) -> str:
    """The host and process of a worker's name, which is ``host|boot|namespace|pid|start|random``; else the name."""
    fields = name.split("|")
    return f"process {line(fields[3])} on {line(fields[0])}" if len(fields) == 6 else line(name)


def _suspended(event: ev.RunSuspended, tools: Mapping[str, str]) -> str:
    until = f", at the latest until {moment(event.wake_at)}" if event.wake_at else ""
    for_what = ", ".join(map(line, event.waiting_for)) or "its time"
    return f"waits for {for_what}{until}"


def _decided(event: ev.ApprovalDecided, tools: Mapping[str, str]) -> str:
    word = {"approve": "approved", "deny": "denied", "answer": "answered", "ask": "asked back",
            "done": "said to be done", "retry": "to be run again",
            "give_up": "given up"}.get(event.decision, line(event.decision))  # fmt: skip
    edited = f", with other arguments: {line(event.arguments)}" if event.arguments else ""
    result = f", result: {short(event.result)}" if event.result else ""
    return f"{word}{_by(event.by)} ({line(event.how)}){_why(event.reason)}{edited}{result}"


def _asked(event: ev.ApprovalRequested, tools: Mapping[str, str]) -> str:
    until = f", until {moment(event.expires_at)}" if event.expires_at else ""
    return f"asks a human{until}{_why(event.reason)} [{line(event.request)}]"


def _voted(event: ev.ApprovalVoted, tools: Mapping[str, str]) -> str:
    return f"{'yes' if event.approve else 'no'}{_by(event.by)} ({line(event.how)}){_why(event.reason)}"


def _delegated(event: ev.ApprovalDelegated, tools: Mapping[str, str]) -> str:
    return f"{line(event.to)} may decide{_by(event.by)} ({line(event.how)}){_why(event.reason)}"


def _indeterminate(event: ev.ToolIndeterminate, tools: Mapping[str, str]) -> str:
    return f"{_tool(event.call, tools)} may or may not have happened{_why(event.reason)} [{line(event.request)}]"


def _progressed(event: ev.ToolProgressed, tools: Mapping[str, str]) -> str:
    if event.waiting:
        return f"waits for run {', '.join(map(line, event.waiting))}"
    return f"{_tool(event.call, tools)}: {line(event.note)}"


def _tool_failed(event: ev.ToolFailed, tools: Mapping[str, str]) -> str:
    return f"{_tool(event.call, tools)} failed, try {event.attempt}: {failure(event.error)}{_again(event.retry_at)}"


def _model_failed(event: ev.ModelFailed, tools: Mapping[str, str]) -> str:
    return f"the model failed, try {event.attempt}: {failure(event.error)}{_again(event.retry_at)}"


def _compacted(event: ev.ContextCompacted, tools: Mapping[str, str]) -> str:
    return f"the prompt was {line(event.how)} to fit: {event.before:,} to {event.after:,} tokens (estimated)"


def _span_ended(event: ev.SpanEnded, tools: Mapping[str, str]) -> str:
    return f"{line(event.name)} ended" + (f": {line(event.error)}" if event.error else "")


_Say = Callable[[Any, Mapping[str, str]], str]
_SAY: dict[type, _Say] = {
    ev.RunClaimed: lambda e, _: f"taken by {_worker(e.worker)}",
    ev.RunSuspended: _suspended,
    ev.RunWarned: lambda e, _: f"{line(e.kind)}: {line(e.message)}",
    ev.RunCancelRequested: lambda e, _: f"asked to stop{_by(e.by)}{_why(e.reason)}",
    ev.RunFailed: lambda e, _: failure(e.error),
    ev.RunCancelled: lambda e, _: f"cancelled{_by(e.by)}{_why(e.reason)}",
    ev.RunResumed: lambda e, _: f"resumed{_by(e.by)}",
    ev.SessionRenamed: lambda e, _: f"session renamed{_by(e.by)}: {line(e.title)}",
    ev.MessageReceived: lambda e, _: f"message{_by(e.by)}: {short(parts_text(e.parts), 1_000)}",
    ev.MemoryRecalled: lambda e, _: f"recalled {len(e.entries)} memories, {e.tokens:,} tokens",
    ev.MemoryKept: lambda e, _: f"remembered what the {line(e.entry.author)} said ({line(e.reason)})",
    ev.MemoryRefused: lambda e, _: f"the {line(e.what)} was not remembered{_why(e.reason)}",
    ev.MemoryForgotten: lambda e, _: f"{len(e.entries)} memories forgotten{_by(e.by)}{_why(e.reason)}",
    ev.ContextCompacted: _compacted,
    ev.HandedOff: lambda e, _: f"handed to {line(e.agent)}{_why(e.reason)}",
    ev.ModelRequested: lambda e, _: f"{line(e.model)} is asked for a {line(e.purpose)}" if e.purpose else "",
    ev.ModelFailed: _model_failed,
    ev.OutputRejected: lambda e, _: f"the answer does not fit: {line(e.error)}",
    ev.CallsJudged: lambda e, _: "judged by policy " + line(e.policy),
    ev.ToolDenied: lambda e, t: f"{_tool(e.call, t)} denied{_by(e.by) or ' by policy'}{_why(e.reason)}",
    ev.ApprovalRequested: _asked,
    ev.ApprovalVoted: _voted,
    ev.ApprovalDelegated: _delegated,
    ev.ApprovalDecided: _decided,
    ev.ApprovalExpired: lambda e, _: "nobody answered in time",
    ev.ApprovalConsumed: lambda e, _: "the approval was used",
    ev.ApprovalRevoked: lambda e, _: f"the approval was withdrawn{_by(e.by)}{_why(e.reason)}",
    ev.ToolStarted: lambda e, _: f"{call_line(e.name, e.arguments)} started, try {e.attempt}",
    ev.ToolProgressed: _progressed,
    ev.ToolReturned: lambda e, t: f"{_tool(e.call, t)} returned after {duration(e.duration)}: {short(e.result)}",
    ev.ToolFailed: _tool_failed,
    ev.ToolIndeterminate: _indeterminate,
    ev.SpanStarted: lambda e, _: f"{line(e.name)} began",
    ev.SpanEnded: _span_ended,
    ev.EventRedacted: lambda e, _: f"event {e.seq} was removed for good{_by(e.by)}{_why(e.reason)}",
    ev.Unknown: lambda e, _: f"{line(e.tag)}: an event of a newer surefoot, or one that was removed",
}
