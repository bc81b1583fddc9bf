"""What the tests of decisions share: a shop whose refunds ask, and people with roles."""

from __future__ import annotations

from typing import Any

from surefoot import Agent, tool
from surefoot.testing.models import ScriptedModel
from tests.flows.kit import results

__all__ = ["CALL", "ROLES", "Shop"]

CALL = ("refund", {"order": "81", "cents": 6200})
ROLES = {"dana": ("approver",), "joe": ("viewer",), "lea": ("legal", "admin"), "max": ("operator",), "sam": ("approver",)}


class Shop:
    """An agent with one unsafe tool, and what it did."""

    def __init__(self, *replies: Any, rules: Any = (), **options: Any) -> None:
        self.done: list[tuple[str, int]] = []

        @tool(rules=rules)
        def refund(order: str, cents: int) -> str:
            """Refund an order."""
            self.done.append((order, cents))
            return f"refunded {cents}"

        self.model = ScriptedModel(*(replies or (CALL, "It is done.")))
        self.agent = Agent("clerk", model=self.model, tools=[refund], **options)

    def told(self, request: int = 1) -> str:
        return results(self.model.requests[request])[-1].text
