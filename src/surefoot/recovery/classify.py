"""What an exception is, in the one taxonomy; users add kinds and rules of their own.

`Taxonomy` looks at an exception in this order: the user's rules; a `ModelError`'s own kind; the HTTP status that the
errors of common clients carry; surefoot's own errors; the standard library's. What nothing is known of may pass.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from surefoot.core import errors
from surefoot.core.errors import ConfigurationError, ModelError
from surefoot.core.taxonomy import KINDS, Kind

__all__ = ["Rules", "Taxonomy", "status_of"]

#: A user's rules: exception classes and what each is. A value may also be a function that looks closer, and gives a kind
#: or None.
Rules = Mapping[type[BaseException], "str | Callable[[BaseException], str | None]"]

_PERMANENT = (ValueError, TypeError, KeyError, PermissionError, FileNotFoundError)
_PERMANENT_STATUS = frozenset({400, 401, 403, 404, 409, 422})
#: What tools raise on purpose, and errors of a store and of the library, which reach a tool that uses them.
_OURS: Mapping[type[BaseException], str] = {
    errors.ToolFailed: "tool_permanent",
    errors.InvalidArguments: "invalid_arguments",
    errors.StoreUnavailable: "connection",
    errors.Fenced: "tool_retryable",
    errors.HeadMoved: "tool_retryable",
    errors.DiskFull: "tool_retryable",
    errors.JournalError: "tool_permanent",
    errors.RunError: "tool_permanent",
    errors.ConfigurationError: "tool_permanent",
}
_SERVER = KINDS["server"]


class Taxonomy:
    """The kinds there are, and what an exception is.

    Args:
        kinds: more kinds, or others in the place of those in `KINDS`.
        rules: what exceptions are; the first class in order that fits decides. See `Rules`.

    Raises ConfigurationError for a rule that names a kind there is not.
    """

    def __init__(self, kinds: Mapping[str, Kind] | None = None, rules: Rules | None = None) -> None:
        self._kinds: Mapping[str, Kind] = {**KINDS, **kinds} if kinds else KINDS
        self._rules = tuple((rules or {}).items())
        for kind, means in self._rules:
            if isinstance(means, str) and means not in self._kinds:
                raise ConfigurationError(f"the rule for {kind.__name__} names a kind there is not, {means!r}: add it to kinds=")

    def of(self, kind: str) -> Kind:
        """What follows from a kind; one that nobody knows is like ``server``."""
        return self._kinds.get(kind, _SERVER)

    def kind_of(self, error: BaseException) -> str:
        """The kind of an exception."""
        ruled = self.ruled(error)
        if ruled is not None:
            return ruled
        if isinstance(error, ModelError):
            return error.kind
        status = status_of(error)
        if status:
            return "tool_permanent" if status in _PERMANENT_STATUS else "tool_retryable"
        for kind, name in _OURS.items():
            if isinstance(error, kind):
                return name
        if isinstance(error, (ConnectionError, TimeoutError)):
            return "timeout" if isinstance(error, TimeoutError) else "connection"
        return "tool_permanent" if isinstance(error, _PERMANENT) else "tool_retryable"

    def ruled(self, error: BaseException) -> str | None:
        """The kind that the user's rules give an exception; None when they say nothing."""
        for kind, means in self._rules:
            if isinstance(error, kind):
                try:
                    found = means if isinstance(means, str) else means(error)
                except Exception:  # noqa: BLE001  a rule that breaks says nothing
                    found = None
                if found is not None:
                    return found
        return None


def status_of(error: BaseException) -> int:
    """The HTTP status of the errors of common clients (httpx, requests, aiohttp, the vendors' SDKs); 0 for none."""
    for place in (error, getattr(error, "response", None)):
        for name in ("status_code", "status", "code"):
            value = getattr(place, name, None)
            if type(value) is int and 100 <= value <= 599:
                return value
    return 0
