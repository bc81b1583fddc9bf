"""Words, numbers and addresses in text, made comparable: what `approvals.origins` matches values by.

Text is NFKC-normalised and case-folded, format characters are dropped, and only whole tokens count.
"""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal, InvalidOperation

__all__ = ["TELLING", "Text", "addresses", "kind", "norm", "number", "telling", "tokens"]

_ADDRESS = re.compile(r"https?://[^\s<>\"']+|[^\s<>\"'(),;:=]+@[^\s<>\"'(),;:=]+|@\w[\w.-]*|\b[a-z]{2}\d{2,}\w*", re.IGNORECASE)
_TOKEN = re.compile(r"https?://[^\s<>\"']+|[^\s<>\"(),;:!?=]*\d,\d[^\s<>\"();:!?=]*|[^\s<>\"(),;:!?=]+")
_NUMBER = re.compile(r"[€$£]?(\d{1,3}(?:,\d{3})+|\d+)(\.\d+)?[€$£%]?")
_EDGES = ".,;:!?()[]{}\"'`*"
#: What stands before a number that names something and is no amount.
_NAMING = frozenset({"order", "item", "bill", "invoice", "no", "nr", "number", "id", "#", "room", "mail", "event", "ticket"})
_SMALL = frozenset(
    [
        "a",
        "an",
        "and",
        "are",
        "as",
        "at",
        "be",
        "by",
        "do",
        "for",
        "from",
        "has",
        "have",
        "i",
        "in",
        "is",
        "it",
        "its",
        "me",
        "my",
        "no",
        "not",
        "of",
        "on",
        "or",
        "our",
        "so",
        "that",
        "the",
        "their",
        "them",
        "then",
        "there",
        "this",
        "to",
        "was",
        "we",
        "what",
        "when",
        "which",
        "who",
        "will",
        "with",
        "you",
        "your",
        "please",
    ]
)
_NEGATIONS = frozenset({"no", "not"})
#: Shorter words tell nothing apart.
TELLING = 3


def norm(text: str) -> str:
    """Text as it is compared."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(char for char in folded if unicodedata.category(char) != "Cf")


def tokens(text: str) -> list[str]:
    """The tokens of a text, in order; an address or a link is one."""
    found = (token.strip(_EDGES).removesuffix("'s") for token in _TOKEN.findall(norm(text)))
    return [token for token in found if token]


def telling(text: str) -> set[str]:
    """The words that tell one name from another."""
    return {token for token in tokens(text) if len(token) >= TELLING and token not in _SMALL}


def number(value: object) -> Decimal | None:
    """A value as a number; None when it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        return None
    if isinstance(value, str):
        found = _NUMBER.fullmatch(value.strip())
        value = (found[1].replace(",", "") + (found[2] or "")) if found else "none"
    try:
        made = Decimal(str(value))
    except InvalidOperation:
        return None
    return made if made.is_finite() else None


def addresses(text: str) -> set[str]:
    """Links, mail addresses, handles and account numbers in a text."""
    return {found.strip(_EDGES) for found in _ADDRESS.findall(norm(text))}


class Text:
    """A text that values are looked up in."""

    def __init__(self) -> None:
        self._tokens: list[str] = []
        self._places: dict[str, list[int]] = {}
        self._numbers: set[Decimal] = set()
        self.words: set[str] = set()
        self.addresses: set[str] = set()

    def add(self, text: str) -> None:
        """Add more of it."""
        before = ""
        self.addresses |= addresses(text)
        for token in tokens(text):
            self._places.setdefault(token, []).append(len(self._tokens))
            self._tokens.append(token)
            self.words.add(token)
            found = number(token)
            if found is not None and before not in _NAMING:
                self._numbers.add(found)
            before = token
        self._tokens.append("")  # no phrase runs from one text into the next

    def holds(self, text: str) -> bool:
        """Whether the whole text stands in it, token by token."""
        wanted = tokens(text)
        if not wanted:
            return False
        return any(self._tokens[at : at + len(wanted)] == wanted for at in self._places.get(wanted[0], ()))

    def counts(self, value: Decimal) -> bool:
        """Whether it holds this number as an amount, not as the name of something."""
        return value in self._numbers

    @property
    def meaning(self) -> set[str]:
        """Its words but for articles and the like; short ones and negations stay."""
        return self.words - (_SMALL - _NEGATIONS)

    def rivals(self, value: object) -> bool:
        """Whether it holds another value of the same kind, so that one could be taken for the other."""
        if isinstance(value, str):
            wanted = kind(value)
            return bool(wanted) and sum(kind(address) == wanted for address in self.addresses) > 1
        return len(self._numbers) > 1


def kind(text: str) -> str:
    """What kind of address a text is; empty for what is none."""
    address = norm(text).strip()
    if address.startswith(("http://", "https://")):
        return "link"
    if "@" in address:
        return "handle" if address.startswith("@") else "mail"
    return "account" if _ADDRESS.fullmatch(address) else ""
