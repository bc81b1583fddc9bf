"""Whole runs with Anthropic's and Gemini's adapters, and a session that goes from provider to provider."""

from __future__ import annotations

import pytest
from pydantic import BaseModel

from surefoot import Agent, App, tool
from surefoot.models.anthropic import Anthropic
from surefoot.models.gemini import Gemini
from surefoot.models.openai import OpenAI
from surefoot.testing.contracts import model as contract

pytestmark = pytest.mark.needs("openai", "anthropic", "gemini", "aimock")

Given = Anthropic | Gemini
PRICES = {"anthropic": (5, 25), "gemini": (0.3, 2.5)}


class Place(BaseModel):
    city: str
    people: int


@tool(effect="read")
def add(a: float, b: float) -> float:
    """Add two numbers."""
    return a + b


@pytest.fixture(params=["anthropic", "gemini"])
def model(request: pytest.FixtureRequest, aimock: str, monkeypatch: pytest.MonkeyPatch) -> Given:
    monkeypatch.setenv("GOOGLE_GENAI_API_VERSION", "v1beta")  # the version that aimock knows
    return made(request.param, aimock)


def made(provider: str, aimock: str) -> Given:
    address = aimock.removesuffix("/v1")
    if provider == "anthropic":
        return Anthropic("claude-opus-4-5", api_key="k", base_url=address)
    return Gemini("gemini-2.5-flash", api_key="k", base_url=address)


async def test_a_run_calls_tools_and_answers(model: Given) -> None:
    async with App("memory:", agents=[clerk := Agent("clerk", model=model, tools=[add])]) as app:
        run = await app.run(clerk, contract.CALL, session="s")
        assert (run.status, run.output, run.steps) == ("done", contract.DONE, 2)
        # The session's next run sends the first one's calls and results along.
        again = await app.run(clerk, contract.SAY, session="s")
        assert again.output == contract.SAID
        given, taken = PRICES[model.name.partition(":")[0]]
        assert again.cost == pytest.approx((120 * given + 30 * taken) / 1e6)
    await model.aclose()


async def test_a_run_answers_with_a_value(model: Given) -> None:
    async with App("memory:", agents=[guide := Agent("guide", model=model, output=Place)]) as app:
        run = await app.run(guide, contract.SHAPE)
        assert run.output == Place(city="Bern", people=146_000)
    await model.aclose()


async def test_a_run_says_why_its_model_failed(model: Given) -> None:
    async with App("memory:", agents=[clerk := Agent("clerk", model=model)]) as app:
        run = await app.run(clerk, "Fail with 401.")
        assert run.status == "failed"
        assert run.error is not None
        assert run.error.kind == "auth"
        assert "_API_KEY" in run.error.message
    await model.aclose()


async def test_a_session_goes_from_provider_to_provider(aimock: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_GENAI_API_VERSION", "v1beta")
    models = [
        OpenAI("gpt-6-sol", api_key="k", base_url=aimock, api="responses"),
        made("anthropic", aimock),
        made("gemini", aimock),
    ]
    agents = [Agent(model.name, model=model, tools=[add]) for model in models]
    async with App("memory:", agents=agents) as app:
        for agent in [*agents, *reversed(agents)]:
            thought = await app.run(agent, "Think first.", session="s")
            assert thought.output == "Done."
            run = await app.run(agent, contract.CALL, session="s")
            assert (run.status, run.output) == ("done", contract.DONE)
    for model in models:
        await model.aclose()
