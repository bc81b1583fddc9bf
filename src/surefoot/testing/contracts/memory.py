"""What every `Memory` must do, as tests: inherit, and give a fixture named ``memory``, with an empty store open behind it.

::

    class TestMine(Contract):
        @pytest.fixture
        async def memory(self) -> Memory:
            return Mine()
"""

from __future__ import annotations

from typing import Any

import msgspec

from surefoot.core.memory import Entry, MemoryForgotten, MemoryKept, MemoryRefused, Question, Scope, Selection
from surefoot.core.ports import Memory

__all__ = ["DAY", "NOW", "Contract", "asked", "entry", "talk"]

DAY = 86_400_000_000
#: 15 November 2023, a Wednesday.
NOW = 1_700_006_400_000_000
_MINE = Scope("acme", "ann", "clerk")
_TALK = (
    ("s1", "user", "We adopted a puppy from the shelter in Lisbon."),
    ("s1", "assistant", "Congratulations! What is its name?"),
    ("s1", "user", "Biscuit. He chews all my shoes."),
    ("s2", "user", "The quarterly report is due on Friday."),
    ("s2", "assistant", "I will remind you of the deadline."),
    ("s3", "user", "My sister Carla plays the cello in an orchestra."),
    ("s3", "assistant", "How many concerts does the orchestra give?"),
    ("s3", "user", "About forty a year."),
)


def entry(number: int, text: str, **fields: Any) -> Entry:  # noqa: ANN401  an Entry's own
    """An entry of the suite's scope."""
    return Entry(**{"id": f"e{number}", "text": text, "scope": _MINE, "time": NOW - DAY, "session": "s", **fields})


async def talk(memory: Memory, **fields: Any) -> list[Entry]:  # noqa: ANN401  an Entry's own
    """Three short conversations, a day apart, one entry at a time."""
    entries = [
        entry(number, text, session=session, author=author, time=NOW - (4 - int(session[1])) * DAY + number, **fields)
        for number, (session, author, text) in enumerate(_TALK)
    ]
    for one in entries:
        await memory.keep([one])
    return entries


def asked(text: str, **fields: Any) -> Question:  # noqa: ANN401  a Question's own
    """A question to the suite's scope."""
    return Question(**{"text": text, "scope": _MINE, "now": NOW, **fields})


