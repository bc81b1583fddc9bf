"""Channels: questions go out once, answers come back signed, for one call, one person and one answer."""

from __future__ import annotations

import asyncio
import hmac
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from surefoot.app import App
from surefoot.approvals import ask
from surefoot.approvals.links import Links
from surefoot.approvals.notices import Notices, Webhook
from surefoot.core.errors import AlreadyDecided, ConfigurationError, MayNotDecide
from surefoot.core.ports import Channel
from surefoot.core.request import Request
from surefoot.testing.channel import MemoryChannel
from surefoot.testing.contracts.channel import Contract, Sent
from tests.approvals.shop import Shop
from tests.flows.kit import BOUND, QUICK, opened

SECRET = b"0123456789abcdef"
REQUEST = Request("r:0.0", "r", "0.0", "call", "refund", "{}", "d1")


class Inbox(ThreadingHTTPServer):
    """A web server that keeps what is posted to it; the first answers may be failures."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.got: list[tuple[bytes, str]] = []
        self.failures = 0
        self.news = threading.Event()


class _Handler(BaseHTTPRequestHandler):
    server: Inbox

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        bad, self.server.failures = self.server.failures > 0, max(0, self.server.failures - 1)
        if not bad:
            self.server.got.append((body, self.headers["x-surefoot-signature"]))
        self.send_response(503 if bad else 204)
        self.end_headers()
        if not bad:
            self.server.news.set()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base's own name
        """Say nothing."""


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    server = Inbox()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


class TestWebhook(Contract):
    """A question is posted, and comes back as a link."""

    @pytest.fixture
    def channel(self, inbox: Inbox) -> Channel:
        self.inbox = inbox
        hook = Webhook(f"http://127.0.0.1:{inbox.server_port}/", SECRET, links=Links("https://x.example", SECRET))
        assert isinstance(hook, Channel)
        return hook

    @pytest.fixture
    def sent(self) -> Sent:
        def link(request: Request, decision: str, by: str, until: int) -> str:
            return Links("https://x.example", SECRET, seconds=60).made(request, decision, by, until - 60_000_000)

        return link

    def told(self, channel: Channel) -> int:
        return len(self.inbox.got)


def test_a_link_is_for_one_answer_of_one_person_and_ends_with_its_question() -> None:
    links = Links("https://x.example/approvals/", SECRET, seconds=60)
    link = links.made(REQUEST, "approve", "dana", 0)
    assert link.startswith("https://x.example/approvals/ey")
    body, _, proof = link.rpartition("/")[2].partition(".")
    other = links.made(REQUEST, "deny", "dana", 0).rpartition("/")[2].partition(".")
    with pytest.raises(MayNotDecide, match="not one of"):
        links.read(f"{other[0]}.{proof}", 0)
    with pytest.raises(MayNotDecide, match="not one of"):
        Links("https://x.example", b"another-secret-!").read(link, 0)
    soon = Request("r:0.0", "r", "0.0", "call", "refund", "{}", "d1", expires_at=5)
    assert links.read(links.made(soon, "deny", "x", 0), 4).until == 5
    assert links.read(f"{body}.{proof}", 0).until == 60_000_000
    with pytest.raises(ValueError, match="16 bytes"):
        Links("https://x.example", b"short")
    with pytest.raises(ValueError, match="no web address"):
        Webhook("file:///etc/passwd", SECRET, links=links)


async def test_a_question_is_posted_and_its_link_decides_once(inbox: Inbox) -> None:
    inbox.failures = 1  # what fails is tried again, and the run waits for nothing
    links = Links("https://x.example", SECRET)
    hook = Webhook(f"http://127.0.0.1:{inbox.server_port}/", SECRET, links=links, deciders=("dana", "lea"))
    shop = Shop(("refund", {"order": "8\u202e1", "cents": 1}), "done", rules=[ask(reason="money")])
    async with opened("memory:", telemetry=[Notices(hook)]) as app:
        run = await app.run(shop.agent, "go")
        assert await asyncio.to_thread(inbox.news.wait, BOUND)
        body, signature = inbox.got[0]
        stamp, proof = (part.partition("=")[2] for part in signature.split(","))
        assert hmac.compare_digest(hmac.digest(SECRET, stamp.encode() + b"." + body, "sha256").hex(), proof)
        told = json.loads(body)
        assert (told["request"], told["tool"], told["reason"]) == (run.waiting[0].id, "refund", "money")
        assert told["arguments"] == '{"cents":1,"order":"8\\u202e1"}'
        said = hook.verify(told["links"]["dana"]["approve"], 0)
        with pytest.raises(MayNotDecide, match="another call"):
            await app.decide(said.request, approve=True, by=said.by, how="link", digest="other")
        await app.decide(said.request, approve=said.decision == "approve", by=said.by, how="link", digest=said.digest)
        assert (await app.wait(run)).output == "done"
        with pytest.raises(AlreadyDecided):
            await app.decide(said.request, approve=True, by=said.by, how="link", digest=said.digest)
    assert len(inbox.got) == 1


async def test_a_channel_that_fails_is_called_again_and_one_question_is_told_once() -> None:
    channel, shop = MemoryChannel(failures=2), Shop()
    async with opened("memory:", telemetry=[Notices(channel)]) as app:
        run = await app.run(shop.agent, "go")
        assert await asyncio.to_thread(channel.news.wait, BOUND)
        assert [one.id for one in channel.told] == [run.waiting[0].id]
        await app.decide(run.waiting[0], approve=True)
        await app.wait(run)
    assert len(channel.told) == 1


def test_outcomes_have_other_answers(inbox: Inbox) -> None:
    links = Links("https://x.example", SECRET)
    hook = Webhook(f"http://127.0.0.1:{inbox.server_port}/", SECRET, links=links, deciders=("dana",))
    notices = Notices(hook)
    notices.write((), [Request("r:0.0", "r", "0.0", "outcome", "refund", "{}", "d1")])
    notices.pruned("r")
    notices.close()
    assert list(json.loads(inbox.got[0][0])["links"]["dana"]) == ["retry", "give_up"]
    inbox.failures = 1
    with pytest.raises(OSError, match="503"):
        hook.notify(REQUEST)


async def test_whoever_wants_to_know_is_told_when_a_run_waits_and_ends(inbox: Inbox) -> None:
    inbox.failures = 1
    told = replace(QUICK, webhook=f"http://127.0.0.1:{inbox.server_port}/", webhook_secret="know me")
    shop = Shop(("refund", {"order": "81", "cents": 1}), "done", rules=[ask(reason="money")])
    async with opened("memory:", settings=told) as app:
        run = await app.run(shop.agent, "go", user="ann", session="s")
        await app.decide(run.waiting[0], approve=True, by="dana")
        assert (await app.wait(run)).output == "done"
        while len(inbox.got) < 2:
            inbox.news.clear()
            assert len(inbox.got) == 2 or await asyncio.to_thread(inbox.news.wait, BOUND)
    found = [json.loads(body) for body, _ in inbox.got]
    assert [(one["event"], one["run"], one["user"]) for one in found] == [
        ("run.suspended", run.id, "ann"), ("run.finished", run.id, "ann"),
    ]  # fmt: skip
    assert [one["questions"] for one in found] == [[f"{run.id}:0.0"], []]
    for body, signature in inbox.got:
        stamp, proof = (part.partition("=")[2] for part in signature.split(","))
        assert hmac.digest(b"know me", stamp.encode() + b"." + body, "sha256").hex() == proof
    with pytest.raises(ConfigurationError, match="SUREFOOT_WEBHOOK_SECRET"):
        App("memory:", settings=replace(told, webhook_secret=""))
    with pytest.raises(ConfigurationError, match="is no web address"):
        App("memory:", settings=replace(told, webhook="here"))
