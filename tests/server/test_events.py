"""Events over HTTP: as JSON, live, and on from where a client left off."""

from __future__ import annotations

import asyncio

import msgspec

from tests.components import require

require("server")

from surefoot.core.events import Record  # noqa: E402
from tests.server.service import events_of, serving  # noqa: E402


async def test_events_are_those_of_the_journal() -> None:
    async with serving() as service:
        client = service.client()
        run = (await client.post("/api/runs", json={"agent": "clerk", "input": "hello", "wait": 4})).json()
        answer = await client.get(f"/api/runs/{run['id']}/events")
        assert msgspec.json.decode(answer.content, type=list[Record]) == await service.app.events(run["id"])
        some = (await client.get(f"/api/runs/{run['id']}/events", params={"after": 2, "limit": 1})).json()
        assert [one["seq"] for one in some] == [3]


async def test_a_stream_has_every_event_and_ends_with_the_run() -> None:
    async with serving() as service:
        client = service.client()
        run = (await client.post("/api/runs", json={"agent": "clerk", "input": "refund it", "wait": 4})).json()
        reading = asyncio.create_task(events_of(client, f"/api/runs/{run['id']}/stream"))
        question = run["waiting"][0]["id"]
        await service.client().post(f"/api/approvals/{question}/decision", json={"decision": "approve"})
        seen = await reading
        stored = await service.app.events(run["id"])
        assert [int(one["id"]) for one in seen if "id" in one] == [record.seq for record in stored]
        assert [one["event"] for one in seen][-2:] == ["run.finished", "end"]
        text = "".join(one["data"]["text"] for one in seen if one["event"] == "delta" and one["data"]["kind"] == "text")
        assert text in ("", "Done: refunded 6200 cents on order 81")


async def test_a_client_that_comes_back_misses_nothing() -> None:
    async with serving() as service:
        client = service.client()
        run = (await client.post("/api/runs", json={"agent": "clerk", "input": "hello", "wait": 4})).json()
        path = f"/api/runs/{run['id']}/stream"
        whole = [one.get("id") for one in await events_of(client, path)]
        first = await events_of(client, path, count=2)
        rest = await events_of(client, path, **{"Last-Event-ID": first[-1]["id"]})
        assert [one.get("id") for one in [*first, *rest]] == whole


async def test_all_runs_in_one_stream() -> None:
    async with serving() as service:
        client = service.client()
        reading = asyncio.create_task(events_of(client, "/api/events", count=4))
        await service.client().post("/api/runs", json={"agent": "clerk", "input": "one", "wait": 4})
        await service.client().post("/api/runs", json={"agent": "clerk", "input": "two", "wait": 4})
        seen = await reading
        assert [int(one["id"]) for one in seen] == sorted(int(one["id"]) for one in seen)
        assert seen[0]["event"] == "run.started"


async def test_the_description_holds_the_events_schemas() -> None:
    async with serving() as service:
        described = (await service.client().get("/api/openapi.json")).json()
        schemas = described["components"]["schemas"]
        assert {"Record", "RunStarted", "ToolIndeterminate", "RunDocument", "ProblemDocument"} <= schemas.keys()
        listed = described["paths"]["/api/runs/{run}/events"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        assert listed == {"type": "array", "items": {"$ref": "#/components/schemas/Record"}}


async def test_the_events_of_all_runs_as_json_page_by_page() -> None:
    async with serving() as service:
        for tenant in ("theirs", "ours", "theirs", "ours"):
            await service.app.run("clerk", "hi", tenant=tenant)
        everybody = service.client(await service.token("viewer"), Accept="application/json")
        whole = (await everybody.get("/api/events")).json()
        assert len({record["stream"] for record in whole}) == 4
        assert (await everybody.get("/api/events", params={"after": whole[2]["position"], "limit": 2})).json() == whole[3:5]
        ours = service.client(await service.token("viewer", "ann", tenant="ours"), Accept="application/json")
        mine = (await ours.get("/api/events", params={"limit": 3})).json()
        mine += (await ours.get("/api/events", params={"after": mine[-1]["position"]})).json()
        assert {(await service.app.get(record["stream"])).tenant for record in mine} == {"ours"}
        assert len(mine) == len(whole) / 2
