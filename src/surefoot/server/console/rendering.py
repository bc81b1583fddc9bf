"""Templates to pages: escaped by default, with what could deceive made visible."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from surefoot.runs.writing import block, line
from surefoot.server.approvals import open_questions
from surefoot.server.tokens import Caller

__all__ = ["environment", "page"]


def environment() -> Environment:
    """The templates of the console."""
    made = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    made.filters |= {"line": lambda text: line(str(text)), "lines": lambda text: block(str(text))}
    return made


async def page(request: Request, caller: Caller, name: str, **data: Any) -> HTMLResponse:  # noqa: ANN401  what a template shows
    """A page for a caller, with the number of open questions in its title."""
    asked = len(await open_questions(request.app.state.application, caller))
    shown = {"who": caller, "asked": asked, "here": "", "live": "", "told": request.query_params.get("told", "")[:500], **data}
    return HTMLResponse(request.app.state.pages.get_template(name).render(shown), headers={"Cache-Control": "no-store"})
