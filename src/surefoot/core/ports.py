"""Every seam of surefoot: a Protocol of at most five methods, with at least two implementations and one contract suite.

Reading order: `Journal`, `Runs`, `Leases`, `Blobs`, `Upkeep` and `Erasures` are the store; `Model`, `Tool` and `Policy` are
what an agent is made of; `Guard`, `Retries`, `Clock`, `Live`, `Projection`, `Embedder`, `Sink` and `Memory` are the rest.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any, Protocol, runtime_checkable

from surefoot.core.events import AppEvent, Event, Record, RunStarted
from surefoot.core.judging import Judged
from surefoot.core.model import Delta, Emit, ModelReply, ModelRequest, OutputSchema
from surefoot.core.pace import Finding
from surefoot.core.ports_channel import Channel
from surefoot.core.ports_memory import Erasures, Memory
from surefoot.core.rows import Claim, Problem, Query, RunRow, SessionRow
from surefoot.core.state import State
from surefoot.core.taxonomy import Trial
from surefoot.core.tool import Done, NotDone, ToolContext, ToolOutput, ToolSpec
from surefoot.core.values import Verdict

__all__ = [
    "Blobs", "Channel", "Claim", "Clock", "Embedder", "Erasures", "Guard", "Journal", "Judged", "Leases", "Live", "Memory",
    "Model", "Output", "Policy", "Problem", "Projection", "Query", "Retries", "RunRow", "Runs", "SessionRow", "Sink",
    "Store", "Tool", "Toolset", "Upkeep",
]  # fmt: skip


@runtime_checkable
class Journal(Protocol):
    """The append-only list of events of every stream. A stream is a run's id, or ``app``."""

    async def append(
        self,
        stream: str,
        events: Sequence[Event | AppEvent],
        *,
        head: int | None,
        epoch: int | None = None,
        barrier: bool = False,
        blobs: Sequence[bytes] = (),
    ) -> list[Record]:
        """Append after sequence number ``head`` and return the records, committed; all or nothing.

        A worker gives its ``epoch`` and gets `Fenced` when another has claimed the run since. Whoever gives ``epoch``
        None is an outside writer, and may write only message.received, approval.voted/decided/expired/revoked,
        run.cancel_requested, run.resumed, session.renamed and the ``app`` stream's events. Raises HeadMoved when the
        stream is not at ``head`` (None: wherever it is), RunNotFound, DiskFull, StoreUnavailable. A ``barrier`` is flushed to
        the disk before this returns; ``blobs`` are saved with it. The run's row follows `status_after`, in the same
        transaction; a run that ends wakes its waiting parent (status ready), and one that is suspended to wait for runs, one
        of which ended since it was claimed, is ready at once.
        """
        ...

    async def read(self, stream: str | None, after: int = 0, limit: int | None = None) -> list[Record]:
        """A stream's records with seq above ``after``; with None all, by position. Raises RunNotFound, JournalCorrupt."""
        ...

    def follow(self, stream: str | None = None, after: int = 0) -> AsyncGenerator[Record]:
        """Records as they are committed, by any process: of one stream with seq above ``after``, or, with None, of all
        with position above ``after``. Never ends by itself; close it with ``aclose``.
        """
        ...

    def on_commit(self, callback: Callable[[str, bool], None]) -> Callable[[], None]:
        """Call ``callback(stream, outside)`` on the event loop after each commit to a stream, by any process; returns how
        to stop. ``outside`` is False for what a worker of this very store object wrote with its epoch. A store may report
        a commit several times, never zero times.
        """
        ...


@runtime_checkable
class Runs(Protocol):
    """The list of runs."""

    async def add(self, run: str, started: RunStarted) -> tuple[RunRow, bool]:
        """Create a run and append its first event, flushed to disk; (row, True). When (tenant, user, key) with a key
        names a run already, nothing is written; (its row, False).
        """
        ...

    async def get(self, run: str) -> RunRow:
        """One run. Raises RunNotFound."""
        ...

    async def find(self, query: Query) -> list[RunRow]:
        """The runs that match."""
        ...

    async def sessions(self, query: Query) -> list[SessionRow]:
        """The sessions of the runs that match, as these runs alone make them, the one that went on last first. Runs with a
        parent are not looked at. A title is that of the last ``session.renamed`` of any run of the session.
        """
        ...


