"""Runs over HTTP: start, look, list, steer, cancel, resume."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Annotated, Any, cast

from fastapi import APIRouter, Header, Query, Request

from surefoot.app import App
from surefoot.catalogue import specs
from surefoot.core.agent import Agent
from surefoot.core.run import Run
from surefoot.core.values import Limits
from surefoot.runs.documents import run_document
from surefoot.runs.intake import ListOptions, RunOptions
from surefoot.server.access import Reader, Runner, own
from surefoot.server.problems import Problem
from surefoot.server.shapes import AgentDocument, Cancel, Fork, Message, Resume, RunDocument, RunFilter, RunPage, StartRun
from surefoot.server.tokens import Caller

__all__ = ["found_page", "router"]

router = APIRouter(prefix="/api", tags=["runs"])


@router.get("/agents", response_model=list[AgentDocument])
async def agents(request: Request, caller: Reader) -> list[dict[str, Any]]:
    """The agents that may be run here."""
    application: App = request.app.state.application
    return [await agent_document(agent) for agent in application.agents.values()]


@router.post("/runs", response_model=RunDocument, status_code=201)
async def start_run(
    request: Request,
    caller: Runner,
    body: StartRun,
    idempotency_key: Annotated[str, Header(max_length=200)] = "",
    traceparent: Annotated[str, Header(max_length=200)] = "",
    tracestate: Annotated[str, Header(max_length=4096)] = "",
) -> dict[str, Any]:
    """Start a run in the background, or go on with the one that ``id`` (or the header Idempotency-Key) names."""
    return await start(request.app.state.application, caller, body, idempotency_key, (traceparent, tracestate))


@router.get("/runs", response_model=RunPage)
async def list_runs(request: Request, caller: Reader, wanted: Annotated[RunFilter, Query()]) -> dict[str, Any]:
    """Runs that match, newest first."""
    found, cursor = await found_page(request.app.state.application, caller, wanted)
    return {"runs": [run_document(run) for run in found], "cursor": cursor}


@router.get("/runs/{run}", response_model=RunDocument)
async def get_run(request: Request, caller: Reader, run: str) -> dict[str, Any]:
    """One run, by its id or by the id its caller gave it."""
    return run_document(await own(request, caller, run))


@router.post("/runs/{run}/messages", response_model=RunDocument)
async def send_message(request: Request, caller: Runner, run: str, body: Message) -> dict[str, Any]:
    """Say something to a run; its model reads it before its next step."""
    found = await own(request, caller, run)
    await request.app.state.application.send(found, body.text, by=caller.user)
    return run_document(await own(request, caller, found.id))


@router.post("/runs/{run}/cancel", response_model=RunDocument)
async def cancel_run(request: Request, caller: Runner, run: str, body: Cancel | None = None) -> dict[str, Any]:
    """Stop a run and its children."""
    found = await own(request, caller, run)
    reason = body.reason if body else ""
    return run_document(await request.app.state.application.cancel(found, by=caller.user, reason=reason))


@router.post("/runs/{run}/resume", response_model=RunDocument, status_code=202)
async def resume_run(request: Request, caller: Runner, run: str, body: Resume | None = None) -> dict[str, Any]:
    """Go on with a failed run from where it stood, in the background."""
    found = await own(request, caller, run)
    application: App = request.app.state.application
    limits = Limits(**body.limits.model_dump()) if body and body.limits else None
    resumed = asyncio.create_task(application.resume(found, by=caller.user, limits=limits))
    with suppress(TimeoutError):
        async with asyncio.timeout(0.5):  # what cannot be resumed says so at once
            return run_document(await asyncio.shield(resumed))
    request.app.state.background(resumed)
    return run_document(await application.get(found))


@router.post("/runs/{run}/fork", response_model=RunDocument, status_code=201)
async def fork_run(request: Request, caller: Runner, run: str, body: Fork | None = None) -> dict[str, Any]:
    """Start a new run that goes on from an event of another; calls that had a result by then are not run again."""
    found = await own(request, caller, run)
    at, edit = (body.at, body.edit) if body else (0, None)
    return run_document(await request.app.state.application.fork(found, at=at, edit=edit))


async def start(
    application: App, caller: Caller, body: StartRun, key: str = "", trace: tuple[str, str] = ("", "")
) -> dict[str, Any]:
    """Start a run in the trace of those W3C headers, and wait for it as long as the request says; its document."""
    if body.id and key and body.id != key:
        raise Problem(422, "id and Idempotency-Key differ; send one of them")
    options = RunOptions(
        session=body.session, id=body.id or key, user=caller.user, tenant=caller.tenant, context=body.context, tags=body.tags,
        traceparent=trace[0], tracestate=trace[1], policy=body.policy,
    )  # fmt: skip
    if body.limits is not None:
        options["limits"] = Limits(**body.limits.model_dump())
    if body.deadline is not None:
        options["deadline"] = body.deadline
    run = await application.start(body.agent, body.input, **options)
    if body.wait and not run.ended:
        with suppress(TimeoutError):
            async with asyncio.timeout(body.wait):
                run = await application.wait(run)
        run = await application.get(run)
    return run_document(run)


async def found_page(application: App, caller: Caller, wanted: RunFilter) -> tuple[list[Run[Any]], str | None]:
    """One page of the runs that a caller may know of, and the cursor of the next."""
    named = {**wanted.model_dump(exclude={"cursor", "limit", "tag"}), "tags": wanted.tag, "before": wanted.cursor}
    options = cast("ListOptions", {name: value for name, value in named.items() if value})
    if caller.tenant:
        options["tenant"] = caller.tenant
    options["limit"] = wanted.limit + 1
    found = await application.list(**options)
    return found[: wanted.limit], found[wanted.limit - 1].id if len(found) > wanted.limit else None


async def agent_document(agent: Agent[Any, Any]) -> dict[str, Any]:
    """An agent by name, model and tools; the model is empty where the settings choose it."""
    tools = [
        {"name": spec.name, "description": spec.description, "effect": spec.effect, "input_schema": spec.input_schema}
        for spec in await specs(agent)
    ]
    model = agent.model if isinstance(agent.model, str) else getattr(agent.model, "name", "")
    return {"name": agent.name, "model": model or "", "tools": tools}
