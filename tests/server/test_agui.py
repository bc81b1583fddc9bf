"""An agent to a front end that speaks AG-UI, read with the protocol's own types."""

from __future__ import annotations

import asyncio
from typing import Any

from pydantic import TypeAdapter

from tests.components import require

require("server")

from ag_ui import core as ag  # noqa: E402

from surefoot.core.agent import Agent  # noqa: E402
from surefoot.core.model import Delta, Emit, ModelReply, ModelRequest  # noqa: E402
from tests.server.service import Service, serving  # noqa: E402

EVENTS: TypeAdapter[Any] = TypeAdapter(ag.Event)


class Thinking:
    """A model that reasons, then says something, in pieces, once somebody listens."""

    name, context_window = "scripted:thinking", 10_000

    def __init__(self) -> None:
        self.heard = asyncio.Event()

    async def request(self, request: ModelRequest, emit: Emit) -> ModelReply:
        await self.heard.wait()
        for kind, text in (("reasoning", "well"), ("text", "Good "), ("text", "day")):
            emit(Delta(kind, text))  # type: ignore[arg-type]
        return ModelReply.say("Good day")


async def told(service: Service, thread: str, run: str, secret: str = "", agent: str = "clerk", **more: Any) -> list[Any]:
    """Give the events that a front end is sent."""
    body = ag.RunAgentInput(thread_id=thread, run_id=run, **{"messages": [], **more}).model_dump(mode="json", by_alias=True)
    answer = await service.client(secret).post(f"/ag-ui/{agent}", json=body)
    assert answer.status_code == 200, answer.text
    return [EVENTS.validate_json(line.removeprefix("data: ")) for line in answer.text.splitlines() if line]


def says(*texts: str) -> list[Any]:
    made = (ag.UserMessage, ag.AssistantMessage)
    return [made[number % 2](id=str(number), content=text) for number, text in enumerate(texts)]


def types(events: list[Any]) -> list[str]:
    return [str(event.type.value) for event in events]


async def test_pieces_of_text_and_reasoning_are_messages_of_their_own() -> None:
    model = Thinking()
    async with serving(agents=(Agent("clerk", model=model),)) as service:
        body = ag.RunAgentInput(thread_id="t", run_id="r", messages=says("hello")).model_dump(mode="json", by_alias=True)
        events = []
        async with service.client().stream("POST", "/ag-ui/clerk", json=body) as answer:
            async for line in answer.aiter_lines():
                events += [EVENTS.validate_json(line.removeprefix("data: "))] if line else []
                model.heard.set()
        assert types(events) == [
            "RUN_STARTED", "REASONING_START", "REASONING_MESSAGE_START", "REASONING_MESSAGE_CONTENT", "REASONING_MESSAGE_END",
            "REASONING_END", "TEXT_MESSAGE_START", "TEXT_MESSAGE_CONTENT", "TEXT_MESSAGE_CONTENT", "TEXT_MESSAGE_END",
            "RUN_FINISHED",
        ]  # fmt: skip
        assert "".join(event.delta for event in events if event.type == ag.EventType.TEXT_MESSAGE_CONTENT) == "Good day"
        assert len({event.message_id for event in events if hasattr(event, "message_id")}) == 2
        assert (events[0].thread_id, events[-1].run_id, events[-1].result) == ("t", "r", "Good day")


async def test_a_thread_is_a_conversation_and_a_run_happens_once() -> None:
    async with serving() as service:
        first = await told(service, "t", "r1", messages=says("a", "b", "hello"))
        assert first[-1].result == "You said: hello (3)"
        assert (await told(service, "t", "r1", messages=says("a", "b", "hello")))[-1].result == first[-1].result
        again = await told(service, "t", "r2", messages=says("a", "b", "hello", "You said: hello (3)", "and now?"))
        assert again[-1].result == "You said: and now? (5)"
        assert len(await service.app.list()) == 2
        (parts,) = [ag.UserMessage(id="1", content=[{"type": "text", "text": "in parts"}])]  # type: ignore[list-item]
        assert (await told(service, "u", "r3", messages=[parts]))[-1].result == "You said: in parts (1)"


