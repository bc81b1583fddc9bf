"""What a model was asked in one step, and what people are asked, for the pages that show it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from surefoot.app import App
from surefoot.catalogue import specs
from surefoot.core.errors import SurefootError
from surefoot.core.events import ModelFailed, ModelReplied, ModelRequested
from surefoot.core.messages import Message
from surefoot.core.request import Request
from surefoot.core.run import Run
from surefoot.core.state import fold
from surefoot.runs.documents import answerable
from surefoot.server.console.views import messages_view, question_view

__all__ = ["asked_of", "asking", "schema_of"]


async def asked_of(application: App, run: Run[Any]) -> list[dict[str, Any]]:
    """The open questions of a run."""
    return [question_view(run, one, await schema_of(application, run, one)) for one in answerable(run)]


async def schema_of(application: App, run: Run[Any], question: Request) -> Mapping[str, Any] | None:
    """The schema of the tool that a question is about; None where its agent is not one of this process, or has it no more."""
    agent = application.agents.get(run.agent)
    if agent is None or question.kind != "call" or question.run != run.id:
        return None
    try:
        return next((spec.input_schema for spec in await specs(agent) if spec.name == question.tool), None)
    except (SurefootError, OSError):  # of a toolset that cannot be opened just now
        return None


async def asking(application: App, run: Run[Any], seq: int) -> dict[str, Any] | None:
    """What the model was told by event ``seq`` of a run, and what came back; None where that event asks no model."""
    records = await application.events(run)
    request = records[seq - 1].event if 0 < seq <= len(records) else None
    if not isinstance(request, ModelRequested):
        return None
    state = fold(records[:seq])
    after = (record.event for record in records[seq:])
    answer = next((event for event in after if isinstance(event, ModelReplied | ModelFailed)), None)
    tools = json.loads(await _blob(application, state.tools) or "[]")
    return {
        "step": request,
        "instructions": await _blob(application, state.instructions),
        "tools": [str(one.get("name", one)) if isinstance(one, dict) else str(one) for one in tools],
        "messages": messages_view(state.messages),
        "said": messages_view([Message("assistant", answer.parts)]) if isinstance(answer, ModelReplied) else [],
        "failed": f"{answer.error.kind}: {answer.error.message}" if isinstance(answer, ModelFailed) else "",
    }


async def _blob(application: App, digest: str) -> str:
    try:
        return (await application.store.load(digest)).decode(errors="replace") if digest else ""
    except KeyError:
        return ""
