"""The page behind a link in a notice: whoever has it decides one question in one way, as the person it was made for.

Looking at it decides nothing, for mail programs look at links too; pressing its button does.
"""

from __future__ import annotations

import time

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from surefoot.approvals.links import Links
from surefoot.core.request import Callback
from surefoot.runs.documents import answerable
from surefoot.server.approvals import settle_by
from surefoot.server.console.views import question_view
from surefoot.server.problems import Problem

__all__ = ["router"]

router = APIRouter(include_in_schema=False)


@router.get("/decide/{link}")
async def look(request: Request, link: str) -> Response:
    """The question, and the button that decides it."""
    said = _read(request, link)
    run = await request.app.state.application.get(said.request.partition(":")[0])
    asked = next((one for one in answerable(run) if one.id == said.request), None)
    if asked is None:
        return _page(request, said, told="This question is settled.")
    return _page(request, said, question=question_view(run, asked))


@router.post("/decide/{link}")
async def decide(request: Request, link: str) -> Response:
    """Decide as the link says, once."""
    said = _read(request, link)
    return _page(request, said, told=await settle_by(request.app.state.application, said, "link"))


def _read(request: Request, link: str) -> Callback:
    links: Links | None = request.app.state.links
    if links is None:
        raise Problem(404, "this server hands out no links; set SUREFOOT_WEBHOOK_SECRET and SUREFOOT_URL")
    return links.read(link, int(time.time() * 1e6))


def _page(request: Request, said: Callback, *, told: str = "", question: dict[str, object] | None = None) -> Response:
    shown = {"who": None, "asked": 0, "here": "", "live": "", "told": told, "said": said, "one": question}
    html = request.app.state.pages.get_template("decide.html").render(shown)
    return HTMLResponse(html, headers={"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"})
