"""What the journal says of models and tools: breakers, retries, failures, who stood in for whom."""

from __future__ import annotations

from surefoot.core import events as ev
from surefoot.core.agent import Agent
from surefoot.core.errors import ModelError
from surefoot.core.values import Failure
from surefoot.recovery.breaker import Rules
from surefoot.recovery.health import Health
from surefoot.recovery.options import Recovery
from surefoot.testing.models import ScriptedModel
from surefoot.tools.function import tool
from tests.flows.kit import opened


@tool(effect="read", breaker=True)
async def look(n: int) -> str:
    """Look."""
    raise ConnectionError("no line")


@tool
async def pay() -> str:
    """Pay."""
    raise RuntimeError("who knows")


async def test_health_is_a_fold_of_the_journal(store: str) -> None:
    first = ScriptedModel(
        ModelError("server", "oops"), ("look", {"n": 1}), ModelError("overloaded", "busy", retry_after=60), name="a:one"
    )
    second = ScriptedModel("never mind", ("pay", {}), name="b:two")
    health = Health()
    async with opened(store, recovery=Recovery(breaker=Rules(least=3)), approve=lambda request: True) as app:
        run = await app.run(Agent("a", model=[first, second], tools=[look]), "go")
        assert run.output == "never mind"
        paid = await app.run(Agent("b", model=second, tools=[pay]), "go")
        failed = await app.run(Agent("c", model=ScriptedModel(ModelError("auth", "no key"), "done", name="c:three")), "go")
        await app.resume(failed)
        records = [await app.events(one) for one in (run, paid, failed)]
        kept = app.store
        await app.close()
        await kept.open()
        health.app(await kept.read("app"))
    for told in records:
        health.run(told)
    one, two, three, looked, payed = health.subjects
    assert (one.name, one.asked, one.retries, one.failed) == ("a:one", 3, 1, {"server": 1, "overloaded": 1})
    assert (one.breaker, one.reason, one.last) == ("open", "overloaded", "busy")
    assert (two.name, two.asked, two.stood_in, two.breaker) == ("b:two", 1, 1, "closed")
    assert (three.failed, health.resumed) == ({"auth": 1}, 1)
    assert (looked.name, looked.kind, looked.asked, looked.retries, looked.failed) == ("look", "tool", 3, 2, {"connection": 3})
    assert (looked.breaker, looked.reason) == ("open", "connection")
    assert (payed.failed, payed.last) == ({"unknown_outcome": 1}, "RuntimeError: who knows")
    assert health.warnings == {"fell_back": 1}


def test_what_is_known_in_part_is_shown_in_part() -> None:
    health = Health()
    error = Failure("timeout", "slow")
    events: list[ev.Event] = [
        ev.ToolFailed("0.0", error),
        ev.ToolIndeterminate("0.0", "r", "who knows"),
        ev.ModelFailed(0, error),
    ]
    health.run([ev.Record(at, "r", at, 1, 10 - at, event) for at, event in enumerate(events)])
    health.run([ev.Record(9, "r", 9, 1, 1, ev.ModelFailed(0, Failure("server", "older")))])
    [subject] = health.subjects
    assert (subject.failed, subject.last) == ({"timeout": 1, "server": 1}, "slow")


def test_what_does_not_concern_health_is_passed_over() -> None:
    health = Health()
    health.app([ev.Record(1, "app", 1, 0, 1, ev.RunPruned("r", 1, "h"))])
    alone = Failure("overloaded", "busy", data={"tried": []})
    chain = Failure("overloaded", "busy", data={"tried": [{"model": "b:two", "kind": "auth", "message": "no key"}]})
    events: list[ev.Event] = [
        ev.RunWarned("limit_near", "soon"), ev.ModelRequested(0, "a:one"), ev.ModelFailed(0, alone), ev.ModelFailed(0, chain),
    ]  # fmt: skip
    health.run([ev.Record(at, "r", at, 1, 10 - at, event) for at, event in enumerate(events)])
    one, two = health.subjects
    assert (health.warnings, one.failed, two.failed) == ({"limit_near": 1}, {"overloaded": 1}, {"auth": 1})
