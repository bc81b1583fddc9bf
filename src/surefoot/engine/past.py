"""Read the session before a run: newest runs first, back to where the last prompt began, or until the budget is full."""

from __future__ import annotations

from dataclasses import replace
from operator import itemgetter

from surefoot.core.messages import Message
from surefoot.core.ports import Query, Store
from surefoot.core.session import conversation
from surefoot.core.state import State, fold
from surefoot.core.tokens import Count
from surefoot.engine.context import Past, cut, estimate, said

__all__ = ["past"]

#: Runs looked up at once: few at first, for most sessions are short.
_PAGES = (20, 100, 500)


async def past(store: Store, run: State, budget: float, model: str, count: Count) -> Past:
    """The session's conversation up to a run's head, as ``model`` is given it; ``budget`` is in estimated tokens."""
    started, head = run.started, run.session_head
    assert started is not None  # a claimed run has started
    found: list[tuple[int, State]] = []
    # What a tool's run said is in its tool's result. Ids may be out of order where several processes made them.
    query = Query(session=started.session, user=started.user, tenant=started.tenant, parent="", ahead_of=run.id)
    tokens, first, pages = 0, "", list(_PAGES)
    while True:
        query = replace(query, limit=pages.pop(0) if len(pages) > 1 else pages[0])
        rows = await store.find(query)
        for row in rows:
            records = [record for record in await store.read(row.id) if record.position <= head]
            state = fold(records)
            found.append((records[0].position, state))
            tokens += sum(estimate(cut(message, row.id), count) for message in state.messages)
            if not first and state.compacted is not None:
                first = state.compacted.start.rpartition(":")[0]
            if row.id == first or tokens >= (2 * budget if first else budget):
                return _put_together(found, model)
        if len(rows) < query.limit:
            return _put_together(found, model)
        query = replace(query, ahead_of=rows[-1].id)


def _put_together(found: list[tuple[int, State]], model: str) -> Past:
    """The messages of these runs, from where the last prompt of the newest that says so began."""
    states = [state for _, state in sorted(found, key=itemgetter(0))]
    result = Past()
    for state in states:
        messages = conversation([state])
        result.messages += messages
        result.places += [f"{state.id}:{at}" for at in range(len(messages))]
        result.cut |= state.gauge.cut
    if states and states[-1].model == model:
        result.scale = states[-1].gauge.scale
    done = next((state.compacted for state in reversed(states) if state.compacted is not None and state.compacted.start), None)
    if done is None:
        return result
    result.messages[:] = _shortened(result, done.cut)
    if done.start in result.places:  # else the run it names was pruned, and what is left is younger
        at = result.places.index(done.start)
        del result.messages[:at], result.places[:at]
    if done.summary:
        result.messages.insert(0, said(done.summary))
        result.places.insert(0, "")
    return result


def _shortened(past: Past, place: str) -> list[Message]:
    """The messages, with the results before a place cut."""
    until = past.places.index(place) if place in past.places else 0
    runs = [at.rpartition(":")[0] for at in past.places[:until]]
    return [cut(message, run) for message, run in zip(past.messages, runs, strict=False)] + past.messages[until:]
