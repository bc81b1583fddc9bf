"""Questions over HTTP: list them, look at one, settle it. Who decides is who authenticated."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request

from surefoot.app import App
from surefoot.core.errors import RequestNotFound, SurefootError
from surefoot.core.request import Callback
from surefoot.core.request import Request as Question
from surefoot.core.run import Run
from surefoot.runs.decisions import DecideOptions
from surefoot.runs.documents import answerable, request_document, run_document
from surefoot.runs.intake import ListOptions
from surefoot.server.access import Decider, Reader, own
from surefoot.server.problems import Problem
from surefoot.server.shapes import Decision, RequestDocument, RunDocument
from surefoot.server.tokens import Caller

__all__ = ["open_questions", "router", "settle", "settle_by"]

router = APIRouter(prefix="/api/approvals", tags=["approvals"])


@router.get("", response_model=list[RequestDocument])
async def list_questions(
    request: Request,
    caller: Reader,
    tool: Annotated[str, Query(max_length=200)] = "",
    agent: Annotated[str, Query(max_length=200)] = "",
    limit: Annotated[int, Query(ge=1, le=1_000)] = 200,
) -> list[dict[str, Any]]:
    """Open questions, those that may wait least first: unknown outcomes, then by age."""
    found = await open_questions(request.app.state.application, caller, agent=agent, limit=limit)
    return [request_document(question) for _, question in found if not tool or question.tool == tool]


@router.get("/{question}", response_model=RequestDocument)
async def get_question(request: Request, caller: Reader, question: str) -> dict[str, Any]:
    """One open question."""
    run = await own(request, caller, question.partition(":")[0])
    for one in answerable(run):
        if one.id == question:
            return request_document(one)
    raise RequestNotFound(question)


@router.post("/{question}/decision", response_model=RunDocument)
async def decide(request: Request, caller: Decider, question: str, body: Decision) -> dict[str, Any]:
    """Settle a question. 409 when somebody was faster."""
    await own(request, caller, question.partition(":")[0])
    return run_document(await settle(request.app.state.application, caller, question, body))


async def settle(application: App, caller: Caller, question: str, body: Decision) -> Run[Any]:
    """Settle a question in a caller's name. Raises Problem 422 for what only an approval can hold."""
    if body.decision != "approve" and (body.edit is not None or body.sticky):
        raise Problem(422, "only an approval has an edit, or holds for more of the run")
    said = DecideOptions(by=caller.user, how=caller.how, reason=body.reason, digest=body.digest)
    match body.decision:
        case "approve" | "deny" as word:
            said["approve"] = word == "approve"
            if body.edit is not None:
                said["edit"] = body.edit
            if body.sticky:
                said["sticky"] = body.sticky
        case "answer":
            said["answer"] = body.result
        case "ask":
            said["ask"] = body.reason
        case "delegate":
            said["delegate"] = body.to
        case outcome:
            return await application.settle(
                question, outcome, result=body.result, by=caller.user, how=caller.how, reason=body.reason
            )
    return await application.decide(question, **said)


async def settle_by(application: App, said: Callback, how: str) -> str:
    """Settle a question as a channel's callback says; what whoever sent it is told."""
    try:
        if said.decision in ("retry", "give_up"):
            await application.settle(said.request, said.decision, by=said.by, how=how)  # type: ignore[arg-type]
        else:
            approve = said.decision == "approve"
            await application.decide(said.request, approve=approve, by=said.by, how=how, digest=said.digest)
    except SurefootError as error:
        return str(error)
    return "It is decided."


async def open_questions(
    application: App, caller: Caller, *, agent: str = "", limit: int = 200
) -> list[tuple[Run[Any], Question]]:
    """The open questions of the runs that a caller may know of, each once, with the run that asks."""
    options = ListOptions(status="waiting", limit=limit)
    if caller.tenant:
        options["tenant"] = caller.tenant
    if agent:
        options["agent"] = agent
    found = [(run, question) for run in await application.list(**options) for question in answerable(run)]
    # A parent shows its children's questions too.
    own_first = [(run, question) for run, question in found if question.run == run.id]
    return sorted(own_first, key=lambda one: (one[1].kind != "outcome", one[1].asked_at))[:limit]
