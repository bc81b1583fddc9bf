"""Small charts that the server draws: bars over time, as figures for a template to put into SVG."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from surefoot.runs.ages import period
from surefoot.telemetry.span import Span
from surefoot.telemetry.statistics import quantile

__all__ = ["charts"]

#: Bars of a chart, and how high one can be.
_BARS, _HIGH = 30, 38


def charts(spans: Iterable[Span], age: str, now: int) -> list[dict[str, Any]]:
    """Runs, their 95th percentile, failures and cost, each over the time up to ``now`` (Unix microseconds)."""
    width = max(1, int(period(age).total_seconds() * 1e6) // _BARS)
    begin = now - _BARS * width
    runs: list[list[Span]] = [[] for _ in range(_BARS)]
    models: list[list[Span]] = [[] for _ in range(_BARS)]
    for span in spans:
        if span.end and begin <= span.end and span.kind in ("run", "model"):
            (runs if span.kind == "run" else models)[min(_BARS - 1, (span.end - begin) // width)].append(span)
    times = [_clock(begin + at * width) for at in range(_BARS)]
    return [
        _chart("Runs", times, [len(some) for some in runs], "{:,.0f}".format),
        _chart("Time of a run, 95th percentile", times, [_late(some) for some in runs], "{:,.1f}".format, " s"),
        _chart("Runs that failed", times, [sum(1 for one in some if one.error) for some in runs], "{:,.0f}".format),
        _chart("Requests that failed", times, [sum(1 for one in some if one.error) for some in models], "{:,.0f}".format),
        _chart("Cost in dollars", times, [_spent(some) for some in models], "{:,.4f}".format),
    ]


def _chart(
    title: str, times: Sequence[str], values: Sequence[float], say: Callable[[float], str], unit: str = ""
) -> dict[str, Any]:
    most = max(values)
    points = []
    for at, value in zip(times, values, strict=True):
        height = _HIGH * value / most if most else 0.0
        points.append({"at": at, "told": f"{at} {say(value)}{unit}", "top": f"{40 - height:.2f}", "height": f"{height:.2f}"})
    return {"title": title, "points": points, "most": say(most), "unit": unit}


def _late(runs: Sequence[Span]) -> float:
    return quantile([run.duration for run in runs], 0.95) / 1e6


def _spent(requests: Sequence[Span]) -> float:
    return sum((request.attributes.get("cost") or 0) for request in requests) / 1e6


def _clock(micros: int) -> str:
    return datetime.fromtimestamp(micros / 1e6, UTC).strftime("%m-%d %H:%M")
