"""Errors as problem documents (RFC 9457): what went wrong, and what to do next."""

from __future__ import annotations

import http
from typing import Any
from urllib.parse import urlencode

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException

from surefoot.core import errors

__all__ = ["Problem", "install", "problem"]

#: The first that fits counts.
_STATUS: tuple[tuple[type[Exception], int], ...] = (
    (errors.RunNotFound, 404),
    (errors.RequestNotFound, 404),
    (errors.UnknownAgent, 404),
    (errors.MayNotDecide, 403),
    (errors.RunError, 409),
    (errors.InvalidArguments, 422),
    (errors.ConfigurationError, 422),
    (errors.DiskFull, 507),
    (errors.JournalError, 503),
    (errors.SurefootError, 500),
)


class Problem(Exception):
    """An error of the server itself; ``detail`` says what to do next."""

    def __init__(self, status: int, detail: str, **headers: str) -> None:
        self.status = status
        self.detail = detail
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}
        super().__init__(detail)


def problem(
    path: str, status: int, detail: str, headers: dict[str, str] | None = None, more: dict[str, Any] | None = None
) -> JSONResponse:
    """A problem document, with ``more`` members; below ``/v1`` an error in the form of that protocol."""
    if path.startswith("/v1/"):
        kind = "invalid_request_error" if status < 500 else "server_error"
        told = {"message": detail, "type": kind, "param": None, "code": (more or {}).get("error")}
        return JSONResponse({"error": told}, status, headers)
    body = {**(more or {}), "type": "about:blank", "title": http.HTTPStatus(status).phrase, "status": status, "detail": detail}
    return JSONResponse(body, status, headers, media_type="application/problem+json")


def install(api: FastAPI) -> None:
    """Have every error of an application answered by a problem document; by the vendor's own form below ``/v1``."""

    async def ours(request: Request, error: Exception) -> Response:
        assert isinstance(error, Problem)
        return _answer(request, error.status, error.detail, error.headers)

    async def surefoot(request: Request, error: Exception) -> Response:
        status = next(status for kind, status in _STATUS if isinstance(error, kind))
        data: dict[str, Any] = {name: value for name, value in vars(error).items() if isinstance(value, str | int | float)}
        return _answer(request, status, str(error), more={"error": type(error).__name__, **data})

    async def plain(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return _answer(request, error.status_code, str(error.detail), dict(error.headers or {}))

    async def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        found = [{"at": [str(step) for step in one["loc"]], "problem": str(one["msg"])} for one in error.errors()]
        first = f"{'.'.join(found[0]['at'])}: {found[0]['problem']}" if found else "the request does not fit"
        return _answer(request, 422, first, more={"errors": found})

    async def ours_to_mend(request: Request, error: Exception) -> Response:
        return _answer(request, 500, "something broke here; the server's log says what")  # raised again, and so logged

    api.add_exception_handler(Exception, ours_to_mend)
    api.add_exception_handler(Problem, ours)
    api.add_exception_handler(errors.SurefootError, surefoot)
    api.add_exception_handler(HTTPException, plain)
    api.add_exception_handler(RequestValidationError, invalid)


def _answer(
    request: Request, status: int, detail: str, headers: dict[str, str] | None = None, more: dict[str, Any] | None = None
) -> Response:
    more = more or {}
    if _person(request):
        if status == 401:
            return RedirectResponse(f"/login?{urlencode({'next': request.url.path})}", 303)
        shown = {"who": None, "asked": 0, "here": "", "live": "", "told": "", "detail": detail}
        html = request.app.state.pages.get_template("problem.html").render(title=http.HTTPStatus(status).phrase, **shown)
        return HTMLResponse(html, status)
    return problem(request.url.path, status, detail, headers, more)


def _person(request: Request) -> bool:
    """Whether somebody looks at the answer in a browser, and asked for no part of the API."""
    return "text/html" in request.headers.get("accept", "") and not request.url.path.startswith(("/api/", "/v1/", "/health/"))
