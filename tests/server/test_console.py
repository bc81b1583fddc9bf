"""The console without script: pages that read well, forms that act, and nothing a hostile text can do."""

from __future__ import annotations

import asyncio
from typing import Any, Literal

import pytest

from tests.components import require

require("server")

from surefoot.core.agent import Agent  # noqa: E402
from surefoot.core.tool import ToolContext  # noqa: E402
from surefoot.server.access import COOKIE  # noqa: E402
from surefoot.testing.models import FunctionModel  # noqa: E402
from surefoot.tools.function import tool  # noqa: E402
from tests.server.service import KEEPING, Service, add, events_of, play, refund, serving  # noqa: E402

HTML = {"Accept": "text/html"}
EVIL = "<script>alert(1)</script>\u202e\x1b[31m"


async def shown(service: Service, path: str, **headers: str) -> str:
    """Give a page's text, which must be there."""
    answer = await service.client(**HTML, **headers).get(path)
    assert answer.status_code == 200, (path, answer.status_code, answer.text[:300])
    return str(answer.text)


async def test_a_run_from_the_chat_to_its_end() -> None:
    async with serving() as service:
        client = service.client(**HTML)
        answer = await client.post("/chat", data={"agent": "clerk", "text": "refund it", "session": ""})
        assert answer.status_code == 303
        chat = answer.headers["location"]
        page = await shown(service, chat)
        assert "refund it" in page
        assert "May this run?" in page
        (run,) = await service.app.list()
        assert "(1) Runs" in await shown(service, "/runs")
        assert run.waiting[0].id in await shown(service, "/approvals")
        answer = await client.post(f"/approvals/{run.waiting[0].id}", data={"decision": "approve", "back": chat, "reason": ""})
        assert (answer.status_code, answer.headers["location"]) == (303, chat)
        async with asyncio.timeout(4):
            await service.app.wait(run)
        assert "Done: refunded 6200 cents on order 81" in await shown(service, chat)
        page = await shown(service, f"/runs/{run.id}")
        assert 'class="status done"' in page
        assert "approval refund" in page
        assert "Nobody waits for a decision." in await shown(service, "/approvals")


async def test_whoever_is_slower_is_told() -> None:
    async with serving() as service:
        client = service.client(**HTML)
        await client.post("/chat", data={"agent": "clerk", "text": "refund it", "session": "s"})
        (run,) = await service.app.list()
        question = run.waiting[0].id
        await service.app.decide(question, approve=False, by="dana")
        answer = await client.post(f"/approvals/{question}", data={"decision": "approve", "back": "/approvals"})
        assert answer.status_code == 303
        assert "settled already: deny by dana" in await shown(service, answer.headers["location"])
        answer = await client.post(f"/approvals/{question}", data={"decision": "perhaps", "back": "//evil.example/"})
        assert answer.headers["location"].startswith("/runs?told=")


async def test_a_question_is_answered_asked_back_and_approved_with_other_arguments() -> None:
    async with serving() as service:
        client = service.client(**HTML)
        for form, came in (
            ({"decision": "answer", "result": "by hand"}, "Done: by hand"),
            ({"decision": "ask", "reason": "why?"}, "asks before deciding: why?"),
            ({"decision": "approve", "edit.order": "82", "edit.cents": "1"}, "refunded 1 cents on order 82"),
        ):
            run = await service.app.run("clerk", "refund it")
            answer = await client.post(f"/approvals/{run.waiting[0].id}", data={**form, "digest": run.waiting[0].digest})
            assert answer.headers["location"] == "/approvals"
            assert came in str((await service.app.wait(run)).output)
        run = await service.app.run("clerk", "refund it")
        question = run.waiting[0].id
        for wrong, told in (
            ({"edit.cents": "much"}, "does not answer"),
            ({"digest": "0" * 64}, "another call"),
            ({"edit.cents": "[]"}, ""),
        ):
            answer = await client.post(f"/approvals/{question}", data={"decision": "approve", **wrong})
            assert told in await shown(service, answer.headers["location"])
        assert (await service.app.get(run)).waiting


async def test_the_form_of_an_edit_is_the_tools_schema() -> None:
    @tool
    def send(
        text: str, copies: int = 1, urgent: bool = False, how: Literal["post", "mail"] = "post", cc: list[str] | None = None
    ) -> str:
        """Send a letter.

        Args:
            text: what it says.
            copies: how many.
            urgent: whether it is.
            how: the way.
            cc: who else.
        """
        return f"{text} {copies} {urgent} {how} {cc}"

    def play(request: Any) -> Any:
        last = request.messages[-1]
        return last.parts[-1].text if last.role == "tool" else ("send", {"text": "Dear\nSir", "how": "mail"})

    async with serving(agents=(Agent("clerk", model=FunctionModel(play), tools=[send]),)) as service:
        client = service.client(**HTML)
        run = await service.app.run("clerk", "send it")
        page = await shown(service, "/approvals")
        for part in (
            '<textarea name="edit.text"', 'type="number" step="1" name="edit.copies"', '<select name="edit.urgent"',
            '<option selected>&#34;mail&#34;</option>', '<input name="edit.cc"', "what it says.",
        ):  # fmt: skip
            assert part in page
        form = {
            "decision": "approve", "edit.text": "Dear\r\nSir", "edit.copies": "3", "edit.urgent": "true",
            "edit.how": '"post"', "edit.cc": '["dana"]',
        }  # fmt: skip
        await client.post(f"/approvals/{run.waiting[0].id}", data=form)
        assert str((await service.app.wait(run)).output).endswith("Dear\nSir 3 True post ['dana']")


