"""Who may do what: tokens, roles, tenants, browsers of other sites, and what holds for every request."""

from __future__ import annotations

import asyncio

import pytest

from tests.components import require

require("server")

from surefoot.server.access import COOKIE  # noqa: E402
from tests.server.service import serving  # noqa: E402


async def test_without_tokens_only_this_machine_by_its_name() -> None:
    async with serving() as service:
        assert (await service.client().get("/api/runs")).status_code == 200
        for host in ("evil.example", "127.0.0.1.evil.example", "10.0.0.5:8420"):
            answer = await service.client(Host=host).get("/api/runs")
            assert answer.status_code == 401, host


async def test_once_there_is_a_token_everybody_needs_one() -> None:
    async with serving() as service:
        secret = await service.token("viewer")
        answer = await service.client().get("/api/runs")
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
        assert (await service.client("sft_made_up").get("/api/runs")).status_code == 401
        assert (await service.client(Authorization=f"Basic {secret}").get("/api/runs")).status_code == 401
        assert (await service.client(secret).get("/api/runs")).status_code == 200
        assert (await service.client(Cookie=f"{COOKIE}={secret}").get("/api/runs")).status_code == 200
        assert (await service.client(Cookie=f"{COOKIE}=old").get("/api/runs")).status_code == 401
        # Whether somebody may ask is no secret, and a balancer has no token.
        assert (await service.client().get("/health/ready")).status_code == 200


@pytest.mark.parametrize(
    ("role", "starts", "decides"), [("viewer", 403, 403), ("operator", 201, 403), ("approver", 403, 404), ("admin", 201, 404)]
)
async def test_roles(role: str, starts: int, decides: int) -> None:
    async with serving() as service:
        client = service.client(await service.token(role))
        assert (await client.post("/api/runs", json={"agent": "clerk", "input": "hi"})).status_code == starts
        assert (await client.post("/api/approvals/x:0.0/decision", json={"decision": "deny"})).status_code == decides
        assert (await client.get("/api/runs")).status_code == 200


async def test_a_tenants_caller_sees_and_touches_its_own_runs_only() -> None:
    async with serving() as service:
        ours = service.client(await service.token("admin", "ann", tenant="ours"))
        theirs = service.client(await service.token("admin", "bob", tenant="theirs"))
        everybody = service.client(await service.token("admin", "root"))
        run = (await ours.post("/api/runs", json={"agent": "clerk", "input": "refund it", "wait": 4})).json()
        assert run["tenant"] == "ours"
        question = run["waiting"][0]["id"]
        for method, path in (
            ("GET", f"/api/runs/{run['id']}"),
            ("GET", f"/api/runs/{run['id']}/events"),
            ("POST", f"/api/runs/{run['id']}/cancel"),
            ("GET", f"/api/approvals/{question}"),
        ):
            assert (await theirs.request(method, path)).status_code == 404, path
        answer = await theirs.post(f"/api/approvals/{question}/decision", json={"decision": "approve"})
        assert answer.status_code == 404
        assert (await theirs.get("/api/approvals")).json() == []
        assert (await theirs.get("/api/runs")).json()["runs"] == []
        assert [one["id"] for one in (await everybody.get("/api/runs")).json()["runs"]] == [run["id"]]


async def test_another_sites_page_changes_nothing() -> None:
    async with serving() as service:
        body = {"agent": "clerk", "input": "hi"}
        for headers in ({"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}):
            assert (await service.client(**headers).post("/api/runs", json=body)).status_code == 403, headers
        secret = await service.token("admin")
        cookie = {"Cookie": f"{COOKIE}={secret}"}
        answer = await service.client(**cookie, Origin="http://evil.example").post("/api/runs", json=body)
        assert answer.status_code == 403
        for headers in ({"Origin": service.url}, {"Sec-Fetch-Site": "same-origin"}):
            assert (await service.client(**cookie, **headers).post("/api/runs", json=body)).status_code == 201
        # A token in a header is no browser's own doing.
        assert (await service.client(secret, Origin="http://evil.example").post("/api/runs", json=body)).status_code == 201
        assert len((await service.client(secret).get("/api/runs")).json()["runs"]) == 3


async def test_every_answer_has_the_headers_that_bind_browsers() -> None:
    async with serving() as service:
        for path in ("/api/runs", "/nothing", "/health/live"):
            headers = (await service.client().get(path)).headers
            assert "script-src 'self'" in headers["content-security-policy"]
            assert "unsafe" not in headers["content-security-policy"]
            assert headers["x-content-type-options"] == "nosniff"


async def test_a_body_has_a_bound_however_it_comes() -> None:
    async with serving(size=10_000) as service:
        large = b'{"agent": "clerk", "input": "' + b"x" * 20_000 + b'"}'

        async def pieces() -> object:
            for start in range(0, len(large), 1_000):
                yield large[start : start + 1_000]
                await asyncio.sleep(0)

        kind = {"Content-Type": "application/json"}
        assert (await service.client().post("/api/runs", content=large, headers=kind)).status_code == 413
        assert (await service.client().post("/api/runs", content=pieces(), headers=kind)).status_code == 413  # type: ignore[arg-type]
        assert (await service.client().get("/api/runs")).json()["runs"] == []


async def test_who_asks_too_often_waits() -> None:
    async with serving(rate=0.4) as service:
        client = service.client()
        answers = [(await client.get("/health/live")) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert 1 <= int(answers[-1].headers["retry-after"]) <= 3


async def test_hostile_text_is_data() -> None:
    async with serving() as service:
        client = service.client()
        text = "<script>alert(1)</script>\x00\u202e'\"; DROP TABLE run; --"
        run = (await client.post("/api/runs", json={"agent": "clerk", "input": text, "wait": 4})).json()
        assert run["status"] == "done"
        assert text in run["output"]
        assert (await client.get("/api/runs", params={"text": "%';--"})).status_code == 200
