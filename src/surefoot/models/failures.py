"""What every adapter needs when a request fails: readable text, when to try again, and the kinds of HTTP statuses.

The kinds are those of ``docs/reference/errors.md``. Nothing here knows a provider; each adapter adds its own codes.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping
from email.utils import parsedate_to_datetime
from typing import Any

from surefoot.core.canonical import sound
from surefoot.core.errors import ModelError

__all__ = ["STATUS", "Failing", "by_status", "message_of", "plain", "retry_after", "span"]

#: Kinds by HTTP status, where nothing says more.
STATUS: Mapping[int, str] = {
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
    499: "connection",
    503: "overloaded",
    504: "timeout",
    524: "timeout",
    529: "overloaded",
}
_HINTS = {
    "permission": "this key may not use it: check the project's and the model's permissions",
    "not_found": "check the model's name and the base URL",
    "quota_exhausted": "the account has used up what it may spend: raise the limit, or use another model",
    "context_overflow": "the conversation is longer than the model takes: shorten it, or use a larger model",
    "content_filtered": "the provider's filter refused it: rephrase the request, or use another model",
}
_AGAIN = re.compile(r"(?:re)?try(?: again)? in (?:((?:[\d.]+(?:ms|h|m|s))+)|(\d+) seconds?)", re.IGNORECASE)
_SPAN = re.compile(r"([\d.]+)(ms|h|m|s)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_SECRET = re.compile(r"\b(sk|rk|pk|Bearer)([-_ ])[A-Za-z0-9*_.-]{6,}|\b(AIza|ya29\.)[A-Za-z0-9_.-]{6,}")
_TITLE = re.compile(r"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)
_TAGS = re.compile(r"<(script|style)\b.*?</\1>|<[^>]+>", re.IGNORECASE | re.DOTALL)
_LONGEST = 600


class Failing:
    """Makes one provider's errors.

    Args:
        key: the environment variable of its key, for the hint.
        request_ids: the response headers that may hold the request's id, best first.
    """

    def __init__(self, key: str, request_ids: Iterable[str]) -> None:
        self._hints = {**_HINTS, "auth": f"check the key ({key})"}
        self._request_ids = tuple(request_ids)

    def request_id(self, headers: Mapping[str, str]) -> str:
        """The request's id, as a response's headers say it; else nothing."""
        return next((sound(headers[name]) for name in self._request_ids if headers.get(name)), "")

    def named(self, error: ModelError, headers: Mapping[str, str]) -> ModelError:
        """An error from inside an answer, with the request's id."""
        error.request_id = error.request_id or self.request_id(headers)
        return error

    def refusal(self, kind: str, message: str, status: int, headers: Mapping[str, str], wait: float | None = None) -> ModelError:
        """The error of an answer that is one; ``status`` is 0 inside a stream, ``wait`` what the body says."""
        where = f" (HTTP {status})" if status else ""
        hint = f"; {self._hints[kind]}" if kind in self._hints else ""
        said = retry_after(headers, message)
        return ModelError(
            kind,
            f"{message or 'the provider gave no reason'}{where}{hint}",
            status=status,
            request_id=self.request_id(headers),
            retry_after=wait if said is None else said,
        )

    def unreachable(self, reason: str, *, timed_out: bool) -> ModelError:
        """The error of a request that got no answer, or only part of one."""
        if timed_out:
            return ModelError("timeout", f"the provider did not answer in time ({reason})")
        text = f"the connection to the provider failed ({reason}); check the base URL and the network"
        return ModelError("connection", text)

    def cut(self, headers: Mapping[str, str]) -> ModelError:
        """The error of a stream that ends before the answer does."""
        text = "the answer's stream ended before the answer did"
        return ModelError("connection", text, request_id=self.request_id(headers))

    def malformed(self, text: str, headers: Mapping[str, str]) -> ModelError:
        """The error of an answer that is not what the protocol says."""
        shown = plain(text) or "nothing"
        text = f"the provider's answer cannot be read: {shown}"
        return ModelError("malformed_output", text, request_id=self.request_id(headers))


def by_status(status: int) -> str:
    """The kind of an HTTP status; 0, which is none, is the server's fault."""
    return STATUS.get(status) or ("server" if status >= 500 or status == 0 else "invalid_request")


def message_of(error: Any) -> str:
    """What an error's body says, in one line."""
    if isinstance(error, Mapping):
        for key in ("message", "detail", "error", "title"):
            if error.get(key):
                return plain(str(error[key]))
        return plain(str(dict(error))) if error else ""
    return plain(str(error)) if error else ""


def plain(text: str) -> str:
    """Text as one line, without markup or anything that looks like a key."""
    if "<html" in text[:2000].lower() or "<!doctype" in text[:200].lower():
        title = _TITLE.search(text)
        text = title[1] if title else _TAGS.sub(" ", text)
    text = _SECRET.sub(lambda found: f"{found[1] or found[3]}{found[2] or ''}…", " ".join(sound(text).split()))
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def retry_after(headers: Mapping[str, str], message: str) -> float | None:
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
    return float(said[2]) if said[2] else span(said[1])


def span(text: str) -> float:
    """Seconds of a length of time such as ``6m0s`` or ``20ms``."""
    return sum(float(number.strip(".") or 0) * _SECONDS[unit] for number, unit in _SPAN.findall(text))


def _until(date: str) -> float:
    try:
        return max(0.0, parsedate_to_datetime(date).timestamp() - time.time())
    except (ValueError, TypeError):
        return -1.0
