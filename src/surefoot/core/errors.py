"""Every error surefoot raises, in one tree; its text says what to do next and its attributes carry the data.

::

    SurefootError
    ├── ConfigurationError        wrong before anything ran
    │   ├── MissingExtra          a package is not installed; the text is the install line
    │   ├── UnknownProvider       no such model provider
    │   ├── MissingKey            the provider's key is not set
    │   ├── UnknownAgent          no agent of that name in this application
    │   ├── DuplicateTool         two tools of one agent have the same name
    │   ├── UnsupportedAnnotation a parameter or result type has no JSON Schema
    │   └── UnknownPrice          a cost limit, and a model whose price is unknown
    ├── JournalError
    │   ├── StoreUnavailable      the database cannot be opened, read or locked
    │   ├── JournalCorrupt        bytes are damaged
    │   ├── NewerDatabase         written by a newer surefoot
    │   ├── DiskFull              no room; nothing was lost
    │   ├── UnknownEvent          an event of a newer surefoot
    │   ├── Fenced                another worker took the run over
    │   └── HeadMoved             somebody appended meanwhile
    ├── RunError
    │   ├── RunConflict           the same id with another agent, session or input
    │   ├── RunNotFound
    │   ├── SessionNotFound
    │   ├── RequestNotFound       no such question, or not in this run
    │   ├── AlreadyDecided        someone was faster, or the run has ended
    │   └── MayNotDecide          not this decision, or not by this person
    ├── ModelError                a model's request failed; ``kind`` says how
    └── ToolError                 what a tool may raise
        ├── ToolFailed            it did not happen; the model reads why
        ├── Retry                 it did not happen; try again
        └── InvalidArguments      the model should correct its arguments
"""

from __future__ import annotations

from surefoot.core.taxonomy import PERMANENT_KINDS

__all__ = [
    "PERMANENT_KINDS",
    "AlreadyDecided",
    "ConfigurationError",
    "DiskFull",
    "DuplicateTool",
    "Fenced",
    "HeadMoved",
    "InvalidArguments",
    "JournalCorrupt",
    "JournalError",
    "MayNotDecide",
    "MissingExtra",
    "MissingKey",
    "ModelError",
    "NewerDatabase",
    "RequestNotFound",
    "Retry",
    "RunConflict",
    "RunError",
    "RunNotFound",
    "SessionNotFound",
    "StoreUnavailable",
    "SurefootError",
    "ToolError",
    "ToolFailed",
    "UnknownAgent",
    "UnknownEvent",
    "UnknownPrice",
    "UnknownProvider",
    "UnsupportedAnnotation",
]


class SurefootError(Exception):
    """The base of every error surefoot raises."""


class ConfigurationError(SurefootError):
    """Something is wrong before anything ran."""


class MissingExtra(ConfigurationError):
    """A package that an extra installs is absent."""

    def __init__(self, feature: str, extra: str) -> None:
        self.feature = feature
        self.extra = extra
        super().__init__(f"{feature} needs a package that is not installed. Install it: pip install 'surefoot[{extra}]'")


class UnknownProvider(ConfigurationError):
    """No model provider of that name."""


class MissingKey(ConfigurationError):
    """The provider's key is not set."""


class UnknownAgent(ConfigurationError):
    """No agent of that name in this application."""


class DuplicateTool(ConfigurationError):
    """Two tools of one agent have the same name."""


class UnsupportedAnnotation(ConfigurationError):
    """A parameter or result type has no JSON Schema."""


class UnknownPrice(ConfigurationError):
    """A cost limit cannot be kept, because the model's price is unknown."""


class JournalError(SurefootError):
    """Reading or writing the journal failed."""


class StoreUnavailable(JournalError):
    """The database cannot be opened, read or locked."""


class JournalCorrupt(JournalError):
    """Bytes of the journal are damaged."""


class NewerDatabase(JournalError):
    """The database was written by a newer surefoot."""


class DiskFull(JournalError):
    """There is no room to write; nothing that was acknowledged is lost."""


