"""Agents to clients of OpenAI's API: `/v1/models`, `/v1/chat/completions` and `/v1/responses`, streamed and whole.

The model's name is the agent's. A client's system messages are passed on as what the user said first, for an agent has
instructions of its own. An answer that needs a human first says so, with the run it waits in. Formats: OpenAI's API
reference, "Chat Completions" and "Responses".
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from surefoot.app import App
from surefoot.core import canonical
from surefoot.core import events as ev
from surefoot.core.messages import Message, Text, text_of
from surefoot.core.model import Delta
from surefoot.core.run import Run
from surefoot.runs.documents import answerable, to_json
from surefoot.runs.intake import RunOptions
from surefoot.server.access import Reader, Runner, own
from surefoot.server.problems import Problem
from surefoot.server.shapes import STATUSES
from surefoot.server.tokens import Caller

__all__ = ["router"]

_TEXT = 1_000_000


class ErrorDetail(BaseModel):
    """What went wrong, as that API says it."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorDocument(BaseModel):
    """An error of that API."""

    error: ErrorDetail


router = APIRouter(prefix="/v1", tags=["compatible"], responses={status: {"model": ErrorDocument} for status in (*STATUSES, 502)})


class Said(BaseModel):
    """One message of a client; its content is text, or parts of which the text counts."""

    model_config = ConfigDict(extra="ignore")

    role: str = Field(max_length=20)
    content: str | list[dict[str, Any]] | None = None

    @property
    def text(self) -> str:
        """The message's text."""
        if isinstance(self.content, list):
            return "\n".join(str(part["text"]) for part in self.content if isinstance(part.get("text"), str))
        return self.content or ""


class ChatRequest(BaseModel):
    """What is understood of a chat completion request; the rest is the agent's own affair."""

    model_config = ConfigDict(extra="ignore")

    model: str = Field(max_length=200)
    messages: list[Said] = Field(min_length=1, max_length=10_000)
    stream: bool = False


class ResponsesRequest(BaseModel):
    """What is understood of a request for a response."""

    model_config = ConfigDict(extra="ignore")

    model: str = Field(max_length=200)
    input: str | list[Said] = Field(max_length=_TEXT)
    instructions: str | None = Field(None, max_length=_TEXT)
    previous_response_id: str | None = Field(None, max_length=200)
    stream: bool = False


@router.get("/models")
async def models(request: Request, caller: Reader) -> dict[str, Any]:
    """The agents, as models."""
    application: App = request.app.state.application
    return {
        "object": "list",
        "data": [{"id": name, "object": "model", "created": 0, "owned_by": "surefoot"} for name in application.agents],
    }


@router.post("/chat/completions", response_model=None)
async def chat(
    request: Request, caller: Runner, body: ChatRequest, idempotency_key: Annotated[str, Header(max_length=200)] = ""
) -> Response:
    """Run an agent on a conversation."""
    application: App = request.app.state.application
    run = await _begin(request, caller, body.model, body.messages, idempotency_key, "")
    if body.stream:
        return StreamingResponse(_chat_chunks(application, run), media_type="text/event-stream")
    run = await application.wait(run)
    if run.error is not None:
        return _failed(run)
    choice = {"index": 0, "message": {"role": "assistant", "content": _text(run)}, "finish_reason": "stop", "logprobs": None}
    return JSONResponse({**_chat(run, "chat.completion"), "choices": [choice], "usage": _chat_usage(run)})


@router.post("/responses", response_model=None)
async def responses(
    request: Request, caller: Runner, body: ResponsesRequest, idempotency_key: Annotated[str, Header(max_length=200)] = ""
) -> Response:
    """Run an agent on an input; ``previous_response_id`` goes on with that response's conversation."""
    application: App = request.app.state.application
    session = f"responses-{idempotency_key or secrets.token_hex(16)}"
    if body.previous_response_id:
        before = await own(request, caller, body.previous_response_id.removeprefix("resp_"))
        session = before.session
        if not session:
            raise Problem(404, f"response {body.previous_response_id!r} belongs to no conversation; begin one with /v1/responses")
    said = [Said(role="user", content=body.input)] if isinstance(body.input, str) else body.input
    if body.instructions:
        said = [Said(role="system", content=body.instructions), *said]
    run = await _begin(request, caller, body.model, said, idempotency_key, session)
    if body.stream:
        return StreamingResponse(_response_events(application, run), media_type="text/event-stream")
    run = await application.wait(run)
    return _failed(run) if run.error is not None else JSONResponse(_response(run))


async def _begin(request: Request, caller: Caller, agent: str, said: list[Said], key: str, session: str) -> Run[Any]:
    if not said or said[-1].role not in ("user", "tool") or not said[-1].text:
        raise Problem(422, "the last message must be the user's, with some text")
    history = [Message("assistant" if one.role == "assistant" else "user", (Text(one.text),)) for one in said[:-1] if one.text]
    options = RunOptions(
        user=caller.user, tenant=caller.tenant, id=key, history=history, session=session, tags=("v1",),
        traceparent=request.headers.get("traceparent", ""), tracestate=request.headers.get("tracestate", ""),
    )  # fmt: skip
    application: App = request.app.state.application
    return await application.start(agent, said[-1].text, **options)


