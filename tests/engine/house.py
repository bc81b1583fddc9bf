"""A parent whose tool runs a child, for the tests of both."""

from __future__ import annotations

from typing import Any

from surefoot.app import App
from surefoot.core.agent import Agent
from surefoot.core.messages import Usage
from surefoot.core.run import Run
from surefoot.core.tool import ToolContext
from surefoot.testing.models import ScriptedModel
from surefoot.tools.function import tool
from tests.flows.kit import results

__all__ = ["REFUND", "USAGE", "House", "children"]

USAGE = Usage(input=10, output=2)


class House:
    """A parent whose tool ``ask`` runs a child, and a child with an unsafe tool."""

    def __init__(self, *child: Any, prompts: tuple[str, ...] = ("go",), **options: Any) -> None:
        self.bodies: list[int] = []
        self.refunded: list[str] = []

        @tool
        def refund(order: str) -> str:
            self.refunded.append(order)
            return "refunded"

        self.child_model = ScriptedModel(*(child or ("child's answer",)), usage=USAGE)
        self.child = Agent("child", model=self.child_model, tools=[refund])

        @tool(effect="idempotent")
        async def ask(context: ToolContext[Any]) -> str:
            self.bodies.append(context.attempt)
            answers = [(await context.run(self.child, prompt, **options)) for prompt in prompts]
            return " and ".join(str(run.output or (run.error and run.error.kind)) for run in answers)

        self.model = ScriptedModel(("ask", {}), "parent's answer", usage=USAGE)
        self.parent = Agent("parent", model=self.model, tools=[ask])

    @property
    def told(self) -> str:
        return results(self.model.requests[1])[0].text


async def children(app: App, run: Run[Any]) -> list[Run[Any]]:
    return list(reversed(await app.list(parent=run.id)))


REFUND: Any = (("refund", {"order": "81"}), "refunded it")
