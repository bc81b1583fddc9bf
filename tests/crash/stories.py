"""Runs of every kind whose workers are killed at every write: what their agents do, and what their tools did to the world."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from surefoot.approvals import ask
from surefoot.core.agent import Agent
from surefoot.core.errors import ModelError, Retry
from surefoot.core.model import ModelRequest
from surefoot.core.tool import Done, NotDone, ToolContext
from surefoot.testing.models import FunctionModel
from surefoot.tools.function import tool
from surefoot.tools.human import ask_human

__all__ = ["STORIES", "Story", "World"]


class World:
    """What tools did: a line in a file each, so that a killed worker's deeds are known to the next."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "effects"

    def effect(self, key: str, name: str) -> str:
        """Do something that a tool of this name does."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(f"{name} {key}\n")
        return "done"

    def effects(self) -> Counter[str]:
        """Give how often each was done."""
        return Counter(self.path.read_text(encoding="utf-8").split("\n")[:-1] if self.path.exists() else ())

    def done(self, key: str) -> bool:
        """Say whether anything was done under a key."""
        return any(line.endswith(f" {key}") for line in self.effects())


@dataclass(frozen=True)
class Story:
    """A kind of run: its agents, the first of which runs; what it comes to; which effects there are, and which happen once."""

    agents: Callable[[World], list[Agent[Any, Any]]]
    output: Any
    names: frozenset[str]
    once: frozenset[str] = frozenset()
    before: tuple[str, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)


class Total(BaseModel):
    """What a run is to come to."""

    total: int


def script(*turns: Any) -> FunctionModel:
    """A model that says what is due by how often it has been answered already, whichever worker asks."""

    def reply(request: ModelRequest) -> Any:
        since = max((at for at, message in enumerate(request.messages) if message.text == "go"), default=0)
        said = sum(message.role == "assistant" for message in request.messages[since:])
        turn = turns[min(said, len(turns) - 1)]
        return turn(request) if callable(turn) else turn

    return FunctionModel(reply)


def effects(world: World) -> list[Any]:
    """One tool of each effect."""

    @tool(effect="read")
    async def look(n: int) -> str:
        return f"saw {n}"

    @tool(effect="idempotent")
    async def put(context: ToolContext[Any], n: int) -> str:
        if context.attempt == 1 and n == 9:
            raise Retry("not yet", after=0.0)
        return world.effect(context.idempotency_key, "put")

    @tool(effect="unsafe")
    async def send(context: ToolContext[Any], n: int) -> str:
        return world.effect(context.idempotency_key, "send")

    def booked(key: str) -> Done | NotDone:
        return Done("done") if world.done(key) else NotDone()

    @tool(effect="reconcilable", probe=booked)
    async def book(context: ToolContext[Any], n: int) -> str:
        return world.effect(context.idempotency_key, "book")

    return [look, put, send, book]


def shop(world: World) -> list[Agent[Any, Any]]:
    """Each effect, two calls at once, and a request that fails first."""
    asked: list[int] = []

    def first(request: ModelRequest) -> Any:
        asked.append(1)
        calls = [("look", {"n": 1}), ("look", {"n": 2})]
        return ModelError("overloaded", "try again") if len(asked) == 1 else calls

    model = script(first, ("put", {"n": 3}), ("send", {"n": 4}), "all done")
    return [Agent("shop", model=model, tools=effects(world))]


def desk(world: World) -> list[Agent[Any, Any]]:
    """A call that is probed, one that a rule asks about, one that is denied, and a question of the model's own."""

    @tool(effect="idempotent", rules=[ask("approver")])
    async def file(context: ToolContext[Any], n: int) -> str:
        return world.effect(context.idempotency_key, "file")

    @tool(effect="unsafe")
    async def burn(n: int) -> str:
        return world.effect(str(n), "burn")

    model = script(
        ("book", {"n": 1}), ("file", {"n": 2}), ("burn", {"n": 3}), ("ask_human", {"reason": "Is that all?"}), "all done"
    )
    return [Agent("desk", model=model, tools=[*effects(world), file, burn, ask_human])]


def team(world: World) -> list[Agent[Any, Any]]:
    """A run that starts another, which sends something."""

    @tool(effect="idempotent")
    async def delegate(context: ToolContext[Any]) -> str:
        return str((await context.run("helper", "go")).output)

    helper = Agent("helper", model=script(("send", {"n": 1}), "helped"), tools=effects(world))
    return [Agent("boss", model=script(("delegate", {}), "all done"), tools=[delegate]), helper]


def clumsy(world: World) -> list[Agent[Any, Any]]:
    """A tool there is not, arguments that do not fit, a tool that wants another try, and answers that are none."""
    model = script(("lok", {"n": 1}), ("put", {"n": "many"}), ("put", {"n": 9}), "", '{"sum": 1}', '{"total": 42}')
    return [Agent("clumsy", model=model, tools=effects(world), output=Total)]


def long(world: World) -> list[Agent[Any, Any]]:
    """A second run of a conversation whose prompt must be made shorter."""

    @tool(effect="read")
    async def read(n: int) -> str:
        return f"{n} " * 2_000

    model = script(("read", {"n": 1}), ("read", {"n": 2}), ("send", {"n": 3}), "all done")
    return [Agent("long", model=model, tools=[*effects(world), read])]


STORIES = {
    "shop": Story(shop, "all done", frozenset({"put", "send"}), frozenset({"send"})),
    "desk": Story(desk, "all done", frozenset({"book", "file"}), frozenset({"book"})),
    "team": Story(team, "all done", frozenset({"send"}), frozenset({"send"})),
    "clumsy": Story(clumsy, Total(total=42), frozenset({"put"})),
    "long": Story(long, "all done", frozenset({"send"}), frozenset({"send"}), ("go",), {"context_budget": 2_500}),
}