async def test_a_question_is_an_interrupt_that_the_next_run_answers() -> None:
    async with serving() as service:
        operator, admin = await service.token("operator"), await service.token("admin", "dana")
        asked = await told(service, "t", "r1", operator, messages=says("refund it"))
        assert types(asked)[1:4] == ["TOOL_CALL_START", "TOOL_CALL_ARGS", "TOOL_CALL_END"]
        outcome = asked[-1].outcome
        assert outcome.type == "interrupt"
        (interrupt,) = outcome.interrupts
        assert interrupt.tool_call_id == asked[1].tool_call_id
        assert "Run refund(" in interrupt.message
        answer = {"interrupt_id": interrupt.id, "status": "resolved", "payload": {"decision": "approve", "edit": {"cents": 5}}}
        entry = ag.ResumeEntry.model_validate(answer)
        body = ag.RunAgentInput(thread_id="t", run_id="r2", messages=[], resume=[entry]).model_dump(mode="json", by_alias=True)
        assert (await service.client(operator).post("/ag-ui/clerk", json=body)).status_code == 403
        done = await told(service, "t", "r2", admin, resume=[entry])
        assert done[1].content.endswith("refunded 5 cents on order 81")
        assert done[1].tool_call_id == asked[1].tool_call_id
        assert done[-1].result == f"Done: {done[1].content}"
        assert (await service.client(admin).post("/ag-ui/clerk", json=body)).status_code == 409
        (run,) = await service.app.list()
        decided = [record.event for record in await service.app.events(run) if "Decided" in type(record.event).__name__]
        assert [event.by for event in decided] == ["dana"]  # type: ignore[union-attr]


async def test_what_is_abandoned_is_denied_and_what_fails_is_an_error() -> None:
    async with serving() as service:
        asked = await told(service, "t", "r1", messages=says("refund it"))
        entry = ag.ResumeEntry(interrupt_id=asked[-1].outcome.interrupts[0].id, status="cancelled")
        done = await told(service, "t", "r2", resume=[entry])
        assert done[-1].result.startswith("Done: ")
        assert "Denied by" in done[1].content
        assert (await told(service, "t", "r3", messages=says("refund it")))[-1].outcome.type == "interrupt"
        (run,) = await service.app.list(status="waiting")
        await service.app.cancel(run)
        assert (await told(service, "t", "r3", messages=says("refund it")))[-1].outcome.type == "cancelled"


async def test_what_does_not_fit_says_so() -> None:
    async with serving() as service:
        client = service.client()
        for more, status in (
            ({"messages": []}, 422),
            ({"messages": [{"id": "1", "role": "assistant", "content": "hi"}]}, 422),
            ({"threadId": "x" * 300, "messages": [{"id": "1", "role": "user", "content": "hi"}]}, 422),
            ({"messages": [], "resume": [{"interruptId": "nothing:0.0", "status": "cancelled"}]}, 404),
            ({"messages": [], "resume": [{"interruptId": one, "status": "cancelled"} for one in ("a:1", "b:1")]}, 422),
        ):
            answer = await client.post("/ag-ui/clerk", json={"threadId": "t", "runId": "r", **more})
            assert answer.status_code == status, (more, answer.text)
        run = await service.app.run("clerk", "refund it")
        wrong = {"interruptId": run.waiting[0].id, "status": "resolved", "payload": "yes"}
        answer = await client.post("/ag-ui/clerk", json={"threadId": "t", "runId": "r", "messages": [], "resume": [wrong]})
        assert (answer.status_code, (await service.app.get(run)).status) == (422, "waiting")
        message = [{"id": "1", "role": "user", "content": "hi"}]
        answer = await client.post("/ag-ui/nobody", json={"threadId": "t", "runId": "r", "messages": message})
        assert answer.status_code == 404


async def test_a_run_that_fails_ends_with_an_error() -> None:
    class Broken:
        name, context_window = "scripted:broken", 10_000

        async def request(self, request: ModelRequest, emit: Emit) -> ModelReply:
            raise PermissionError("no")

    async with serving(agents=(Agent("clerk", model=Broken()),)) as service:
        events = await told(service, "t", "r", messages=says("hello"))
        assert types(events) == ["RUN_STARTED", "RUN_ERROR"]
        assert events[-1].code
