"""What holds for every request: a size, a rate, and the headers that keep a browser from being talked into things."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from surefoot.server.problems import problem

__all__ = ["Guard"]

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
_HEADERS = [
    (b"content-security-policy", _POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
]
#: Callers whose rate is remembered.
_KNOWN = 10_000


class Guard:
    """An ASGI application around another.

    ``size`` bounds a body in bytes; ``rate`` is how many requests a second an address may send in the long run, with
    bursts of five seconds' worth.
    """

    def __init__(self, app: ASGIApp, *, size: int, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._app = app
        self._size = size
        self._rate = rate
        self._clock = clock
        self._spent: OrderedDict[str, tuple[float, float]] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        wait = self._too_fast(scope)
        if wait:
            answer = problem(
                scope["path"], 429, "too many requests; wait as Retry-After says", {"retry-after": str(int(wait) + 1)}
            )
            await answer(scope, receive, send)
            return
        if self._declared(scope) > self._size:
            await self._too_large(scope)(scope, receive, send)
            return
        await self._bounded(scope, receive, send)

    async def _bounded(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and its body only as far as the bound."""
        got, begun, cut = 0, False, False

        async def counted() -> Message:
            nonlocal got, cut
            message = await receive()
            got += len(message.get("body", b""))
            if got > self._size:
                cut = True
                return {"type": "http.disconnect"}
            return message

        async def dressed(message: Message) -> None:
            nonlocal begun
            if cut and not begun:
                return
            if message["type"] == "http.response.start":
                begun = True
                message = {**message, "headers": [*message.get("headers", ()), *_HEADERS]}
            await send(message)

        try:
            await self._app(scope, counted, dressed)
        except Exception:
            if not cut:
                raise
        if cut and not begun:
            await self._too_large(scope)(scope, receive, send)

    def _too_large(self, scope: Scope) -> ASGIApp:
        return problem(scope["path"], 413, f"a request may have at most {self._size} bytes")

    def _declared(self, scope: Scope) -> int:
        for name, value in scope["headers"]:
            if name == b"content-length":
                return int(value) if value.isdigit() else 0
        return 0

    def _too_fast(self, scope: Scope) -> float:
        """Seconds until this caller may ask again; 0 for now. A bucket that fills at the rate (RFC-less, "token bucket")."""
        who = str((scope.get("client") or ("?",))[0])
        now = self._clock()
        full = 5 * self._rate
        left, at = self._spent.pop(who, (full, now))
        left = min(full, left + (now - at) * self._rate)
        allowed = left >= 1
        self._spent[who] = (left - 1 if allowed else left, now)
        if len(self._spent) > _KNOWN:
            self._spent.popitem(last=False)
        return 0.0 if allowed else (1 - left) / self._rate
