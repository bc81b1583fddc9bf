"""The lexical tier of recall: nothing but the words, and rules that anybody can check.

Words are OR-ed and ranked by BM25 (Robertson and Zaragoza 2009) over a turn's own words, those of the turns beside it
(half) and those of the next ones (a quarter), without a length penalty, and divided by the query's best. Then come
additive rules, each behind its weight in `Weights`: 0 switches it off.
"""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields

import msgspec

from surefoot.core.errors import ConfigurationError
from surefoot.core.memory import KINDS, Entry, Question, Scope
from surefoot.memory import words
from surefoot.memory.statements import mark, named, place, statements
from surefoot.memory.times import Span, fit, spans

__all__ = ["Asked", "Row", "Scored", "Searcher", "Weights"]


@dataclass(frozen=True, slots=True)
class Weights:
    """How much each term counts; 0 switches it off. The last three are neutral until somebody sets them.

    The first group is the lexical tier's, the second (``window`` to ``reply``) the full tier's. ``half_life`` is in days.
    ``candidates`` bounds the rows that are scored, unless more are asked for. Above ``large`` rows, words in over ``common`` of
    them are left out, and only so many of the rarest words are looked for as stand in ``rows`` of them, unless the question
    is narrowed to a thread, to facts or to a time.
    """

    thread: float = 0.25
    author: float = 0.15
    question: float = -0.2
    date: float = 0.75
    answer: float = 0.25
    length: float = 0.1
    window: float = 1.0
    own: float = 0.1
    best: float = 0.5
    lexical: float = 0.2
    thread_text: float = 0.05
    type: float = 0.2
    size: float = 0.02
    reply: float = 1.0
    recency: float = 0.0
    importance: float = 0.0
    uses: float = 0.0
    half_life: float = 30.0
    candidates: int = 150
    large: int = 20_000
    common: float = 0.02
    rows: int = 2_000

    @classmethod
    def given(cls, weights: Mapping[str, float]) -> Weights:
        """The usual ones, but for these. Raises ConfigurationError for an unknown term, or a weight that is no number."""
        known = {one.name: one.type for one in fields(cls)}
        for name, value in weights.items():
            if name not in known:
                raise ConfigurationError(f"Memory(weights=) has no term {name!r}; there is {', '.join(known)}")
            if type(value) not in (int, float) or not math.isfinite(value):
                raise ConfigurationError(f"Memory(weights=) gives {name} {value!r}; give a number")
        return cls(**{name: int(value) if known[name] == "int" else value for name, value in weights.items()})  # type: ignore[arg-type]


#: What a match is worth where the question has no word that means something.
_MEANINGLESS = 0.3
#: Candidates that are looked at, and turns around them, to see how much of a question they carry.
_TOP, _AROUND = 3, 2


class Row(msgspec.Struct, frozen=True, gc=False):
    """An entry as the table has it."""

    key: int
    stream: str
    seq: int
    repeats: int
    plain: str
    entry: Entry


@dataclass(slots=True)
class Scored:
    """A row and the parts of its score."""

    row: Row
    parts: dict[str, float] = field(default_factory=dict)

    @property
    def score(self) -> float:
        """The sum of the parts."""
        return math.fsum(self.parts.values())


@dataclass(frozen=True, slots=True)
class Asked:
    """A question as the tiers need it: its words, what they weigh (idf), the times it names, and what kind of answer it wants.

    An entry must share one of the ``rare`` words, or be beside one that does; where there are few entries, that is any word.
    """

    question: Question
    terms: tuple[str, ...]
    rare: tuple[str, ...]
    idf: Mapping[str, float]
    when: list[Span]
    wants: str
    count: int

    @property
    def only_when(self) -> bool:
        """Whether nothing but a time is asked for."""
        return bool(self.when) and all(term in words.ENGLISH.times or term.isdigit() or term == "day" for term in self.terms)


_rows = msgspec.json.Decoder(list[Row])


