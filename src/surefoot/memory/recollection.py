"""`Recollection`: long-term memory over the table that the journal keeps in step, as the port says it.

Reading is done on a connection of its own in a thread, which is opened when something is first asked. Writing is
appending events to the journal, whose projection does the rest. Vectors follow by themselves, see `memory.follower`.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from typing import Any, TypeVar

import anyio.to_thread
import msgspec

from surefoot.core import events as ev
from surefoot.core.errors import RunError, RunNotFound, StoreUnavailable
from surefoot.core.memory import Entry, Hit, Judgement, MemoryForgotten, MemoryKept, MemoryRefused, Question, Selection
from surefoot.core.ports import Clock, Embedder, Store
from surefoot.core.rows import Erasure
from surefoot.core.state import ENDED
from surefoot.memory import gate
from surefoot.memory.follower import Derive, Follower, encoded
from surefoot.memory.meaning import Meaning
from surefoot.memory.search import Row, Scored, Searcher, Weights
from surefoot.memory.statements import named, place
from surefoot.memory.vectors import Shelf, weighed
from surefoot.memory.words import fingerprint, telling

__all__ = ["Connect", "Recollection"]

T = TypeVar("T")
#: Opens a connection that reads the table; leaving it lets go of it.
Connect = Callable[[], AbstractContextManager[sqlite3.Connection]]

#: What holds the words of a conversation.
_TALK = (
    ev.RunStarted, ev.MessageReceived, ev.MemoryRecalled, ev.ModelReplied, ev.ToolStarted, ev.ToolReturned, ev.RunFinished,
    ev.ContextCompacted,
)  # fmt: skip
#: Texts of so many characters are looked for in every run when they are to be erased; shorter ones in their own run.
_TELLING = 16
#: A user's own order of the best hits, and how many it is given.
Rerank = Callable[[str, Sequence[Hit]], Sequence[Hit]]
_RERANKED = 50
#: Words that mean something from which on a text says the same wherever it stands.
_TELLS = 5
#: Characters of a core block, and a token in characters, as the engine estimates it.
_BLOCK = 2_000
_TOKEN = 3.5


class Recollection:
    """A `Memory`.

    Args:
        store: the journal, whose projection is `memory.Table`.
        connect: opens a connection that reads the table.
        clock: the present.
        weights: how the terms of a score count.
        embedder: what makes vectors; without one, words alone count.
        derive: runs work on the journal's one writing connection.
        rerank: a user's own order of the best hits.
    """

    def __init__(  # noqa: PLR0913  the parts it is made of
        self,
        store: Store,
        connect: Connect,
        clock: Clock,
        *,
        weights: Weights = Weights(),  # noqa: B008  frozen
        embedder: Embedder | None = None,
        derive: Derive | None = None,
        rerank: Rerank | None = None,
    ) -> None:
        self._store, self._connect, self._clock, self._weights = store, connect, clock, weights
        self.embedder, self._rerank = embedder, rerank
        self._lock = threading.Lock()
        self._searcher: Searcher | None = None
        self._meaning: Meaning | None = None
        self._open = ExitStack()
        self._follower: Follower | None = None
        if embedder is not None and derive is not None:
            self._follower = Follower(store, clock, embedder, self._reading, derive)

    async def recall(self, question: Question) -> list[Hit]:
        """See `Memory.recall`."""
        asked = question if question.now else replace(question, now=self._clock.now())
        if self.embedder is None or not question.text.strip():
            return await self._do(lambda searcher: _hits(searcher, asked, None, self._rerank))
        await self._begin()
        (encoding,) = await encoded(self.embedder, [question.text])
        return await self._do(lambda searcher: _hits(searcher, asked, (self._full(searcher), encoding), self._rerank))

    async def settle(self) -> None:
        """Wait until every entry has its vector."""
        await self._begin()
        if self._follower is not None:
            await self._follower.catch_up()

    async def find(self, selection: Selection) -> list[Entry]:
        """See `Memory.find`."""
        return [row.entry for row in await self._rows(selection)]

    async def judge(self, entries: Sequence[Entry], *, most: int | None = None, recalled: str = "") -> list[Judgement]:
        """See `Memory.judge`."""
        return await self._do(lambda searcher: _Gate(searcher, self._clock.now(), recalled).judge(entries, most))

    async def keep(self, entries: Sequence[Entry]) -> list[Judgement]:
        """See `Memory.keep`."""
        judged = await self.judge(entries)
        if judged:
            await self._store.append("app", judged, head=None, barrier=True)
        return judged

    async def forget(self, ids: Sequence[str], *, by: str = "", reason: str = "", erase: bool = False) -> int:
        """See `Memory.forget`."""
        if not ids:
            return 0
        rows = await self._rows(Selection(ids=tuple(ids), closed=True, limit=0))
        if not rows:
            return 0
        events = tuple((row.stream, row.seq) for row in rows)
        if erase:
            events += await self._said([row.entry.run for row in rows])
        texts = tuple(("" if len(row.entry.text) >= _TELLING else row.entry.run or "-", row.entry.text) for row in rows if erase)
        told = (MemoryForgotten(tuple(row.entry.id for row in rows), reason, by),)
        try:
            await self._store.strike(Erasure(events, texts, told), by=by, reason=reason or "forgotten")
        except StoreUnavailable:
            # It is removed; only the log could not be emptied while somebody reads an old state. The next erasure does.
            if await self._rows(Selection(ids=tuple(ids), closed=True, limit=1)):
                raise
        return len(rows)

    async def _said(self, runs: Sequence[str]) -> tuple[tuple[str, int], ...]:
        """What was said in the runs that entries stem from; what is masked in an entry stands there as it was."""
        found: list[tuple[str, int]] = []
        for run in dict.fromkeys(run for run in runs if run):
            try:
                row = await self._store.get(run)
            except RunNotFound:  # pruned
                continue
            if row.status not in ENDED:
                raise RunError(
                    f"nothing was forgotten: run {run}, in which it was said, is {row.status}, and only runs that have ended "
                    f"can be erased; wait for it or `surefoot cancel {run}`, then forget again"
                )
            found += [(run, one.seq) for one in await self._store.read(run) if isinstance(one.event, _TALK)]
        return tuple(found)

    def close(self) -> None:
        """Let go of the connection."""
        if self._follower is not None:
            self._follower.end()
        with self._lock:
            self._open.close()
            self._searcher = self._meaning = None

    # ------------------------------------------------------------------------------------------------- private

    async def _begin(self) -> None:
        await self._store.open()
        if self._follower is not None:
            self._follower.begin()

    async def _reading(self, work: Callable[[sqlite3.Connection], T]) -> T:
        return await self._do(lambda searcher: work(searcher.connection))

    def _full(self, searcher: Searcher) -> Meaning:
        if self._meaning is None:
            assert self.embedder is not None  # `recall` has looked
            shelf = Shelf(searcher.connection, self.embedder.name, self.embedder.dimensions)
            self._meaning = Meaning(searcher.connection, searcher, shelf)
        return self._meaning

    async def _do(self, work: Callable[[Searcher], T]) -> T:
        await self._begin()
        return await anyio.to_thread.run_sync(self._work, work)

    def _work(self, work: Callable[[Searcher], T]) -> T:
        with self._lock:
            try:
                if self._searcher is None:
                    self._searcher = Searcher(self._open.enter_context(self._connect()), self._weights)
                    self._open.callback(self._searcher.close)
                return work(self._searcher)
            except (sqlite3.Error, msgspec.DecodeError) as error:
                raise StoreUnavailable(f"memory cannot be read ({error}); `surefoot doctor` looks after the file") from error

    async def _rows(self, selection: Selection) -> list[Row]:
        return await self._do(lambda searcher: _select(searcher, selection, self._clock.now()))


def _select(searcher: Searcher, selection: Selection, now: int) -> list[Row]:
    conditions = ["kinds"]
    values: dict[str, object] = {"kinds": json.dumps(selection.kinds), "now": selection.now or now, "today": now}
    if selection.scope is not None:
        conditions.append("scope")
        values |= named(selection.scope)
    if selection.ids:
        conditions.append("ids")
        values["ids"] = json.dumps(selection.ids)
    for name in ("session", "without"):
        if getattr(selection, name) is not None:
            conditions.append(name)
            values[name] = getattr(selection, name)
    for name in ("subject", "predicate"):
        if getattr(selection, name):
            conditions.append(name)
            values[name] = getattr(selection, name)
    if not selection.closed:
        conditions.append("open")
    return searcher.rows(conditions, values, selection.limit or -1)


def _hits(searcher: Searcher, question: Question, full: tuple[Meaning, Any] | None, rerank: Rerank | None) -> list[Hit]:
    """The best entries, with their neighbours where they are asked for, within the budget, without what repeats another."""
    seen: set[tuple[str, str, str]] = set()
    hits: list[Hit] = []
    room = question.tokens * _TOKEN if question.tokens else float("inf")
    asked = searcher.asked(question)
    if full is None or asked.only_when:
        ranked = searcher.search(asked)
    else:
        meaning, encoding = full
        ranked = meaning.search(asked, weighed(question.text, encoding, asked.idf))
    for one in ranked if rerank is None else _reranked(ranked, question, rerank):
        beside = [Scored(row, {"neighbour": one.score / 2}) for row in searcher.beside(one.row, question.neighbours)]
        for found in (one, *beside):
            entry = found.row.entry
            # What is short may be alike and mean something else beside another turn.
            long = len(telling(entry.text)) >= _TELLS
            said = (found.row.plain, entry.author, "" if long else entry.session)
            cost = len(entry.text) + 6 * _TOKEN
            if said in seen or cost > room:
                continue
            seen.add(said)
            room -= cost
            hits.append(Hit(entry, found.score, dict(found.parts) if question.explain else {}))
            if len(hits) == question.limit:
                return hits
    return hits


def _reranked(ranked: list[Scored], question: Question, rerank: Rerank) -> list[Scored]:
    """The best as the user's own function orders them, then the rest."""
    top = {one.row.entry.id: one for one in ranked[:_RERANKED]}
    ordered = rerank(question.text, [Hit(one.row.entry, one.score, dict(one.parts)) for one in top.values()])
    chosen = [top.pop(hit.entry.id) for hit in ordered if hit.entry.id in top]
    return [*chosen, *top.values(), *ranked[_RERANKED:]]


