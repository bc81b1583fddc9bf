"""The memory's statements, by name, and what a word of a text is to it."""

from __future__ import annotations

import hashlib
import re
from functools import cache
from pathlib import Path

from surefoot.core.memory import Scope

__all__ = ["mark", "named", "place", "statements"]


@cache
def statements() -> dict[str, str]:
    """The statements of ``queries.sql``; each follows a line ``-- name: …``."""
    text = Path(__file__).with_name("queries.sql").read_text(encoding="utf-8")
    parts = re.split(r"^-- name: (\w+)$", re.sub(r"^-- (?!name:).*\n", "", text, flags=re.MULTILINE), flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], [part.strip().removesuffix(";") for part in parts[1::2]], strict=True))


def place(scope: Scope) -> tuple[str, str, str, str]:
    """A scope as the statements bind it by position."""
    return scope.tenant, scope.user, scope.agent, scope.session


def named(scope: Scope) -> dict[str, str]:
    """A scope as the statements bind it by name."""
    return {"tenant": scope.tenant, "user": scope.user, "agent": scope.agent, "bound": scope.session}


def mark(scope: Scope) -> str:
    """The one word that stands for a scope in the index."""
    owner = "\0".join(place(scope) if scope.session else place(scope)[:3])
    return f"s{hashlib.blake2b(owner.encode('utf-8', 'replace'), digest_size=8).hexdigest()}"
