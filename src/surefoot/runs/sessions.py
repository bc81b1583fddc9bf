"""Conversations: list, show, rename, fork, export and delete the sessions of a store.

A session is the runs of one name, one user and one tenant, and nothing besides: its title is an event of one of them, and
a fork is a run that carries the conversation so far over into another session. So there is nothing to delete but runs.
"""

from __future__ import annotations

import base64
import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from operator import attrgetter
from typing import Any, Unpack

import msgspec

from surefoot.core import canonical, codec
from surefoot.core import events as ev
from surefoot.core.errors import ConfigurationError, RunError, RunNotFound, SessionNotFound
from surefoot.core.messages import Message
from surefoot.core.ports import Clock, Query, RunRow, SessionRow, Store
from surefoot.core.session import conversation
from surefoot.core.state import fold
from surefoot.runs import desk
from surefoot.runs.intake import ListOptions, query_of, readable

__all__ = ["Sessions"]

# `list` is a method below.
_Sessions = list[SessionRow]
_Messages = list[Message]
_Rows = list[RunRow]
#: Rows read at once.
_PAGE = 500
#: Characters of a title.
_TITLE = 200
#: Seconds in which a copy, which only has to end, is somebody's.
_LEASE = 30.0
_DIGEST = re.compile(r"\b[0-9a-f]{64}\b")


