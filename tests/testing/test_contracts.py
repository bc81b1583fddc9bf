"""The ports that have no test file of their own: each of their implementations meets the port's contract suite."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import pydantic
import pytest

from surefoot.approvals import Lists
from surefoot.approvals.layers import layers_of
from surefoot.approvals.policy import CedarPolicy, EffectPolicy
from surefoot.clock import SystemClock
from surefoot.core import events as ev
from surefoot.core.judging import Judged
from surefoot.core.memory import Entry
from surefoot.core.ports import Channel, Clock, Guard, Output, Policy, Projection, Retries, Toolset
from surefoot.core.tool import Effect
from surefoot.core.values import Limits
from surefoot.memory.table import Table
from surefoot.recovery.predict import Predictor
from surefoot.recovery.progress import NoProgress
from surefoot.recovery.retry import Policy as Backing
from surefoot.testing.channel import MemoryChannel
from surefoot.testing.clock import ManualClock
from surefoot.testing.contracts import channel, clock, guard, output, policy, projection, retries, toolset
from surefoot.tools.function import tool
from surefoot.tools.output import output_of
from surefoot.tools.toolset import Tools


@tool
def refund(order: str, cents: int) -> str:
    """Refund an order."""
    return ""


class TestSystemClock(clock.Contract):
    @pytest.fixture
    def clock(self) -> Clock:
        return SystemClock()


class TestManualClock(clock.Contract):
    @pytest.fixture
    def clock(self) -> Clock:
        return ManualClock()

    async def slept(self, clock: Clock, seconds: float) -> None:
        assert isinstance(clock, ManualClock)
        sleeping = asyncio.create_task(clock.sleep(seconds))
        await asyncio.sleep(0)
        clock.advance(seconds)
        await sleeping


class TestSkippingClock(clock.Contract):
    @pytest.fixture
    def clock(self) -> Clock:
        return ManualClock(skip=True)


RULES = 'permit(principal, action == Action::"refund", resource) when { context.args.cents <= 5000 };'


class TestPolicies(policy.Contract):
    @pytest.fixture(params=["effects", "none", "rules", "lists"])
    def policy(self, request: pytest.FixtureRequest) -> Policy:
        sources: dict[str, Any] = {"none": (), "rules": RULES, "lists": Lists(allow=("contract_*",), ask=("contract_unsafe",))}
        if request.param == "effects":
            return EffectPolicy()
        made = CedarPolicy(layers_of(sources[request.param], "policy") if sources[request.param] else [])
        made.admit([refund.spec], [f"contract_{effect}" for effect in get_args(Effect)])
        return made

    @pytest.fixture
    def calls(self) -> Sequence[Judged]:
        texts = ['{"cents":1,"order":"81"}', '{"cents":9999999,"order":"81"}', '{"cents":1e300,"order":null}']
        return [Judged(f"0.{n}", text, refund.spec, "clerk") for n, text in enumerate(texts)]


class TestGuards(guard.Contract):
    @pytest.fixture(params=["progress", "predictor"])
    def guard(self, request: pytest.FixtureRequest) -> Guard:
        made: dict[str, Guard] = {"progress": NoProgress(), "predictor": Predictor(Limits(steps=20, tokens=100_000), 20_000)}
        return made[request.param]


class TestToolsets(toolset.Contract):
    @pytest.fixture(params=["plain", "composed"])
    def toolset(self, request: pytest.FixtureRequest) -> Toolset:
        plain = Tools([refund])
        return plain if request.param == "plain" else plain.renamed({"refund": "pay back"}).prefixed("shop_")


class TestRetries(retries.Contract):
    @pytest.fixture
    def retries(self) -> Retries:
        return Backing()


class Parcel(pydantic.BaseModel):
    order: str
    cents: int


@dataclass
class Pair:
    one: int
    other: list[float]


class TestOutputs(output.Contract):
    KINDS: tuple[tuple[Any, str], ...] = (
        (str, "It is 42."),
        (Parcel, '{"order": "81", "cents": 5}'),
        (Pair, '{"one": 1, "other": [2.5]}'),
        (int | None, '{"value": 3}'),
        (list[str], '["a"]'),
    )

    @pytest.fixture(params=KINDS, ids=lambda one: str(one[0]))
    def both(self, request: pytest.FixtureRequest) -> tuple[Any, str]:
        kind: tuple[Any, str] = request.param
        return kind

    @pytest.fixture
    def output(self, both: tuple[Any, str]) -> Output:
        return output_of(both[0])

    @pytest.fixture
    def answer(self, both: tuple[Any, str]) -> str:
        return both[1]


class TestMemoryChannel(channel.Contract):
    @pytest.fixture
    def channel(self) -> Channel:
        return MemoryChannel()

    @pytest.fixture
    def sent(self, channel: MemoryChannel) -> Any:
        return channel.callback

    def told(self, channel: Any) -> int:
        return len(channel.told)


class TestMemoryTable(projection.Contract):
    @pytest.fixture
    def projection(self) -> Projection:
        return Table()

    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        return tmp_path / "journal.db"

    def rows(self, connection: Any) -> object:
        return connection.execute("SELECT id, text, kind FROM memory ORDER BY id").fetchall()

    def events(self) -> Sequence[ev.Event]:
        kept = [Entry("a" * 32, "the harbour was full", time=1), Entry("b" * 32, "boats came in", time=2)]
        return [*[ev.MemoryKept(entry) for entry in kept], ev.MemoryForgotten(("a" * 32,), "asked to", "dana")]
