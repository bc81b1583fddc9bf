"""Who calls, and what they may do: a bearer token, a browser's cookie, or, while no token exists, whoever is on this machine.

A change that a browser sends must come from this server's own pages. Without any token the server answers only requests
that name this machine, so that no page from elsewhere can reach it under a name of its own.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Awaitable, Callable
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Request

from surefoot.core.run import Run
from surefoot.server.problems import Problem
from surefoot.server.tokens import Caller, Tokens

__all__ = ["COOKIE", "Decider", "Manager", "Reader", "Runner", "identify", "needs", "own", "same_origin", "visible_to"]

COOKIE = "surefoot_token"
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_HERE = frozenset({"localhost", "127.0.0.1", "::1"})


async def identify(request: Request) -> Caller:
    """The caller of a request. Raises Problem 401 for nobody, 403 for a change that comes from another site's page."""
    tokens: Tokens = request.app.state.tokens
    kind, _, secret = request.headers.get("authorization", "").partition(" ")
    if kind:
        caller = await tokens.identify(secret.strip()) if kind.lower() == "bearer" else None
        if caller is None:
            raise _nobody("this token is not good; `surefoot token create` makes one")
        return caller
    if request.method not in _SAFE and not same_origin(request):
        raise Problem(403, "a page of another site may change nothing here; use the console itself, or a bearer token")
    cookie = request.cookies.get(COOKIE)
    if cookie:
        caller = await tokens.identify(cookie)
        if caller is not None:
            return caller
    if await tokens.all():
        raise _nobody("log in at /login, or send a token: Authorization: Bearer …")
    if _host(request.headers.get("host", "")) not in _HERE:
        raise _nobody("without any token only this machine may call, by its name localhost; `surefoot token create` makes one")
    return Caller(_account(), "admin", how="system")


def same_origin(request: Request) -> bool:
    """Whether no browser says that another site's page sent this. Programs that are no browser say nothing."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == request.headers.get("host", "")


def needs(action: str) -> Callable[[Request], Awaitable[Caller]]:
    """A dependency that gives the caller. Raises Problem 403 when their role does not allow the action."""

    async def allowed(request: Request) -> Caller:
        caller = await identify(request)
        if not caller.may(action):
            raise Problem(403, f"{caller.user} is {caller.role}, which may not {action}; ask an admin for another token")
        return caller

    return allowed


Reader = Annotated[Caller, Depends(needs("read"))]
Runner = Annotated[Caller, Depends(needs("run"))]
Decider = Annotated[Caller, Depends(needs("decide"))]
Manager = Annotated[Caller, Depends(needs("manage"))]


def visible_to(caller: Caller, tenant: str) -> bool:
    """Whether a caller may know of a run of this tenant."""
    return not caller.tenant or caller.tenant == tenant


async def own(request: Request, caller: Caller, run: str) -> Run[object]:
    """A run that the caller may know of. Raises RunNotFound, and Problem 404 for other tenants' runs."""
    found: Run[object] = await request.app.state.application.get(run)
    if not visible_to(caller, found.tenant):
        raise Problem(404, f"there is no run {run!r}; GET /api/runs lists them")
    return found


def _host(header: str) -> str:
    return urlsplit(f"//{header}").hostname or ""


def _account() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"


def _nobody(detail: str) -> Problem:
    return Problem(401, detail, WWW_Authenticate="Bearer")
