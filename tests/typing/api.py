"""The public names as type checkers see them. Checked by mypy and pyright, never run."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, TypedDict, assert_type

from pydantic import BaseModel

from surefoot import (
    Agent,
    App,
    File,
    Image,
    Limits,
    Message,
    ModelSettings,
    Request,
    Run,
    Settings,
    Text,
    Tool,
    ToolContext,
    tool,
)
from surefoot.testing.clock import ManualClock
from surefoot.testing.models import CallEveryTool, FunctionModel, ScriptedModel


class City(BaseModel):
    name: str


@dataclass
class Point:
    x: int


class Box(TypedDict):
    n: int


@dataclass
class Deps:
    url: str


# ── tools ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@tool
def bare(a: int, b: str = "") -> float:
    return float(a)


@tool(effect="read", timeout=5, retries=1, tags=["costly"], concurrency=2)
async def given(a: int) -> list[str]:
    return [str(a)]


@tool(effect="read")
def with_context(context: ToolContext[Deps], word: str) -> str:
    assert_type(context.deps, Deps)
    assert_type(context.run_id, str)
    context.progress("half", done=50)
    with context.span("fetch", url=context.deps.url):
        pass
    return word


@tool(effect="read")
async def with_child(context: ToolContext[Deps]) -> str:
    run = await context.run(text_agent, "hi")
    return str(run)


assert_type(bare(1, "x"), float)
assert_type(bare(1), float)
assert_type(bare.name, str)
assert_type(bare.effect, Literal["read", "idempotent", "reconcilable", "unsafe"])
assert_type(bare.input_schema, dict[str, Any])
assert_type(bare.output_schema, dict[str, Any] | None)
one_tool: Tool = bare
tools: Sequence[Tool] = [bare, given, with_context]


async def call_tools() -> None:
    assert_type(await given(1), list[str])


# ── agents ──────────────────────────────────────────────────────────────────────────────────────────────────────────

text_agent = Agent("text", tools=[bare, given])
city_agent = Agent("city", output=City)
point_agent = Agent("point", output=Point)
box_agent = Agent("box", output=Box)
list_agent = Agent("list", output=list[City])
number_agent = Agent("number", output=int)
either_agent = Agent("either", output=City | Point)
word_agent = Agent("word", output=Literal["yes", "no"])


def make_deps() -> Deps:
    return Deps("x")


def instructions(context: ToolContext[Any]) -> str:
    return context.user


deps_agent = Agent("deps", tools=[with_context], deps=make_deps, instructions=instructions)
full_agent = Agent(
    "full",
    model="openai:gpt-4o-mini",
    tools=[bare, given, with_context, with_child],
    instructions="Be kind.",
    output=City,
    deps=make_deps,
    limits=Limits(steps=5, tool_calls=9, tokens=1_000, cost=0.1, seconds=60),
    settings=ModelSettings(temperature=0.0, max_tokens=100),
    version="3",
)

assert_type(text_agent, Agent[Any, str])
assert_type(city_agent, Agent[Any, City])
assert_type(deps_agent, Agent[Deps, str])
assert_type(full_agent, Agent[Deps, City])
# What a type checker takes for no type of its own is still an output.
assert_type(either_agent, Agent[Any, Any])
assert_type(word_agent, Agent[Any, Any])

models = [
    Agent("a", model=ScriptedModel("hi", [("bare", {"a": 1})])),
    Agent("b", model=FunctionModel(lambda request: request.messages[-1].text)),
    Agent("c", model=CallEveryTool()),
]


# ── runs ────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def run_by_object(app: App) -> None:
    assert_type(await app.run(text_agent, "hi"), Run[str])
    assert_type((await app.run(text_agent, "hi")).output, str)
    assert_type((await app.run(city_agent, "hi")).output, City)
    assert_type((await app.run(city_agent, "hi")).output.name, str)
    assert_type((await app.run(point_agent, "hi")).output, Point)
    assert_type((await app.run(box_agent, "hi")).output, Box)
    assert_type((await app.run(list_agent, "hi")).output, list[City])
    assert_type((await app.run(number_agent, "hi")).output, int)
    assert_type((await app.run(full_agent, "hi")).output, City)
    assert_type(await app.start(city_agent, "hi"), Run[City])


async def run_by_name(app: App) -> None:
    assert_type(await app.run("clerk", "hi"), Run[Any])
    assert_type(await app.start("clerk", "hi"), Run[Any])


async def every_option(app: App) -> None:
    run = await app.run(
        text_agent,
        ["look", Text("at"), Image(data=b""), File(url="x")],
        session="s",
        id="order-81",
        user="dana",
        tenant="t",
        context={"a": 1},
        tags=["vip"],
        limits=Limits(steps=1),
        deadline=timedelta(hours=1),
        history=[Message("user", (Text("hi"),))],
        traceparent="",
    )
    await app.run(text_agent, Image(url="x"), deadline=datetime.now(UTC))
    await app.run(text_agent, deadline=5)
    assert_type(run, Run[str])
    assert_type(run.waiting, tuple[Request, ...])
    assert_type(run.id, str)
    assert_type(run.status, str)
    assert_type(run.steps, int)
    assert_type(run.cost, float | None)
    assert_type(run.usage.total, int)
    assert_type(run.tags, tuple[str, ...])
    assert_type(run.ended, bool)


async def everything_else(app: App, run: Run[City]) -> None:
    assert_type(await app.wait(run), Run[City])
    assert_type(await app.resume(run, limits=Limits(steps=9), by="dana", deadline=5), Run[City])
    assert_type(await app.cancel(run, by="dana", reason="x"), Run[City])
    assert_type(await app.get(run), Run[City])
    assert_type(await app.get("x"), Run[Any])
    assert_type(await app.wait("x"), Run[Any])
    assert_type(await app.list(status=["done"], tags=["vip"], text="x", limit=5), list[Run[Any]])
    await app.send(run, "hurry")
    for request in run.waiting:
        assert_type(await app.decide(request, approve=True, by="dana"), Run[Any])
        await app.decide(request.id, approve=False, reason="no")
        await app.settle(request, "done", result="x")
        assert_type(request.args, dict[str, Any])
    assert_type(await app.prune(timedelta(days=30)), Sequence[str])
    for record in await app.events(run):
        assert_type(record.seq, int)
    async for record in app.follow(run, until="end"):
        assert_type(record.seq, int)


def in_a_script(app: App) -> None:
    assert_type(app.run_sync(app.run(city_agent, "hi")), Run[City])
    assert_type(app.run_sync(app.run(city_agent, "hi")).output, City)


def yes(request: Request) -> bool:
    return request.tool != "refund"


async def later(request: Request) -> bool | None:
    return None


def perhaps(request: Request) -> bool | Awaitable[bool | None] | None:
    return later(request)


apps = [
    App(),
    App("memory:", agents=[text_agent, city_agent, full_agent]),
    App("sqlite:x.db", settings=Settings(lease=5), approve=yes, clock=ManualClock()),
    App(approve=later),
    App(approve=perhaps),
    App(approve=lambda request: True),
]


# ── dependencies of every kind ──────────────────────────────────────────────────────────────────────────────────────


async def awaited() -> Deps:
    return Deps("x")


@contextmanager
def managed() -> Any:
    yield Deps("x")


@asynccontextmanager
async def managed_later() -> AsyncGenerator[Deps]:
    yield Deps("x")


factories: list[Agent[Any, str]] = [
    Agent("a", deps=awaited),
    Agent("b", deps=managed),
    Agent("c", deps=managed_later),
]


def stream(app: App) -> AsyncGenerator[Any]:
    return app.stream(text_agent, "hi", session="s")
