"""A question to a human: may this call run, or what became of it."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import Any

import msgspec

from surefoot.core import canonical
from surefoot.core.events import ApprovalDelegated, ApprovalVoted
from surefoot.core.values import Verdict

__all__ = ["Callback", "Request", "Standing", "visible"]


class Callback(msgspec.Struct, frozen=True):
    """What came back from a channel: who decides which question how, for the call of that digest, until when."""

    request: str
    digest: str
    decision: str
    by: str
    until: int


@dataclass(frozen=True, slots=True)
class Standing:
    """An approval that holds for more of its run than the call it was given for: a later call of the same digest, or, with
    ``rules``, any call of the tool that only these rules ask about. `App.revoke` takes it back.
    """

    request: str
    tool: str
    digest: str = ""
    rules: tuple[str, ...] = ()
    by: str = ""

    def covers(self, tool: str, digest: str, verdict: Verdict) -> bool:
        """Whether it answers the question about a call."""
        if self.digest:
            return self.digest == digest
        return self.tool == tool and bool(verdict.rules) and set(verdict.rules) <= set(self.rules)


@dataclass(frozen=True, slots=True)
class Request:
    """One open question of a run, as `run.waiting` lists it.

    ``kind`` is ``call`` (may this tool call run?), ``outcome`` (it started, and nobody knows whether it happened), ``answer``
    (may the run end with this answer?), ``human`` (the model itself asks) or ``warning`` (may the run go on, of which something
    was foreseen?). ``arguments`` is the canonical JSON text the answer is bound to, by ``digest``. ``path`` names the runs from
    the root to the one that asks, ``user`` is the run's own, ``votes`` are those of a quorum so far, ``delegates`` says who may
    decide for somebody else. Times are Unix microseconds.
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
    user: str = ""
    votes: tuple[ApprovalVoted, ...] = ()
    delegates: tuple[ApprovalDelegated, ...] = ()

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
        if self.kind == "human":
            return f"The agent asks: {visible(self.reason)}"
        if self.kind == "warning":
            return f"{visible(self.reason)}. Go on?"
        because = f" ({visible(self.reason)})" if self.reason else ""
        if self.kind == "answer":
            return f"Answer {visible(str(self.args.get('text', '')))}?{because}"
        return f"Run {call}?{because}"


def visible(text: str) -> str:
    """Text with control, bidirectional and zero-width characters shown by their code points, so that it cannot deceive."""
    if text.isascii() and text.isprintable():
        return text
    return "".join([c if _plain(c) else f"\\u{ord(c):04x}" if ord(c) < 65536 else f"\\U{ord(c):08x}" for c in text])


def _plain(char: str) -> bool:
    return unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
