"""A run's status, as events change it."""

from __future__ import annotations

from surefoot.core import events as ev

__all__ = ["ENDED", "MOVES", "status_after"]

#: The statuses a run does not leave by itself.
ENDED = frozenset({"done", "failed", "cancelled"})

_STATUS: dict[type, str] = {
    ev.RunStarted: "ready",
    ev.RunClaimed: "running",
    ev.RunSuspended: "waiting",
    ev.RunFinished: "done",
    ev.RunFailed: "failed",
    ev.RunCancelled: "cancelled",
    ev.RunResumed: "ready",
}
#: Events that can change any status; the others change that of a run that waits, if any.
MOVES = frozenset({*_STATUS, ev.Unknown})
_WAKES = frozenset({ev.ApprovalDecided, ev.ApprovalExpired, ev.MessageReceived, ev.RunCancelRequested})
# A redacted event is `Unknown` to its reader, but what it did to the run stands.
_REDACTED: dict[str, type] = {ev.tag_of(kind): kind for kind in (*_STATUS, *_WAKES)}


def status_after(status: str, event: ev.Event | ev.AppEvent) -> str:
    """The status of a run in ``status`` once ``event`` is appended; stores keep it in the run's row."""
    kind: type = type(event)
    if isinstance(event, ev.Unknown):
        kind = _REDACTED.get(event.tag, kind)
    return _STATUS.get(kind) or ("ready" if status == "waiting" and kind in _WAKES else status)