class Sessions:
    """The sessions of one application's store; ``owner`` names this process, ``ready`` opens the store.

    A session belongs to one user of one tenant. Where a name alone says which is meant, ``user`` and ``tenant`` may be left
    out; where it does not, every method raises ConfigurationError. Each raises SessionNotFound.
    """

    def __init__(self, store: Store, clock: Clock, owner: str, ready: Callable[[], Awaitable[None]]) -> None:
        self._store = store
        self._clock = clock
        self._owner = owner
        self._ready = ready

    async def list(self, **query: Unpack[ListOptions]) -> _Sessions:
        """Sessions with a run that matches, the one that went on last first; what they count are the runs that match."""
        await self._ready()
        return await self._store.sessions(query_of(query))

    async def get(self, session: str, *, user: str | None = None, tenant: str | None = None) -> SessionRow:
        """One session."""
        await self._ready()
        found = await self._store.sessions(Query(session=session, user=user, tenant=tenant, limit=2)) if session else []
        if not found:
            raise SessionNotFound(session)
        if len(found) > 1:
            raise ConfigurationError(f"more than one user has a session {session!r}; say whose is meant: user=…, tenant=…")
        return found[0]

    async def show(self, session: str, *, user: str | None = None, tenant: str | None = None) -> _Messages:
        """The whole conversation, every tool call with a result, also those a model is no longer told of."""
        row = await self.get(session, user=user, tenant=tenant)
        return await self._conversation([run for run in await self._runs(row) if not run.parent])

    async def rename(
        self, session: str, title: str, *, user: str | None = None, tenant: str | None = None, by: str = ""
    ) -> SessionRow:
        """Give a session a title, or, with ``""``, take it away; its id stays. The title is kept with the last run."""
        text = " ".join(canonical.sound(title).split())
        if len(text) > _TITLE:
            raise ConfigurationError(f"a title has at most {_TITLE} characters, not {len(text)}")
        row = await self.get(session, user=user, tenant=tenant)
        await desk.outside(self._store, row.last, lambda state: ev.SessionRenamed(text, by))
        return await self.get(row.id, user=row.user, tenant=row.tenant)

    async def fork(
        self, session: str, to: str, *, at: str = "", user: str | None = None, tenant: str | None = None
    ) -> SessionRow:
        """Begin a session ``to`` with the conversation of another, up to and with run ``at`` or to its end.

        The new session holds one run, done from the beginning, with the conversation as its history; nothing is asked and
        nothing is spent. What happens in the one afterwards, its deletion included, is nothing to the other. Raises
        RunError when there is a session ``to``, or nothing was said yet; RunNotFound when ``at`` is no run of the session.
        """
        row = await self.get(session, user=user, tenant=tenant)
        if not to or await self._store.sessions(Query(session=to, user=row.user, tenant=row.tenant, limit=1)):
            raise RunError(f"there is a session {to!r} already; give the copy a new name")
        runs = [run for run in await self._runs(row) if not run.parent]
        if at:
            ids = [run.id for run in runs]
            if at not in ids:
                raise RunNotFound(at)
            runs = runs[: ids.index(at) + 1]
        history = await self._conversation(runs)
        if not history:
            raise RunError(f"session {session!r} has no conversation to copy")
        last = runs[-1]
        started = ev.RunStarted(
            last.agent, session=to, user=row.user, tenant=row.tenant, key=f"fork:{to}", forked_from=last.id, tags=last.tags,
            history=tuple(history),
        )  # fmt: skip
        copy, is_new = await self._store.add(self._clock.new_id(), readable(started))
        if not is_new:
            raise RunError(f"there is a session {to!r} already; give the copy a new name")
        claim = await self._store.claim(copy.id, self._owner, _LEASE)
        if claim is not None:  # else a worker was faster, which ends it the same way
            text = fold(claim.records).text
            head = claim.records[-1].seq
            await self._store.append(copy.id, [ev.RunFinished(text)], head=head, epoch=claim.epoch, barrier=True)
        return await self.get(to, user=row.user, tenant=row.tenant)

    async def export(self, session: str, *, user: str | None = None, tenant: str | None = None) -> AsyncGenerator[dict[str, Any]]:
        """Everything there is of a session, as JSON objects: one that names it, then every event of its runs and of the runs
        their tools started, in order, then every blob they name, in base64.
        """
        row = await self.get(session, user=user, tenant=tenant)
        yield {"session": row.id, "user": row.user, "tenant": row.tenant, "title": row.title, "runs": row.runs}
        digests: dict[str, None] = {}
        for run in await self._family(row):
            for record in await self._store.read(run.id):
                event = record.event
                tag, body = (event.tag, event.body) if isinstance(event, ev.Unknown) else codec.encode(event)
                digests.update(dict.fromkeys(_DIGEST.findall(body if isinstance(body, str) else body.decode())))
                yield {
                    "run": run.id, "seq": record.seq, "time": record.time, "epoch": record.epoch, "tag": tag,
                    "version": codec.VERSION, "body": msgspec.json.decode(body),
                }  # fmt: skip
        for digest in digests:
            with suppress(KeyError):  # what looks like a digest may be a tool's own text
                yield {"blob": digest, "data": base64.b64encode(await self._store.load(digest)).decode()}

    async def delete(self, session: str, *, user: str | None = None, tenant: str | None = None) -> int:
        """Delete a session for good, with the runs its tools started and all that only these named; the number of runs.

        Its bytes are gone from the store's files when this returns. Raises RunError, and deletes nothing, while a run of it
        has not ended: wait for it, or cancel it.
        """
        row = await self.get(session, user=user, tenant=tenant)
        runs = [run.id for run in await self._family(row)]
        await self._store.erase(runs, reason="its session was deleted")
        return len(runs)

    # ── inside ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _runs(self, row: SessionRow) -> _Rows:
        """The runs of a session, oldest first."""
        runs = await self._found(Query(session=row.id, user=row.user, tenant=row.tenant))
        return sorted(runs, key=attrgetter("created_at"))

    async def _found(self, query: Query) -> _Rows:
        """All runs that match, oldest first."""
        found: _Rows = []
        before = ""
        while True:
            rows = await self._store.find(replace(query, before=before, limit=_PAGE))
            found += rows
            if len(rows) < _PAGE:
                return found[::-1]
            before = rows[-1].id

    async def _family(self, row: SessionRow) -> _Rows:
        """The runs of a session and all that their tools started, in this session or another, parents first."""
        family = {run.id: run for run in await self._runs(row)}
        new = [*family]
        while new:
            below = [child for run in new for child in await self._found(Query(parent=run)) if child.id not in family]
            family.update({child.id: child for child in below})
            new = [child.id for child in below]
        return [*family.values()]

    async def _conversation(self, runs: _Rows) -> _Messages:
        return conversation([fold(await self._store.read(run.id)) for run in runs])
