"""Scripts and notebooks: `run_sync` from anywhere but the application's own loop, and loops that come and go."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from surefoot.app import App
from surefoot.core.agent import Agent
from surefoot.core.errors import RunError, UnknownAgent
from surefoot.testing.models import FunctionModel, ScriptedModel
from tests.flows.kit import BOUND, QUICK, opened


@pytest.fixture
def app(store: str) -> Iterator[App]:
    made = App(store, agents=[echo()], settings=QUICK)
    yield made
    made.run_sync(made.close())


def echo() -> Agent[Any, str]:
    return Agent("echo", model=FunctionModel(lambda request: f"echo {request.messages[-1].text}"))


def test_a_script_waits_for_runs_one_after_another(app: App) -> None:
    run = app.run_sync(app.run("echo", "one"))
    assert (run.status, run.output) == ("done", "echo one")
    assert app.run_sync(app.run("echo", "two")).output == "echo two"
    assert len(app.run_sync(app.list())) == 2
    assert threading.current_thread() is threading.main_thread()


def test_a_script_reads_a_stream(app: App) -> None:
    async def collect() -> list[str]:
        return [type(item).__name__ async for item in app.stream("echo", "hi")]

    assert "Delta" in app.run_sync(collect())


def test_errors_reach_the_script(app: App) -> None:
    with pytest.raises(UnknownAgent):
        app.run_sync(app.run("nobody", "hi"))
    assert app.run_sync(app.run("echo", "still works")).output == "echo still works"


async def test_a_notebook_waits_inside_its_own_running_loop(store: str) -> None:
    made = App(store, agents=[echo()], settings=QUICK)
    assert made.run_sync(made.run("echo", "hi")).output == "echo hi"
    with pytest.raises(RunError, match="belongs to another event loop"):
        await made.run("echo", "hi")
    made.run_sync(made.close())


async def test_waiting_for_oneself_is_refused(store: str) -> None:
    async with opened(store, echo()) as app:
        with pytest.raises(RunError, match="use await"):
            app.run_sync(app.run("echo", "hi"))
        later = asyncio.ensure_future(app.run("echo", "hi"))
        with pytest.raises(RunError, match="use await"):
            app.run_sync(later)
        assert (await later).output == "echo hi"
        assert (await app.run("echo", "hi")).output == "echo hi"


async def test_another_thread_waits_on_the_applications_own_loop(store: str) -> None:
    async with opened(store, echo()) as app:
        run = await asyncio.to_thread(lambda: app.run_sync(app.run("echo", "hi")))
        assert run.output == "echo hi"


def test_many_threads_wait_at_once(app: App) -> None:
    outputs: list[str] = []

    def work(number: int) -> None:
        outputs.append(app.run_sync(app.run("echo", str(number))).output)

    threads = [threading.Thread(target=work, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(BOUND)
    assert sorted(outputs) == sorted(f"echo {number}" for number in range(8))


def test_the_thread_ends_when_the_application_is_closed(store: str) -> None:
    def alive() -> int:
        return sum(thread.name == "surefoot" for thread in threading.enumerate())

    before, made = alive(), App(store, agents=[echo()], settings=QUICK)
    made.run_sync(made.run("echo", "hi"))
    assert alive() == before + 1
    made.run_sync(made.close())
    assert alive() == before
    assert made.run_sync(made.run("echo", "again")).output == "echo again"
    made.run_sync(made.close())
    assert made.run_sync(asyncio.sleep(0, "idle")) == "idle"
    assert alive() == before


def test_an_application_that_was_not_closed_goes_on_in_the_next_loop(store: str) -> None:
    made = App(store, agents=[echo()], settings=QUICK)
    assert asyncio.run(made.run("echo", "one")).output == "echo one"
    assert asyncio.run(made.run("echo", "two")).output == "echo two"
    assert len(made.run_sync(made.list())) == 2
    made.run_sync(made.close())


def test_a_loop_that_stands_still_is_not_waited_for(store: str) -> None:
    made = App(store, agents=[echo()], settings=QUICK)
    loop = asyncio.new_event_loop()
    loop.run_until_complete(made.open())
    with pytest.raises(RunError, match="does not run"):
        made.run_sync(made.list())
    loop.run_until_complete(made.close())
    loop.close()


async def test_opening_and_closing_twice_is_no_error(store: str) -> None:
    async with asyncio.timeout(BOUND):
        made = App(store, agents=[echo()], settings=QUICK)
        await asyncio.gather(made.open(), made.open())
        await made.open()
        await made.close()
        await made.close()
        assert (await made.run("echo", "opens by itself")).output == "echo opens by itself"
        await made.close()


SCRIPT = """
import sys
from surefoot.app import App
from surefoot.core.agent import Agent
from surefoot.testing.models import ScriptedModel

app = App("memory:")
print(app.run_sync(app.run(Agent("a", model=ScriptedModel("hello")), "hi")).output, flush=True)
if sys.argv[1:]:
    app.run_sync(app.run(Agent("b", model=ScriptedModel("never", delay=60)), "hi"))
"""


def test_a_script_that_closes_nothing_ends_all_the_same() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=30, check=True)
    assert (done.stdout, done.stderr) == ("hello\n", "")


def test_an_interrupted_script_ends() -> None:
    import signal

    with subprocess.Popen([sys.executable, "-c", SCRIPT, "wait"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"hello\n"
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert process.returncode != 0
    assert b"KeyboardInterrupt" in errors


async def test_an_application_knows_its_agents_and_its_store(store: str) -> None:
    async with opened(store, echo()) as app:
        await app.run(Agent("other", model=ScriptedModel("x")), "go")
        assert sorted(app.agents) == ["echo", "other"]
        assert await app.store.check() == []
