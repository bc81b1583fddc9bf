"""The server's page is the server: every route is documented with its role, and nothing else is."""

from __future__ import annotations

import re

from tests.components import require

require("server")

from tests.package.source import ROOT  # noqa: E402
from tests.server.service import serving  # noqa: E402

PAGE = (ROOT / "docs" / "reference" / "server.md").read_text(encoding="utf-8")


async def test_every_route_is_documented() -> None:
    async with serving() as service:
        described = (await service.client().get("/api/openapi.json")).json()["paths"]
    served = {f"{method.upper()} {path}" for path, methods in described.items() for method in methods}
    assert set(re.findall(r"^\| `((?:GET|POST|DELETE) [^`]+)` \|", PAGE, re.MULTILINE)) == served


async def test_the_documented_role_is_the_one_that_is_needed() -> None:
    needs = dict(re.findall(r"^\| `((?:GET|POST|DELETE) [^`]+)` \| (\w+) \|", PAGE, re.MULTILINE))
    async with serving() as service:
        viewer = service.client(await service.token("viewer"))
        for route, role in needs.items():
            method, _, path = route.partition(" ")
            if path.endswith(("/stream", "/events")):
                continue  # never ends, or is tried below by its sibling
            answer = await viewer.request(method, re.sub(r"\{\w+\}", "nope", path), json={} if method == "POST" else None)
            assert (answer.status_code == 403) == (role in ("run", "decide")), (route, answer.status_code)
