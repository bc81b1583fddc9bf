"""Runs as JSON objects, with keys that stay: what `--json` prints and the server answers.

Times are ISO 8601 in UTC or null, durations are in seconds, money is in US dollars (null when a price is unknown).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from surefoot.core.messages import Usage
from surefoot.core.request import Request
from surefoot.core.run import Run
from surefoot.core.values import Failure

__all__ = ["answerable", "instant", "request_document", "run_document", "to_json", "usage_document"]


def run_document(run: Run[Any]) -> dict[str, Any]:
    """One run as it stands."""
    return {
        "id": run.id,
        "agent": run.agent,
        "status": run.status,
        "output": to_json(run.output),
        "error": _failure(run.error),
        "warnings": list(run.warnings),
        "waiting": [request_document(request) for request in answerable(run)],
        "text": run.text,
        "steps": run.steps,
        "tool_calls": run.tool_calls,
        "usage": usage_document(run.usage),
        "cost": run.cost,
        "session": run.session,
        "user": run.user,
        "tenant": run.tenant,
        "key": run.key,
        "parent": run.parent,
        "tags": list(run.tags),
        "trace_id": run.trace_id,
        "created_at": instant(run.created_at),
        "updated_at": instant(run.updated_at),
    }


def answerable(run: Run[Any]) -> tuple[Request, ...]:
    """The questions of a run that can still be answered: once it has ended, only what became of a call matters."""
    return tuple([request for request in run.waiting if not run.ended or request.kind == "outcome"])


def instant(micros: int) -> str | None:
    """An instant (Unix microseconds) as ISO 8601 in UTC, for programs; None for 0, which is never."""
    if not micros:
        return None
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)).isoformat()


def to_json(value: Any) -> Any:  # noqa: ANN401  the agent's output type
    """Any output as plain JSON values."""
    if value is None or isinstance(value, str | int | float):
        return value
    from pydantic_core import to_jsonable_python

    return to_jsonable_python(value, fallback=str)


def usage_document(usage: Usage) -> dict[str, int]:
    """Tokens by kind."""
    return {name: getattr(usage, name) for name in usage.__struct_fields__}


def _failure(error: Failure | None) -> dict[str, Any] | None:
    return None if error is None else {"kind": error.kind, "message": error.message, "hint": error.hint}


def request_document(request: Request) -> dict[str, Any]:
    """One open question: what it asks, which rules ask it of whom, and who has said what so far."""
    verdict = request.verdict
    return {
        "id": request.id,
        "run": request.run,
        "kind": request.kind,
        "tool": request.tool,
        "arguments": request.args,
        "effect": request.effect,
        "reason": request.reason,
        "digest": request.digest,
        "rules": list(verdict.rules) if verdict else [],
        "roles": [list(some) for some in verdict.roles] if verdict else [],
        "quorum": verdict.quorum if verdict else 1,
        "may_edit": None if verdict is None or verdict.may_edit is None else list(verdict.may_edit),
        "origins": dict(verdict.origins) if verdict else {},
        "votes": [{"by": vote.by, "approve": vote.approve, "reason": vote.reason} for vote in request.votes],
        "delegates": [{"to": given.to, "by": given.by} for given in request.delegates],
        "path": list(request.path),
        "user": request.user,
        "asked_at": instant(request.asked_at),
        "expires_at": instant(request.expires_at),
    }
