"""What goes wrong between Gemini's models and their server, and what users are told."""

from __future__ import annotations

from typing import Any

import pytest

from surefoot.core.errors import ModelError
from surefoot.models.gemini import Gemini
from surefoot.testing.contracts.model import ask
from tests.models.wire import Answer, Wire, whole

pytestmark = pytest.mark.needs("gemini")


async def failure(wire: Wire, answer: Answer, *, stream: bool = False, **given: Any) -> ModelError:
    wire.answers.append(answer)
    model = Gemini("gemini-3.8-flash", api_key="k", base_url=wire.url.removesuffix("/v1"), stream=stream)
    with pytest.raises(ModelError) as caught:
        await ask(model, "hi", **given)
    return caught.value


def error(code: int, status: str, message: str, *details: dict[str, Any]) -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "status": status, "details": list(details)}}


def quota(name: str, delay: str = "") -> list[dict[str, Any]]:
    failed = {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"quotaId": name, "quotaValue": "20"}]}
    retry = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}
    return [failed, *([retry] if delay else [])]


SPENT = "You exceeded your current quota, please check your plan and billing details."
BAD_KEY = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}
KINDS: list[tuple[int, Any, str]] = [
    (
        400,
        error(400, "INVALID_ARGUMENT", "The input token count (1200293) exceeds the maximum number of tokens"),
        "context_overflow",
    ),
    (400, error(400, "INVALID_ARGUMENT", "Invalid value at 'contents[0]'"), "invalid_request"),
    (400, error(400, "INVALID_ARGUMENT", "Please pass a valid key.", BAD_KEY), "auth"),
    (400, error(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key."), "auth"),
    (400, error(400, "FAILED_PRECONDITION", "User location is not supported for the API use."), "permission"),
    (400, [error(400, "INVALID_ARGUMENT", "in an array, as streams fail")], "invalid_request"),
    (401, error(401, "UNAUTHENTICATED", "Request had invalid authentication credentials."), "auth"),
    (403, error(403, "PERMISSION_DENIED", "The caller does not have permission"), "permission"),
    (404, error(404, "NOT_FOUND", "models/gemini-9 is not found for API version v1"), "not_found"),
    (413, "Request Entity Too Large", "context_overflow"),
    (429, error(429, "RESOURCE_EXHAUSTED", SPENT), "quota_exhausted"),
    (429, error(429, "RESOURCE_EXHAUSTED", "Resource has been exhausted (e.g. check quota)."), "rate_limited"),
    (429, error(429, "RESOURCE_EXHAUSTED", SPENT, *quota("GenerateRequestsPerMinutePerProject", "36.5s")), "rate_limited"),
    (429, error(429, "RESOURCE_EXHAUSTED", SPENT, *quota("GenerateRequestsPerDayPerProject", "36s")), "quota_exhausted"),
    (499, error(499, "CANCELLED", "The operation was cancelled."), "connection"),
    (500, error(500, "INTERNAL", "An internal error has occurred."), "server"),
    (502, "<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>", "server"),
    (503, error(503, "UNAVAILABLE", "The model is overloaded. Please try again later."), "overloaded"),
    (503, "", "overloaded"),
    (504, error(504, "DEADLINE_EXCEEDED", "Deadline expired."), "timeout"),
    (529, error(529, "STRANGE", "x"), "overloaded"),
    (418, {"error": "teapot"}, "invalid_request"),
]


@pytest.mark.parametrize(("status", "body", "kind"), KINDS, ids=[f"{status}-{kind}" for status, _, kind in KINDS])
@pytest.mark.parametrize("stream", [True, False])
async def test_an_error_body_has_its_kind(wire: Wire, status: int, body: Any, kind: str, stream: bool) -> None:
    if isinstance(body, str):
        answer = Answer((body.encode(),) if body else (), status, {"x-request-id": "req9"}, kind="text/html")
    else:
        answer = whole(body, status, x_request_id="req9")
    caught = await failure(wire, answer, stream=stream)
    assert (caught.kind, caught.status, caught.request_id) == (kind, status, "req9")
    assert "<" not in str(caught)
    assert f"HTTP {status}" in str(caught)
    assert len(wire.asked) == 1  # the package does not try again by itself


async def test_when_to_try_again(wire: Wire) -> None:
    minute = error(429, "RESOURCE_EXHAUSTED", SPENT, *quota("RequestsPerMinute", "36.5s"))
    assert (await failure(wire, whole(minute, 429))).retry_after == 36.5
    assert (await failure(wire, whole(minute, 429, retry_after="7"))).retry_after == 7
    said = error(429, "RESOURCE_EXHAUSTED", "Slow down. Please retry in 20.5s.")
    assert (await failure(wire, whole(said, 429))).retry_after == 20.5
    # Daily quotas begin anew at midnight in California, whatever the answer says of seconds.
    daily = error(429, "RESOURCE_EXHAUSTED", f"{SPENT} Please retry in 36s.", *quota("RequestsPerDay", "36s"))
    caught = await failure(wire, whole(daily, 429))
    assert caught.retry_after is not None
    assert 0 < caught.retry_after <= 25 * 3_600
    assert not caught.retryable


async def test_a_key_in_an_error_is_not_repeated(wire: Wire) -> None:
    caught = await failure(wire, whole(error(400, "INVALID_ARGUMENT", "API key expired: AIzaSyabcdefghijk"), 400))
    assert "abcdefgh" not in str(caught)
    assert "GEMINI_API_KEY" in str(caught)


async def test_what_says_that_it_is_json_and_is_not_keeps_its_status(wire: Wire) -> None:
    for body in (b"", b"<html><title>Bad Gateway</title>", b"[" * 100_000):
        caught = await failure(wire, Answer((body,) if body else (), 502))
        assert (caught.kind, caught.status) == ("server", 502)
