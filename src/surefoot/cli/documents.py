"""The story of a run as a JSON object, with keys that stay: what `show --format json` prints; see `runs.documents`.

Times are ISO 8601 in UTC or null, durations are in seconds, money is in US dollars (null when a price is unknown).
"""

from __future__ import annotations

from typing import Any

from surefoot.cli.story import CallStory, Note, StepStory, Story
from surefoot.core import canonical
from surefoot.core.run import Run
from surefoot.runs.documents import instant, run_document, usage_document
from surefoot.telemetry.span import Span

__all__ = ["story_document"]


def story_document(story: Story, run: Run[Any]) -> dict[str, Any]:
    """One run with its input, its steps, and the notes between them in ``events``."""
    notes = [item for item in story.items if isinstance(item, Note)]
    return {
        **run_document(run),
        "input": story.input,
        "worked": story.state.worked / 1e6,
        "times": {name: getattr(story.times, name) / 1e6 for name in ("queued", "worked", "human", "waited", "lost")},
        "trace": [_step(step) for step in story.steps],
        "events": [_note(note) for note in notes],
        "spans": [_span(span) for span in story.spans],
    }


def _span(span: Span) -> dict[str, Any]:
    return {
        "id": span.id,
        "parent": span.parent,
        "kind": span.kind,
        "name": span.name,
        "start": instant(span.start),
        "end": instant(span.end),
        "duration": span.duration / 1e6,
        "outcome": span.outcome,
        "error": span.error,
    }


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
        "usage": usage_document(step.usage),
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
