"""The gate in front of memory: what is taken in, what is masked, what is refused, each with its reason. Pure.

Refused are empty talk and its answers, what was only just recalled, and what is there already. Masked are card numbers,
keys and passwords.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from surefoot.memory.words import content, is_small_talk

__all__ = ["LONGEST", "masked", "refusal", "repeats_recalled", "tells_and_asks"]

#: Characters of an entry; of what is longer, the head is kept.
LONGEST = 8_000
#: Between two sentences.
_SENTENCE = re.compile(r"(?<=[.!?…])\s+|(?<=[。？！؟])\s*|\n+")
_CARD = re.compile(r"(?<![\w-])(?:\d[ -]?){12,18}\d(?![\w-])")
_SECRETS = (
    ("a private key", re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL)),
    ("a key", re.compile(r"\b(?:sk|pk|rk)[-_](?:[a-z]+[-_])*[A-Za-z0-9_-]{16,}")),
    (
        "a key",
        re.compile(
            r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b|\bAIza[\w-]{30,}|\bgh[pousr]_\w{30,}|\bgithub_pat_\w{20,}|\bxox[abprs]-[\w-]{10,}"
        ),
    ),
    ("a token", re.compile(r"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*")),
    ("a token", re.compile(r"(?i)\bbearer\s+[\w.~+/-]{16,}=*")),
    (
        "a secret",
        re.compile(
            r"(?i)\b(?:password|passwd|passphrase|passcode|pin|api[ _-]?key|secret(?: key)?|access token)\b"
            r"(?:\s+(?:is|was)\s*:?\s*|\s*[:=]\s*)[\"'“]?(?P<value>[^\s\"'”,;]{4,})"
        ),
    ),
)


def masked(text: str) -> tuple[str, str]:
    """A text without the secrets and card numbers in it, and what was masked, in words; empty when nothing was."""
    found: list[str] = []
    for name, pattern in _SECRETS:
        text, count = pattern.subn(lambda match, name=name: _mask(match, name), text)  # type: ignore[misc]
        found += [name] * bool(count)
    text, cards = _CARD.subn(lambda match: "[card number]" if _is_card(match[0]) else match[0], text)
    if cards and "[card number]" in text:
        found.append("a card number")
    return text, ", ".join(dict.fromkeys(found))


def refusal(author: str, text: str) -> str:
    """Why a text is not worth keeping; empty when it is."""
    if not text.strip():
        return "it is empty"
    return "it is small talk" if author == "user" and is_small_talk(text) else ""


def repeats_recalled(text: str, recalled: str) -> bool:
    """Whether a text says little but what memory had given the run."""
    known, said = set(_pairs(recalled)), list(_pairs(text))
    return len(said) >= 2 and sum(pair in known for pair in said) >= 0.8 * len(said)


def tells_and_asks(text: str) -> bool:
    """Whether a text holds a statement beside a question."""
    asks = [sentence[-1] in "?？؟" for sentence in _SENTENCE.split(text.strip()) if content(sentence)]
    return True in asks and False in asks


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    found = content(text)
    return pairwise(found)


def _mask(match: re.Match[str], name: str) -> str:
    value = match.groupdict().get("value")
    return f"[{name}]" if value is None else match[0].replace(value, f"[{name}]")


def _is_card(text: str) -> bool:
    """Whether digits are a payment card's: 13 to 19 of them, with the check digit of ISO/IEC 7812-1 (Luhn)."""
    digits = [int(char) for char in text if char.isdigit()]
    doubled = [digit if index % 2 else sum(divmod(2 * digit, 10)) for index, digit in enumerate(reversed(digits), 1)]
    return 13 <= len(digits) <= 19 and sum(doubled) % 10 == 0 and len(set(digits)) > 1
