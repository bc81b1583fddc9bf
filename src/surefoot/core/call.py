"""One tool call of a step, from the model's wish to the result it is told."""

from __future__ import annotations

from dataclasses import dataclass

from surefoot.core.messages import File, Image, Text, ToolResult
from surefoot.core.values import Verdict

__all__ = ["Call"]


@dataclass(slots=True)
class Call:
    """One tool call of the current step.

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
    result: ToolResult | None = None

    def close(self, text: str, *, error: bool = False, parts: tuple[Text | Image | File, ...] = ()) -> None:
        """The call has what the model will be told."""
        self.status = "closed"
        self.result = ToolResult(self.id, self.name, text, error, parts, self.provider_id)
