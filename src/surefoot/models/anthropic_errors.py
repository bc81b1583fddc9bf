"""What a failed request means: error types, wording and statuses of Anthropic's API, and the kind of failure each is.

Source: the vendor's pages "Errors" and "Rate limits", and the error types of its package. The kinds are those of
``docs/reference/errors.md``.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from typing import Any

from surefoot.core.errors import ModelError
from surefoot.models.failures import Failing, by_status, message_of
from surefoot.models.reading import item, word

__all__ = ["FAILING", "cut", "malformed", "refused"]

FAILING = Failing("ANTHROPIC_API_KEY", ["request-id", "x-request-id"])
cut, malformed = FAILING.cut, FAILING.malformed

#: Types that say what happened. ``invalid_request_error`` and ``api_error`` are said of much else too.
_TYPES = {
    "authentication_error": "auth",
    "billing_error": "quota_exhausted",
    "permission_error": "permission",
    "not_found_error": "not_found",
    "request_too_large": "context_overflow",
    "rate_limit_error": "rate_limited",
    "timeout_error": "timeout",
    "gateway_timeout_error": "timeout",
    "overloaded_error": "overloaded",
}
_WORDS = (
    (
        re.compile(
            r"prompt is too long|exceeds? (the )?context (limit|window)|context (length|window|limit)|too many total text bytes",
            re.IGNORECASE,
        ),
        "context_overflow",
    ),
    (
        re.compile(r"credit balance|usage limits?\b.*regain|api usage limit|spend(ing)? limit|current quota", re.IGNORECASE),
        "quota_exhausted",
    ),
    (re.compile(r"content filter|filtering policy|usage policy|flagged", re.IGNORECASE), "content_filtered"),
    (re.compile(r"\boverloaded\b", re.IGNORECASE), "overloaded"),
)
#: "You will regain access on 2026-12-01 at 00:00 UTC."
_REGAIN = re.compile(r"regain access on (\d{4})-(\d\d)-(\d\d)(?: at (\d\d):(\d\d))?")


def refused(status: int, body: Any, headers: Mapping[str, str]) -> ModelError:
    """The error of an answer that is one: by type, else by wording, else by HTTP status (0 inside a stream)."""
    error = body.get("error", body) if isinstance(body, Mapping) else body
    message = message_of(error)
    kind = _kind(status, word(item(error).get("type")), message)
    failed = FAILING.refusal(kind, message, status, headers, _until_regained(message))
    if not failed.request_id and isinstance(body, Mapping):
        failed.request_id = word(body.get("request_id"))
    return failed


def _kind(status: int, said: str, message: str) -> str:
    for words, kind in _WORDS:
        if words.search(message):
            return kind
    return _TYPES.get(said) or by_status(status)


def _until_regained(message: str) -> float | None:
    found = _REGAIN.search(message)
    if found is None:
        return None
    year, month, day, hour, minute = [int(number or 0) for number in found.groups()]
    try:
        then = dt.datetime(year, month, day, hour, minute, tzinfo=dt.UTC)
    except ValueError:
        return None
    return max(0.0, (then - dt.datetime.now(dt.UTC)).total_seconds())