class Contract:
    """The behaviour of the port; what ranks before what is tested only where any sound ranking agrees."""

    async def test_an_empty_memory_says_so(self, memory: Memory) -> None:
        """Nothing is found, listed or forgotten."""
        assert await memory.recall(asked("anything at all")) == []
        assert await memory.find(Selection()) == []
        assert await memory.forget(["e1"]) == 0

    async def test_what_is_kept_is_listed_newest_first(self, memory: Memory) -> None:
        """Whole, by scope, kind, thread and name, up to the limit."""
        entries = await talk(memory)
        assert await memory.find(Selection(_MINE)) == entries[::-1]
        assert await memory.find(Selection(limit=2)) == [entries[-1], entries[-2]]
        assert await memory.find(Selection(session="s2")) == [entries[4], entries[3]]
        assert await memory.find(Selection(without="s3")) == entries[4::-1]
        assert await memory.find(Selection(ids=("e3", "no"))) == [entries[3]]
        assert await memory.find(Selection(kinds=("fact",))) == []
        assert await memory.find(Selection(Scope("acme", "bob", "clerk"))) == []

    async def test_what_fits_is_recalled(self, memory: Memory) -> None:
        """The turn that answers comes first, or the one beside it."""
        await talk(memory)
        for question, wanted in (
            ("Where did the puppy come from?", {"e0"}),
            ("What does Carla play?", {"e5"}),
            ("When is the report due?", {"e3"}),
            ("Which name does the puppy have?", {"e0", "e1", "e2"}),
        ):
            hits = await memory.recall(asked(question, limit=3))
            assert hits[0].entry.id in wanted, question
            assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)

    async def test_what_does_not_fit_scores_low(self, memory: Memory) -> None:
        """Whoever asks can tell that nothing was found."""
        await talk(memory)
        (good, *_) = await memory.recall(asked("Does my sister play the cello?"))
        bad = await memory.recall(asked("Which volcano erupted under the glacier?"))
        assert all(hit.score < good.score / 2 for hit in bad)

    async def test_a_scope_sees_its_own_only(self, memory: Memory) -> None:
        """Neither another user's, nor another tenant's, nor another agent's, nor that of one conversation."""
        await talk(memory)
        one = Scope("acme", "ann", "clerk", "s1")
        others = (Scope("acme", "bob", "clerk"), Scope("else", "ann", "clerk"), Scope("acme", "ann", "cook"), Scope(), one)
        for other in others:
            assert await memory.recall(asked("the puppy from the shelter", scope=other)) == []
        await memory.keep([entry(20, "The kitten sleeps in the drawer.", scope=one, session="s1")])
        for scope, ids in ((one, ["e20"]), (_MINE, [])):
            hits = await memory.recall(asked("Where does the kitten sleep?", scope=scope, limit=1))
            assert [hit.entry.id for hit in hits if hit.entry.scope == one] == ids
            assert [found.id for found in await memory.find(Selection(scope)) if found.scope == one] == ids

    async def test_limits_hold(self, memory: Memory) -> None:
        """Entries, tokens, times, threads, kinds."""
        await talk(memory)
        assert len(await memory.recall(asked("the orchestra and the puppy", limit=2))) == 2
        few = await memory.recall(asked("the orchestra and the puppy", tokens=30))
        assert 0 < sum(len(hit.entry.text) for hit in few) <= 105
        late = await memory.recall(asked("puppy orchestra report", since=NOW - DAY))
        assert {hit.entry.session for hit in late} == {"s3"}
        early = await memory.recall(asked("puppy orchestra report", until=NOW - 2 * DAY))
        assert {hit.entry.session for hit in early} == {"s1"}
        assert {hit.entry.session for hit in await memory.recall(asked("puppy report", session="s2"))} == {"s2"}
        assert "s2" not in {hit.entry.session for hit in await memory.recall(asked("puppy report", without="s2"))}
        assert await memory.recall(asked("puppy", kinds=("fact",))) == []

    async def test_a_narrow_question_finds_what_a_thousand_others_fit_better(self, memory: Memory) -> None:
        """What a thread, a kind or a time leaves out takes nobody's place."""
        words = [" ".join(f"w{n}x{at}" for at in range(6)) for n in range(1_000)]
        others = [entry(100 + n, f"Red kite, {text}, red kite.", session=f"o{n}") for n, text in enumerate(words)]
        mine = {"session": "mine", "time": NOW - 20 * DAY}
        fact = {"kind": "fact", "subject": "Ann", "predicate": "owns", "session": ""}
        await memory.keep([*others, entry(1, "Somebody flew a kite, and it was late.", **mine)])
        await memory.keep([entry(2, "Ann owns a kite, among other things.", **fact)])
        assert len(await memory.find(Selection(limit=0))) == 1_002
        for wish, found in (
            ({"session": "mine"}, "e1"), ({"until": NOW - 10 * DAY}, "e1"), ({"kinds": ("fact",)}, "e2"),
        ):  # fmt: skip
            hits = await memory.recall(asked("red kite", **wish))
            assert [hit.entry.id for hit in hits] == [found], wish

    async def test_scores_are_explained(self, memory: Memory) -> None:
        """The parts add up, and are left out when nobody asks."""
        await talk(memory)
        for hit in await memory.recall(asked("How many concerts does the orchestra give?", explain=True)):
            assert abs(sum(hit.parts.values()) - hit.score) < 1e-9
        assert not (await memory.recall(asked("orchestra")))[0].parts

    async def test_neighbours_come_with_a_hit(self, memory: Memory) -> None:
        """The turns before and after it, in the same thread."""
        await talk(memory)
        hits = await memory.recall(asked("shelter in Lisbon", limit=2, neighbours=1))
        assert [hit.entry.id for hit in hits] == ["e0", "e1"]

    async def test_time_expressions_count(self, memory: Memory) -> None:
        """What was said then comes first."""
        await talk(memory)
        for text, session in (("What did I tell you yesterday?", "s3"), ("And the day before yesterday?", "s2")):
            (first, *_) = await memory.recall(asked(text))
            assert first.entry.session == session, text

    async def test_the_gate_gives_its_reasons(self, memory: Memory) -> None:
        """Small talk, repeats, what was recalled; secrets are masked; the same name is kept once."""
        await talk(memory)
        pair = [entry(20, "Hello there!", author="user"), entry(21, "Hi! How can I help?", author="assistant")]
        assert all(isinstance(one, MemoryRefused) and "small talk" in one.reason for one in await memory.judge(pair))
        (card,) = await memory.keep([entry(22, "Pay with 4111 1111 1111 1111, and my password is tulip99 please.")])
        assert isinstance(card, MemoryKept)
        assert card.entry.text == "Pay with [card number], and my password is [a secret] please."
        assert card.reason == "masked a secret, a card number"
        (again,) = await memory.keep([entry(22, "Something else.")])
        assert isinstance(again, MemoryRefused)
        assert again.like == "e22"
        asks = [
            entry(23, "Where did we adopt the puppy?"),
            entry(24, "You adopted it from a shelter in Lisbon.", author="assistant"),
        ]
        told = "- 2023-11-11 user: You adopted it from a shelter in Lisbon."
        assert [type(one) for one in await memory.judge(asks, recalled=told)] == [MemoryRefused, MemoryRefused]

    async def test_a_repeated_exchange_is_kept_once(self, memory: Memory) -> None:
        """Together, not by halves: an answer may belong to many questions."""
        first = [entry(1, "How deep is the well?"), entry(2, "30", author="assistant")]
        again = [entry(3, "how deep is the well"), entry(4, "30.", author="assistant")]
        other = [entry(5, "How tall is the tower?"), entry(6, "30", author="assistant")]
        assert [type(one) for one in await memory.keep(first)] == [MemoryKept, MemoryKept]
        judged = await memory.keep(again)
        assert [one.like for one in judged if isinstance(one, MemoryRefused)] == ["e1", "e2"]
        assert [type(one) for one in await memory.keep(other)] == [MemoryKept, MemoryKept]

    async def test_a_newer_fact_closes_the_older(self, memory: Memory) -> None:
        """Nothing is overwritten: the older one can be asked for as of its time."""
        fields = {"kind": "fact", "subject": "Ann", "predicate": "lives in", "session": ""}
        porto = entry(1, "Ann lives in Porto", object="Porto", time=NOW - 9 * DAY, valid_from=NOW - 9 * DAY, **fields)
        faro = entry(2, "Ann lives in Faro", object="Faro", time=NOW - DAY, valid_from=NOW - DAY, **fields)
        await memory.keep([porto])
        (kept,) = await memory.keep([faro])
        assert isinstance(kept, MemoryKept)
        assert kept.closes == ("e1",)
        assert [one.id for one in await memory.find(Selection(_MINE, now=NOW))] == ["e2"]
        assert [one.id for one in await memory.find(Selection(_MINE, closed=True))] == ["e2", "e1"]
        assert [hit.entry.id for hit in await memory.recall(asked("Where does Ann live?"))] == ["e2"]
        then = await memory.recall(asked("Where does Ann live?", as_of=NOW - 5 * DAY))
        assert [hit.entry.id for hit in then] == ["e1"]
        (same,) = await memory.keep([msgspec.structs.replace(faro, id="e3")])
        assert isinstance(same, MemoryRefused)

    async def test_what_has_expired_is_not_found(self, memory: Memory) -> None:
        """And goes with the next that is kept."""
        await memory.keep([entry(1, "The code word is heron.", expires_at=NOW)])
        assert await memory.recall(asked("Which code word?", now=NOW + 1)) == []

    async def test_the_oldest_make_room(self, memory: Memory) -> None:
        """Where a scope may hold only so many."""
        await talk(memory)
        judged = await memory.judge([entry(30, "A ninth thing was said.")], most=5)
        gone = [one for one in judged if isinstance(one, MemoryForgotten)]
        assert [one.entries for one in gone] == [("e0", "e1", "e2", "e3")]

    async def test_forgotten_is_gone(self, memory: Memory) -> None:
        """Neither listed nor recalled, and the turns beside it no longer know its words; its name is not taken in again."""
        entries = await talk(memory)
        assert await memory.forget(["e2", "e6"], by="ann") == 2
        assert [one.id for one in await memory.find(Selection())] == ["e7", "e5", "e4", "e3", "e1", "e0"]
        assert all(hit.score < 0.5 for hit in await memory.recall(asked("Who chews shoes?")))
        await memory.keep([entries[2]])
        assert len(await memory.find(Selection())) == 6
        assert await memory.forget([one.id for one in entries], erase=True) == 6
        assert await memory.find(Selection(closed=True)) == []

    async def test_odd_texts_do_no_harm(self, memory: Memory) -> None:
        """Quotation marks, operators, other scripts, nothing."""
        for number, text in enumerate(('say "NEAR(" AND * OR -x', "猫が好きです", "a\x00b", "🛶🛶", "x" * 20_000, "one: two")):
            await memory.keep([entry(number, text)])
            await memory.recall(asked(text[:500]))
        assert await memory.recall(asked("")) == []
        assert [hit.entry.id for hit in await memory.recall(asked("猫が好きです"))][:1] == ["e1"]
