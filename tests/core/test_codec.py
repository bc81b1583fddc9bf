"""Events to bytes and back: every one of them, whatever it holds; and bytes that are none."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from surefoot.core import codec
from surefoot.core import events as ev
from surefoot.core.errors import JournalCorrupt
from surefoot.core.messages import File, Image, Message, Reasoning, Text, ToolCall, ToolResult, Usage
from surefoot.core.values import Failure, Limits, Spent, Verdict

KINDS = [kind for kind in (*ev.RUN_EVENTS, *ev.APP_EVENTS) if kind is not ev.Unknown]

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
whole = st.integers(-(2**63), 2**63 - 1)
json_values = st.recursive(
    st.none() | st.booleans() | whole | st.floats(allow_nan=False, allow_infinity=False) | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=6,
)
#: Strategies by the annotation of a field, as its struct writes it.
FIELDS: dict[Any, st.SearchStrategy[Any]] = {
    str: text,
    int: whole,
    bool: st.booleans(),
    float: st.floats(allow_nan=False, allow_infinity=False),
    bytes: st.binary(max_size=20),
}


def of(kind: Any) -> st.SearchStrategy[Any]:
    """Give values of an annotation."""
    if kind in FIELDS:
        return FIELDS[kind]
    if kind is Any:
        return json_values
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return struct(kind)
    origin: Any = getattr(kind, "__origin__", None)
    args: Any = getattr(kind, "__args__", ())
    if origin is tuple:
        return st.lists(of(args[0]), max_size=3).map(tuple) if args[-1] is ... else st.tuples(*map(of, args))
    if origin is dict:
        return st.dictionaries(of(args[0]), of(args[1]), max_size=3)
    if kind is type(None):
        return st.none()
    if str(origin) == "typing.Literal":
        return st.sampled_from(args)
    return st.one_of([of(arg) for arg in args])


def struct(kind: type[Any]) -> st.SearchStrategy[Any]:
    """Give values of a struct."""
    fields = {field.name: of(field.type) for field in msgspec.structs.fields(kind)}
    return st.builds(kind, **fields)


@pytest.mark.parametrize("kind", KINDS, ids=ev.tag_of)
@settings(max_examples=settings().max_examples // 4)
@given(data=st.data())
def test_every_event_comes_back_as_it_was(kind: Any, data: st.DataObject) -> None:
    event = data.draw(struct(kind))
    tag, body = codec.encode(event)
    assert tag == ev.tag_of(kind)
    assert "type" not in json.loads(body) or kind in (ev.RunStarted, ev.ModelReplied)
    assert codec.decode(tag, body) == event
    assert codec.decode(tag, body.decode()) == event


def test_a_body_leaves_out_what_is_as_usual() -> None:
    assert codec.encode(ev.RunStarted("clerk", (Text("hi"),))) == (
        "run.started",
        b'{"agent":"clerk","input":[{"type":"text","text":"hi"}]}',
    )
    assert codec.encode(ev.RunSuspended()) == ("run.suspended", b"{}")


def test_every_part_of_a_message_is_stored() -> None:
    parts = (
        Text("a"),
        Image(url="u"),
        File(blob="b", name="n"),
        Reasoning("t", "o", "p"),
        ToolCall("0.0", "t", "{}", "p", "bad"),
        ToolResult("0.0", "t", "r", True, (Text("x"),), "p"),
    )
    event = ev.RunStarted("a", history=(Message("assistant", parts),), limits=Limits(steps=1, cost=0.5))
    assert codec.decode(*codec.encode(event)) == event
    spent = Spent(1, 2, Usage(1, 2, 3, 4, 5), None)
    failure = Failure("server", "m", "h", 500, "r", {"n": 1})
    failed = ev.RunFailed(failure, "text", spent)
    assert codec.decode(*codec.encode(failed)) == failed
    judged = ev.CallsJudged((Verdict("0.0", "ask", roles=(("a", "b"),), may_edit=("x",), origins={"a": "b"}),), "d")
    assert codec.decode(*codec.encode(judged)) == judged


@pytest.mark.parametrize("body", [b'{"x":1}', '{"x":1}', b"\xff"])
def test_an_unknown_tag_is_kept_for_viewers(body: Any) -> None:
    event = codec.decode("tea.served", body)
    assert isinstance(event, ev.Unknown)
    assert event.tag == "tea.served"


def test_a_newer_form_is_unknown() -> None:
    tag, body = codec.encode(ev.RunClaimed("w"))
    assert codec.decode(tag, body, codec.VERSION + 1) == ev.Unknown(tag, body.decode())


def test_an_older_form_is_read_as_it_is_where_nothing_changed() -> None:
    tag, body = codec.encode(ev.RunClaimed("w"))
    assert codec.decode(tag, body, codec.VERSION - 1) == ev.RunClaimed("w")


def test_a_redacted_body_is_unknown() -> None:
    assert codec.decode("run.started", b'{"$redacted":"00"}') == ev.Unknown("run.started", '{"$redacted":"00"}')


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"agent":7}', b"{}", b"\xff\xfe", b'{"agent":"a","input":[{"type":"x"}]}'])
def test_a_damaged_body_says_so(body: bytes) -> None:
    with pytest.raises(JournalCorrupt, match="surefoot doctor"):
        codec.decode("run.started", body)


@given(st.binary(max_size=30), st.binary(max_size=30), st.binary(min_size=1, max_size=16), st.binary(min_size=1, max_size=16))
def test_a_bodys_hash_tells_bodies_and_salts_apart(one: bytes, other: bytes, salt: bytes, pepper: bytes) -> None:
    same = codec.body_hash(salt, one) == codec.body_hash(pepper, other)
    assert same == (one == other and salt.ljust(64, b"\0") == pepper.ljust(64, b"\0"))
    assert len(codec.body_hash(salt, one)) == 16


def test_a_chain_hash_depends_on_every_field() -> None:
    given: dict[str, Any] = {
        "previous": b"p", "stream": "s", "seq": 1, "epoch": 2, "time": 3, "tag": "t", "version": 1, "body": b"b",
    }  # fmt: skip
    hashes = {codec.chain_hash(**given)}
    for name, value in given.items():
        hashes.add(codec.chain_hash(**{**given, name: value * 2}))
    assert len(hashes) == len(given) + 1
