"""Telling people of questions: `Notices` follows the journal for a channel, `Webhook` posts to an address. Telling programs of
runs: `RunWebhook` posts when one ends, or begins to wait for a human.

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
from surefoot.core.errors import ConfigurationError
from surefoot.core.ports import Channel
from surefoot.core.request import Callback, Request, visible
from surefoot.core.state import State

__all__ = ["Notices", "RunWebhook", "Webhook", "posts"]

_TIMEOUT = 10.0
#: Microseconds after which nobody wants to be told any more: who begins to listen is not told of all that ever was.
_OLD = 86_400_000_000
_ENDS = (ev.RunFinished, ev.RunFailed, ev.RunCancelled)


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
        self._address, self._links, self._deciders = _Address(url, secret), links, tuple(deciders)

    @property
    def name(self) -> str:
        """See `Channel.name`."""
        return self._address.name

    def notify(self, request: Request) -> None:
        """See `Channel.notify`. Raises OSError when the address does not answer with a 2xx."""
        now = time.time_ns() // 1_000
        words = ("approve", "deny") if request.kind != "outcome" else ("retry", "give_up")
        self._address.post(
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
        )

    def verify(self, callback: str, now: int) -> Callback:
        """See `Channel.verify`."""
        return self._links.read(callback, now)


class RunWebhook:
    """A Sink that posts to an address when a run ends, or begins to wait for a human; signed as `Webhook` signs.

    The body says ``event`` (``run.finished``, ``run.failed``, ``run.cancelled``, ``run.suspended``), ``run``, ``agent``,
    ``session``, ``user``, ``tenant``, ``seq``, ``time`` (Unix microseconds) and, of one that waits, ``questions``, and
    nothing of what was said. What is delivered twice after a crash is known by ``run`` and ``seq``. Raises ValueError for
    an address that is not http or https.
    """

    def __init__(self, url: str, secret: bytes) -> None:
        self._address = _Address(url, secret)

    @property
    def name(self) -> str:
        """See `Sink.name`."""
        return f"runs to {self._address.name}"

    def begin(self) -> Callable[[ev.Record], Sequence[Any]]:
        """See `Sink.begin`: what is to be told of a run."""
        state = State()

        def take(record: ev.Record) -> Sequence[Any]:
            state.apply(record)
            event = record.event
            waits = isinstance(event, ev.RunSuspended) and any(name in state.requests for name in event.waiting_for)
            if not (waits or isinstance(event, _ENDS)) or record.time < time.time_ns() // 1_000 - _OLD:
                return ()
            started = state.started or ev.RunStarted(state.agent)
            told = {
                "event": ev.tag_of(event), "run": record.stream, "agent": state.agent, "session": started.session,
                "user": started.user, "tenant": started.tenant, "seq": record.seq, "time": record.time,
                "questions": list(state.requests) if waits else [],
            }  # fmt: skip
            return (told,)

        return take

    def write(self, before: Sequence[Any], fresh: Sequence[Any]) -> None:
        """See `Sink.write`. Raises OSError when the address does not answer with a 2xx: its follower tries again."""
        for told in fresh:
            self._address.post(told)

    def pruned(self, run: str) -> None:
        """See `Sink.pruned`; nothing is kept of a run."""

    def close(self) -> None:
        """See `Sink.close`; nothing is held back."""


def posts(runs: str, questions: str, secret: str, url: str, deciders: str) -> list[Notices | RunWebhook]:
    """What posts to the addresses of the settings. Raises ConfigurationError, with the variable, for what cannot work."""
    if not secret:
        raise ConfigurationError("what is posted is signed: set SUREFOOT_WEBHOOK_SECRET to what the receiver knows as well")
    people = [name.strip() for name in deciders.split(",") if name.strip()]
    if people and not url:
        raise ConfigurationError("links to decide with need an address: set SUREFOOT_URL to where people reach this server")
    found: list[Notices | RunWebhook] = []
    try:
        if runs:
            found.append(RunWebhook(runs, secret.encode()))
        if questions:
            links = Links.of_server(url, secret.encode())
            found.append(Notices(Webhook(questions, secret.encode(), links=links, deciders=people)))
    except ValueError as error:
        raise ConfigurationError(f"SUREFOOT_{'WEBHOOK' if runs and not found else 'APPROVALS_WEBHOOK'}: {error}") from None
    return found


class _Address:
    """Where something is posted to, signed."""

    def __init__(self, url: str, secret: bytes) -> None:
        if urlsplit(url).scheme not in ("http", "https"):
            raise ValueError(f"{url!r} is no web address; write https://…")
        self._url, self._secret = url, secret
        self.name = f"webhook {urlsplit(url).netloc}"

    def post(self, value: Any) -> None:  # noqa: ANN401  any JSON value
        """Post it as JSON. Raises OSError."""
        body, stamp = json.dumps(value).encode(), str(int(time.time()))
        proof = hmac.digest(self._secret, stamp.encode() + b"." + body, "sha256").hex()
        headers = {"Content-Type": "application/json", "X-Surefoot-Signature": f"t={stamp},v1={proof}"}
        post = urllib.request.Request(self._url, body, headers, method="POST")  # noqa: S310  http and https only, see above
        try:
            with urllib.request.urlopen(post, timeout=_TIMEOUT):  # noqa: S310  as above
                pass
        except HTTPError as refused:
            refused.close()
            raise OSError(f"{self.name} answered {refused.code}") from None
