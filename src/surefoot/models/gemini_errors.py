"""What a failed request means: statuses, details and wording of Google's APIs, and the kind of failure each is.

Source: the vendor's page "Troubleshooting", and the error model of its APIs (``google.rpc.Status`` and the details
``RetryInfo``, ``QuotaFailure`` and ``ErrorInfo``). The kinds are those of ``docs/reference/errors.md``.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from surefoot.core.errors import ModelError
from surefoot.models.failures import Failing, by_status, message_of, span
from surefoot.models.reading import item, rows, word

__all__ = ["FAILING", "cut", "malformed", "refused"]

FAILING = Failing("GEMINI_API_KEY", ["x-request-id", "x-goog-request-id"])
cut, malformed = FAILING.cut, FAILING.malformed

_STATUSES = {
    "UNAUTHENTICATED": "auth",
    "PERMISSION_DENIED": "permission",
    "NOT_FOUND": "not_found",
    "RESOURCE_EXHAUSTED": "rate_limited",
    "CANCELLED": "connection",
    "ABORTED": "server",
    "DATA_LOSS": "server",
    "INTERNAL": "server",
    "UNKNOWN": "server",
    "UNAVAILABLE": "overloaded",
    "DEADLINE_EXCEEDED": "timeout",
}
_WORDS = (
    (
        re.compile(
            r"input token count|token count .{0,40}exceeds|context (length|window)|maximum number of tokens"
            r"|payload size exceeds",
            re.IGNORECASE,
        ),
        "context_overflow",
    ),
    (re.compile(r"api[_ ]?key.{0,20}(not valid|invalid|expired|not found)|API_KEY_INVALID", re.IGNORECASE), "auth"),
    (re.compile(r"location is not supported|has not been used in project", re.IGNORECASE), "permission"),
    (re.compile(r"safety|blocked|flagged|prohibited", re.IGNORECASE), "content_filtered"),
    (re.compile(r"\boverloaded\b|high demand", re.IGNORECASE), "overloaded"),
)
#: A limit that no waiting of a few minutes lifts.
_SPENT = re.compile(
    r"exceeded your current quota|billing details|spend(ing)? (cap|limit)|credits? (are|is|have been) (depleted|exhausted)",
    re.IGNORECASE,
)
_PACIFIC = "America/Los_Angeles"


def refused(status: int, body: Any, headers: Mapping[str, str]) -> ModelError:
    """The error of an answer that is one: by its details, its wording, its status, else by HTTP status."""
    if isinstance(body, list) and body:  # a stream that fails before it began is an array
        body = body[0]
    error = body.get("error", body) if isinstance(body, Mapping) else body
    fields = item(error)
    message = message_of(error)
    code = fields.get("code")
    status = status or (code if isinstance(code, int) and 400 <= code < 600 else 0)
    details = rows(fields.get("details"))
    wait = _retry_delay(details)
    kind = _kind(status, word(fields.get("status")), message, details)
    if kind == "quota_exhausted" and _daily(details):
        wait = _until_midnight()
    failed = FAILING.refusal(kind, message, status, headers, wait)
    if kind == "quota_exhausted":
        failed.retry_after = wait  # the text speaks of seconds all the same
    return failed


def _kind(status: int, said: str, message: str, details: list[Mapping[str, Any]]) -> str:
    if status == 429 or said == "RESOURCE_EXHAUSTED":
        if _quotas(details):
            return "quota_exhausted" if _daily(details) else "rate_limited"
        spent = _SPENT.search(message) and _retry_delay(details) is None
        return "quota_exhausted" if spent else "rate_limited"
    if any(detail.get("reason") == "API_KEY_INVALID" for detail in details):
        return "auth"
    for words, kind in _WORDS:
        if words.search(message):
            return kind
    return _STATUSES.get(said) or by_status(status)


def _quotas(details: list[Mapping[str, Any]]) -> list[str]:
    """The names of the quotas that were used up."""
    return [word(row.get("quotaId")) for detail in details for row in rows(detail.get("violations")) if row.get("quotaId")]


def _daily(details: list[Mapping[str, Any]]) -> bool:
    return any("PerDay" in quota for quota in _quotas(details))


def _retry_delay(details: list[Mapping[str, Any]]) -> float | None:
    """Seconds to wait, by ``RetryInfo``: ``36s``, ``36.4s``."""
    for detail in details:
        delay = detail.get("retryDelay")
        if isinstance(delay, str) and delay.strip():
            return span(delay)
    return None


def _until_midnight() -> float:
    """Seconds until midnight in California, when the vendor's daily quotas begin anew."""
    try:
        zone: dt.tzinfo = ZoneInfo(_PACIFIC)
    except ZoneInfoNotFoundError:
        zone = dt.timezone(dt.timedelta(hours=-8))
    now = dt.datetime.now(zone)
    midnight = dt.datetime.combine(now.date() + dt.timedelta(days=1), dt.time(), zone)
    return (midnight - now).total_seconds()
