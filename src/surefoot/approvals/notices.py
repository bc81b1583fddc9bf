"""Telling people of questions: `Notices` follows the journal for a channel, `Webhook` posts to an address.

A channel is called once for each question, again until it does not raise, and never keeps a run or another channel waiting:
give it to an application as ``App(telemetry=[Notices(Webhook(…))])``, whose followers see to the rest.
"""

from __future__ import annotations

import hmac
import json
import time
import urllib.request
from collections.abc import Callable, Sequence
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit

from surefoot.approvals.links import Links
from surefoot.core import events as ev
from surefoot.core.ports import Channel
from surefoot.core.request import Callback, Request, visible
from surefoot.core.state import State

__all__ = ["Notices", "Webhook"]

_TIMEOUT = 10.0


class Notices:
    """A Sink that gives a channel each question that is asked from now on."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    @property
    def name(self) -> str:
        """See `Sink.name`."""
        return f"channel {self._channel.name}"

    def begin(self) -> Callable[[ev.Record], Sequence[Any]]:
        """See `Sink.begin`: a run's questions, as they are asked."""
        state = State()

        def take(record: ev.Record) -> Sequence[Any]:
            state.apply(record)
            event = record.event
            if not isinstance(event, ev.ApprovalRequested | ev.ToolIndeterminate):
                return ()
            request = state.requests.get(event.request)
            return () if request is None else (request,)

        return take

    def write(self, before: Sequence[Any], fresh: Sequence[Any]) -> None:
        """See `Sink.write`."""
        for request in fresh:
            self._channel.notify(request)

    def pruned(self, run: str) -> None:
        """See `Sink.pruned`; nothing is kept of a run."""

    def close(self) -> None:
        """See `Sink.close`; nothing is held back."""


class Webhook:
    """Posts each question as JSON to an address, with links for those who may decide.

    The body is signed: ``X-Surefoot-Signature: t=…,v1=…`` is the HMAC-SHA256 (hex) of the time, a dot and the body, under the
    secret. Raises ValueError for an address that is not http or https.
    """

    def __init__(self, url: str, secret: bytes, *, links: Links, deciders: Sequence[str] = ()) -> None:
        if urlsplit(url).scheme not in ("http", "https"):
            raise ValueError(f"{url!r} is no web address")
        self._url, self._secret, self._links, self._deciders = url, secret, links, tuple(deciders)

    @property
    def name(self) -> str:
        """See `Channel.name`."""
        return f"webhook {urlsplit(self._url).netloc}"

    def notify(self, request: Request) -> None:
        """See `Channel.notify`. Raises OSError when the address does not answer with a 2xx."""
        now = time.time_ns() // 1_000
        words = ("approve", "deny") if request.kind != "outcome" else ("retry", "give_up")
        body = json.dumps(
            {
                "request": request.id,
                "run": request.run,
                "kind": request.kind,
                "question": str(request),
                "tool": visible(request.tool),
                "arguments": visible(request.arguments),
                "effect": request.effect,
                "reason": visible(request.reason),
                "digest": request.digest,
                "rules": list(request.verdict.rules) if request.verdict else [],
                "origins": dict(request.verdict.origins) if request.verdict else {},
                "expires_at": request.expires_at,
                "links": {by: {word: self._links.made(request, word, by, now) for word in words} for by in self._deciders},
            }
        ).encode()
        stamp = str(now // 1_000_000)
        proof = hmac.digest(self._secret, stamp.encode() + b"." + body, "sha256").hex()
        headers = {"Content-Type": "application/json", "X-Surefoot-Signature": f"t={stamp},v1={proof}"}
        post = urllib.request.Request(self._url, body, headers, method="POST")  # noqa: S310  http and https only, see above
        try:
            with urllib.request.urlopen(post, timeout=_TIMEOUT):  # noqa: S310  as above
                pass
        except HTTPError as refused:
            refused.close()
            raise OSError(f"{self.name} answered {refused.code}") from None

    def verify(self, callback: str, now: int) -> Callback:
        """See `Channel.verify`."""
        return self._links.read(callback, now)