async def _pieces(application: App, run: Run[Any]) -> AsyncIterator[str]:
    """The text of a run as it comes, to the end; where nothing streamed, the whole of each reply."""
    streamed = ""
    async with aclosing(application.watch(run)) as items:
        async for item in items:
            if isinstance(item, Delta):
                if item.kind == "text" and item.text:
                    streamed += item.text
                    yield item.text
            elif isinstance(item.event, ev.ModelReplied):
                text = text_of(item.event.parts)
                if text and not streamed:
                    yield text
                streamed = ""


async def _chat_chunks(application: App, run: Run[Any]) -> AsyncIterator[str]:
    def chunk(delta: dict[str, str], finish: str | None = None) -> str:
        choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}
        return _sent({**_chat(run, "chat.completion.chunk"), "choices": [choice]})

    yield chunk({"role": "assistant", "content": ""})
    async for text in _pieces(application, run):
        yield chunk({"content": text})
    run = await application.get(run)
    if run.error is not None:
        yield _sent(_error(run))
    elif not run.ended:
        yield chunk({"content": _text(run)})
    yield chunk({}, "stop")
    yield "data: [DONE]\n\n"


async def _response_events(application: App, run: Run[Any]) -> AsyncIterator[str]:
    number, whole = 0, ""

    def event(kind: str, **data: Any) -> str:  # noqa: ANN401  JSON
        nonlocal number
        number += 1
        return f"event: {kind}\n{_sent({'type': kind, 'sequence_number': number - 1, **data})}"

    at = {"item_id": f"msg_{run.id}", "output_index": 0, "content_index": 0}
    yield event("response.created", response=_response(run, "in_progress"))
    yield event("response.output_item.added", output_index=0, item=_item(run, "", "in_progress"))
    yield event("response.content_part.added", **at, part=_part(""))
    async for text in _pieces(application, run):
        whole += text
        yield event("response.output_text.delta", **at, delta=text, logprobs=[])
    run = await application.get(run)
    if run.error is not None:
        yield event("response.failed", response=_response(run, "failed"))
        return
    if not run.ended:
        whole += _text(run)
        yield event("response.output_text.delta", **at, delta=_text(run), logprobs=[])
    yield event("response.output_text.done", **at, text=whole, logprobs=[])
    yield event("response.content_part.done", **at, part=_part(whole))
    yield event("response.output_item.done", output_index=0, item=_item(run, whole, "completed"))
    yield event("response.completed", response=_response(run))


def _text(run: Run[Any]) -> str:
    """The answer, or what it waits for."""
    if run.status == "done":
        return run.output if isinstance(run.output, str) else canonical.dumps(to_json(run.output))
    asked = "; ".join(str(question) for question in answerable(run))
    return f"A human has to decide first: {asked} (run {run.id})"


def _chat(run: Run[Any], kind: str) -> dict[str, Any]:
    return {"id": f"chatcmpl-{run.id}", "object": kind, "created": run.created_at // 1_000_000, "model": run.agent}


def _chat_usage(run: Run[Any]) -> dict[str, Any]:
    return {
        "prompt_tokens": run.usage.input,
        "completion_tokens": run.usage.output,
        "total_tokens": run.usage.total,
        "prompt_tokens_details": {"cached_tokens": run.usage.cached},
        "completion_tokens_details": {"reasoning_tokens": run.usage.reasoning},
    }


def _response(run: Run[Any], status: str = "completed") -> dict[str, Any]:
    failed = run.error and {"code": "server_error", "message": f"{run.error.kind}: {run.error.message}"}
    return {
        "id": f"resp_{run.id}",
        "object": "response",
        "created_at": run.created_at // 1_000_000,
        "status": status,
        "model": run.agent,
        "output": [_item(run, _text(run), "completed")] if status == "completed" else [],
        "error": failed,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {"run": run.id, "status": run.status},
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": {
            "input_tokens": run.usage.input,
            "input_tokens_details": {"cached_tokens": run.usage.cached},
            "output_tokens": run.usage.output,
            "output_tokens_details": {"reasoning_tokens": run.usage.reasoning},
            "total_tokens": run.usage.total,
        },
    }


def _item(run: Run[Any], text: str, status: str) -> dict[str, Any]:
    content = [_part(text)] if status == "completed" else []
    return {"type": "message", "id": f"msg_{run.id}", "role": "assistant", "status": status, "content": content}


def _part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _error(run: Run[Any]) -> dict[str, Any]:
    assert run.error is not None  # asked for failed runs only
    told = f"run {run.id} {run.status}: {run.error.message} {run.error.hint}".strip()
    return {"error": {"message": told, "type": "server_error", "param": None, "code": run.error.kind}}


def _failed(run: Run[Any]) -> Response:
    return JSONResponse(_error(run), 502)


def _sent(data: Any) -> str:  # noqa: ANN401  JSON
    return f"data: {canonical.dumps(data)}\n\n"
