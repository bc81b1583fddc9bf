"""Links in notices: looked at, used once by the one they were made for, and good for nothing else."""

from __future__ import annotations

import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import msgspec
import pytest

from tests.components import require

require("server")

from surefoot.app import App  # noqa: E402
from surefoot.approvals.links import Links  # noqa: E402
from surefoot.approvals.notices import posts  # noqa: E402
from surefoot.core.errors import ConfigurationError  # noqa: E402
from surefoot.core.request import Request  # noqa: E402
from surefoot.settings import Settings  # noqa: E402
from tests.server.service import Service, serving  # noqa: E402

SECRET = b"sixteen bytes, at least"
HTML = {"Accept": "text/html"}


def linked(service: Service, question: Request, decision: str = "approve", by: str = "dana") -> str:
    """Give a link's path."""
    return LINKS.made(question, decision, by, int(time.time() * 1e6)).removeprefix("https://ours.example")


LINKS = Links.of_server("https://ours.example/", SECRET)


async def test_a_link_is_looked_at_and_then_decides_once() -> None:
    async with serving(links=LINKS) as service:
        run = await service.app.run("clerk", "refund it")
        link = linked(service, run.waiting[0])
        client = service.client(await service.token("viewer", "joe"), **HTML)
        page = (await client.get(link)).text
        assert "Decide as dana" in page
        assert "6200" in page
        assert (await service.app.get(run)).status == "waiting"
        anybody = service.client(**HTML)
        assert "It is decided." in (await anybody.post(link)).text
        done = await service.app.wait(run)
        assert done.output == "Done: refunded 6200 cents on order 81"
        assert "settled already: approve by dana" in (await anybody.post(link)).text
        assert "This question is settled." in (await anybody.get(link)).text
        events = [record.event for record in await service.app.events(run)]
        (decided,) = [event for event in events if type(event).__name__ == "ApprovalDecided"]
        assert (decided.by, decided.how) == ("dana", "link")  # type: ignore[union-attr]


async def test_a_denial_by_link_is_one() -> None:
    async with serving(links=LINKS) as service:
        run = await service.app.run("clerk", "refund it")
        assert "It is decided." in (await service.client(**HTML).post(linked(service, run.waiting[0], "deny"))).text
        assert "Denied by dana" in str((await service.app.wait(run)).output)


async def test_a_forged_or_old_link_decides_nothing() -> None:
    async with serving(links=LINKS) as service:
        run = await service.app.run("clerk", "refund it")
        old = Links("https://ours.example/decide", SECRET, seconds=0.0).made(run.waiting[0], "approve", "dana", 1)
        forged = Links.of_server("https://ours.example", b"another secret, as long").made(
            run.waiting[0], "approve", "dana", 2**60
        )
        for link in (old, forged, "https://ours.example/decide/nothing"):
            answer = await service.client(**HTML).post(link.removeprefix("https://ours.example"))
            assert answer.status_code == 403
        assert (await service.app.get(run)).status == "waiting"


async def test_without_links_there_are_none() -> None:
    async with serving() as service:
        run = await service.app.run("clerk", "refund it")
        answer = await service.client(**HTML).get(linked(service, run.waiting[0]))
        assert answer.status_code == 404
        assert "SUREFOOT_URL" in answer.text


async def test_the_settings_post_questions_with_links_that_the_server_answers() -> None:
    posted: list[Any] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            posted.append(msgspec.json.decode(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *told: object) -> None: ...

    hook = HTTPServer(("127.0.0.1", 0), Hook)
    thread = Thread(target=hook.serve_forever)
    thread.start()
    try:
        (sink,) = posts("", f"http://127.0.0.1:{hook.server_port}/", SECRET.decode(), "https://ours.example", "dana, joe")
        async with serving(links=LINKS) as service:
            run = await service.app.run("clerk", "refund it")
            take = sink.begin()
            fresh = [one for record in await service.app.events(run) for one in take(record)]
            sink.write((), fresh)
            assert sorted(posted[0]["links"]) == ["dana", "joe"]
            link = posted[0]["links"]["joe"]["approve"].removeprefix("https://ours.example")
            assert "It is decided." in (await service.client(**HTML).post(link)).text
    finally:
        hook.shutdown()
        thread.join()
        hook.server_close()


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"approvals_webhook": "https://hook.example"}, "SUREFOOT_WEBHOOK_SECRET"),
        ({"approvals_webhook": "https://hook.example", "webhook_secret": "short"}, "SUREFOOT_APPROVALS_WEBHOOK: the secret"),
        ({"approvals_webhook": "hook", "webhook_secret": "x" * 16}, "SUREFOOT_APPROVALS_WEBHOOK: 'hook' is no web address"),
        ({"webhook": "hook", "webhook_secret": "x" * 16}, "SUREFOOT_WEBHOOK: 'hook' is no web address"),
        ({"approvals_webhook": "https://hook.example", "webhook_secret": "x" * 16, "deciders": "dana"}, "SUREFOOT_URL"),
    ],
)
def test_settings_that_cannot_work_say_which(given: dict[str, str], told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        App("memory:", settings=Settings(**given))  # type: ignore[arg-type]
