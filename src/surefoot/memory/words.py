"""What the words of a text are to the memory: which carry meaning, and which word lists a language has.

`content` leaves the words that mean something; of a text that has none, all stay. Lists are per language; a `Language`
of one's own can be given to a search.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

__all__ = ["ENGLISH", "Language", "content", "fingerprint", "has_number", "has_time", "is_small_talk", "telling", "words"]

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_NUMBER = re.compile(
    r"\d|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|twenty|thirty|forty|fifty|hundred|thousand|once|twice|dozen)\b"
)


@dataclass(frozen=True, slots=True)
class Language:
    """The word lists of a language, casefolded.

    ``when`` and ``how_many`` begin questions for a time or a number. ``own`` and ``yours`` are the words by which who asks means
    themselves, and the assistant.
    """

    stop: frozenset[str]
    talk: frozenset[str]
    times: frozenset[str]
    when: tuple[str, ...]
    how_many: tuple[str, ...]
    own: frozenset[str] = frozenset()
    yours: frozenset[str] = frozenset()


_STOP = (
    "a about above after again against all also am an and any anyone anything are aren't around as at be became because "
    "been before being below between both but by came can can't cannot chat chatted come conversation conversations could "
    "couldn't did didn't discuss discussed discussing do does doesn't doing don't done down during each earlier either else "
    "ever every everything few for from further get gets getting give given go goes going gone got had has hasn't have "
    "haven't having he he'd he'll he's her here here's hers herself him himself his how how's i i'd i'll i'm i've if in "
    "instead into is isn't it it's its itself just keep kind let let's like long made make makes many may maybe me memory "
    "mention mentioned might mine more most much must my myself need of off often oh ok okay on once one only onto or other "
    "our ours ourselves out over own past perhaps please previous previously put quite rather really recall recalled "
    "remember remembered said same say says see seem seems shall she she'd she'll she's should so some someone something "
    "soon still such take taken talk talked talking tell than thank thanks that that's the their theirs them themselves "
    "then there there's these they they'd they'll they're they've thing things think this those though through till to "
    "together told too took toward under until up upon us used very want wanted wants was wasn't way we we'd we'll we're "
    "we've well went were weren't what what's whatever when when's where where's which while who who's whom whose why why's "
    "will with within without won't would wouldn't yeah yes yet you you'd you'll you're you've your yours yourself"
)
_TALK = (
    "hello hi hey good morning evening afternoon night day bye goodbye see you later thanks thank cheers great nice cool fine ok "
    "okay yes no sure please sorry well done welcome how are is it going what's up there a lot very much so all right alright "
    "perfect awesome wonderful lovely amazing excellent i am im i'm doing today and to the that's my friend pleasure"
)
_TIMES = (
    "today yesterday tomorrow tonight morning noon afternoon evening night week weekend month year monday tuesday wednesday "
    "thursday friday saturday sunday january february march april may june july august september october november december "
    "spring summer autumn fall winter ago last next since o'clock am pm"
)
ENGLISH = Language(
    frozenset(_STOP.split()),
    frozenset(_TALK.split()),
    frozenset(_TIMES.split()),
    ("when", "what time", "what day", "what date", "which day", "which month", "which year", "how long ago"),
    ("how many", "how much", "how often", "how old", "how long", "how far", "what number"),
    frozenset(["i", "i'm", "i've", "i'd", "i'll", "me", "my", "mine", "we", "we've", "our", "ours", "us"]),
    frozenset(["you", "you're", "you've", "you'd", "you'll", "your", "yours"]),
)


def words(text: str) -> list[str]:
    """The words of a text, casefolded, in order, without a possessive's ending."""
    return [word.replace("’", "'").removesuffix("'s") for word in _WORD.findall(text.casefold())]


def content(text: str, language: Language = ENGLISH) -> list[str]:
    """The words of a text that mean something, in order; all of them where none does."""
    return telling(text, language) or words(text)


def telling(text: str, language: Language = ENGLISH) -> list[str]:
    """The words of a text that mean something, in order, if there are any."""
    return [word for word in words(text) if word not in language.stop]


def fingerprint(text: str) -> str:
    """A digest of what a text says: texts that differ in case, punctuation and stop words only have the same."""
    return hashlib.blake2b(" ".join(content(text)).encode("utf-8", "replace"), digest_size=12).hexdigest()


def is_small_talk(text: str, language: Language = ENGLISH) -> bool:
    """Whether a text only greets, thanks or agrees."""
    found = words(text)
    return not found or (len(found) <= 8 and all(word in language.talk for word in found))


def has_number(text: str) -> bool:
    """Whether a text holds a number, in digits or in words."""
    return _NUMBER.search(text.casefold()) is not None


def has_time(text: str, language: Language = ENGLISH) -> bool:
    """Whether a text holds a word of time, a year, or a time of day."""
    found = words(text)
    return any(word in language.times for word in found) or re.search(r"\b(?:19|20)\d\d\b|\b\d{1,2}:\d\d\b", text) is not None
