"""`ReadBack`: the tool by which a model reads the rest of a result of which it was given the head only."""

from __future__ import annotations

from typing import Any

from surefoot.core import canonical
from surefoot.core.errors import InvalidArguments, RunNotFound, ToolFailed
from surefoot.core.events import Record, ToolReturned
from surefoot.core.ports import Query, Store
from surefoot.core.tool import Done, NotDone, ToolContext, ToolOutput, ToolSpec

__all__ = ["ReadBack"]

#: Characters given at once: at most, and when nothing is said.
_MOST, _USUAL = 20_000, 4_000
#: Runs of a session that are looked through, newest first.
_RUNS = 1_000
_NAMES = {"handle", "offset", "limit"}
_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "handle": {"type": "string", "description": "The handle that stands behind the head of the result."},
        "offset": {"type": "integer", "minimum": 0, "description": "The first character to read; 0 when left out."},
        "limit": {
            "type": "integer",
            "minimum": 1,
            "maximum": _MOST,
            "description": f"How many characters to read; {_USUAL} when left out.",
        },
    },
    "required": ["handle"],
    "additionalProperties": False,
}


class ReadBack:
    """Reads results of the run itself and of its session in a store, and no others."""

    #: What a model calls it.
    NAME = "read_result"

    def __init__(self, store: Store) -> None:
        self._store = store
        self._spec = ToolSpec(
            self.NAME, "Read more of an earlier tool result that was cut because it is long.", _SCHEMA, effect="read"
        )

    @property
    def name(self) -> str:
        """See `Tool.name`."""
        return self.NAME

    @property
    def spec(self) -> ToolSpec:
        """See `Tool.spec`."""
        return self._spec

    def validate(self, arguments: str) -> str:
        """See `Tool.validate`."""
        try:
            given = canonical.loads(arguments)
        except ValueError as error:
            raise InvalidArguments(f"the arguments are no JSON object: {error}") from None
        if not isinstance(given, dict) or not isinstance(given.get("handle"), str) or not set(given) <= _NAMES:
            raise InvalidArguments("give handle (text), and perhaps offset and limit (whole numbers), and nothing else")
        for name, least, most in (("offset", 0, 2**53), ("limit", 1, _MOST)):
            value = given.get(name, least)
            if type(value) is not int or not least <= value <= most:
                raise InvalidArguments(f"{name} must be a whole number from {least} to {most}")
        return canonical.dumps(given)

    async def call(self, arguments: str, context: ToolContext[Any]) -> ToolOutput:
        """See `Tool.call`."""
        given = canonical.loads(arguments)
        found = await _found(self._store, context, given["handle"].strip())
        if found is None:
            raise ToolFailed(f"there is no result with the handle {given['handle']!r} in this conversation")
        text = found.result if not found.blob else (await self._store.load(found.blob)).decode(errors="replace")
        offset = given.get("offset", 0)
        piece = text[offset : offset + given.get("limit", _USUAL)]
        return ToolOutput(f"{piece}\n[characters {offset} to {offset + len(piece)} of {len(text)}]")

    async def probe(self, key: str) -> Done | NotDone:
        """See `Tool.probe`; reading is never in doubt."""
        return NotDone()


async def _found(store: Store, context: ToolContext[Any], handle: str) -> ToolReturned | None:
    """The result that a handle names: ``run:call``, or the first digits of its blob."""
    run, _, call = handle.rpartition(":")
    if call and run:
        return _in(await store.read(run), call, "") if await _is_ours(store, context, run) else None
    if len(handle) < 16:
        return None
    found = _in(await store.read(context.run_id), "", handle)
    if found is not None or not context.session:
        return found
    query = Query(session=context.session, user=context.user, tenant=context.tenant, limit=_RUNS)
    for row in await store.find(query):
        found = _in(await store.read(row.id), "", handle)
        if found is not None:
            break
    return found


async def _is_ours(store: Store, context: ToolContext[Any], run: str) -> bool:
    """Whether a run is the caller's own, or of its session."""
    if run == context.run_id:
        return True
    try:
        row = await store.get(run)
    except RunNotFound:
        return False
    ours = (context.session, context.user, context.tenant)
    return bool(context.session) and (row.session, row.user, row.tenant) == ours


def _in(records: list[Record], call: str, digest: str) -> ToolReturned | None:
    for record in records:
        event = record.event
        if isinstance(event, ToolReturned) and (event.call == call if call else event.blob.startswith(digest)):
            return event
    return None
