"""What is read off a text without a model: times, words that mean something, secrets, small talk."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from surefoot.memory.gate import masked, refusal, repeats_recalled, tells_and_asks
from surefoot.memory.times import fit, spans
from surefoot.memory.words import content, fingerprint, has_number, has_time, is_small_talk

NOW = int(datetime(2026, 5, 13, 15, 0, tzinfo=UTC).timestamp() * 1e6)  # a Wednesday


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("What did I say yesterday?", "2026-05-12", "2026-05-12"),
        ("and the day before yesterday", "2026-05-11", "2026-05-11"),
        ("two days ago", "2026-05-11", "2026-05-11"),
        ("what was it last week", "2026-05-04", "2026-05-10"),
        ("this week", "2026-05-11", "2026-05-17"),
        ("last weekend", "2026-05-09", "2026-05-10"),
        ("last month", "2026-04-01", "2026-04-30"),
        ("this month", "2026-05-01", "2026-05-31"),
        ("last year", "2025-01-01", "2025-12-31"),
        ("in March", "2026-03-01", "2026-03-31"),
        ("in December", "2025-12-01", "2025-12-31"),
        ("in march 2024", "2024-03-01", "2024-03-31"),
        ("in 2023", "2023-01-01", "2023-12-31"),
        ("on 2026-02-03", "2026-02-03", "2026-02-03"),
        ("during 2026-02", "2026-02-01", "2026-02-28"),
        ("on May 3rd", "2026-05-03", "2026-05-03"),
        ("on the 3rd of July 2025", "2025-07-03", "2025-07-03"),
        ("last Friday", "2026-05-08", "2026-05-08"),
        ("on Wednesday", "2026-05-06", "2026-05-06"),
    ],
)
def test_times_are_read(text: str, first: str, last: str) -> None:
    (start, end), *_ = spans(text, NOW)
    assert datetime.fromtimestamp(start / 1e6, UTC).date().isoformat() == first
    assert datetime.fromtimestamp((end - 1) / 1e6, UTC).date().isoformat() == last


@pytest.mark.parametrize(("text", "days"), [("three weeks ago", 21), ("a month ago", 30), ("2 years ago", 730)])
def test_a_vague_time_has_room_around_it(text: str, days: int) -> None:
    ((start, end),) = spans(text, NOW)
    assert start < NOW - days * 86_400_000_000 < end


@pytest.mark.parametrize("text", ["nothing of the kind", "on February 31st", "may I ask", "2026-13", "9999 days ago"])
def test_what_is_no_time_is_left(text: str) -> None:
    assert spans(text, NOW) == []


def test_a_time_fits_best_inside_and_less_beside() -> None:
    ((start, end),) = spans("yesterday", NOW)
    assert fit(start, [(start, end)]) == 1
    assert 0 < fit(end + 3_600_000_000, [(start, end)]) < 0.5
    assert fit(end + 10 * 86_400_000_000, [(start, end)]) == 0
    year = spans("last year", NOW)
    assert fit(year[0][0], year) == 0.5


def test_words_that_mean_nothing_are_left_out() -> None:
    assert content("What did you say about the Blue door?") == ["blue", "door"]
    assert content("what did you say?") == ["what", "did", "you", "say"]
    assert fingerprint("The door is BLUE!") == fingerprint("door: blue")
    assert fingerprint("not blue") != fingerprint("blue")
    assert is_small_talk("Thanks a lot!")
    assert not is_small_talk("Thanks for the ladder")
    assert has_number("about forty of them")
    assert has_time("since Tuesday")
    assert not has_time("no such thing")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("pay with 4111 1111 1111 1111", "pay with [card number]"),
        ("order 4111 1111 1111 1112", "order 4111 1111 1111 1112"),
        ("call 0000 0000 0000 0000", "call 0000 0000 0000 0000"),
        ("sk-abcdefghijklmnop1234 is it", "[a key] is it"),
        ("password: hunter22!", "password: [a secret]"),
        ("my PIN is 4711", "my PIN is [a secret]"),
        ("Bearer abcdefghijklmnopqrst", "[a token]"),
        ("nothing secret", "nothing secret"),
    ],
)
def test_secrets_are_masked(text: str, wanted: str) -> None:
    said, found = masked(text)
    assert said == wanted
    assert bool(found) == (said != text)


def test_what_is_not_worth_keeping() -> None:
    assert refusal("user", "  ") == "it is empty"
    assert refusal("user", "Good morning!") == "it is small talk"
    assert refusal("assistant", "Good morning!") == ""
    assert repeats_recalled("The ferry leaves Dover at nine.", "- 2026-01-01 user: The ferry leaves Dover at nine.")
    assert tells_and_asks("I moved to Bergen. What is my dog called?")
    assert tells_and_asks("What is my dog called? I moved to Bergen")
    assert not tells_and_asks("What is my dog called? And the cat?")
    assert not tells_and_asks("What is 3.5 times my age?")
    assert not tells_and_asks("Tell me again what my dog is called.")
    assert not repeats_recalled("Trains leave Calais at ten.", "- 2026-01-01 user: The ferry leaves Dover at nine.")
    assert not repeats_recalled("30", "30")
