"""A question to a human: may this call run, or what became of it."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import Any

from surefoot.core import canonical
from surefoot.core.values import Verdict

__all__ = ["Request", "visible"]


@dataclass(frozen=True, slots=True)
class Request:
    """One open question of a run, as `run.waiting` lists it.

    ``kind`` is ``call`` (may this tool call run?) or ``outcome`` (it started, and nobody knows whether it happened).
    ``arguments`` is the canonical JSON text the answer is bound to, by ``digest``. ``path`` names the runs from the root
    to the one that asks. Times are Unix microseconds.
    """

    id: str
    run: str
    call: str
    kind: str
    tool: str
    arguments: str
    digest: str
    reason: str = ""
    effect: str = "unsafe"
    asked_at: int = 0
    expires_at: int = 0
    verdict: Verdict | None = None
    path: tuple[str, ...] = ()

    @property
    def args(self) -> dict[str, Any]:
        """The arguments, parsed."""
        value: dict[str, Any] = canonical.loads(self.arguments)
        return value

    def __str__(self) -> str:
        """The question in one line, safe to print."""
        call = f"{visible(self.tool)}({visible(self.arguments)})"
        if self.kind == "outcome":
            return f"{call} started and its outcome is unknown: {visible(self.reason)}. Run it again?"
        because = f" ({visible(self.reason)})" if self.reason else ""
        return f"Run {call}?{because}"


def visible(text: str) -> str:
    """Text with control, bidirectional and zero-width characters shown by their code points, so that it cannot deceive."""
    if text.isascii() and text.isprintable():
        return text
    return "".join([c if _plain(c) else f"\\u{ord(c):04x}" if ord(c) < 65536 else f"\\U{ord(c):08x}" for c in text])


def _plain(char: str) -> bool:
    return unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
