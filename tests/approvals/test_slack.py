"""Questions in Slack: the message as Slack's reference has it, and its buttons' payloads, signed as Slack signs them."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode

import pytest

from tests.components import require

require("slack", "server")

from surefoot import Agent, App, tool  # noqa: E402
from surefoot.approvals import ask  # noqa: E402
from surefoot.approvals.notices import Notices  # noqa: E402
from surefoot.approvals.slack import Slack  # noqa: E402
from surefoot.core import events as ev  # noqa: E402
from surefoot.core.errors import ConfigurationError, MayNotDecide  # noqa: E402
from surefoot.core.ports import Channel  # noqa: E402
from surefoot.core.request import Request  # noqa: E402
from surefoot.core.values import Verdict  # noqa: E402
from surefoot.settings import Settings  # noqa: E402
from surefoot.testing.contracts.channel import Contract, Sent  # noqa: E402
from surefoot.testing.models import FunctionModel  # noqa: E402
from tests.flows.kit import BOUND, of_kind  # noqa: E402
from tests.server.service import serving  # noqa: E402

SECRET = "8f742231b10e8888abcd99yyyzzz85a5"  # the one of Slack's own example
USERS = {"dana": "U024BE7LH"}


class Api(ThreadingHTTPServer):
    """Slack's Web API as far as a bot asks it, and the address that a payload says answers go to."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.posted: list[dict[str, Any]] = []
        self.answered: list[dict[str, Any]] = []
        self.refuses = False
        self.news = threading.Event()

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.server_port}/"


class _Handler(BaseHTTPRequestHandler):
    server: Api

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"] or 0)).decode()
        said: dict[str, Any] = {"ok": True, "ts": "1503435956.000247"}
        if self.path.startswith("/auth.test"):
            said |= {"user_id": "U0BOT", "bot_id": "B0BOT", "team_id": "T1", "team": "t", "user": "bot", "url": "https://t"}
        elif self.path.endswith("chat.postMessage"):
            told = json.loads(body) if body.startswith("{") else {name: one[0] for name, one in parse_qs(body).items()}
            self.server.posted.append(told)
            said = {"ok": False, "error": "channel_not_found"} if self.server.refuses else said
        else:
            self.server.answered.append(json.loads(body))
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(said).encode())
        self.server.news.set()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base's own name
        """Say nothing."""


@pytest.fixture
def api() -> Iterator[Api]:
    server = Api()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def slack(api: Api) -> Slack:
    """Give the channel."""
    return Slack("xoxb-token", "#approvals", SECRET, users=USERS, url=api.url)


def sent(
    api: Api, value: str, user: str = "U024BE7LH", action: str = "surefoot_approve", secret: str = SECRET, at: float | None = None
) -> dict[str, Any]:
    """Give the request that Slack sends when a button is pressed: headers and body, as its reference shows them."""
    payload = {
        "type": "block_actions", "team": {"id": "T9TK3CUKW", "domain": "example"},
        "user": {"id": user, "username": "jtorrance", "team_id": "T9TK3CUKW"}, "api_app_id": "AABA1ABCD",
        "token": "9s8d9as89d8as9d8as989", "container": {"type": "message", "message_ts": "1548261231.000200", "channel_id": "C1"},
        "trigger_id": "12321423423.333649436676.d8c1bb837935619ccad0f624c448ffb3", "channel": {"id": "C1", "name": "approvals"},
        "message": {"bot_id": "BAH5CA16Z", "type": "message", "text": "…", "user": "UAJ2RU415", "ts": "1548261231.000200"},
        "response_url": f"{api.url}actions/AABA1ABCD/1232321423432/D09sSasdasdAS9091209",
        "actions": [{"action_id": action, "block_id": "=qXel", "text": {"type": "plain_text", "text": "Approve"},
                     "value": value, "type": "button", "action_ts": "1548426417.840180"}],
    }  # fmt: skip
    body, stamp = urlencode({"payload": json.dumps(payload)}), str(int(at or time.time()))
    proof = hmac.new(secret.encode(), f"v0:{stamp}:{body}".encode(), hashlib.sha256).hexdigest()
    headers = {
        "content-type": "application/x-www-form-urlencoded", "x-slack-request-timestamp": stamp,
        "x-slack-signature": f"v0={proof}",
    }  # fmt: skip
    return {"headers": headers, "content": body}


def callback_of(request: dict[str, Any]) -> str:
    """Give what `Slack.verify` takes of a request."""
    headers = request["headers"]
    stamp, signature = headers["x-slack-request-timestamp"], headers["x-slack-signature"]
    return json.dumps({"body": request["content"], "timestamp": stamp, "signature": signature})


@tool(rules=[ask(expires="4h", reason="money <b>leaves</b> the house")])
def refund(order: str, cents: int) -> str:
    """Refund an order."""
    return f"refunded {cents}"


def play(request: Any) -> Any:
    """Refund, then say so."""
    last = request.messages[-1]
    return last.parts[-1].text if last.role == "tool" else ("refund", {"order": "<!channel> 81\u202e", "cents": 6200})


