"""A whole run with OpenAI's adapter: tools called in parallel, results read, the answer typed and paid for."""

from __future__ import annotations

from typing import Literal, get_args

import pytest
from pydantic import BaseModel

from surefoot import Agent, App, tool
from surefoot.models.openai import OpenAI
from surefoot.testing.contracts import model as contract

pytestmark = pytest.mark.needs("openai", "aimock")

Api = Literal["chat", "responses"]


class Place(BaseModel):
    city: str
    people: int


@tool(effect="read")
def add(a: float, b: float) -> float:
    """Add two numbers."""
    return a + b


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("api", get_args(Api))
async def test_a_run_calls_tools_and_answers(aimock: str, api: Api, stream: bool) -> None:
    model = OpenAI("gpt-4.1", api_key="k", base_url=aimock, api=api, stream=stream)
    async with App("memory:", agents=[clerk := Agent("clerk", model=model, tools=[add])]) as app:
        run = await app.run(clerk, contract.CALL, session="s")
        assert (run.status, run.output, run.steps) == ("done", contract.DONE, 2)
        # The session's next run sends the first one's calls and results along.
        again = await app.run(clerk, contract.SAY, session="s")
        assert again.output == contract.SAID
        assert again.usage.input == 120
        assert again.cost == pytest.approx((120 * 2 + 30 * 8) / 1e6)
    await model.aclose()


@pytest.mark.parametrize("api", get_args(Api))
async def test_a_run_answers_with_a_value(aimock: str, api: Api) -> None:
    model = OpenAI("gpt-4.1", api_key="k", base_url=aimock, api=api)
    async with App("memory:", agents=[guide := Agent("guide", model=model, output=Place)]) as app:
        run = await app.run(guide, contract.SHAPE)
        assert run.output == Place(city="Bern", people=146_000)
    await model.aclose()


async def test_a_run_says_why_its_model_failed(aimock: str) -> None:
    model = OpenAI("gpt-4.1", api_key="k", base_url=aimock)
    async with App("memory:", agents=[clerk := Agent("clerk", model=model)]) as app:
        run = await app.run(clerk, "Fail with 401.")
        assert run.status == "failed"
        assert run.error is not None
        assert run.error.kind == "auth"
        assert "OPENAI_API_KEY" in run.error.message
    await model.aclose()
