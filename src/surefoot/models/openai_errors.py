"""What a failed request means: statuses, codes and wording of OpenAI's protocols, and the kind of failure each is.

Sources: the vendor's list of error codes, the codes in its API description (``response.error.code``), and the wording
of servers that speak the same protocol. The kinds are those of ``docs/reference/errors.md``.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

from surefoot.core.errors import ModelError
from surefoot.models.openai_reply import sound

__all__ = ["cut", "malformed", "refused", "unreachable"]

_STATUS = {
    400: "invalid_request",
    401: "auth",
    402: "quota_exhausted",
    403: "permission",
    404: "not_found",
    405: "not_found",
    408: "timeout",
    409: "server",
    413: "context_overflow",
    422: "invalid_request",
    425: "server",
    429: "rate_limited",
    503: "overloaded",
    504: "timeout",
    524: "timeout",
    529: "overloaded",
}
_CODES = {
    "context_length_exceeded": "context_overflow",
    "string_above_max_length": "context_overflow",
    "request_too_large": "context_overflow",
    "exceed_context_size_error": "context_overflow",
    "insufficient_quota": "quota_exhausted",
    "billing_hard_limit_reached": "quota_exhausted",
    "billing_not_active": "quota_exhausted",
    "quota_exceeded": "quota_exhausted",
    "rate_limit_exceeded": "rate_limited",
    "rate_limit_error": "rate_limited",
    "tokens": "rate_limited",
    "requests": "rate_limited",
    "slow_down": "overloaded",
    "overloaded": "overloaded",
    "overloaded_error": "overloaded",
    "server_overloaded": "overloaded",
    "server_is_overloaded": "overloaded",
    "engine_overloaded": "overloaded",
    "server_error": "server",
    "api_error": "server",
    "internal_error": "server",
    "vector_store_timeout": "timeout",
    "timeout": "timeout",
    "invalid_api_key": "auth",
    "authentication_error": "auth",
    "account_deactivated": "auth",
    "permission_error": "permission",
    "permission_denied": "permission",
    "unsupported_country_region_territory": "permission",
    "data_residency_mismatch": "permission",
    "model_not_found": "not_found",
    "not_found_error": "not_found",
    "content_filter": "content_filtered",
    "content_policy_violation": "content_filtered",
    "image_content_policy_violation": "content_filtered",
    "misalignment_policy_violation": "content_filtered",
    "bio_policy": "content_filtered",
    "cyber_policy": "content_filtered",
    "invalid_prompt": "content_filtered",
}
_WORDS = (
    (
        re.compile(
            r"context (length|window|size)|maximum context|max(imum)? (prompt|input) (length|tokens)|prompt is too long"
            r"|too many (input )?tokens|input is too long|reduce the length"
            r"|exceeds? the (model'?s )?(available )?context",
            re.IGNORECASE,
        ),
        "context_overflow",
    ),
    (
        re.compile(r"exceeded your current quota|insufficient (quota|balance|credit)|out of credits", re.IGNORECASE),
        "quota_exhausted",
    ),
    (
        re.compile(r"content (management )?policy|content filter|flagged as|safety system", re.IGNORECASE),
        "content_filtered",
    ),
    (re.compile(r"overloaded|at capacity|no capacity", re.IGNORECASE), "overloaded"),
    (re.compile(r"model .{0,80}(does not exist|not found)", re.IGNORECASE), "not_found"),
)
_HINTS = {
    "auth": "check the key (OPENAI_API_KEY)",
    "permission": "this key may not use it: check the project's and the model's permissions",
    "not_found": "check the model's name and the base URL",
    "quota_exhausted": "the account has used up what it may spend: raise the limit, or use another model",
    "context_overflow": "the conversation is longer than the model takes: shorten it, or use a larger model",
    "content_filtered": "the provider's filter refused it: rephrase the request, or use another model",
}
_AGAIN = re.compile(r"(?:re)?try again in (?:((?:[\d.]+(?:ms|h|m|s))+)|(\d+) seconds?)", re.IGNORECASE)
_SPAN = re.compile(r"([\d.]+)(ms|h|m|s)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_SECRET = re.compile(r"\b(sk|rk|pk|Bearer)([-_ ])[A-Za-z0-9*_.-]{6,}")
_TITLE = re.compile(r"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)
_TAGS = re.compile(r"<(script|style)\b.*?</\1>|<[^>]+>", re.IGNORECASE | re.DOTALL)
_LONGEST = 600


def refused(status: int, body: Any, headers: Mapping[str, str]) -> ModelError:
    """The error of an answer that is one: by code, else by wording, else by HTTP status (0 inside a stream)."""
    error = body.get("error", body) if isinstance(body, Mapping) else body
    fields = error if isinstance(error, Mapping) else {}
    message = _message(error)
    kind = _kind(status, fields, message)
    text = message or "the provider gave no reason"
    where = f" (HTTP {status})" if status else ""
    hint = f"; {_HINTS[kind]}" if kind in _HINTS else ""
    return ModelError(
        kind,
        f"{text}{where}{hint}",
        status=status,
        request_id=headers.get("x-request-id", ""),
        retry_after=_retry_after(headers, message),
    )


def unreachable(reason: str, *, timed_out: bool) -> ModelError:
    """The error of a request that got no answer, or only part of one."""
    if timed_out:
        return ModelError("timeout", f"the provider did not answer in time ({reason})")
    return ModelError("connection", f"the connection to the provider failed ({reason}); check the base URL and the network")


def cut(headers: Mapping[str, str]) -> ModelError:
    """The error of a stream that ends before the answer does."""
    return ModelError("connection", "the answer's stream ended before the answer did", request_id=headers.get("x-request-id", ""))


def malformed(text: str, headers: Mapping[str, str]) -> ModelError:
    """The error of an answer that is not what the protocol says."""
    shown = _plain(text) or "nothing"
    return ModelError(
        "malformed_output",
        f"the provider's answer cannot be read: {shown}",
        request_id=headers.get("x-request-id", ""),
    )


def _kind(status: int, fields: Mapping[str, Any], message: str) -> str:
    by_code = [_CODES.get(str(fields.get(key, "")).lower()) for key in ("code", "type")]
    specific = by_code[0] or by_code[1]
    # Some servers call every failure a server error, or every refusal a bad request; then the wording knows more.
    if specific and specific not in ("server", "rate_limited"):
        return specific
    for words, kind in _WORDS:
        if words.search(message):
            return kind
    if specific and status not in (503, 529):
        return specific
    return _STATUS.get(status) or ("server" if status >= 500 or status == 0 else "invalid_request")


def _message(error: Any) -> str:
    if isinstance(error, Mapping):
        for key in ("message", "detail", "error", "title"):
            if error.get(key):
                return _plain(str(error[key]))
        return _plain(str(dict(error))) if error else ""
    return _plain(str(error)) if error else ""


def _plain(text: str) -> str:
    """Text as one line, without markup or anything that looks like a key."""
    if "<html" in text[:2000].lower() or "<!doctype" in text[:200].lower():
        title = _TITLE.search(text)
        text = title[1] if title else _TAGS.sub(" ", text)
    text = _SECRET.sub(r"\1\2…", " ".join(sound(text).split()))
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _retry_after(headers: Mapping[str, str], message: str) -> float | None:
    """Seconds to wait, by ``retry-after-ms``, ``Retry-After`` (seconds or a date: RFC 9110, 10.2.3), or the text."""
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        value = headers.get(name, "").strip()
        if not value:
            continue
        try:
            seconds = float(value) * unit
        except ValueError:
            seconds = _until(value)
        if 0 <= seconds < 1e7:
            return seconds
    said = _AGAIN.search(message)
    if said is None:
        return None
    if said[2]:
        return float(said[2])
    return sum(float(number.strip(".") or 0) * _SECONDS[unit] for number, unit in _SPAN.findall(said[1]))


def _until(date: str) -> float:
    try:
        return max(0.0, parsedate_to_datetime(date).timestamp() - time.time())
    except (ValueError, TypeError):
        return -1.0