@runtime_checkable
class Leases(Protocol):
    """Who works on a run. All times are the database's clock."""

    async def claim(self, run: str, worker: str, seconds: float, agent_digest: str = "") -> Claim | None:
        """Take a run that is due: epoch + 1, and a run.claimed event. None when it is not to be had: it ended or waits,
        another's lease holds, or an earlier run of its session is ready or running, unless somebody wants this one to stop.
        """
        ...

    async def renew(self, worker: str, seconds: float) -> None:
        """Extend every lease of a worker. A lease that another took stays lost."""
        ...

    async def release(self, run: str, epoch: int) -> None:
        """Give a run up, whatever its status; nothing happens when another has it."""
        ...

    async def due(self, agents: Sequence[str], limit: int = 100) -> tuple[list[str], int]:
        """Runs of these agents that `claim` would take, oldest first: ready ones, waiting ones whose wake_at has
        passed (claim treats them as ready), running ones whose lease ended or whose owner process is gone; and the time
        at which the next may become due by itself, 0 for none.
        """
        ...


@runtime_checkable
class Blobs(Protocol):
    """Large bytes, by digest."""

    async def save(self, data: bytes) -> str:
        """Store bytes; the digest (SHA-256, hex). Storing the same bytes again is no error."""
        ...

    async def load(self, digest: str) -> bytes:
        """The bytes of a digest, or of a unique prefix of at least 16 digits. Raises KeyError."""
        ...


@runtime_checkable
class Upkeep(Protocol):
    """Care of a store."""

    async def check(self) -> list[Problem]:
        """Check the file, every chain, and every projection against its events. An empty list is good news."""
        ...

    async def redact(self, run: str, seq: int, *, by: str = "", reason: str = "") -> None:
        """Remove one event's body for good, from the journal and everything derived; the chain stays provable. Only in
        runs that have ended (RunError otherwise).
        """
        ...

    async def prune(self, *, before: int, status: Sequence[str] = ("done", "failed", "cancelled")) -> list[str]:
        """Delete whole runs that ended before a time (Unix microseconds), recording their last hash in ``app``, and free
        their space for good. Returns their ids.
        """
        ...

    async def erase(self, runs: Sequence[str], *, reason: str = "") -> None:
        """Delete these runs as `prune` does, for good. Raises RunError, and deletes nothing, when one has not ended; one that
        is not there is no error.
        """
        ...

    async def backup(self, path: str) -> None:
        """Write a consistent copy to a new file."""
        ...


class Store(Journal, Runs, Leases, Blobs, Upkeep, Erasures, Protocol):
    """All of a store in one object, which is opened and closed."""

    async def open(self) -> None:
        """Open, create or migrate. Raises StoreUnavailable, JournalCorrupt, NewerDatabase. Twice is no error."""
        ...

    async def close(self) -> None:
        """Finish what was accepted, and close. Twice is no error."""
        ...


class Projection(Protocol):
    """A table derived from events, written in the transaction that appends them.

    One whose ``tags`` is empty is given every event, and derived anew when events are removed. One that names the tags it
    is about is given those only, and is to heed event.redacted itself.
    """

    name: str
    tags: frozenset[str]

    def apply(self, connection: Any, record: Record) -> None:  # noqa: ANN401  the store's own connection
        """Add one record."""
        ...

    def rebuild(self, connection: Any) -> None:  # noqa: ANN401  the store's own connection
        """Empty the table, for all records to be applied again."""
        ...


@runtime_checkable
class Model(Protocol):
    """A language model. ``name`` is ``provider:model``."""

    @property
    def name(self) -> str:
        """``provider:model``."""
        ...

    @property
    def context_window(self) -> int:
        """Tokens of input the model takes; a conservative guess where unknown."""
        ...

    async def request(self, request: ModelRequest, emit: Emit) -> ModelReply:
        """Ask. Pieces go to ``emit`` as they stream; the whole is returned. Raises ModelError and nothing else."""
        ...


@runtime_checkable
class Tool(Protocol):
    """A function a model may call."""

    @property
    def name(self) -> str:
        """What the model calls it."""
        ...

    @property
    def spec(self) -> ToolSpec:
        """Everything known of it without running it. Raises UnsupportedAnnotation on first use."""
        ...

    def validate(self, arguments: str) -> str:
        """The canonical text of a model's arguments. Raises InvalidArguments, whose text the model reads."""
        ...

    async def call(self, arguments: str, context: ToolContext[Any]) -> ToolOutput:
        """Run it on canonical arguments. Raises what the tool raises; TypeError for a result that cannot be encoded."""
        ...

    async def probe(self, key: str) -> Done | NotDone:
        """Whether the call with this idempotency key happened (reconcilable tools). What it raises means: unknown."""
        ...


