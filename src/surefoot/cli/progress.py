"""Show a run while it happens: its text as it streams, and, where somebody watches, a line for each thing it does."""

from __future__ import annotations

from surefoot.cli.screen import Screen
from surefoot.cli.words import sentence
from surefoot.cli.writing import duration, line, short
from surefoot.core import events as ev
from surefoot.core.messages import ToolCall, text_of
from surefoot.core.model import Delta

__all__ = ["Progress"]

_LOUD = (ev.RunWarned, ev.ModelFailed, ev.ToolFailed, ev.ToolDenied, ev.ToolIndeterminate, ev.OutputRejected)
_SEEN = (*_LOUD, ev.ToolStarted, ev.ToolProgressed, ev.ApprovalDecided, ev.MessageReceived, ev.RunSuspended, ev.HandedOff)


class Progress:
    """What a watcher sees of one run.

    Args:
        screen: where it is written.
        stream: write the model's text to standard output as it comes.
        quiet: tell nothing but warnings.

    Attributes:
        seen: sequence number of the last event shown.
        said: the text of the model's last reply when it was written to standard output, else empty.
    """

    def __init__(self, screen: Screen, *, stream: bool, quiet: bool = False) -> None:
        self.seen = 0
        self.said = ""
        self._screen, self._stream = screen, stream
        self._told = screen.attended and not quiet
        self._tools: dict[str, str] = {}
        self._asked: set[str] = set()
        self._streamed = ""

    def delta(self, delta: Delta) -> None:
        """A piece of a reply."""
        if self._stream and delta.kind == "text":
            self._screen.stream(delta.text)
            self._streamed += delta.text

    def record(self, record: ev.Record) -> None:
        """One event; those shown before are passed over."""
        if record.seq <= self.seen:
            return
        self.seen = record.seq
        event = record.event
        if isinstance(event, ev.ApprovalRequested | ev.ToolIndeterminate):
            self._asked.add(event.request)
        if isinstance(event, ev.ModelReplied):
            self._replied(event)
        elif isinstance(event, ev.ModelFailed):
            self._streamed = ""
        if self._told and isinstance(event, ev.ToolReturned):
            took = duration(event.duration)
            self._screen.note(f"  {line(self._tools.get(event.call, event.call))} → {short(event.result)} ({took})")
        elif isinstance(event, ev.RunSuspended) and set(event.waiting_for) <= self._asked and not event.wake_at:
            pass  # the questions themselves say so
        elif isinstance(event, ev.RunWarned) or (self._told and isinstance(event, _SEEN)):
            mark = "! " if isinstance(event, _LOUD) else "  "
            self._screen.note(mark + short(sentence(event, self._tools), 400), "yellow" if isinstance(event, _LOUD) else "dim")

    def _replied(self, event: ev.ModelReplied) -> None:
        text = text_of(event.parts)
        self._tools.update({part.id: part.name for part in event.parts if isinstance(part, ToolCall)})
        if self._stream:
            # What was streamed before this watcher came, or by another process, is written whole.
            self._screen.stream(text if not text.startswith(self._streamed) else text[len(self._streamed) :])
            self._screen.end()
        self._streamed, self.said = "", text if self._stream else ""