class Searcher:
    """Searches one connection. Not for two threads at once."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        weights: Weights = Weights(),
        language: words.Language = words.ENGLISH,
    ) -> None:
        self.connection = self._connection = connection
        self._sql = statements()
        self.weights = weights
        self._language = language
        self._count, self._version = 0, -1
        self._several, self._scopes_at = True, -1
        self._asked: Asked | None = None
        self._matched: dict[str, dict[int, float]] = {}
        self._stems = sqlite3.connect(":memory:", check_same_thread=False)
        for name in ("stem_table", "stem_terms"):
            self._stems.execute(self._sql[name])

    def close(self) -> None:
        """Let go of what it made itself."""
        self._stems.close()

    # ── what is asked ───────────────────────────────────────────────────────────────────────────────────────────────

    def asked(self, question: Question) -> Asked:
        """Read a question."""
        terms = tuple(dict.fromkeys(words.content(question.text, self._language)))
        lowered = " ".join(words.words(question.text))
        wants = "time" if lowered.startswith(self._language.when) or any(f" {w} " in f" {lowered} " for w in ("when",)) else ""
        wants = "number" if any(f" {phrase} " in f" {lowered} " for phrase in self._language.how_many) else wants
        count = self.count()
        found = self._frequencies(terms)
        idf = {term: math.log(1 + (count - found[term] + 0.5) / (found[term] + 0.5)) for term in terms}
        rare = terms
        if count >= self.weights.large:
            usable = tuple(term for term in terms if found[term] <= self.weights.common * count)
            terms = usable or tuple(sorted(terms, key=found.__getitem__)[:1])
            rare = terms if is_narrow(question) else self._rare(terms, found)
        return Asked(question, terms, rare, idf, spans(question.text, question.now), wants, count)

    def _rare(self, terms: Sequence[str], found: Mapping[str, int]) -> tuple[str, ...]:
        """The rarest words, as many as together stand in no more than `Weights.rows` entries; at least one."""
        rare: list[str] = []
        room = self.weights.rows
        for term in sorted(terms, key=found.__getitem__):
            room -= found[term]
            if rare and room < 0:
                break
            rare.append(term)
        return tuple(rare)

    def count(self) -> int:
        """How many entries there are, of all scopes; of many, roughly."""
        (version,) = self._connection.execute("PRAGMA data_version").fetchone()
        if version != self._version or self._count < self.weights.large:
            (self._count,) = self._connection.execute(self._sql["count"]).fetchone()
            self._version = version
        return self._count

    def several(self) -> bool:
        """Whether there are entries of more than one scope."""
        (version,) = self._connection.execute("PRAGMA data_version").fetchone()
        if version != self._scopes_at:
            self._several = self._connection.execute(self._sql["several"]).fetchone()[0] > 0
            self._scopes_at = version
        return self._several

    def _frequencies(self, terms: Sequence[str]) -> dict[str, int]:
        """In how many entries each word stands."""
        stems = self._stem(terms)
        flat = json.dumps(sorted({stem for own in stems for stem in own}))
        known = dict(self._connection.execute(self._sql["frequencies"], (flat,)).fetchall())
        return {term: min((known.get(stem, 0) for stem in own), default=0) for term, own in zip(terms, stems, strict=True)}

    def _stem(self, terms: Sequence[str]) -> list[list[str]]:
        """The index's own words for each of these."""
        self._stems.executemany(self._sql["stem_put"], enumerate(terms, 1))
        found: list[list[str]] = [[] for _ in terms]
        for number, stem in self._stems.execute(self._sql["stem_read"]):
            found[number - 1].append(stem)
        self._stems.execute(self._sql["stem_clear"])
        return found

    # ── what is found ───────────────────────────────────────────────────────────────────────────────────────────────

    def rows(self, conditions: Sequence[str], values: Mapping[str, object], limit: int) -> list[Row]:
        """Rows that meet the named conditions, newest first."""
        statement = self._where("rows", ("all", *conditions))
        (text,) = self._connection.execute(statement, {**values, "limit": limit}).fetchone()
        return _rows.decode(text)

    def ids(self, statement: str, values: Sequence[object]) -> tuple[str, ...]:
        """The names that a statement lists."""
        return tuple(name for (name,) in self._connection.execute(self._sql[statement], tuple(values)))

    def episodes(self, scope: Scope) -> int:
        """How many episodes a scope holds."""
        return int(self._connection.execute(self._sql["count_scope"], place(scope)).fetchone()[0])

    def by_keys(self, keys: Sequence[int], question: Question) -> dict[int, Row]:
        """Those of these rows that a question may be answered with."""
        conditions, values = self.meant(question, "owner")
        values |= {"keys": json.dumps(list(keys)), "now": question.as_of or question.now, "today": question.now}
        return {row.key: row for row in self.rows(["keys", "open", *conditions], values, -1)}

    def meant(self, question: Question, scope: str) -> tuple[list[str], dict[str, object]]:
        """The conditions, as statements name them, that a question sets, its scope's among them, and their values."""
        narrower = narrowed(question)
        return [scope, *narrower], {**named(question.scope), **narrower}

    def keys(self, question: Question) -> list[int]:
        """The entries that a question may be answered with, of any time of validity."""
        conditions, values = self.meant(question, "scope")
        return [key for (key,) in self._connection.execute(self._where("scope_keys", conditions), values)]

    def _where(self, statement: str, conditions: Sequence[str]) -> str:
        """A statement with these conditions."""
        return self._sql[statement].replace("{conditions}", " AND ".join(self._sql[f"rows_{name}"] for name in conditions))

    def matches(self, asked: Asked, statement: str = "match") -> dict[int, float]:
        """Keys and BM25 scores of what shares a word with the question."""
        if not asked.terms:
            return {}
        if asked is not self._asked:
            self._asked, self._matched = asked, {}
        found = self._matched.get(statement)
        if found is None:  # the full tier asks again for what the lexical tier found
            found = self._matched[statement] = self._match(asked, statement)
        return found

    def _match(self, asked: Asked, statement: str) -> dict[int, float]:
        question, most = asked.question, max(self.weights.candidates, asked.question.limit)
        conditions, values = self.meant(question, "owner")
        narrow = statement == "match" and is_narrow(question)
        any_of, rare = (" OR ".join(f'"{term}"' for term in terms) for terms in (asked.terms, asked.rare))
        columns = "own" if statement == "match_threads" else "own near far"
        # A row is looked for by its rare words, and scored by all.
        text = f"{{{columns}}} : " + (f"({any_of})" if asked.rare == asked.terms else f"(({rare}) AND ({any_of}))")
        if self.several():  # the word of the one scope there is would stand in every row, and be counted in each
            text = f"scope : {mark(question.scope)} AND {text}"
        if narrow:
            values |= {"words": text, "most": most}
            return dict(self._connection.execute(self._where("match_narrow", conditions), values).fetchall())
        return dict(self._connection.execute(self._sql[statement], (text, most)).fetchall())

    def search(self, asked: Asked) -> list[Scored]:
        """The lexical tier: candidates with the parts of their scores, best first."""
        found = self.matches(asked)
        best = max(found.values(), default=0.0) or 1.0
        keys = list(found) + [key for key in self._dated(asked) if key not in found]
        rows = self.by_keys(keys, asked.question)
        threads = self.threads(asked, list(rows))
        authors = self._author(asked)
        scored = []
        for key, row in rows.items():
            one = Scored(row, {"words": found.get(key, 0.0) / best, "thread": self.weights.thread * threads.get(key, 0.0)})
            self._rules(asked, one, authors)
            scored.append(one)
        top = sorted(scored, key=lambda one: -one.parts["words"])[:_TOP]
        strength = self._strength(asked, [one.row for one in top if one.parts["words"]])
        return scaled(scored, max(strength, _MEANINGLESS if asked.when else 0.0))

    def beside(self, row: Row, turns: int) -> list[Row]:
        """The turns before and after an entry in its thread, in order."""
        entry = row.entry
        if not turns or entry.kind != "episode":
            return []
        values = (entry.session, row.key, *place(entry.scope), turns)
        keys = [key for name in ("before", "after") for key, _ in self._connection.execute(self._sql[name], values)]
        return sorted(self.rows(["keys"], {"keys": json.dumps(keys)}, -1), key=lambda one: one.key) if keys else []

    def threads(self, asked: Asked, keys: Sequence[int]) -> dict[int, float]:
        """How well each entry's thread fits the question, from 0 to 1."""
        found = self.matches(asked, "match_threads")
        if not found or not keys:
            return {}
        best = max(found.values()) or 1.0
        scope = mark(asked.question.scope)
        pairs = json.dumps([[key, scope] for key in keys])
        places = self._connection.execute(self._sql["stretches_of"], (pairs,)).fetchall()
        return {key: found[stretch] / best for key, stretch in places if stretch in found}

    def _dated(self, asked: Asked) -> list[int]:
        """Entries of the times that a question names."""
        keys: list[int] = []
        for start, end in asked.when:
            values = (*place(asked.question.scope), start, end, self.weights.candidates)
            keys += [key for (key,) in self._connection.execute(self._sql["within"], values)]
        return keys

    def _author(self, asked: Asked) -> str:
        """The one author whom the question names, or means by a pronoun."""
        said = set(words.words(asked.question.text))
        authors = self._connection.execute(self._sql["authors"], named(asked.question.scope))
        meant = [name for (name,) in authors if set(words.words(name)) & said]
        if meant:
            return meant[0] if len(meant) == 1 else ""
        own, yours = said & self._language.own, said & self._language.yours
        return "" if bool(own) == bool(yours) else "user" if own else "assistant"

    def _rules(self, asked: Asked, one: Scored, author: str) -> None:
        """The additive rules."""
        entry, weights, parts = one.row.entry, self.weights, one.parts
        parts["author"] = weights.author * bool(author and entry.author == author)
        parts["question"] = weights.question * entry.text.rstrip().endswith("?")
        parts["date"] = weights.date * fit(entry.time, asked.when) if asked.when else 0.0
        parts["answer"] = weights.answer * self.answers(asked, entry)
        parts["length"] = weights.length * length(entry)
        parts |= self.neutral(asked, entry)

    def answers(self, asked: Asked, entry: Entry) -> float:
        """Whether an entry holds the kind of thing a question wants: a time, or a number."""
        if asked.wants == "time":
            return float(words.has_time(entry.text, self._language))
        return float(asked.wants == "number" and words.has_number(entry.text))

    def neutral(self, asked: Asked, entry: Entry) -> dict[str, float]:
        """Terms that count nothing unless somebody weighs them."""
        weights, parts = self.weights, {}
        if weights.recency:
            days = max(0.0, (asked.question.now - entry.time) / 86_400e6)
            parts["recency"] = weights.recency * 0.5 ** (days / weights.half_life)
        if weights.importance:
            parts["importance"] = weights.importance * entry.importance
        if weights.uses:
            parts["uses"] = weights.uses * min(1.0, math.log1p(entry.uses) / math.log(11))
        return parts

    def _strength(self, asked: Asked, best: Sequence[Row]) -> float:
        """How much of the question's weight the words of the best candidates and of the turns around them carry, from 0 to 1.

        BM25 itself cannot tell: its scores have no upper end, and next to none where a word is in every other entry.
        """
        total = math.fsum(asked.idf.values())
        if not total or not best:
            return 0.0
        windows = ["\n".join(one.entry.text for one in (row, *self.beside(row, _AROUND))) for row in best]
        found = self._stem([*asked.idf, *windows])
        wanted, said = found[: len(asked.idf)], [set(own) for own in found[len(asked.idf) :]]
        weighed = list(zip(asked.idf.values(), wanted, strict=True))
        most = max(math.fsum(idf for idf, stems in weighed if stems and said_here.issuperset(stems)) for said_here in said)
        meant = 1.0 if words.telling(asked.question.text, self._language) else _MEANINGLESS
        return meant * most / total


def length(entry: Entry) -> float:
    """The logarithm of a text's length in words, from 0 to 1 at 60 words."""
    return min(1.0, math.log1p(len(entry.text.split())) / math.log(61))


def scaled(scored: list[Scored], strength: float) -> list[Scored]:
    """Scores that can be compared between questions, best first: where nothing fits well, all are low."""
    for one in scored:
        one.parts = {name: part * strength for name, part in one.parts.items() if part}
    return sorted(scored, key=lambda one: (-one.score, -one.row.key))


def is_narrow(question: Question) -> bool:
    """Whether what a question leaves out may be most of what fits its words."""
    return question.session is not None or "episode" not in question.kinds or bool(question.since or question.until)


def narrowed(question: Question) -> dict[str, object]:
    """What a question leaves out beside other scopes: conditions, as statements name them, and the value of each."""
    wishes = {
        "kinds": json.dumps(question.kinds) if set(question.kinds) != set(KINDS) else None,
        "session": question.session,
        "without": question.without,
        "since": question.since or None,
        "until": question.until or None,
    }
    return {name: value for name, value in wishes.items() if value is not None}
