"""Questions in a Slack channel, decided by its buttons: by Slack's own packages, in the formats of its reference.

A question is a message (`chat.postMessage`) made of blocks; pressing a button sends a signed `block_actions` payload to the
address that the Slack app names for interactivity, which `Slack.bolt` reads: who pressed it is who Slack says it is. See
Slack's reference on Block Kit, "block_actions payloads" and "Verifying requests from Slack".
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import parse_qs

import msgspec
from slack_bolt.async_app import AsyncApp
from slack_sdk import WebClient
from slack_sdk.errors import SlackClientError
from slack_sdk.signature import Clock, SignatureVerifier
from slack_sdk.web.async_client import AsyncWebClient

from surefoot.core.errors import MayNotDecide
from surefoot.core.request import Callback, Request, visible

__all__ = ["Slack"]

_URL = "https://slack.com/api/"
_TIMEOUT = 10
#: What Slack takes: characters of a header, of a section, of a field.
_HEADER, _SECTION, _FIELD = 150, 3_000, 2_000
_BUTTONS = {
    "outcome": (("retry", "Run it again", "primary"), ("give_up", "Give up", "danger")),
    "": (("approve", "Approve", "primary"), ("deny", "Deny", "danger")),
}
_TITLES = {
    "call": "May this run?", "answer": "May this be answered?", "human": "A human is asked", "warning": "May this run go on?",
    "outcome": "Did this happen?",
}  # fmt: skip


class _Pressed(msgspec.Struct, frozen=True):
    """What a button carries, beside who pressed it."""

    request: str
    digest: str
    decision: str


class _Payload(msgspec.Struct):
    user: dict[str, Any]
    actions: list[dict[str, Any]]


class _At(Clock):
    def __init__(self, now: int) -> None:
        self._now = now

    def now(self) -> float:
        return self._now / 1e6


class Slack:
    """A `Channel` that posts questions into a Slack channel.

    Args:
        token: the bot's token (``xoxb-…``), with the scope ``chat:write``.
        channel: where to post: a channel's id or name.
        secret: the app's signing secret.
        users: Slack's user ids by the names that rules and roles know; anybody else is ``slack:U…``.
        url: Slack's Web API.
    """

    def __init__(self, token: str, channel: str, secret: str, *, users: Mapping[str, str] | None = None, url: str = _URL) -> None:
        self._token, self._channel, self._secret, self._url = token, channel, secret, url
        self._users = dict(users or {})
        self._client = WebClient(token, base_url=url, timeout=_TIMEOUT)

    @property
    def name(self) -> str:
        """See `Channel.name`."""
        return f"slack {self._channel}"

    def notify(self, request: Request) -> None:
        """See `Channel.notify`. Raises OSError for what Slack does not take."""
        try:
            self._client.chat_postMessage(channel=self._channel, text=_escaped(str(request)), blocks=_blocks(request))
        except SlackClientError as error:
            raise OSError(f"slack did not take the question: {error}") from None

    def verify(self, callback: str, now: int) -> Callback:
        """See `Channel.verify`: ``callback`` is the JSON of the request's ``body``, ``timestamp`` and ``signature``."""
        try:
            sent = msgspec.json.decode(callback, type=dict[str, str])
            verifier = SignatureVerifier(self._secret, _At(now))
            signed = verifier.is_valid(sent.get("body", ""), sent.get("timestamp"), sent.get("signature"))
        except (msgspec.DecodeError, ValueError):  # no JSON, no text, no number where the time should be
            signed = False
        if not signed:
            raise MayNotDecide("", "it is not signed by Slack, or too old")
        try:
            payload = msgspec.json.decode(parse_qs(sent["body"])["payload"][0], type=_Payload)
            return self._said(payload.user["id"], payload.actions[0]["value"], now)
        except (KeyError, IndexError, msgspec.DecodeError):
            raise MayNotDecide("", "it is no button of a question") from None

    def bolt(self, decide: Callable[[Callback], Awaitable[str]]) -> AsyncApp:
        """The Slack app that takes what its buttons send, and has it decided; ``decide`` gives what whoever pressed it reads."""
        client = AsyncWebClient(self._token, base_url=self._url, timeout=_TIMEOUT)
        made = AsyncApp(signing_secret=self._secret, client=client)

        async def pressed(ack: Any, body: Any, action: Any, respond: Any) -> None:  # noqa: ANN401  Bolt's own
            await ack()
            told = await decide(self._said(body["user"]["id"], action["value"], int(time.time() * 1e6)))
            await respond(text=_escaped(told), replace_original=False)

        for word in ("approve", "deny", "retry", "give_up"):
            made.action(f"surefoot_{word}")(pressed)
        return made

    def _said(self, user: str, value: str, now: int) -> Callback:
        names = {slack: name for name, slack in self._users.items()}
        try:
            found = msgspec.json.decode(value, type=_Pressed)
        except msgspec.DecodeError:
            raise MayNotDecide("", "the button is none of this application's") from None
        return Callback(found.request, found.digest, found.decision, names.get(user, f"slack:{user}"), now)


def _blocks(request: Request) -> list[dict[str, Any]]:
    verdict = request.verdict
    facts = [f"*Tool* {_code(request.tool)}", f"*Effect* {request.effect}"]
    if request.expires_at:
        facts.append(f"*Until* <!date^{request.expires_at // 1_000_000}^{{date_short_pretty}} {{time}}|{request.expires_at}>")
    if verdict is not None:
        facts += [f"*Rule* {_escaped(', '.join(verdict.rules))}"] if verdict.rules else []
        facts += [f"*{_escaped(name)}* from {_escaped(origin)}" for name, origin in verdict.origins.items()]
    shown = f"```{_escaped(request.arguments)[: _SECTION - 10]}```"
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": {"type": "plain_text", "text": _TITLES.get(request.kind, _TITLES["call"])[:_HEADER]}},
        {"type": "section", "text": {"type": "mrkdwn", "text": shown}},
        {"type": "section", "fields": [{"type": "mrkdwn", "text": fact[:_FIELD]} for fact in facts[:10]]},
    ]
    if request.reason:
        said = {"type": "mrkdwn", "text": _escaped(request.reason)[:_SECTION]}
        blocks.append({"type": "context", "elements": [said]})
    buttons = [
        {
            "type": "button", "action_id": f"surefoot_{word}", "style": style, "text": {"type": "plain_text", "text": text},
            "value": msgspec.json.encode(_Pressed(request.id, request.digest, word)).decode(),
        }
        for word, text, style in _BUTTONS.get(request.kind, _BUTTONS[""])
    ]  # fmt: skip
    return [*blocks, {"type": "actions", "elements": buttons}]


def _code(text: str) -> str:
    return f"`{_escaped(text).replace('`', chr(39))}`"


def _escaped(text: str) -> str:
    """Text in which nothing is markup, and nothing deceives. Slack: "Escaping text" in the reference on formatting."""
    return visible(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("```", "'''")
