"""One taxonomy: every exception has a kind, everything follows from the kind, and users add kinds and rules of their own."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest

from surefoot.core import errors
from surefoot.core.agent import Agent
from surefoot.core.errors import ConfigurationError, ModelError
from surefoot.core.taxonomy import KINDS, Fallback, Kind
from surefoot.recovery.classify import Taxonomy, status_of
from surefoot.recovery.options import Recovery
from surefoot.testing.models import ScriptedModel
from surefoot.tools.function import tool
from tests.flows.kit import opened, results

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "recovery.md"


class HttpError(Exception):
    def __init__(self, status: object, *, on: str = "status_code") -> None:
        setattr(self, on, status)
        super().__init__(f"HTTP {status}")


class Declined(Exception):
    pass


EXCEPTIONS: list[tuple[BaseException, str]] = [
    (ModelError("overloaded", "x"), "overloaded"),
    (ModelError("auth", "x", status=401), "auth"),
    *[(HttpError(status), "tool_permanent") for status in (400, 401, 403, 404, 409, 422)],
    *[(HttpError(status), "tool_retryable") for status in (408, 429, 500, 502, 503, 504, 529)],
    (HttpError(404, on="code"), "tool_permanent"),
    (HttpError(HttpError(404), on="response"), "tool_permanent"),
    (HttpError("404"), "tool_retryable"),
    (HttpError(7), "tool_retryable"),
    (errors.ToolFailed("x"), "tool_permanent"),
    (errors.Retry("x"), "tool_retryable"),
    (errors.InvalidArguments("x"), "invalid_arguments"),
    (errors.StoreUnavailable("x"), "connection"),
    (errors.DiskFull("x"), "tool_retryable"),
    (errors.HeadMoved("r", 1, 2), "tool_retryable"),
    (errors.Fenced("r", 1, 2), "tool_retryable"),
    (errors.JournalCorrupt("x"), "tool_permanent"),
    (errors.RunNotFound("r"), "tool_permanent"),
    (errors.MissingKey("x"), "tool_permanent"),
    (ConnectionResetError("x"), "connection"),
    (TimeoutError("x"), "timeout"),
    (ValueError("x"), "tool_permanent"),
    (FileNotFoundError("x"), "tool_permanent"),
    (OSError("x"), "tool_retryable"),
    (RuntimeError("x"), "tool_retryable"),
    (SystemExit(1), "tool_retryable"),
]


@pytest.mark.parametrize(("error", "kind"), EXCEPTIONS, ids=lambda value: repr(value)[:40])
def test_every_exception_has_a_kind(error: BaseException, kind: str) -> None:
    assert Taxonomy().kind_of(error) == kind
    assert kind in KINDS


def test_statuses_are_read_from_the_error_or_its_response() -> None:
    assert [status_of(error) for error in (HttpError(503), HttpError(HttpError(418), on="response"), OSError(404))] == [
        503,
        418,
        0,
    ]


def test_users_add_kinds_and_rules_of_their_own() -> None:
    mine = Taxonomy(
        {"declined": Kind(replay_safe=True)},
        {Declined: "declined", ValueError: lambda error: "tool_retryable" if "again" in str(error) else None},
    )
    assert mine.kind_of(Declined()) == "declined"
    assert mine.kind_of(ValueError("try again")) == "tool_retryable"
    assert mine.kind_of(ValueError("no")) == "tool_permanent"
    assert (mine.of("declined").replay_safe, mine.of("declined").retryable) == (True, False)
    assert (mine.ruled(KeyError()), mine.ruled(Declined())) == (None, "declined")


def test_a_rule_goes_before_what_an_error_says_of_itself() -> None:
    mine = Taxonomy(rules={ModelError: lambda error: "overloaded" if "busy" in str(error) else None})
    assert mine.kind_of(ModelError("server", "too busy")) == "overloaded"
    assert mine.kind_of(ModelError("server", "no")) == "server"


def test_a_rule_that_breaks_says_nothing() -> None:
    def broken(error: BaseException) -> str:
        raise RuntimeError("no")

    assert Taxonomy(rules={OSError: broken}).kind_of(ConnectionError()) == "connection"


def test_a_rule_must_name_a_kind_there_is() -> None:
    with pytest.raises(ConfigurationError, match="'declined': add it to kinds="):
        Taxonomy(rules={Declined: "declined"})


def test_what_nobody_knows_is_like_a_failing_server() -> None:
    assert Taxonomy().of("brand_new") == KINDS["server"]


def test_what_never_passes_is_never_tried_again() -> None:
    for kind in ("auth", "permission", "not_found", "invalid_arguments", "invalid_request", "quota_exhausted"):
        assert not KINDS[kind].retryable, kind
        assert not KINDS[kind].breaker, f"{kind}: a caller's errors never trip a breaker"


def test_the_table_is_documented() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \| (.*?) \| (.*?) \| (.*?) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    words = {"never": "never", "at_once": "at once", "after_retry": "after a retry", "larger": "a larger one"}
    assert set(words) == set(get_args(Fallback))
    said = {
        name: (
            "at its reset" if kind.resets else "yes" if kind.retryable else "no",
            "certain" if kind.replay_safe else "",
            "yes" if kind.breaker else "",
            words[kind.fallback],
        )
        for name, kind in KINDS.items()
    }
    assert {name: tuple(cells) for name, *cells in rows} == {name: said[name] for name, *_ in rows}
    assert {name for name, kind in KINDS.items() if kind != Kind()} <= {name for name, *_ in rows}


@pytest.mark.parametrize("vouched", [True, False])
async def test_a_rule_can_vouch_that_an_unsafe_tool_did_nothing(store: str, vouched: bool) -> None:
    @tool
    def pay() -> str:
        raise Declined("the card is declined")

    recovery = Recovery(kinds={"declined": Kind(replay_safe=vouched)}, rules={Declined: "declined"})
    model = ScriptedModel(("pay", {}), "it was declined")
    async with opened(store, approve=lambda request: True, recovery=recovery) as app:
        run = await app.run(Agent("a", model=model, tools=[pay]), "go")
    assert [request.kind for request in run.waiting] == ([] if vouched else ["outcome"])
    if vouched:
        assert results(model.requests[1])[0].text == "Error (declined): Declined: the card is declined"
