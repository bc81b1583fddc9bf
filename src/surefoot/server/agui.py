"""Agents to front ends that speak AG-UI (Agent User Interaction Protocol, version 1.0): one route, by the protocol's own package.

The thread is a session, the run's id the idempotency key. A run that needs a human ends with an interrupt for each question;
the answers come as ``resume`` entries of the thread's next run, from somebody who may decide, and the run goes on. Tools,
state and context of the front end are not passed on: an agent has tools of its own.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from typing import Any

from ag_ui import core as ag
from ag_ui.encoder import EventEncoder
from fastapi import APIRouter, Request
from fastapi.responses import Response, StreamingResponse
from pydantic import ValidationError

from surefoot.app import App
from surefoot.core import events as ev
from surefoot.core.messages import Message, Text, ToolCall, ToolResult, text_of
from surefoot.core.model import Delta
from surefoot.core.request import Request as Question
from surefoot.core.run import Run
from surefoot.core.state import State
from surefoot.runs.documents import answerable, instant, to_json
from surefoot.runs.intake import RunOptions
from surefoot.server.access import Runner, own
from surefoot.server.approvals import settle
from surefoot.server.problems import Problem
from surefoot.server.shapes import Decision
from surefoot.server.streams import until
from surefoot.server.tokens import Caller

__all__ = ["router"]

router = APIRouter(prefix="/ag-ui", tags=["compatible"])
_NAME, _MOST = 200, 10_000
_WORDS = {
    "outcome": ["done", "retry", "give_up"],
    "answer": ["approve", "deny", "ask", "delegate"],
    "warning": ["approve", "deny", "delegate"],
}


@router.post("/{agent}", response_class=StreamingResponse, responses={200: {"content": {"text/event-stream": {}}}})
async def run_agent(request: Request, caller: Runner, agent: str, body: ag.RunAgentInput) -> Response:
    """Run an agent on the last message of a thread, or go on with a run whose questions ``resume`` answers."""
    application: App = request.app.state.application
    if max(len(body.thread_id), len(body.run_id)) > _NAME or len(body.messages) > _MOST:
        raise Problem(422, f"a thread's and a run's id have at most {_NAME} characters, a thread {_MOST} messages")
    run, seen = await _resumed(request, caller, body) if body.resume else (await _started(application, caller, agent, body), 0)
    encode = EventEncoder().encode

    async def sent() -> AsyncIterator[str]:
        events = until(request.app.state.stop, _events(application, run, seen, body))
        async with aclosing(events):
            async for event in events:
                yield encode(event)

    return StreamingResponse(sent(), media_type="text/event-stream", headers={"Cache-Control": "no-cache"})


async def _started(application: App, caller: Caller, agent: str, body: ag.RunAgentInput) -> Run[Any]:
    """A run on the last message; what was said before counts where the thread is not one of this server's."""
    said = [(message.role, _text(message)) for message in body.messages]
    if not said or said[-1][0] != "user" or not said[-1][1]:
        raise Problem(422, "the last message must be the user's, with some text; or answer questions with `resume`")
    options = RunOptions(
        session=body.thread_id, id=body.run_id, user=caller.user, tenant=caller.tenant, tags=("ag-ui",)
    )  # fmt: skip
    if not await application.list(session=body.thread_id, user=caller.user, tenant=caller.tenant, limit=1):
        words = [("assistant" if role == "assistant" else "user", text) for role, text in said[:-1] if text]
        options["history"] = [Message("assistant" if role == "assistant" else "user", (Text(text),)) for role, text in words]
    return await application.start(agent, said[-1][1], **options)


async def _resumed(request: Request, caller: Caller, body: ag.RunAgentInput) -> tuple[Run[Any], int]:
    """The run whose questions are answered, and the sequence number that its front end has seen."""
    if not caller.may("decide"):
        raise Problem(403, f"{caller.user} is {caller.role}, which may not decide; somebody else's answer is needed")
    application: App = request.app.state.application
    runs = {entry.interrupt_id.partition(":")[0] for entry in body.resume or ()}
    if len(runs) != 1:
        raise Problem(422, "the answers of one request belong to one run")
    run: Run[Any] = await own(request, caller, runs.pop())
    seen = (await application.events(run))[-1].seq
    for entry in body.resume or ():
        await settle(application, caller, entry.interrupt_id, _decision(entry))
    return run, seen


def _decision(entry: ag.ResumeEntry) -> Decision:
    """An answer as the schema of its interrupt asks for it; abandoned is no."""
    try:
        return Decision.model_validate({"decision": "deny"} if entry.status == "cancelled" else entry.payload)
    except ValidationError as error:
        raise Problem(422, f"the answer to {entry.interrupt_id!r} does not fit its schema: {error.errors()[0]['msg']}") from None


