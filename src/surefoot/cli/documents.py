"""Runs as JSON objects, with keys that stay: what `--json` and `show --format json` print.

Times are ISO 8601 in UTC or null, durations are in seconds, money is in US dollars (null when a price is unknown).
"""

from __future__ import annotations

from typing import Any

from surefoot.cli.questions import answerable
from surefoot.cli.story import CallStory, Note, StepStory, Story
from surefoot.cli.writing import instant
from surefoot.core import canonical
from surefoot.core.messages import Usage
from surefoot.core.request import Request
from surefoot.core.run import Run
from surefoot.core.values import Failure

__all__ = ["run_document", "story_document"]


def run_document(run: Run[Any]) -> dict[str, Any]:
    """One run as it stands."""
    return {
        "id": run.id,
        "agent": run.agent,
        "status": run.status,
        "output": to_json(run.output),
        "error": _failure(run.error),
        "waiting": [_request(request) for request in answerable(run)],
        "text": run.text,
        "steps": run.steps,
        "tool_calls": run.tool_calls,
        "usage": _usage(run.usage),
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


def story_document(story: Story, run: Run[Any]) -> dict[str, Any]:
    """One run with its input, its steps, and the notes between them in ``events``."""
    notes = [item for item in story.items if isinstance(item, Note)]
    return {
        **run_document(run),
        "input": story.input,
        "worked": story.state.worked / 1e6,
        "trace": [_step(step) for step in story.steps],
        "events": [_note(note) for note in notes],
    }


def to_json(value: Any) -> Any:  # noqa: ANN401  the agent's output type
    """Any output as plain JSON values."""
    if value is None or isinstance(value, str | int | float):
        return value
    from pydantic_core import to_jsonable_python

    return to_jsonable_python(value, fallback=str)


def _step(step: StepStory) -> dict[str, Any]:
    return {
        "step": step.step,
        "model": step.model,
        "time": instant(step.time),
        "attempts": step.attempts,
        "finish": step.finish,
        "reasoning": step.reasoning,
        "text": step.text,
        "duration": step.duration / 1e6,
        "first_token": step.first_token / 1e6,
        "usage": _usage(step.usage),
        "cost": None if step.cost is None else step.cost / 1e6,
        "calls": [_call(call) for call in step.calls],
        "events": [_note(note) for note in step.notes],
    }


def _call(call: CallStory) -> dict[str, Any]:
    return {
        "id": call.id,
        "name": call.name,
        "arguments": call.arguments if call.invalid else canonical.loads(call.arguments),
        "invalid": call.invalid,
        "effect": call.effect,
        "status": call.status,
        "attempts": call.attempts,
        "duration": call.duration / 1e6,
        "result": call.result,
        "error": call.error,
        "events": [_note(note) for note in call.notes],
    }


def _note(note: Note) -> dict[str, Any]:
    return {"time": instant(note.time), "event": note.kind, "text": note.text}


def _usage(usage: Usage) -> dict[str, int]:
    return {name: getattr(usage, name) for name in usage.__struct_fields__}


def _failure(error: Failure | None) -> dict[str, Any] | None:
    return None if error is None else {"kind": error.kind, "message": error.message, "hint": error.hint}


def _request(request: Request) -> dict[str, Any]:
    return {
        "id": request.id,
        "run": request.run,
        "kind": request.kind,
        "tool": request.tool,
        "arguments": request.args,
        "effect": request.effect,
        "reason": request.reason,
        "asked_at": instant(request.asked_at),
        "expires_at": instant(request.expires_at),
    }
