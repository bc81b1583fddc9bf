"""What came of runs, in figures, over HTTP; what is remembered; and a run that goes on from another."""

from __future__ import annotations

import asyncio

from tests.components import require

require("server")

from tests.server.service import KEEPING, serving  # noqa: E402


async def test_runs_are_counted_and_scraped() -> None:
    async with serving() as service:
        client = service.client(await service.token("viewer"))
        for text in ("hello", "boom"):
            await service.app.run("clerk", text)
        rows = (await client.get("/api/stats", params={"by": "agent"})).json()["rows"]
        assert [(row["name"], row["count"], row["failed"]) for row in rows] == [("clerk", 2, 0)]
        assert (await client.get("/api/stats", params={"by": "tool", "since": "1h"})).json()["rows"][0]["errors"] == {
            "not_found": 1
        }
        assert (await client.get("/api/stats", params={"since": "long"})).status_code == 422
        told = (await client.get("/api/health")).json()
        assert {subject["name"] for subject in told["subjects"]} == {"scripted:function"}
        assert (await client.get("/api/health", params={"since": "?"})).status_code == 422
        async with asyncio.timeout(5):
            while "surefoot_runs_total" not in (scraped := await client.get("/metrics")).text:
                pass
        assert scraped.headers["content-type"].startswith("text/plain; version=0.0.4")
        assert 'surefoot_runs_total{gen_ai_agent_name="clerk"' in scraped.text


async def test_figures_of_all_tenants_are_not_for_one() -> None:
    async with serving() as service:
        await service.app.run("clerk", "hello", tenant="red")
        await service.app.run("clerk", "hello", tenant="blue")
        red = service.client(await service.token("admin", tenant="red"))
        assert [row["count"] for row in (await red.get("/api/stats")).json()["rows"]] == [1]
        for path in ("/metrics", "/api/health"):
            assert (await red.get(path)).status_code == 403
        assert (await service.client().get("/metrics")).status_code == 401


async def test_memory_is_searched_listed_and_forgotten() -> None:
    async with serving(agents=KEEPING) as service:
        await service.app.run("clerk", "The lighthouse is painted red.", user="ann", session="one")
        await service.app.run("clerk", "My bicycle stands in the cellar.", user="bob", session="two", tenant="blue")
        viewer = service.client(await service.token("viewer"))
        listed = (await viewer.get("/api/memory", params={"user": "ann"})).json()["entries"]
        assert {entry["scope"]["user"] for entry in listed} == {"ann"}
        hits = (await viewer.get("/api/memory", params={"query": "which colour has the lighthouse"})).json()["hits"]
        assert "lighthouse" in hits[0]["entry"]["text"]
        assert sum(hits[0]["parts"].values()) > 0
        entry = (await viewer.get(f"/api/memory/{hits[0]['entry']['id']}")).json()
        assert entry["run"]
        assert (await viewer.delete(f"/api/memory/{entry['id']}")).status_code == 403
        bob = service.client(await service.token("operator", "bob"))
        refused = await bob.delete(f"/api/memory/{entry['id']}")
        assert (refused.status_code, "ann" in refused.json()["detail"]) == (403, True)
        ann = service.client(await service.token("operator", "ann"))
        assert (await ann.delete(f"/api/memory/{entry['id']}", params={"erase": True})).json() == {"forgotten": 1}
        assert (await viewer.get(f"/api/memory/{entry['id']}")).status_code == 404
        red = service.client(await service.token("admin", tenant="red"))
        assert (await red.get("/api/memory")).json()["entries"] == []
        theirs = (await viewer.get("/api/memory", params={"user": "bob", "kind": "episode"})).json()["entries"][0]
        assert (await red.get(f"/api/memory/{theirs['id']}")).status_code == 404


async def test_a_run_goes_on_from_an_event_of_another() -> None:
    async with serving() as service:
        run = await service.app.run("clerk", "hello")
        client = service.client(await service.token("operator"))
        forked = await client.post(f"/api/runs/{run.id}/fork", json={"at": 1, "edit": "good day"})
        assert forked.status_code == 201
        assert (await service.app.wait(forked.json()["id"])).output == "You said: good day (1)"
        assert (
            await service.app.wait((await client.post(f"/api/runs/{run.id}/fork")).json()["id"])
        ).output == "You said: hello (1)"
        assert (await client.post(f"/api/runs/{run.id}/fork", json={"at": 99})).status_code in (409, 422)