class UnknownEvent(JournalError):
    """An event that only a newer surefoot knows."""

    def __init__(self, tag: str, stream: str) -> None:
        self.tag = tag
        self.stream = stream
        super().__init__(
            f"run {stream} holds an event {tag!r} of a newer surefoot; upgrade this worker, or leave the run to a newer one"
        )


class Fenced(JournalError):
    """Another worker took the run over: stop, and write nothing."""

    def __init__(self, run: str, epoch: int, current: int) -> None:
        self.run = run
        self.epoch = epoch
        self.current = current
        super().__init__(f"run {run} was taken over (epoch {epoch}, now {current}); this worker must stop")


class HeadMoved(JournalError):
    """Somebody appended to the stream meanwhile: read on, and decide anew."""

    def __init__(self, stream: str, expected: int, current: int) -> None:
        self.stream = stream
        self.expected = expected
        self.current = current
        super().__init__(f"stream {stream} is at {current}, not at {expected}; read on and decide anew")


class RunError(SurefootError):
    """A request about a run cannot be met."""


class RunConflict(RunError):
    """A run with this id exists, with another agent, session or input."""

    def __init__(self, key: str, run: str, differs: str) -> None:
        self.key = key
        self.run = run
        self.differs = differs
        super().__init__(f"id {key!r} already names run {run}, with another {differs}; use a new id, or the same {differs}")


class RunNotFound(RunError):
    """No run of that id."""

    def __init__(self, run: str) -> None:
        self.run = run
        super().__init__(f"there is no run {run!r}; `surefoot runs` lists them")


class SessionNotFound(RunError):
    """No session of that name, of that user."""

    def __init__(self, session: str) -> None:
        self.session = session
        super().__init__(f"there is no session {session!r}; `surefoot sessions list` lists them")


class RequestNotFound(RunError):
    """No such question."""

    def __init__(self, request: str) -> None:
        self.request = request
        super().__init__(f"there is no open question {request!r}; `run.waiting` lists those of a run")


class AlreadyDecided(RunError):
    """Someone was faster, or the run has ended."""

    def __init__(self, request: str, decision: str, by: str) -> None:
        self.request = request
        self.decision = decision
        self.by = by
        who = f" by {by}" if by else ""
        super().__init__(f"question {request!r} was settled already: {decision}{who}; nothing was changed")


class MayNotDecide(RunError):
    """Somebody may not decide a question, or not so; the question stays open."""

    def __init__(self, request: str, why: str) -> None:
        self.request = request
        self.why = why
        super().__init__(f"question {request!r} is still open: {why}")


class ModelError(SurefootError):
    """A model's request failed.

    ``kind`` is one of the taxonomy in ``docs/reference/errors.md``: rate_limited, overloaded, timeout, connection,
    server, auth, permission, not_found, quota_exhausted, invalid_request, context_overflow, content_filtered,
    malformed_output. ``retry_after`` is in seconds. Without ``sent`` nobody was asked at all.

    A chain of models sets ``tried``, what became of each of its models, and ``again`` when the next request may go to
    another of them.
    """

    def __init__(
        self,
        kind: str,
        message: str,
        *,
        status: int = 0,
        request_id: str = "",
        retry_after: float | None = None,
        sent: bool = True,
    ) -> None:
        self.kind = kind
        self.status = status
        self.request_id = request_id
        self.retry_after = retry_after
        self.sent = sent
        self.again = False
        self.tried: tuple[object, ...] = ()
        super().__init__(message)

    @property
    def retryable(self) -> bool:
        """Whether another try may succeed."""
        return self.kind not in PERMANENT_KINDS


class ToolError(SurefootError):
    """What a tool may raise on purpose."""


class ToolFailed(ToolError):
    """The tool's effect did not happen; the model reads the message."""


class Retry(ToolError):
    """The tool's effect did not happen, and another try may succeed, after ``after`` seconds."""

    def __init__(self, message: str = "try again", *, after: float | None = None) -> None:
        self.after = after
        super().__init__(message)


class InvalidArguments(ToolError):
    """The model's arguments are wrong in a way the schema could not say; the model reads the message and corrects them."""
