"""One text for one value."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot.core import canonical

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
    max_leaves=20,
)


@given(values)
def test_a_value_has_one_text_and_the_text_one_value(value: Any) -> None:
    text = canonical.dumps(value)
    assert canonical.loads(text) == value
    assert canonical.dumps(canonical.loads(text)) == text
    text.encode()


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), st.integers()))
def test_the_order_of_keys_does_not_matter(value: dict[str, int]) -> None:
    backwards = dict(reversed(value.items()))
    assert canonical.dumps(backwards) == canonical.dumps(value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (10**30, "1" + "0" * 30),
        (0.1, "0.1"),
        (1e300, "1e+300"),
        ({"b": 1, "a": [True, None]}, '{"a":[true,null],"b":1}'),
        ("ü\n\u2028", '"ü\\n\u2028"'),
    ],
)
def test_values_are_written_in_full_and_without_spaces(value: Any, text: str) -> None:
    assert canonical.dumps(value) == text


def deep(levels: int) -> Any:
    value: Any = []
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize("value", [math.nan, math.inf, "\ud800", {"\ud800": 1}, object(), {1, 2}, deep(100_000)])
def test_what_json_cannot_say_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        canonical.dumps(value)


@pytest.mark.parametrize("text", ["NaN", "[Infinity]", "-Infinity", "", "{", "[" * 100_000])
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        canonical.loads(text)


@given(st.lists(st.text()), st.lists(st.text()))
def test_a_digest_tells_lists_apart_however_their_text_is_cut(one: list[str], other: list[str]) -> None:
    assert (canonical.digest(*one) == canonical.digest(*other)) == (one == other)
    assert len(canonical.digest(*one)) == 64


@given(st.text())
def test_any_text_can_be_made_sound(text: str) -> None:
    sound = canonical.sound(text)
    sound.encode()
    assert canonical.sound(sound) == sound
    if not any("\ud800" <= char <= "\udfff" for char in text):
        assert sound == text


def test_halves_are_joined_to_the_character_they_mean() -> None:
    whole = json.loads('"\\ud83d\\ude00"')
    assert canonical.sound("\ud83d\ude00") == whole == "😀"
    assert canonical.sound("\ude00\ud83d") == "\ufffd\ufffd"
