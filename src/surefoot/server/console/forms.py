"""What the console's forms do; every one answers with a page to look at."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qsl, urlencode

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from surefoot.app import App
from surefoot.core.errors import SurefootError
from surefoot.core.run import Run
from surefoot.runs.intake import RunOptions
from surefoot.server.access import COOKIE, Decider, Runner, own, same_origin
from surefoot.server.approvals import settle
from surefoot.server.console.asked import schema_of
from surefoot.server.console.editing import edited, fields_of
from surefoot.server.memory import forgotten
from surefoot.server.problems import Problem
from surefoot.server.shapes import Decision

__all__ = ["router"]

router = APIRouter(include_in_schema=False)

#: Seconds a page waits for what its form began, so that it can show it.
_PATIENCE = 0.4


@router.get("/login")
async def login_page(request: Request) -> Response:
    """Ask for a token."""
    return _login(request, _local(request.query_params.get("next", "/runs")), "")


@router.post("/login")
async def login(request: Request) -> Response:
    """Take a token into a cookie that no script can read and no other site's page can use."""
    if not same_origin(request):
        raise Problem(403, "log in on the server's own page")
    form = await _form(request)
    secret, onward = form.get("token", "").strip(), _local(form.get("next", "/runs"))
    if await request.app.state.tokens.identify(secret) is None:
        return _login(request, onward, "This token is not good.", 403)
    answer = RedirectResponse(onward, 303)
    secure = request.url.scheme == "https"
    answer.set_cookie(COOKIE, secret, httponly=True, samesite="strict", secure=secure, max_age=30 * 86_400)
    return answer


@router.post("/logout")
async def logout(request: Request) -> Response:
    """Forget the cookie."""
    if not same_origin(request):
        raise Problem(403, "log out on the server's own page")
    answer = RedirectResponse("/login", 303)
    answer.delete_cookie(COOKIE, httponly=True, samesite="strict")
    return answer


@router.post("/approvals")
async def decide_batch(request: Request, caller: Decider) -> Response:
    """Approve or deny the questions that were shown together, each for the call that was shown; the others go on waiting."""
    form = await _form(request)
    word, reason = form.get("decision", ""), form.get("reason", "")
    asked = [(name[2:], digest) for name, digest in form.items() if name.startswith("q.")]
    if word not in ("approve", "deny") or not asked:
        return _back("/approvals", "Nothing was decided.")
    told: list[str] = []
    for question, digest in asked:
        await own(request, caller, question.partition(":")[0])
        try:
            decision = Decision.model_validate({"decision": word, "reason": reason, "digest": digest})
            await settle(request.app.state.application, caller, question, decision)
        except (SurefootError, ValueError) as error:
            told.append(str(error))
    return _back("/approvals", f"{len(asked) - len(told)} decided. {' '.join(told)}".strip())


@router.post("/approvals/{question}")
async def decide(request: Request, caller: Decider, question: str) -> Response:
    """Settle a question, and go back to where it was asked; somebody faster is told there."""
    form = await _form(request)
    back = _local(form.pop("back", "/approvals"))
    run = await own(request, caller, question.partition(":")[0])
    try:
        given = {name: value for name, value in form.items() if not name.startswith("edit.")}
        decision = Decision.model_validate({**given, "edit": await _edit(request.app.state.application, run, question, form)})
        await settle(request.app.state.application, caller, question, decision)
    except ValueError:  # of pydantic, or no JSON
        return _back(back, "That does not answer the question.")
    except SurefootError as error:
        return _back(back, str(error))
    return _back(back)


@router.post("/runs/{run}/messages")
async def say(request: Request, caller: Runner, run: str) -> Response:
    """Say something to a run."""
    found, form = await own(request, caller, run), await _form(request)
    return await _done(request.app.state.application.send(found, form.get("text", ""), by=caller.user), f"/runs/{found.id}")


