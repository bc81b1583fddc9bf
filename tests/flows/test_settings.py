"""A setting that cannot work is refused when it is made, with its name and its variable's."""

from __future__ import annotations

from typing import Any

import pytest

from surefoot.core.errors import ConfigurationError
from surefoot.settings import Settings


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"parallel": 0}, r"parallel=0 \(SUREFOOT_PARALLEL\) must be a whole number from 1 to"),
        ({"concurrency": 0}, "SUREFOOT_CONCURRENCY"),
        ({"agent_concurrency": 0}, "SUREFOOT_AGENT_CONCURRENCY"),
        ({"model_tries": 1.5}, "a whole number from 1"),
        ({"answer_tries": -1}, "a whole number from 0"),
        ({"lease": float("nan")}, "a number above 0"),
        ({"lease": float("inf")}, "a number above 0"),
        ({"lease": 0.0}, "a number above 0"),
        ({"poll": -1.0}, "a number above 0"),
        ({"grace": "10"}, "a number from 0"),
        ({"backoff": None}, "a number from 0"),
        ({"parallel": True}, "a whole number"),
        ({"adopt": 1}, "True or False"),
        ({"model": None}, "must be text"),
    ],
    ids=str,
)
def test_a_setting_that_cannot_work_is_refused(values: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        Settings(**values)


def test_a_variable_out_of_range_is_refused_by_its_name() -> None:
    with pytest.raises(ConfigurationError, match="SUREFOOT_LEASE"):
        Settings.from_env({"SUREFOOT_LEASE": "nan"})


def test_the_least_that_works_is_taken() -> None:
    settings = Settings(grace=0, backoff=0, answer_tries=0, context_budget=0, parallel=1, concurrency=1, agent_concurrency=None)
    assert (settings.parallel, settings.agent_concurrency) == (1, None)
