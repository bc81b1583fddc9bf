"""How each vendor says what is wrong: statuses and bodies by the kind of failure that they are of."""

from __future__ import annotations

from typing import Any

OPENAI = {
    "invalid_request": (400, {"error": {"message": "Unknown parameter: 'foo'", "type": "invalid_request_error"}}),
    "context_overflow": (400, {"error": {"message": "too long", "code": "context_length_exceeded"}}),
    "content_filtered": (400, {"error": {"message": "flagged", "code": "content_policy_violation"}}),
    "auth": (401, {"error": {"message": "Incorrect API key provided: sk-proj-abcdefghijklmnop", "code": "invalid_api_key"}}),
    "permission": (403, {"error": {"message": "Country not supported", "code": "unsupported_country_region_territory"}}),
    "not_found": (404, {"error": {"message": "The model does not exist", "code": "model_not_found"}}),
    "rate_limited": (429, {"error": {"message": "slow", "code": "rate_limit_exceeded"}}),
    "quota_exhausted": (429, {"error": {"message": "You exceeded your quota", "type": "insufficient_quota"}}),
    "server": (500, {"error": {"message": "The server had an error", "type": "server_error"}}),
    "overloaded": (503, {"error": {"message": "The engine is currently overloaded"}}),
    "timeout": (504, {"error": {"message": "timed out"}}),
}


def anthropic(message: str, kind: str) -> Any:
    return {"type": "error", "error": {"type": kind, "message": message}}


ANTHROPIC = {
    "invalid_request": (400, anthropic("messages.0.content.0.text: Field required", "invalid_request_error")),
    "context_overflow": (400, anthropic("prompt is too long: 210000 tokens > 200000 maximum", "invalid_request_error")),
    "content_filtered": (400, anthropic("Output blocked by content filtering policy", "invalid_request_error")),
    "auth": (401, anthropic("invalid x-api-key sk-ant-api03-abcdefghijklmnop", "authentication_error")),
    "permission": (403, anthropic("Your key may not", "permission_error")),
    "not_found": (404, anthropic("model: claude-9", "not_found_error")),
    "rate_limited": (429, anthropic("This request would exceed your rate limit", "rate_limit_error")),
    "quota_exhausted": (402, anthropic("Payment required", "billing_error")),
    "server": (500, anthropic("Internal server error", "api_error")),
    "overloaded": (529, anthropic("Overloaded", "overloaded_error")),
    "timeout": (504, anthropic("Timed out", "timeout_error")),
}


def gemini(code: int, status: str, message: str) -> tuple[int, Any]:
    return code, {"error": {"code": code, "status": status, "message": message}}


GEMINI = {
    "invalid_request": gemini(400, "INVALID_ARGUMENT", "Invalid value at 'contents[0]'"),
    "context_overflow": gemini(400, "INVALID_ARGUMENT", "The input token count (1200293) exceeds the maximum number of tokens"),
    "auth": gemini(401, "UNAUTHENTICATED", "API key expired: AIzaSyabcdefghijk"),
    "permission": gemini(403, "PERMISSION_DENIED", "The caller does not have permission"),
    "not_found": gemini(404, "NOT_FOUND", "models/gemini-9 is not found for API version v1"),
    "rate_limited": gemini(429, "RESOURCE_EXHAUSTED", "Resource has been exhausted (e.g. check quota)."),
    "quota_exhausted": gemini(429, "RESOURCE_EXHAUSTED", "You exceeded your current quota, please check your plan and billing."),
    "server": gemini(500, "INTERNAL", "An internal error has occurred."),
    "overloaded": gemini(503, "UNAVAILABLE", "The model is overloaded. Please try again later."),
    "timeout": gemini(504, "DEADLINE_EXCEEDED", "Deadline expired."),
}
