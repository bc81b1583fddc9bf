"""Where the values of a call came from: the user's words, trusted records, or text that anybody may have written.

No model is asked. Tools declare what their output fields are; everything undeclared is text by strangers. A value passes
when the user said it, when it is the house's own or an attested fact, or when it follows from a record that the user named.
The preset `guarded` asks about effects with any other decisive value, once the run has read strangers' text.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from difflib import SequenceMatcher
from typing import Any

from surefoot.approvals.reckoning import Compared, Row, compared, extreme, reckoned
from surefoot.approvals.words import Text, addresses, kind, norm, number, telling, tokens
from surefoot.core import canonical
from surefoot.core.judging import Judged
from surefoot.core.messages import Message, ToolResult
from surefoot.core.tool import ToolSpec

__all__ = ["PASSES", "Found", "Origins"]

#: Origins that speak for a value.
PASSES = frozenset({"user", "own", "fact", "made", "derived", "open"})
#: Labels of values that can be trusted, and of closed values that an outsider may have chosen.
_TRUSTED = frozenset({"own", "fact", "secret"})
_CLOSED = frozenset({"own", "fact", "directory", "typed"})
#: A closed field longer than this reads like prose, and is text.
_WORDS, _CHARACTERS = 7, 80
_ALL = frozenset({"all", "everyone", "everybody", "each", "every", "everything"})
#: Addresses that differ in no more characters than this, and in no more than a quarter of them, are mistaken for each other.
_ALIKE = 2
#: Runs whose index is kept.
_KEPT = 64


@dataclass(frozen=True, slots=True)
class Found:
    """What is known of a call: the origin of each argument, the arguments that nothing speaks for, and whether strangers'
    text was read before, or a stranger's closed value stands in it that the user did not name. ``unsaid`` names free-text
    arguments with words that are not the user's, and values that the user's words have another of.
    """

    origins: dict[str, str]
    doubts: tuple[str, ...]
    tainted: bool
    unsaid: tuple[str, ...] = ()


@dataclass(slots=True)
class _Record:
    """One object of a result: what it is called (with the words that tell it apart, and all its tokens), its closed values
    as they are matched, the addresses among them, and its attested numbers and dates.
    """

    intent: frozenset[str]
    names: list[tuple[str, frozenset[str], tuple[str, ...]]] = field(default_factory=list)
    values: set[str | Decimal] = field(default_factory=set)
    addresses: set[str] = field(default_factory=set)
    facts: dict[str, Compared] = field(default_factory=dict)
    is_directory: bool = False

    @property
    def row(self) -> Row:
        return Row(tuple(name for name, _, _ in self.names), self.facts)


@dataclass(slots=True)
class _Index:
    """What a run has read so far."""

    read: int = 0
    heard: int = 0
    past: int = 0
    tainted: bool = False
    said: Text = field(default_factory=Text)
    trusted: dict[str, str] = field(default_factory=dict)
    facts: list[Decimal] = field(default_factory=list)
    strange: Text = field(default_factory=Text)
    closed: set[str] = field(default_factory=set)
    typed: set[str] = field(default_factory=set)
    secrets: set[str] = field(default_factory=set)
    records: dict[frozenset[str | Decimal], _Record] = field(default_factory=dict)
    listed: dict[str, dict[frozenset[str | Decimal], _Record]] = field(default_factory=dict)
    acts: frozenset[str] = frozenset()


class Origins:
    """Follows values through the runs of an application; ``tools`` is what their authors declared."""

    def __init__(self, tools: Mapping[str, ToolSpec]) -> None:
        self._tools = tools
        self._kept: dict[str, _Index] = {}

    def of(self, call: Judged) -> Found:
        """Where the values of a call come from."""
        index = self._index(call)
        try:
            arguments = canonical.loads(call.arguments)
        except ValueError:
            arguments = None
        if not isinstance(arguments, dict):
            return Found({}, ("arguments",), index.tainted)
        spec = call.tool
        properties = spec.input_schema.get("properties", {})
        origins, unsaid, lured = {}, [], False
        for name, value in arguments.items():
            leaves = list(_leaves(value))
            if name in spec.content:
                origins[name] = _content(index, leaves)
                said = _all_said(index, leaves)
            else:
                origins[name] = _weakest(_leaf(index, leaf, properties.get(name, {})) for leaf in leaves)
                lured |= origins[name] == "catalogue" and any(norm(str(leaf)).strip() in index.typed for leaf in leaves)
                said = not any(index.said.rivals(leaf) for leaf in leaves if not isinstance(leaf, bool))
            if not said:
                unsaid.append(name)
        doubts = [name for name, origin in origins.items() if origin not in PASSES]
        if spec.intent and not index.said.words & set(map(norm, spec.intent)):
            doubts.append("intent")
        return Found(origins, tuple(doubts), index.tainted or lured, tuple(unsaid))

    def _index(self, call: Judged) -> _Index:
        state = call.state
        if state is None:
            return _Index()
        index = self._kept.pop(state.id, None)
        if index is None or index.past > len(call.past) or index.read > len(state.messages):
            index = _Index()
        self._kept[state.id] = index  # the newest last, so that the oldest goes
        if len(self._kept) > _KEPT:
            del self._kept[next(iter(self._kept))]
        for words in state.words[index.heard :]:
            index.said.add(words)
        index.tainted |= bool(state.recalled)  # nobody knows who wrote what is remembered
        for message in call.past[index.past :]:
            self._read(index, message)
        for message in state.messages[index.read :]:
            self._read(index, message)
        index.acts = self._acts()
        index.heard, index.past, index.read = len(state.words), len(call.past), len(state.messages)
        return index

    def _read(self, index: _Index, message: Message) -> None:
        for part in message.parts:
            if isinstance(part, ToolResult) and not part.error:
                spec = self._tools.get(part.name) or ToolSpec(part.name)
                self._result(index, spec, part.text)
                index.tainted |= bool(part.parts)  # nobody knows what is in a picture

    def _result(self, index: _Index, spec: ToolSpec, text: str) -> None:
        try:
            value = canonical.loads(text)
        except ValueError:
            value = text
        labels = {} if spec.untrusted else spec.labels
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, dict):
                record = self._object(index, spec, item, labels)
                if isinstance(value, list):
                    index.listed.setdefault(spec.name, {})[frozenset(record.values)] = record
            else:
                self._value(index, item, labels.get("", "text"))

    def _object(self, index: _Index, spec: ToolSpec, item: Mapping[str, Any], labels: Mapping[str, str]) -> _Record:
        record = _Record(frozenset(map(norm, spec.intent)))
        for name, value in item.items():
            for leaf in _leaves(value):
                label = self._value(index, leaf, labels.get(name, "text"))
                if label in _CLOSED:
                    made = None if isinstance(leaf, str) else number(leaf)
                    record.values.add(norm(str(leaf)).strip() if made is None else made)
                    if kind(str(leaf)):
                        record.addresses.add(norm(str(leaf)).strip())
                    if isinstance(leaf, str) and label in ("directory", "typed", "own"):
                        record.names.append((leaf, frozenset(telling(leaf)), tuple(tokens(leaf))))
                record.is_directory |= label == "directory"
                fact = compared(leaf) if label == "fact" and leaf is value else None
                if fact is not None:
                    record.facts[name] = fact
        if record.values:
            index.records.setdefault(frozenset(record.values), record)
        return record

    def _value(self, index: _Index, value: Any, label: str) -> str:  # noqa: ANN401  any JSON value
        """Take a value in; its label, which is text where a closed field reads like prose."""
        if value is None or value == "" or isinstance(value, bool):
            return label
        if label in _CLOSED and isinstance(value, str) and self._reads_like_prose(value):
            label = "text"
        made = number(value)
        key = norm(str(value)).strip()
        if label in _TRUSTED:
            index.trusted.setdefault(key if made is None else str(made.normalize()), "own" if label == "secret" else label)
            if made is not None and label == "fact":
                index.facts.append(made)
            if label == "secret":
                index.secrets.add(key)
        elif label in _CLOSED:
            (index.typed if label == "typed" else index.closed).add(key)
        else:
            index.strange.add(str(value))
            index.tainted = True
        return label

    def _acts(self) -> frozenset[str]:
        """The words that ask for an effect."""
        return frozenset(norm(word) for spec in self._tools.values() if spec.effect != "read" for word in spec.intent)

    def _reads_like_prose(self, text: str) -> bool:
        words = tokens(text)
        if len(words) > _WORDS or len(text) > _CHARACTERS or "\n" in text:
            return True
        return len(words) > 2 and not self._acts().isdisjoint(words)


def _leaves(value: Any) -> Iterator[Any]:  # noqa: ANN401  any JSON value
    if isinstance(value, dict):
        for item in value.values():
            yield from _leaves(item)
    elif isinstance(value, list):
        for item in value:
            yield from _leaves(item)
    else:
        yield value


def _weakest(origins: Iterable[str]) -> str:
    """The origin that speaks least for a value of several parts."""
    order = ("model", "untrusted", "catalogue", "derived", "made", "fact", "own", "user", "open")
    return min(origins, key=order.index, default="open")


def _leaf(index: _Index, value: Any, schema: Mapping[str, Any]) -> str:  # noqa: ANN401  any JSON value
    """The origin of one value; ``open`` for what the model may choose: nothing, yes or no, one of few."""
    if value is None or value == "" or isinstance(value, bool) or "enum" in schema:
        return "open"
    made = number(value) if not isinstance(value, str) else None
    if made is not None:
        return _number(index, made)
    text = str(value)
    key = norm(text).strip()
    if index.said.holds(text):
        # Of several that could be meant, a stranger may have picked this one for a part that the user meant for another.
        return "untrusted" if index.strange.holds(text) and _rivals(index, text) else "user"
    if key in index.trusted:
        return index.trusted[key]
    if _derived(index, text):
        return "catalogue" if _looks_like_one_said(index, text) else "derived"
    if _is_title(text) and telling(text) <= index.said.words:
        return "user"
    if index.strange.holds(text):
        return "untrusted"
    return "catalogue" if key in index.closed or key in index.typed else "model"


def _number(index: _Index, made: Decimal) -> str:
    if index.said.counts(made):
        return "user"
    key = str(made.normalize())
    if key in index.trusted:
        return index.trusted[key]
    if reckoned(index.said, index.facts, made) or _derived(index, made):
        return "derived"
    return "untrusted" if index.strange.counts(made) else "model"


def _derived(index: _Index, value: str | Decimal) -> bool:
    """Whether a value stands in the one record that the user named, or in any of a directory when all are meant."""
    wanted = norm(value).strip() if isinstance(value, str) else value
    for record in index.records.values():
        if wanted not in record.values:
            continue
        asked_for = bool(record.intent & index.said.words)
        if record.is_directory and asked_for and index.said.words & _ALL:
            return True
        if (record.is_directory or asked_for) and _named(index, record):
            return True
    if isinstance(wanted, str) and kind(wanted):
        return False  # anybody can send what becomes the largest: no money or word goes to an address for that
    return any(_singled_out(index, list(several.values()), wanted) for several in index.listed.values())


def _singled_out(index: _Index, several: Sequence[_Record], wanted: str | Decimal) -> bool:
    """Whether a value stands in the one of several records that the user asked for by a superlative."""
    intent = frozenset[str]().union(*(record.intent for record in several))
    if not intent & index.said.words:
        return False
    at = extreme(index.said, [record.row for record in several], intent | index.acts)
    return at is not None and wanted in several[at].values


def _rivals(index: _Index, text: str) -> bool:
    """Whether another address of this kind could be meant: one that the user gave, or one in a record that the user named."""
    if index.said.rivals(text):
        return True
    own, wanted = norm(text).strip(), kind(text)
    return bool(wanted) and any(
        any(kind(address) == wanted and address != own for address in record.addresses) and _named(index, record)
        for record in index.records.values()
    )


def _looks_like_one_said(index: _Index, text: str) -> bool:
    """Whether the user gave another address that this one could be mistaken for."""
    wanted = kind(text)
    return any(kind(address) == wanted and _alike(address, norm(text).strip()) for address in index.said.addresses)


def _alike(one: str, other: str) -> bool:
    if abs(len(one) - len(other)) > _ALIKE:
        return False
    same = sum(block.size for block in SequenceMatcher(None, one, other, autojunk=False).get_matching_blocks())
    different = max(len(one), len(other)) - same
    return different <= _ALIKE and 4 * different <= len(one)


def _named(index: _Index, record: _Record) -> bool:
    """Whether the user named this record, and no other could be meant: none has all the telling words of its name."""
    for name, words, whole in record.names:
        if not (index.said.holds(name) or (words and words <= index.said.words)):
            continue
        others = (other for other in index.records.values() if not _same(other.values, record.values))
        rivals = [rival for other in others for rival in other.names]
        if not any((words <= telling_) if words else whole == tokens_ for _, telling_, tokens_ in rivals):
            return True
    return False


def _same(one: set[str | Decimal], other: set[str | Decimal]) -> bool:
    """Whether two records are of one thing, of which one may tell more."""
    return one <= other or other <= one


def _is_title(text: str) -> bool:
    """Whether a text is words, and nothing that an address or a key could be."""
    found = tokens(text)
    return bool(telling(text)) and all(token.isalpha() for token in found)


def _content(index: _Index, leaves: Sequence[Any]) -> str:
    """The origin of free text: what matters in it is addresses, links, account numbers, and secrets that would leave."""
    for leaf in leaves:
        folded = norm(str(leaf))
        if any(secret in folded and not index.said.holds(secret) for secret in index.secrets):
            return "untrusted"
    return _weakest(_leaf(index, address, {}) for leaf in leaves for address in addresses(str(leaf)))


def _all_said(index: _Index, leaves: Sequence[Any]) -> bool:
    """Whether every telling word of a free text is the user's."""
    return all(telling(str(leaf)) <= index.said.words for leaf in leaves if leaf is not None)
