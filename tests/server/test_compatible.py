"""An agent to a client of somebody else's API, by that vendor's own package."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.components import require

require("server", "openai")

import openai  # noqa: E402

from tests.server.service import Service, serving  # noqa: E402


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    async with serving() as made:
        yield made


@pytest.fixture
async def client(service: Service) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{service.url}/v1", api_key=await service.token("operator"), max_retries=0) as made:
        yield made


def said(*texts: str) -> list[Any]:
    roles = ("user", "assistant")
    return [{"role": roles[number % 2], "content": text} for number, text in enumerate(texts)]


async def test_agents_are_models(client: openai.AsyncOpenAI) -> None:
    assert [model.id async for model in client.models.list()] == ["clerk"]


async def test_a_whole_completion(client: openai.AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(model="clerk", messages=said("hello", "yes?", "again"))
    assert answer.choices[0].message.content == "You said: again (3)"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None


async def test_a_streamed_completion(client: openai.AsyncOpenAI) -> None:
    stream = await client.chat.completions.create(model="clerk", messages=said("hello"), stream=True)
    chunks = [chunk async for chunk in stream]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "You said: hello (1)"
    assert chunks[-1].choices[0].finish_reason == "stop"


async def test_a_question_to_a_human_is_said(service: Service, client: openai.AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(model="clerk", messages=said("refund it"))
    (run,) = await service.app.list(status="waiting")
    text = answer.choices[0].message.content
    assert text is not None
    assert text.startswith("A human has to decide first: Run refund(")
    assert run.id in text
    stream = await client.chat.completions.create(model="clerk", messages=said("refund it"), stream=True)
    assert "A human has to decide first" in "".join([chunk.choices[0].delta.content or "" async for chunk in stream])


async def test_a_run_that_fails_is_an_error(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="no agent 'nobody'"):
        await client.chat.completions.create(model="nobody", messages=said("hello"))
    with pytest.raises(openai.UnprocessableEntityError, match="the last message"):
        await client.chat.completions.create(model="clerk", messages=said("hello", "yes?"))


async def test_a_response_and_the_next_of_its_conversation(client: openai.AsyncOpenAI) -> None:
    first = await client.responses.create(model="clerk", input="hello", instructions="be kind")
    assert first.output_text == "You said: hello (2)"
    assert first.status == "completed"
    second = await client.responses.create(model="clerk", input="and now?", previous_response_id=first.id)
    assert second.output_text == "You said: and now? (4)"
    with pytest.raises(openai.NotFoundError):
        await client.responses.create(model="clerk", input="hi", previous_response_id="resp_nothing")


async def test_a_streamed_response(client: openai.AsyncOpenAI) -> None:
    async with client.responses.stream(model="clerk", input="hello") as stream:
        kinds = [event.type async for event in stream]
        final = await stream.get_final_response()
    assert final.output_text == "You said: hello (1)"
    assert kinds[0] == "response.created"
    assert kinds[-1] == "response.completed"


async def test_viewers_run_nothing(service: Service) -> None:
    async with openai.AsyncOpenAI(base_url=f"{service.url}/v1", api_key=await service.token("viewer"), max_retries=0) as client:
        with pytest.raises(openai.PermissionDeniedError):
            await client.chat.completions.create(model="clerk", messages=said("hello"))