class _Gate:
    """Judges entries against what is there."""

    def __init__(self, searcher: Searcher, now: int, recalled: str) -> None:
        self._searcher, self._now, self._recalled = searcher, now, recalled

    def judge(self, entries: Sequence[Entry], most: int | None) -> list[Judgement]:
        """Each entry's verdict, in order, and what has to go."""
        judged: list[Judgement] = []
        skip = self._pair(entries)
        for index, entry in enumerate(entries):
            judged.append(skip[index] if index in skip else self._one(entry))
        gone = self._gone(entries, sum(isinstance(one, MemoryKept) for one in judged), most)
        return [*judged, *gone]

    def _pair(self, entries: Sequence[Entry]) -> dict[int, MemoryRefused]:
        """A question and its answer are refused together: what was said in small talk, recalled, or said before."""
        if len(entries) != 2 or [entry.author for entry in entries] != ["user", "assistant"]:
            return {}
        question, answer = entries
        reason = gate.refusal("user", question.text)
        if reason:
            return {0: MemoryRefused("input", reason), 1: MemoryRefused("answer", f"{reason}, answered")}
        if self._recalled and gate.repeats_recalled(answer.text, self._recalled):
            alone = {} if gate.tells_and_asks(question.text) else {0: MemoryRefused("input", "its answer was recalled")}
            return {**alone, 1: MemoryRefused("answer", "it was recalled")}
        asked, told = self._like(question), self._like(answer)
        if asked and told:
            return {0: MemoryRefused("input", "it repeats", asked), 1: MemoryRefused("answer", "it repeats", told)}
        return {}

    def _one(self, entry: Entry) -> Judgement:
        what = "answer" if entry.author == "assistant" else "input" if entry.kind == "episode" else entry.kind
        text, hidden = gate.masked(entry.text)
        reason = gate.refusal(entry.author, text) if entry.kind == "episode" else "" if text.strip() else "it is empty"
        if reason:
            return MemoryRefused(what, reason)
        if self._searcher.rows(["ids"], {"ids": json.dumps([entry.id])}, 1):
            return MemoryRefused(what, "it is there already", entry.id)
        closes: tuple[str, ...] = ()
        if entry.kind != "episode":
            older = self._older(entry)
            same = [row for row in older if row.plain == fingerprint(text)]
            if same:
                return MemoryRefused(what, "it repeats", same[0].entry.id)
            closes = tuple(row.entry.id for row in older if entry.subject and row.entry.predicate == entry.predicate)
        closes += (entry.replaces,) if entry.replaces and entry.replaces not in closes else ()
        limit = _BLOCK if entry.kind == "core" else gate.LONGEST
        cut = "shortened" if len(text) > limit else ""
        reason = ", ".join(part for part in (f"masked {hidden}" if hidden else "", cut) if part) or "new"
        return MemoryKept(msgspec.structs.replace(entry, text=text[:limit]), reason, closes)

    def _like(self, entry: Entry) -> str:
        """An entry of the same scope and author that says the same."""
        plain = fingerprint(gate.masked(entry.text)[0])
        values = {**named(entry.scope), "plain": plain, "kinds": json.dumps(["episode"])}
        found = self._searcher.rows(["plain", "scope", "kinds"], values, 20)
        return next((row.entry.id for row in found if row.entry.author == entry.author), "")

    def _older(self, entry: Entry) -> list[Row]:
        """Facts of the same subject, or blocks of the same name, that hold now."""
        values = {**named(entry.scope), "kinds": json.dumps([entry.kind]), "now": self._now, "today": self._now}
        found = self._searcher.rows(["kinds", "scope", "open"], values, 1_000)
        return [row for row in found if row.entry.subject.casefold() == entry.subject.casefold()]

    def _gone(self, entries: Sequence[Entry], new: int, most: int | None) -> list[MemoryForgotten]:
        """What a scope has no room for any more, and what has expired."""
        gone = []
        for scope in {entry.scope for entry in entries}:
            expired = self._searcher.ids("expired", (self._now, *place(scope)))
            if expired:
                gone.append(MemoryForgotten(expired, "expired"))
            if most is not None and new:
                over = self._searcher.episodes(scope) + new - most
                oldest = self._searcher.ids("oldest", (*place(scope), max(0, over)))
                if oldest:
                    gone.append(MemoryForgotten(oldest, "max_entries"))
        return gone
