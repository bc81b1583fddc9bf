"""What is shown of a run while it happens: its text as it streams, and one line for each tool call."""

from __future__ import annotations

from collections.abc import Iterable

from surefoot.cli.chat_calls import Calls, End, compact, pending
from surefoot.cli.chat_screen import ChatScreen
from surefoot.cli.words import sentence
from surefoot.cli.writing import line, short
from surefoot.core import events as ev
from surefoot.core.messages import ToolCall, text_of
from surefoot.core.model import Delta

__all__ = ["Watch"]

_TOLD = (ev.RunWarned, ev.OutputRejected, ev.ToolProgressed, ev.HandedOff, ev.ContextCompacted, ev.MemoryRecalled)
_LOUD = (ev.RunWarned, ev.OutputRejected)


class Watch:
    """What a conversation shows of one run.

    Args:
        screen: where it is written.
        calls: numbers the calls.
        stream: write the model's text to standard output as it comes.
        run: the run, where it is known already.
        seen: events up to this sequence number are not shown.
        live: say what is being waited for.

    Attributes:
        run: the run's id, once its first event has come.
        seen: sequence number of the last event shown.
        said: the text of the model's last reply when it was written to standard output, else empty.
    """

    def __init__(
        self, screen: ChatScreen, calls: Calls, *, stream: bool, run: str = "", seen: int = 0, live: bool = True
    ) -> None:
        self.run, self.seen, self.said = run, seen, ""
        self._live = live
        self._tools: dict[str, str] = {}
        self._asked: dict[str, str] = {}
        self._screen, self._calls, self._stream = screen, calls, stream
        self._streamed = ""

    def item(self, item: ev.Record | Delta) -> None:
        """One event, or a piece of text between two; events shown before are passed over."""
        if isinstance(item, Delta):
            if item.kind == "text" and self._stream:
                self._screen.stream(item.text)
                self._streamed += item.text
        else:
            self.run = self.run or item.stream
            if item.seq > self.seen:
                self.seen = item.seq
                self._event(item.event)

    def _event(self, event: ev.Event | ev.AppEvent) -> None:
        match event:
            case ev.ModelRequested():
                self._wait(f"{line(event.model)} …")
            case ev.ModelReplied():
                self._replied(event)
            case ev.ModelFailed():  # the last failure is the run's end, which says so
                self._streamed = ""
                self._screen.end()
                self._wait(sentence(event, self._tools))
            case ev.ToolProgressed() if event.waiting:
                pass  # what it waits for is asked, or seen in its own run
            case _ if isinstance(event, _TOLD):
                self._screen.note(short(sentence(event, self._tools), 400), "yellow" if isinstance(event, _LOUD) else "dim")
            case _:
                self._of_a_call(event)

    def _of_a_call(self, event: ev.Event | ev.AppEvent) -> None:
        match event:
            case ev.ToolStarted():
                self._started(event)
            case ev.ApprovalRequested():
                self._asked[event.request] = event.call
            case ev.ApprovalDecided() if event.decision in ("deny", "done", "give_up"):
                self._ended(self._asked.get(event.request, ""), event)
            case ev.ToolFailed() if event.retry_at:
                self._wait(sentence(event, self._tools))
            case ev.ToolReturned() | ev.ToolFailed() | ev.ToolDenied():
                self._ended(event.call, event)
            case ev.ToolIndeterminate():
                self._asked[event.request] = event.call
                self._ended(event.call, event)
            case _:
                pass

    def number(self, records: Iterable[ev.Record]) -> None:
        """Number the calls of what happened already, so that what becomes of them can be shown; say what is in work."""
        for record in records:
            match record.event:
                case ev.ModelReplied():
                    self._number(record.event)
                case ev.ApprovalRequested() | ev.ToolIndeterminate():
                    self._asked[record.event.request] = record.event.call
                case ev.ToolStarted():
                    self._started(record.event)
                case ev.ToolReturned() | ev.ToolFailed():
                    self._screen.end()
                case _:
                    pass

    def _number(self, event: ev.ModelReplied) -> None:
        for part in event.parts:
            if isinstance(part, ToolCall):
                self._calls.add(self.run, part)
                self._tools[part.id] = part.name

    def _wait(self, text: str) -> None:
        if self._live:
            self._screen.status(text)

    def _replied(self, event: ev.ModelReplied) -> None:
        text = text_of(event.parts)
        self._number(event)
        if self._stream:
            # What was streamed before this watcher came, or by another process, is written whole, and so is a text that
            # does not begin with what was streamed.
            if text.startswith(self._streamed):
                self._screen.stream(text[len(self._streamed) :])
            elif text.strip() != self._streamed.strip():
                self._screen.end()
                self._screen.stream(text)
        self._screen.end()
        self._streamed, self.said = "", text if self._stream else ""

    def _started(self, event: ev.ToolStarted) -> None:
        call = self._calls.find(self.run, event.call)
        if call is not None:
            call.attempts, call.arguments = event.attempt, event.arguments
            self._wait(pending(call))

    def _ended(self, call_id: str, event: End) -> None:
        call = self._calls.find(self.run, call_id)
        if call is not None:
            good = isinstance(event, ev.ToolReturned)
            self._screen.note(compact(call, event, self._screen.room), "cyan" if good else "yellow")
