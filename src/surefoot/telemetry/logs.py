"""Runs through the standard `logging`: a record for each event, with the ids of its run, session, trace and span.

`Logs` is a sink that logs to ``surefoot.run``; who wants to see it adds a handler, as for any library. `Json` and `Pretty` are
formatters for such a handler, and `show` adds one. A tool's own ``ctx.log`` has the same ids.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from surefoot.core import events as ev
from surefoot.core.errors import ConfigurationError
from surefoot.core.values import Failure
from surefoot.telemetry.privacy import Redact, mask
from surefoot.telemetry.span import Change
from surefoot.telemetry.spans import Trace
from surefoot.telemetry.standing import words

__all__ = ["Json", "Logs", "Pretty", "quiet", "show"]

#: The ids on a record, where they are known.
IDS = ("run", "session", "trace_id", "span_id", "agent", "call", "seq")
_LEVELS: Mapping[type, int] = {
    ev.RunFailed: logging.ERROR, ev.ToolIndeterminate: logging.ERROR, ev.RunWarned: logging.WARNING,
    ev.ModelFailed: logging.WARNING, ev.ToolFailed: logging.WARNING, ev.ToolDenied: logging.WARNING,
    ev.ApprovalExpired: logging.WARNING, ev.OutputRejected: logging.WARNING, ev.RunStarted: logging.INFO,
    ev.RunFinished: logging.INFO, ev.RunCancelled: logging.INFO, ev.RunResumed: logging.INFO, ev.RunSuspended: logging.INFO,
    ev.ApprovalRequested: logging.INFO, ev.ApprovalDecided: logging.INFO, ev.ToolReturned: logging.INFO,
    ev.ModelReplied: logging.INFO, ev.MessageReceived: logging.INFO,
}  # fmt: skip
_log = logging.getLogger("surefoot.run")


@dataclass(frozen=True, slots=True)
class _Line:
    """What is logged of one event."""

    time: int
    level: int
    text: str
    ids: dict[str, Any]


class Logs:
    """A sink that logs. Without ``content`` a message names what happened; with it, also why, in words. What happened before
    ``since`` (Unix seconds; by default now) is not logged again.
    """

    def __init__(self, *, content: bool = False, redact: Redact | None = None, since: float | None = None) -> None:
        self._since = (time.time() if since is None else since) * 1e6
        self._content = content
        self._redact = redact or mask()

    @property
    def name(self) -> str:
        """See `Sink.name`."""
        return "logs"

    def begin(self) -> Callable[[ev.Record], Sequence[_Line]]:
        """See `Sink.begin`."""
        trace = Trace()

        def take(record: ev.Record) -> Sequence[_Line]:
            if record.seq <= trace.seq or record.stream == "app":
                return ()
            tools = {name: call.name for name, call in trace.calls.items()}
            root = trace.root
            change = trace.apply(record)
            level = _LEVELS.get(type(record.event), logging.DEBUG)
            above = root or trace.root
            ids = {
                "run": record.stream, "session": above.attributes.get("session", "") if above else "", "trace_id": trace.trace,
                "span_id": _span(change, trace), "agent": trace.agent, "call": getattr(record.event, "call", ""),
                "seq": record.seq,
            }  # fmt: skip
            return [_Line(record.time, level, self._redact(self._text(record.event, tools)), ids)]

        return take

    def write(self, before: Sequence[_Line], fresh: Sequence[_Line]) -> None:
        """See `Sink.write`."""
        for line in fresh:
            if line.time >= self._since:
                _log.log(line.level, "%s", line.text, extra=line.ids)

    def pruned(self, run: str) -> None:
        """See `Sink.pruned`: what was logged is not ours any more."""

    def close(self) -> None:
        """See `Sink.close`: nothing is held back."""

    def _text(self, event: ev.Event | ev.AppEvent, tools: Mapping[str, str]) -> str:
        tag = event.tag if isinstance(event, ev.Unknown) else ev.tag_of(event)
        error = getattr(event, "error", None)
        tool = getattr(event, "tool", "") or tools.get(getattr(event, "call", ""), "")
        kind = getattr(error, "kind", "") or getattr(event, "kind", "") or getattr(event, "decision", "")
        said = [tag, str(tool), str(kind)]
        if self._content:
            said.append(words(error) if isinstance(error, Failure) else str(getattr(event, "reason", "")))
        return " ".join(filter(None, said))


def _span(change: Change, trace: Trace) -> str:
    """The span that an event belongs to: one it ended, or began, or else the run's."""
    for spans in (change.closed, change.opened):
        if spans:
            return spans[0].id
    return trace.root.id if trace.root else ""


# ── formatters ──────────────────────────────────────────────────────────────────────────────────────────────────────


class Json(logging.Formatter):
    """One JSON object a line: time (ISO 8601), level, logger, message, the ids, and an exception where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter.format`."""
        value: dict[str, Any] = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S") + f".{int(record.msecs):03d}",
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        value |= {name: found for name in IDS if (found := getattr(record, name, ""))}
        if record.exc_info:
            value["exception"] = self.formatException(record.exc_info)
        return json.dumps(value, ensure_ascii=True, default=str)


class Pretty(logging.Formatter):
    """One line for people: time, level, the end of the run's id, its agent, the message; control characters escaped."""

    def format(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter.format`."""
        run, agent, call = (str(getattr(record, name, "")) for name in ("run", "agent", "call"))
        about = " ".join(filter(None, [run[-8:], agent, call]))
        text = f"{self.formatTime(record, '%H:%M:%S')} {record.levelname:7} {about or record.name}: {record.getMessage()}"
        if record.exc_info:
            text += f" | {self.formatException(record.exc_info)}"
        return "".join([char if char.isprintable() else ascii(char)[1:-1] for char in text])


def quiet() -> None:
    """See to it that nothing is printed of what nobody asked for: a library is silent until somebody listens."""
    logger = logging.getLogger("surefoot")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())


def show(form: str) -> None:
    """Print what is logged to standard error, as ``json`` or ``pretty``. Twice is once. Raises ConfigurationError."""
    forms: Mapping[str, type[logging.Formatter]] = {"json": Json, "pretty": Pretty}
    if form not in forms:
        raise ConfigurationError(f"logs can be json or pretty, not {form!r:.50}; leave SUREFOOT_LOG out for none")
    logger = logging.getLogger("surefoot")
    if not any(isinstance(handler.formatter, Json | Pretty) for handler in logger.handlers):
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(forms[form]())
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        logger.propagate = False