@router.post("/runs/{run}/cancel")
async def cancel(request: Request, caller: Runner, run: str) -> Response:
    """Stop a run."""
    found = await own(request, caller, run)
    return await _done(request.app.state.application.cancel(found, by=caller.user), f"/runs/{found.id}")


@router.post("/runs/{run}/resume")
async def resume(request: Request, caller: Runner, run: str) -> Response:
    """Go on with a failed run, in the background."""
    found = await own(request, caller, run)
    task = asyncio.create_task(request.app.state.application.resume(found, by=caller.user))
    request.app.state.background(task)
    return await _done(asyncio.wait_for(asyncio.shield(task), _PATIENCE), f"/runs/{found.id}")


@router.post("/runs/{run}/fork")
async def fork(request: Request, caller: Runner, run: str) -> Response:
    """Go on from an event of a run in a new one, and show that."""
    found, form = await own(request, caller, run), await _form(request)
    at = form.get("at", "")
    try:
        forked = await request.app.state.application.fork(
            found, at=int(at) if at.isdecimal() else 0, edit=form.get("edit") or None
        )
    except SurefootError as error:
        return _back(f"/runs/{found.id}", str(error))
    return _back(f"/runs/{forked.id}")


@router.post("/memory/{entry}/forget")
async def forget(request: Request, caller: Runner, entry: str) -> Response:
    """Forget an entry for good."""
    form = await _form(request)
    await forgotten(request.app.state.application, caller, entry, erase=form.get("erase") == "1")
    return _back(_local(form.get("back", "/memory")), "It is forgotten.")


@router.post("/chat")
async def chat(request: Request, caller: Runner) -> Response:
    """Start a run in a conversation, new or old."""
    form = await _form(request)
    session = form.get("session", "") or f"chat-{secrets.token_hex(4)}"
    application: App = request.app.state.application
    options = RunOptions(session=session, user=caller.user, tenant=caller.tenant, tags=("chat",))
    back = f"/chat?{urlencode({'session': session})}"
    run = await application.start(form.get("agent", ""), form.get("text", ""), **options)
    with suppress(TimeoutError):
        async with asyncio.timeout(_PATIENCE):  # an answer that is quick is on the page at once
            await application.wait(run)
    return _back(back)


async def _edit(application: App, run: Run[object], question: str, form: Mapping[str, str]) -> dict[str, Any] | None:
    """The arguments that a form changes. Raises ValueError for what is no JSON."""
    asked = next((one for one in run.waiting if one.id == question), None)
    return edited(asked, fields_of(asked, await schema_of(application, run, asked)), form) if asked else None


async def _done(work: object, back: str) -> Response:
    """Wait for what a form began; what went wrong is told on the page it goes back to."""
    try:
        await work  # type: ignore[misc]
    except SurefootError as error:
        return _back(back, str(error))
    except TimeoutError:
        pass
    return _back(back)


async def _form(request: Request) -> dict[str, str]:
    """The fields of a form, which is sent URL-encoded."""
    body = (await request.body()).decode(errors="replace")
    try:
        return dict(parse_qsl(body, keep_blank_values=True, max_num_fields=1_000))
    except ValueError:
        raise Problem(422, "a form of the console has fewer fields than this") from None


def _back(path: str, told: str = "") -> Response:
    joint = "&" if "?" in path else "?"
    return RedirectResponse(f"{path}{joint}{urlencode({'told': told})}" if told else path, 303)


def _local(path: str) -> str:
    """A path of this server, whatever was given."""
    return path if path.startswith("/") and not path.startswith(("//", "/\\")) else "/runs"


def _login(request: Request, onward: str, told: str, status: int = 200) -> Response:
    shown = {"who": None, "asked": 0, "here": "", "live": "", "told": told, "next": onward}
    html = request.app.state.pages.get_template("login.html").render(shown)
    return Response(html, status, media_type="text/html", headers={"Cache-Control": "no-store"})