async def _events(application: App, run: Run[Any], seen: int, body: ag.RunAgentInput) -> AsyncGenerator[ag.BaseEvent]:
    """A run as the protocol tells it, until it ends or waits."""
    thread, name = body.thread_id, body.run_id
    yield ag.RunStartedEvent(thread_id=thread, run_id=name, protocol_version="1.0")
    tale = _Tale(run.id, await application.store.read(run.id, 0, seen) if seen else ())
    async with aclosing(application.watch(run, after=seen, until="wait")) as items:
        async for item in items:
            for event in tale.of(item):
                yield event
    for event in tale.closed():
        yield event
    run = await application.get(run)
    if run.status == "failed" and run.error is not None:
        yield ag.RunErrorEvent(message=f"{run.error.message} {run.error.hint}".strip(), code=run.error.kind)
        return
    yield ag.RunFinishedEvent(thread_id=thread, run_id=name, result=to_json(run.output), outcome=_outcome(run))


class _Tale:
    """Turns a run's events and the pieces of its text into the protocol's: a message is open while its pieces come."""

    def __init__(self, run: str, before: Sequence[ev.Record]) -> None:
        self._run = run
        self._state = State()
        self._known: set[str] = set()
        for record in before:
            self._results(record)
        self._open = ""
        self._number = 0
        self._streamed = False

    def of(self, item: ev.Record | Delta) -> Sequence[ag.BaseEvent]:
        """What one event or piece means."""
        if isinstance(item, Delta):
            if item.kind == "call" or not item.text:
                return ()
            self._streamed |= item.kind == "text"
            return self._piece(item.kind, item.text)
        told = self._replied(item.event) if isinstance(item.event, ev.ModelReplied) else []
        return [*told, *self._results(item)]

    def closed(self) -> Sequence[ag.BaseEvent]:
        """The end of whatever is open."""
        name, self._open = self._open, ""
        message = self._message
        if name == "text":
            return (ag.TextMessageEndEvent(message_id=message),)
        if name == "reasoning":
            return (ag.ReasoningMessageEndEvent(message_id=message), ag.ReasoningEndEvent(message_id=message))
        return ()

    @property
    def _message(self) -> str:
        return f"{self._run}:{self._number}"

    def _piece(self, kind: str, text: str) -> list[ag.BaseEvent]:
        told: list[ag.BaseEvent] = []
        if self._open != kind:
            told += self.closed()
            self._open = kind
            self._number += 1
            if kind == "text":
                told.append(ag.TextMessageStartEvent(message_id=self._message, role="assistant"))
            else:
                told.append(ag.ReasoningStartEvent(message_id=self._message))
                told.append(ag.ReasoningMessageStartEvent(message_id=self._message, role="reasoning"))
        made = ag.TextMessageContentEvent if kind == "text" else ag.ReasoningMessageContentEvent
        return [*told, made(message_id=self._message, delta=text)]

    def _replied(self, event: ev.ModelReplied) -> list[ag.BaseEvent]:
        text = text_of(event.parts)
        told = [] if self._streamed or not text else self._piece("text", text)
        self._streamed = False
        told += self.closed()
        for call in [part for part in event.parts if isinstance(part, ToolCall)]:
            name = f"{self._run}:{call.id}"
            told.append(ag.ToolCallStartEvent(tool_call_id=name, tool_call_name=call.name))
            told.append(ag.ToolCallArgsEvent(tool_call_id=name, delta=call.arguments))
            told.append(ag.ToolCallEndEvent(tool_call_id=name))
        return told

    def _results(self, record: ev.Record) -> list[ag.BaseEvent]:
        """What calls have come to, as the model reads it: results, failures, refusals, answers of humans."""
        state = self._state
        state.apply(record)
        last = state.messages[-1].parts if state.messages else ()
        found = [*[call.result for call in state.calls.values()], *[part for part in last if isinstance(part, ToolResult)]]
        fresh = [result for result in found if result is not None and result.call not in self._known]
        self._known.update(result.call for result in fresh)
        return [
            ag.ToolCallResultEvent(
                message_id=f"{self._run}:{result.call}:result", tool_call_id=f"{self._run}:{result.call}", content=result.text
            )
            for result in fresh
        ]


def _outcome(run: Run[Any]) -> ag.RunFinishedOutcome:
    if run.status == "cancelled":
        return ag.RunFinishedCancelledOutcome()
    asked = answerable(run)
    if run.status == "done" or not asked:
        return ag.RunFinishedSuccessOutcome()
    return ag.RunFinishedInterruptOutcome(interrupts=[_interrupt(question) for question in asked])


def _interrupt(question: Question) -> ag.Interrupt:
    words = _WORDS.get(question.kind, ["approve", "deny", "answer", "ask", "delegate"])
    schema = Decision.model_json_schema()
    schema["properties"]["decision"]["enum"] = words
    return ag.Interrupt(
        id=question.id, reason=question.kind, message=str(question), tool_call_id=f"{question.run}:{question.call}",
        response_schema=schema, expires_at=instant(question.expires_at),
    )  # fmt: skip


def _text(message: Any) -> str:  # noqa: ANN401  one of the protocol's messages
    """A message's text; parts that are no text do not count."""
    content = getattr(message, "content", None)
    if isinstance(content, list):
        return "\n".join([part.text for part in content if getattr(part, "type", "") == "text"])
    return content if isinstance(content, str) else ""
