"""What is measured of a run, and how it is added up."""

from __future__ import annotations

import re
from dataclasses import astuple
from typing import Any

import pytest
from hypothesis import Phase, given, settings

from surefoot.core import events as ev
from surefoot.core.ports import Sink
from surefoot.telemetry import metrics as metrics_module
from surefoot.telemetry import pulse
from surefoot.telemetry.metrics import Measure, Metrics
from surefoot.telemetry.names import DEFAULT, VERSIONS
from surefoot.testing.contracts.sink import SinkContract
from tests.flows.kit import opened
from tests.package.source import ROOT
from tests.telemetry.streams import any_records, at, life
from tests.telemetry.test_follower import clerk, until

METRIC = re.compile(r"gen_ai\.(client\.(token\.usage|operation\..+)|invoke_agent\..+|execute_tool\..+)")


class TestMetrics(SinkContract):
    @pytest.fixture
    def sink(self) -> Sink:
        return Metrics()

    def told(self, sink: Any) -> object:
        return sink.text()


def added(*runs: list[ev.Record]) -> dict[str, float]:
    metrics = Metrics()
    for records in runs:
        take = metrics.begin()
        metrics.write((), [point for record in records for point in take(record)])
    lines = [line for line in metrics.text().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def test_a_life_in_figures() -> None:
    found = added(life())
    for name, value in {
        'surefoot_runs_total{gen_ai_agent_name="clerk",status="done"}': 1,
        "surefoot_runs_open": 0,
        "surefoot_approvals_pending": 0,
        'surefoot_run_time_seconds_total{gen_ai_agent_name="clerk",part="human"}': 100,
        'surefoot_retries_total{kind="model",error_type="overloaded"}': 1,
        'surefoot_tool_calls_total{gen_ai_tool_name="look"}': 3,
        'surefoot_tool_errors_total{gen_ai_tool_name="look",error_type="timeout"}': 1,
        'surefoot_cost_usd_total{gen_ai_agent_name="clerk",gen_ai_request_model="1"}': 0.002,
        'surefoot_approval_duration_seconds_sum{gen_ai_tool_name="pay",decision="approve"}': 117,
        'surefoot_memory_recalls_total{found="yes"}': 1,
        'gen_ai_client_token_usage_sum{gen_ai_operation_name="chat",gen_ai_provider_name="m",gen_ai_request_model="1",gen_ai_token_type="input"}': 30,  # noqa: E501
    }.items():
        assert found[name] == value, name


def test_what_is_open_is_counted_and_an_unknown_price_is_said() -> None:
    open_ = added(life()[:10], at([(0, 0, ev.RunStarted("b"))], "s" * 32))
    assert (open_["surefoot_runs_open"], open_["surefoot_approvals_pending"]) == (2, 1)
    unpriced = added(at([(0, 0, ev.RunStarted("b")), (0, 1, ev.ModelRequested(0, "p:m")), (1, 1, ev.ModelReplied(0))]))
    assert unpriced['surefoot_cost_unknown_total{gen_ai_agent_name="b",gen_ai_request_model="m"}'] == 1
    assert not [name for name in unpriced if name.startswith("surefoot_cost_usd")]


@settings(phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink])
@given(any_records())
def test_any_run_makes_sound_text(records: list[ev.Record]) -> None:
    found = added(records)
    for name, value in found.items():
        assert re.fullmatch(r'[a-z_]+(\{([a-z_]+="(\\.|[^"\\])*",?)+\})?', name), name
        assert value >= 0 or "open" in name
    for name in found:
        if name.endswith("_count") or "_count{" in name:
            bucket = name.replace("_count", "_bucket")
            last = bucket.replace("}", ',le="+Inf"}') if "{" in bucket else bucket + '{le="+Inf"}'
            assert found[last] == found[name]


def test_every_metric_is_documented() -> None:
    page = (ROOT / "docs" / "reference" / "telemetry.md").read_text(encoding="utf-8")
    documented = re.findall(r"^\| `((?:gen_ai|surefoot)\.[a-z_.]+)` \|", page, re.MULTILINE)
    measures = [*vars(metrics_module).values(), *vars(pulse).values()]
    names = {value.name for value in measures if isinstance(value, Measure)}
    conventional = {value for value in astuple(VERSIONS[DEFAULT]) if isinstance(value, str) and METRIC.fullmatch(value)}
    assert sorted(documented) == sorted(names | conventional)


def test_the_state_of_a_breaker_is_the_last_one_told() -> None:
    states = ["open", "half_open", "open", "closed", "open"]
    records = [ev.Record(n, "app", n, 0, n, ev.BreakerChanged("m:1", state)) for n, state in enumerate(states, 1)]
    assert added([*records, ev.Record(9, "app", 9, 0, 9, ev.RunPruned("r", 1, ""))])['surefoot_breaker{subject="m:1"}'] == 2
    assert added(records[:4])['surefoot_breaker{subject="m:1"}'] == 0


async def test_what_the_journal_cannot_tell_is_felt(store: str) -> None:
    metrics = Metrics()
    async with opened(store, clerk, telemetry=[metrics]) as app:
        await app.run(clerk, "add")
        await until(lambda: "surefoot_loop_lag_seconds_count" in metrics.text())
    found = dict(line.rsplit(" ", 1) for line in metrics.text().splitlines() if not line.startswith("#"))
    assert int(found["surefoot_journal_append_duration_seconds_count"]) >= 3
    assert int(found["surefoot_loop_lag_seconds_count"]) >= 1
