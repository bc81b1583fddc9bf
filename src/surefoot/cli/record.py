"""The record of approvals as rows: every verdict, question, vote, decision, expiry, use and policy, in order."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec

from surefoot.app import App
from surefoot.core import events as ev
from surefoot.core.ports import Query
from surefoot.runs.documents import instant

__all__ = ["COLUMNS", "entries"]

#: The columns of the CSV form, in order.
COLUMNS = (
    "time", "run", "seq", "event", "request", "call", "tool", "decision", "by", "how", "roles", "reason", "digest", "arguments",
    "result", "verdict",
)  # fmt: skip
_KINDS = (
    ev.CallsJudged,
    ev.ToolDenied,
    ev.ApprovalRequested,
    ev.ApprovalVoted,
    ev.ApprovalDelegated,
    ev.ApprovalDecided,
    ev.ApprovalExpired,
    ev.ApprovalConsumed,
    ev.ApprovalRevoked,
    ev.ToolIndeterminate,
)
_PAGE = 500


async def entries(app: App, run: str = "") -> AsyncIterator[dict[str, Any]]:
    """The rows of one run, or of all, oldest run first."""
    names = [(await app.get(run)).id] if run else await _all(app)
    for name in names:
        for record in await app.events(name):
            if isinstance(record.event, _KINDS):
                fields = msgspec.to_builtins(record.event)
                fields.pop("type", None)
                yield {"time": instant(record.time), "run": name, "seq": record.seq, "event": ev.tag_of(record.event), **fields}


async def _all(app: App) -> list[str]:
    """The ids of all runs, oldest first."""
    names: list[str] = []
    while page := await app.store.find(Query(limit=_PAGE, before=names[-1] if names else "")):
        names += [row.id for row in page]
    return names[::-1]