AGENTS = (Agent("clerk", model=FunctionModel(play), tools=[refund]),)


def button(posted: dict[str, Any], action: str) -> str:
    """Give what a button of a posted message carries."""
    blocks = posted["blocks"] if isinstance(posted["blocks"], list) else json.loads(posted["blocks"])
    found = next(block for block in blocks if block["type"] == "actions")
    return str(next(one["value"] for one in found["elements"] if one["action_id"] == action))


async def heard(api: Api, count: int) -> None:
    """Wait until so many answers came to the address that a payload names."""
    while len(api.answered) < count:
        api.news.clear()
        assert len(api.answered) >= count or await asyncio.to_thread(api.news.wait, BOUND)


async def test_a_question_is_posted_and_a_button_decides_it_as_whoever_pressed_it(api: Api) -> None:
    channel = slack(api)
    assert isinstance(channel, Channel)
    async with serving(agents=AGENTS, slack=channel) as service:
        run = await service.app.run("clerk", "go")
        channel.notify(run.waiting[0])
        [posted] = api.posted
        assert posted["channel"] == "#approvals"
        text = json.dumps(posted, ensure_ascii=False)
        assert "<!channel>" not in text
        assert "&lt;!channel&gt;" in text
        assert "\u202e" not in text
        assert "money &lt;b&gt;leaves" in text
        client = service.client()
        answer = await client.post("/slack/actions", **sent(api, button(posted, "surefoot_approve")))
        assert answer.status_code == 200, answer.text
        await heard(api, 1)
        done = await service.app.wait(run)
        assert done.output == "refunded 6200"
        [decided] = await of_kind(service.app, done, ev.ApprovalDecided)
        assert (decided.by, decided.how) == ("dana", "slack")
        await client.post("/slack/actions", **sent(api, button(posted, "surefoot_deny"), "U1", "surefoot_deny"))
        await heard(api, 2)
        assert api.answered[0]["text"] == "It is decided."
        assert "settled already: approve by dana" in api.answered[1]["text"]


async def test_what_slack_did_not_sign_decides_nothing(api: Api) -> None:
    async with serving(agents=AGENTS, slack=slack(api)) as service:
        run = await service.app.run("clerk", "go")
        slack(api).notify(run.waiting[0])
        forged = sent(api, button(api.posted[0], "surefoot_approve"), secret="another secret")
        assert (await service.client().post("/slack/actions", **forged)).status_code == 401
        assert (await service.app.get(run)).status == "waiting"


class TestSlack(Contract):
    """A question is a message, and its buttons come back signed."""

    @pytest.fixture
    def channel(self, api: Api) -> Channel:
        self.api = api
        return slack(api)

    @pytest.fixture
    def sent(self, channel: Channel, api: Api) -> Sent:
        def pressed(request: Request, decision: str, by: str, until: int) -> str:
            channel.notify(request)
            one = sent(api, button(api.posted[-1], f"surefoot_{decision}"), USERS[by], at=until // 1_000_000 - 300)
            return callback_of(one)

        return pressed

    def told(self, channel: Channel) -> int:
        return len(self.api.posted)


def test_a_callback_says_who_decides_what(api: Api) -> None:
    request = Request("r:0.0", "r", "0.0", "outcome", "refund", "{}", "d1", verdict=Verdict("0.0", "ask", ("big",)))
    channel = slack(api)
    channel.notify(request)
    value = button(api.posted[0], "surefoot_retry")
    now = int(time.time() * 1e6)
    for user, by in (("U024BE7LH", "dana"), ("U999", "slack:U999")):
        callback = callback_of(sent(api, value, user))
        said = channel.verify(callback, now)
        assert (said.request, said.digest, said.decision, said.by) == ("r:0.0", "d1", "retry", by)
        with pytest.raises(MayNotDecide, match="too old"):
            channel.verify(callback, now + 3_600_000_000)
    with pytest.raises(MayNotDecide, match="none of this application's"):
        channel.verify(callback_of(sent(api, "not ours")), now)
    body, stamp = "hello", str(int(time.time()))
    proof = hmac.new(SECRET.encode(), f"v0:{stamp}:{body}".encode(), hashlib.sha256).hexdigest()
    with pytest.raises(MayNotDecide, match="no button"):
        channel.verify(json.dumps({"body": body, "timestamp": stamp, "signature": f"v0={proof}"}), now)


def test_a_question_that_slack_does_not_take_is_told_again(api: Api) -> None:
    api.refuses = True
    with pytest.raises(OSError, match="channel_not_found"):
        slack(api).notify(Request("r:0.0", "r", "0.0", "call", "refund", "{}", "d1"))


def test_settings_make_the_channel_or_say_what_is_missing() -> None:
    told = Settings(slack_token="xoxb", slack_channel="#a", slack_secret="s", slack_users="dana=U1; joe=U2")
    assert App("memory:", settings=told).agents == {}
    with pytest.raises(ConfigurationError, match="SUREFOOT_SLACK_SECRET"):
        App("memory:", settings=Settings(slack_token="xoxb", slack_channel="#a"))
    assert Notices(Slack("t", "#a", "s")).name == "channel slack #a"
