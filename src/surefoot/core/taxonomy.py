"""The one taxonomy of failures: every kind there is, and what follows from it.

A kind is decided where the error is caught: by a provider's adapter for its statuses and codes, by `Retries.kind_of` for
whatever a tool or a model raises. Everything else (is it tried again, does the breaker count it, may another model be
asked) follows from the table, `KINDS`. ``docs/reference/recovery.md`` says it in words.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

__all__ = ["KINDS", "PERMANENT_KINDS", "Fallback", "Kind", "Trial"]

#: When another model of a chain is asked: never, at once, once the same model has failed again, or at once if its
#: context is larger and nothing could be left out of the prompt.
Fallback = Literal["never", "at_once", "after_retry", "larger"]


class Kind(msgspec.Struct, frozen=True, gc=False):
    """What follows from a kind of failure.

    ``retryable``: another try may help. ``resets``: it may help once the time has come that whoever failed named, and not
    before. ``replay_safe``: it is certain that nothing was done, so that even what must not happen twice may be tried
    again. ``breaker``: it says something about the health of whoever failed, and not only about the request.
    """

    retryable: bool = False
    replay_safe: bool = False
    breaker: bool = False
    fallback: Fallback = "never"
    resets: bool = False


#: Every kind that surefoot itself knows.
KINDS: Mapping[str, Kind] = {
    # a provider's, or the line's
    "rate_limited": Kind(retryable=True, replay_safe=True, fallback="at_once"),
    "overloaded": Kind(retryable=True, replay_safe=True, breaker=True, fallback="at_once"),
    "timeout": Kind(retryable=True, breaker=True, fallback="at_once"),
    "connection": Kind(retryable=True, breaker=True, fallback="after_retry"),
    "server": Kind(retryable=True, breaker=True, fallback="after_retry"),
    "malformed_output": Kind(retryable=True, fallback="after_retry"),
    "quota_exhausted": Kind(replay_safe=True, fallback="at_once", resets=True),
    "auth": Kind(replay_safe=True, fallback="at_once"),
    "permission": Kind(replay_safe=True, fallback="at_once"),
    "not_found": Kind(replay_safe=True, fallback="at_once"),
    "content_filtered": Kind(replay_safe=True, fallback="at_once"),
    "context_overflow": Kind(replay_safe=True, fallback="larger"),
    "invalid_request": Kind(replay_safe=True),
    # a tool's
    "tool_retryable": Kind(retryable=True, breaker=True),
    "tool_permanent": Kind(),
    "invalid_arguments": Kind(replay_safe=True),
    "unknown_outcome": Kind(),
    # a run's
    "cancelled": Kind(),
    "deadline_exceeded": Kind(),
    "limit_exceeded": Kind(),
    "no_progress": Kind(),
    "setup_failed": Kind(),
    "approval_expired": Kind(),
    "crash_loop": Kind(),
    "corrupt": Kind(),
}

#: Kinds of failure that another try cannot mend.
PERMANENT_KINDS = frozenset(name for name, kind in KINDS.items() if not kind.retryable)


class Trial(msgspec.Struct, frozen=True, gc=False):
    """A try that failed, and whether there may be another.

    ``tries`` were made so far, of ``most``; ``wish`` is how many seconds somebody asked to wait, ``left`` how many there
    are until the run's deadline.
    """

    kind: str
    tries: int
    most: int
    wish: float | None = None
    left: float = float("inf")
