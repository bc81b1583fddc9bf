"""What the program's exit code says: one code for each way a command can end, the same for every command."""

from __future__ import annotations

from enum import IntEnum

from surefoot.core.errors import ConfigurationError, JournalError, RunError, SurefootError

__all__ = ["Code", "code_of_error", "code_of_status"]


class Code(IntEnum):
    """The exit codes, documented in ``docs/reference/cli.md``."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    WAITING = 3
    CANCELLED = 4
    STORE = 5
    INTERRUPTED = 130
    TERMINATED = 143


_STATUS = {"done": Code.DONE, "failed": Code.FAILED, "cancelled": Code.CANCELLED}


def code_of_status(status: str) -> Code:
    """The code for a run in this status; one that has not ended waits for somebody."""
    return _STATUS.get(status, Code.WAITING)


def code_of_error(error: SurefootError) -> Code:
    """The code for an error: the store's own, a request that cannot be met, or a run that went wrong."""
    if isinstance(error, JournalError):
        return Code.STORE
    return Code.USAGE if isinstance(error, ConfigurationError | RunError) else Code.FAILED
