"""What a failed request means: statuses, codes and wording of OpenAI's protocols, and the kind of failure each is.

Sources: the vendor's list of error codes, the codes in its API description (``response.error.code``), and the wording
of servers that speak the same protocol. The kinds are those of ``docs/reference/errors.md``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from surefoot.core.errors import ModelError
from surefoot.models.failures import Failing, by_status, message_of

__all__ = ["FAILING", "cut", "malformed", "refused"]

FAILING = Failing("OPENAI_API_KEY", ["x-request-id"])
cut, malformed = FAILING.cut, FAILING.malformed

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


def refused(status: int, body: Any, headers: Mapping[str, str]) -> ModelError:
    """The error of an answer that is one: by code, else by wording, else by HTTP status (0 inside a stream)."""
    error = body.get("error", body) if isinstance(body, Mapping) else body
    fields = error if isinstance(error, Mapping) else {}
    message = message_of(error)
    kind = _kind(status, fields, message)
    return FAILING.refusal(kind, message, status, headers)


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
    return by_status(status)
