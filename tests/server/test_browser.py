"""The whole story in a real browser: asked in the chat, seen live, decided elsewhere by somebody else, seen to its end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.components import program, require

require("server", "playwright", "chromium")

from axe_playwright_python.async_playwright import Axe  # noqa: E402
from playwright.async_api import Browser, Page, ViewportSize, async_playwright, expect  # noqa: E402

from tests.package.source import ROOT  # noqa: E402
from tests.server.service import KEEPING, Service, serving  # noqa: E402

QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip
#: Where the screenshots stay to be looked at.
SEEN = ROOT / "build" / "screenshots"
WIDE, NARROW = ViewportSize(width=1280, height=900), ViewportSize(width=390, height=844)


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        made = await playwright.chromium.launch(executable_path=str(program("chromium")), args=QUIET)
        yield made
        await made.close()


async def visitor(browser: Browser, service: Service, role: str, viewport: ViewportSize = WIDE) -> Page:
    """Log somebody in; their page, with what went wrong in it raised."""
    secret = await service.token(role, f"{role} dana")
    context = await browser.new_context(base_url=service.url, viewport=viewport)
    page = await context.new_page()
    page.on("pageerror", _raise)
    page.on("console", lambda said: _raise(said.text) if said.type == "error" else None)
    await page.goto("/runs")
    await page.get_by_label("Your token").fill(secret)
    await page.get_by_role("button", name="Log in").click()
    await expect(page.get_by_role("heading", name="Runs")).to_be_visible()
    return page


PROBLEMS: list[str] = []


def _raise(error: object) -> None:
    PROBLEMS.append(str(error))


async def test_the_whole_story(browser: Browser) -> None:
    PROBLEMS.clear()
    async with serving(agents=KEEPING) as service:
        asking, deciding = await visitor(browser, service, "operator"), await visitor(browser, service, "approver", NARROW)
        await deciding.goto("/approvals")
        await expect(deciding.get_by_text("Nobody waits for a decision.")).to_be_visible()

        await asking.get_by_role("link", name="Chat").click()
        await asking.get_by_label("Your message").fill("refund it")
        await asking.get_by_role("button", name="Send").click()
        await expect(asking.get_by_text("Your role may not decide.")).to_be_visible()

        # Without a click, the inbox of the other one fills.
        await expect(deciding.get_by_role("heading", name="May this run?")).to_be_visible()
        await expect(deciding).to_have_title("(1) Approvals")
        await deciding.screenshot(path=SEEN / "approvals.png")
        await deciding.get_by_text("Approve with changes").click()
        await deciding.get_by_label("cents").fill("500")
        await expect(deciding.get_by_text("cents: 6200 → 500")).to_be_visible()
        await deciding.screenshot(path=SEEN / "edit.png")
        await deciding.get_by_role("button", name="Approve as changed").click()
        await expect(deciding.get_by_text("Nobody waits for a decision.")).to_be_visible()

        await expect(asking.get_by_text("refunded 500 cents on order 81").last).to_be_visible()
        await asking.get_by_role("link", name="Runs").click()
        await asking.get_by_role("link", name="refund it").click()
        await expect(asking.get_by_text("approval refund")).to_be_visible()
        await asking.get_by_text("Events (").click()
        await expect(asking.get_by_role("code").filter(has_text="approval.decided")).to_be_visible()
        await asking.screenshot(path=SEEN / "run.png", full_page=True)
        (run,) = await service.app.list()
        assert (run.status, run.user) == ("done", "operator dana")
        assert PROBLEMS == []


async def test_what_was_said_is_found_and_forgotten_and_how_it_goes_is_seen(browser: Browser) -> None:
    PROBLEMS.clear()
    async with serving(agents=KEEPING) as service:
        asking = await visitor(browser, service, "operator")
        await service.app.run("clerk", "hello over there", user="operator dana")
        await asking.get_by_role("link", name="Memory").click()
        await asking.get_by_label("Search").fill("hello")
        await asking.get_by_role("button", name="Show").click()
        found = asking.get_by_role("article").filter(has_text="episode · user")
        await found.get_by_text("Score").click()
        await expect(found.get_by_role("link", name="from this run")).to_be_visible()
        await asking.screenshot(path=SEEN / "memory.png")
        await found.get_by_role("button", name="Forget").click()
        await expect(asking.get_by_text("It is forgotten.")).to_be_visible()
        await expect(asking.get_by_role("article").filter(has_text="episode · user")).to_have_count(0)
        await asking.get_by_role("link", name="Health").click()
        await expect(asking.get_by_role("img", name="Runs:")).to_be_visible()
        await expect(asking.get_by_role("cell", name="agent clerk")).to_be_visible()
        await asking.screenshot(path=SEEN / "health.png", full_page=True)
        assert PROBLEMS == []


async def test_the_inbox_is_used_by_keyboard(browser: Browser) -> None:
    async with serving() as service:
        page = await visitor(browser, service, "approver", NARROW)
        run = await service.app.run("clerk", "refund it")
        await page.goto("/approvals")
        await page.keyboard.press("j")
        await page.keyboard.press("y")
        await expect(page.get_by_text("Nobody waits for a decision.")).to_be_visible()
        assert (await service.app.wait(run)).output == "Done: refunded 6200 cents on order 81"


async def test_a_run_is_seen_live_in_the_list(browser: Browser) -> None:
    async with serving() as service:
        page = await visitor(browser, service, "viewer")
        await expect(page.get_by_text("No run matches.")).to_be_visible()
        await service.app.run("clerk", "hello over there")
        await expect(page.get_by_role("link", name="hello over there")).to_be_visible()


@pytest.mark.parametrize("viewport", [WIDE, NARROW], ids=["wide", "narrow"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_pages_fit_and_are_accessible(browser: Browser, viewport: Any, scheme: Any) -> None:
    async with serving(agents=KEEPING) as service:
        page = await visitor(browser, service, "admin", viewport)
        await page.emulate_media(color_scheme=scheme)
        run = await service.app.run("clerk", "refund it " + "x" * 300, session="s", user="admin dana")
        for path in (
            "/runs",
            f"/runs/{run.id}",
            "/approvals",
            "/chat",
            "/chat?session=s",
            "/memory?query=it",
            "/health",
            "/login",
        ):
            await page.goto(path)
            assert await page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), path
            found = await Axe().run(page)
            grave = [one["id"] for one in found.response["violations"] if one["impact"] in ("serious", "critical")]
            assert grave == [], (path, found.generate_report())