async def test_what_a_model_was_asked_and_said_is_a_page() -> None:
    agent = Agent("clerk", model=FunctionModel(play), tools=[refund], instructions="You are a clerk.")
    async with serving(agents=(agent,)) as service:
        run = await service.app.run("clerk", "refund it", session="s")
        page = await shown(service, f"/runs/{run.id}")
        (asked,) = [word.split('"')[0] for word in page.split('href="')[1:] if "/asked/" in word]
        page = await shown(service, asked)
        for part in ("You are a clerk.", "<code>refund</code>", "refund it", "6200"):
            assert part in page
        await service.app.decide(run.waiting[0], approve=True)
        run = await service.app.wait(run)
        page = await shown(service, f"/runs/{run.id}")
        last = [word.split('"')[0] for word in page.split('href="')[1:] if "/asked/" in word][-1]
        assert "Done: refunded" in await shown(service, last)
        assert (await service.client(**HTML).get(f"/runs/{run.id}/asked/1")).status_code == 404


async def test_the_runs_that_a_run_started_are_among_its_spans() -> None:
    @tool(effect="read")
    async def delegate(context: ToolContext[Any]) -> str:
        """Have somebody else do it."""
        return str((await context.run("helper", "help")).output)

    def ask(request: Any) -> Any:
        last = request.messages[-1]
        return last.parts[-1].text if last.role == "tool" else ("delegate", {})

    agents = (
        Agent("boss", model=FunctionModel(ask), tools=[delegate]),
        Agent("helper", model=FunctionModel(lambda request: "helped")),
    )
    async with serving(agents=agents) as service:
        run = await service.app.run("boss", "go")
        (child,) = await service.app.list(parent=run.id)
        page = await shown(service, f"/runs/{run.id}")
        names = [word.split("<")[0] for word in page.split('<span class="name d')[1:]]
        assert names == ['0">boss', '1">step 0', '2">scripted:function', '2">delegate', '3">helper', '4">step 0',
                         '5">scripted:function', '1">step 1', '2">scripted:function']  # fmt: skip
        assert f'<a href="/runs/{child.id}">This run' in page


async def test_warnings_are_in_the_list_of_runs() -> None:
    def repeat(request: Any) -> Any:
        return ("add", {"a": 1, "b": 2})

    async with serving(agents=(Agent("clerk", model=FunctionModel(repeat), tools=[add]),)) as service:
        run = await service.app.run("clerk", "go")
        assert run.warnings
        assert run.warnings[0].replace("_", " ") in await shown(service, "/runs")
        assert (await service.client().get(f"/api/runs/{run.id}")).json()["warnings"] == list(run.warnings)


async def test_questions_of_one_rule_are_decided_together() -> None:
    async with serving() as service:
        client = service.client(**HTML)
        runs = [await service.app.run("clerk", "refund it") for _ in range(3)]
        assert "3 calls of <code>refund</code>" in await shown(service, "/approvals")
        asked = {f"q.{run.waiting[0].id}": run.waiting[0].digest for run in runs}
        await service.app.decide(runs[0].waiting[0], approve=False, by="dana")
        answer = await client.post("/approvals", data={"decision": "approve", **asked})
        told = await shown(service, answer.headers["location"])
        assert "2 decided." in told
        assert "settled already: deny by dana" in told
        assert [(await service.app.wait(run)).output for run in runs[1:]] == ["Done: refunded 6200 cents on order 81"] * 2
        for nothing in ({"decision": "approve"}, {"decision": "done", "q.x:0.0": "d"}):
            assert "Nothing was decided." in await shown(
                service, (await client.post("/approvals", data=nothing)).headers["location"]
            )
        assert (await client.post("/approvals", data={f"q.{number}": "x" for number in range(1_001)})).status_code == 422


async def test_a_run_is_forked_and_memory_forgotten_by_forms() -> None:
    async with serving(agents=KEEPING) as service:
        client = service.client(**HTML)
        run = await service.app.run("clerk", "The lighthouse is red.", user="ann")
        answer = await client.post(f"/runs/{run.id}/fork", data={"at": "1"})
        forked = answer.headers["location"].removeprefix("/runs/")
        assert (await service.app.wait(forked)).output == "You said: The lighthouse is red. (1)"
        assert "event" in await shown(service, (await client.post(f"/runs/{run.id}/fork", data={"at": "99"})).headers["location"])
        entry = (await client.get("/api/memory", params={"user": "ann"})).json()["entries"][-1]
        assert "The lighthouse is red." in await shown(service, "/memory?user=ann")
        answer = await client.post(f"/memory/{entry['id']}/forget", data={"back": "/memory?user=ann"})
        assert answer.headers["location"].startswith("/memory?user=ann&told=")
        assert (await client.get(f"/api/memory/{entry['id']}")).status_code == 404
        assert (await client.get("/memory?kind=dream")).headers["location"] == "/memory"
        assert (await client.get("/health?since=ever")).headers["location"] == "/health"


