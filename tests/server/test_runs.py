"""Runs over HTTP: started, looked at, listed, steered, ended."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.components import require

require("server")

from surefoot.core.agent import Agent  # noqa: E402
from surefoot.core.model import ModelRequest  # noqa: E402
from surefoot.testing.models import FunctionModel, ScriptedModel  # noqa: E402
from tests.server.service import add, refund, serving  # noqa: E402


async def test_a_run_is_started_and_waited_for() -> None:
    async with serving() as service:
        client = service.client()
        answer = await client.post("/api/runs", json={"agent": "clerk", "input": "hello", "wait": 4, "tags": ["a"]})
        assert answer.status_code == 201
        run = answer.json()
        assert (run["status"], run["output"], run["tags"]) == ("done", "You said: hello (1)", ["a"])
        assert (await client.get(f"/api/runs/{run['id']}")).json() == run


async def test_the_same_key_names_the_same_run() -> None:
    async with serving() as service:
        client = service.client()
        body = {"agent": "clerk", "input": "hello", "id": "order-81"}
        first = (await client.post("/api/runs", json=body)).json()
        again = (await client.post("/api/runs", json={**body, "id": ""}, headers={"Idempotency-Key": "order-81"})).json()
        assert again["id"] == first["id"]
        other = await client.post("/api/runs", json={**body, "input": "something else"})
        assert other.status_code == 409
        assert other.headers["content-type"] == "application/problem+json"
        assert other.json()["error"] == "RunConflict"
        both = await client.post("/api/runs", json=body, headers={"Idempotency-Key": "another"})
        assert both.status_code == 422


@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        ({"agent": "nobody", "input": "hi"}, 404, "no agent 'nobody'"),
        ({"agent": "clerk"}, 422, "body.input"),
        ({"agent": "clerk", "input": ""}, 422, "body.input"),
        ({"agent": "clerk", "input": "hi", "colour": "red"}, 422, "body.colour"),
        ({"agent": "clerk", "input": "hi", "limits": {"steps": 0}}, 422, "body.limits.steps"),
        ({"agent": "clerk", "input": "hi", "deadline": -1}, 422, "body.deadline"),
    ],
)
async def test_what_cannot_be_started_says_why(body: dict[str, object], status: int, told: str) -> None:
    async with serving() as service:
        answer = await service.client().post("/api/runs", json=body)
        assert answer.status_code == status
        assert told in answer.json()["detail"]


async def test_runs_are_listed_a_page_at_a_time() -> None:
    async with serving() as service:
        client = service.client()
        for number in range(5):
            await client.post(
                "/api/runs", json={"agent": "clerk", "input": f"number {number}", "wait": 4, "tags": [f"t{number}"]}
            )
        first = (await client.get("/api/runs", params={"limit": 3})).json()
        rest = (await client.get("/api/runs", params={"limit": 3, "cursor": first["cursor"]})).json()
        inputs = [run["output"] for run in first["runs"] + rest["runs"]]
        assert inputs == [f"You said: number {number} (1)" for number in (4, 3, 2, 1, 0)]
        assert rest["cursor"] is None
        tagged = (await client.get("/api/runs", params={"tag": "t2", "status": ["done", "failed"]})).json()["runs"]
        assert [run["tags"] for run in tagged] == [["t2"]]
        found = (await client.get("/api/runs", params={"text": "number 3"})).json()["runs"]
        assert [run["output"] for run in found] == ["You said: number 3 (1)"]
        assert (await client.get("/api/runs", params={"status": "sleepy"})).status_code == 422


async def test_a_run_is_steered_cancelled_and_resumed() -> None:
    model = ScriptedModel(("refund", {"order": "1", "cents": 1}), "never asked")
    agent = Agent("waiter", model=model, tools=[refund])
    async with serving(agents=(agent,)) as service:
        client = service.client()
        run = (await client.post("/api/runs", json={"agent": "waiter", "input": "go", "wait": 4})).json()
        assert run["status"] == "waiting"
        said = await client.post(f"/api/runs/{run['id']}/messages", json={"text": "hurry"})
        assert said.status_code == 200
        ended = (await client.post(f"/api/runs/{run['id']}/cancel", json={"reason": "enough"})).json()
        assert (ended["status"], ended["error"]["message"]) == ("cancelled", "enough")
        assert (await client.post(f"/api/runs/{run['id']}/resume")).status_code == 409
        assert (await client.post(f"/api/runs/{run['id']}/messages", json={"text": "hello?"})).status_code == 409
        events = (await client.get(f"/api/runs/{run['id']}/events")).json()
        by = [one["event"].get("by") for one in events if one["event"]["type"] in ("message.received", "run.cancel_requested")]
        assert len(set(by)) == 1
        assert by[0]


async def test_a_failed_run_goes_on_with_other_limits() -> None:
    def work(request: ModelRequest) -> Any:
        return ("add", {"a": 1, "b": 2}) if len(request.messages) < 4 else "three"

    agent = Agent("adder", model=FunctionModel(work), tools=[add])
    async with serving(agents=(agent,)) as service:
        client = service.client()
        body = {"agent": "adder", "input": "go", "wait": 4, "limits": {"steps": 1}}
        run = (await client.post("/api/runs", json=body)).json()
        assert (run["status"], run["error"]["kind"]) == ("failed", "limit_exceeded")
        answer = await client.post(f"/api/runs/{run['id']}/resume", json={"limits": {"steps": 9}})
        assert answer.status_code == 202
        async with asyncio.timeout(4):
            assert (await service.app.wait(run["id"])).output == "three"


async def test_agents_are_listed_with_their_tools() -> None:
    async with serving() as service:
        (agent,) = (await service.client().get("/api/agents")).json()
        assert (agent["name"], agent["model"]) == ("clerk", "scripted:function")
        assert {tool["name"]: tool["effect"] for tool in agent["tools"]} == {"refund": "unsafe", "add": "read"}


async def test_health_says_whether_it_lives_and_can_work() -> None:
    async with serving() as service:
        client = service.client()
        assert (await client.get("/health/live")).json() == {"status": "alive"}
        assert (await client.get("/health/ready")).json() == {"status": "ready"}


async def test_what_is_not_there_is_a_problem_document() -> None:
    async with serving() as service:
        client = service.client()
        for path in ("/nothing", "/api/runs/nope", "/api/runs/nope/events", "/api/approvals/nope:0.0"):
            answer = await client.get(path)
            assert answer.status_code == 404, path
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["detail"]
        assert (await client.put("/api/runs")).status_code == 405
