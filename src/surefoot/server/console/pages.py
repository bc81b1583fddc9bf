"""The console's pages: they call what the API calls, and ask the store nothing by themselves."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any, get_args
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from fastapi.responses import FileResponse, RedirectResponse, Response
from pydantic import ValidationError

from surefoot.app import App
from surefoot.core.errors import SessionNotFound
from surefoot.core.messages import text_of
from surefoot.core.run import Run
from surefoot.core.state import fold
from surefoot.runs.reports import records_below
from surefoot.server.access import Reader, Runner, own
from surefoot.server.approvals import open_questions
from surefoot.server.console.asked import asked_of, asking, schema_of
from surefoot.server.console.rendering import page
from surefoot.server.console.views import batches_view, events_view, messages_view, question_view, run_view, spans_view
from surefoot.server.problems import Problem
from surefoot.server.runs import found_page
from surefoot.server.shapes import RunFilter, Status
from surefoot.server.tokens import Caller
from surefoot.telemetry.spans import spans_of

__all__ = ["router"]

router = APIRouter(include_in_schema=False)

#: Runs below another whose spans its page shows.
_CHILDREN = 50
_STATIC = Path(__file__).parent / "static"


@router.get("/")
async def home() -> Response:
    """The console begins with the runs."""
    return RedirectResponse("/runs", 303)


@router.get("/static/{name}")
async def static(name: str) -> Response:
    """The one style sheet and the one script."""
    if name not in ("console.css", "console.js"):
        return Response(status_code=404)
    return FileResponse(_STATIC / name, headers={"Cache-Control": "no-cache"})


@router.get("/runs")
async def runs_page(request: Request, caller: Reader) -> Response:
    """The list of runs."""
    given = {name: value for name, value in request.query_params.items() if value and name in RunFilter.model_fields}
    try:
        wanted = RunFilter(**{**given, "status": [given["status"]] if "status" in given else []})  # type: ignore[arg-type]
    except ValidationError:
        return RedirectResponse("/runs", 303)
    application: App = request.app.state.application
    found, cursor = await found_page(application, caller, wanted)
    more = f"/runs?{urlencode({**given, 'cursor': cursor})}" if cursor else ""
    return await page(
        request, caller, "runs.html", here="/runs", live="/console/changes", wanted=wanted, more=more,
        runs=[run_view(run, await _input(application, run)) for run in found],
        agents=sorted(application.agents), statuses=get_args(Status),
    )  # fmt: skip


@router.get("/runs/{run}")
async def run_page(request: Request, caller: Reader, run: str) -> Response:
    """One run: its questions, its conversation, what took how long, its events."""
    found = await own(request, caller, run)
    application: App = request.app.state.application
    records = await application.events(found)
    state = fold(records)
    spans = spans_of(records)
    human = sum(span.attributes.get("human", 0) for span in spans if span.kind == "run")
    below = await records_below(application.store, found.id, _CHILDREN)
    for some in below.values():
        spans += spans_of(some)
    live = urlencode([("run", name) for name in (found.id, *below)])
    view = {**run_view(found), "asked_for": f"{human / 1e6:.1f} s" if human else ""}
    return await page(
        request, caller, "run.html", live=f"/console/changes?{live}", run=view, seq=state.seq,
        questions=await asked_of(application, found),
        messages=messages_view([*state.messages, *state.incoming]),  # what was said lately, its model has not read yet
        spans=spans_view(spans, int(time.time() * 1e6)), events=events_view(records),
    )  # fmt: skip


@router.get("/runs/{run}/asked/{seq}")
async def asked_page(request: Request, caller: Reader, run: str, seq: int) -> Response:
    """What a model was asked in one step of a run, and what it said."""
    found = await own(request, caller, run)
    application: App = request.app.state.application
    told = await asking(application, found, seq)
    if told is None:
        raise Problem(404, f"event {seq} of this run asks no model; its page lists its events")
    return await page(request, caller, "asked.html", run=run_view(found), **told)


@router.get("/approvals")
async def approvals_page(request: Request, caller: Reader) -> Response:
    """The inbox of open questions."""
    found = await open_questions(request.app.state.application, caller)
    application: App = request.app.state.application
    shown = [question_view(run, question, await schema_of(application, run, question)) for run, question in found]
    return await page(
        request,
        caller,
        "approvals.html",
        here="/approvals",
        live="/console/changes",
        questions=shown,
        batches=batches_view(shown),
    )


@router.get("/chat")
async def chat_page(
    request: Request, caller: Runner, session: Annotated[str, Query(max_length=200)] = "", agent: Annotated[str, Query()] = ""
) -> Response:
    """A conversation with an agent, and the others that the caller had."""
    application: App = request.app.state.application
    last, messages = None, []
    if session:
        try:
            messages = await application.sessions.show(session, user=caller.user, tenant=caller.tenant)
        except SessionNotFound:
            return RedirectResponse("/chat", 303)
        last = next(iter(await application.list(user=caller.user, tenant=caller.tenant, session=session, limit=1)), None)
    working = None
    if last is not None and not last.ended:
        working = {"id": last.id, "seq": fold(await application.events(last)).seq}
    return await page(
        request, caller, "chat.html", here="/chat", live="/console/changes" if session else "", session=session,
        agent=agent or (last.agent if last else ""), agents=sorted(application.agents),
        back=f"/chat?{urlencode({'session': session})}",
        sessions=await _sessions(application, caller), messages=messages_view(messages), working=working,
        questions=await asked_of(application, last) if last else [],
        error=f"{last.error.kind}: {last.error.message} {last.error.hint}" if last and last.error else "",
    )  # fmt: skip


async def _sessions(application: App, caller: Caller) -> list[dict[str, Any]]:
    rows = await application.sessions.list(user=caller.user, tenant=caller.tenant, limit=50)
    return [{"session": row.id, "what": row.title or row.id} for row in rows]


async def _input(application: App, run: Run[Any]) -> str:
    """What a run was asked."""
    first = await application.store.read(run.id, 0, 1)
    return text_of(getattr(first[0].event, "input", ())) if first else ""