@runtime_checkable
class Toolset(Protocol):
    """Several tools that come together, perhaps with something to open: a server, a connection, opened anew when it broke."""

    def tools(self) -> Sequence[Tool]:
        """The tools, once open; before that those that are known already, perhaps none."""
        ...

    async def open(self) -> None:
        """Make the tools usable; called at each claim."""
        ...

    async def close(self) -> None:
        """Let go of what `open` took."""
        ...


class Output(Protocol):
    """The type of an agent's final answer."""

    @property
    def schema(self) -> OutputSchema | None:
        """What the model is told; None for plain text."""
        ...

    def validate(self, text: str) -> str:
        """The canonical text of an answer. Raises ValueError, whose text the model reads."""
        ...

    def load(self, text: str) -> Any:  # noqa: ANN401  the agent's output type
        """The value of a canonical text."""
        ...


class Policy(Protocol):
    """Decides which calls run, which ask a human and which do not run."""

    @property
    def digest(self) -> str:
        """Changes when a verdict could."""
        ...

    def settled(self, tool: ToolSpec) -> str:
        """The verdict on every call of a tool (allow, ask or deny), where arguments and context cannot change it, else
        ``""``. Calls that are allowed so are neither judged nor recorded as judged."""
        ...

    def judge(self, call: Judged) -> Verdict:
        """The verdict on one call. Must not raise; what it cannot decide, it asks."""
        ...


class Guard(Protocol):
    """Watches how a run gets on. Pure, and constant in time: it reads figures that the state keeps."""

    def check(self, state: State, now: int) -> Sequence[Finding]:
        """What is to be said of a run before its model is asked again, at ``now`` (Unix microseconds)."""
        ...


class Retries(Protocol):
    """Decides what a failure is, and whether and when another try follows. Pure: a random number is given."""

    def kind_of(self, error: BaseException) -> str:
        """The kind of an exception, in the taxonomy of ``core.taxonomy`` or a user's own."""
        ...

    def harmless(self, error: BaseException) -> bool:
        """Whether somebody vouches that whatever raised this has done nothing."""
        ...

    def delay(self, trial: Trial, chance: float) -> float | None:
        """Seconds until the next try, for a random number in [0, 1); None when there is none."""
        ...


class Clock(Protocol):
    """Time, chance and names: all that a run takes from outside without asking a model or a tool."""

    def now(self) -> int:
        """Wall clock, Unix microseconds."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back, inside one process."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...

    def new_id(self) -> str:
        """A new time-ordered identifier (UUID version 7, RFC 9562, 32 hex digits)."""
        ...

    def jitter(self) -> float:
        """A random number in [0, 1)."""
        ...


class Live(Protocol):
    """What streams and is not stored: deltas of answers, from whoever works on a run to whoever watches."""

    def publish(self, run: str, delta: Delta) -> None:
        """Send; never waits, never raises; what nobody watches is dropped."""
        ...

    def subscribe(self, run: str) -> AsyncGenerator[Delta]:
        """Receive from now on; close it with ``aclose``."""
        ...


class Embedder(Protocol):
    """Texts to vectors."""

    @property
    def name(self) -> str:
        """Names the vectors: vectors of different names are not comparable."""
        ...

    @property
    def dimensions(self) -> int:
        """Numbers in a vector."""
        ...

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """One unit-length vector a text, in order."""
        ...


class Sink(Protocol):
    """Where what runs show of themselves goes. Called from a thread of its own; it may be slow, hang or raise."""

    @property
    def name(self) -> str:
        """What it is called in messages and in the name of its cursor."""
        ...

    def begin(self) -> Callable[[Record], Sequence[Any]]:
        """A fold of one run: it takes its records from the first on, and gives what is to be written of each."""
        ...

    def write(self, before: Sequence[Any], fresh: Sequence[Any]) -> None:
        """Write what folds gave: ``before`` of records dealt with before, ``fresh`` of new ones. What raises comes again."""
        ...

    def pruned(self, run: str) -> None:
        """A run is gone from the journal for good."""
        ...

    def close(self) -> None:
        """Nothing more comes: send what is held back, let go."""
        ...
