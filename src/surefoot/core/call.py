"""One tool call of a step, from the model's wish to the result it is told."""

from __future__ import annotations

from dataclasses import dataclass

from surefoot.core.events import ApprovalDecided
from surefoot.core.messages import File, Image, Text, ToolResult
from surefoot.core.values import Spent, Verdict

__all__ = ["Call"]


@dataclass(slots=True)
class Call:
    """One tool call of the current step; ``spent`` is what the runs it started have used, as far as it is recorded.

    ``status``: proposed → allowed | asked → approved → started → (retrying | suspended | unknown) → closed.
    """

    id: str
    name: str
    arguments: str
    provider_id: str = ""
    invalid: str = ""
    status: str = "proposed"
    effect: str = "unsafe"
    verdict: Verdict | None = None
    request: str = ""
    digest: str = ""
    attempt: int = 0
    epoch: int = 0
    retry_at: int = 0
    waits_on: tuple[str, ...] = ()
    spent: Spent = Spent()
    result: ToolResult | None = None
    edited: bool = False

    def close(self, text: str, *, error: bool = False, parts: tuple[Text | Image | File, ...] = ()) -> None:
        """The call has what the model will be told."""
        self.status = "closed"
        if self.edited:
            text = f"[A human changed the arguments before this call ran: {self.arguments}]\n{text}"
        self.result = ToolResult(self.id, self.name, text, error, parts, self.provider_id)

    def settle(self, event: ApprovalDecided) -> None:
        """A human has answered the question about this call."""
        match event.decision:
            case "approve" | "retry":
                self.status = "approved"
                if event.arguments and event.arguments != self.arguments:
                    self.arguments, self.edited = event.arguments, True
                self.digest = event.digest or self.digest
            case "answer" | "done":
                self.close(event.result or "")
            case "ask":
                who = event.by or "The human who decides"
                again = "The call did not run. Find out or answer this, and call again if it is still right."
                self.close(f"{who} asks before deciding: {event.reason} {again}")
            case "give_up":
                unknown = "It is not known whether this call happened, and it will not be tried again."
                self.close(f"{unknown} {event.reason}".strip(), error=True)
            case _:
                who = f" by {event.by}" if event.by else ""
                why = f": {event.reason}" if event.reason else ""
                again = "The call did not run; do not ask for it again unless something changes."
                self.close(f"Denied{who}{why}. {again}", error=True)