async def test_forms_steer_cancel_and_resume() -> None:
    async with serving() as service:
        client = service.client(**HTML)
        await client.post("/chat", data={"agent": "clerk", "text": "refund it", "session": "s"})
        (run,) = await service.app.list()
        assert (await client.post(f"/runs/{run.id}/messages", data={"text": "hurry"})).headers["location"] == f"/runs/{run.id}"
        assert "hurry" in await shown(service, f"/runs/{run.id}")
        await client.post(f"/runs/{run.id}/cancel")
        assert 'class="status cancelled"' in await shown(service, f"/runs/{run.id}")
        answer = await client.post(f"/runs/{run.id}/resume")
        assert "was cancelled" in await shown(service, answer.headers["location"])
        answer = await client.post("/chat", data={"agent": "nobody", "text": "hi", "session": ""})
        assert answer.status_code == 404
        assert "no agent" in answer.text


async def test_hostile_text_shows_as_text() -> None:
    def play(request: Any) -> Any:
        return ("refund", {"order": EVIL, "cents": 1}) if request.messages[-1].role == "user" else f"Done {EVIL}"

    agent = Agent("clerk", model=FunctionModel(play), tools=[refund])
    async with serving(agents=(agent,)) as service:
        client = service.client(**HTML)
        await client.post("/chat", data={"agent": "clerk", "text": EVIL, "session": EVIL})
        (run,) = await service.app.list()
        pages = ["/runs", f"/runs/{run.id}", "/approvals", "/chat"]
        for path in (*pages, *pages):
            page = await shown(service, path)
            assert "<script>alert" not in page
            assert not {"\u202e", "\x1b"} & set(page)
            if run.waiting:
                await service.app.decide(run.waiting[0], approve=True)
                async with asyncio.timeout(4):
                    run = await service.app.wait(run)


async def test_people_log_in_with_a_token() -> None:
    async with serving() as service:
        secret = await service.token("approver", "dana")
        client = service.client(**HTML)
        answer = await client.get("/approvals")
        assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=%2Fapprovals")
        assert "Your token" in await shown(service, "/login?next=/approvals")
        wrong = await client.post("/login", data={"token": "sft_a_b", "next": "/approvals"})
        assert wrong.status_code == 403
        assert COOKIE not in wrong.cookies
        answer = await client.post("/login", data={"token": secret, "next": "/approvals"})
        assert answer.headers["location"] == "/approvals"
        cookie = answer.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        page = await shown(service, "/approvals", Cookie=f"{COOKIE}={secret}")
        assert "dana · approver" in page
        assert "Log out" in page
        assert (await service.client(**HTML, Cookie=f"{COOKIE}={secret}").get("/chat")).status_code == 403
        assert (await client.post("/logout")).headers["location"] == "/login"


async def test_another_sites_forms_do_nothing() -> None:
    async with serving() as service:
        client = service.client(Origin="http://evil.example", **HTML)
        for path in ("/login", "/logout", "/chat", "/approvals/x:0.0", "/runs/x/cancel"):
            answer = await client.post(path, data={"agent": "clerk", "text": "hi", "token": "x"})
            assert answer.status_code == 403, path
        assert await service.app.list() == []


@pytest.mark.parametrize("path", ["/runs?status=sleepy", "/chat?session=nothing", "/"])
async def test_odd_addresses_lead_somewhere(path: str) -> None:
    async with serving() as service:
        answer = await service.client(**HTML).get(path)
        assert answer.status_code == 303


async def test_what_is_not_there_is_a_page_for_people() -> None:
    async with serving() as service:
        for path in ("/runs/nothing", "/nothing", "/static/other.js"):
            assert (await service.client(**HTML).get(path)).status_code == 404


async def test_pages_hear_of_changes() -> None:
    async with serving() as service:
        client = service.client()
        all_of_them = asyncio.create_task(events_of(client, "/console/changes", count=1))
        of_one = asyncio.create_task(events_of(service.client(), "/console/changes?run=other", count=1))
        async with asyncio.timeout(4):
            while not all_of_them.done():
                await service.app.run("clerk", "hi")
                await asyncio.sleep(0)
        assert all_of_them.result()[0]["event"] == "change"
        assert not of_one.done()
        of_one.cancel()


async def test_a_tenants_pages_hear_of_its_own_runs_only() -> None:
    async with serving() as service:
        ours = service.client(await service.token("viewer", "ann", tenant="ours"))
        hearing = asyncio.create_task(events_of(ours, "/console/changes", count=1))
        async with asyncio.timeout(4):
            while not hearing.done():
                await service.app.run("clerk", "hi", tenant="theirs")
                run = await service.app.run("clerk", "hi", tenant="ours")
                await asyncio.sleep(0)
        seen = hearing.result()[0]["data"]["run"]
        assert (await service.app.get(seen)).tenant == run.tenant == "ours"
