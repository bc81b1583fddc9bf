"""Memory as text: a plain JSON list that a person can read and write, and JSON Lines that keep everything.

The list holds ``{"session_id", "timestamp", "role", "content"}`` objects, one an episode; a timestamp is ISO 8601 or Unix
seconds. A JSON line is a whole `Entry`. Reading the same text twice keeps its entries once: their names follow from them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from surefoot.core.errors import ConfigurationError
from surefoot.core.memory import Entry, Scope
from surefoot.memory.statements import place

__all__ = ["entries_of", "json_lines", "turns"]


def turns(entries: Sequence[Entry]) -> str:
    """The episodes as a JSON list, oldest first."""
    made = [
        {"session_id": entry.session, "timestamp": _iso(entry.time), "role": entry.author, "content": entry.text}
        for entry in sorted(entries, key=lambda one: (one.time, one.id))
        if entry.kind == "episode"
    ]
    return msgspec.json.format(msgspec.json.encode(made), indent=2).decode()


def json_lines(entries: Sequence[Entry]) -> Iterator[str]:
    """Every entry as one JSON object a line, oldest first."""
    for entry in sorted(entries, key=lambda one: (one.time, one.id)):
        yield msgspec.json.encode(entry).decode()


def entries_of(text: str, scope: Scope) -> list[Entry]:
    """The entries of a text of either form. Turns get this scope; whole entries keep theirs.

    Raises ConfigurationError, with the place, for what is neither.
    """
    try:
        if text.lstrip().startswith("["):
            return [_turn(turn, at, scope) for at, turn in enumerate(msgspec.json.decode(text, type=list[dict[str, Any]]))]
        return [msgspec.json.decode(line, type=Entry) for line in text.splitlines() if line.strip()]
    except msgspec.DecodeError as error:
        raise ConfigurationError(f"this is no memory: {error}; give a JSON list of turns, or JSON Lines of entries") from None


def _turn(turn: dict[str, Any], at: int, scope: Scope) -> Entry:
    session, role, content = (turn.get(name, "") for name in ("session_id", "role", "content"))
    if (
        "content" not in turn
        or not isinstance(content, str)
        or not isinstance(role, str)
        or not role
        or not isinstance(session, str | int)
    ):
        raise ConfigurationError(f"turn {at} needs a session_id, a role and a content, not {turn!r:.200}")
    time = _micros(turn.get("timestamp", 0), at)
    owner = place(scope) if scope.session else place(scope)[:3]
    named = "\0".join((*owner, str(session), str(time), role, content))
    name = hashlib.blake2b(named.encode("utf-8", "replace"), digest_size=16).hexdigest()
    return Entry(name, content, scope, "episode", role, str(session), time)


def _micros(stamp: object, at: int) -> int:
    try:
        if isinstance(stamp, str):
            moment = datetime.fromisoformat(stamp)
            return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1e6)
        if isinstance(stamp, int | float) and not isinstance(stamp, bool) and 0 <= stamp < 1e11:
            return int(stamp * 1e6)
    except ValueError:
        pass
    raise ConfigurationError(f"turn {at} has the timestamp {stamp!r:.100}; give ISO 8601 or Unix seconds")


def _iso(micros: int) -> str:
    return datetime.fromtimestamp(micros / 1e6, UTC).isoformat()
